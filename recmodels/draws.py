"""Draws of items that users have not seen, exactly from a law restricted to them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from recmodels.compiled import run
from recmodels.seen import Int, Seen
from recmodels.types import Candidates

BLOCK = 1 << 16  # draws made at a time, so that what is in hand stays in the cache
REDRAWS = (4, 16, 64)  # rounds of rejection after the first draw, and how many draws each offers at once
MOST_REDRAWS = 1 << 22  # in one round
OFFERED, MOST_TRIES = 1.2, 64  # random numbers at a time, for each draw; and for one draw, before the exact way


def draw_unseen(seen: Seen, users: Int, n: int, draw: Callable[[Int], Int], exact: Callable[[Int], Int]) -> Candidates:
    """(B, n) draws from a law restricted to the items each user has not seen, exactly.

    What hits a seen item is drawn again, a few rounds long; what is left then (users who have seen almost everything)
    is drawn from the restricted law directly. Both give the same law, so the mixture does.

    Args:
        seen: the items to avoid.
        users: (B,) row owners.
        n: draws per row.
        draw: (k,) rows -> (k,) draws from their unrestricted laws.
        exact: (k,) rows -> (k,) draws from their restricted laws; -1 where nothing is left to draw.
    """
    grid = np.empty((len(users), n), np.int64)
    step = max(1, BLOCK // n)
    for start in range(0, len(users), step):
        rows = np.arange(start, min(start + step, len(users))).repeat(n)
        grid[start : start + step] = _draw_block(seen, users, rows, draw, exact).reshape(-1, n)
    return drawn_in_order(grid)


def draw_fixed(
    seen: Seen,
    users: Int,
    n: int,
    rng: np.random.Generator,
    exact: Callable[[Int], Int],
    table: tuple[NDArray[np.float64], Int] | None = None,
) -> Candidates:
    """`draw_unseen` for a law that is the same for all users, in a compiled loop.

    Args:
        seen: as for `draw_unseen`; so are the next two.
        users: see seen.
        n: see seen.
        rng: draws.
        exact: as for `draw_unseen`; what draws from a user's law after so many rejections.
        table: of the alias method; none for the same probability of all.
    """
    grid = np.empty((len(users), n), np.int64)
    keep, alias = (np.empty(0), np.empty(0, np.int64)) if table is None else table
    law = keep, alias, int(table is not None), *seen.arrays
    step = max(1, BLOCK // n)
    for start in range(0, len(users), step):
        part, owners, state = grid[start : start + step], users[start : start + step], np.zeros(3, np.int64)
        while state[0] < part.size:
            raw = rng.bit_generator.random_raw(int((part.size - state[0]) * OFFERED) + 1)
            run("draw_unseen", raw, len(raw), MOST_TRIES, *law, owners, part, state, len(owners), n)
    left = np.flatnonzero(grid < 0)
    if left.size:
        grid.reshape(-1)[left] = exact(left // n)
    return drawn_in_order(grid)


def drawn_in_order(grid: Int) -> Candidates:
    """Independent draws (B, N); -1 where there was nothing to draw."""
    invalid = grid < 0
    if not invalid.any():
        return Candidates(torch.from_numpy(grid), ordered=True)
    grid[invalid] = 0
    return Candidates(torch.from_numpy(grid), valid=torch.from_numpy(~invalid), ordered=True)


def _draw_block(seen: Seen, users: Int, rows: Int, draw: Callable[[Int], Int], exact: Callable[[Int], Int]) -> Int:
    """One draw for each of `rows`."""
    items = draw(rows)
    owners = users[rows[0] : rows[-1] + 1, None]
    todo = np.flatnonzero(seen.contains(owners, items.reshape(len(owners), -1)))
    for offered in REDRAWS:
        if not todo.size:
            return items
        offered = min(offered, max(1, MOST_REDRAWS // todo.size))
        again = rows[todo].repeat(offered)
        drawn = draw(again)
        free = ~seen.contains(users[again], drawn).reshape(-1, offered)
        first = free.argmax(axis=1)  # the first that is free, as one draw after the other would have found it
        each = np.arange(len(todo))
        items[todo] = drawn.reshape(-1, offered)[each, first]
        todo = todo[~free[each, first]]
    if todo.size:
        items[todo] = exact(rows[todo])
    return items
