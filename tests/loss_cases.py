"""Inputs for losses, with scores, vectors and tables that belong together, which the tests of losses share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.special import log_expit

from datasets import Interactions
from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.objective import objective
from recmodels.sampling import Sampler, Training
from recmodels.settings import Settings
from recmodels.trainer import train
from recmodels.types import Batch, LossInput, Tables, Vectors
from tests.sampler_cases import make

USERS, ITEMS, D = 5, 30, 4


def interactions(users: Any, items: Any, n_users: int = USERS, n_items: int = ITEMS) -> Interactions:
    return Interactions(np.asarray(users, np.int32), np.asarray(items, np.int32), n_users, n_items)


def training() -> Training:
    pairs = [(u, i) for u in range(USERS) for i in range(u, 3 * u + 3)]
    return Training(interactions(*zip(*pairs, strict=True)))


def lin(*shape: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape) * scale)


def example(
    name: str,
    rows: int = 6,
    n: int = 7,
    seed: int = 0,
    scale: float = 0.5,
    dtype: torch.dtype = torch.float64,
    valid: torch.Tensor | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> tuple[Callable[[LossInput], torch.Tensor], LossInput]:
    """A loss and an input for it, with scores, vectors and tables that belong together."""
    torch.manual_seed(seed)  # of what a state starts from
    chosen = LOSSES.parameters(name, {}) | dict(parameters or {})
    built = objective(name, chosen)
    generator = np.random.default_rng(seed)
    tables = Tables(lin(USERS, D, seed=seed + 1).to(dtype), lin(ITEMS, D, seed=seed + 2).to(dtype))
    users = torch.from_numpy(generator.integers(USERS, size=rows))
    positives = torch.from_numpy(generator.integers(10, size=rows))
    items = torch.from_numpy(generator.integers(10, ITEMS, size=(rows, n)))
    state = built.initial_state(training())
    for key, tensor in state.tensors.items():
        state.tensors[key] = tensor.detach().to(dtype if tensor.is_floating_point() else tensor.dtype)
    x = LossInput(
        positive=(lin(rows, seed=seed + 3) * scale).to(dtype),
        negative=(lin(rows, n, seed=seed + 4) * scale).to(dtype),
        valid=valid,
        log_q=torch.full((rows, n), -math.log(ITEMS), dtype=dtype),
        log_q_positive=torch.full((rows,), -math.log(ITEMS), dtype=dtype),
        weight=None,
        n_items=ITEMS,
        batch=Batch(users, positives),
        items=items,
        vectors=Vectors(tables.users[users], tables.items[positives], tables.items[items]),
        tables=tables,
        state=state.tensors,
        space=built.space,
    )
    return built.loss, x


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
