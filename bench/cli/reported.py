"""The options of a command whose runs come into a table: where their settings come from, and which metric it shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from bench.cli.option import CELLS, SIGNIFICANCE, option
from bench.cli.request import Request
from datasets.errors import UserError

if TYPE_CHECKING:
    from bench.runs.design import Experiment
    from bench.tuning.tuned import Tuned
    from recmodels.recommended import Advise


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class Reported(Request):
    """A request whose runs are reported: with which settings where none were given, and by which metric."""

    recommended: Annotated[
        bool,
        option("--recommended", CELLS, "settings that each row's methods recommend (bench list NAME), not defaults"),
    ] = False
    tuned: Annotated[
        bool, option("--tuned", CELLS, "settings of results/<data set>/tuned.toml, found by equal search", more=True)
    ] = False
    tuned_from: Annotated[
        str | None, option("--tuned-from", CELLS, "settings of a file that bench tune wrote", more=True)
    ] = None
    refit: Annotated[
        bool,
        option("--refit", CELLS, "train again on train and validation, for the chosen epochs, then test", more=True),
    ] = False

    metric: Annotated[str, option("--metric", SIGNIFICANCE, "metric the table is about")] = "ndcg@10"
    expect_sampled: Annotated[
        int | None,
        option(
            "--expect-sampled",
            SIGNIFICANCE,
            "metrics as expected over N sampled candidates, exactly, from full ranks",
            more=True,
            min=1,
        ),
    ] = None

    def metrics(self, cutoffs: Sequence[int]) -> list[int]:
        """The cut-offs with that of the metric the table is about.

        Raises:
            UserError: no such metric.
        """
        from recmodels.metrics import known_metric

        return sorted({*cutoffs, known_metric(self.metric, list(cutoffs))[1]})

    def experiment(self, dataset: str) -> "Experiment":
        """The experiment on one data set, for which tuned settings must have been found."""
        experiment = self._design(
            dataset, expect_sampled=self.expect_sampled, refit=self.refit, advise=self.advise(dataset)
        )
        if (tuned := self.tuned_settings(dataset)) is not None:
            tuned.check(experiment)
        return experiment

    def tuned_settings(self, dataset: str) -> "Tuned | None":
        """The file of tuned settings that rows take theirs from.

        Raises:
            UserError: it cannot be read, or other settings are asked for too.
        """
        if self.tuned_from is None and not self.tuned:
            return None
        if self.recommended or (self.tuned and self.tuned_from is not None):
            raise UserError("--tuned, --tuned-from and --recommended each say where settings come from; give one.")
        from pathlib import Path

        from bench import ROOT
        from bench.tuning.tuned import read

        name = Path(dataset).name
        return read(Path(self.tuned_from) if self.tuned_from else ROOT / "results" / name / "tuned.toml")

    def advise(self, dataset: str) -> "Advise | None":
        """Where settings that nobody gave come from; None for the defaults."""
        from recmodels.recommended import recommended

        tuned = self.tuned_settings(dataset)
        return tuned.advice if tuned is not None else recommended if self.recommended else None
