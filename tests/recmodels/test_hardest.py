"""Losses that look at the negatives that come closest, and bugs of public code that they do not have."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from datasets import Interactions
from recmodels.losses import LOSSES
from recmodels.objective import objective
from recmodels.sampling import Training
from recmodels.scoring import batch_scores
from tests.loss_cases import (
    ITEMS,
    USERS,
    D,
    changed,
    example,
    lin,
    scored,
    trained,
    training,
    unseen,
    value,
)
from tests.sampler_cases import EVERYTHING, N, batch_of, make, scorer
from tests.sampler_cases import training as sampler_data


@pytest.mark.parametrize("gap", [60.0, 200.0, 1e4])
@pytest.mark.parametrize("n", [1, 3])
def test_bpr_max_learns_where_its_sum_of_probabilities_underflows(gap: float, n: int) -> None:
    """GRU4Rec and RecPack: -log(Σ p_j sigmoid(s⁺ - s_j) + 1e-24) stops at 55, with no gradient, from a gap of 55 on."""
    negative = torch.full((1, n), gap / 2)
    loss, up, down = scored("bpr-max", torch.tensor([-gap / 2]), negative, regularization=0.0)
    near = gap * torch.finfo(torch.float32).eps  # an exponent of this size is rounded by so much
    torch.testing.assert_close(loss, torch.tensor([gap]))
    torch.testing.assert_close(up, torch.tensor([-1.0]), atol=near, rtol=1e-6)
    torch.testing.assert_close(down, torch.full((1, n), 1 / n), atol=near, rtol=1e-6)


def test_the_gradient_of_bpr_max_goes_through_its_shares() -> None:
    """The paper's gradient; implementations that detach p lose the part that singles out the strongest negatives."""
    positive, negative = torch.tensor([0.3]).double(), torch.tensor([[0.9, -0.4, 0.1]]).double()
    _, up, down = scored("bpr-max", positive, negative, regularization=0.0)
    p, chance = negative.softmax(1), torch.sigmoid(positive[:, None] - negative)
    total = (p * chance).sum(1, keepdim=True)
    through_chance = p * chance * (1 - chance) / total
    torch.testing.assert_close(up, -through_chance.sum(1))
    torch.testing.assert_close(down, through_chance + p * (total - chance) / total)


def test_masked_draws_are_no_trials_of_warp() -> None:
    _, x = example("warp", rows=1, n=3)
    masked = changed(
        x,
        positive=torch.tensor([2.0]),
        negative=torch.tensor([[0.0, 5.0, 9.0]]),
        valid=torch.tensor([[False, True, True]]),
    )
    harmonic = sum(1 / k for k in range(1, unseen(x, 0) + 1))
    assert value("warp", masked).item() == pytest.approx(harmonic * 4.0, rel=1e-5)


@pytest.mark.parametrize("rank_weight", ["harmonic", "log"])
def test_warp_rows_without_a_violation_are_exactly_zero_beside_rows_with_one(rank_weight: str) -> None:
    """An argmax over no violation is column 0, whose hinge must not count; nor may a negative one."""
    positive = torch.tensor([5.0, 0.0, 5.0])
    negative = torch.tensor([[4.0, -9.0], [-0.5, 3.0], [3.9, 4.5]])  # 4 = s⁺ - margin is no violation
    loss, up, down = scored("warp", positive, negative, rank_weight=rank_weight)
    _, x = example("warp", 3, 2)
    ranks = unseen(x, 1), unseen(x, 2) // 2
    weights = [
        sum(1 / k for k in range(1, rank + 1)) if rank_weight == "harmonic" else math.log(rank) for rank in ranks
    ]
    torch.testing.assert_close(loss, torch.tensor([0.0, weights[0] * 0.5, weights[1] * 0.5]))
    torch.testing.assert_close(up, torch.tensor([0.0, -weights[0], -weights[1]]))
    torch.testing.assert_close(down, torch.tensor([[0.0, 0.0], [weights[0], 0.0], [0.0, weights[1]]]))
    assert loss[0].item() == up[0].item() == down[0].abs().max().item() == 0.0


def test_the_rank_that_warp_estimates_is_at_least_1() -> None:
    """floor((I - |P_u|) / t) is 0 after more trials than items, and its logarithm minus infinity."""
    negative = torch.full((1, 2 * ITEMS), -9.0)
    negative[0, -1] = 0.5
    for rank_weight, weight in (("harmonic", 1.0), ("log", 0.0)):
        loss, up, _ = scored("warp", torch.tensor([0.0]), negative, rank_weight=rank_weight)
        torch.testing.assert_close(loss, torch.tensor([weight * 1.5]))
        torch.testing.assert_close(up, torch.tensor([-weight]))


def test_warp_ends_for_users_who_have_seen_everything() -> None:
    """lightfm draws until it finds a negative and counts no positive as a trial: without any, for ever."""
    everything = Interactions(np.zeros(6, np.int32), np.arange(6, dtype=np.int32), 1, 6)
    assert trained(Training(everything), "warp") == [(1, 0.0), (2, 0.0), (3, 0.0)]
    data, rng, model = sampler_data(), np.random.default_rng(0), scorer()
    batch = batch_of(data, rows=np.flatnonzero(data.interactions.users == EVERYTHING)[:5])
    chosen = make("uniform", data).propose(batch, N, rng, model)
    positive, negative = (part.requires_grad_() for part in batch_scores(model.tables, batch, chosen))
    _, x = example("warp", 5, N, dtype=torch.float32)
    values = value("warp", changed(x, positive=positive, negative=negative, valid=chosen.valid))
    assert (values == 0).all()
    assert all((part == 0).all() for part in torch.autograd.grad(values.sum(), (positive, negative)))


@pytest.mark.parametrize(("name", "margin"), [("warp", 1.0), ("cml", 1.5)])
def test_weights_for_the_rank_are_numbers(name: str, margin: float) -> None:
    """The gradient of weight · excess is the weight, both ways, at the one negative that counts."""
    positive, negative = torch.tensor([0.2]).double(), torch.tensor([[-3.0, 0.7, 0.1, -2.0]]).double()
    loss, up, down = scored(name, positive, negative)
    excess = margin + 0.7 - 0.2
    torch.testing.assert_close(up, -loss / excess)
    torch.testing.assert_close(down, torch.tensor([[0.0, 1.0, 0.0, 0.0]]).double() * loss / excess)


def test_cml_keeps_vectors_in_the_ball() -> None:
    module = torch.nn.Module()
    module.users, module.items = (
        torch.nn.Parameter(lin(USERS, D, scale=9)),
        torch.nn.Parameter(lin(ITEMS, D, scale=0.01)),
    )
    before = module.items.detach().clone()
    project = objective("cml", LOSSES.parameters("cml", {})).initial_state(training()).after_step
    assert project is not None
    project(module)
    torch.testing.assert_close(module.users.norm(dim=1), torch.ones(USERS, dtype=torch.float64))
    torch.testing.assert_close(module.items.detach(), before)
