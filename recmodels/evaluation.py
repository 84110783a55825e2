"""Full ranking: where each held-out item stands among all items its user has not interacted with before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datasets import Interactions
from datasets.split import CandidateLists
from recmodels.compiled import compiles, run
from recmodels.metrics import Float, Int, Ranks
from recmodels.scoring import ascending
from recmodels.types import Scores

# Users scored at a time, and scores held at a time, which stay in the processor's cache; at least so many users that
# the reading of a very large catalogue is shared. Constants, so that every machine and caller gets the same scores.
CHUNK, LEAST = 128, 16
CELLS = 1 << 21
COUNTED = 12  # relevant items of a user from which on sorting is faster than counting


class Diverged(ArithmeticError):
    """A model whose scores are not finite."""


class FullRanking:
    """Ranks the `relevant` items of each user among all items but those in `known`.

    A relevant item is always ranked, even where a given split has it in `known` too. Its score is read from the same
    matrix as its rivals', so that equal scores are exactly equal.

    With `only`, a user's rivals are the listed items instead of the catalogue. Such metrics do not order models as full
    ranking does (Krichene and Rendle, KDD 2020); they exist to compare with published numbers.
    """

    def __init__(
        self, relevant: Interactions, known: Sequence[Interactions], only: CandidateLists | None = None
    ) -> None:
        offsets, items = relevant.by_user()
        self.users: Int = np.flatnonzero(np.diff(offsets))
        self._offsets, self._items = offsets, items.astype(np.int64)
        pairs = [part.users.astype(np.int64) * part.n_items + part.items for part in known]
        keys = np.sort(np.concatenate([*pairs, np.empty(0, np.int64)]))
        keys = keys[np.diff(keys, prepend=-1) > 0]  # each pair once
        self._known_offsets = np.searchsorted(keys, np.arange(relevant.n_users + 1) * relevant.n_items)
        self._known_items: Int = keys % relevant.n_items
        owners = np.repeat(np.arange(relevant.n_users), np.diff(offsets))
        also_known = owners[np.isin(owners * relevant.n_items + items, keys, assume_unique=True)]
        left_out = np.diff(self._known_offsets) - np.bincount(also_known, minlength=relevant.n_users)
        self._candidates: Int = relevant.n_items - left_out  # (U,)
        self._only = only
        if only is not None:
            self._candidates = np.diff(only.offsets) + np.diff(offsets)
        self._n_items = relevant.n_items
        self._single = bool((np.diff(offsets)[self.users] == 1).all())

    @torch.no_grad()
    def ranks(self, model: Scores) -> Ranks:
        """The rank of every relevant item under the scores of `model`.

        Raises:
            Diverged: a score is not finite.
        """
        ranks = Ranks(*(np.empty(len(self._items), np.int64) for _ in Ranks._fields))  # (P,) each
        done = 0
        for users in self._chunks():
            part = self._chunk(model, users)
            for column, values in zip(ranks, part, strict=True):
                column[done : done + len(values)] = values
            done += len(part.users)
        return ranks

    @torch.no_grad()
    def top(self, model: Scores, depth: int) -> Iterator[tuple[Int, Int, Float]]:
        """The first `depth` items of each user in `users`, and all that are level with the last of them.

        Yields users, items and scores (n,) for some users at a time, the best item of a user first.

        Raises:
            Diverged: a score is not finite.
        """
        for users in self._chunks():
            scores = self._scores(model, users)[0]
            least = scores.topk(min(depth, self._n_items), dim=1).values[:, -1:]
            row, item = ((scores >= least) & (scores > -torch.inf)).nonzero(as_tuple=True)
            values = scores[row, item].cpu().numpy()
            row_, item_ = row.cpu().numpy(), item.cpu().numpy()
            order = np.lexsort((item_, -values, row_))
            yield users[row_[order]], item_[order], values[order].astype(np.float64)

    def _chunks(self) -> Iterator[Int]:
        """The users, some at a time."""
        size = max(LEAST, min(CHUNK, CELLS // self._n_items))
        for first in range(0, len(self.users), size):
            yield self.users[first : first + size]

    def _scores(self, model: Scores, users: Int) -> tuple[Tensor, Tensor, Int, Int]:
        """Scores (C, I) of what is ranked, -∞ for the rest, and those (P,) of the relevant items, with row and item."""
        scores = model.scores(torch.from_numpy(users))
        device = scores.device
        if not torch.isfinite(scores.sum()):
            raise Diverged("the model's scores are not finite")
        row, item = _pairs(users, self._offsets, self._items)
        rows, items = torch.from_numpy(row).to(device), torch.from_numpy(item).to(device)
        own = scores[rows, items]  # (P,)
        if self._only is None:
            row_known, known = _index(users, self._known_offsets, self._known_items, device)
            scores.view(-1)[row_known * self._n_items + known] = -torch.inf
        else:
            listed = _index(users, self._only.offsets, self._only.items, device)
            scores = torch.full_like(scores, -torch.inf).index_put_(listed, scores[listed])
        scores[rows, items] = own
        return scores, own, row, item

    def _chunk(self, model: Scores, users: Int) -> Ranks:
        scores, own, row, item = self._scores(model, users)
        if compiles(scores) and len(own) <= COUNTED * len(users):
            better, level = torch.empty((2, len(own)), dtype=torch.int64)
            run("count_rivals", scores, row, own, better, level, len(own), self._n_items)
        elif self._single:
            better, level = (scores > own[:, None]).sum(dim=1), (scores == own[:, None]).sum(dim=1)
        else:
            sorted_scores = ascending(scores)
            rows = torch.from_numpy(row).to(scores.device)
            column = torch.from_numpy(np.arange(len(row)) - np.searchsorted(row, row)).to(scores.device)
            wanted = scores.new_zeros(len(users), int(column.max()) + 1)  # (C, most relevant items of a user)
            wanted[rows, column] = own
            above = torch.searchsorted(sorted_scores, wanted, right=True)[rows, column]
            better = self._n_items - above
            level = above - torch.searchsorted(sorted_scores, wanted)[rows, column]
        owner = users[row]
        return Ranks(owner, item, better.cpu().numpy(), level.cpu().numpy() - 1, self._candidates[owner])


def _index(users: Int, offsets: Int, items: NDArray[Any], device: torch.device) -> tuple[Tensor, Tensor]:
    row, item = _pairs(users, offsets, items)
    return torch.from_numpy(row).to(device), torch.from_numpy(item.astype(np.int64)).to(device)


def _pairs(users: Int, offsets: Int, items: NDArray[Any]) -> tuple[Int, NDArray[Any]]:
    """Row numbers within `users`, and items, of a compressed matrix."""
    counts = offsets[users + 1] - offsets[users]
    row = np.repeat(np.arange(len(users)), counts)
    at = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(offsets[users], counts)
    return row, items[at]
