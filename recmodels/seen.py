"""Which items a user has interacted with in train: fast membership, and the unseen items by rank."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datasets import Interactions
from recmodels.compiled import run

Int = NDArray[np.int64]

BITMAP_BYTES = 1 << 26  # up to this size one bit per (user, item); beyond it, one hashed bit per pair
HASHED_BITS_PER_PAIR = 16


class Seen:
    """The training items of every user.

    Membership looks up one bit. While U × I bits fit in `BITMAP_BYTES` the bit is exact; beyond that pairs share
    16 bits each of a hashed map, and the few pairs whose bit is set are confirmed by binary search, so that memory
    grows with the interactions and never with users × items.
    """

    def __init__(self, train: Interactions) -> None:
        self.n_items = train.n_items
        offsets, items = train.by_user()  # (U + 1,), (n,)
        self.offsets, self.items = offsets.astype(np.int64), items.astype(np.int64)
        self.counts: Int = np.diff(self.offsets)  # (U,)
        users = np.repeat(np.arange(train.n_users), self.counts)
        self.keys: Int = users * np.int64(self.n_items) + self.items  # ascending
        # k-th unseen item: items before a seen item that are themselves unseen, as an ascending key per user
        rank_in_row = np.arange(len(self.items)) - np.repeat(self.offsets[:-1], self.counts)
        self._unseen_before: Int = users * np.int64(self.n_items + 1) + self.items - rank_in_row
        bits = train.n_users * train.n_items
        self.exact = bits <= 8 * BITMAP_BYTES
        if not self.exact:
            bits = 1 << max(10, int(len(self.keys) * HASHED_BITS_PER_PAIR - 1).bit_length())
        self._bits = bits
        self._map = np.zeros(bits // 8 + 1, np.uint8)
        slots = self._slot(self.keys)
        np.bitwise_or.at(self._map, slots >> 3, np.uint8(1) << (slots & 7).astype(np.uint8))

    def _slot(self, keys: Int) -> Int:
        if self.exact:
            return keys
        mixed = keys.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing: the top bits are well mixed
        return (mixed >> np.uint64(65 - self._bits.bit_length())).astype(np.int64)

    def contains(self, users: Int, items: Int) -> NDArray[np.bool_]:
        """Whether each user has each item; `users` and `items` broadcast."""
        shape = np.broadcast_shapes(users.shape, items.shape)
        n = shape[-1] if users.shape[-1:] == (1,) else 1  # items of each of `owners`
        owners = np.broadcast_to(users[..., 0], shape[:-1]) if n > 1 else np.broadcast_to(users, shape)
        pairs = (np.ascontiguousarray(ids, np.int64) for ids in (owners, np.broadcast_to(items, shape)))
        hits = np.empty(shape, np.bool_)
        run("find_seen", *self.arrays, *pairs, hits, owners.size, n)
        return hits

    @property
    def arrays(self) -> tuple[NDArray[np.uint8], int, Int, Int, int]:
        """What the compiled loops know it by."""
        shift = 0 if self.exact else 65 - self._bits.bit_length()
        return self._map, shift, self.offsets, self.items, self.n_items

    def cells(self, users: Int, items: Int) -> NDArray[np.bool_]:
        """(B, N) whether each of `users` (B,) has each of `items` (N,), for less than B · N lookups."""
        rows, theirs = self.of(users)
        wanted, column = np.unique(items, return_inverse=True)
        place = np.full(self.n_items, len(wanted))  # what is not wanted goes to one more column
        place[wanted] = np.arange(len(wanted))
        table = np.zeros((len(users), len(wanted) + 1), np.bool_)
        table.reshape(-1)[rows * table.shape[1] + place[theirs]] = True
        return table.take(column, axis=1)

    def position(self, keys: Int) -> Int:
        """Where each key user · I + item stands, or would stand, among the pairs in order of user and item."""
        return np.searchsorted(self.keys, keys)

    def of(self, users: Int) -> tuple[Int, Int]:
        """Row numbers and items of all that `users` (B,) have seen, row by row: the non-zeros of a (B, I) mask."""
        counts = self.counts[users]
        rows = np.repeat(np.arange(len(users)), counts)
        starts = np.repeat(self.offsets[users] - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
        return rows, self.items[starts + np.arange(len(rows))]

    def unseen(self, users: Int, ranks: Int) -> Int:
        """The `ranks[k]`-th (from 0) of the items that `users[k]` has not seen, in order of id."""
        row_start = self.offsets[users]
        found = np.searchsorted(self._unseen_before, users * np.int64(self.n_items + 1) + ranks, side="right")
        return ranks + found - row_start
