"""`bench table`: the comparison from the store alone."""

from dataclasses import dataclass
from typing import ClassVar

from bench.cli.outcome import outcome
from bench.cli.shown import Shown


@dataclass(frozen=True, kw_only=True)
class Table(Shown):
    """Print the same comparison from the store alone; trains nothing."""

    examples: ClassVar[tuple[str, ...]] = (
        "bench table uniform popularity inbatch --loss softmax --view pairs",
        "bench table experiments/first-look.toml --format latex",
    )

    def run(self) -> int:
        """Print one table per data set."""
        experiments = self.checked()
        for experiment in experiments:
            self.show(experiment)
        return outcome(experiments)
