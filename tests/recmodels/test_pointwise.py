"""Losses that judge each item by itself, and bugs of public code that they do not have."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.runs.design import design
from bench.runs.store import Store
from datasets.errors import UserError
from datasets.protocol import Protocol
from recmodels.compatibility import reason
from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.samplers import SAMPLERS
from recmodels.settings import trainer_settings
from tests.loss_cases import (
    ITEMS,
    changed,
    example,
    scored,
    softplus,
    value,
)
from tests.sampler_cases import N_ITEMS, make, scorer
from tests.sampler_cases import training as sampler_data


@pytest.mark.parametrize("name", ["bce", "gbce", "nce"])
def test_pointwise_losses_learn_from_what_they_get_most_wrong(name: str) -> None:
    """-log(sigmoid(s) + 1e-10), and with 1e-6 or 1e-5, has no gradient where s is far below 0; logsigmoid has."""
    beta = 0.25 + 0.75 * 2 / (ITEMS - 1) if name == "gbce" else 1.0
    loss, up, down = scored(name, torch.tensor([-1e4]), torch.tensor([[1e4, -1e4]]))
    shift = math.log(2 / ITEMS) if name == "nce" else 0.0
    torch.testing.assert_close(loss, torch.tensor([beta * (1e4 + shift) + 1e4 - shift]))
    torch.testing.assert_close(up, torch.tensor([-beta]))
    torch.testing.assert_close(down, torch.tensor([[1.0, 0.0]]))


def test_nce_counts_its_draws() -> None:
    """RecStudio's NCELoss leaves log N out: a = s - log q in place of s - log(N q)."""
    _, x = example("nce")
    log_q = torch.from_numpy(np.log(np.random.default_rng(5).dirichlet(np.ones(ITEMS))))
    given = changed(x, log_q=log_q[x.items], log_q_positive=log_q[x.batch.positives])
    positive, negative, q = x.positive.numpy(), x.negative.numpy(), log_q.exp().numpy()

    def formula(n: int) -> Any:
        own, others = n * q[x.batch.positives.numpy()], n * q[x.items.numpy()]
        return softplus(-(positive - np.log(own))) + softplus(negative - np.log(others)).sum(axis=1)

    np.testing.assert_allclose(value("nce", given), formula(x.negative.shape[1]), rtol=1e-12)
    assert (np.abs(formula(x.negative.shape[1]) - formula(1)) > 0.1).all()


def test_nce_is_still_at_log_probabilities() -> None:
    """With N q the expected gradient is 0 at s = log p, which is what makes NCE normalise itself; with q it is not."""
    generator, size, n = np.random.default_rng(0), 5, 2
    p, q = (torch.from_numpy(generator.dirichlet(np.ones(size))) for _ in range(2))
    rows = torch.cartesian_prod(*[torch.arange(size)] * (1 + n))  # every positive with every pair of draws
    chance = p[rows[:, 0]] * q[rows[:, 1]] * q[rows[:, 2]]
    scores = p.log().requires_grad_()
    _, x = example("nce", len(rows), n)
    given = changed(
        x,
        positive=scores[rows[:, 0]],
        negative=scores[rows[:, 1:]],
        log_q=q.log()[rows[:, 1:]],
        log_q_positive=q.log()[rows[:, 0]],
    )
    gradient = torch.autograd.grad((chance * value("nce", given)).sum(), scores)[0]
    torch.testing.assert_close(gradient, torch.zeros(size).double(), atol=1e-12, rtol=0)


def test_ccl_weighs_the_mean_over_negatives_and_not_their_sum() -> None:
    """With a sum, the same weight means something else for every N."""
    _, x = example("ccl")
    twice = changed(x, negative=x.negative.repeat(1, 2), items=x.items.repeat(1, 2))
    torch.testing.assert_close(value("ccl", twice), value("ccl", x))


def test_ccl_judges_cosines_and_not_their_sigmoids() -> None:
    """A squashed cosine is at most 0.73, so that a margin of 0.8 would never be reached."""
    assert LOSSES.entry("ccl").facts["space"] == "cosine"
    _, x = example("ccl")
    high = changed(x, negative=torch.full((6, 7), 0.9, dtype=torch.float64))
    assert (value("ccl", high, margin=0.8) > value("ccl", changed(x, negative=x.negative * 0), margin=0.8)).all()


def test_gbce_goes_with_uniform_negatives_and_with_no_others(tmp_path: Path) -> None:
    """β is derived for uniform draws; with others it is a number without a meaning, and nothing would say so."""
    settings, mf = trainer_settings({}), ("mf", MODELS.parameters("mf", {}))
    data, gbce = sampler_data(), ("gbce", LOSSES.parameters("gbce", {}))
    accepted = set()
    for name in SAMPLERS:
        why = reason((name, SAMPLERS.parameters(name, {})), gbce, mf, settings)
        assert why in (None, f"gbce needs negatives drawn uniformly, which {name} does not give")
        if why is None:
            accepted.add(name)
            sampler = make(name, data)
            law = sampler.proposal.log_prob(torch.arange(2, 9), torch.arange(N_ITEMS), scorer())
            assert (law == law[:, :1]).all()
            assert sampler.select is None
    assert accepted == {"full", "uniform"}
    with pytest.raises(UserError, match=r"'popularity\+gbce' cannot be trained: gbce needs negatives drawn uniformly"):
        design(  # before the data, which do not exist, are looked for
            ["popularity+gbce"],
            dataset=str(tmp_path / "none.csv"),
            protocol=Protocol(),
            store=Store(tmp_path),
        )
