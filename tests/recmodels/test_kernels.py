"""Each compiled loop beside a plain sum in float64, and to the bit where an order is promised."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from recmodels.compiled import SIGNATURES, run
from recmodels.kernels import LANES, LOOPS

SHAPES = [(5, 3, 64), (4, 1, 70), (3, 2, 7), (1, 4, 16), (6, 2, 1), (0, 3, 8), (3, 0, 8)]
"""Rows, pairs of each and size of a vector: of whole lanes, with some over, of less than one, and nothing to do."""


def case(rows: int, n: int, size: int) -> tuple[Any, ...]:
    """Two tables, and rows of them, with repetitions."""
    rng = np.random.default_rng(rows + n + size)
    users, items = (rng.standard_normal((count, size), dtype=np.float32) for count in (4, 3))
    return users, rng.integers(4, size=rows), items, rng.integers(3, size=(rows, n))


def close(found: Any, wanted: Any) -> None:
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_every_loop_has_a_signature() -> None:
    assert set(LOOPS) == set(SIGNATURES)


@pytest.mark.parametrize(("rows", "n", "size"), SHAPES)
def test_pair_dots(rows: int, n: int, size: int) -> None:
    users, owners, items, ids = case(rows, n, size)
    dots = np.full((rows, n), np.nan, np.float32)
    run("pair_dots", users, owners, items, ids, dots, rows, n, size)
    close(dots, (users.astype(float)[owners][:, None] * items.astype(float)[ids]).sum(axis=2))


def test_a_dot_product_is_added_up_in_the_order_that_is_promised() -> None:
    users, owners, items, ids = case(6, 5, 3 * LANES + 2)
    dots = np.empty((6, 5), np.float32)
    run("pair_dots", users, owners, items, ids, dots, 6, 5, 3 * LANES + 2)
    products = users[owners][:, None] * items[ids]
    lanes = (products[..., :LANES] + products[..., LANES : 2 * LANES]) + products[..., 2 * LANES : 3 * LANES]
    while lanes.shape[-1] > 1:
        half = lanes.shape[-1] // 2
        lanes = lanes[..., :half] + lanes[..., half:]
    assert np.array_equal(dots, (lanes[..., 0] + products[..., -2]) + products[..., -1])


@pytest.mark.parametrize(("rows", "n", "size"), SHAPES)
@pytest.mark.parametrize("l2", [(0.0, 0.0), (0.3, 0.2)])
def test_add_pairs(rows: int, n: int, size: int, l2: tuple[float, float]) -> None:
    users, owners, items, ids = case(rows, n, size)
    slopes = np.random.default_rng(0).standard_normal((rows, n), dtype=np.float32)
    of_users, of_items = (np.ones((count, size), np.float32) for count in (5, 4))
    run("add_pairs", users, owners, items, ids, slopes, of_users, owners + 1, of_items, ids + 1, *l2, rows, n, size)
    of_user, of_item = np.ones((5, size)), np.ones((4, size))
    for b, owner in enumerate(owners):
        of_user[owner + 1] += l2[0] * users[owner]
        for j, item in enumerate(ids[b]):
            of_user[owner + 1] += slopes[b, j] * items[item].astype(float)
            of_item[item + 1] += slopes[b, j] * users[owner].astype(float) + l2[1] * items[item]
    close(of_users, of_user)
    close(of_items, of_item)


def test_add_lists_and_rows() -> None:
    rng = np.random.default_rng(0)
    terms, weights = rng.standard_normal((3, 5), dtype=np.float32), rng.standard_normal(4, dtype=np.float32)
    starts, ids = np.array([0, 3, 3, 4]), np.array([2, 0, 2, 1])
    sums, rows = np.zeros((3, 5), np.float32), np.zeros((3, 5), np.float32)
    run("add_lists", terms, starts, ids, weights, sums, 3, 5)
    close(sums, [weights[1] * terms[0], weights[3] * terms[2], (weights[0] + weights[2]) * terms[0]])
    run("add_rows", terms, np.array([1, 0, 1]), rows, 3, 5)
    close(rows, [terms[1], terms[0] + terms[2], np.zeros(5)])


def test_rivals_are_counted_within_the_row() -> None:
    scores = np.array([[1, 5, 3, 3, 9], [3, 3, -np.inf, 0, 3]], np.float32)
    rows, own = np.array([0, 1, 1, 0]), np.array([3, 3, 0, 9], np.float32)
    better, level = np.empty(4, np.int64), np.empty(4, np.int64)
    run("count_rivals", scores, rows, own, better, level, 4, 5)
    assert better.tolist() == [2, 0, 3, 0]
    assert level.tolist() == [2, 3, 1, 1]


def test_counts_and_shares() -> None:
    shares, sums = np.zeros(4, np.float32), np.ones((4, 3), np.float32)
    run("add_count", np.array([3, 0, 3, 3]), 0.5, shares, 4)
    assert shares.tolist() == [0.5, 0.0, 0.0, 1.5]
    table = np.arange(12, dtype=np.float32).reshape(4, 3)
    table[1] = np.nan  # has no share
    run("add_shares", table, shares, sums, 4, 3)
    assert sums.tolist() == [[1.0, 1.5, 2.0], [1.0] * 3, [1.0] * 3, [14.5, 16.0, 17.5]]


@pytest.mark.parametrize("decay", [0.0, 0.2])
def test_adam_is_that_of_pytorch(decay: float) -> None:
    torch.manual_seed(0)
    theirs = torch.nn.Parameter(torch.randn(37))
    ours, means, squares = theirs.detach().clone(), torch.zeros(37), torch.zeros(37)
    optimizer = torch.optim.Adam([theirs], lr=0.03, betas=(0.8, 0.95), weight_decay=decay)
    for step in range(1, 5):
        gradient = torch.randn(37) * 10.0**-step
        theirs.grad = gradient.clone()
        optimizer.step()
        scaled, root = 0.03 / (1 - 0.8**step), (1 - 0.95**step) ** -0.5
        run("adam", ours, gradient, means, squares, scaled, root, 0.8, 0.95, 1e-8, decay, 37)
        assert not gradient.any()
        torch.testing.assert_close(ours, theirs.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_draws_are_one_number_a_try_until_the_numbers_end(weighted: bool) -> None:
    """A user who has seen half of the items, and one who has seen all and is left to another way after five tries."""
    rng, n_items = np.random.default_rng(3), 8
    offsets, known = np.array([0, 4, 12]), np.array([0, 2, 4, 6, *range(8)])
    bits = np.packbits([[1, 0] * 4, [1] * 8], bitorder="little")
    keep, alias = rng.random(n_items), rng.integers(n_items, size=n_items)
    raw = rng.bit_generator.random_raw(40)
    wanted: list[int] = []
    tried = 0
    for number in raw.tolist():
        scaled = (number >> 11) / 2**53 * n_items
        item = int(alias[int(scaled)]) if weighted and scaled % 1 >= keep[int(scaled)] else int(scaled)
        tried += 1
        user = len(wanted) // 3
        if (user == 0 and item % 2) or tried == 5:
            wanted.append(item if user == 0 and item % 2 else -1)
            tried = 0
        if len(wanted) == 6:
            break
    items, state = np.full((2, 3), -2), np.zeros(3, np.int64)
    law = keep, alias, int(weighted), bits, 0, offsets, known, n_items
    for part in (raw[:4], raw[4:]):
        run("draw_unseen", part, len(part), 5, *law, np.array([0, 1]), items, state, 2, 3)
    assert items.ravel().tolist() == wanted
    assert state[0] == 6
