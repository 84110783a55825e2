"""`bench power`: how many seeds a difference needs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from bench.cli.calibrate import whole_rows
from bench.cli.completing import Completing
from bench.cli.option import SIGNIFICANCE, option
from bench.cli.outcome import outcome
from bench.cli.output import Formatted
from datasets.errors import UserError

if TYPE_CHECKING:
    from bench.runs.design import Experiment


@dataclass(frozen=True, kw_only=True)
class Power(Formatted, Completing):
    """From the runs of two cells: the difference that seeds and users can find, and the seeds one needs."""

    alpha: Annotated[float, option("--alpha", SIGNIFICANCE, "significance level")] = 0.05
    correction: Annotated[
        str, option("--correction", SIGNIFICANCE, "none plans each pair at alpha, all others at alpha over the pairs")
    ] = "holm"
    baseline: Annotated[
        str | None, option("--baseline", SIGNIFICANCE, "plan for every row against this one instead of all pairs")
    ] = None
    difference: Annotated[
        float | None,
        option("--difference", SIGNIFICANCE, "the smallest difference that matters; without it no plan"),
    ] = None
    power: Annotated[float, option("--power", SIGNIFICANCE, "probability of finding it")] = 0.8

    examples: ClassVar[tuple[str, ...]] = (
        "bench power uniform popularity --difference 0.002",
        "bench power uniform popularity inbatch --baseline uniform --power 0.9 --format json",
    )

    def run(self) -> int:
        """Train the pilot's runs that are missing, and plan."""
        from bench.tables.power import render_plan

        experiments = self.checked()
        if self.dry_run:
            return self.plan(experiments)
        for experiment in experiments:
            self.train(experiment)
            if outcome([experiment]):
                return 1
            text = render_plan(
                whole_rows(experiment, self.metric),
                dataset=experiment.data.name,
                metric=self.metric,
                alpha=self.alpha,
                baseline=self._row(experiment),
                correction=self.correction,
                format=self.form,
                difference=self.difference,
                power=self.power,
            )
            self.emit(text)
        return 0

    def checked(self) -> "list[Experiment]":
        """The experiments, once a wish or a format that means nothing and too small a pilot are refused too."""
        from bench.comparison.guards import check_options
        from bench.comparison.names import short_names

        self._check_wish()
        self.metrics(())
        _ = self.form
        self.check_out(len(self.datasets))
        found = super().checked()
        for experiment in found:
            if len(experiment.seeds) < 2:
                raise UserError("bench power sees the noise between seeds; give at least two, as in --seeds 5.")
            if len(experiment.cells) < 2:
                raise UserError("bench power takes at least two cells, whose runs are the pilot; name another.")
            cells, baseline = short_names(experiment).cells, self._row(experiment)
            check_options(
                [cell.name for cell in cells], "crossed", self.correction, self.alpha, "two-sided", baseline, None
            )
        return found

    def _row(self, experiment: "Experiment") -> str | None:
        """The name of the baseline's row."""
        from bench.comparison.names import row_called

        return row_called(experiment, self.baseline, self.settings or ()) if self.baseline is not None else None

    def _check_wish(self) -> None:
        """Refuse a plan that means nothing, before anything is trained for it."""
        if not 0 < self.power < 1:
            raise UserError(f"--power {self.power} is not a probability between 0 and 1; the usual one is 0.8.")
        if self.difference is not None and not self.difference > 0:
            raise UserError(
                f"--difference {self.difference} must be above 0: the smallest that matters to you, e.g. 0.002."
            )
