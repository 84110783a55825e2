"""Seconds of ranking users among the whole catalogue; `ratio` is to the matrix products of the same chunks alone."""

import numpy as np
import pytest
import torch

from datasets import Interactions
from recmodels.evaluation import CELLS, CHUNK, FullRanking
from recmodels.types import Tables
from tests.benchmarks.reference import CLOCK, SIZE, beside

SHAPES = {"ml-1m": (6040, 3416, 165), "gowalla": (10_000, 41_000, 27)}  # users, items, what each user has in train


def drawn(users, items, per_user, seed):
    """So many distinct items for each user."""
    rng = np.random.default_rng(seed)
    theirs = [np.sort(rng.choice(items, per_user, replace=False)) for _ in range(users)]
    owners = np.repeat(np.arange(users), per_user)
    return Interactions(owners.astype(np.int32), np.concatenate(theirs).astype(np.int32), users, items)


@pytest.mark.benchmark(timer=CLOCK)
@pytest.mark.parametrize("relevant", [1, 7])
@pytest.mark.parametrize("data", SHAPES)
def test_full_ranking(benchmark, data, relevant):
    """All users of ml-1m, and a validation of as many as are ever ranked there, on data of Gowalla's size."""
    n_users, n_items, known = SHAPES[data]
    n_users, n_items = (n_users, n_items) if benchmark.enabled else (n_users // 50, n_items // 10)
    ranking = FullRanking(drawn(n_users, n_items, relevant, seed=1), [drawn(n_users, n_items, known, seed=0)])
    generator = torch.Generator().manual_seed(0)
    users, items = (torch.randn(rows, SIZE, generator=generator) for rows in (n_users, n_items))

    def products():
        for chunk in users.split(min(CHUNK, CELLS // n_items)):
            chunk @ items.T

    beside(benchmark, lambda: ranking.ranks(Tables(users, items)), products, "its matrix products")
