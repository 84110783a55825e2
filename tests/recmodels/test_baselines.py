"""Baselines against dense formulas, and what each of the registry promises."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import sparse
from scipy.stats import kstest
from threadpoolctl import threadpool_info

from bench.runs.runner import Task, execute
from bench.runs.spec import Data, RunSpec, parse_cell
from datasets import Interactions
from datasets.errors import UserError
from datasets.protocol import Protocol
from datasets.source import resolve
from recmodels.contracts.baselines import ITEMS, TWINS, USERS, WARM_ITEMS, WARM_USERS, fitted, training
from recmodels.evaluation import FullRanking
from recmodels.models import BASELINES
from recmodels.sampling import Training
from recmodels.types import Scores, Tables
from tests.conftest import make_interactions

SAME_FOR_ALL = {"constant", "toppop", "recency"}


def dense(data: Training) -> NDArray[np.float64]:
    found = np.zeros((data.n_users, data.n_items))
    found[data.interactions.users, data.interactions.items] = 1
    return found


def scores(name: str, data: Training, seed: int = 0, **parameters: object) -> NDArray[np.float64]:
    found: NDArray[np.float64] = fitted(name, data, seed, **parameters).scores(torch.arange(data.n_users)).numpy()
    return found


def cut(square: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """The k largest of each row, one after the other; of equal ones the first."""
    found = np.zeros_like(square)
    for row, values in enumerate(square):
        for column in sorted(range(len(values)), key=lambda column: (-values[column], column))[:k]:
            found[row, column] = values[column]
    return found


def cosines(x: NDArray[np.float64], shrink: float) -> NDArray[np.float64]:
    n = x.sum(axis=0)
    square = x.T @ x / np.maximum(np.sqrt(np.outer(n, n)) + shrink, 1e-300)
    np.fill_diagonal(square, 0)
    return square


@pytest.mark.parametrize("shrink", [0.0, 7.5])
@pytest.mark.parametrize("k", [1, 4, 100])
def test_itemknn_scores_by_the_neighbours_of_the_target(k: int, shrink: float) -> None:
    x = dense(training())
    want = x @ cut(cosines(x, shrink), k).T
    np.testing.assert_allclose(scores("itemknn", training(), neighbours=k, shrink=shrink), want, atol=1e-12)


@pytest.mark.parametrize("shrink", [0.0, 7.5])
@pytest.mark.parametrize("k", [1, 4, 100])
def test_userknn_scores_by_the_neighbours_of_the_user(k: int, shrink: float) -> None:
    x = dense(training())
    want = cut(cosines(x.T, shrink), k) @ x
    np.testing.assert_allclose(scores("userknn", training(), neighbours=k, shrink=shrink), want, atol=1e-12)


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.0), (1.0, 0.5), (0.4, 1.2)])
def test_walks_are_products_of_the_probabilities_of_steps(
    alpha: float, beta: float, side: str, normalise: bool
) -> None:
    x = dense(training())
    to_user, to_item = x.T / x.sum(axis=0).clip(1)[:, None], x / x.sum(axis=1).clip(1)[:, None]
    walk = to_user**alpha @ to_item**alpha / x.sum(axis=0).clip(1) ** beta if alpha else None
    assert walk is not None
    np.fill_diagonal(walk, 0)
    walk = cut(walk, 5) if side == "source" else cut(walk.T, 5).T
    if normalise:
        walk /= np.maximum(walk.sum(axis=1, keepdims=True), 1e-300)
    given: dict[str, object] = {"alpha": alpha, "neighbours": 5, "cut": side, "normalise": normalise}
    np.testing.assert_allclose(scores("rp3beta", training(), beta=beta, **given), x @ walk, atol=1e-12)
    if not beta:
        np.testing.assert_allclose(scores("p3alpha", training(), **given), x @ walk, atol=1e-12)


@pytest.mark.parametrize("l2", [0.5, 300.0])
def test_ease_is_the_ridge_regression_of_each_item_on_the_others(l2: float) -> None:
    x = dense(training())
    weights = np.zeros((ITEMS, ITEMS))
    for j in range(ITEMS):
        others = np.arange(ITEMS) != j
        a = x[:, others]
        weights[others, j] = np.linalg.solve(a.T @ a + l2 * np.eye(ITEMS - 1), a.T @ x[:, j])
    np.testing.assert_allclose(scores("ease", training(), regularisation=l2), x @ weights, atol=1e-10)


def test_ease_inverts_matrices_of_several_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    once = scores("ease", training())
    monkeypatch.setattr("recmodels.baselines.ease.TILE", 6)
    np.testing.assert_array_equal(scores("ease", training()), once)


@pytest.mark.parametrize(("alpha", "l1_ratio"), [(0.01, 0.1), (0.05, 0.5), (0.02, 1.0)])
def test_slim_meets_the_conditions_of_the_optimum(alpha: float, l1_ratio: float) -> None:
    """Where a weight is above 0 the gradient is 0, elsewhere it does not point upwards (Karush, Kuhn, Tucker)."""
    x = dense(training())
    w = weights_of(fitted("slim", training(), alpha=alpha, l1_ratio=l1_ratio))
    gradient = x.T @ (x - x @ w) / USERS - alpha * (1 - l1_ratio) * w - alpha * l1_ratio
    off = ~np.eye(ITEMS, dtype=bool)
    assert (np.diagonal(w) == 0).all()
    assert (w >= 0).all()
    assert 10 < (w > 0).sum() < off.sum()
    assert np.abs(gradient[w > 0]).max() < 1e-3 * alpha
    assert gradient[off & (w == 0)].max() < 1e-3 * alpha


def weights_of(model: Scores) -> NDArray[np.float64]:
    right: Any = model.right  # type: ignore[attr-defined]
    return np.asarray(right.toarray() if sparse.issparse(right) else right)


def test_puresvd_is_the_interactions_with_the_largest_singular_values() -> None:
    u, s, v = np.linalg.svd(dense(training()))
    np.testing.assert_allclose(scores("puresvd", training()), u[:, :5] * s[:5] @ v[:5], atol=1e-10)


def test_an_iteration_of_ials_solves_users_and_then_items() -> None:
    x, l2, unobserved, nu = dense(training()), 0.02, 0.3, 0.7
    rng = np.random.default_rng(3)
    rng.normal(size=(USERS, 5))  # the users' vectors, which are solved for before they are used
    items = rng.normal(0, 0.1 / np.sqrt(5), (ITEMS, 5))

    def solved(rows: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
        found = []
        for row in rows:
            weights = others.T * (row + unobserved)
            pull = l2 * (row.sum() + unobserved * len(row)) ** nu
            found.append(np.linalg.solve(weights @ others + pull * np.eye(5), others.T @ row))
        return np.array(found)

    for _ in range(2):
        users = solved(x, items)
        items = solved(x.T, users)
    found = scores("ials", training(), 3, iterations=2, regularisation=l2, unobserved=unobserved, nu=nu)
    np.testing.assert_allclose(found, users @ items.T, atol=1e-10)


def test_toppop_counts_and_recency_halves_after_each_half_life() -> None:
    day = 86_400
    users, items = np.array([0, 1, 2, 0], np.int32), np.array([0, 0, 1, 2], np.int32)
    data = Training(Interactions(users, items, 3, 4, np.array([0, 10, 20, 30]) * day))
    np.testing.assert_array_equal(scores("toppop", data), np.tile([2, 1, 1, 0], (3, 1)))
    want = [2**-3.0 + 2**-2.0, 2**-1.0, 1, 0]
    np.testing.assert_allclose(scores("recency", data, half_life=10), np.tile(want, (3, 1)))


def test_recency_needs_times() -> None:
    with pytest.raises(UserError, match="recency needs the time of each interaction"):
        fitted("recency", Training(make_interactions()))


def test_random_scores_are_uniform_and_independent_of_user_and_block() -> None:
    data = Training(make_interactions(n_users=200, n_items=100))
    model = fitted("random", data)
    whole = model.scores(torch.arange(200)).numpy()
    assert kstest(whole.ravel(), "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(whole)[np.triu_indices(200, 1)]).max() < 0.5
    np.testing.assert_array_equal(model.scores(torch.tensor([7, 150])).numpy(), whole[[7, 150]])


def test_puresvd_refuses_more_factors_than_there_are() -> None:
    with pytest.raises(UserError, match="puresvd has at most 19 factors on 30 users and 20 items, not 64"):
        fitted("puresvd", training(), factors=64)


@pytest.mark.parametrize("name", ["ease", "slim"])
def test_a_catalogue_that_memory_cannot_hold_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 1, "SC_PAGE_SIZE": 1000}.get)
    with pytest.raises(
        MemoryError, match=rf"{name} needs 0\.0 GB for a matrix of 20 × 20 items, and there are 0\.0 GB"
    ):
        fitted(name, training())


def test_slim_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(UserError, match="slim needs scikit-learn; install it with"):
        fitted("slim", training())


@pytest.mark.parametrize("name", [name for name in BASELINES if name != "random"])
def test_cold_items_are_level_and_users_without_training_get_the_same_as_any_other(name: str) -> None:
    found = scores(name, training())
    assert (found[:, WARM_ITEMS:] == 0).all()
    for user in range(WARM_USERS, USERS):
        assert (found[user] == (found[0] if name in SAME_FOR_ALL else 0)).all()


@pytest.mark.parametrize("name", [name for name in BASELINES if name not in ("random", "recency")])
def test_items_of_the_same_users_score_alike(name: str) -> None:
    given = {"neighbours": ITEMS} if "neighbours" in BASELINES.entry(name).parameters else {}
    found, has = scores(name, training(), **given), dense(training())
    without = has[:, TWINS[0]] == 0
    assert 0 < without.sum() < USERS
    first, second = found[without][:, TWINS].T
    np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", BASELINES)
def test_nothing_of_users_times_items_is_kept_dense(name: str) -> None:
    interactions = make_interactions(n_users=120, n_items=70)
    data = Training(replace(interactions, times=np.arange(len(interactions))))
    model = fitted(name, data)
    kept = list(model) if isinstance(model, Tables) else list(vars(model).values())
    for part in kept:
        assert not hasattr(part, "shape") or sparse.issparse(part) or tuple(part.shape) != (120, 70)
    ranks = FullRanking(make_interactions(n_users=120, n_items=70, seed=1), [data.interactions]).ranks(model)
    assert (ranks.better + ranks.tied < ranks.candidates).all()


def a_run(path: object, text: str) -> Task:
    protocol = Protocol()
    data = Data(str(path), resolve(str(path)).content().sha256, protocol.as_dict())
    return Task(RunSpec(data, parse_cell(text, {}), 0), protocol, keep_embeddings=True)


def test_a_run_computes_on_its_own_threads_alone(ratings_csv: object, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def fit(data: Training) -> Tables:
        seen.extend(library["num_threads"] for library in threadpool_info())
        return Tables(*(torch.zeros(n, 0) for n in (data.n_users, data.n_items)), torch.zeros(data.n_items))

    monkeypatch.setitem(BASELINES._functions, "toppop", fit)
    assert execute(a_run(ratings_csv, "toppop")).failure is None
    assert seen
    assert set(seen) == {1}


def test_only_what_has_vectors_keeps_them(ratings_csv: object) -> None:
    assert execute(a_run(ratings_csv, "itemknn")).embeddings is None
    found = execute(a_run(ratings_csv, "puresvd:factors=3")).embeddings
    assert found is not None
    assert found["items"].shape[1] == 3


def test_what_a_baseline_refuses_is_the_reason_of_the_failed_run(ratings_csv: object) -> None:
    failure = execute(a_run(ratings_csv, "puresvd:factors=300")).failure
    assert failure is not None
    assert failure["reason"].startswith("puresvd has at most 39 factors")
