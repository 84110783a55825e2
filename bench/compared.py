"""What `bench.compare` gives: a `Comparison` that a notebook shows, and that pandas, LaTeX and matplotlib take.

In the examples `found` is what `bench.compare` gave.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from bench.comparison.nouns import Comparison, Pair
from bench.tables.data import pair_lines, row_lines
from bench.tables.render import render
from datasets.errors import unknown

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


class Pairs(tuple[Pair, ...]):
    """The pairs of a comparison; called, they are a frame.

    Example:
        >>> len(found.pairs), found.pairs[0].metric
        (2, 'hr@10')
    """

    lines: list[dict[str, Any]]

    @classmethod
    def of(cls, comparison: Comparison) -> Pairs:
        """Those of a comparison.

        Example:
            >>> Pairs.of(found) == found.pairs
            True
        """
        pairs = cls(comparison.pairs)
        pairs.lines = pair_lines(comparison)
        return pairs

    def __call__(self) -> DataFrame:
        """A line per pair and metric: difference a - b, interval, p, effect size, and what was asked.

        Example:
            >>> found.pairs()[["a", "b", "metric"]].values.tolist()
            [['toppop', 'random', 'hr@10'], ['toppop', 'random', 'ndcg@10']]
        """
        from pandas import DataFrame

        return DataFrame(self.lines)


@dataclass(frozen=True, eq=False, repr=False)
class Compared(Comparison):
    """A comparison with ways to look at it; a notebook shows its table, and so does `print`.

    Example:
        >>> [row.name for row in found.rows]
        ['toppop', 'random']
        >>> "toppop" in str(found), "<table>" in found._repr_html_()
        (True, True)
    """

    pairs: Pairs

    @classmethod
    def of(cls, comparison: Comparison) -> Compared:
        """The same comparison.

        Example:
            >>> Compared.of(found).digest == found.digest
            True
        """
        values = {field.name: getattr(comparison, field.name) for field in fields(comparison)}
        return cls(**values | {"pairs": Pairs.of(comparison)})

    def __repr__(self) -> str:
        """The table of a terminal."""
        return render(self)

    def _repr_html_(self) -> str:
        """The table with caption and notes, for a notebook."""
        return render(self, "html")

    def to_frame(self) -> DataFrame:
        """A line per row of the table, then one per cell that was skipped; numbers in full.

        Example:
            >>> found.to_frame()[["name", "status"]].values.tolist()
            [['toppop', 'ok'], ['random', 'ok']]
        """
        from pandas import DataFrame

        return DataFrame(row_lines(self))

    def to_latex(self, view: str = "rows") -> str:
        """The table for a paper, with booktabs; `view` as in `--view`.

        Example:
            >>> "toprule" in found.to_latex()
            True
        """
        return render(self, "latex", view=view)

    def plot(self, kind: str = "pairs") -> Figure:
        """A figure, which a notebook shows: `pairs` with their intervals, the `matrix` of cells, or accuracy by `cost`.

        Raises:
            UserError: another kind, or one that these rows do not allow.

        Example:
            >>> found.plot().axes[0].get_xlabel().startswith("difference in NDCG@10")
            True
        """
        from bench.tables.figures import accuracy_against_seconds, forest, heat_map

        kinds: dict[str, Callable[[Comparison], Figure]] = {
            "pairs": forest,
            "matrix": heat_map,
            "cost": accuracy_against_seconds,
        }
        if kind not in kinds:
            raise unknown("figure", kind, kinds)
        figure = kinds[kind](self)
        figure._repr_png_ = lambda: _png(figure)  # type: ignore[attr-defined]  # notebooks know those of pyplot alone
        return figure


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110, bbox_inches="tight")
    return out.getvalue()
