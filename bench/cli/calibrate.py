"""`bench calibrate`: what the tests say of runs among which there is nothing to find."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from bench.cli.completing import Completing
from bench.cli.option import SIGNIFICANCE, option
from bench.cli.outcome import outcome
from bench.cli.output import Output
from datasets.errors import UserError

if TYPE_CHECKING:
    from bench.comparison.nouns import Row
    from bench.runs.design import Experiment


@dataclass(frozen=True, kw_only=True)
class Calibrate(Output, Completing):
    """How often each test calls a cell different from itself, over disjoint sets of its own seeds."""

    side: Annotated[int, option("--side", SIGNIFICANCE, "seeds on each side of an A/A comparison", min=2)] = 5
    splits: Annotated[int, option("--splits", SIGNIFICANCE, "A/A comparisons drawn from the runs", min=1)] = 1000

    examples: ClassVar[tuple[str, ...]] = (
        "bench calibrate uniform --seeds 40",
        "bench calibrate inbatch+softmax --seeds 60 --side 3 --metric hr@20",
    )

    def run(self) -> int:
        """Train the seeds that are missing, and compare them with each other."""
        experiments = self.checked()
        if self.dry_run:
            return self.plan(experiments)
        for experiment in experiments:
            self.train(experiment)
            if outcome([experiment]):
                return 1
            self.emit(self._table(experiment, whole_rows(experiment, self.metric)[0]))
        return 0

    def checked(self) -> "list[Experiment]":
        """The experiments, once several cells and too few seeds are refused too."""
        self.metrics(())
        self.check_out(len(self.datasets))
        if self.out is not None and self.out.suffix not in ("", ".txt"):
            raise UserError(f"bench calibrate writes a text and not {self.out.suffix}; end --out {self.out} in .txt.")
        found = super().checked()
        for experiment in found:
            if len(experiment.cells) != 1:
                raise UserError("bench calibrate takes one cell, which it compares with itself; name one.")
            if len(experiment.seeds) < 2 * self.side:
                raise UserError(
                    f"{len(experiment.seeds)} seeds do not make two sets of --side {self.side}; give --seeds "
                    f"{2 * self.side} or more, better 40."
                )
        return found

    def _table(self, experiment: "Experiment", row: "Row") -> str:
        """False-positive rates of the tests over A/A comparisons of the runs of one cell."""
        from tabulate import tabulate

        from bench.statistics.calibrate import same_against_same
        from bench.statistics.expected import LEAST_SEEDS

        values = row.metrics[self.metric]
        table = [
            (x.test, f"{x.alpha:.0%}", f"{x.rate:.1%}", f"{x.lo:.1%} to {x.hi:.1%}", x.without_p)
            for x in same_against_same(values, self.side, splits=self.splits)
        ]
        text = tabulate(table, headers=["test", "α", "rejected", "95% interval", "without p"])
        refused = [test for test, least in LEAST_SEEDS.items() if self.side < least]
        last = f"\nA table with {self.side} seeds refuses {' and '.join(refused)}." if refused else ""
        return (
            f"{text}\n\n{experiment.data.name}, {row.name}, {self.metric}: {self.splits} comparisons of {self.side} "
            f"with {self.side} seeds out of {len(values)}, {values.shape[1]} users.\nThere is nothing to find, so a "
            "test at level α should reject at most a share α. Comparisons share runs; the interval\n"
            f"allows for that. crossed-pooled takes the other rows of its table from the same runs.{last}"
        )


def whole_rows(experiment: "Experiment", metric: str) -> "list[Row]":
    """The rows of an experiment of which no run failed."""
    from bench.comparison.names import short_names
    from bench.comparison.rows import rows

    return rows(short_names(experiment), [int(metric.partition("@")[2])])[0]
