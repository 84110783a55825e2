"""Lists rank as scores do: against full ranking by the same scores, and against a ranking written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from datasets import Interactions
from datasets.split import CandidateLists
from recmodels.evaluation import FullRanking
from recmodels.listed import Listed, listed_ranks
from recmodels.metrics import user_metrics
from recmodels.types import Tables

USERS, ITEMS = 30, 50


class Given:
    """A model whose scores are a matrix."""

    def __init__(self, scores: np.ndarray) -> None:
        self.matrix = torch.from_numpy(scores)

    def scores(self, users: torch.Tensor) -> torch.Tensor:
        return self.matrix[users].clone()


def pairs(users: list[int], items: list[int], n_users: int = USERS, n_items: int = ITEMS) -> Interactions:
    return Interactions(np.array(users, np.int32), np.array(items, np.int32), n_users, n_items)


def case(relevant: int, seed: int = 0) -> tuple[Interactions, Interactions, np.ndarray]:
    """Held-out items, seen items, and scores with many ties."""
    rng = np.random.default_rng(seed)
    test, train = [], []
    for user in range(USERS - 3):  # three users are not tested
        drawn = rng.choice(ITEMS, relevant + 6, replace=False)
        test += [(user, item) for item in drawn[:relevant]]
        train += [(user, item) for item in drawn[relevant:]]
    scores = rng.integers(0, 12, (USERS, ITEMS)).astype(np.float32)
    return pairs(*map(list, zip(*test, strict=True))), pairs(*map(list, zip(*train, strict=True))), scores


def ranked(
    test: Interactions, train: Interactions, rows: tuple[np.ndarray, ...], only: CandidateLists | None = None
) -> Listed:
    return listed_ranks(test, [train], only, *rows)


@pytest.mark.parametrize("relevant", [1, 3])
def test_scores_of_all_items_rank_as_the_model_does_whatever_is_seen(relevant: int) -> None:
    test, train, scores = case(relevant)
    expected = FullRanking(test, [train]).ranks(Given(scores))
    users, items = np.divmod(np.random.default_rng(1).permutation(USERS * ITEMS), ITEMS)
    found = ranked(test, train, (users, items, scores[users, items].astype(np.float64)))
    for column, other in zip(found.ranks, expected, strict=True):
        np.testing.assert_array_equal(column, other)
    assert (found.depth, found.without, found.shorter) == (None, 0, 0)
    assert (found.dropped, found.untested) == (len(train), 3 * ITEMS)


@pytest.mark.parametrize("relevant", [1, 3])
@pytest.mark.parametrize("depth", [4, 10])
def test_the_top_of_a_ranking_tells_its_metrics_down_to_the_end_of_the_list(relevant: int, depth: int) -> None:
    test, train, scores = case(relevant)
    ranking = FullRanking(test, [train])
    parts = list(ranking.top(Given(scores), depth))
    found = ranked(test, train, tuple(np.concatenate(part) for part in zip(*parts, strict=True)))
    assert found.depth is not None
    assert found.depth >= depth
    cutoffs = list(range(1, depth + 1))
    _, expected = user_metrics(ranking.ranks(Given(scores)), cutoffs)
    for name, values in user_metrics(found.ranks, cutoffs)[1].items():
        np.testing.assert_array_equal(values, expected[name])


def test_the_top_is_what_sorting_by_hand_gives() -> None:
    test, train, scores = case(1)
    chunks = list(FullRanking(test, [train]).top(Given(scores), 5))
    users, items, values = (np.concatenate(part) for part in zip(*chunks, strict=True))
    for user in range(USERS - 3):
        seen = set(train.items[train.users == user].tolist())
        left = sorted((-scores[user, item], item) for item in range(ITEMS) if item not in seen)
        by_hand = [(item, -minus) for minus, item in left if minus <= left[4][0]]
        mine = users == user
        assert list(zip(items[mine].tolist(), values[mine].tolist(), strict=True)) == by_hand


def test_a_list_by_hand() -> None:
    """User 0 likes 4: seen 1 is dropped, 2 and 4 are level; user 1 likes 3, which is not listed; user 2 has no list."""
    test, train = pairs([0, 1, 2], [4, 3, 0], 4, 6), pairs([0, 1, 2, 3], [1, 0, 5, 2], 4, 6)
    users = np.array([0, 0, 0, 0, 1, 1, 1, 3])
    items = np.array([1, 5, 2, 4, 2, 1, 4, 2])
    scores = np.array([9.0, 8, 3, 3, 0.5, 0.2, -1, 7])
    found = ranked(test, train, (users, items, scores))
    assert found.ranks.better.tolist() == [1, 4, 4]  # five items are ranked for each: 4 is the last place
    assert found.ranks.tied.tolist() == [1, 0, 0]
    assert found.ranks.candidates.tolist() == [5, 5, 5]
    assert found == (found.ranks, 4, 1, 1, 1, 1, 1, 4)


def test_a_cut_off_list_tells_no_more_than_what_is_left_of_it() -> None:
    """The longest lists have three items; of user 0's two were seen, so that the second place is not known."""
    test, train = pairs([0, 1], [9, 9], 2, 10), pairs([0, 0, 1], [0, 1, 5], 2, 10)
    rows = (np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 2, 9, 2, 3]), np.array([3.0, 2, 1, 3, 2, 1]))
    found = ranked(test, train, rows)
    assert (found.depth, found.shallow, found.dropped) == (1, 0, 2)
    assert user_metrics(found.ranks, [1])[1]["hr@1"].tolist() == [0.0, 1.0]


def test_with_candidates_nothing_else_is_ranked() -> None:
    test, train = pairs([0], [3], 1, 8), pairs([0], [0], 1, 8)
    only = CandidateLists(np.array([0, 3]), np.array([1, 2, 6], np.int32))
    rows = (np.zeros(5, np.int64), np.array([7, 5, 1, 3, 2]), np.array([5.0, 4, 3, 2, 1]))
    found = ranked(test, train, rows, only)
    assert (found.ranks.better.tolist(), found.ranks.candidates.tolist(), found.dropped) == ([1], [4], 2)


def test_a_held_out_item_is_ranked_though_it_was_seen_too() -> None:
    test, train = pairs([0], [3], 1, 5), pairs([0, 0], [3, 4], 1, 5)
    rows = (np.zeros(2, np.int64), np.array([3, 1]), np.array([2.0, 1.0]))
    found = ranked(test, train, rows)
    full = FullRanking(test, [train]).ranks(Tables(torch.ones(1, 1), torch.tensor([[0.0], [1], [0], [2], [0]])))
    assert (found.ranks.better.tolist(), found.dropped) == ([0], 0)
    assert found.ranks.candidates.tolist() == full.candidates.tolist()
