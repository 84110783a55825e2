"""Models of sequences: a query for every position of a user's history, and all positions of a sequence in one step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from datasets import Interactions
from datasets.errors import UserError
from recmodels.models.mf import vectors
from recmodels.pooling import Histories, Lists
from recmodels.sampling import Training
from recmodels.scoring import lookups
from recmodels.seen import Int
from recmodels.settings import Settings
from recmodels.types import Batch, Tables

GROUP = 32  # sequences of about one length that are encoded at a time, so that little of it is padding


class Sequences:
    """The training interactions of every user in order of time, each but the first a row with what came before it.

    Row r is the r-th interaction by user and time. Rows are the last `length` of each user, whose windows begin
    `length` interactions before the last one: so one pass over a window serves all rows of its user.

    Args:
        interactions: of all users; those of equal time, or all where there are no times, stay in their order.
        length: positions of a window.
    """

    def __init__(self, interactions: Interactions, length: int) -> None:
        users = interactions.users.astype(np.int64)
        keys = (users,) if interactions.times is None else (interactions.times, users)
        order = np.lexsort(keys)
        self.items: Int = interactions.items[order].astype(np.int64)
        self.owners: Int = users[order]
        counts = np.bincount(users, minlength=interactions.n_users)
        self._ends = np.cumsum(counts)
        self._sizes = np.minimum(np.maximum(counts - 1, 0), length)  # (U,) rows of each user
        self._first = self._ends - self._sizes  # (U,) the first row of each user
        self._users = np.flatnonzero(self._sizes)

    @property
    def rows(self) -> Int:
        """(R,) all rows, by user and time."""
        return _ranges(self._first[self._users], self._sizes[self._users])

    def epoch(self, order: np.random.Generator, batch_size: int) -> tuple[Batch, list[int]]:
        """All rows, the users in random order, and where steps of about `batch_size` rows begin, and the last ends.

        A step has all rows of its users.
        """
        users = order.permutation(self._users)
        sizes = self._sizes[users]
        rows = _ranges(self._first[users], sizes)
        ends = np.concatenate([[0], np.cumsum(sizes)])
        steps = max(1, -(-len(rows) // batch_size))
        wanted = np.arange(steps + 1) * len(rows) / steps
        edges = np.unique(ends[np.searchsorted(ends, wanted - 1e-6)])
        ids = (self.owners[rows], self.items[rows], rows)
        return Batch(*map(torch.from_numpy, ids)), edges.tolist()

    def windows(self, rows: Int) -> tuple[Lists, Int]:
        """The windows of the users of `rows` (B,), and (B,) where among all their positions each row's query stands."""
        users, window = np.unique(self.owners[rows], return_inverse=True)
        first, sizes = self._first[users], self._sizes[users]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        ids = self.items[_ranges(first - 1, sizes)]
        at: Int = starts[window] + rows - first[window]
        return Lists(torch.from_numpy(ids), torch.from_numpy(starts)), at


class SequenceModel(nn.Module):
    """A model whose queries are made of the items of a history, in order; a subclass gives `encode`.

    Args:
        training: gives the interactions, and whether they have an order.
        settings: gives the size and the scale of the vectors.
        rng: draws the vectors of the items.
        length: how many items of a history are read, the last ones.
        shown: whether the histories that are ranked at test hold what validates too: `valid`, or `train` for not.

    Raises:
        UserError: the data have no order, or no user has two interactions.
    """

    def __init__(
        self, training: Training, settings: Settings, rng: np.random.Generator, length: int, shown: str = "valid"
    ) -> None:
        super().__init__()
        if not training.ordered:
            raise UserError(
                "These data have neither times nor an order, and a model of sequences reads histories in order; give "
                "data with times, or another model, as mf or history."
            )
        self.sequences = Sequences(training.interactions, length)
        if not len(self.sequences.rows):
            raise UserError("No user has two training interactions, so that there is no sequence; give more data.")
        training.restrict(self.sequences.items[self.sequences.rows].astype(np.int32))
        self.items = vectors(training.n_items, settings, rng)  # (I, D)
        self.length, self.shows_valid, self.by_row = length, shown == "valid", not settings.every_row
        self._known, self.n_users = training.histories, training.n_users
        self.histories = Histories(self._known, length)

    def encode(self, inputs: Tensor) -> Tensor:
        """(S, T, D) the queries after each of the inputs (S, T, D), the vectors of items; none sees what is later.

        Sequences of fewer than T items are filled up at the end, and what comes out there is not read.
        """
        raise NotImplementedError

    def forward(self) -> Tables:
        """The query of every user's whole history, and the items."""
        return self.queries(Batch(torch.arange(self.n_users), torch.arange(self.n_users)))

    def queries(self, batch: Batch) -> Tables:
        """(B, D) the queries of the rows, or the users' whole histories where these are no rows; and the items.

        Nothing is dropped of whole histories. Who has none has a query of 0.
        """
        if batch.rows is not None:
            lists, at = self.sequences.windows(batch.rows.cpu().numpy())
            return Tables(self._encoded(lists, at), self.items)
        lists = self.histories.of(batch.users.cpu().numpy())
        some = np.flatnonzero(lists.sizes.numpy())
        with self._as_a_whole():
            found = self._encoded(lists, lists.starts.numpy()[1:][some] - 1)
        vectors = self.items.new_zeros(len(batch.users), self.items.shape[1])
        return Tables(vectors.index_copy(0, torch.from_numpy(some).to(self.items.device), found), self.items)

    def show(self, more: Interactions) -> None:
        """Let whole histories hold these interactions too, after what is known."""
        self.histories = Histories(self._known.joined(more), self.length)

    def _encoded(self, lists: Lists, wanted: Int) -> Tensor:
        """(n, D) the queries after the items that stand at `wanted` (n,), each once, among those of all lists."""
        sizes = lists.sizes.numpy()
        by_size = np.argsort(sizes, kind="stable")
        by_size = by_size[np.searchsorted(sizes[by_size], 1) :]
        read = np.zeros(len(lists.ids), bool)
        read[wanted] = True
        parts, at = [], []
        for start in range(0, len(by_size), GROUP):
            some = by_size[start : start + GROUP]
            first, width = lists.starts.numpy()[some], int(sizes[some[-1]])
            column = np.arange(width)
            inside = column < sizes[some][:, None]  # (S, T)
            place = np.where(inside, first[:, None] + column, first[:, None])
            ids = lists.ids[torch.from_numpy(place)].to(self.items.device)
            encoded = self.encode(lookups(self.items, self.by_row, ids)[0])
            kept = inside & read[place]
            parts.append(
                encoded.flatten(0, 1).index_select(0, torch.from_numpy(np.flatnonzero(kept)).to(encoded.device))
            )
            at.append(place[kept])
        if not parts:
            return self.items.new_zeros(0, self.items.shape[1])
        back = np.empty(len(lists.ids), np.int64)
        places = np.concatenate(at)
        back[places] = np.arange(len(places))
        return torch.cat(parts).index_select(0, torch.from_numpy(back[wanted]).to(self.items.device))

    @contextmanager
    def _as_a_whole(self) -> Iterator[None]:
        trained = self.training
        self.eval()
        yield
        self.train(trained)


class Linear(nn.Module):
    """W x + b, W normal with a standard deviation `std` and b 0 at the start."""

    def __init__(self, inner: int, outer: int, rng: np.random.Generator, std: float) -> None:
        super().__init__()
        self.weight = normal(rng, outer, inner, std=std)  # (outer, inner)
        self.bias = nn.Parameter(torch.zeros(outer))

    def forward(self, x: Tensor) -> Tensor:
        """(…, outer) of (…, inner)."""
        return nn.functional.linear(x, self.weight, self.bias)


def normal(rng: np.random.Generator, *shape: int, std: float) -> nn.Parameter:
    """Independent normal numbers, drawn by numpy so that every device starts alike."""
    return nn.Parameter(torch.from_numpy(rng.standard_normal(shape, dtype=np.float32) * np.float32(std)))


def _ranges(first: Int, sizes: Int) -> Int:
    """first[k], first[k] + 1, … of `sizes[k]` numbers, one range after the other."""
    found: Int = np.arange(sizes.sum()) + np.repeat(first - np.cumsum(sizes) + sizes, sizes)
    return found
