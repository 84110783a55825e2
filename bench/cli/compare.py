"""`bench compare`: run what the store lacks of some cells, and print the table."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from bench.cli.completing import Completing
from bench.cli.option import RUNNING, option
from bench.cli.outcome import outcome
from bench.cli.shown import Shown
from datasets.errors import UserError

if TYPE_CHECKING:
    from bench.comparison.nouns import Comparison
    from bench.runs.design import Experiment


@dataclass(frozen=True, kw_only=True)
class Compare(Shown, Completing):
    """Run what the store lacks of these cells and print the table with significance."""

    profile: Annotated[
        bool,
        option(
            "--profile",
            RUNNING,
            "train one seed of each cell here, print where its time goes, store nothing",
            more=True,
        ),
    ] = False

    examples: ClassVar[tuple[str, ...]] = (
        "bench compare uniform popularity inbatch --loss softmax",
        "bench compare uniform dns:pool=32 toppop --dataset my-ratings.csv --seeds 10 --out table.tex",
    )

    @property
    def stores(self) -> bool:
        """Not where runs are only profiled."""
        return super().stores and not self.profile

    def run(self) -> int:
        """Train and print, one data set after the other."""
        experiments = self.checked()
        if self.dry_run:
            return self.plan(experiments)
        if self.profile:
            for experiment in experiments:
                self._profile(experiment)
            return 0
        for experiment in experiments:
            self.train(experiment, self.metrics(self.cutoffs))
            self.show(experiment)
        return outcome(experiments)

    def comparison(self) -> "Comparison":
        """Train what the store lacks, and compare the rows; what `bench.compare` gives."""
        (experiment,) = self.checked()
        self.train(experiment, self.metrics(self.cutoffs))
        return self.compared(experiment, self.margin)

    def _profile(self, experiment: "Experiment") -> None:
        """Train the first seed of every cell in this process; the store is neither read nor written."""
        if self.cluster is not None or self.device != "cpu":
            raise UserError("--profile measures a processor of this machine; leave --cluster and --device out.")
        if self.form not in ("table", "json"):
            raise UserError(f"--profile prints a table or json, not {self.form}.")
        from bench.comparison.names import short_names
        from bench.runs.profile import profile_runs, render

        split = self.opened(experiment.data, experiment.protocol)
        specs = [experiment.spec(cell, experiment.seeds[0]) for cell in short_names(experiment).cells]
        self.emit(render(profile_runs(self.tasks(experiment, specs), split), self.form))
