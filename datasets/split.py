"""Splitting: which interactions train, which validate, which test, and what that costs in leakage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UserError
from datasets.features import Features
from datasets.interactions import Interactions
from datasets.prepare import random_keys
from datasets.protocol import JSON, Protocol
from datasets.table import FOLD_IN, TEST, TRAIN, VALID, Labels, Table

Part = NDArray[np.int8]


@dataclass(frozen=True)
class Content:
    """Which content a data set has.

    Attributes:
        name: the data set's name, or the file's name without its folder.
        sha256: of the content; see `datasets.catalog.Entry.identity` for data sets of several files.
        verified: whether the content is the official one; None for a file of the user's own.
        source: what served it: an address, `mirror`, a wheel, `file NAME`, `generated`, `cache`.
        columns: how the file was said to be read, a part of the data's identity; usually empty.
        reading: a line on what a file of the user's own was read as; not a part of its identity.

    Example:
        >>> Content("ratings.csv", "0" * 64, None, "file ratings.csv").columns
        ''
    """

    name: str
    sha256: str
    verified: bool | None
    source: str
    columns: str = ""
    reading: str = ""


@dataclass(frozen=True, eq=False)
class CandidateLists:
    """The negatives each test user is ranked against, without the user's own test items.

    User u's are `items[offsets[u]:offsets[u + 1]]`, ascending; users without a test item have none.

    Example:
        >>> lists = CandidateLists(np.array([0, 2, 3]), np.array([4, 8, 1], np.int32))
        >>> lists.items[lists.offsets[0] : lists.offsets[1]].tolist()
        [4, 8]
    """

    offsets: NDArray[np.int64]
    items: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Split:
    """Train, validation and test interactions over one id space.

    Attributes:
        train, valid, test: disjoint sets of (user, item) pairs.
        user_ids, item_ids: (U,), (I,) labels, int64 or fixed-width text.
        source: which data.
        protocol: the protocol in force (with split `given` where the data come split).
        facts: counts of what was read, dropped and split, and the measured leakage.
        warnings: sentences to print with every result.
        candidates: the lists to rank instead of the whole catalogue, or None for full ranking.
        negatives: distinct pairs that users are known not to want, in no part; None where nothing gives any.
        fold_in: what rankings may know of the users of validation and test, where these are not trained on (`strong`);
            else None.
        ordered: whether times, or else the order of the rows, say what came first.
        features: what describes the items, for models that read it; None where no file gives any.

    Example:
        >>> from datasets import load
        >>> split = load("synthetic:users=200,items=100,density=0.1")
        >>> split.train.n_items == len(split.item_ids), len(split.valid) == len(split.test)
        (True, True)
    """

    train: Interactions
    valid: Interactions
    test: Interactions
    user_ids: Labels
    item_ids: Labels
    source: Content
    protocol: Protocol
    facts: dict[str, JSON]
    warnings: tuple[str, ...]
    candidates: CandidateLists | None = None
    negatives: Interactions | None = None
    fold_in: Interactions | None = None
    ordered: bool = True
    features: Features | None = None


def assign(table: Table, protocol: Protocol) -> tuple[Part, dict[str, JSON]]:
    """(n,) the part of each interaction, and what was counted on the way; -1 marks rows left out.

    Raises:
        UserError: the split needs what the data do not have, or leaves no test part.
    """
    options, facts = protocol.split_options, dict[str, JSON]()
    seed = protocol.split_seed
    match protocol.split_name:
        case "leave-last-one-out":
            order = by_time(table)
            part = _leave_one_out(table, order)
            if table.times is not None:
                facts["users_with_tied_last_time"] = _tied_last(table, order)
        case "leave-random-one-out":
            part = _leave_one_out(table, at_random(table, seed, "split"))
        case "ratio":
            timed = options["order"] == "time"
            order = by_time(table) if timed else at_random(table, seed, "split")
            down = options["rounding"] == "down"
            part = _shares(table, order, float(options["test"]), float(options["valid"]), down=down)
        case "global-time":
            part = _global_time(table, float(options["test"]), float(options["valid"]))
            if options["cold"] == "drop":
                facts["held_out_rows_of_users_without_training"] = _drop_cold_users(table, part)
            if options["target"] != "all":
                facts["held_out_rows_that_are_no_target"] = _drop_all_but(table, part, str(options["target"]), seed)
        case "strong":
            order = by_time(table) if options["order"] == "time" else at_random(table, seed, "split")
            test, valid, fold_in = (float(options[name]) for name in ("test", "valid", "fold_in"))
            part = _strong(table, order, test, valid, fold_in, seed)
        case _:
            part = _given(table, options["valid"], seed, facts)
    if not (part == TEST).any():
        raise UserError(
            f"The split {protocol.split} leaves nothing to test on: {len(table.user_ids):,} users, "
            f"{len(table):,} interactions, and no user with enough of them; give more data or another split."
        )
    return part, facts


def by_time(table: Table) -> NDArray[np.intp]:
    """Rows grouped by user, oldest first; equal times, or all of them without times, keep the file's order."""
    if table.times is None:
        return np.argsort(table.users, kind="stable")
    first = int(table.times.min())
    span = int(table.times.max()) - first + 1
    if span * len(table.user_ids) < 2**63:  # one sort of a combined key takes less than half of two sorts
        return np.argsort(table.users.astype(np.int64) * span + (table.times - first), kind="stable")
    return np.lexsort((table.times, table.users))


def at_random(table: Table, seed: int, purpose: str) -> NDArray[np.intp]:
    """Rows grouped by user, shuffled within each user by a key of the seed, the user and the item.

    User and key share 64 bits, so that one sort does; two keys of a user agree in the rest once in 2^32 or less.
    """
    bits = np.uint64(min(32, len(table.user_ids).bit_length()))
    keys = random_keys(seed, purpose, table.users, table.items) >> bits
    return np.argsort(keys | table.users.astype(np.uint64) << (np.uint64(64) - bits), kind="stable")


def _leave_one_out(table: Table, order: NDArray[np.intp]) -> Part:
    """Each user's last row tests, the one before validates; users with fewer than 3 rows only train."""
    from_end, size = _places(table, order)
    part = np.zeros(len(table), dtype=np.int8)
    enough = size >= 3
    part[order[enough & (from_end == 0)]] = TEST
    part[order[enough & (from_end == 1)]] = VALID
    return part


def _shares(table: Table, order: NDArray[np.intp], test: float, valid: float, *, down: bool = False) -> Part:
    """Each user's last `test` share tests, the `valid` share before it validates, rounded half up.

    With `down` they are rounded down; what is then nothing is one row, for test first, while train keeps one.
    """
    from_end, size = _places(table, order)
    if down:
        n_test, n_valid = np.floor(size * test), np.floor(size * valid)
        n_test += (n_test == 0) & (test > 0) & (size - n_valid > 1)
        n_valid += (n_valid == 0) & (valid > 0) & (size - n_test > 1)
    else:
        n_test = np.minimum(np.floor(size * test + 0.5), size - 1)
        n_valid = np.minimum(np.floor(size * valid + 0.5), size - 1 - n_test)
    part = np.zeros(len(table), dtype=np.int8)
    part[order[from_end < n_test + n_valid]] = VALID
    part[order[from_end < n_test]] = TEST
    return part


def _strong(table: Table, order: NDArray[np.intp], test: float, valid: float, fold_in: float, seed: int) -> Part:
    """Shares of the users test and validate, of each the first `fold_in` share of rows being known, the rest held out.

    Shares are rounded half up; of a held-out user one row at least is known and one held out, so that users with a
    single row train (Marlin, 2004; Liang, Krishnan, Hoffman, Jebara, WWW 2018).

    Raises:
        UserError: nobody is left to train on.
    """
    users = np.flatnonzero(np.bincount(table.users, minlength=len(table.user_ids)) >= 2)
    users = users[np.argsort(random_keys(seed, "strong", users), kind="stable")]
    n_test, n_valid = (int(np.floor(len(table.user_ids) * share + 0.5)) for share in (test, valid))
    if n_test + n_valid >= len(table.user_ids):
        raise UserError(
            f"A strong split of {len(table.user_ids)} users with test={test:g},valid={valid:g} leaves nobody to train "
            "on; give more data or smaller shares."
        )
    of_user = np.full(len(table.user_ids), TRAIN, dtype=np.int8)
    of_user[users[:n_test]] = TEST
    of_user[users[n_test : n_test + n_valid]] = VALID
    part = of_user[table.users]
    from_end, size = _places(table, order)
    known = np.clip(np.floor(size * fold_in + 0.5), 1, size - 1)
    part[order[(size - from_end <= known) & (part[order] != TRAIN)]] = FOLD_IN
    return part


def _global_time(table: Table, test: float, valid: float) -> Part:
    """Two moments cut all interactions; every test time is later than every validation and training time."""
    if table.times is None:
        raise UserError("A global-time split needs times and these data have none; use ratio or leave-random-one-out.")
    ordered = np.sort(table.times)
    n = len(ordered)
    until_test = ordered[max(0, int(np.ceil(n * (1 - test))) - 1)]
    until_valid = ordered[max(0, int(np.ceil(n * (1 - test - valid))) - 1)]
    part = np.zeros(len(table), dtype=np.int8)
    part[table.times > until_valid] = VALID
    part[table.times > until_test] = TEST
    return part


def _drop_cold_users(table: Table, part: Part) -> int:
    trained = np.bincount(table.users[part == TRAIN], minlength=len(table.user_ids)) > 0
    cold = (part != TRAIN) & ~trained[table.users]
    part[cold] = -1
    return int(cold.sum())


def _drop_all_but(table: Table, part: Part, target: str, seed: int) -> int:
    """Leave each user one row of validation and one of test: the `first`, the `last` or a `random` one; count the rest.

    Gusak, Volodkevich, Klenitskiy, Vasilev, Frolov, RecSys 2025, compare such targets.
    """
    order = at_random(table, seed, "target") if target == "random" else by_time(table)
    before = part.copy()
    for held in (VALID, TEST):
        rows = order[before[order] == held]
        users = table.users[rows]
        ends = np.ones(len(rows), dtype=bool)
        differs = users[1:] != users[:-1]
        ends[slice(None, -1) if target == "last" else slice(1, None)] = differs
        part[rows[~ends]] = -1
    return int((part != before).sum())


def _given(table: Table, valid: str | float, seed: int, facts: dict[str, JSON]) -> Part:
    """The parts as they came; repeats within a part and held-out pairs that are also known are left out.

    Without a validation part one is carved from train: each user's last row where there are times, else a
    random tenth of each user's rows; `valid=last` and `valid=SHARE` choose. Where users are held out none is.

    Raises:
        UserError: the data do not come split, or a user that is held out is trained on or has nothing that is known.
    """
    if table.part is None:
        raise UserError("These data have no ready split; give a folder with train.* and test.*, or another split.")
    part = table.part.copy()
    keys = table.users.astype(np.int64) * len(table.item_ids) + table.items
    known_first = np.array([TRAIN, VALID + 1, TEST + 1, 1])[part]
    order = np.lexsort((known_first, keys))
    repeat = np.concatenate([[False], keys[order][1:] == keys[order][:-1]])
    earlier = np.concatenate([[False], part[order][1:] != part[order][:-1]])
    facts["duplicates_dropped"] = int((repeat & ~earlier).sum())
    facts["held_out_pairs_also_trained_on"] = int((repeat & earlier).sum())
    part[order[repeat]] = -1
    if (part == FOLD_IN).any():
        _check_held_out(table, part)
    elif not (part == VALID).any():
        rows = np.flatnonzero(part == TRAIN)
        train = table.take(rows)
        ordered = table.times is not None or "train_in_order_of_time" in (table.facts or {})
        if valid == "last" or (valid == "auto" and ordered):
            order = by_time(train)
            from_end, size = _places(train, order)
            chosen = order[(from_end == 0) & (size >= 2)]
        else:
            order = at_random(train, seed, "valid")
            share = 0.1 if valid == "auto" else float(valid)
            carved = _shares(train, order, share, 0.0)
            chosen = np.flatnonzero(carved == TEST)
        part[rows[chosen]] = VALID
        facts["validation_carved_from_train"] = len(chosen)
    return part


def _check_held_out(table: Table, part: Part) -> None:
    """Refuse a split with `fold_in` whose users are not each trained on, or known in part and held out."""
    train, known, held_out = (
        np.bincount(table.users[rows], minlength=len(table.user_ids)) > 0
        for rows in (part == TRAIN, part == FOLD_IN, (part == VALID) | (part == TEST))
    )
    for wrong, what, cure in (
        (known & train, "in fold_in and in train", "users that are folded in are not trained on; take them out of one"),
        (held_out & train, "held out and in train", "beside fold_in users are trained on or held out; take them out"),
        (held_out & ~known, "held out and not in fold_in", "add what is known of them, or leave them out"),
    ):
        if wrong.any():
            first = table.user_ids[np.argmax(wrong)]
            raise UserError(f"{wrong.sum():,} users are {what}, as {first} is; {cure}.")


def _places(table: Table, order: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For rows in `order`, grouped by user: the place counted from the user's end, and the user's row count."""
    counts = np.bincount(table.users, minlength=len(table.user_ids))
    size = np.repeat(counts, counts)
    ends = np.repeat(np.cumsum(counts), counts)
    return ends - 1 - np.arange(len(order)), size


def _tied_last(table: Table, order: NDArray[np.intp]) -> int:
    """Users whose test item shares its time with the one before it, so that the file's order decided."""
    assert table.times is not None
    from_end, size = _places(table, order)
    last = np.flatnonzero((from_end == 0) & (size >= 3))
    times = table.times[order]
    return int((times[last] == times[last - 1]).sum())


def leakage(table: Table, part: Part) -> dict[str, JSON]:
    """How far training looks into the test interactions' future; nothing without times.

    `test_rows_with_later_training`: test rows older than some training row (of anybody).
    `share_of_training_later`: mean over test rows of the share of training rows that are strictly later.
    `test_rows_before_items_training`: test rows older than the first training row of their item.
    """
    if table.times is None:
        return {}
    train, test = table.times[part == TRAIN], table.times[part == TEST]
    later = len(train) - np.searchsorted(np.sort(train), test, side="right")
    first = np.full(len(table.item_ids), np.iinfo(np.int64).max)
    np.minimum.at(first, table.items[part == TRAIN], train)
    born = first[table.items[part == TEST]]
    return {
        "test_rows_with_later_training": int((later > 0).sum()),
        "share_of_training_later": float(later.mean() / max(1, len(train))) if len(test) else 0.0,
        "test_rows_before_items_training": int(((born > test) & (born < np.iinfo(np.int64).max)).sum()),
    }


def count(table: Table, part: Part) -> dict[str, JSON]:
    """Users, items, rows of each part, and the users and items that have no training."""
    n_users, n_items = len(table.user_ids), len(table.item_ids)
    train, test = part == TRAIN, part == TEST
    tested = np.bincount(table.users[test], minlength=n_users) > 0
    folded = part == FOLD_IN
    trained_users = np.bincount(table.users[train], minlength=n_users) > 0
    trained_items = np.bincount(table.items[train], minlength=n_items) > 0
    tested_items = np.bincount(table.items[test], minlength=n_items) > 0
    return {
        "users": n_users,
        "items": n_items,
        "interactions": int((part >= 0).sum()),
        "train": int(train.sum()),
        "valid": int((part == VALID).sum()),
        "test": int(test.sum()),
        "users_with_test": int(tested.sum()),
        "users_without_test": int(n_users - tested.sum()),
        "test_users_without_training": int((tested & ~trained_users).sum()),
        "cold_test_items": int((tested_items & ~trained_items).sum()),
        **({"users_trained_on": int(trained_users.sum()), "folded_in": int(folded.sum())} if folded.any() else {}),
    }


def pieces(table: Table, part: Part, which: int) -> Interactions:
    """One part's interactions, in file order, with times in seconds."""
    chosen = table.take(part == which)
    return Interactions(
        chosen.users,
        chosen.items,
        len(table.user_ids),
        len(table.item_ids),
        None if chosen.times is None else chosen.times // chosen.ticks,
        chosen.values,
    )
