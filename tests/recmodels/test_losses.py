"""Every loss against a float64 formula, finite differences, identities, extreme inputs and known public bugs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_expit, logsumexp

from datasets import Interactions
from recmodels.compatibility import held
from recmodels.losses import LOSSES
from recmodels.objective import objective
from recmodels.sampling import Scorer, Training
from recmodels.types import LOWEST, Batch, LossInput, Tables, Vectors, log_sum_exp

USERS, ITEMS, D = 5, 30, 4


def interactions(users: Any, items: Any, n_users: int = USERS, n_items: int = ITEMS) -> Interactions:
    return Interactions(np.asarray(users, np.int32), np.asarray(items, np.int32), n_users, n_items)


def training() -> Training:
    pairs = [(u, i) for u in range(USERS) for i in range(u, 3 * u + 3)]
    return Training(interactions(*zip(*pairs, strict=True)))


def lin(*shape: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape) * scale)


def example(
    name: str,
    rows: int = 6,
    n: int = 7,
    seed: int = 0,
    scale: float = 0.5,
    dtype: torch.dtype = torch.float64,
    valid: torch.Tensor | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> tuple[Callable[[LossInput], torch.Tensor], LossInput]:
    """A loss and an input for it, with scores, vectors and tables that belong together."""
    torch.manual_seed(seed)  # of what a state starts from
    chosen = LOSSES.parameters(name, {}) | dict(parameters or {})
    built = objective(name, chosen)
    generator = np.random.default_rng(seed)
    tables = Tables(lin(USERS, D, seed=seed + 1).to(dtype), lin(ITEMS, D, seed=seed + 2).to(dtype))
    users = torch.from_numpy(generator.integers(USERS, size=rows))
    positives = torch.from_numpy(generator.integers(10, size=rows))
    items = torch.from_numpy(generator.integers(10, ITEMS, size=(rows, n)))
    state = built.initial_state(training())
    for key, tensor in state.tensors.items():
        state.tensors[key] = tensor.detach().to(dtype if tensor.is_floating_point() else tensor.dtype)
    x = LossInput(
        positive=(lin(rows, seed=seed + 3) * scale).to(dtype),
        negative=(lin(rows, n, seed=seed + 4) * scale).to(dtype),
        valid=valid,
        log_q=torch.full((rows, n), -math.log(ITEMS), dtype=dtype),
        log_q_positive=torch.full((rows,), -math.log(ITEMS), dtype=dtype),
        weight=None,
        n_items=ITEMS,
        batch=Batch(users, positives),
        items=items,
        vectors=Vectors(tables.users[users], tables.items[positives], tables.items[items]),
        tables=tables,
        state=state.tensors,
        space=built.space,
    )
    return built.loss, x


def changed(x: LossInput, **changes: Any) -> LossInput:
    return LossInput(**{**vars(x), **changes})


def value(name: str, x: LossInput, **parameters: Any) -> torch.Tensor:
    result: torch.Tensor = LOSSES[name](x, **(LOSSES.parameters(name, {}) | parameters))
    return result


# float64 formulas, one row at a time: positive score, negative scores, their input and row number -> the loss
def softplus(z: Any) -> Any:
    return -log_expit(-np.asarray(z))


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


def unseen(x: LossInput, row: int) -> int:
    """I - |P_u|; the user u of `training()` has 2u + 3 items."""
    return ITEMS - (2 * int(x.batch.users[row]) + 3)


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


def test_weights_and_masks_together_count_what_is_left() -> None:
    """Equal weights over what counts are no weights."""
    _, x = example("sl", n=5)
    valid = torch.tensor([True, True, False, True, False]).expand(6, 5)
    weighted = changed(x, valid=valid, weight=valid.double() / 3)
    for name in ("sl", "infonce", "bpr", "bce", "debiased"):
        torch.testing.assert_close(value(name, weighted), value(name, changed(x, valid=valid)))


# identities


@given(rows=st.integers(1, 6), n=st.integers(1, 40), scale=st.floats(0.01, 50), seed=st.integers(0, 999))
@settings(deadline=None, max_examples=40)
def test_identity_lattice(rows: int, n: int, scale: float, seed: int) -> None:
    _, x = example("bpr", rows, n, seed, scale)
    one = changed(x, negative=x.negative[:, :1], items=x.items[:, :1])
    close = torch.testing.assert_close
    close(value("softmax", one, logq="none"), value("bpr", one))
    pairs = torch.log1p((x.negative - x.positive[:, None]).exp().sum(1)) if scale < 5 else None
    if pairs is not None:  # MixGCF's K pairs
        close(value("softmax", x, logq="none"), pairs)
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


def test_psl_with_the_exponential_would_be_sl() -> None:
    from recmodels.losses.softmax import _log_surrogate

    difference = torch.linspace(-0.9, 0.9, 19, dtype=torch.float64)
    for activation, surrogate in (("relu", lambda d: d + 1), ("tanh", lambda d: d.tanh() + 1)):
        torch.testing.assert_close(_log_surrogate(difference, activation).exp(), surrogate(difference))
    torch.testing.assert_close(_log_surrogate(difference, "atan").exp(), (difference.atan() + 1).clamp(min=1e-8))


def test_directau_ignores_the_length_of_vectors() -> None:
    _, x = example("directau")
    longer = x.vectors._replace(users=x.vectors.users * 7, positives=x.vectors.positives * 0.1)  # type: ignore[union-attr]
    torch.testing.assert_close(value("directau", changed(x, vectors=longer)), value("directau", x))


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


# the correction for the sampling law: notes of the design, reproduced


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


# float32 at the extremes

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


@pytest.mark.parametrize("name", sorted(FORMULAS))
@pytest.mark.parametrize("n", [1, 10_000])
def test_few_and_many_negatives_and_ties(name: str, n: int) -> None:
    loss, x = example(name, rows=2, n=n, dtype=torch.float32)
    tied = changed(x, positive=torch.zeros(2), negative=torch.zeros(2, n))
    assert loss(x).isfinite().all()
    assert loss(tied).isfinite().all()


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


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_masked_negatives_change_nothing(name: str) -> None:
    """Columns that do not count may hold anything; losses that depend on N see it unchanged."""
    mask = torch.tensor([True, True, False, True, False, True, True]).expand(6, 7)
    loss, x = example(name, valid=mask)
    other = changed(x, negative=torch.where(mask, x.negative, 50.0), state={k: v.clone() for k, v in x.state.items()})
    torch.testing.assert_close(loss(other), loss(x))


# bugs of public code, each as a test that our loss does not have it


def test_bpr_does_not_lose_its_gradient_at_large_margins() -> None:
    """-log(1e-10 + sigmoid(x)) has no gradient at x = -50."""
    _, x = example("bpr", dtype=torch.float32)
    positive = torch.full((6,), -50.0, requires_grad=True)
    value("bpr", changed(x, positive=positive)).sum().backward()
    torch.testing.assert_close(positive.grad, torch.full((6,), -1.0))


def test_softmax_does_not_overflow_as_bare_exponentials_do() -> None:
    _, x = example("softmax", dtype=torch.float32)
    given = changed(x, positive=torch.full((6,), 90.0), negative=torch.full((6, 7), 95.0))
    expected = 95 - LOG_NQ + math.log(7) - 90
    torch.testing.assert_close(value("softmax", given), torch.full((6,), expected), atol=1e-2, rtol=0)


def test_warp_without_a_violation_is_exactly_zero_and_masked_draws_are_no_trials() -> None:
    _, x = example("warp", rows=1, n=3)
    left = unseen(x, 0)
    safe = changed(x, positive=torch.tensor([9.0]), negative=torch.zeros(1, 3))
    assert value("warp", safe).item() == 0.0
    second = changed(x, positive=torch.tensor([2.0]), negative=torch.tensor([[0.0, 5.0, 9.0]]))
    harmonic = sum(1 / k for k in range(1, left // 2 + 1))
    assert value("warp", second).item() == pytest.approx(harmonic * 4.0, rel=1e-5)
    masked = changed(second, valid=torch.tensor([[False, True, True]]))
    assert value("warp", masked).item() == pytest.approx(sum(1 / k for k in range(1, left + 1)) * 4.0, rel=1e-5)


def test_psl_survives_a_difference_of_minus_one() -> None:
    _, x = example("psl", rows=1, n=1, dtype=torch.float32)
    leaf = torch.tensor([[-0.5]], requires_grad=True)
    loss = value("psl", changed(x, positive=torch.tensor([0.5]), negative=leaf))
    loss.sum().backward()
    assert loss.isfinite().all()
    assert leaf.grad is not None
    assert leaf.grad.isfinite().all()


def test_ccl_judges_cosines_and_not_their_sigmoids() -> None:
    """A squashed cosine is at most 0.73, so that a margin of 0.8 would never be reached."""
    assert LOSSES.entry("ccl").facts["space"] == "cosine"
    _, x = example("ccl")
    high = changed(x, negative=torch.full((6, 7), 0.9, dtype=torch.float64))
    assert (value("ccl", high, margin=0.8) > value("ccl", changed(x, negative=x.negative * 0), margin=0.8)).all()


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


def test_log_sum_exp_is_the_formula_and_its_gradient_the_shares() -> None:
    rng = np.random.default_rng(0)
    values = torch.from_numpy(rng.normal(scale=30, size=(50, 9))).requires_grad_()
    assert np.allclose(log_sum_exp(values).detach(), logsumexp(values.detach(), axis=1), rtol=1e-13)
    assert torch.autograd.gradcheck(log_sum_exp, values)
    far = torch.tensor([[LOWEST, -3e4], [0.0, 3e4], [LOWEST, LOWEST]])
    assert torch.equal(log_sum_exp(far), far.logsumexp(dim=1))


def test_weights_of_negatives_are_those_of_the_mean_and_of_the_sum() -> None:
    _, x = example("sl", n=3)
    doubled = changed(x, negative=x.negative[:, [0, 0, 1]], items=x.items[:, [0, 0, 1]])
    weighted = changed(
        x, negative=x.negative[:, :2], items=x.items[:, :2], weight=torch.tensor([2 / 3, 1 / 3]).double().expand(6, 2)
    )
    torch.testing.assert_close(value("bpr", weighted), value("bpr", doubled))
    torch.testing.assert_close(value("sl", weighted) + math.log(3 / 2), value("sl", doubled), rtol=1e-6, atol=1e-6)


def test_losses_that_cannot_use_weights_refuse_them() -> None:
    for name in FORMULAS:
        refuses = held("refuses", LOSSES.entry(name), LOSSES.parameters(name, {}))
        needs = held("needs", LOSSES.entry(name), LOSSES.parameters(name, {}))
        if "no_negatives" in needs or "weight" in refuses:
            continue
        loss, x = example(name)
        even = changed(
            x, weight=torch.full((6, 7), 1 / 7, dtype=torch.float64), state={k: v.clone() for k, v in x.state.items()}
        )
        uneven = changed(
            x,
            weight=torch.tensor([0.7, *[0.05] * 6]).double().expand(6, 7),
            state={k: v.clone() for k, v in x.state.items()},
        )
        plain = changed(x, state={k: v.clone() for k, v in x.state.items()})
        torch.testing.assert_close(loss(even), loss(plain), rtol=1e-6, atol=1e-6)
        assert not torch.allclose(loss(uneven), loss(plain)), name


# state


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


def test_cml_keeps_vectors_in_the_ball_and_mawu_its_margins_in_bounds() -> None:
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
    margins = objective("mawu", LOSSES.parameters("mawu", {})).initial_state(training())
    assert len(margins.parameters) == 2
    with torch.no_grad():
        margins.tensors["user_margin"] += 5
        margins.tensors["item_margin"] -= 5
    assert margins.after_step is not None
    margins.after_step(module)
    assert (margins.tensors["user_margin"] == 1).all()
    assert (margins.tensors["item_margin"] == 0).all()
