"""`bench across`: the same cells on several data sets."""

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Annotated, ClassVar

from bench.cli.completing import Completing
from bench.cli.option import SIGNIFICANCE, option
from bench.cli.outcome import outcome
from bench.cli.shown import Captioned, Tested, told
from datasets.errors import UserError

if TYPE_CHECKING:
    from bench.runs.design import Experiment


@dataclass(frozen=True, kw_only=True)
class Across(Captioned, Tested, Completing):
    """The same cells on several data sets: ranks, tests over data sets, an aggregate."""

    margin: Annotated[
        float, option("--margin", SIGNIFICANCE, "largest difference that does not matter (Bayesian test)", min=0)
    ] = 0.0

    examples: ClassVar[tuple[str, ...]] = (
        "bench across uniform popularity inbatch --dataset ml-100k --dataset ml-1m",
        "bench across experiments/mine.toml --baseline uniform --format latex",
    )

    def checked(self) -> "list[Experiment]":
        """The experiments, once fewer than two data sets and what could not be printed are refused too."""
        if len(self.datasets) < 2:
            raise UserError("bench across needs at least two data sets; repeat --dataset, or list them in a file.")
        self.check_caption()
        if self.margin == inf:
            raise UserError("--margin inf calls all rows equivalent; give the largest difference that does not matter.")
        found = super().checked()
        names = [experiment.data.name for experiment in found]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise UserError(f"Two data sets are called {twice}; give each once, under a name of its own.")
        return found

    def run(self) -> int:
        """Run what each data set lacks, and print what their comparisons say together."""
        experiments = self.checked()
        if self.dry_run:
            return self.plan(experiments)
        for experiment in experiments:
            self.train(experiment, self.metrics(self.cutoffs))
        from bench.comparison.across import across
        from bench.tables.render import render_across

        together = across([self.compared(experiment) for experiment in experiments], self.margin)
        full = self.caption == "full"
        self.emit(render_across(together, self.form, color=self.color, full=full, width=self.width))
        if self.figures is not None:
            from bench.tables.gallery import draw_across

            told(*draw_across(together, self.figures))
        return outcome(experiments)
