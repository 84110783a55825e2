"""Every loss against a float64 formula, finite differences, identities, masks, weights and extreme inputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_expit, logsumexp

from recmodels.losses import LOSSES
from recmodels.objective import objective
from recmodels.types import Batch, LossInput, Tables, Vectors
from tests.loss_cases import (
    ITEMS,
    USERS,
    changed,
    example,
    softplus,
    training,
    unseen,
    value,
)


def _directau(p: float, n: Any, x: LossInput, row: int) -> float:
    def spread(vectors: torch.Tensor) -> float:
        unit = vectors.numpy() / np.linalg.norm(vectors.numpy(), axis=1, keepdims=True)
        pairs = [(a, b) for a in range(len(unit)) for b in range(a)]
        return math.log(np.mean([math.exp(-2 * ((unit[a] - unit[b]) ** 2).sum()) for a, b in pairs]))

    u, v = (side[row].numpy() / np.linalg.norm(side[row]) for side in (x.vectors.users, x.vectors.positives))  # type: ignore[union-attr]
    return float(((u - v) ** 2).sum() + 0.25 * (spread(x.vectors.users) + spread(x.vectors.positives)))  # type: ignore[union-attr]


def _mawu(p: float, n: Any, x: LossInput, row: int) -> float:
    def spread(vectors: torch.Tensor) -> float:
        unit = vectors.numpy() / np.linalg.norm(vectors.numpy(), axis=1, keepdims=True)
        rows = range(len(unit))
        cells = [math.exp(-2 * ((unit[a] - unit[b]) ** 2).sum()) if b < a else math.exp(-4) for a in rows for b in rows]
        return math.log(np.mean(cells))

    u, v = (side[row].numpy() / np.linalg.norm(side[row]) for side in (x.vectors.users, x.vectors.positives))  # type: ignore[union-attr]
    angle = min(math.acos(u @ v) + 0.5, math.pi)
    return -math.cos(angle) + 0.5 * spread(x.vectors.users) + 0.5 * spread(x.vectors.positives)  # type: ignore[union-attr]


def _wrmf(p: float, n: Any, x: LossInput, row: int) -> float:
    user = int(x.batch.users[row])
    every = (x.tables.items @ x.tables.users[user]).numpy()  # type: ignore[union-attr]
    count = int(training().seen.counts[user])
    return float((1 - p) ** 2 + 0.1 / count * (every**2).sum())


def _lambdarank(p: float, n: Any, x: LossInput, row: int) -> float:
    every = (x.tables.items @ x.tables.users[x.batch.users[row]]).numpy()  # type: ignore[union-attr]

    def gain(item: int) -> float:
        return 1 / math.log2(1 + 1 + int((every > every[item]).sum()))

    own = gain(int(x.batch.positives[row]))
    weights = np.array([abs(own - gain(int(item))) for item in x.items[row]])
    return float(np.mean(weights * softplus(n - p)))


def _warp(p: float, n: Any, x: LossInput, row: int) -> float:
    for trial, score in enumerate(n, start=1):
        if score > p - 1:
            return sum(1 / k for k in range(1, unseen(x, row) // trial + 1)) * (1 + score - p)
    return 0.0


def _bsl(p: float, n: Any, x: LossInput, row: int) -> float:
    own = x.positive[x.batch.users == x.batch.users[row]].numpy()
    return float(1.06 * math.log(np.mean(np.exp(n / 0.17))) - math.log(np.mean(np.exp(own / 0.17))))


def _debiased(p: float, n: Any, x: LossInput, row: int) -> float:
    sums = (np.sum(np.exp(n / 0.2)) - 0.001 * len(n) * math.exp(p / 0.2)) / 0.999
    return math.log(1 + max(sums, len(n) * math.exp(-1 / 0.2)) * math.exp(-p / 0.2))


def _sogclr(p: float, n: Any, x: LossInput, row: int) -> float:
    means = np.mean(np.exp(x.negative.detach().numpy() / 0.2), axis=1)
    of_user = (x.batch.users == x.batch.users[row]).numpy()  # nobody has been seen before
    return float(-p / 0.2 + means[row] / np.mean(means[of_user]))


def _advinfonce(p: float, n: Any, x: LossInput, row: int) -> float:
    adversary = x.state["adversary_items"][x.items[row]] @ x.state["adversary_users"][x.batch.users[row]]
    weighed = np.log(64 * 7) + np.log(_share(adversary.numpy())) + n / 0.1
    return float(logsumexp([p / 0.1, *weighed]) - p / 0.1)


def _llpauc(p: float, n: Any, x: LossInput, row: int) -> float:
    """At a = 1, b = γ = 0 and the others .5."""
    above = -((expit(p) - 1) ** 2) + 2 * expit(p) - 0.5
    below = expit(n) ** 2 + 2 * expit(n) - 0.5
    return float(1 - softplus(5 * above) / 5 / 0.7 + np.mean(softplus(5 * below)) / 5 / 0.1)


def _adap_tau(p: float, n: Any, x: LossInput, row: int) -> float:
    """Users 1 to 4 of `training` have more than the fewest items, 5 + 7 + 9 + 11 of 4 · ITEMS pairs."""
    weight = math.log(0.5 * 4 * ITEMS / 32) / 0.7
    return float(logsumexp(weight * n) - weight * p)


def _bc(p: float, n: Any, x: LossInput, row: int) -> float:
    user = x.state["user_popularity"][x.state["user_class"][x.batch.users[row]]].numpy()
    own, others = (
        x.state["item_popularity"][x.state["item_class"][ids]].numpy() for ids in (x.batch.positives[row], x.items[row])
    )
    angle = math.acos(max(1e-7 - 1, min(1 - 1e-7, p))) + 1 - expit(user @ own)
    cosines = [user @ item / np.linalg.norm(user) / np.linalg.norm(item) / 0.1 for item in (own, *others)]
    main = logsumexp([math.cos(angle) / 0.07, *(n / 0.07)]) - math.cos(angle) / 0.07
    return float(0.5 * main + 0.5 * (logsumexp(cosines) - cosines[0]))


def _lambdaloss(p: float, n: Any, x: LossInput, row: int) -> float:
    every = (x.tables.items @ x.tables.users[x.batch.users[row]]).numpy()  # type: ignore[union-attr]
    own, *others = (1 + int((every > every[int(i)]).sum()) for i in (x.batch.positives[row], *x.items[row]))
    gaps = np.array([max(1, abs(own - rank)) for rank in others])
    return float(np.mean((1 / np.log2(1 + gaps) - 1 / np.log2(2 + gaps)) * softplus(n - p)))


def _share(n: Any) -> Any:
    return np.exp(n - logsumexp(n))


LOG_NQ = math.log(7 / ITEMS)
FORMULAS: dict[str, Callable[[float, Any, LossInput, int], float]] = {
    "bpr": lambda p, n, x, row: np.mean(softplus(n - p)),
    "bce": lambda p, n, x, row: softplus(-p) + np.sum(softplus(n)),
    "infonce": lambda p, n, x, row: logsumexp([p / 0.2, *(n / 0.2)]) - p / 0.2,
    "gbce": lambda p, n, x, row: (0.25 + 0.75 * 7 / 29) * softplus(-p) + np.sum(softplus(n)),
    "nce": lambda p, n, x, row: softplus(-(p - LOG_NQ)) + np.sum(softplus(n - LOG_NQ)),
    "hinge": lambda p, n, x, row: np.mean(np.maximum(0, 1 + n - p)),
    "top1": lambda p, n, x, row: np.mean(expit(n - p) + expit(n**2)),
    "ccl": lambda p, n, x, row: max(0, 1 - p) + 10 * np.mean(np.maximum(0, n - 0.5)),
    "cml": lambda p, n, x, row: math.log(1 + ITEMS * np.mean(n > p - 1.5)) * max(0, 1.5 + max(n) - p),
    "softmax": lambda p, n, x, row: math.log(math.exp(p) + np.sum(np.exp(n - LOG_NQ))) - p,
    "sl": lambda p, n, x, row: math.log(np.sum(np.exp((n - p) / 0.2))),
    "psl": lambda p, n, x, row: math.log(np.sum(np.maximum(n - p + 1, 1e-8) ** 10)),
    "sl-at-k": lambda p, n, x, row: expit(p / 3) * logsumexp((n - p) / 0.2),
    "bpr-max": lambda p, n, x, row: -math.log(np.sum(_share(n) * expit(p - n))) + np.sum(_share(n) * n**2),
    "top1-max": lambda p, n, x, row: np.sum(_share(n) * (expit(n - p) + expit(n**2))),
    "sogclr": _sogclr,
    "bsl": _bsl,
    "debiased": _debiased,
    "simce": lambda p, n, x, row: max(0, 5 - p + max(n)),
    "talos": lambda p, n, x, row: logsumexp(log_expit(n) / 0.2) - log_expit(p) / 0.2,
    "advinfonce": _advinfonce,
    "llpauc": _llpauc,
    "adap-tau": _adap_tau,
    "bc": _bc,
    "lambdaloss": _lambdaloss,
    "directau": _directau,
    "lambdarank": _lambdarank,
    "mawu": _mawu,
    "warp": _warp,
    "wrmf": _wrmf,
}


def test_every_loss_has_a_formula_and_there_are_at_least_twenty() -> None:
    """Those that take no scores of negatives but the catalogue are in test_buckets.py."""
    assert set(FORMULAS) == set(LOSSES) - {"sce", "rece"}
    assert len(FORMULAS) >= 20


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_a_loss_is_its_formula(name: str) -> None:
    loss, x = example(name)
    expected = [FORMULAS[name](float(x.positive[b]), x.negative[b].numpy(), x, b) for b in range(len(x.positive))]
    np.testing.assert_allclose(loss(x).detach(), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", sorted(set(FORMULAS) - {"bpr"}))
def test_a_loss_is_not_bpr(name: str) -> None:
    loss, x = example(name)
    assert not torch.allclose(loss(x).detach(), value("bpr", x), rtol=1e-3)


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    loss, x = example(name, rows=3, n=4, seed=3)
    if name == "sogclr":
        pytest.skip("its gradient is by design not that of its value; the vectors have it")
    state = {key: tensor.clone() for key, tensor in x.state.items()}

    def of(positive: Any, negative: Any, users: Any, own: Any, tables: Any) -> torch.Tensor:
        vectors = Vectors(users, own, x.vectors.negatives)  # type: ignore[union-attr]
        encoded = Tables(x.tables.users, tables)  # type: ignore[union-attr]
        given = changed(x, positive=positive, negative=negative, vectors=vectors, tables=encoded, state=dict(state))
        return loss(given)

    parts = (x.positive, x.negative, x.vectors.users, x.vectors.positives, x.tables.items)  # type: ignore[union-attr]
    needs = objective(name, LOSSES.parameters(name, {})).needs
    used = (True, True, "vectors" in needs, "vectors" in needs, name == "wrmf")
    inputs = tuple(part.clone().requires_grad_(use) for part, use in zip(parts, used, strict=True))
    assert torch.autograd.gradcheck(of, inputs)


EXTREMES = st.sampled_from([0.0, 1.0, -1.0, 88.0, -88.0, 104.0, 1e4, -1e4])


@pytest.mark.parametrize("name", sorted(FORMULAS))
@given(
    positive=EXTREMES,
    negatives=st.lists(EXTREMES, min_size=1, max_size=6),
    masked=st.sampled_from(["none", "first", "all"]),
)
@settings(deadline=None, max_examples=25)
def test_values_and_gradients_are_finite_for_any_finite_score(
    name: str, positive: float, negatives: list[float], masked: str
) -> None:
    n = len(negatives)
    mask = {"none": None, "first": torch.arange(n) > 0, "all": torch.zeros(n, dtype=torch.bool)}[masked]
    valid = None if mask is None else mask.expand(2, n)
    loss, x = example(name, rows=2, n=n, dtype=torch.float32, valid=valid)
    x = changed(
        x,
        positive=torch.full((2,), positive, requires_grad=True),
        negative=torch.tensor([negatives, negatives], requires_grad=True),
    )
    values = loss(x)
    assert values.dtype == torch.float32
    assert values.isfinite().all()
    if values.requires_grad:
        values.sum().backward()
        for leaf in (x.positive, x.negative):
            assert leaf.grad is None or leaf.grad.isfinite().all()
        if mask is not None and x.negative.grad is not None:
            assert (x.negative.grad[:, ~mask] == 0).all()  # what does not count does not learn


PAIRED = sorted(set(FORMULAS) - {"bce", "gbce", "nce", "ccl", "directau", "mawu", "wrmf"})


@pytest.mark.parametrize("name", PAIRED)
def test_a_row_without_negatives_gives_no_loss_and_no_gradient(name: str) -> None:
    loss, x = example(name, valid=torch.zeros(6, 7, dtype=torch.bool))
    x = changed(x, positive=x.positive.requires_grad_())
    values = loss(x)
    assert (values == 0).all()
    if values.requires_grad:
        gradient = torch.autograd.grad(values.sum(), x.positive, allow_unused=True)[0]
        assert gradient is None or (gradient == 0).all()


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


def test_weights_of_negatives_are_those_of_the_mean_and_of_the_sum() -> None:
    _, x = example("sl", n=3)
    doubled = changed(x, negative=x.negative[:, [0, 0, 1]], items=x.items[:, [0, 0, 1]])
    weighted = changed(
        x, negative=x.negative[:, :2], items=x.items[:, :2], weight=torch.tensor([2 / 3, 1 / 3]).double().expand(6, 2)
    )
    torch.testing.assert_close(value("bpr", weighted), value("bpr", doubled))
    torch.testing.assert_close(value("sl", weighted) + math.log(3 / 2), value("sl", doubled), rtol=1e-6, atol=1e-6)


def test_weights_and_masks_together_count_what_is_left() -> None:
    """Equal weights over what counts are no weights."""
    _, x = example("sl", n=5)
    valid = torch.tensor([True, True, False, True, False]).expand(6, 5)
    weighted = changed(x, valid=valid, weight=valid.double() / 3)
    for name in ("sl", "infonce", "bpr", "bce", "debiased"):
        torch.testing.assert_close(value(name, weighted), value(name, changed(x, valid=valid)))


@given(rows=st.integers(1, 6), n=st.integers(1, 40), scale=st.floats(0.01, 50), seed=st.integers(0, 999))
@settings(deadline=None, max_examples=40)
def test_identity_lattice(rows: int, n: int, scale: float, seed: int) -> None:
    _, x = example("bpr", rows, n, seed, scale)
    one = changed(x, negative=x.negative[:, :1], items=x.items[:, :1])
    close = torch.testing.assert_close
    close(value("softmax", one, logq="none"), value("bpr", one))
    close(value("softmax", x, logq="none", include_positive=False, temperature=0.2), value("sl", x))
    close(value("gbce", x, calibration=0.0), value("bce", x, counting="sum"))
    rate = changed(x, n_items=n + 1)
    close(value("gbce", rate, calibration=1.0), value("bce", x, counting="sum"))
    for tau, own in ((0.2, 0.2), (0.3, 0.7)):
        paper = value("bsl", x, form="paper", temperature=tau, positive_temperature=own)
        close(paper, tau / own * value("sl", x, temperature=tau))
    close(value("bsl", x, form="reweight", temperature=0.2, negative_weight=1.0), value("sl", x))
    close(value("bsl", x, form="single", temperature=0.2), value("sl", x) - math.log(n))
    alone = changed(x, batch=Batch(torch.arange(rows), x.batch.positives))
    close(value("bsl", alone), value("bsl", x, form="reweight") - 1.06 * math.log(n))
    if scale < 0.3:  # cosines
        close(value("debiased", x, prior=0.0), value("infonce", x))
    pairs_of_dots = value("softmax", x, logq="none", temperature=0.3)
    close(value("infonce", x, temperature=0.3), pairs_of_dots)
    state = {"quantile": torch.zeros(USERS, dtype=torch.float64)}
    close(value("sl-at-k", changed(x, state=state), weight_temperature=1e12), 0.5 * value("sl", x))
    tied = changed(x, negative=x.negative[:, :1].expand(-1, n))
    close(value("bpr-max", tied, regularization=0.0), value("bpr", tied))
    close(value("top1-max", tied), value("top1", tied))
    first = changed(x, negative=x.negative[:, :1])
    excess = (1 + first.negative[:, 0] - x.positive).relu()
    ranks = torch.tensor([float(unseen(x, row)) for row in range(rows)]).double()
    counted = changed(first, state=example("warp", rows, n)[1].state)
    close(value("warp", counted, rank_weight="log"), ranks.log() * excess)
    shifted = changed(x, log_q=x.log_q + 3.0, log_q_positive=x.log_q_positive + 3.0)
    close(value("softmax", shifted, logq="both"), value("softmax", x, logq="both"))
    assert not torch.allclose(value("softmax", shifted), value("softmax", x), rtol=1e-6, atol=1e-12) or scale > 5
