"""Losses that compare the positive with all negatives at once, and bugs of public code that they do not have."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from recmodels.losses import LOSSES
from recmodels.sampling import Scorer, Training
from recmodels.scoring import batch_scores
from recmodels.sums import log_sum_exp
from recmodels.types import LOWEST, Batch, LossInput, Tables
from tests.loss_cases import (
    ITEMS,
    TASTES,
    changed,
    example,
    lin,
    scored,
    value,
)
from tests.sampler_cases import make

SHARP = 0.005  # cosines up to 1 / 0.005 = 200, whose exponential float32 does not hold
EXPONENTIALS: dict[str, Callable[[float, Any], float]] = {
    "softmax": lambda p, n: logsumexp([p / SHARP, *(n / SHARP - math.log(len(n) / ITEMS))]) - p / SHARP,
    "sl": lambda p, n: logsumexp((n - p) / SHARP),
    "bsl": lambda p, n: 1.06 * (logsumexp(n / SHARP) - math.log(len(n))) - p / SHARP,
    "sl-at-k": lambda p, n: logsumexp((n - p) / SHARP) / (1 + math.exp(-p / 3)),
    "sogclr": lambda p, n: 1 - p / SHARP,  # a first visit
    "debiased": lambda p, n: logsumexp([0, logsumexp((n - p) / SHARP) - math.log(0.999)]),
}


@pytest.mark.parametrize("name", sorted(EXPONENTIALS))
@pytest.mark.parametrize("positive", [-1.0, 0.9])
def test_sharp_temperatures_do_not_overflow(name: str, positive: float) -> None:
    """BSL, AdvInfoNCE, IR-Benchmark: a bare exp(s / τ) is infinite in float32 where s / τ > 88."""
    own, negative = torch.tensor([positive]), torch.tensor([[0.95, 0.94, -1.0]])
    loss, up, down = scored(name, own, negative, temperature=SHARP)
    expected = EXPONENTIALS[name](float(own), negative[0].double().numpy())
    # scores of a float32 are right to 6e-8, their quotients by the temperature to 6e-8 / 0.005
    assert loss.item() == pytest.approx(expected, rel=1e-6, abs=1e-4)
    assert up.item() < 0
    shares = (negative / SHARP).softmax(1)
    torch.testing.assert_close(down / down.sum(), shares, rtol=1e-4, atol=1e-7)
    assert down.sum() > 0.2


def test_log_sum_exp_is_the_formula_and_its_gradient_the_shares() -> None:
    rng = np.random.default_rng(0)
    values = torch.from_numpy(rng.normal(scale=30, size=(50, 9))).requires_grad_()
    assert np.allclose(log_sum_exp(values).detach(), logsumexp(values.detach(), axis=1), rtol=1e-13)
    assert torch.autograd.gradcheck(log_sum_exp, values)
    far = torch.tensor([[LOWEST, -3e4], [0.0, 3e4], [LOWEST, LOWEST]])
    assert torch.equal(log_sum_exp(far), far.logsumexp(dim=1))


def test_softmax_over_the_catalogue_is_cross_entropy_in_value_and_gradient() -> None:
    """The positive, which is one of the candidates, must not count twice."""
    scores = lin(6, ITEMS, scale=3).requires_grad_()
    positives = torch.arange(6)
    items = torch.arange(ITEMS)
    uniform = torch.full((1, 1), -math.log(ITEMS), dtype=torch.float64)
    _, x = example("softmax")
    given = changed(
        x,
        positive=scores[torch.arange(6), positives],
        negative=scores,
        items=items,
        batch=Batch(x.batch.users, positives),
        log_q=uniform,
        log_q_positive=uniform[0].expand(6),
    )
    ours = value("softmax", given)
    gradient = torch.autograd.grad(ours.sum(), scores)[0]
    exact = torch.nn.functional.cross_entropy(scores, positives, reduction="none")
    torch.testing.assert_close(ours, exact)
    torch.testing.assert_close(gradient, torch.autograd.grad(exact.sum(), scores)[0])


def test_several_negatives_share_one_softmax() -> None:
    """The K pairs of MixGCF; RecBole with sample_num > 1 averages N losses of one negative each."""
    _, x = example("softmax")
    singles = torch.stack(
        [
            value("softmax", changed(x, negative=x.negative[:, [j]], items=x.items[:, [j]]), logq="none")
            for j in range(7)
        ]
    )
    joint = torch.log1p((x.negative - x.positive[:, None]).exp().sum(dim=1))
    torch.testing.assert_close(value("softmax", x, logq="none"), joint)
    assert (joint - singles.mean(dim=0) > 0.5).all()


@pytest.mark.parametrize("logq", ["neg", "both"])
def test_the_law_is_taken_off_after_the_temperature(logq: str) -> None:
    """a = s / τ - log q as in TensorFlow Recommenders; (s - log q) / τ corrects for q to the power 1 / τ."""
    _, x = example("softmax")
    generator = np.random.default_rng(3)
    log_q, own = (torch.from_numpy(np.log(generator.uniform(0.01, 0.2, shape))) for shape in ((6, 7), 6))
    given = changed(x, log_q=log_q, log_q_positive=own)
    negative = (x.negative / 0.2 - log_q - (math.log(7) if logq == "neg" else 0)).numpy()
    positive = (x.positive / 0.2 - (own if logq == "both" else 0)).numpy()
    expected = logsumexp(np.column_stack([positive, negative]), axis=1) - positive
    np.testing.assert_allclose(value("softmax", given, temperature=0.2, logq=logq), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["softmax", "nce"])
def test_what_is_drawn_often_counts_for_less(name: str) -> None:
    """tensorflow/recommenders#219: log q must be taken off and not added."""
    _, x = example(name)
    leaf = torch.zeros(6, 7, dtype=torch.float64, requires_grad=True)
    popular = x.log_q.clone()  # type: ignore[union-attr]
    popular[:, 0] = math.log(0.5)
    gradient = torch.autograd.grad(value(name, changed(x, negative=leaf, log_q=popular)).sum(), leaf)[0]
    assert (gradient[:, :1] < gradient[:, 1:]).all()


def test_only_the_neg_correction_is_consistent_with_the_full_softmax() -> None:
    """Expected gradient with respect to all scores, positive masked, against that of the full cross-entropy."""
    generator = np.random.default_rng(1)
    n_items, positive = 20, 3  # a rare positive that the model is fond of
    q = 1 / np.arange(1.0, n_items + 1)
    q[positive] = 0
    q = q / q.sum() * 0.998
    q[positive] = 0.002
    scores = torch.from_numpy(generator.normal(size=n_items) * 0.5)
    others = np.delete(scores.numpy(), positive)
    scores[positive] = math.log(0.375 / 0.625) + logsumexp(others)
    exact = scores.softmax(0)
    exact[positive] -= 1
    _, x = example("softmax")

    def error(n: int, logq: str, draws: int) -> float:
        items = torch.from_numpy(generator.choice(n_items, size=(draws, n), p=q))
        leaf = scores.clone().requires_grad_()
        given = changed(
            x,
            positive=leaf[positive].expand(draws),
            negative=leaf[items],
            items=items,
            valid=items != positive,
            batch=Batch(torch.zeros(draws, dtype=torch.int64), torch.full((draws,), positive)),
            log_q=torch.from_numpy(np.log(q))[items],
            log_q_positive=torch.full((draws,), math.log(q[positive]), dtype=torch.float64),
        )
        gradient = torch.autograd.grad(value("softmax", given, logq=logq).mean(), leaf)[0]
        return float((gradient - exact).norm() / exact.norm())

    table = {
        logq: [error(n, logq, draws) for n, draws in ((5, 20000), (50, 4000), (5000, 200))]
        for logq in ("none", "both", "neg")
    }
    # none .44 .55 .77, both .98 .78 .51, neg .14 .03 .004 for N = 5, 50, 5000 in one such experiment
    assert min(table["none"]) > 0.3  # a bias that does not go away
    assert table["both"][0] > 0.9  # the gradient of a rare positive is nearly gone
    assert table["both"][1] > 0.6
    assert table["both"][2] > 0.3  # and with the positive masked it never becomes consistent
    assert table["neg"][0] < 0.2
    assert table["neg"][1] < 0.06
    assert table["neg"][2] < 0.02


@pytest.mark.parametrize("logq", ["neg", "both"])
@pytest.mark.parametrize("include_positive", [True, False])
def test_a_masked_item_of_probability_zero_does_not_count(logq: str, include_positive: bool) -> None:
    _, x = example("softmax", n=4)
    options = {"logq": logq, "include_positive": include_positive}
    log_q = torch.zeros(len(x.positive), 4)
    log_q[:, 3] = -torch.inf
    valid = torch.tensor([[True, True, True, False]]).expand(len(x.positive), 4)
    law = {"log_q_positive": torch.zeros(len(x.positive))}
    zero = value("softmax", changed(x, valid=valid, log_q=log_q, **law), **options)
    finite = value("softmax", changed(x, valid=valid, log_q=torch.zeros_like(log_q), **law), **options)
    assert torch.equal(zero, finite)


def over_everything(mask: str, name: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The three rows of user 0 under `full`: losses (3,), scores of all items (I,), and the sum's gradient by them."""
    batch = Batch(torch.zeros(3, dtype=torch.int64), torch.tensor([1, 4, 7]))
    vector, items = (
        torch.tensor([[1.0, 0, 0], [0, 1, 0]]),
        torch.randn(10, 3, generator=torch.Generator().manual_seed(3)),
    )
    tables = Tables(vector, items.requires_grad_())
    sampler, model = make("full", Training(TASTES), mask=mask), Scorer(tables)
    rng = np.random.default_rng(0)
    chosen = sampler.choose(batch, sampler.propose(batch, None, rng, model), None, rng, model)
    chosen = sampler.with_law(batch, chosen, model)
    positive, negative = batch_scores(tables, batch, chosen)
    x = LossInput(
        positive, negative, chosen.valid, chosen.log_q, chosen.log_q_positive, chosen.weight, 10, batch, chosen.items
    )
    values = value(name, x)
    gradient = torch.autograd.grad(values.sum(), items)[0][:, 0]  # user 0 scores an item by its first number
    return values.detach(), items.detach()[:, 0], gradient


def test_other_positives_of_a_user_are_no_negatives_under_full() -> None:
    """Cross-entropy over all items pushes down the user's other positives, unless they are masked."""
    own = torch.tensor([1, 4, 7])
    values, scores, gradient = over_everything("seen", "softmax")
    unseen = torch.tensor([i for i in range(10) if i not in (1, 4, 7)])
    shares = torch.stack([torch.cat([scores[i : i + 1], scores[unseen]]).softmax(0) for i in own.tolist()])
    torch.testing.assert_close(values, -shares[:, 0].log())
    torch.testing.assert_close(gradient[own], shares[:, 0] - 1)  # each learns in its own row alone
    torch.testing.assert_close(gradient[unseen], shares[:, 1:].sum(0))
    values, scores, gradient = over_everything("same-item", "softmax")
    torch.testing.assert_close(values, -scores.log_softmax(0)[own])  # the multinomial likelihood of the user's row
    torch.testing.assert_close(gradient, 3 * scores.softmax(0) - torch.isin(torch.arange(10), own).float())


def test_masked_negatives_are_not_in_the_number_that_debiased_multiplies() -> None:
    """Without a prior it is InfoNCE, of 8 negatives as of the same 8 with 8 that do not count."""
    _, x = example("debiased", rows=1, n=8, scale=0.2)
    more = changed(
        x,
        negative=torch.cat([x.negative, x.negative + 0.3], dim=1),
        items=x.items.repeat(1, 2),
        valid=torch.arange(16)[None] < 8,
    )
    cosines, own = x.negative[0].numpy() / 0.2, x.positive.item() / 0.2
    expected = logsumexp([own, *cosines]) - own
    assert value("debiased", x, prior=0.0).item() == pytest.approx(expected)
    assert value("debiased", more, prior=0.0).item() == pytest.approx(expected)


def test_psl_with_the_exponential_would_be_sl() -> None:
    from recmodels.losses.softmax import _log_surrogate

    difference = torch.linspace(-0.9, 0.9, 19, dtype=torch.float64)
    for activation, surrogate in (("relu", lambda d: d + 1), ("tanh", lambda d: d.tanh() + 1)):
        torch.testing.assert_close(_log_surrogate(difference, activation).exp(), surrogate(difference))
    torch.testing.assert_close(_log_surrogate(difference, "atan").exp(), (difference.atan() + 1).clamp(min=1e-8))


def test_psl_has_no_gradient_beyond_its_kink_and_keeps_the_others() -> None:
    """log(relu(d + 1)) is -inf at d = -1 and below: one such negative must not touch the others, nor all the mean."""
    positive = torch.tensor([0.5, 0.5])
    negative = torch.tensor([[-0.5, -0.75, 0.25, 0.0], [-0.5, -0.5, -0.75, -2.0]])  # d + 1 = 0, -.25, .75, .5; ≤ 0
    loss, up, down = scored("psl", positive, negative, temperature=0.1)
    terms = np.array([0.75, 0.5]) ** 10
    assert loss.tolist() == pytest.approx([math.log(terms.sum()), math.log(4) + 10 * math.log(1e-8)], rel=1e-5)
    expected = terms / terms.sum() * 10 / np.array([0.75, 0.5])
    torch.testing.assert_close(down, torch.tensor([[0.0, 0.0, *expected], [0.0] * 4]).float())
    torch.testing.assert_close(up, -down.sum(1))


def test_half_cosines_take_half_the_temperature() -> None:
    """PSL is published on half cosines: with the temperature of `sl` unchanged it would be another loss."""
    assert LOSSES.entry("psl").facts["space"] == "half-cosine"
    difference = torch.linspace(0, 1e-4, 7, dtype=torch.float64)  # where all of its σ are about exp
    for activation in ("relu", "tanh", "atan"):
        half = scored("psl", torch.zeros(1).double(), difference[None] / 2, temperature=0.1, activation=activation)
        whole = scored("sl", torch.zeros(1).double(), difference[None], temperature=0.2)
        torch.testing.assert_close(half[0], whole[0], rtol=0, atol=1e-7)
