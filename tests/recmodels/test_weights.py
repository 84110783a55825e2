"""Samplers that keep all they draw and weigh it by score, each against its definition written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recmodels.sampling import Scorer
from recmodels.scoring import batch_scores
from recmodels.types import Tables
from tests.loss_cases import (
    changed,
    example,
    value,
)
from tests.sampler_cases import (
    DATA,
    N,
    batch_of,
    draw,
    make,
    scorer,
    training,
)


def test_weights():
    batch, drawn = draw("self-adversarial", scale=0.0)
    torch.testing.assert_close(drawn.weight[batch.users > 1], torch.full_like(drawn.weight[batch.users > 1], 1 / N))
    batch, drawn = draw("self-adversarial", scale=0.7)
    expected = (0.7 * scorer().scores(batch.users, drawn.items)).softmax(dim=1)
    torch.testing.assert_close(drawn.weight[batch.users > 1], expected[batch.users > 1])
    plain = draw("self-adversarial", scale=1.0)[1].weight
    torch.testing.assert_close(draw("pris", proposal="uniform")[1].weight, plain, rtol=1e-4, atol=1e-6)
    batch, drawn = draw("pris")
    law = make("popularity", DATA, alpha=1.0).proposal.log_prob(batch.users, drawn.items, scorer())
    expected = (scorer().scores(batch.users, drawn.items) - law).softmax(dim=1)
    torch.testing.assert_close(drawn.weight[batch.users > 1], expected[batch.users > 1])


def test_softmax_rho_by_hand():
    batch, drawn = draw("softmax-rho", rho=0.8)
    model = scorer()
    z = torch.log1p(torch.exp(model.scores(batch.users, drawn.items) - model.positives(batch)[:, None]).double())
    temperature = (z.var(dim=1, correction=0, keepdim=True) / 1.6).sqrt()
    expected = (z / temperature).softmax(dim=1)
    torch.testing.assert_close(drawn.weight[batch.users > 1].double(), expected[batch.users > 1], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["self-adversarial", "pris", "softmax-rho"])
def test_weights_of_negatives_carry_no_gradient(name: str) -> None:
    """RecStudio's WeightedBPR and WeightedBCE differentiate the softmax that weighs the negatives."""
    data, rng = training(), np.random.default_rng(0)
    users, items, _ = scorer().tables
    live = Tables(users.clone().requires_grad_(), items.clone().requires_grad_())
    sampler, model, batch = make(name, data), Scorer(live), batch_of(data, size=8)
    chosen = sampler.choose(batch, sampler.propose(batch, N, rng, model), N, rng, model)
    assert chosen.weight is not None
    positive, negative = batch_scores(live, batch, chosen)
    _, x = example("bpr", 8, N, dtype=torch.float32)
    given = changed(x, positive=positive, negative=negative, weight=chosen.weight, valid=chosen.valid)
    ours = torch.autograd.grad(value("bpr", given).sum(), [live.users, live.items], retain_graph=True)
    fixed = chosen.weight.detach().clone()
    terms = torch.nn.functional.softplus(negative - positive[:, None])
    expected = torch.autograd.grad((fixed * terms).sum(), [live.users, live.items], retain_graph=True)
    torch.testing.assert_close(ours, expected)
