"""Negatives that data give: ratings below the threshold, and pairs of a second file (exposures, dislikes)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UserError
from datasets.ids import places
from datasets.interactions import Interactions, distinct
from datasets.prepare import drop_duplicates
from datasets.protocol import JSON, Protocol
from datasets.split import Part
from datasets.table import TRAIN, Table

VERSION = 1
"""Raised whenever the same data, file and protocol give other negatives."""


def read(path: str) -> Table:
    """The pairs of a file of negatives: a user, an item and perhaps a time a line; ratings mean nothing there.

    Raises:
        UserError: there is no such file, or it holds no pairs.
    """
    from datasets.readers import read_file

    return read_file(_file(path))


def identity(sha256: str, negatives: str) -> str:
    """The sha256 of data together with a file of negatives, given that of the data alone.

    Raises:
        UserError: there is no such file.
    """
    from datasets.digests import sha256_of

    lines = f"sha256:{sha256}  data\nsha256:{sha256_of(_file(negatives))}  negatives\n"
    return hashlib.sha256(lines.encode()).hexdigest()


def _file(path: str) -> Path:
    file = Path(path).expanduser()
    if not file.is_file():
        raise UserError(f"'{path}' is no file of negatives; give a file of pairs that users are known not to want.")
    return file


def given_negatives(
    table: Table, prepared: Table, part: Part, protocol: Protocol, listed: Table | None, facts: dict[str, JSON]
) -> Interactions | None:
    """The pairs that users are known not to want, each once, over the ids of the split; None where nothing gives any.

    They are what `min_rating` leaves out, of a ready split its train part alone, and the pairs `listed` in a second
    file. Left out of them are users and items that the split does not have, pairs that are interactions in any part,
    and, where the split goes by time, what is later than training: of the user, or under global-time of all.

    Args:
        table: all interactions, as the file has them.
        prepared: those that are kept, renumbered.
        part: the part of each of these.
        protocol: the one in force.
        listed: the pairs of a second file.
        facts: gets what was counted.
    """
    sources = [] if listed is None else [listed]
    if protocol.min_rating is not None and table.values is not None:
        once = drop_duplicates(table, protocol.duplicates) if table.part is None else table.take(table.part == TRAIN)
        assert once.values is not None
        sources.append(once.take(once.values < np.float32(protocol.min_rating)))
    if not sources:
        return None
    size = len(prepared.item_ids)
    interacted = distinct(prepared.users.astype(np.int64) * size + prepared.items)
    limit = _last_training(prepared, part, protocol)
    found, unknown, later, wanted = [np.empty(0, np.int64)], 0, 0, 0
    for source in sources:
        users = places(source.user_ids, prepared.user_ids)[source.users]
        items = places(source.item_ids, prepared.item_ids)[source.items]
        here = (users >= 0) & (items >= 0)
        unknown += int((~here).sum())
        if limit is not None and source.times is not None:
            late = here & (source.times // source.ticks > limit[users])
            later += int(late.sum())
            here &= ~late
        keys = users[here] * size + items[here]
        both = np.isin(keys, interacted)
        wanted += int(both.sum())
        found.append(keys[~both])
    pairs = distinct(np.concatenate(found))
    facts["given_negatives"] = len(pairs)
    facts["given_negatives_of_others"] = unknown
    facts["given_negatives_later_than_training"] = later
    facts["given_negatives_that_are_interactions"] = wanted
    owners, unwanted = (ids.astype(np.int32) for ids in (pairs // size, pairs % size))
    return Interactions(owners, unwanted, len(prepared.user_ids), size)


def _last_training(prepared: Table, part: Part, protocol: Protocol) -> NDArray[np.int64] | None:
    """(U,) seconds of each user's last training interaction, or of anybody's under global-time; None without order."""
    ordered = protocol.split_name in ("leave-last-one-out", "global-time") or "order=time" in protocol.split
    if prepared.times is None or not ordered:
        return None
    train, seconds = part == TRAIN, prepared.times // prepared.ticks
    last = np.full(len(prepared.user_ids), np.iinfo(np.int64).min)
    np.maximum.at(last, prepared.users[train], seconds[train])
    return np.full_like(last, last.max()) if protocol.split_name == "global-time" else last
