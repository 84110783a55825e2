"""The nouns that samplers, losses, models and the trainer exchange.

Letters: B rows in a batch, N negatives per row, D embedding size, U users, I items. Axis order is (B, N), always.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from recmodels.sums import log_sum_exp, log_sum_exp_shares

LOWEST = torch.finfo(torch.float32).min  # stands for log 0, without the NaN that differences of infinities give
SMALLEST_WEIGHT = torch.finfo(torch.float32).tiny


class Batch(NamedTuple):
    """Positive pairs: row b says that `users[b]` interacted with `positives[b]`, asked by a query.

    The query is the user or, where `rows` are given, the user with the history up to that row.

    Example:
        >>> batch = Batch(torch.tensor([0, 1]), torch.tensor([5, 7]))
        >>> len(batch.users)
        2
    """

    users: Tensor  # (B,) int64
    positives: Tensor  # (B,) int64
    rows: Tensor | None = None  # (B,) int64, numbers of the model's `Sequences`

    @property
    def queries(self) -> Tensor:
        """(B,) ids of the queries, as a `Scorer` takes them: users, or ~row where rows have queries of their own.

        Example:
            >>> batch.queries.tolist()
            [0, 1]
        """
        return self.users if self.rows is None else ~self.rows

    def to(self, device: torch.device) -> Batch:
        """The same on another device.

        Example:
            >>> batch.to(torch.device("cpu")) is batch
            True
        """
        if device.type == "cpu":
            return self
        return Batch(*(None if ids is None else ids.to(device) for ids in self))  # type: ignore[arg-type]

    def at(self, which: Tensor | slice) -> Batch:
        """Some of the rows.

        Example:
            >>> batch.at(slice(1, 2)).users.tolist()
            [1]
        """
        return Batch(*(None if ids is None else ids[which] for ids in self))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Candidates:
    """Negatives for each row of a batch, and what is known of how they were drawn.

    Attributes:
        items: int64 ids, shared by all rows (N,) or one row each (B, N).
        valid: bool, broadcastable to (B, N); False where a candidate must not count. None means all count.
        log_q: log probability that ONE draw gives this item (after rejection and mixing), broadcastable to (B, N);
            None where the law is unknown.
        log_q_positive: (B,) the same law at each row's positive.
        weight: (B, N) importance weights, detached; None means equal.
        ordered: columns are independent draws in order, as losses that count draws need.
        vectors: (B, K, D) or (K, D) embeddings to use in place of those of the last K `items`.
        mix: (B, N) share b of the row's positive in each negative, whose embedding is b·v⁺ + (1 - b)·v_j.

    Example:
        >>> chosen = Candidates(torch.tensor([[4, 2, 9], [1, 1, 3]]))
        >>> chosen.items.shape
        torch.Size([2, 3])
    """

    items: Tensor
    valid: Tensor | None = None
    log_q: Tensor | None = None
    log_q_positive: Tensor | None = None
    weight: Tensor | None = None
    ordered: bool = False
    vectors: Tensor | None = None
    mix: Tensor | None = None

    @property
    def shared(self) -> bool:
        """Whether all rows have the same candidates.

        Example:
            >>> chosen.shared, Candidates(torch.arange(3)).shared
            (False, True)
        """
        return self.items.dim() == 1

    @property
    def embedded(self) -> Tensor:
        """The `items` whose vectors are the model's own: all but those in whose place `vectors` stand.

        Example:
            >>> Candidates(torch.arange(3), vectors=torch.zeros(1, 8)).embedded.tolist()
            [0, 1]
        """
        return self.items if self.vectors is None else self.items[..., : -self.vectors.shape[-2]]

    def rows(self, start: int, stop: int) -> Candidates:
        """The candidates of rows `start` to `stop`, as views; what is shared by all rows stays as it is.

        Example:
            >>> chosen.rows(1, 2).items.tolist()
            [[1, 1, 3]]
        """

        def cut(tensor: Tensor | None, dimensions: int = 2) -> Tensor | None:
            per_row = tensor is not None and tensor.dim() == dimensions and len(tensor) > 1
            return tensor[start:stop] if per_row and tensor is not None else tensor

        return replace(
            self,
            items=self.items if self.shared else self.items[start:stop],
            valid=cut(self.valid),
            log_q=cut(self.log_q),
            log_q_positive=None if self.log_q_positive is None else self.log_q_positive[start:stop],
            weight=cut(self.weight),
            vectors=cut(self.vectors, 3),
            mix=cut(self.mix),
        )

    def to(self, device: torch.device) -> Candidates:
        """The same on another device.

        Example:
            >>> chosen.to(torch.device("cpu")) is chosen
            True
        """
        if device.type == "cpu":
            return self
        moved: dict[str, Any] = {
            key: value.to(device, non_blocking=True) for key, value in vars(self).items() if isinstance(value, Tensor)
        }
        return replace(self, **moved)


class Part(NamedTuple):
    """Rows of a step, with their candidates; most steps have one part."""

    batch: Batch
    candidates: Candidates
    rows: int  # of the whole step
    last: bool  # whether the step is complete
    scored: int = 0  # pairs of a row and a candidate that were scored for it, to choose negatives or to train on them


class Vectors(NamedTuple):
    """Embeddings of a batch, for losses that need more than scores."""

    users: Tensor  # (B, D)
    positives: Tensor  # (B, D)
    negatives: Tensor  # (N, D) or (B, N, D)


class Tables(NamedTuple):
    """What a model encodes to: the score of item i for user u is `users[u] @ items[i] + bias[i]`.

    Example:
        >>> tables = Tables(torch.tensor([[1.0], [2.0]]), torch.tensor([[1.0], [0.5], [1.5]]))
        >>> tables.bias is None
        True
    """

    users: Tensor  # (U, D)
    items: Tensor  # (I, D)
    bias: Tensor | None = None  # (I,)

    def scores(self, users: Tensor) -> Tensor:
        """(B, I) scores of all items for `users` (B,), a new tensor.

        Example:
            >>> tables.scores(torch.tensor([1])).tolist()
            [[2.0, 1.0, 3.0]]
        """
        scores = self.users[users.to(self.items.device)] @ self.items.T
        return scores if self.bias is None else scores.add_(self.bias)


class Scores(Protocol):
    """What can be ranked: it scores the whole catalogue for some users at a time."""

    def scores(self, users: Tensor) -> Tensor:
        """(B, I) scores of all items for `users` (B,), which are on the CPU; a new tensor."""


@dataclass(frozen=True)
class LossInput:
    """What a loss sees; it returns one value per row (B,), which the trainer reduces.

    Attributes:
        positive: (B,) scores of the positives, in the loss's score space.
        negative: (B, N) scores of the negatives.
        valid: broadcastable to (B, N), False where a negative must not count; None means all count.
        log_q, log_q_positive, weight: as in `Candidates`.
        n_items: size I of the catalogue.
        batch: the ids behind the rows.
        items: (N,) or (B, N) ids of the negatives.
        vectors: embeddings, only for losses registered with `needs=["vectors"]`.
        tables: what the model encodes to, with its gradient; only for losses registered with `needs=["tables"]`.
        at: (B,) where among the users of `tables` each row's query stands.
        state: what the loss keeps between steps.
        space: the score space.

    Example:
        >>> batch = Batch(torch.tensor([0]), torch.tensor([5]))
        >>> scores = {"positive": torch.tensor([1.0]), "negative": torch.tensor([[2.0, 0.0, 7.0]])}
        >>> unknown = dict.fromkeys(("log_q", "log_q_positive", "weight"))
        >>> valid, items = torch.tensor([[True, True, False]]), torch.tensor([4, 5, 9])
        >>> x = LossInput(**scores, **unknown, valid=valid, n_items=10, batch=batch, items=items)
        >>> (x.negative - x.positive[:, None]).tolist()
        [[1.0, -1.0, 6.0]]
    """

    positive: Tensor
    negative: Tensor
    valid: Tensor | None
    log_q: Tensor | None
    log_q_positive: Tensor | None
    weight: Tensor | None
    n_items: int
    batch: Batch
    items: Tensor
    vectors: Vectors | None = None
    tables: Tables | None = None
    at: Tensor | None = None
    state: dict[str, Tensor] = field(default_factory=dict)
    space: str = "dot"

    @property
    def of_rows(self) -> Tensor:
        """(B, D) the vectors of the rows' queries, out of `tables`.

        Example:
            >>> from dataclasses import replace
            >>> tables = Tables(torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0]]))
            >>> replace(x, tables=tables).of_rows.tolist()
            [[1.0]]
        """
        assert self.tables is not None
        return self.tables.users.index_select(0, self.batch.users if self.at is None else self.at)

    def without_positive(self) -> LossInput:
        """The same, where no negative that is its row's own positive counts.

        Example:
            >>> x.without_positive().valid.tolist()
            [[True, False, False]]
        """
        other = self.items != self.batch.positives[:, None]  # (B, N)
        return replace(self, valid=other if self.valid is None else self.valid & other)

    def masked(self, values: Tensor, fill: float = LOWEST) -> Tensor:
        """(B, N) `values` with `fill` where a negative must not count; no gradient comes from there.

        Example:
            >>> x.masked(x.negative, 0.0).tolist()
            [[2.0, 0.0, 0.0]]
        """
        return values if self.valid is None else torch.where(self.valid, values, fill)

    @property
    def counted(self) -> Tensor:
        """(B, 1) how many negatives count in each row.

        Example:
            >>> x.counted.tolist()
            [[2.0]]
        """
        if self.valid is None:
            return self.negative.new_full((len(self.negative), 1), self.negative.shape[1])
        # a sum of float is exact up to 2^24, and eight times as fast as one of bool
        return self.valid.expand(self.negative.shape).to(self.negative.dtype).sum(dim=1, keepdim=True)

    def mean(self, values: Tensor) -> Tensor:
        """(B,) mean over the valid negatives of `values` (B, N), by `weight` if there is one; 0 where none is valid.

        Example:
            >>> x.mean(x.negative).tolist()
            [1.0]
        """
        if self.weight is not None:
            return (self.masked(values, 0.0) * self.weight).sum(dim=1)
        if self.valid is None:
            return values.mean(dim=1)
        return self.masked(values, 0.0).sum(dim=1) / self.counted.squeeze(1).clamp(min=1)

    @property
    def factors(self) -> Tensor | float:
        """What `mean` multiplies each value with, broadcastable to (B, N).

        Example:
            >>> x.factors.tolist()
            [[0.5, 0.5, 0.0]]
        """
        if self.weight is not None:
            return self.masked(self.weight, 0.0)
        if self.valid is None:
            return 1 / self.negative.shape[1]
        return self.valid.to(self.negative.dtype) / self.counted.clamp(min=1)

    def logits(self, values: Tensor) -> Tensor:
        """(B, N) exponents `values`, `LOWEST` where they must not count.

        If there are weights, log(n · weight) is added, n being how many negatives of the row count.

        Example:
            >>> (x.logits(x.negative) > LOWEST / 2).tolist()
            [[True, True, False]]
        """
        if self.weight is not None:
            values = values + (self.weight * self.counted).clamp(min=SMALLEST_WEIGHT).log()
        if self.valid is None:
            return values
        # no `masked`: the gradient is 0 there anyway, and arithmetic is faster than a choice for each cell
        return torch.add(values, (~self.valid).to(values.dtype), alpha=LOWEST)

    def log_sum(self, values: Tensor) -> Tensor:
        """(B,) log Σ_j exp of `values` (B, N) over the valid negatives; 0 where none is valid.

        Example:
            >>> x.log_sum(torch.zeros(1, 3)).exp().round().tolist()
            [2.0]
        """
        total = log_sum_exp(self.logits(values))
        return total if self.valid is None else total.masked_fill(~self.valid.expand(values.shape).any(dim=1), 0.0)

    def log_sum_shares(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """`log_sum` and its gradient by `values`, (B, N); neither carries a gradient.

        Example:
            >>> total, shares = x.log_sum_shares(torch.zeros(1, 3))
            >>> total.exp().round().tolist(), shares.tolist()
            ([2.0], [[0.5, 0.5, 0.0]])
        """
        total, shares = log_sum_exp_shares(self.logits(values))
        if self.valid is None:
            return total, shares
        none = ~self.valid.expand(values.shape).any(dim=1)
        return total.masked_fill(none, 0.0), shares.masked_fill(none[:, None], 0.0)

    def log_mean(self, values: Tensor) -> Tensor:
        """(B,) log of the mean of exp of `values` (B, N) over the valid negatives; 0 where none is valid.

        Example:
            >>> x.log_mean(torch.full((1, 3), 4.0)).tolist()
            [4.0]
        """
        return self.log_sum(values) - self.counted.squeeze(1).clamp(min=1).log()

    def without_negatives(self, values: Tensor) -> Tensor:
        """(B,) `values` with 0, and no gradient, for rows that have no valid negative.

        Example:
            >>> x.without_negatives(torch.tensor([0.5])).tolist()
            [0.5]
        """
        return values if self.valid is None else values.masked_fill(self.counted.squeeze(1) == 0, 0.0)

    def shares(self, values: Tensor) -> Tensor:
        """(B, N) softmax of `values` over the valid negatives, 0 at the others.

        Example:
            >>> x.shares(torch.zeros(1, 3)).tolist()
            [[0.5, 0.5, 0.0]]
        """
        shares = self.masked(values).softmax(dim=1)
        return shares if self.valid is None else shares * self.valid
