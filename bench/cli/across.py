"""`bench across`: the same cells on several data sets."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from math import inf
from pathlib import Path
from sys import argv
from typing import TYPE_CHECKING, Annotated, ClassVar

from bench.cli.completing import Completing
from bench.cli.option import SIGNIFICANCE, option
from bench.cli.outcome import outcome
from bench.cli.shown import Captioned, Tested, told
from datasets.errors import UserError

if TYPE_CHECKING:
    from bench.comparison.nouns import Comparison
    from bench.runs.design import Experiment

OF_TABLES = ("names", "metric", "correction", "alpha", "alternative", "baseline", "margin")
OF_TEXT = ("caption", "figures", "format", "out")
"""What may be asked of published tables: how they are compared, and what is printed."""


@dataclass(frozen=True, kw_only=True)
class Across(Captioned, Tested, Completing):
    """The same cells on several data sets: ranks, tests over data sets, an aggregate.

    Folders of published tables in place of cells are compared by the rows that all of them have; nothing is trained.
    """

    margin: Annotated[
        float, option("--margin", SIGNIFICANCE, "largest difference that does not matter (Bayesian test)", min=0)
    ] = 0.0

    examples: ClassVar[tuple[str, ...]] = (
        "bench across uniform popularity inbatch --dataset ml-100k --dataset ml-1m",
        "bench across experiments/mine.toml --baseline uniform --format latex",
    )

    @property
    def tables(self) -> list[Path]:
        """The published tables that are named in place of cells.

        Raises:
            UserError: cells are named too, or an option that is of cells alone.
        """
        names = self.names or []
        found = [name for name in names if _is_table(name)]
        if not found:
            return []
        if others := [name for name in names if name not in found]:
            raise UserError(f"{found[0]} is a published table and '{others[0]}' is none; name tables alone, or cells.")
        for field in fields(self):
            if field.name not in OF_TABLES + OF_TEXT and getattr(self, field.name) != field.default:
                word = {"settings": "set", "beside": "with"}.get(field.name, field.name.replace("_", "-"))
                raise UserError(f"--{word} is of cells, and a published table has what it has; leave it out.")
        return [Path(name) for name in found]

    def checked(self) -> "list[Experiment]":
        """The experiments, once fewer than two data sets and what could not be printed are refused too."""
        if len(self.datasets) < 2:
            raise UserError("bench across needs at least two data sets; repeat --dataset, or list them in a file.")
        self.check_caption()
        self._check_margin()
        found = super().checked()
        names = [experiment.data.name for experiment in found]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise UserError(f"Two data sets are called {twice}; give each once, under a name of its own.")
        return found

    def run(self) -> int:
        """Run what each data set lacks, and print what their comparisons say together."""
        if tables := self.tables:
            self._print(*self._published(tables))
            return 0
        experiments = self.checked()
        if self.dry_run:
            return self.plan(experiments)
        for experiment in experiments:
            self.train(experiment, self.metrics(self.cutoffs))
        self._print([self.compared(experiment) for experiment in experiments])
        return outcome(experiments)

    def _published(self, tables: list[Path]) -> "tuple[list[Comparison], list[str]]":
        """The comparisons of published tables and how the tables differ, once what could not be printed is refused."""
        from bench.results.together import comparisons
        from bench.runs.provenance import command_line

        self.check_caption()
        self._check_margin()
        self.metrics(self.cutoffs)
        return comparisons(
            tables,
            metric=self.metric,
            correction=self.correction,
            alpha=self.alpha,
            alternative=self.side,
            baseline=self.baseline,
            command=command_line(argv[1:]),
        )

    def _check_margin(self) -> None:
        if self.margin == inf:
            raise UserError("--margin inf calls all rows equivalent; give the largest difference that does not matter.")

    def _print(self, comparisons: "list[Comparison]", differ: Sequence[str] = ()) -> None:
        """What the comparisons say together and how they differ, and its figures."""
        from bench.comparison.across import across
        from bench.tables.render import render_across

        together = across(comparisons, self.margin)
        together = replace(together, warnings=(*differ, *together.warnings))
        full = self.caption == "full"
        self.emit(render_across(together, self.form, color=self.color, full=full, width=self.width))
        if self.figures is not None:
            from bench.tables.gallery import draw_across

            told(*draw_across(together, self.figures))


def _is_table(name: str) -> bool:
    """Whether a name is the folder of a published table, or the table.json in it, and no cell."""
    path = Path(name)
    return path.name == "table.json" or (path.is_dir() and ("/" in name or (path / "manifest.json").exists()))
