"""The same list for every user: what most interact with, ever or of late."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray

from datasets.errors import UserError
from recmodels.models import BASELINES
from recmodels.sampling import Training
from recmodels.search import Search
from recmodels.types import Tables

DAY = 86_400  # seconds


@BASELINES.register("toppop", paper="Cremonesi, Koren, Turrin, RecSys 2010")
def toppop(training: Training) -> Tables:
    """Every user gets the items with most training interactions."""
    return _for_everyone(training, training.counts.astype(np.float64))


@BASELINES.register("recency", paper="Ji, Sun, Zhang, Li, SIGIR 2020")
def recency(training: Training, *, half_life: Annotated[float, "> 0", Search(1, 1000, log=True)] = 30.0) -> Tables:
    """Every user gets the items that are popular of late: an interaction counts half as much after each `half_life`.

    s_i = Σ over the training interactions of i of 2^(-(T - t) / half_life), t being when, and T the last t in train.
    A very long half-life gives the order of `toppop`. The paper shows what popularity gains when it is counted near the
    time of the ranking; the half-life is ours.

    Args:
        training: the training interactions, with their times.
        half_life: in days.

    Raises:
        UserError: the interactions have no times.
    """
    times = training.interactions.times
    if times is None:
        raise UserError("recency needs the time of each interaction, which these data do not have; use toppop.")
    age = (times.max() - times) / DAY
    recent = np.bincount(training.interactions.items, np.exp2(-age / half_life), minlength=training.n_items)
    return _for_everyone(training, recent.astype(np.float64))


def _for_everyone(training: Training, scores: NDArray[np.float64]) -> Tables:
    """The item scores (I,) as those of each user."""
    users, items = (torch.zeros(n, 0, dtype=torch.float64) for n in (training.n_users, training.n_items))
    return Tables(users, items, torch.from_numpy(scores))
