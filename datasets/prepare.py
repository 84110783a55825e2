"""Leaving out: duplicates, low ratings, rare users and items, all but a sample of users; in this order."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UserError
from datasets.protocol import JSON, Protocol
from datasets.table import Table, compact


def prepare(table: Table, protocol: Protocol) -> tuple[Table, dict[str, JSON]]:
    """The table without what the protocol leaves out, renumbered, and what was dropped at each step.

    Duplicates go first (a user's last word decides), then the rating threshold, the minimum counts, the
    sample of users, and the k-core last, so that what remains is a k-core.

    Raises:
        UserError: a threshold without ratings, or nothing left.
    """
    facts: dict[str, JSON] = {"rows_read": len(table), **(table.facts or {})}
    if protocol.min_rating is not None and table.values is None:
        raise UserError("min_rating needs ratings and these data have none; leave the option out.")
    if table.part is None:
        table = _step(facts, "duplicates_dropped", table, drop_duplicates(table, protocol.duplicates))
    if protocol.min_rating is not None and table.values is not None:
        kept = table.take(table.values >= np.float32(protocol.min_rating))
        table = _step(facts, "rated_below_minimum", table, kept)
    if protocol.min_user_count or protocol.min_item_count:
        kept = table.take(_frequent(table, protocol.min_user_count, protocol.min_item_count))
        table = _step(facts, "rows_of_rare_users_and_items", table, kept)
    if protocol.sample_users:
        kept = table.take(_sampled(table, protocol.sample_users, protocol.split_seed))
        table = _step(facts, "rows_of_users_not_sampled", table, kept)
    if any(protocol.core):
        table = _step(facts, "rows_outside_k_core", table, k_core(table, *protocol.core))
    if not len(table):
        raise UserError("The preparation leaves no interactions; lower min_rating, k_core or the minimum counts.")
    return renumber(table), facts


def drop_duplicates(table: Table, rule: str) -> Table:
    """One row for each (user, item): the last or first by time, then by file order; `sum` adds the values."""
    keys = table.users.astype(np.int64) * len(table.item_ids) + table.items
    ordered = np.sort(keys)
    if not (ordered[1:] == ordered[:-1]).any():
        return table
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    change = ranked[1:] != ranked[:-1]
    starts, ends = np.concatenate([[True], change]), np.concatenate([change, [True]])
    if table.times is not None:
        repeated = np.flatnonzero(~(starts & ends))
        rows = order[repeated]
        order[repeated] = rows[np.lexsort((table.times[rows], keys[rows]))]
    if rule == "sum" and table.values is not None:
        summed = np.add.reduceat(table.values[order].astype(np.float64), np.flatnonzero(starts))
        values = table.values.copy()
        values[order[ends]] = summed
        table = replace(table, values=values)
    keep = np.zeros(len(table), dtype=bool)
    keep[order[starts if rule == "first" else ends]] = True
    return table.take(keep)


def k_core(table: Table, users: int, items: int) -> Table:
    """The largest part in which every user has `users` interactions and every item `items`."""
    while True:
        keep = _frequent(table, users, items)
        if keep.all():
            return table
        table = table.take(keep)


def renumber(table: Table) -> Table:
    """The table over the users and items that occur; listed candidates keep theirs alive."""
    users, user_ids = compact(_with(table.users, table.listed_users), table.user_ids)
    items, item_ids = compact(_with(table.items, table.listed_items), table.item_ids)
    n = len(table)
    listed = table.listed_users is not None
    return replace(
        table,
        users=users[:n],
        items=items[:n],
        user_ids=user_ids,
        item_ids=item_ids,
        listed_users=users[n:] if listed else None,
        listed_items=items[n:] if listed else None,
    )


def random_keys(seed: int, purpose: str, *codes: NDArray[Any]) -> NDArray[np.uint64]:
    """One 64-bit key per row, a fixed function of the seed, the purpose and the row's ids.

    splitmix64 (Steele, Lea, Flood, OOPSLA 2014), so that a split depends neither on the row order nor on the
    version of numpy.
    """
    state = np.full(len(codes[0]), ((seed << 32) + zlib.crc32(purpose.encode())) % 2**64, dtype=np.uint64)
    for column in codes:
        state = _mix(state ^ column.astype(np.uint64))
    return state


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = state + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _with(codes: NDArray[np.int32], more: NDArray[np.int32] | None) -> NDArray[np.int32]:
    return codes if more is None else np.concatenate([codes, more])


def _frequent(table: Table, users: int, items: int) -> NDArray[np.bool_]:
    per_user = np.bincount(table.users, minlength=len(table.user_ids)) >= users
    per_item = np.bincount(table.items, minlength=len(table.item_ids)) >= items
    keep: NDArray[np.bool_] = per_user[table.users] & per_item[table.items]
    return keep


def _sampled(table: Table, number: int, seed: int) -> NDArray[np.bool_]:
    present = np.unique(table.users)
    if number > len(present):
        raise UserError(f"sample_users is {number:,}, but only {len(present):,} users are left; give fewer, or 0.")
    chosen = np.zeros(len(table.user_ids), dtype=bool)
    chosen[present[np.argsort(random_keys(seed, "users", present), kind="stable")[:number]]] = True
    keep: NDArray[np.bool_] = chosen[table.users]
    return keep


def _step(facts: dict[str, JSON], name: str, before: Table, after: Table) -> Table:
    facts[name] = len(before) - len(after)
    return after
