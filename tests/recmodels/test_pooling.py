"""Sums over lists of rows, and what lists hold."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from datasets import Interactions
from recmodels.gradients import row_gradient
from recmodels.pooling import Histories, Lists, softmax_in_lists, weighted_sums

STARTS = [0, 3, 3, 4, 8]  # the second list is empty
IDS = [5, 0, 5, 2, 1, 1, 6, 0]


def lists() -> Lists:
    return Lists(torch.tensor(IDS), torch.tensor(STARTS))


@pytest.mark.parametrize("by_row", [False, True])
def test_sums_and_their_gradients_are_those_of_a_dense_matrix(by_row: bool) -> None:
    rng = torch.Generator().manual_seed(0)
    table = torch.randn(9, 3, dtype=torch.float64, generator=rng, requires_grad=True)
    weights = torch.randn(len(IDS), dtype=torch.float64, generator=rng, requires_grad=True)
    pull = torch.randn(4, 3, dtype=torch.float64, generator=rng)
    found = weighted_sums(table, lists(), weights, by_row)
    parts = [weights[a:b] @ table[IDS[a:b]] for a, b in pairwise(STARTS)]
    torch.testing.assert_close(found, torch.stack(parts))
    expected = torch.autograd.grad((torch.stack(parts) * pull).sum(), [table, weights])
    mine = torch.autograd.grad((found * pull).sum(), [table, weights])
    assert mine[0].is_sparse == by_row
    torch.testing.assert_close(mine[0].to_dense(), expected[0])
    torch.testing.assert_close(mine[1], expected[1])


def test_gradients_by_row_that_come_together_stay_in_order_and_each_row_once() -> None:
    table = torch.nn.Parameter(torch.ones(9, 2))
    for ids in ([7, 2], [2, 0, 8], [5]):
        starts = torch.tensor([0, len(ids)])
        weighted_sums(table, Lists(torch.tensor(ids), starts), torch.ones(len(ids)), True).sum().backward()
    rows, values = row_gradient(table.grad)  # type: ignore[arg-type]
    assert rows.tolist() == [0, 2, 5, 7, 8]
    assert values[:, 0].tolist() == [1, 2, 1, 1, 1]


def test_a_softmax_is_within_its_list() -> None:
    values = torch.tensor([900.0, 0, 899, 3, 1, 2, 3, 4], dtype=torch.float64, requires_grad=True)
    found = softmax_in_lists(values, lists())
    expected = torch.cat([values[a:b].softmax(dim=0) for a, b in pairwise(STARTS)])
    torch.testing.assert_close(found, expected)
    pull = torch.arange(8.0, dtype=torch.float64)
    ours, theirs = (torch.autograd.grad((x * pull).sum(), values, retain_graph=True)[0] for x in (found, expected))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    ("times", "length", "expected"),
    [
        ([30, 10, 5, 20, 10], None, [[3, 0, 1], [], [4, 2]]),
        ([30, 10, 5, 20, 10], 2, [[0, 1], [], [4, 2]]),
        ([30, 10, 5, 20, 10], 1, [[1], [], [2]]),
        (None, 2, [[3, 0], [], [4, 2]]),
    ],
)
def test_a_history_is_the_last_of_a_user_by_time_or_else_in_the_file(
    times: list[int] | None, length: int | None, expected: list[list[int]]
) -> None:
    """User 0 has 1 at 30, 3 at 5 and 0 at 20; user 2 has 4 and then 2 at the same time."""
    users, items = [0, 2, 0, 0, 2], [1, 4, 3, 0, 2]
    known = Interactions(
        np.array(users, np.int32), np.array(items, np.int32), 3, 5, None if times is None else np.array(times, np.int64)
    )
    ids, starts = Histories(known, length).of(np.arange(3))
    assert [ids[a:b].tolist() for a, b in pairwise(starts)] == expected


def test_lists_are_those_of_the_users_that_are_asked_for_without_what_is_left_out() -> None:
    known = Interactions(np.array([0, 0, 1, 1, 2], np.int32), np.array([3, 1, 1, 2, 4], np.int32), 3, 5)
    ids, starts = Histories(known, None).of(np.array([2, 0, 0, 1]), np.array([4, 1, 2, 1]))
    assert (ids.tolist(), starts.tolist()) == ([3, 3, 1, 2], [0, 0, 1, 3, 4])
