"""Seconds of ranking 6,040 users × 3,416 items; `ratio` is to the matrix products of the same chunks alone."""

import numpy as np
import pytest
import torch

from datasets import Interactions
from recmodels.evaluation import CHUNK, FullRanking
from recmodels.types import Tables
from tests.benchmarks.reference import SIZE, beside


def drawn(users, items, per_user, seed):
    """So many distinct items for each user."""
    keys = np.random.default_rng(seed).random((users, items)).argpartition(per_user, axis=1)[:, :per_user]
    owners = np.repeat(np.arange(users), per_user)
    return Interactions(owners.astype(np.int32), keys.ravel().astype(np.int32), users, items)


@pytest.mark.parametrize("relevant", [1, 10])
def test_full_ranking(benchmark, relevant):
    n_users, n_items = (6040, 3416) if benchmark.enabled else (600, 340)
    known = drawn(n_users, n_items, n_items // 20, seed=0)
    ranking = FullRanking(drawn(n_users, n_items, relevant, seed=1), [known])
    generator = torch.Generator().manual_seed(0)
    users, items = (torch.randn(rows, SIZE, generator=generator) for rows in (n_users, n_items))

    def products():
        for chunk in users.split(CHUNK):
            chunk @ items.T

    beside(benchmark, lambda: ranking.ranks(Tables(users, items)), products)
