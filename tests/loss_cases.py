"""Inputs for losses, with scores, vectors and tables that belong together, which the tests of losses share."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.special import log_expit

from datasets import Interactions
from recmodels.contracts.losses import ITEMS as ITEMS
from recmodels.contracts.losses import USERS as USERS
from recmodels.contracts.losses import D as D
from recmodels.contracts.losses import example as example
from recmodels.contracts.losses import lin as lin
from recmodels.contracts.losses import training as training
from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.objective import objective
from recmodels.sampling import Sampler, Training
from recmodels.settings import Settings
from recmodels.trainer import train
from recmodels.types import LossInput
from tests.sampler_cases import make


def interactions(users: Any, items: Any, n_users: int = USERS, n_items: int = ITEMS) -> Interactions:
    return Interactions(np.asarray(users, np.int32), np.asarray(items, np.int32), n_users, n_items)


def changed(x: LossInput, **changes: Any) -> LossInput:
    return LossInput(**{**vars(x), **changes})


def value(name: str, x: LossInput, **parameters: Any) -> torch.Tensor:
    result: torch.Tensor = LOSSES[name](x, **(LOSSES.parameters(name, {}) | parameters))
    return result


Gradients = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def scored(name: str, positive: torch.Tensor, negative: torch.Tensor, **parameters: Any) -> Gradients:
    """Values, and their gradients by the scores of positives (B,) and negatives (B, N), in the dtype of the scores."""
    rows, n = negative.shape
    _, x = example(name, rows, n, dtype=positive.dtype)
    leaves = positive.clone().requires_grad_(), negative.clone().requires_grad_()
    values = value(name, changed(x, positive=leaves[0], negative=leaves[1]), **parameters)
    by_positive, by_negative = torch.autograd.grad(values.sum(), leaves)
    return values.detach(), by_positive, by_negative


# float64 formulas, one row at a time: positive score, negative scores, their input and row number -> the loss
def softplus(z: Any) -> Any:
    return -log_expit(-np.asarray(z))


def unseen(x: LossInput, row: int) -> int:
    """I - |P_u|; the user u of `training()` has 2u + 3 items."""
    return ITEMS - (2 * int(x.batch.users[row]) + 3)


TASTES = Interactions(np.array([0, 0, 0, 1], np.int32), np.array([1, 4, 7, 2], np.int32), 2, 10)


def trained(
    data: Training, loss: str, sampler: Sampler | None = None, model: Any = None, **changes: Any
) -> list[tuple[int, float]]:
    """Epochs and their losses, of three epochs on `data`."""
    found = train(
        data,
        Interactions(np.empty(0, np.int32), np.empty(0, np.int32), data.n_users, data.n_items),
        model=model or partial(MODELS["mf"], **MODELS.parameters("mf", {})),
        sampler=sampler or make("uniform", data),
        objective=objective(loss, LOSSES.parameters(loss, {})),
        settings=Settings(**{**vars(SMALL), **changes}),
        seed=0,
        device=torch.device("cpu"),
    )
    return [(epoch.epoch, epoch.loss) for epoch in found.history]


SMALL = Settings(epochs=3, batch_size=4, negatives=4, embedding_size=3)
