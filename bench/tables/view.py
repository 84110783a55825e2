"""`View`: one way to show a comparison, with all that belongs to it; `VIEWS` are those there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.comparison.nouns import Comparison
from bench.tables import data, notes
from bench.tables.diagnostics import diagnostics_view
from bench.tables.layout import Grid
from bench.tables.pairs import pairs_view
from bench.tables.rows import letters_view, rows_view
from bench.tables.views import effects_view, equivalence_view, matrix_view


@dataclass(frozen=True)
class View:
    """One way to show a comparison.

    Attributes:
        grids: what it shows.
        lines: the same numbers in full, for CSV: a line per row, pair or sampler.
        foot: what its marks mean, in the one line below a terminal's table.
        notes: what its marks and intervals mean, in full; the second argument is whether bold and underline can be
            seen.
    """

    grids: Callable[[Comparison], tuple[Grid, ...]]
    lines: Callable[[Comparison], list[dict[str, Any]]]
    foot: Callable[[Comparison], str]
    notes: Callable[[Comparison, bool], list[str]]


VIEWS = {
    "rows": View(rows_view, data.row_lines, notes.stars, notes.of_rows),
    "letters": View(letters_view, data.row_lines, notes.letters_foot, notes.of_letters),
    "pairs": View(pairs_view, data.pair_lines, notes.stars, notes.of_pairs),
    "matrix": View(matrix_view, data.matrix_lines, notes.matrix_foot, notes.of_matrix),
    "effects": View(effects_view, data.effect_lines, notes.effects_foot, notes.of_effects),
    "equivalence": View(equivalence_view, data.equivalence_lines, notes.equivalence_foot, notes.of_equivalence),
    "diagnostics": View(diagnostics_view, data.diagnostic_lines, notes.diagnostics_foot, notes.of_diagnostics),
}
