"""The rows of an epoch, in order, and where its steps begin."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from recmodels.training import Training
from recmodels.types import Batch


def epoch_rows(
    module: nn.Module, training: Training, batch_size: int, order: np.random.Generator
) -> tuple[Batch, list[int]]:
    """All rows, and where steps of about one size begin and the last ends; of the model's `sequences` where it has any.

    Args:
        module: the model.
        training: gives the interactions, and how they become rows.
        batch_size: rows of a step.
        order: the stream that puts them in order.
    """
    if hasattr(module, "sequences"):
        found: tuple[Batch, list[int]] = module.sequences.epoch(order, batch_size)  # type: ignore[operator, union-attr]
        return found
    rows = Batch(*_rows(training, order))
    steps = math.ceil(len(rows.users) / batch_size)
    return rows, [len(rows.users) * step // steps for step in range(steps + 1)]


def _rows(training: Training, order: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Users and positives of an epoch, in order."""
    interactions = training.interactions
    if training.positives == "interaction":
        pairs = order.permutation(training.pairs)  # together, so that memory is not read here and there
        users, items = pairs >> 32, pairs & 0xFFFFFFFF
    else:
        offsets, by_user = interactions.by_user()
        sizes = np.diff(offsets)
        owners = np.flatnonzero(sizes)
        users = owners[order.integers(len(owners), size=len(interactions))]
        items = by_user[offsets[users] + (order.random(len(users)) * sizes[users]).astype(np.int64)].astype(np.int64)
    return torch.from_numpy(users), torch.from_numpy(items)
