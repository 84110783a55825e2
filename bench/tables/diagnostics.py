"""What the samplers drew, how hard it was, and what a row cost: one grid per subject."""

from __future__ import annotations

import math
from collections.abc import Callable

from bench.comparison.nouns import Comparison, Row
from bench.tables.layout import Cell, Grid, number

EPOCHS = ("_first", "_last")  # the same quantity at the ends of training
SUBJECTS = {
    "Which items were drawn": (3, ("popularity", "coverage", "effective_items", "duplicates", "invalid")),
    "How far from the truth, and from the sampler's law": (
        4,
        ("false_negatives", "false_negatives_uniform", "kl_to_law", "kl_by_chance"),
    ),
    "How hard they were": (2, ("hardness", "score_gap", "zero_gradient")),
}
"""Title → decimals and what stands under it."""
LABELS = {"false_negatives_uniform": "of uniform", "kl_to_law": "KL to law", "kl_by_chance": "KL by chance"}
COST = ("draws_per_second", "sampling_share", "diagnostics_share")
"""Wall-clock facts, with seconds and memory: another day measures others."""


def diagnostics_view(c: Comparison) -> tuple[Grid, ...]:
    """Per subject one line per row; a quantity with its first and last epoch is one column.

    What no row has is left out; what no subject names stands in a grid of its own, so that nothing is hidden.
    """
    found = dict.fromkeys(key for row in c.rows for key in row.diagnostics)
    named = {*COST, *(key for _, keys in SUBJECTS.values() for key in keys)}
    named |= {key + end for key in named for end in EPOCHS}
    subjects = {**SUBJECTS, "Further": (4, tuple(key for key in found if key not in named))}
    grids = [
        _grid(c, title, [key for key in keys if key in found], digits)
        for title, (digits, keys) in subjects.items()
        if any(key in found for key in keys)
    ]
    return (*grids, _cost(c, [key for key in COST if key in found]))


def _grid(c: Comparison, title: str, keys: list[str], digits: int) -> Grid:
    body = tuple((Cell(row.name), *(Cell(_over_epochs(row, key, digits)) for key in keys)) for row in c.rows)
    return Grid(("", *(LABELS.get(key, key.replace("_", " ")) for key in keys)), body, title=title)


def _over_epochs(row: Row, key: str, digits: int) -> str:
    """The mean, and in brackets the first and the last epoch where they were kept."""
    ends = [row.diagnostics.get(key + end) for end in EPOCHS]
    mean = number(row.diagnostics.get(key), digits)
    return mean if None in ends else f"{mean} ({number(ends[0], digits)} → {number(ends[1], digits)})"


def _cost(c: Comparison, keys: list[str]) -> Grid:
    columns: dict[str, Callable[[Row], str]] = {
        "epochs": lambda row: number(row.epochs, 0),
        "seconds": lambda row: number(row.train_seconds, 1),
        "peak MB": lambda row: number(None if row.peak_bytes is None else row.peak_bytes / 1e6, 0),
    }
    if "draws_per_second" in keys:
        columns["Mdraws/s"] = lambda row: number(row.diagnostics.get("draws_per_second", math.nan) / 1e6, 1)
    if "sampling_share" in keys:
        columns["sampling %"] = lambda row: number(100 * row.diagnostics.get("sampling_share", math.nan), 0)
    if "diagnostics_share" in keys:
        columns["observing %"] = lambda row: number(100 * row.diagnostics.get("diagnostics_share", math.nan), 0)
    body = tuple((Cell(row.name), *(Cell(shown(row)) for shown in columns.values())) for row in c.rows)
    timed = tuple(range(2, len(columns) + 1))
    return Grid(("", *columns), body, title="Cost of a run", timed=timed)
