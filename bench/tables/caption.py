"""What a table rests on, in words: data, protocol, users, seeds, test, settings and runs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from bench.comparison import Comparison
from bench.tables.layout import SIGNS
from datasets.protocol import Protocol


def caption(c: Comparison, users: int | None = None) -> str:
    """Data set, protocol, users, seeds, test, correction with its family, level, facts and data hash.

    `users` is their number where the table holds more than this comparison.
    """
    family = {
        "none": "no correction",
        **{k: f"{k} over the {_family(c)} pairs of each metric" for k in ("holm", "bonferroni", "bh", "by")},
    }[c.correction]
    context = c.context
    parts = [
        ": ".join(filter(None, (context.dataset, _words(_told(context.protocol))))),
        f"{users or c.users} test users, {_seeds(c.seeds)}",
        _words(context.facts),
        f"{c.test} test{_side(c)}, {family}, α = {c.alpha:g}" + (f", against {c.baseline}" if c.baseline else ""),
        _data(c),
    ]
    return ". ".join(part[0].upper() + part[1:] for part in parts[1:] if part).join((f"{parts[0]}. ", "."))


def _side(c: Comparison) -> str:
    if c.alternative not in SIGNS:
        return ""
    a, b = ("a", "b of every pair") if c.baseline is None else ("row", c.baseline)
    return f" (one-sided, {c.alternative}: {a} {SIGNS[c.alternative]} {b})"


def runs_line(comparisons: Sequence[Comparison]) -> str:
    """How many runs stand behind a table, the first and last id, and the sha256 of all ids in order, one a line."""
    runs = [run for c in comparisons for row in c.rows for run in row.runs]
    if not runs:
        return ""
    digest = hashlib.sha256("\n".join(runs).encode()).hexdigest()[:12]
    return f"Runs: {len(runs)}, {runs[0]} … {runs[-1]}, list sha256 {digest}."


def _told(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """The protocol without what is as usual, but always the split and what is ranked."""
    usual = Protocol().as_dict()
    return {k: v for k, v in protocol.items() if k in ("split", "candidates") or k not in usual or v != usual[k]}


def _words(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in facts.items())


def _family(c: Comparison) -> int:
    return sum(pair.metric == c.metric for pair in c.pairs)


def _seeds(seeds: Sequence[int]) -> str:
    if len(seeds) < 2:
        return f"{len(seeds)} seed"
    run = list(seeds) == list(range(seeds[0], seeds[-1] + 1))
    return f"{len(seeds)} seeds ({f'{seeds[0]}–{seeds[-1]}' if run else ', '.join(map(str, seeds))})"


def _data(c: Comparison) -> str:
    data = c.context.data
    sha, source = data.get("sha256"), data.get("source")
    state = {True: "verified", False: "UNVERIFIED"}.get(data.get("verified"), "")  # type: ignore[arg-type]
    words = (f"sha256 {str(sha)[:12]}" if sha else "", state, f"from {source}" if source else "")
    return "Data " + ", ".join(word for word in words if word) if any(words) else ""
