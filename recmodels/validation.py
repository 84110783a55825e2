"""Validation: whom it ranks, by which metric, and from which epoch patience counts."""

from __future__ import annotations

import math

import numpy as np

from datasets import Interactions
from recmodels.evaluation import FullRanking
from recmodels.metrics import known_metric, user_metrics
from recmodels.sampling import Sampler
from recmodels.seeds import generator
from recmodels.settings import Settings
from recmodels.types import Scores, Tables


def some_users(held_out: Interactions, limit: int) -> Interactions:
    """All that is held out of so many users at most, a sample that depends on nothing but who there are."""
    users = np.unique(held_out.users)
    if len(users) <= limit:
        return held_out
    chosen = generator(0, "validation").choice(users, limit, replace=False)
    return held_out.take(np.isin(held_out.users, chosen))


def settled(sampler: Sampler, settings: Settings) -> int:
    """The epoch from which nothing follows a schedule any more, from where patience counts."""
    share = sampler.settles if settings.schedule == "constant" else 1.0
    return math.ceil(round(settings.epochs * share, 6))  # 100 · 0.07 is more than 7


def validate(ranking: FullRanking, tables: Tables | Scores, metric: str) -> float:
    """The mean of a metric such as `ndcg@10` over the users of a ranking; NaN where it has none."""
    if not len(ranking.users):
        return math.nan
    _, values = user_metrics(ranking.ranks(tables), [known_metric(metric)[1]])
    return float(values[metric].mean())
