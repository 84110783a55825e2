"""Compact letter display: rows that share a letter were not found to differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def letters(means: Sequence[float], differ: Iterable[tuple[int, int]]) -> list[str]:
    """One string of letters per row; two rows share a letter exactly when they were not found to differ.

    Insert and absorb: start with one group of all rows, split every group that holds a differing pair, drop
    groups inside others. Groups are lettered from the best mean down: a, b, …, z, aa, ab, …

    Args:
        means: (n,) means, larger is better; they only order the letters.
        differ: index pairs found to differ.

    Paper: H.-P. Piepho, Journal of Computational and Graphical Statistics, 2004.
    """
    groups: list[frozenset[int]] = [frozenset(range(len(means)))] if means else []
    for a, b in differ:
        split = [part for g in groups if {a, b} <= g for part in (g - {a}, g - {b})]
        kept = [g for g in groups if not {a, b} <= g]
        for part in split:
            if not any(part <= g for g in kept):
                kept = [g for g in kept if not g < part] + [part]
        groups = kept
    rank = {row: i for i, row in enumerate(sorted(range(len(means)), key=lambda i: -means[i]))}
    groups.sort(key=lambda g: sorted(rank[row] for row in g))
    names = [_name(i) for i in range(len(groups))]
    # With more than 26 groups a name has two glyphs, and only a separator tells "aa" from "a" twice.
    separator = "" if len(groups) <= 26 else ","
    return [separator.join(n for n, g in zip(names, groups, strict=True) if row in g) for row in range(len(means))]


def _name(index: int) -> str:
    """a … z, aa, ab, … as spreadsheet columns are named."""
    name = ""
    index += 1
    while index:
        index, letter = divmod(index - 1, 26)
        name = chr(ord("a") + letter) + name
    return name
