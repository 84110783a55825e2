"""`Table`: a file's interactions as arrays, before anything is left out or split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Labels: TypeAlias = "NDArray[Any]"
"""User or item names: int64, or fixed-width text; distinct and ascending."""

TRAIN, VALID, TEST = 0, 1, 2
FOLD_IN = 3  # what is known of users that are held out


@dataclass(frozen=True, eq=False)
class Table:
    """n interactions in file order, users and items numbered by the order of their labels.

    Attributes:
        users, items: (n,) int32 positions in `user_ids`, `item_ids`.
        user_ids, item_ids: the labels.
        times: (n,) int64 in `ticks` per second, or None.
        values: (n,) float32, or None.
        part: (n,) int8 of TRAIN, VALID, TEST, FOLD_IN where the data come split, else None.
        listed_users, listed_items: candidates that came with the data, one row per pair, or None.
        ticks: units of `times` in a second.
        facts: what the reader counted.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    user_ids: Labels
    item_ids: Labels
    times: NDArray[np.int64] | None = None
    values: NDArray[np.float32] | None = None
    part: NDArray[np.int8] | None = None
    listed_users: NDArray[np.int32] | None = None
    listed_items: NDArray[np.int32] | None = None
    ticks: int = 1
    facts: Mapping[str, int] | None = None

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: NDArray[Any]) -> Table:
        """The rows at `rows` (indices or a mask), with all labels kept."""

        def pick(array: NDArray[Any] | None) -> Any:
            return None if array is None else array[rows]

        return Table(
            self.users[rows],
            self.items[rows],
            self.user_ids,
            self.item_ids,
            pick(self.times),
            pick(self.values),
            pick(self.part),
            self.listed_users,
            self.listed_items,
            self.ticks,
            self.facts,
        )


def ticks_of(times: NDArray[np.int64]) -> int:
    """Units per second, told by the size: seconds up to the year 5138, else milli-, micro- or nanoseconds."""
    size = int(np.abs(times[:: max(1, len(times) // 1000)]).max(initial=0))
    return next((ticks for ticks in (1, 10**3, 10**6) if size <= 10**11 * ticks), 10**9)


def compact(codes: NDArray[np.int32], labels: Labels) -> tuple[NDArray[np.int32], Labels]:
    """The codes renumbered over the labels that occur, in the same order."""
    used = np.zeros(len(labels), dtype=bool)
    used[codes] = True
    if used.all():
        return codes, labels
    return (np.cumsum(used, dtype=np.int32) - np.int32(1))[codes], labels[used]
