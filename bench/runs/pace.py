"""How long a cell takes: from a few of its steps, and from ranking a few users, before it is trained."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.runs.runner import Task
    from datasets.split import Split

USERS = 200  # so many are ranked


@dataclass(frozen=True)
class Pace:
    """Seconds of one epoch, or of fitting a baseline: training, and ranking the validation users after it."""

    training: float
    ranking: float

    @property
    def epoch(self) -> float:
        """Both."""
        return self.training + self.ranking


def pace_of(task: Task) -> Pace | str:
    """The pace of a cell, or a clause on what its first steps met; the split is opened for it."""
    from bench.runs.runner import open_split, reason, settle

    try:
        settle(task.threads)
        return measure(task, open_split(task.spec.data, task.protocol, task.consent))
    except Exception as error:  # whatever a cell does wrong is told of that cell
        return f"its first steps fail: {reason(error)}"


def measure(task: Task, split: Split) -> Pace:
    """The pace of a cell by the beginning of an epoch that is thrown away; a baseline is fitted whole."""
    import numpy as np

    from bench.runs.runner import fitted
    from bench.runs.stopwatch import Stopwatch
    from recmodels.settings import setting_parameters
    from recmodels.trainer import some_users

    few = some_users(split.valid, USERS)
    users, sampled = (len(np.unique(part.users)) for part in (split.valid, few))
    if task.spec.cell.is_baseline:
        began, limit = time.perf_counter(), setting_parameters()["valid_users"].default
        assert isinstance(limit, int)
        fit = fitted(task, replace(split, valid=few), lambda *_: None)
        ranking = time.perf_counter() - began - fit.seconds
        return Pace(fit.seconds, ranking * min(users, limit) / max(1, sampled))
    settings = task.spec.cell.settings
    ranked: list[float] = []
    done = fitted(
        task,
        replace(split, valid=few),
        lambda *_: ranked.append(time.perf_counter()),
        stop_at=1,
        observing=Stopwatch,
    )
    watch, batch, limit = done.observer, settings["batch_size"], settings["valid_users"]
    assert isinstance(watch, Stopwatch)
    assert isinstance(batch, int)
    assert isinstance(limit, int)
    ranking = (ranked[0] - watch.ended) * min(users, limit) / max(1, sampled)
    return Pace(watch.before + watch.step * math.ceil(watch.training.rows / batch), ranking)
