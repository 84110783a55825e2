"""Bugs found in public code of losses and of what feeds them, each as a test that this code does not have it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_expit, logsumexp

from bench.runs.design import design
from bench.runs.store import Store
from datasets import Interactions
from datasets.errors import UserError
from datasets.protocol import Protocol
from recmodels.compatibility import reason
from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.objective import objective
from recmodels.registry import fill
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Sampler, Scorer, Training
from recmodels.scoring import batch_scores
from recmodels.settings import Settings, setting_parameters
from recmodels.trainer import train
from recmodels.types import Batch, Candidates, LossInput, Tables, Vectors
from tests.recmodels.test_losses import ITEMS, changed, example, unseen, value
from tests.sampler_cases import EVERYTHING, N_ITEMS, N, batch_of, make, scorer
from tests.sampler_cases import training as sampler_data

Gradients = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def scored(name: str, positive: torch.Tensor, negative: torch.Tensor, **parameters: Any) -> Gradients:
    """Values, and their gradients by the scores of positives (B,) and negatives (B, N), in the dtype of the scores."""
    rows, n = negative.shape
    _, x = example(name, rows, n, dtype=positive.dtype)
    leaves = positive.clone().requires_grad_(), negative.clone().requires_grad_()
    values = value(name, changed(x, positive=leaves[0], negative=leaves[1]), **parameters)
    by_positive, by_negative = torch.autograd.grad(values.sum(), leaves)
    return values.detach(), by_positive, by_negative


def softplus(z: Any) -> Any:
    return -log_expit(-np.asarray(z))


# logarithms and exponentials in float32


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


@pytest.mark.parametrize("name", ["bce", "gbce", "nce"])
def test_pointwise_losses_learn_from_what_they_get_most_wrong(name: str) -> None:
    """-log(sigmoid(s) + 1e-10), and with 1e-6 or 1e-5, has no gradient where s is far below 0; logsigmoid has."""
    beta = 0.25 + 0.75 * 2 / (ITEMS - 1) if name == "gbce" else 1.0
    loss, up, down = scored(name, torch.tensor([-1e4]), torch.tensor([[1e4, -1e4]]))
    shift = math.log(2 / ITEMS) if name == "nce" else 0.0
    torch.testing.assert_close(loss, torch.tensor([beta * (1e4 + shift) + 1e4 - shift]))
    torch.testing.assert_close(up, torch.tensor([-beta]))
    torch.testing.assert_close(down, torch.tensor([[1.0, 0.0]]))


def test_bpr_does_not_overflow_at_a_gap_of_88() -> None:
    """MixGCF, AHNS and SRNS: log(1 + exp(x)) is infinite in float32 from x = 89 on."""
    for gap in (89.0, 1e4):
        loss, up, down = scored("bpr", torch.tensor([0.0]), torch.tensor([[gap]]))
        torch.testing.assert_close((loss, up, down), (torch.tensor([gap]), torch.tensor([-1.0]), torch.tensor([[1.0]])))


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


# formulas that lose a factor


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


def test_ccl_weighs_the_mean_over_negatives_and_not_their_sum() -> None:
    """With a sum, the same weight means something else for every N."""
    _, x = example("ccl")
    twice = changed(x, negative=x.negative.repeat(1, 2), items=x.items.repeat(1, 2))
    torch.testing.assert_close(value("ccl", twice), value("ccl", x))


def test_several_negatives_share_one_softmax() -> None:
    """RecBole with sample_num > 1 repeats the positive and averages N losses of one negative each."""
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


def test_half_cosines_take_half_the_temperature() -> None:
    """PSL is published on half cosines: with the temperature of `sl` unchanged it would be another loss."""
    assert LOSSES.entry("psl").facts["space"] == "half-cosine"
    difference = torch.linspace(0, 1e-4, 7, dtype=torch.float64)  # where all of its σ are about exp
    for activation in ("relu", "tanh", "atan"):
        half = scored("psl", torch.zeros(1).double(), difference[None] / 2, temperature=0.1, activation=activation)
        whole = scored("sl", torch.zeros(1).double(), difference[None], temperature=0.2)
        torch.testing.assert_close(half[0], whole[0], rtol=0, atol=1e-7)


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


# weights that must not learn


@pytest.mark.parametrize("name", ["self-adversarial", "pris", "softmax-rho"])
def test_weights_of_negatives_carry_no_gradient(name: str) -> None:
    """RecStudio's WeightedBPR and WeightedBCE differentiate the softmax that weighs the negatives."""
    data, rng = sampler_data(), np.random.default_rng(0)
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


@pytest.mark.parametrize(("name", "margin"), [("warp", 1.0), ("cml", 1.5)])
def test_weights_for_the_rank_are_numbers(name: str, margin: float) -> None:
    """The gradient of weight · excess is the weight, both ways, at the one negative that counts."""
    positive, negative = torch.tensor([0.2]).double(), torch.tensor([[-3.0, 0.7, 0.1, -2.0]]).double()
    loss, up, down = scored(name, positive, negative)
    excess = margin + 0.7 - 0.2
    torch.testing.assert_close(up, -loss / excess)
    torch.testing.assert_close(down, torch.tensor([[0.0, 1.0, 0.0, 0.0]]).double() * loss / excess)


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


# false negatives


TASTES = Interactions(np.array([0, 0, 0, 1], np.int32), np.array([1, 4, 7, 2], np.int32), 2, 10)


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


@pytest.mark.parametrize("name", ["bpr", "bce", "hinge", "sl", "ccl", "bpr-max", "top1-max", "psl"])
def test_masked_positives_of_a_user_learn_from_their_own_row_alone(name: str) -> None:
    """As above for other losses: what `seen` masks is what makes the difference to `same-item`."""
    loss, x = example(name, rows=1, n=4)
    kept = torch.tensor([True, False, True, False])
    leaf = x.negative.clone().requires_grad_()
    masked = loss(changed(x, negative=leaf, valid=kept.expand(1, 4)))
    alone = x.negative[:, kept].clone().requires_grad_()
    fewer = loss(changed(x, negative=alone, items=x.items[:, kept]))
    torch.testing.assert_close(masked, fewer)
    gradient = torch.autograd.grad(masked.sum(), leaf)[0]
    torch.testing.assert_close(gradient[:, kept], torch.autograd.grad(fewer.sum(), alone)[0])
    assert (gradient[:, ~kept] == 0).all()


# what samplers hand over


def test_dns_gives_ids_of_the_highest_scores_to_the_loss() -> None:
    """RecStudio subtracts what torch.max(scores, dim) returns, a pair of values and places, and cannot run."""
    data, model = sampler_data(), scorer()
    sampler, batch = make("dns", data, pool=5), batch_of(data, rows=np.flatnonzero(data.interactions.users > 1)[:16])
    drawn = sampler.propose(batch, N, np.random.default_rng(1), model)
    chosen = sampler.choose(batch, drawn, N, np.random.default_rng(1), model)
    assert chosen.items.dtype == torch.int64
    assert chosen.items.shape == (16, N)
    positive, negative = batch_scores(model.tables, batch, chosen)
    highest = model.scores(batch.users, drawn.items).view(16, N, 5).amax(dim=2)
    torch.testing.assert_close(negative, highest)
    _, x = example("bpr", 16, N, dtype=torch.float32)
    expected = torch.nn.functional.softplus(highest - positive[:, None]).mean(dim=1)
    torch.testing.assert_close(value("bpr", changed(x, positive=positive, negative=negative)), expected)


def test_samplers_score_without_dropout() -> None:
    """RecBole puts the model into eval mode while DNS scores its pool; vectors with dropout would rank by chance."""
    data, seen = Training(TASTES), []
    built = MODELS["mf"](data, SMALL, np.random.default_rng(0), **MODELS.parameters("mf", {}))

    def look(batch: Batch, pool: Candidates, n: int, rng: np.random.Generator, model: Scorer) -> Candidates:
        exact = built.users.detach()[batch.users] @ built.items.detach().T
        torch.testing.assert_close(model.all(batch.users), exact)
        seen.append(len(batch.users))
        return pool

    trained(data, "bpr", Sampler(make("uniform", data).proposal, select=look), lambda *_: built, dropout=0.5)
    assert sum(seen) == 3 * len(TASTES)


LAST = N_ITEMS - 1


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("uniform", {}),
        ("uniform", {"reject": False}),
        ("popularity", {"alpha": 1.0}),
        ("popularity", {}),
        ("popularity", {"alpha": -0.5}),
        ("popularity", {"reject": False}),
        ("log-uniform", {}),
        ("inbatch", {}),
        ("mixed", {}),
    ],
)
@pytest.mark.parametrize("count", [1, 30])
def test_the_last_item_has_its_own_probability(name: str, parameters: dict[str, Any], count: int) -> None:
    """RecStudio sets the last item's probability, and not the last cumulated one, to 1: its log q is 0."""
    users = np.concatenate([np.arange(60) % 40, 41 + np.arange(count)]).astype(np.int32)
    items = np.concatenate([np.arange(60) % LAST, np.full(count, LAST)]).astype(np.int32)
    data = Training(Interactions(users, items, 80, N_ITEMS))
    counts = np.bincount(items, minlength=N_ITEMS).astype(float)
    by_rank = np.empty(N_ITEMS)
    by_rank[np.argsort(-counts, kind="stable")] = np.diff(np.log(np.arange(1, N_ITEMS + 2))) / math.log(N_ITEMS + 1)
    weights = {
        "uniform": np.ones(N_ITEMS),
        "popularity": counts ** parameters.get("alpha", 0.75),
        "log-uniform": by_rank,
        "inbatch": counts,
        "mixed": counts / counts.sum() + 1 / N_ITEMS,
    }[name]
    user = 3
    sampler, model = make(name, data, **parameters), scorer()
    law = sampler.proposal.log_prob(torch.tensor([user]), torch.arange(N_ITEMS), model).double().exp()
    law = law.expand(1, N_ITEMS)[0].numpy()
    if sampler.proposal.reject:
        weights = np.where(np.isin(np.arange(N_ITEMS), items[users == user]), 0, weights)
        law = np.where(weights > 0, law, 0)
    assert law[LAST] == pytest.approx(weights[LAST] / weights.sum(), rel=1e-5)
    assert law.sum() == pytest.approx(1, abs=1e-5)
    if name in ("inbatch", "mixed"):
        return
    batch = Batch(torch.full((1000,), user), torch.zeros(1000, dtype=torch.int64))
    drawn = sampler.propose(batch, 100, np.random.default_rng(2), model).items
    share = law[LAST]
    assert abs(float((drawn == LAST).double().mean()) - share) < 5 * math.sqrt(share * (1 - share) / 1e5)


def test_gbce_goes_with_uniform_negatives_and_with_no_others(tmp_path: Path) -> None:
    """β is derived for uniform draws; with others it is a number without a meaning, and nothing would say so."""
    settings, mf = fill("trainer", setting_parameters(), {}), ("mf", MODELS.parameters("mf", {}))
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


# WARP


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


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"directau", "mawu", "wrmf"}))
def test_a_mask_may_be_one_column_for_all_negatives_of_a_row(name: str) -> None:
    """Samplers may say of a row, and not of each column, that it has no negatives; N must not be taken for 1 then."""
    n = ITEMS if "catalogue" in LOSSES.entry(name).facts.get("needs", []) else 7
    loss, x = example(name, n=n)
    row = torch.tensor([True] * 5 + [False])[:, None]

    def masked(valid: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(0)  # of a loss that draws
        return loss(changed(x, valid=valid, state={key: part.clone() for key, part in x.state.items()}))

    whole, short = masked(row.expand(6, n)), masked(row)
    torch.testing.assert_close(short, whole)
