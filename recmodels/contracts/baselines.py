"""What every baseline promises."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from datasets import Interactions
from recmodels.contracts import Contract, hold
from recmodels.models import BASELINES
from recmodels.sampling import Training
from recmodels.types import Scores

USERS, ITEMS = 30, 20
WARM_USERS, WARM_ITEMS = 28, 17  # the others have no interaction
TWINS = (3, 4)  # items of the same users
SMALL = {"ials": {"factors": "5"}, "puresvd": {"factors": "5"}}  # of what must be smaller than the data here


def training(seed: int = 0) -> Training:
    """Users and items of uneven counts, some without any, with times."""
    rng = np.random.default_rng(seed)
    has = rng.random((WARM_USERS, WARM_ITEMS)) < rng.uniform(0.1, 0.6, WARM_ITEMS)
    has[:, TWINS[1]] = has[:, TWINS[0]]
    users, items = np.nonzero(has)
    times = rng.integers(0, 10**7, len(users))
    return Training(Interactions(users.astype(np.int32), items.astype(np.int32), USERS, ITEMS, times))


def fitted(name: str, data: Training, seed: int = 0, **parameters: object) -> Scores:
    """The baseline with its defaults, but for these parameters."""
    drawn = [np.random.default_rng(seed)] if BASELINES.entry(name).draws else []
    given = {key: str(value) for key, value in (SMALL.get(name, {}) | parameters).items()}
    model: Scores = BASELINES[name](data, *drawn, **BASELINES.parameters(name, given))
    return model


def it_scores_the_catalogue(name: str) -> None:
    """It scores the catalogue for any users, finite, and the same in every block."""
    model = fitted(name, training())
    whole = model.scores(torch.arange(USERS))
    hold(isinstance(whole, Tensor), f"its scores are a {type(whole).__name__} and must be a tensor")
    hold(whole.shape == (USERS, ITEMS), f"its scores have the shape {tuple(whole.shape)}, not ({USERS}, {ITEMS})")
    hold(torch.isfinite(whole).all(), "its scores are not finite")
    some = torch.tensor([29, 3, 17])
    hold(
        torch.allclose(model.scores(some), whole[some], rtol=1e-9, atol=1e-9), "users score otherwise in another block"
    )


def only_chance_differs(name: str) -> None:
    """The same data give the same bits, and another stream others only where it takes `rng`."""
    users = torch.arange(USERS)
    first, again, other = (fitted(name, training(), seed).scores(users) for seed in (1, 1, 2))
    hold(torch.equal(first, again), "the same data give other scores; take all chance from rng")
    hold(torch.equal(first, other) != BASELINES.entry(name).draws, "it takes rng and draws nothing")


CONTRACTS: tuple[Contract, ...] = (it_scores_the_catalogue, only_chance_differs)
