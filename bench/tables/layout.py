"""What a table shows, before any format: cells and notes of one comparison."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from bench.comparison.nouns import Comparison, Pair

DIGITS = 4
SIGNS = {"greater": ">", "less": "<"}


@dataclass(frozen=True)
class Cell:
    """One cell: text, its spread (± half an interval, or the ends), the mark above the line, and how it is set."""

    text: str
    spread: str = ""
    mark: str = ""
    bold: bool = False
    underline: bool = False


@dataclass(frozen=True)
class Grid:
    """A header and rows of cells.

    Attributes:
        header: one word per column.
        rows: one cell per column each.
        left: the first columns, which hold words; the others hold numbers.
        words: further columns of words.
        title: a line above.
        optional: columns that a narrow page does without, the first to go first.
        timed: columns of what another day measures otherwise; documents do without.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    left: int = 1
    words: tuple[int, ...] = ()
    title: str = ""
    optional: tuple[int, ...] = ()
    timed: tuple[int, ...] = ()


@dataclass(frozen=True)
class Sheet:
    """Grids from top to bottom with what is said around them.

    Attributes:
        grids: from top to bottom.
        caption: what the table rests on, in full.
        notes: what its marks mean, in full.
        warnings: what was skipped, failed or must be known, whatever the caption.
        title: the table in a few words.
        label: its name in a document, letters and digits.
        head: one line above a terminal's table.
        foot: at most three lines below it.
    """

    grids: tuple[Grid, ...]
    caption: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    title: str = ""
    label: str = ""
    head: str = ""
    foot: tuple[str, ...] = ()


def without(grid: Grid, columns: Collection[int]) -> Grid:
    """The grid without these columns."""
    kept = [j for j in range(len(grid.header)) if j not in columns]
    place = {j: k for k, j in enumerate(kept)}
    return replace(
        grid,
        header=tuple(grid.header[j] for j in kept),
        rows=tuple(tuple(row[j] for j in kept) for row in grid.rows),
        left=sum(j < grid.left for j in kept),
        words=tuple(place[j] for j in grid.words if j in place),
        optional=tuple(place[j] for j in grid.optional if j in place),
        timed=tuple(place[j] for j in grid.timed if j in place),
    )


def left(grid: Grid, column: int) -> bool:
    """Whether a column holds words, which stand to its left; numbers stand to the right."""
    return column < grid.left or column in grid.words


def family(c: Comparison) -> int:
    """Number of pairs of the metric the table is about that the correction is over."""
    return c.family or sum(pair.metric == c.metric and not pair.equal_by_identity for pair in c.pairs)


def joint(c: Comparison) -> bool:
    """Whether the intervals shown hold together: in a family of two pairs or more that is corrected."""
    return c.correction != "none" and family(c) > 1


def ends(c: Comparison, pair: Pair) -> tuple[float | None, float | None]:
    """The interval of a pair that the table shows: over its family where that is corrected, else its own."""
    return (pair.lo_family, pair.hi_family) if joint(c) else (pair.lo, pair.hi)


def interval_name(c: Comparison) -> str:
    """Header of the intervals of differences, with their level; empty where the test has none."""
    if all(pair.lo is None for pair in c.pairs):
        return ""
    return f"[{level_of(c.alpha)}{' simultaneous' if joint(c) else ' each' if family(c) > 1 else ''}]"


def p_name(c: Comparison) -> str:
    """Header of the adjusted p."""
    return f"p{SIGNS.get(c.alternative, '')}{'' if c.correction == 'none' else f' ({c.correction})'}"


def plural(count: int, noun: str) -> str:
    """`1 pair`, `36 pairs`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def cut(lo: float, hi: float, metric: str, least: float) -> tuple[float, float]:
    """The interval within what can be: a metric lies between 0 and 1, a difference between −1 and 1."""
    return (max(lo, least), min(hi, 1.0)) if "@" in metric else (lo, hi)


def interval(lo: float, hi: float, shown: Callable[[float], str]) -> str:
    """Both ends in brackets."""
    return f"[{shown(lo)}, {shown(hi)}]"


def metric_name(metric: str) -> str:
    """`ndcg@10` → `NDCG@10`."""
    return metric.upper() if "@" in metric else metric


def number(value: float | None, digits: int = DIGITS) -> str:
    """Fixed decimals, – where there is no number."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def signed(value: float, digits: int = DIGITS) -> str:
    """Fixed decimals with a sign; what prints as zero has none."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def level_of(alpha: float) -> str:
    """The level 1 − α of an interval in percent, with as many decimals as α needs: 95%, 97.5%, 99.861%."""
    decimals = max(0, 2 - math.floor(math.log10(100 * alpha)))
    return f"{100 - 100 * alpha:.{decimals}f}".rstrip("0").rstrip(".") + "%"


def percent(share: float) -> str:
    """A signed share in percent with two digits: −7.4%, −25%."""
    if not math.isfinite(share):
        return "–"
    return f"{signed(100 * share, 0 if abs(share) >= 0.0995 else 1)}%"


def p_value(p: float | None) -> str:
    """Three decimals, < 0.001 below."""
    return "–" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"
