"""Losses that remember something of each user, and bugs of public code that they do not have."""

from __future__ import annotations

import math

import numpy as np
import torch

from datasets import Interactions
from recmodels.losses import LOSSES
from recmodels.objective import objective
from recmodels.sampling import Scorer, Training
from recmodels.types import Batch, LossInput, Tables
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


def rows_of(x: LossInput, users: list[int], valid: list[bool] | None = None) -> LossInput:
    mask = None if valid is None else torch.tensor(valid)[:, None].expand(len(users), x.negative.shape[1])
    state = {"log_average": torch.full((USERS,), math.nan, dtype=torch.float64)}
    return changed(x, batch=Batch(torch.tensor(users), x.batch.positives), valid=mask, state=state)


def test_the_gradient_of_sogclr_at_the_positive_does_not_depend_on_what_the_user_had_before() -> None:
    """One user with positives at .8 and .1 in turn: an average that held the positive would give -0.257 and -1.097."""
    _, x = example("sogclr", rows=1)
    x = rows_of(x, [0])
    for own in (0.8, 0.1, 0.8, 0.1):
        positive = torch.tensor([own], dtype=torch.float64, requires_grad=True)
        value("sogclr", changed(x, positive=positive)).sum().backward()
        torch.testing.assert_close(0.2 * positive.grad, torch.tensor([-1.0]).double())  # type: ignore[operator]


def test_rows_of_one_user_in_a_batch_count_by_their_mean_for_sogclr() -> None:
    """The state afterwards, in whatever order the rows stand; the authors' indexed write keeps any one of them."""
    _, x = example("sogclr", rows=3)
    means = np.mean(np.exp(x.negative.numpy() / 0.2), axis=1)
    given = rows_of(x, [2, 4, 2])
    given.state["log_average"][2] = math.log(3.0)
    values = value("sogclr", given)
    of_two = 0.1 * 3.0 + 0.9 * (means[0] + means[2]) / 2
    after = given.state["log_average"].exp().numpy()
    np.testing.assert_allclose(after[[2, 4]], [of_two, means[1]], rtol=1e-12)
    averages = np.array([of_two, means[1], of_two])
    np.testing.assert_allclose(values, -x.positive.numpy() / 0.2 + means / averages, rtol=1e-12)


def test_a_row_without_negatives_leaves_the_average_of_sogclr() -> None:
    _, x = example("sogclr", rows=3)
    given = rows_of(x, [1, 3, 1], valid=[False, False, True])
    given.state["log_average"][3] = 0.5
    values = value("sogclr", given)
    after = given.state["log_average"]
    np.testing.assert_allclose(after[1].exp(), np.mean(np.exp(x.negative[2].numpy() / 0.2)), rtol=1e-12)
    assert after[3] == 0.5
    assert after[[0, 2, 4]].isnan().all()
    assert values[:2].tolist() == [0, 0]


def test_sogclr_does_not_overflow_in_single_precision() -> None:
    """A bare exp(s / τ) is infinite in float32 above 88; both the mean and its average may be far beyond."""
    _, x = example("sogclr", rows=2, dtype=torch.float32)
    x = changed(x, batch=Batch(torch.tensor([0, 1]), x.batch.positives), negative=torch.full((2, 7), 0.9))
    x.state["log_average"][1] = 200.0
    values = value("sogclr", x, temperature=0.005)  # 0.9 / 0.005 = 180
    expected = torch.tensor([1.0, 1 / (0.9 + 0.1 * math.exp(20.0))]) - x.positive / 0.005
    torch.testing.assert_close(values, expected)
    expected = torch.tensor([180.0, 200 + math.log(0.1 + 0.9 * math.exp(-20.0))])
    torch.testing.assert_close(x.state["log_average"][:2], expected)


def test_sl_at_k_knows_the_score_of_the_kth_item() -> None:
    built = objective("sl-at-k", LOSSES.parameters("sl-at-k", {"k": "4", "every": "2"}))
    state = built.initial_state(training())
    tables = Tables(lin(USERS, D).float(), lin(ITEMS, D, seed=1).float())
    assert state.before_epoch is not None
    state.before_epoch(1, Scorer(tables, "cosine"))
    unit = [table / table.norm(dim=1, keepdim=True) for table in tables[:2] if table is not None]
    expected = (unit[0] @ unit[1].T).sort(dim=1, descending=True).values[:, 3]
    torch.testing.assert_close(state.tensors["quantile"], expected)
    state.before_epoch(2, Scorer(Tables(tables.users, -tables.items), "cosine"))  # not due
    torch.testing.assert_close(state.tensors["quantile"], expected)


def test_the_quantile_of_sl_at_k_is_a_number_and_its_weight_learns() -> None:
    """β_u is refreshed between epochs and carries no gradient; the weight's own gradient is that of the product."""
    built = objective("sl-at-k", LOSSES.parameters("sl-at-k", {}))
    _, x = example("sl-at-k", rows=3)
    live = Tables(*(table.float().requires_grad_() for table in x.tables[:2]))  # type: ignore[index,union-attr]
    state = built.initial_state(
        Training(Interactions(np.arange(5, dtype=np.int32), np.arange(5, dtype=np.int32), 5, ITEMS))
    )
    assert state.before_epoch is not None
    state.before_epoch(1, Scorer(live, "cosine"))
    quantile = state.tensors["quantile"]
    assert not quantile.requires_grad
    positive = x.positive.clone().requires_grad_()
    values = value("sl-at-k", changed(x, positive=positive, state={"quantile": quantile.double()}))
    gradient = torch.autograd.grad(values.sum(), positive)[0]
    weight = ((x.positive - quantile.double()[x.batch.users]) / 3).sigmoid()
    plain = value("sl", x)
    torch.testing.assert_close(gradient, weight * (1 - weight) / 3 * plain - weight / 0.2)
