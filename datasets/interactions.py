"""`Interactions`: who interacted with what, as validated 0-based arrays."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int32]


def distinct(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """The distinct keys, ascending; by sorting, where `np.unique` hashes and takes minutes for 25 million."""
    ordered = np.sort(keys)
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])] if len(ordered) else ordered


@dataclass(frozen=True, eq=False)
class Interactions:
    """Interactions over one id space, in file order unless a split says otherwise.

    Attributes:
        users: (n,) int32, each in [0, n_users).
        items: (n,) int32, each in [0, n_items).
        n_users: size U of the user id space, which may exceed the users present.
        n_items: size I of the catalogue, which may exceed the items present.
        times: (n,) int64 seconds since the epoch, or None where the source has no time.
        values: (n,) float32 ratings or weights, or None.

    Raises:
        ValueError: lengths differ, or an id lies outside its range.

    Example:
        >>> users, items = np.array([0, 0, 1], np.int32), np.array([2, 3, 3], np.int32)
        >>> found = Interactions(users, items, n_users=2, n_items=4)
        >>> len(found)
        3
    """

    users: IntArray
    items: IntArray
    n_users: int
    n_items: int
    times: NDArray[np.int64] | None = None
    values: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        n = len(self.users)
        for name, array, dtype in (
            ("users", self.users, np.int32),
            ("items", self.items, np.int32),
            ("times", self.times, np.int64),
            ("values", self.values, np.float32),
        ):
            if array is None:
                continue
            if array.shape != (n,) or array.dtype != dtype:
                raise ValueError(f"{name} must be ({n},) {np.dtype(dtype).name}, not {array.shape} {array.dtype.name}.")
        for name, array, size in (("users", self.users, self.n_users), ("items", self.items, self.n_items)):
            if n and (array.min() < 0 or array.max() >= size):
                raise ValueError(f"{name} must lie in [0, {size}), but range from {array.min()} to {array.max()}.")

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Interactions:
        """The interactions at `rows` (indices or a mask), over the same id space.

        Example:
            >>> found.take(found.users == 0).items.tolist()
            [2, 3]
        """
        return Interactions(
            self.users[rows],
            self.items[rows],
            self.n_users,
            self.n_items,
            None if self.times is None else self.times[rows],
            None if self.values is None else self.values[rows],
        )

    def joined(self, other: Interactions) -> Interactions:
        """These and then the `other` ones, over the same id space; times and values where both have them.

        Example:
            >>> len(found.joined(found.take(np.array([0]))))
            4
        """
        if (self.n_users, self.n_items) != (other.n_users, other.n_items):
            raise ValueError("interactions over two id spaces cannot be joined.")
        times = None if self.times is None or other.times is None else np.concatenate([self.times, other.times])
        values = None if self.values is None or other.values is None else np.concatenate([self.values, other.values])
        users, items = (np.concatenate(pair) for pair in ((self.users, other.users), (self.items, other.items)))
        return Interactions(users, items, self.n_users, self.n_items, times, values)

    def by_user(self) -> tuple[NDArray[np.int64], IntArray]:
        """Compressed rows: `offsets` (U + 1,) and the distinct items of each user, ascending.

        User u's items are `items[offsets[u]:offsets[u + 1]]`.

        Example:
            >>> offsets, items = found.by_user()
            >>> offsets.tolist(), items.tolist()
            ([0, 2, 3], [2, 3, 3])
        """
        keys = distinct(self.users.astype(np.int64) * self.n_items + self.items)
        counts = np.bincount(keys // self.n_items, minlength=self.n_users)
        return np.concatenate([[0], np.cumsum(counts)]), (keys % self.n_items).astype(np.int32)

    def item_counts(self) -> NDArray[np.int64]:
        """(I,) number of interactions of each item.

        Example:
            >>> found.item_counts().tolist()
            [0, 0, 1, 2]
        """
        return np.bincount(self.items, minlength=self.n_items)

    def sha256(self) -> str:
        """Hex digest of the content: sizes, ids, times and values.

        Example:
            >>> found.sha256() == found.take(np.arange(3)).sha256()
            True
        """
        digest = hashlib.sha256(f"{self.n_users} {self.n_items}".encode())
        for array in (self.users, self.items, self.times, self.values):
            digest.update(b"-" if array is None else np.ascontiguousarray(array).data)
        return digest.hexdigest()
