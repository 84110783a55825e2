"""Scores of a batch in a score space, with the gradient through the inner product in closed form.

A space is a function of the dot product and the squared norms of both vectors, so that no normalised copy of the
(B, N, D) vectors is made. The loss differentiates with respect to (B,) and (B, N) scores; from there the gradient of
the tables is a product and one scatter. Autograd through `tables[ids]` would compute the same numbers with several
copies of (B, N, D) more.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from recmodels.compiled import compiles, inside, run
from recmodels.gradients import RowSums, add_rows, add_shares, table_gradient
from recmodels.types import Batch, Candidates, Tables, Vectors

SPACES = ("dot", "cosine", "half-cosine", "distance")
SMALLEST = 1e-24  # squared norms are not taken for smaller: a vector of zeros has cosine 0 with everything


class PairL2(NamedTuple):
    """What L2 adds of a vector itself to its gradient, for each row and for each of its pairs."""

    user: float
    positive: float
    negative: float


NO_L2 = PairL2(0.0, 0.0, 0.0)


def batch_scores(
    tables: Tables,
    batch: Batch,
    candidates: Candidates,
    space: str = "dot",
    keep: Tensor | None = None,
    by_row: tuple[bool, bool] = (False, False),
    l2: PairL2 = NO_L2,
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
        l2: what the gradient of the tables holds beside; only where rows have their own candidates.
    """
    if candidates.vectors is not None or (candidates.mix is not None and space != "dot"):
        positive, negative = vector_scores(batch_vectors(tables, batch, candidates, keep, by_row), space)
    else:
        given = (batch.users, batch.positives, candidates.items, keep, space != "dot", by_row)
        function = _SharedDot.apply if candidates.shared else partial(_RowDot.apply, l2)
        positive, negative, *norms = function(tables.users, tables.items, *given)  # type: ignore[no-untyped-call]
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
    dot = pair_dots(users, torch.arange(len(users), device=users.device), table, ids)
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


def pair_dots(users: Tensor, owners: Tensor, items: Tensor, ids: Tensor) -> Tensor:
    """(B, N) dot products of the rows `owners` (B,) of one table with the rows `ids` (B, N) of another; no gradient."""
    if not compiles(users):
        return row_dot(users.index_select(0, owners), rows_of(items, ids))
    dots = users.new_empty(ids.shape)
    arrays = users.contiguous(), owners.contiguous(), items.contiguous(), inside(ids, items.shape[0])
    run("pair_dots", *arrays, dots, *ids.shape, users.shape[1])
    return dots


def _add_pairs(
    users: Tensor,
    owners: Tensor,
    items: Tensor,
    ids: Tensor,
    slopes: Tensor,
    of_users: tuple[Tensor, Tensor],
    of_items: tuple[Tensor, Tensor],
    l2_user: float = 0.0,
    l2_item: float = 0.0,
) -> None:
    """Add the gradient of the sum of slopes (B, N) times `pair_dots` to sums and where among them it belongs.

    Compiled, it adds the gradient of L2 as well: l2_user times each row's user, l2_item times each pair's item.
    """
    if compiles(users):
        arrays = (part.contiguous() for part in (users, owners, items, ids, slopes))
        into = of_users[0], of_users[1].contiguous(), of_items[0], of_items[1].contiguous()
        run("add_pairs", *arrays, *into, l2_user, l2_item, *ids.shape, users.shape[1])
        return
    user, item = users.index_select(0, owners), rows_of(items, ids)  # (B, D), (B, N, D)
    add_rows(torch.bmm(slopes.unsqueeze(1), item).squeeze(1), of_users[1], of_users[0])
    terms = slopes.unsqueeze(2) * user.unsqueeze(1)  # (B, N, D)
    add_rows(terms.view(-1, terms.shape[2]), of_items[1].reshape(-1), of_items[0])


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
        l2: PairL2,
        users: Tensor,
        items: Tensor,
        u: Tensor,
        p: Tensor,
        n: Tensor,
        keep: Tensor | None,
        norms: bool,
        by_row: tuple[bool, bool],
    ) -> tuple[Tensor, ...]:
        owners, user = u, users
        if keep is not None:
            owners, user = torch.arange(len(u), device=u.device), users.index_select(0, u) * keep  # (B, D)
        own = p.unsqueeze(1)
        ctx.by_row, ctx.l2 = by_row, l2
        ctx.save_for_backward(users, items, u, own, n, owners, user, keep)
        scores = pair_dots(user, owners, items, own).squeeze(1), pair_dots(user, owners, items, n)
        if not norms:
            return scores
        squared = (_squared_norms(items, ids) for ids in (p, n))
        return (*scores, _squared_norms(user, owners), *squared)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        users, items, u, own, n, owners, user, keep = ctx.saved_tensors
        of_users, of_items = RowSums(users, ctx.by_row[0], u), RowSums(items, ctx.by_row[1], own, n)
        # where numbers are dropped, the gradient of the vectors (B, D) that are left comes first
        kept = None if keep is None else RowSums(user, False, owners)
        sums = of_users if kept is None else kept
        by_user = sums.values, sums.at[0]
        own_at, at = of_items.at
        _add_pairs(user, owners, items, own, grads[0].unsqueeze(1), by_user, (of_items.values, own_at), *ctx.l2[:2])
        _add_pairs(user, owners, items, n, grads[1], by_user, (of_items.values, at), 0.0, ctx.l2.negative)
        if len(grads) > 2:  # d‖v‖² = 2v
            _add_own(sums, user, [grads[2]])
            _add_own(of_items, items, [grads[3], grads[4]])
        if kept is not None:
            add_rows(kept.values * keep, of_users.at[0], of_users.values)
        return None, of_users.gradient, of_items.gradient, *[None] * 6


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


def _add_own(sums: RowSums, table: Tensor, weights: list[Tensor]) -> None:
    """Add twice weights[k] times row k of the ids of `sums`, of the table itself, to the sums of that row."""
    shares = sums.values.new_zeros(len(sums.values))
    for at, weight in zip(sums.at, weights, strict=True):
        add_rows(2 * weight.reshape(-1), at.reshape(-1), shares)
    add_shares(sums.of(table), shares, sums.values)
