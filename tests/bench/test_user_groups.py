"""Groups of users: thirds by value, users with one value together, labels as the runs have them."""

from __future__ import annotations

import numpy as np

from bench.comparison.user_groups import user_groups
from datasets.interactions import Interactions
from datasets.protocol import Protocol
from datasets.split import Content, Split


def split(train: list[tuple[int, int]], test: list[tuple[int, int]], users: int, items: int) -> Split:
    train_part, test_part = (
        Interactions(*np.array(pairs, np.int32).reshape(-1, 2).T, users, items) for pairs in (train, test)
    )
    labels = np.array([f"u{i}" for i in range(users)])
    source = Content("toy", "0" * 64, None, "generated")
    return Split(train_part, test_part, test_part, labels, np.arange(items), source, Protocol(), {}, ())


def test_activity_counts_train_and_never_parts_users_with_one_value() -> None:
    # User u has u + 1 train interactions, but 3 and 4 have as many as 2; user 6 has no test item.
    counts = [1, 2, 3, 3, 3, 6, 7]
    train = [(user, item) for user, n in enumerate(counts) for item in range(n)]
    groups = user_groups(split(train, [(user, 9) for user in range(6)], 7, 10), "activity")
    assert {name: list(users) for name, users in groups.items()} == {
        "activity 1–2": ["u0", "u1"],
        "activity 3": ["u2", "u3", "u4"],
        "activity 6": ["u5"],
    }


def test_popularity_is_that_of_the_targets_in_train_averaged() -> None:
    train = [(0, 0), (1, 0), (2, 0), (3, 0), (0, 1), (1, 1)]
    groups = user_groups(split(train, [(0, 2), (1, 2), (2, 1), (3, 1), (3, 2), (4, 0)], 5, 3), "popularity")
    assert {name: list(users) for name, users in groups.items()} == {
        "popularity 0": ["u0", "u1"],
        "popularity 1–2": ["u2", "u3"],
        "popularity 4": ["u4"],
    }


def test_equal_users_are_one_group() -> None:
    groups = user_groups(split([(0, 0), (1, 0)], [(0, 1), (1, 1)], 2, 2), "activity")
    assert {name: list(users) for name, users in groups.items()} == {"activity 1": ["u0", "u1"]}
