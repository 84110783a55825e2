"""`bench run`: the same as `bench compare`, for a grid or an experiment file."""

from dataclasses import dataclass
from typing import ClassVar

from bench.cli.compare import Compare


@dataclass(frozen=True, kw_only=True)
class Run(Compare):
    """Run a cell, a grid or an experiment file: the lists of --sampler, --loss and --model multiply."""

    examples: ClassVar[tuple[str, ...]] = (
        "bench run --sampler uniform --sampler dns --loss bpr --loss bce",
        "bench run experiments/first-look.toml --dry-run",
    )
