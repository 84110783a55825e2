"""Ranks and metrics against a brute force, an independent library and what arithmetic says."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score, top_k_accuracy_score

from datasets import Interactions
from datasets.split import CandidateLists
from recmodels import evaluation
from recmodels.evaluation import Diverged, FullRanking
from recmodels.metrics import METRICS, Ranks, user_metrics
from recmodels.models import BASELINES
from recmodels.sampling import Training
from recmodels.types import Tables
from tests.conftest import make_interactions


def part(pairs: list[tuple[int, int]], n_users: int, n_items: int) -> Interactions:
    users, items = (np.array([pair[k] for pair in pairs], np.int32) for k in (0, 1))
    return Interactions(users, items, n_users, n_items)


def tables_for(scores: np.ndarray) -> Tables:
    """Tables whose scores are exactly `scores` (U, I)."""
    return Tables(torch.eye(len(scores)), torch.from_numpy(scores.T.astype(np.float32)).contiguous())


def by_hand(order: list[int], relevant: set[int], k: int) -> dict[str, float]:
    """Metrics of one ordered list, straight from the definitions."""
    places = [place for place, item in enumerate(order, start=1) if item in relevant and place <= k]
    ideal = sum(1 / np.log2(place + 1) for place in range(1, min(k, len(relevant)) + 1))
    return {
        "hr": float(bool(places)),
        "ndcg": sum(1 / np.log2(place + 1) for place in places) / ideal,
        "mrr": 1 / places[0] if places else 0.0,
        "recall": len(places) / len(relevant),
    }


def brute_force(scores: np.ndarray, candidates: list[int], relevant: set[int], k: int) -> dict[str, float]:
    """Mean over every order of the candidates that the scores allow."""
    orders = [order for order in permutations(candidates) if all(scores[a] >= scores[b] for a, b in pairwise(order))]
    each = [by_hand(list(order), relevant, k) for order in orders]
    return {name: float(np.mean([values[name] for values in each])) for name in METRICS}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_metrics_are_the_expectation_over_all_orders_that_the_scores_allow(data: st.DataObject) -> None:
    n_items = data.draw(st.integers(2, 6))
    scores = np.array([data.draw(st.lists(st.integers(0, 2), min_size=n_items, max_size=n_items))], float)
    items = data.draw(st.permutations(range(n_items)))
    n_relevant = data.draw(st.integers(1, n_items))
    n_known = data.draw(st.integers(0, n_items - n_relevant))
    relevant, known = items[:n_relevant], items[n_relevant : n_relevant + n_known]
    candidates = [item for item in range(n_items) if item not in known]
    ranking = FullRanking(part([(0, i) for i in relevant], 1, n_items), [part([(0, i) for i in known], 1, n_items)])
    ranks = ranking.ranks(tables_for(scores))
    assert (ranks.candidates == len(candidates)).all()
    for k in (1, 2, 3, 10):
        _, values = user_metrics(ranks, [k])
        for name, expected in brute_force(scores[0], candidates, set(relevant), k).items():
            assert values[f"{name}@{k}"][0] == pytest.approx(expected, abs=1e-12), (name, k)


def test_single_and_several_relevant_items_take_the_same_ranks() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 5, (30, 50)).astype(float)
    held = [(u, int(rng.integers(50))) for u in range(30)]
    known = [part([(u, (i + 1) % 50) for u, i in held], 30, 50)]
    single = FullRanking(part(held, 30, 50), known).ranks(tables_for(scores))
    several = FullRanking(part([*held, (0, (held[0][1] + 2) % 50)], 30, 50), known).ranks(tables_for(scores))
    keep = ~((several.users == 0) & (several.items == (held[0][1] + 2) % 50))
    for name in ("users", "items", "better", "tied", "candidates"):
        np.testing.assert_array_equal(getattr(single, name), getattr(several, name)[keep])


@pytest.mark.parametrize("each", [1, 3])
def test_ranks_are_counted_sorted_and_taken_in_double_precision_alike(
    each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(each)
    scores = rng.integers(0, 9, (40, 70)).astype(float)
    held = [(user, int(item)) for user in range(40) for item in rng.choice(70, each, replace=False)]
    ranking = FullRanking(part(held, 40, 70), [part([(u, (i + 1) % 70) for u, i in held], 40, 70)])
    double = Tables(*(table.double() for table in tables_for(scores)[:2]))
    found = [ranking.ranks(tables_for(scores)), ranking.ranks(double)]
    monkeypatch.setattr(evaluation, "COUNTED", 0)
    found.append(ranking.ranks(tables_for(scores)))
    for name in Ranks._fields:
        for other in found[1:]:
            np.testing.assert_array_equal(getattr(found[0], name), getattr(other, name))


@pytest.mark.parametrize("levels", [4, 1000])
def test_ndcg_and_hit_rate_equal_scikit_learn(levels: int) -> None:
    rng = np.random.default_rng(levels)
    scores = rng.integers(0, levels, (200, 40)).astype(float)  # 4 levels: every score is tied with others
    relevant = np.zeros((200, 40), int)
    for row in relevant:
        row[rng.choice(40, rng.integers(1, 6), replace=False)] = 1
    held = [(int(u), int(i)) for u, i in np.argwhere(relevant)]
    _, values = user_metrics(FullRanking(part(held, 200, 40), []).ranks(tables_for(scores)), [3, 10])
    for k in (3, 10):
        theirs = [ndcg_score([truth], [row], k=k) for truth, row in zip(relevant, scores, strict=True)]
        np.testing.assert_allclose(values[f"ndcg@{k}"], theirs, atol=1e-12)
    distinct = rng.permuted(np.tile(np.arange(40.0), (200, 1)), axis=1)
    target = rng.integers(0, 40, 200)
    ranking = FullRanking(part(list(enumerate(target.tolist())), 200, 40), [])
    _, values = user_metrics(ranking.ranks(tables_for(distinct)), [10])
    assert values["hr@10"].mean() == top_k_accuracy_score(target, distinct, k=10, labels=np.arange(40))


def test_textbook_numbers() -> None:
    ranks = Ranks(*(np.array(x) for x in ([0, 1, 2], [5, 5, 5], [0, 2, 10], [0, 0, 0], [50, 50, 50])))
    _, values = user_metrics(ranks, [10])
    np.testing.assert_allclose(values["ndcg@10"], [1.0, 0.5, 0.0])
    np.testing.assert_allclose(values["mrr@10"], [1.0, 1 / 3, 0.0])
    np.testing.assert_allclose(values["hr@10"], [1.0, 1.0, 0.0])


def test_a_constant_model_scores_like_chance() -> None:
    data = make_interactions()
    train, test = data.take(np.arange(len(data)) % 12 != 0), data.take(np.arange(len(data)) % 12 == 0)
    ranks = FullRanking(test, [train]).ranks(BASELINES["constant"](Training(train)))
    _, values = user_metrics(ranks, [5])
    owners, start = np.unique(ranks.users, return_index=True)
    assert len(owners) == len(values["recall@5"])
    np.testing.assert_allclose(values["recall@5"], 5 / ranks.candidates[start])


def test_popularity_ranks_by_training_counts() -> None:
    data = make_interactions()
    train, test = data.take(np.arange(len(data)) % 12 != 0), data.take(np.arange(len(data)) % 12 == 0)
    ranks = FullRanking(test, [train]).ranks(BASELINES["toppop"](Training(train)))
    counts = train.item_counts()
    offsets, items = train.by_user()
    for user, item, better, tied in zip(*ranks[:4], strict=True):
        rivals = np.setdiff1d(np.arange(data.n_items), items[offsets[user] : offsets[user + 1]])
        rivals = rivals[rivals != item]
        assert better == (counts[rivals] > counts[item]).sum()
        assert tied == (counts[rivals] == counts[item]).sum()


def test_ranking_follows_items_when_they_are_renamed() -> None:
    rng = np.random.default_rng(1)
    scores, rename = rng.normal(size=(8, 20)), rng.permutation(20)
    held = [(u, int(rng.integers(20))) for u in range(8)]
    first = FullRanking(part(held, 8, 20), []).ranks(tables_for(scores))
    renamed = np.empty_like(scores)
    renamed[:, rename] = scores
    second = FullRanking(part([(u, int(rename[i])) for u, i in held], 8, 20), []).ranks(tables_for(renamed))
    np.testing.assert_array_equal(first.better, second.better)


def test_a_relevant_item_that_was_seen_before_is_still_ranked() -> None:
    pair = part([(0, 1)], 1, 4)
    ranks = FullRanking(pair, [part([(0, 1), (0, 2)], 1, 4)]).ranks(tables_for(np.array([[3.0, 2.0, 9.0, 1.0]])))
    assert (ranks.better.tolist(), ranks.candidates.tolist()) == ([1], [3])


def test_scores_that_are_not_finite_are_refused() -> None:
    with pytest.raises(Diverged):
        FullRanking(part([(0, 1)], 1, 3), []).ranks(tables_for(np.array([[1.0, np.nan, 0.0]])))


def test_nobody_to_rank_gives_no_rows() -> None:
    ranks = FullRanking(part([], 3, 4), []).ranks(tables_for(np.zeros((3, 4))))
    assert all(len(column) == 0 for column in ranks)


def test_given_candidates_are_the_only_rivals() -> None:
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(6, 30))
    held = [(u, u) for u in range(6)]
    lists = [rng.choice(np.arange(6, 30), size, replace=False) for size in (0, 3, 9, 9, 9, 24)]
    offsets = np.concatenate([[0], np.cumsum([len(each) for each in lists])])
    only = CandidateLists(offsets, np.concatenate([np.sort(each) for each in lists]).astype(np.int32))
    ranks = FullRanking(part(held, 6, 30), [part([(0, 7)], 6, 30)], only).ranks(tables_for(scores))
    scores = scores.astype(np.float32)
    assert ranks.better.tolist() == [int((scores[u, each] > scores[u, u]).sum()) for u, each in enumerate(lists)]
    assert ranks.candidates.tolist() == [len(each) + 1 for each in lists]
