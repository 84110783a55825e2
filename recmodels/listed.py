"""Ranks from lists: where held-out items stand in what another program recommends, all of it or the first few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from datasets import Interactions
from datasets.interactions import distinct
from datasets.split import CandidateLists
from recmodels.metrics import Float, Int, Ranks


class Listed(NamedTuple):
    """Where the held-out items stand, and what of the lists was not used."""

    ranks: Ranks
    depth: int | None  # metrics@K are known for K up to this; None where every held-out item is placed
    shallow: int  # the user whose list ends first; -1 where `depth` is None
    dropped: int  # rows that no ranking counts: what the user has seen or, with candidates, what is no candidate
    untested: int  # rows of users without a held-out item
    without: int  # test users without a list
    shorter: int  # test users with a list shorter than the longest
    longest: int  # rows of the longest list


def listed_ranks(
    relevant: Interactions,
    known: Sequence[Interactions],
    only: CandidateLists | None,
    users: Int,
    items: Int,
    scores: Float,
) -> Listed:
    """The ranks that full ranking would give, as far as lists tell them.

    Items in `known` are left out of the lists, or with `only` all but the listed candidates; a relevant item never is.
    Items of equal score are level. What is not listed stands below what is. A list as long as the longest one was cut
    off: a relevant item that it lacks is deeper, so that metrics are known up to what is left of the list. A shorter
    list is all that its program recommends, and no list at all an empty one: a relevant item that it lacks is last.

    Args:
        relevant: the held-out items.
        known: what the users have seen, by the mask.
        only: the candidates, where not the whole catalogue is ranked.
        users: (n,) of each row of the lists.
        items: (n,) of each row; no pair comes twice.
        scores: (n,) the higher the better.
    """
    size, people = relevant.n_items, relevant.n_users
    targets = distinct(relevant.users.astype(np.int64) * size + relevant.items)
    owners = targets // size
    tested = np.unique(owners)
    rows = users.astype(np.int64) * size + items
    wanted = np.isin(rows, targets)
    if only is None:
        pairs = [part.users.astype(np.int64) * size + part.items for part in known]
        seen = distinct(np.concatenate([*pairs, np.empty(0, np.int64)]))
        out = np.isin(rows, seen) & ~wanted
        left_out = seen[~np.isin(seen, targets)]
        candidates = size - np.bincount(left_out // size, minlength=people)
    else:
        per_user = np.diff(only.offsets)
        allowed = np.repeat(np.arange(people), per_user) * size + only.items
        out = ~np.isin(rows, allowed) & ~wanted
        candidates = per_user + np.bincount(owners, minlength=people)
    asked = np.zeros(people, dtype=bool)
    asked[tested] = True
    kept = asked[users] & ~out
    better, tied = _places(users[kept], scores[kept])
    ranks = Ranks(owners, targets % size, candidates[owners] - 1, np.zeros(len(targets), np.int64), candidates[owners])
    at = np.searchsorted(targets, rows[kept][wanted[kept]])
    ranks.better[at], ranks.tied[at] = better[wanted[kept]], tied[wanted[kept]]
    placed = np.zeros(len(targets), dtype=bool)
    placed[at] = True

    given = np.bincount(users[asked[users]], minlength=people)  # rows as they came, seen items among them
    left = np.bincount(users[kept], minlength=people)
    longest = int(given[tested].max(initial=0))
    lacking = np.unique(owners[~placed])
    known_to = np.where(given[lacking] == longest, left[lacking], candidates[lacking] - 1)
    depth, shallow = (int(known_to.min()), int(lacking[known_to.argmin()])) if len(lacking) else (None, -1)
    return Listed(
        ranks,
        depth,
        shallow,
        dropped=int((out & asked[users]).sum()),
        untested=int((~asked[users]).sum()),
        without=int((given[tested] == 0).sum()),
        shorter=int(((given[tested] > 0) & (given[tested] < longest)).sum()),
        longest=longest,
    )


def _places(users: Int, scores: Float) -> tuple[Int, Int]:
    """Of each row how many of its user's rows have a higher score, and how many others the same."""
    order = np.lexsort((-scores, users))
    owner, score = users[order], scores[order]
    change = np.ones(len(order), dtype=bool)
    change[1:] = (owner[1:] != owner[:-1]) | (score[1:] != score[:-1])
    group = np.cumsum(change) - 1
    first = np.flatnonzero(change)
    better, tied = np.empty(len(order), np.int64), np.empty(len(order), np.int64)
    better[order] = first[group] - np.searchsorted(owner, owner)
    tied[order] = np.bincount(group, minlength=len(first))[group] - 1 if len(order) else 0
    return better, tied
