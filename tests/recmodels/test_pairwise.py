"""Losses that compare each negative with the positive, and bugs of public code that they do not have."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recmodels.types import Batch, Tables
from tests.loss_cases import (
    ITEMS,
    changed,
    example,
    scored,
    softplus,
    value,
)


def test_bpr_does_not_overflow_at_a_gap_of_88() -> None:
    """MixGCF, AHNS and SRNS: log(1 + exp(x)) is infinite in float32 from x = 89 on; with 1e-10 in it, it is flat."""
    for gap in (89.0, 1e4):
        loss, up, down = scored("bpr", torch.tensor([0.0]), torch.tensor([[gap]]))
        torch.testing.assert_close((loss, up, down), (torch.tensor([gap]), torch.tensor([-1.0]), torch.tensor([[1.0]])))


def test_lambda_weights_are_those_of_ranks_in_the_catalogue() -> None:
    """Ranks among the sample, as in some implementations of LambdaRank, do not see items that were not drawn."""
    _, x = example("lambdarank", rows=1, n=2)
    users = torch.tensor([[1.0, 0.0]]).double()
    items = torch.zeros(ITEMS, 2, dtype=torch.float64)
    items[:, 0] = -torch.arange(ITEMS)  # item i has rank i + 1
    given = changed(
        x,
        positive=torch.tensor([-20.0]).double(),
        negative=torch.tensor([[-3.0, -25.0]]).double(),
        items=torch.tensor([[3, 25]]),
        batch=Batch(torch.tensor([0]), torch.tensor([20])),
        tables=Tables(users, items),
    )
    gain = 1 / np.log2(1 + np.array([21, 4, 26]))
    expected = np.mean(np.abs(gain[0] - gain[1:]) * softplus(np.array([17.0, -5.0])))
    assert value("lambdarank", given).item() == pytest.approx(expected, rel=1e-12)


def test_lambda_weights_are_numbers() -> None:
    """The gradient of weight · softplus(d) is weight · sigmoid(d), and none reaches the tables that ranks come from."""
    _, x = example("lambdarank", rows=3, n=1)
    tables = Tables(*(table.clone().requires_grad_() for table in x.tables[:2]))  # type: ignore[index,union-attr]
    negative = x.negative.clone().requires_grad_()
    values = value("lambdarank", changed(x, negative=negative, tables=tables))
    found = torch.autograd.grad(values.sum(), [negative, *tables[:2]], allow_unused=True)  # type: ignore[list-item]
    difference = x.negative - x.positive[:, None]
    weight = values.detach()[:, None] / torch.nn.functional.softplus(difference)
    torch.testing.assert_close(found[0], weight * difference.sigmoid())
    assert found[1:] == (None, None)
