"""Lines of a user and what belongs to it: sequences, adjacency lists, NCF's candidates."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from datasets.errors import UserError
from datasets.table import Table


def from_labels(users: list[int], items: list[int]) -> Table:
    """Pairs of whole-number labels as a `Table`."""
    user_ids, user_codes = np.unique(np.asarray(users, np.int64), return_inverse=True)
    item_ids, item_codes = np.unique(np.asarray(items, np.int64), return_inverse=True)
    return Table(user_codes.astype(np.int32), item_codes.astype(np.int32), user_ids, item_ids)


def read_sequences(path: Path) -> Table:
    """A user and all its items in each line, by blanks; a user without items adds nothing.

    Raises:
        UserError: something that is no whole number, with its line, or no item at all.
    """
    users: list[int] = []
    items: list[int] = []
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            try:
                user, *own = map(int, line.split()) if line.strip() else (0,)
            except ValueError as error:
                raise UserError(
                    f"{path.name} has a word that is no whole number in line {number}; each line needs a user and its "
                    "items, as in '3 17 4 25'."
                ) from error
            users += [user] * len(own)
            items += own
    return _filled(path, users, items)


def read_lists(path: Path) -> Table:
    """NCF's candidates: `(user,item)` and the user's negatives, by tabs; the pair's own item is not one of them.

    Raises:
        UserError: another line, with its number, or no candidate at all.
    """
    users: list[int] = []
    items: list[int] = []
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            head, *negatives = line.split()
            try:
                items += map(int, negatives)
                users += [int(head.strip("()").partition(",")[0])] * len(negatives)
            except ValueError as error:
                raise UserError(
                    f"{path.name} has another line than '(user,item)', tab, candidates in line {number}; write whole "
                    "numbers, as in '(3,17)\\t4\\t25'."
                ) from error
    return _filled(path, users, items)


def _filled(path: Path, users: list[int], items: list[int]) -> Table:
    if not users:
        raise UserError(f"{path.name} has no interactions; give a file with a user and its items in each line.")
    try:
        return from_labels(users, items)
    except OverflowError as error:
        raise UserError(f"{path.name} has a number of more than 63 bits; number users and items anew.") from error
