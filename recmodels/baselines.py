"""Baselines: models that need no sampler and no loss. To add one, write a function here that returns `Tables`."""

from __future__ import annotations

import torch

from recmodels.models import BASELINES
from recmodels.sampling import Training
from recmodels.types import Tables


@BASELINES.register("toppop", paper="Cremonesi, Koren, Turrin, RecSys 2010")
def toppop(training: Training) -> Tables:
    """Every user gets the items with most training interactions."""
    counts = torch.from_numpy(training.counts).double()
    return Tables(torch.zeros(training.n_users, 0).double(), torch.zeros(training.n_items, 0).double(), counts)


@BASELINES.register("constant", paper="none: a check of the evaluation")
def constant(training: Training) -> Tables:
    """Every item scores the same, so that every metric is what chance gives."""
    return Tables(torch.zeros(training.n_users, 0), torch.zeros(training.n_items, 0), torch.zeros(training.n_items))
