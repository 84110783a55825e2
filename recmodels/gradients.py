"""Sums at rows of a table, which become its gradient: whole, or a sparse tensor of the rows that were reached."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from recmodels.compiled import compiles, inside, run

ZEROS = "zeros_for_a_gradient"  # an attribute of a table


class RowSums:
    """What is added at rows of a table.

    Args:
        table: (R, D), or (R,).
        by_row: whether `gradient` is a sparse tensor of the rows in `ids`, in ascending order, each once.
        ids: the rows to be added to, in tensors of any shape.

    Attributes:
        values: the sums, of the shape of the table, or of its rows in `ids`.
        at: where among them each of `ids` is.
    """

    def __init__(self, table: Tensor, by_row: bool, *ids: Tensor) -> None:
        self._shape = table.shape
        self._rows: Tensor | None = None
        self.at = list(ids)
        if by_row:
            self._rows, found = _unique(torch.cat([part.reshape(-1) for part in ids]))
            parts = torch.split(found, [part.numel() for part in ids])
            self.at = [part.view(of.shape) for part, of in zip(parts, ids, strict=True)]
        self.values = _zeros(table) if self._rows is None else table.new_zeros(len(self._rows), *table.shape[1:])

    def of(self, table: Tensor) -> Tensor:
        """The rows of a table of this shape that belong to `values`."""
        return table if self._rows is None else table.index_select(0, self._rows)

    @property
    def gradient(self) -> Tensor:
        """The sums as the gradient of the table; not a copy."""
        if self._rows is None:
            return self.values
        rows = self._rows.unsqueeze(0)
        return torch.sparse_coo_tensor(rows, self.values, self._shape, is_coalesced=True, check_invariants=False)


def _zeros(table: Tensor) -> Tensor:
    """Zeros of the shape of a table: those that `leave_zeros` left with it, or fresh ones."""
    left: Tensor | None = vars(table).pop(ZEROS, None)
    setattr(table, ZEROS, None)  # says that they are wanted
    return torch.zeros_like(table, requires_grad=False) if left is None else left


def leave_zeros(table: Tensor, gradient: Tensor) -> None:
    """Leave a whole gradient that nobody needs any more, and that is zero again, for the next step of this table."""
    if ZEROS in vars(table):
        setattr(table, ZEROS, gradient)


def table_gradient(
    table: Tensor, by_row: bool, ids: Tensor, weights: Tensor | None, terms: Tensor, starts: Tensor | None = None
) -> Tensor:
    """The gradient of a table: the sum over b and k of weights[k] · terms[b], at row ids[k].

    Args:
        table: (R, D), or (R,) where there are no weights.
        by_row: as for `RowSums`.
        ids: (n,) of all b, one after the other; one for each b where there are no weights.
        weights: (n,), or none for weights of 1.
        terms: (B, D), or (B,).
        starts: (B + 1,) where the ids of each b start and the last ones end; goes with `weights`.
    """
    sums = RowSums(table, by_row, ids)
    if weights is None or starts is None:
        add_rows(terms, sums.at[0], sums.values)
    elif compiles(terms):
        arrays = (part.contiguous() for part in (terms, starts, sums.at[0], weights))
        run("add_lists", *arrays, sums.values, *terms.shape)
    else:
        add_rows(weights.unsqueeze(1) * terms.repeat_interleave(starts.diff(), dim=0), sums.at[0], sums.values)
    return sums.gradient


def add_rows(terms: Tensor, ids: Tensor, sums: Tensor) -> None:
    """Add terms (n, D), or (n,), to the rows `ids` (n,) of `sums`."""
    if compiles(terms):
        run("add_rows", terms.contiguous(), inside(ids, sums.shape[0]), sums, terms.shape[0], terms.shape[1:].numel())
    else:
        sums.index_add_(0, ids, terms)


def add_count(ids: Tensor, weight: float, shares: Tensor) -> None:
    """Add `weight` to the share (R,) of each of `ids`, once for each time that it stands there."""
    if compiles(shares):
        run("add_count", inside(ids, shares.shape[0]), weight, shares, ids.numel())
    else:
        shares.add_(torch.bincount(ids.reshape(-1), minlength=len(shares)), alpha=weight)


def add_shares(table: Tensor, shares: Tensor, sums: Tensor) -> None:
    """Add shares[r] times row r of a table, (R, D) or (R,), to row r of `sums`."""
    if compiles(table) and sums.is_contiguous():
        run("add_shares", table.contiguous(), shares.contiguous(), sums, table.shape[0], table.shape[1:].numel())
    else:
        sums.addcmul_(table, shares.reshape(-1, *[1] * (table.dim() - 1)))


def row_gradient(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """The rows (R,), ascending, and their gradients (R, D), of a gradient made by row; not copies.

    Autograd forgets that it is coalesced, so that `indices()` and `values()` would refuse.
    """
    return gradient._indices()[0], gradient._values()


def merge_rows(parameters: Iterable[Tensor]) -> None:
    """Let every row stand once in the gradients that are made by row.

    On a processor autograd adds two such gradients row by row; elsewhere it sets one behind the other.
    """
    for parameter in parameters:
        if parameter.grad is not None and parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()


def places(rows: Tensor, ids: Tensor, size: int) -> Tensor:
    """Where `ids` are among the `rows` of a table of this size, in a tenth of the time of `searchsorted`."""
    at = torch.empty(size, dtype=torch.int64, device=rows.device)  # only what is written to is ever touched
    at.index_copy_(0, rows, torch.arange(len(rows), device=rows.device))
    return at.index_select(0, ids.reshape(-1)).view(ids.shape)


def _unique(ids: Tensor) -> tuple[Tensor, Tensor]:
    """The different ids, ascending, and where each of `ids` is among them; numpy sorts twice as fast."""
    if ids.device.type != "cpu":
        found: tuple[Tensor, Tensor] = torch.unique(ids, return_inverse=True)
        return found
    rows, at = np.unique(ids.numpy(), return_inverse=True)
    return torch.from_numpy(rows), torch.from_numpy(at)
