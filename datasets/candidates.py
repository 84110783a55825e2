"""Candidate lists: the few items ranked per test user where full ranking is not wanted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UserError
from datasets.interactions import distinct
from datasets.prepare import random_keys
from datasets.protocol import JSON, Protocol
from datasets.split import CandidateLists, Part
from datasets.table import TEST, Table


def candidate_lists(table: Table, part: Part, protocol: Protocol, facts: dict[str, JSON]) -> CandidateLists | None:
    """The lists the protocol asks for, or None for full ranking.

    `sampled:N` draws N items without replacement, uniformly among those the user has no interaction with in any
    part. `given` takes the lists that came with the data; a user's own test item among them is taken out and
    the users concerned are counted.

    Raises:
        UserError: no lists came with the data, or fewer than N items are left for some user.
    """
    if protocol.candidates == "full":
        return None
    tested = np.unique(table.users[part == TEST])
    if protocol.sampled is not None:
        return _sampled(table, tested, protocol.sampled, protocol.split_seed)
    if table.listed_users is None or table.listed_items is None:
        raise UserError("These data come without candidate lists; use full ranking, or sampled:99.")
    n_items = len(table.item_ids)
    listed = distinct(table.listed_users.astype(np.int64) * n_items + table.listed_items)
    held_out = table.users[part == TEST].astype(np.int64) * n_items + table.items[part == TEST]
    own = np.isin(listed, held_out)
    facts["users_with_own_test_item_among_candidates"] = len(np.unique(listed[own] // n_items))
    listed = listed[~own & np.isin(listed // n_items, tested)]
    sizes = np.bincount(listed // n_items, minlength=len(table.user_ids))
    if not sizes[tested].all():
        raise UserError(
            f"{(sizes[tested] == 0).sum():,} test users have no candidate list; add one for each, or use full ranking."
        )
    return CandidateLists(np.concatenate([[0], np.cumsum(sizes)]), (listed % n_items).astype(np.int32))


def _sampled(table: Table, tested: NDArray[np.int32], number: int, seed: int) -> CandidateLists:
    """N distinct unseen items per test user: draws by key, seen ones and repeats struck out, until all are full."""
    n_items = len(table.item_ids)
    seen = distinct(table.users.astype(np.int64) * n_items + table.items)
    left = n_items - np.bincount(seen // n_items, minlength=len(table.user_ids))
    if left[tested].min() < number:
        raise UserError(
            f"sampled:{number} needs {number} items a user has not seen, but one user has {left[tested].min()} "
            "left; give a smaller number, or use full ranking."
        )
    chosen = np.empty(0, dtype=np.int64)
    lacking = np.full(len(tested), number)
    for turn in range(1_000_000):
        users = np.repeat(tested.astype(np.int64), lacking)
        draw = np.arange(len(users))
        keys = random_keys(seed, f"candidates {turn}", users, draw)
        fresh = distinct(users * n_items + (keys % np.uint64(n_items)).astype(np.int64))
        at = np.minimum(np.searchsorted(seen, fresh), len(seen) - 1)
        chosen = distinct(np.concatenate([chosen, fresh[seen[at] != fresh]]))
        sizes = np.bincount(chosen // n_items, minlength=len(table.user_ids))
        lacking = number - sizes[tested]
        if not lacking.any():
            break
    return CandidateLists(np.concatenate([[0], np.cumsum(sizes)]), (chosen % n_items).astype(np.int32))
