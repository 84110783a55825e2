"""How long an epoch of a cell takes: from a few of its steps, and from ranking a few users, before it is trained."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.runs.runner import Task
    from datasets.split import Split

USERS = 200  # so many are ranked


@dataclass(frozen=True)
class Pace:
    """Seconds of one epoch: training, and ranking the validation users after it."""

    training: float
    ranking: float

    @property
    def epoch(self) -> float:
        """Both."""
        return self.training + self.ranking


def measure(task: Task, split: Split) -> Pace:
    """The pace of a cell with sampler and loss, by the beginning of an epoch that is thrown away."""
    import numpy as np

    from bench.runs.runner import fitted
    from bench.runs.stopwatch import Stopwatch
    from recmodels.trainer import some_users

    settings = task.spec.cell.settings
    few = some_users(split.valid, USERS)
    ranked: list[float] = []
    done = fitted(
        task,
        split.train,
        few,
        split.negatives,
        lambda *_: ranked.append(time.perf_counter()),
        stop_at=1,
        observing=Stopwatch,
    )
    watch, batch, limit = done.observer, settings["batch_size"], settings["valid_users"]
    assert isinstance(watch, Stopwatch)
    assert isinstance(batch, int)
    assert isinstance(limit, int)
    users, sampled = (len(np.unique(part.users)) for part in (split.valid, few))
    ranking = (ranked[0] - watch.ended) * min(users, limit) / max(1, sampled)
    return Pace(watch.before + watch.step * math.ceil(len(split.train) / batch), ranking)
