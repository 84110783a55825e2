"""Weighted sums over lists of rows of a table, of any length, with their gradient."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from datasets import Interactions
from recmodels.gradients import table_gradient
from recmodels.scoring import pair_dots
from recmodels.seen import Int


class Lists(NamedTuple):
    """R lists of ids: list r is `ids[starts[r]:starts[r + 1]]`."""

    ids: Tensor  # (n,) int64
    starts: Tensor  # (R + 1,) int64

    @property
    def sizes(self) -> Tensor:
        """(R,) ids in each list."""
        return self.starts.diff()

    @property
    def owners(self) -> Tensor:
        """(n,) the list that each id is in."""
        return torch.arange(len(self.starts) - 1, device=self.ids.device).repeat_interleave(self.sizes)


class Histories:
    """The last items of every user, by time, or by the order of the interactions where these have no times.

    Args:
        interactions: of all users.
        length: how many of a user's are kept; None keeps all.
    """

    def __init__(self, interactions: Interactions, length: int | None) -> None:
        users = interactions.users.astype(np.int64)
        keys = (users,) if interactions.times is None else (interactions.times, users)
        order = np.lexsort(keys)
        sizes = np.bincount(users, minlength=interactions.n_users)
        from_end = np.repeat(np.cumsum(sizes), sizes) - 1 - np.arange(len(users))
        kept = order if length is None else order[from_end < length]
        self._items: Int = interactions.items[kept].astype(np.int64)
        self._sizes = np.bincount(users[kept], minlength=interactions.n_users)
        self._starts = np.cumsum(self._sizes) - self._sizes

    def of(self, users: Int, left_out: Int | None = None) -> Lists:
        """The lists of `users` (R,), each without the id `left_out` (R,) if there are any to leave out."""
        sizes = self._sizes[users]
        rows = np.repeat(np.arange(len(users)), sizes)
        ids = self._items[np.arange(len(rows)) + np.repeat(self._starts[users] - np.cumsum(sizes) + sizes, sizes)]
        if left_out is not None:
            stays = ids != left_out[rows]
            ids, sizes = ids[stays], np.bincount(rows[stays], minlength=len(users))
        return Lists(torch.from_numpy(ids), torch.from_numpy(np.concatenate([[0], np.cumsum(sizes)])))


def weighted_sums(table: Tensor, lists: Lists, weights: Tensor, by_row: bool) -> Tensor:
    """(R, D) the sum over each list of weights[k] · table[ids[k]]; the rows (n, D) are never copied.

    Args:
        table: (M, D).
        lists: of its rows.
        weights: (n,), which get a gradient too.
        by_row: whether the gradient of the table is a sparse tensor of the rows in the lists.
    """
    sums: Tensor = _Sums.apply(table, lists.ids, lists.starts, weights, by_row)  # type: ignore[no-untyped-call]
    return sums


def softmax_in_lists(values: Tensor, lists: Lists) -> Tensor:
    """(n,) the softmax of `values` (n,) within each list."""
    owners, size = lists.owners, len(lists.starts) - 1
    top = values.detach().new_full((size,), -torch.inf).scatter_reduce(0, owners, values.detach(), "amax")
    shares = (values - top.index_select(0, owners)).exp()
    total = shares.new_zeros(size).index_add(0, owners, shares)
    return shares / total.index_select(0, owners)


class _Sums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, ids: Tensor, starts: Tensor, weights: Tensor, by_row: bool) -> Tensor:
        ctx.by_row = by_row
        ctx.save_for_backward(table, ids, starts, weights)
        return embedding_bag(ids, table, starts, mode="sum", per_sample_weights=weights, include_last_offset=True)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        table, ids, starts, weights = ctx.saved_tensors
        terms = grads[0].contiguous()  # (R, D)
        of_weights = _dots(terms, table, ids, starts) if ctx.needs_input_grad[3] else None
        return table_gradient(table, ctx.by_row, ids, weights, terms, starts), None, None, of_weights, None


def _dots(terms: Tensor, table: Tensor, ids: Tensor, starts: Tensor) -> Tensor:
    """(n,) dot products of each list's row of `terms` (R, D) with the rows of the table in it."""
    owners = torch.arange(len(terms), device=ids.device).repeat_interleave(starts.diff())
    return pair_dots(terms, owners, table, ids.unsqueeze(1)).squeeze(1)
