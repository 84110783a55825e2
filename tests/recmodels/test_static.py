"""Samplers whose law is fixed before training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from datasets import Interactions
from recmodels.sampling import Training
from recmodels.types import Batch
from tests.sampler_cases import (
    N_ITEMS,
    make,
    scorer,
)

LAST = N_ITEMS - 1


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("uniform", {}),
        ("uniform", {"reject": False}),
        ("popularity", {"alpha": 1.0}),
        ("popularity", {}),
        ("popularity", {"alpha": -0.5}),
        ("popularity", {"reject": False}),
        ("log-uniform", {}),
        ("inbatch", {}),
        ("mixed", {}),
    ],
)
@pytest.mark.parametrize("count", [1, 30])
def test_the_last_item_has_its_own_probability(name: str, parameters: dict[str, Any], count: int) -> None:
    """RecStudio sets the last item's probability, and not the last cumulated one, to 1: its log q is 0."""
    users = np.concatenate([np.arange(60) % 40, 41 + np.arange(count)]).astype(np.int32)
    items = np.concatenate([np.arange(60) % LAST, np.full(count, LAST)]).astype(np.int32)
    data = Training(Interactions(users, items, 80, N_ITEMS))
    counts = np.bincount(items, minlength=N_ITEMS).astype(float)
    by_rank = np.empty(N_ITEMS)
    by_rank[np.argsort(-counts, kind="stable")] = np.diff(np.log(np.arange(1, N_ITEMS + 2))) / math.log(N_ITEMS + 1)
    weights = {
        "uniform": np.ones(N_ITEMS),
        "popularity": counts ** parameters.get("alpha", 0.75),
        "log-uniform": by_rank,
        "inbatch": counts,
        "mixed": counts / counts.sum() + 1 / N_ITEMS,
    }[name]
    user = 3
    sampler, model = make(name, data, **parameters), scorer()
    law = sampler.proposal.log_prob(torch.tensor([user]), torch.arange(N_ITEMS), model).double().exp()
    law = law.expand(1, N_ITEMS)[0].numpy()
    if sampler.proposal.reject:
        weights = np.where(np.isin(np.arange(N_ITEMS), items[users == user]), 0, weights)
        law = np.where(weights > 0, law, 0)
    assert law[LAST] == pytest.approx(weights[LAST] / weights.sum(), rel=1e-5)
    assert law.sum() == pytest.approx(1, abs=1e-5)
    if name in ("inbatch", "mixed"):
        return
    batch = Batch(torch.full((1000,), user), torch.zeros(1000, dtype=torch.int64))
    drawn = sampler.propose(batch, 100, np.random.default_rng(2), model).items
    share = law[LAST]
    assert abs(float((drawn == LAST).double().mean()) - share) < 5 * math.sqrt(share * (1 - share) / 1e5)
