"""Scores of a batch in a score space, with the gradient through the inner product in closed form.

A space is a function of the dot product and the squared norms of both vectors, so that no normalised copy of the
(B, N, D) vectors is made. The loss differentiates with respect to (B,) and (B, N) scores; from there the gradient of
the tables is a product and one scatter. Autograd through `tables[ids]` would compute the same numbers with several
copies of (B, N, D) more.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from scipy.sparse._sparsetools import csc_matvecs  # `csc_array @` takes twice the time for small batches
from torch import Tensor

from recmodels.types import Batch, Candidates, Tables, Vectors

SPACES = ("dot", "cosine", "half-cosine", "distance")
SMALLEST = 1e-24  # squared norms are not taken for smaller: a vector of zeros has cosine 0 with everything

with warnings.catch_warnings(action="ignore"):  # PyTorch warns once that compressed matrices are beta
    torch.eye(1).to_sparse_csr()


def batch_scores(
    tables: Tables,
    batch: Batch,
    candidates: Candidates,
    space: str = "dot",
    keep: Tensor | None = None,
    by_row: tuple[bool, bool] = (False, False),
) -> tuple[Tensor, Tensor]:
    """Scores (B,) of the positives and (B, N) of the candidates.

    Args:
        tables: what the model encodes to.
        batch: users and positives.
        candidates: with `items`, or `vectors` in place of the last, which get whatever gradient they carry; with `mix`,
            the gradient reaches the negatives and the positives they are mixed with.
        space: dot u·v, cosine, half-cosine (half of it), or distance: -‖u - v‖².
        keep: (B, D) factors of the users' vectors, for dropout.
        by_row: whether the gradient of the users, and of the items, is a sparse tensor of the rows in the batch.
    """
    if candidates.vectors is not None or (candidates.mix is not None and space != "dot"):
        positive, negative = vector_scores(batch_vectors(tables, batch, candidates, keep, by_row), space)
    else:
        function: type[torch.autograd.Function] = _SharedDot if candidates.shared else _RowDot
        ids = (batch.users, batch.positives, candidates.items)
        positive, negative, *norms = function.apply(tables.users, tables.items, *ids, keep, space != "dot", by_row)  # type: ignore[no-untyped-call]
        if norms:
            user, own, other = norms
            positive = from_dot(positive, user, own, space)
            negative = from_dot(negative, user.unsqueeze(1), other, space)
    if tables.bias is not None:
        own, other = lookups(tables.bias, by_row[1], batch.positives, candidates.items)
        positive, negative = positive + own, negative + other
    if candidates.mix is not None and space == "dot":  # the score is linear in the vector
        negative = torch.lerp(negative, positive.unsqueeze(1).expand_as(negative), candidates.mix)
    return positive, negative


def batch_vectors(
    tables: Tables,
    batch: Batch,
    candidates: Candidates,
    keep: Tensor | None = None,
    by_row: tuple[bool, bool] = (False, False),
) -> Vectors:
    """The embeddings behind a batch, with their gradient; arguments as for `batch_scores`."""
    (users,) = lookups(tables.users, by_row[0], batch.users)
    positives, negatives = lookups(tables.items, by_row[1], batch.positives, candidates.embedded)
    if candidates.vectors is not None:
        given = candidates.vectors
        negatives = torch.cat([negatives, given], dim=-2) if negatives.numel() else given
    if candidates.mix is not None:
        negatives = torch.lerp(negatives, positives.unsqueeze(1), candidates.mix.unsqueeze(2))
    return Vectors(users if keep is None else users * keep, positives, negatives)


def vector_scores(vectors: Vectors, space: str) -> tuple[Tensor, Tensor]:
    """Scores (B,) of the positives and (B, N) of the negatives, by autograd."""
    positive = in_space(vectors.users, vectors.positives.unsqueeze(1), space).squeeze(1)
    return positive, in_space(vectors.users, vectors.negatives, space)


def rows_of(table: Tensor, ids: Tensor) -> Tensor:
    """`table[ids]` along the first axis, for ids of any shape."""
    return table.index_select(0, ids.reshape(-1)).view(*ids.shape, table.shape[1])


def in_space(users: Tensor, items: Tensor, space: str) -> Tensor:
    """(B, N) scores of `users` (B, D) with `items` (N, D) or (B, N, D)."""
    dot = users @ items.T if items.dim() == 2 else row_dot(users, items)
    if space == "dot":
        return dot
    return from_dot(dot, users.square().sum(dim=1, keepdim=True), items.square().sum(dim=-1), space)


def pick_scores(users: Tensor, table: Tensor, ids: Tensor, space: str) -> Tensor:
    """(B, N) scores of `users` (B, D) with the rows `ids` (B, N) of a table; no gradient."""
    dot = _pick_dots(users, table, ids)
    if space == "dot":
        return dot
    return from_dot(dot, users.square().sum(dim=1, keepdim=True), _squared_norms(table, ids), space)


def ascending(scores: Tensor) -> Tensor:
    """The rows of `scores` (B, I) sorted; on the CPU by numpy, which takes a tenth of the time."""
    if scores.device.type == "cpu":
        return torch.from_numpy(np.sort(scores.detach().numpy(), axis=1))
    return scores.sort(dim=1).values


def row_dot(users: Tensor, items: Tensor) -> Tensor:
    """(B, N) dot products of (B, D) with (B, N, D), four times as fast as with the row's vector on the right."""
    return torch.bmm(users.unsqueeze(1), items.transpose(1, 2)).squeeze(1)


def _pick_dots(users: Tensor, table: Tensor, ids: Tensor) -> Tensor:
    """(B, N) dot products of (B, D) with the rows `ids` (B, N) of a table; no gradient.

    On the CPU as the wanted cells of a matrix product, so that the (B, N, D) rows are never copied.
    """
    if table.device.type != "cpu":
        return row_dot(users, rows_of(table, ids))
    cells = _cells(ids, table.new_zeros(ids.numel()), len(table))
    dots: Tensor = torch.sparse.sampled_addmm(cells, users, table.T, beta=0.0).values()
    return dots.view_as(ids)


def _pick_sums(weights: Tensor, table: Tensor, ids: Tensor) -> Tensor:
    """(B, D) sums of the rows `ids` (B, N) of a table by `weights` (B, N); no gradient."""
    if table.device.type != "cpu":
        return torch.bmm(weights.unsqueeze(1), rows_of(table, ids)).squeeze(1)
    sums: Tensor = torch.sparse.mm(_cells(ids, weights.reshape(-1), len(table)), table, "sum")
    return sums


def _cells(ids: Tensor, values: Tensor, columns: int) -> Tensor:
    """(B, columns) sparse matrix with `values` (B·N) in the columns `ids` (B, N) of each row."""
    rows, n = ids.shape
    starts = torch.arange(0, rows * n + 1, n)
    return torch.sparse_csr_tensor(starts, ids.reshape(-1), values, (rows, columns), check_invariants=False)


def _squared_norms(table: Tensor, ids: Tensor) -> Tensor:
    """‖row‖² of the rows `ids` of a table, whichever way reads less of it."""
    if len(table) <= ids.numel():
        return table.square().sum(dim=1)[ids]
    rows = rows_of(table, ids)
    return rows.square().sum(dim=-1)


def from_dot(dot: Tensor, user: Tensor, item: Tensor, space: str) -> Tensor:
    """A score, given u·v, ‖u‖² and ‖v‖²."""
    if space == "distance":
        return 2 * dot - user - item
    cosine = dot * user.clamp(min=SMALLEST).rsqrt() * item.clamp(min=SMALLEST).rsqrt()
    return cosine / 2 if space == "half-cosine" else cosine


def ranking_tables(tables: Tables, space: str) -> Tables:
    """Tables whose dot products order the items of each user as `space` does.

    Equal to the scores for all spaces but distance, which lacks the -‖u‖² that no ranking depends on.
    """
    users, items, bias = tables
    if space == "dot":
        return tables
    if space == "distance":
        norms = items.square().sum(dim=1)
        return Tables(2 * users, items, -norms if bias is None else bias - norms)
    users, items = (table * table.square().sum(1, keepdim=True).clamp(min=SMALLEST).rsqrt() for table in (users, items))
    return Tables(users / 2 if space == "half-cosine" else users, items, bias)


def lookups(table: Tensor, by_row: bool, *ids: Tensor) -> list[Tensor]:
    """`table[ids]` for each of `ids`, whose gradients reach the table together, with `by_row` as a sparse tensor."""
    found: Tensor = _Rows.apply(table, torch.cat([part.reshape(-1) for part in ids]), by_row)  # type: ignore[no-untyped-call]
    parts = torch.split(found, [part.numel() for part in ids])
    return [rows.view(*part.shape, *table.shape[1:]) for rows, part in zip(parts, ids, strict=True)]


class _Rows(torch.autograd.Function):
    """Rows of a table by ids (R,)."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, ids: Tensor, by_row: bool) -> Tensor:
        ctx.by_row = by_row
        ctx.save_for_backward(table, ids)
        return table.index_select(0, ids)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        table, ids = ctx.saved_tensors
        return table_gradient(table, ctx.by_row, ids, None, grads[0]), None, None


class _RowDot(torch.autograd.Function):
    """Each row has its own candidates (B, N)."""

    @staticmethod
    def forward(
        ctx: Any,
        users: Tensor,
        items: Tensor,
        u: Tensor,
        p: Tensor,
        n: Tensor,
        keep: Tensor | None,
        norms: bool,
        by_row: tuple[bool, bool],
    ) -> tuple[Tensor, ...]:
        ctx.by_row = by_row
        ids = torch.cat([p.unsqueeze(1), n], dim=1)  # (B, 1 + N)
        user = users.index_select(0, u)  # (B, D)
        if keep is not None:
            user *= keep
        scores = _pick_dots(user, items, ids)  # (B, 1 + N)
        ctx.save_for_backward(users, items, u, ids, user, keep)
        if not norms:
            return scores[:, 0], scores[:, 1:]
        squared = _squared_norms(items, ids)
        return scores[:, 0], scores[:, 1:], user.square().sum(dim=1), squared[:, 0], squared[:, 1:]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        users, items, u, ids, user, keep = ctx.saved_tensors
        grad = torch.cat([grads[0].unsqueeze(1), grads[1]], dim=1)  # (B, 1 + N)
        grad_user = _pick_sums(grad, items, ids)  # (B, D)
        squared = None
        if len(grads) > 2:
            grad_user += 2 * grads[2].unsqueeze(1) * user
            squared = 2 * torch.cat([grads[3].unsqueeze(1), grads[4]], dim=1)  # (B, 1 + N): d‖v‖² = 2v
        if keep is not None:
            grad_user *= keep
        grad_items = table_gradient(items, ctx.by_row[1], ids, grad, user)
        if squared is not None:
            _add_own(grad_items, items, ids, squared)
        return table_gradient(users, ctx.by_row[0], u, None, grad_user), grad_items, *[None] * 6


class _SharedDot(torch.autograd.Function):
    """All rows have the same candidates (N,), so that scores and gradients are matrix products."""

    @staticmethod
    def forward(
        ctx: Any,
        users: Tensor,
        items: Tensor,
        u: Tensor,
        p: Tensor,
        n: Tensor,
        keep: Tensor | None,
        norms: bool,
        by_row: tuple[bool, bool],
    ) -> tuple[Tensor, ...]:
        ctx.by_row = by_row
        user = users.index_select(0, u)  # (B, D)
        if keep is not None:
            user *= keep
        positive, negative = items.index_select(0, p), items.index_select(0, n)  # (B, D), (N, D)
        ctx.save_for_backward(users, items, u, p, n, user, positive, negative, keep)
        scores = (user * positive).sum(dim=1), user @ negative.T
        return (*scores, *(part.square().sum(dim=1) for part in (user, positive, negative))) if norms else scores

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        users, items, u, p, n, user, positive, negative, keep = ctx.saved_tensors
        grad_positive, grad_negative = grads[0].unsqueeze(1), grads[1]  # (B, 1), (B, N)
        grad_user = grad_positive * positive + grad_negative @ negative  # (B, D)
        own, other = grad_positive * user, grad_negative.T @ user  # (B, D), (N, D)
        if len(grads) > 2:
            grad_user += 2 * grads[2].unsqueeze(1) * user
            own += 2 * grads[3].unsqueeze(1) * positive
            other += 2 * grads[4].unsqueeze(1) * negative
        if keep is not None:
            grad_user *= keep
        grad_items = table_gradient(items, ctx.by_row[1], torch.cat([p, n]), None, torch.cat([own, other]))
        return table_gradient(users, ctx.by_row[0], u, None, grad_user), grad_items, *[None] * 6


def _add_own(gradient: Tensor, table: Tensor, ids: Tensor, weights: Tensor) -> None:
    """Add weights[b, n] times row ids[b, n] of the table itself to the gradient of that row."""
    if gradient.is_sparse:
        rows, gradient = row_gradient(gradient)
        table, ids = table.index_select(0, rows), places(rows, ids, len(table))
    share = weights.new_zeros(len(table)).index_add_(0, ids.reshape(-1), weights.reshape(-1))
    gradient.addcmul_(table, share.unsqueeze(1))


def table_gradient(
    table: Tensor, by_row: bool, ids: Tensor, weights: Tensor | None, terms: Tensor, starts: Tensor | None = None
) -> Tensor:
    """The gradient of a table: the sum over b and n of weights[b, n] · terms[b], at row ids[b, n].

    Args:
        table: (R, D), or (R,) where there are no weights.
        by_row: whether it is a sparse tensor of the rows in `ids`, in ascending order, each once.
        ids: (B, N), or (B,) for N = 1 and weights of 1.
        weights: as `ids`, or none for weights of 1.
        terms: (B, D), or (B,).
        starts: (B + 1,) where the ids of each b start and the last ones end, where their numbers differ; `ids` and
            `weights` are then one list.
    """
    if not by_row:
        return _scatter(len(table), ids, weights, terms, starts)
    rows, at = _unique(ids)
    values = _scatter(len(rows), at, weights, terms, starts)
    return torch.sparse_coo_tensor(rows.unsqueeze(0), values, table.shape, is_coalesced=True, check_invariants=False)


def _unique(ids: Tensor) -> tuple[Tensor, Tensor]:
    """The different ids, ascending, and where each of `ids` is among them; numpy sorts twice as fast."""
    if ids.device.type != "cpu":
        found: tuple[Tensor, Tensor] = torch.unique(ids, return_inverse=True)
        return found
    rows, at = np.unique(ids.numpy(), return_inverse=True)
    return torch.from_numpy(rows), torch.from_numpy(at)


def places(rows: Tensor, ids: Tensor, size: int) -> Tensor:
    """Where `ids` are among the `rows` of a table of this size, in a tenth of the time of `searchsorted`."""
    at = torch.empty(size, dtype=torch.int64, device=rows.device)  # only what is written to is ever touched
    at.index_copy_(0, rows, torch.arange(len(rows), device=rows.device))
    return at.index_select(0, ids.reshape(-1)).view(ids.shape)


def row_gradient(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """The rows (R,), ascending, and their gradients (R, D), of a gradient made by row; not copies.

    Autograd forgets that it is coalesced, so that `indices()` and `values()` would refuse.
    """
    return gradient._indices()[0], gradient._values()


def _scatter(rows: int, ids: Tensor, weights: Tensor | None, terms: Tensor, starts: Tensor | None = None) -> Tensor:
    """(rows, D) of the sum in `table_gradient`.

    On the CPU a product of a sparse and a dense matrix: it adds in the order of `index_add_`, to the same bits, in
    half the time, because the (B, N, D) terms are never stored.
    """
    if weights is None:
        return terms.new_zeros(rows, *terms.shape[1:]).index_add_(0, ids, terms)
    if terms.device.type == "cpu":
        (b, d), sums = terms.shape, terms.new_zeros(rows, terms.shape[1])
        ends = np.arange(b + 1) * ids.shape[1] if starts is None else starts.numpy()
        arrays = (part.contiguous().numpy().ravel() for part in (ids, weights, terms, sums))
        csc_matvecs(rows, b, d, ends, *arrays)
        return sums
    if starts is not None:
        terms = weights.unsqueeze(1) * terms.repeat_interleave(starts.diff(), dim=0)
        return terms.new_zeros(rows, terms.shape[1]).index_add_(0, ids, terms)
    terms = (weights.unsqueeze(2) * terms.unsqueeze(1)).view(-1, terms.shape[1])
    return terms.new_zeros(rows, terms.shape[1]).index_add_(0, ids.reshape(-1), terms)
