"""Losses without sampled negatives, and bugs of public code that they do not have."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from recmodels.losses import LOSSES
from recmodels.objective import objective
from recmodels.types import Batch, Tables, Vectors
from tests.loss_cases import (
    ITEMS,
    USERS,
    D,
    changed,
    example,
    lin,
    training,
    value,
)

PLANE = torch.eye(2, dtype=torch.float64)[0]


@pytest.mark.parametrize("copies", [1, 2, 5])
def test_uniformity_is_the_mean_over_pairs(copies: int) -> None:
    """For `directau`; MAWU's authors, and `mawu`, count the diagonal and half of the pairs as exp(-4)."""
    apart = torch.stack([PLANE, -PLANE]).repeat(copies, 1)  # each direction `copies` times
    alike = math.comb(copies, 2)
    of_pairs = 2 * alike + copies**2 * math.exp(-8)
    expected = math.log(of_pairs / math.comb(2 * copies, 2))
    of_square = math.log((of_pairs + math.comb(2 * copies + 1, 2) * math.exp(-4)) / (2 * copies) ** 2)
    _, x = example("mawu", rows=2 * copies)
    ones = PLANE.expand(2 * copies, 2)
    users = changed(x, vectors=Vectors(apart, ones, ones))
    items = changed(x, vectors=Vectors(ones, apart, ones))
    for given, one in ((users, "gamma_user"), (items, "gamma_item")):
        both = {"gamma_user": 0.0, "gamma_item": 0.0}
        spread = value("mawu", given, **both | {one: 1.0}) - value("mawu", given, **both)
        torch.testing.assert_close(spread.detach(), torch.full((2 * copies,), of_square, dtype=torch.float64))
        spread = value("directau", given, gamma=2.0) - value("directau", given, gamma=0.0)
        torch.testing.assert_close(spread, torch.full((2 * copies,), expected, dtype=torch.float64))


def test_vectors_that_are_alike_have_uniformity_0_and_a_finite_gradient() -> None:
    """The derivative of a distance is NaN where it is 0, as between two rows of one user."""
    vectors = PLANE.repeat(4, 1).requires_grad_()
    _, x = example("directau", rows=4)
    given = changed(x, vectors=Vectors(vectors, vectors.detach(), vectors.detach()))
    values = value("directau", given, gamma=2.0)
    torch.testing.assert_close(values.detach(), torch.zeros(4).double())
    torch.testing.assert_close(torch.autograd.grad(values.sum(), vectors)[0], torch.zeros(4, 2).double())


def test_directau_ignores_the_length_of_vectors() -> None:
    _, x = example("directau")
    longer = x.vectors._replace(users=x.vectors.users * 7, positives=x.vectors.positives * 0.1)  # type: ignore[union-attr]
    torch.testing.assert_close(value("directau", changed(x, vectors=longer)), value("directau", x))


def test_wrmf_is_the_objective_of_implicit_als() -> None:
    """Summed over all interactions: every cell of the matrix once."""
    train, tables = training(), Tables(lin(USERS, D, seed=1), lin(ITEMS, D, seed=2))
    users, items = (
        torch.from_numpy(ids.astype(np.int64)) for ids in (train.interactions.users, train.interactions.items)
    )
    full = tables.users @ tables.items.T
    _, x = example("wrmf")
    given = changed(x, positive=full[users, items], batch=Batch(users, items), tables=tables)
    expected = (1 - full[users, items]).square().sum() + 0.1 * full.square().sum()
    torch.testing.assert_close(value("wrmf", given).sum(), expected)


def test_mawu_keeps_its_margins_in_bounds() -> None:
    margins = objective("mawu", LOSSES.parameters("mawu", {})).initial_state(training())
    assert len(margins.parameters) == 2
    with torch.no_grad():
        margins.tensors["user_margin"] += 5
        margins.tensors["item_margin"] -= 5
    assert margins.after_step is not None
    margins.after_step(torch.nn.Module())
    assert (margins.tensors["user_margin"] == 1).all()
    assert (margins.tensors["item_margin"] == 0).all()
