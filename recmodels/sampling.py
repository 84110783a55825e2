"""How negatives are made: a `Proposal` draws ids by a known law, a `Selector` may choose among them by score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recmodels.scoring import in_space, pick_scores
from recmodels.seen import Seen
from recmodels.training import Training as Training
from recmodels.types import Batch, Candidates, Tables

DENSE_RATIO = 4  # scoring all I items by one matrix product costs about as much as picking I / 4 of them


class Queries(Protocol):
    """A model whose rows have queries of their own."""

    def catalogue(self) -> tuple[Tensor, Tensor | None]:
        """(I, D) vectors of the items, and (I,) their biases."""

    def vectors(self, rows: Tensor) -> Tensor:
        """(B, D) vectors of the queries of some rows of the step."""


class Scorer:
    """The model as it stands, for samplers that choose by score; nothing here carries a gradient.

    Ids may be on any device; scores are where the tables are.

    Args:
        encode: the tables, or what computes them when they are first asked for.
        space: the score space of the loss.
        rows: makes the queries of rows, where the model has such; only then do queries differ from users.

    Attributes:
        scored: pairs of a user and an item that it was asked for, positives left out.

    Example:
        >>> model = Scorer(Tables(torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [4.0]])))
    """

    def __init__(self, encode: Tables | Callable[[], Tables], space: str = "dot", rows: Queries | None = None) -> None:
        self._encode, self._rows = encode, rows
        self.space = space
        self.scored = 0

    @cached_property
    def tables(self) -> Tables:
        """The tables, before the score space is applied to them.

        Example:
            >>> model.tables.items.tolist()
            [[3.0], [4.0]]
        """
        users, items, bias = self._encode if isinstance(self._encode, Tables) else self._encode()
        return Tables(users.detach(), items.detach(), None if bias is None else bias.detach())

    @cached_property
    def _catalogue(self) -> tuple[Tensor, Tensor | None]:
        if self._rows is None:
            return self.tables.items, self.tables.bias
        items, bias = self._rows.catalogue()
        return items.detach(), None if bias is None else bias.detach()

    @property
    def items(self) -> Tensor:
        """(I, D) vectors of the items, which cost less than the `tables` where users are made of something.

        Example:
            >>> model.items.tolist()
            [[3.0], [4.0]]
        """
        return self._catalogue[0]

    @property
    def bias(self) -> Tensor | None:
        """(I,) biases of the items.

        Example:
            >>> model.bias is None
            True
        """
        return self._catalogue[1]

    @property
    def device(self) -> torch.device:
        """Where the tables live.

        Example:
            >>> model.device.type
            'cpu'
        """
        return self.items.device

    def scores(self, queries: Tensor, items: Tensor) -> Tensor:
        """(B, N) scores of `items`, shared (N,) or per row (B, N), in the space of the loss.

        `queries` (B,) are those of a batch, or users, whose whole history then counts.

        Example:
            >>> model.scores(torch.tensor([0, 1]), torch.tensor([1])).tolist()
            [[4.0], [8.0]]
        """
        self.scored += len(queries) * items.shape[-1]
        return self._some(queries, items.to(self.device))

    def _some(self, queries: Tensor, items: Tensor) -> Tensor:
        if items.dim() == 2 and items.shape[1] * DENSE_RATIO > len(self.items):
            return self._whole(queries).gather(1, items)
        u, table = self.vectors(queries), self.items
        scores = pick_scores(u, table, items, self.space) if items.dim() == 2 else in_space(u, table[items], self.space)
        return scores if self.bias is None else scores + self.bias[items]

    def all(self, queries: Tensor) -> Tensor:
        """(B, I) scores of the whole catalogue for `queries` (B,), as for `scores`; a new tensor.

        Example:
            >>> model.all(torch.tensor([1])).tolist()
            [[6.0, 8.0]]
        """
        self.scored += len(queries) * len(self.items)
        return self._whole(queries)

    def _whole(self, queries: Tensor) -> Tensor:
        scores = in_space(self.vectors(queries), self.items, self.space)
        return scores if self.bias is None else scores + self.bias

    def vectors(self, queries: Tensor) -> Tensor:
        """(B, D) vectors of `queries` (B,), as for `scores`.

        Example:
            >>> model.vectors(torch.tensor([1])).tolist()
            [[2.0]]
        """
        if self._rows is not None and (queries < 0).any():
            return self._rows.vectors(~queries).detach()
        return self.tables.users.index_select(0, queries.to(self.device))

    def positives(self, batch: Batch) -> Tensor:
        """(B,) scores of the positives.

        Example:
            >>> model.positives(Batch(torch.tensor([1]), torch.tensor([0]))).tolist()
            [6.0]
        """
        return self._some(batch.queries, batch.positives.unsqueeze(1).to(self.device)).squeeze(1)


class Law:
    """How probable each item is to be a candidate.

    Attributes:
        reject: whether what the user has seen is never a candidate; the law is over the unseen.
    """

    reject: bool = False

    def log_prob(self, users: Tensor, items: Tensor, scorer: Scorer) -> Tensor:
        """Log probability, broadcastable to (B, N), that one draw for `users` (B,) gives `items` (N,) or (B, N).

        Of a law that looks at scores it is that of the user's whole history; `law` is that of the rows.

        It is the law after rejection and mixing, and before candidates are masked as not `valid`. Of what is rejected
        it says nothing. A law that depends on the row's positive too has `law` alone.
        """
        raise NotImplementedError

    def log_prob_positive(self, batch: Batch, scorer: Scorer) -> Tensor:
        """(B,) log probability that one draw gives each row's positive, were the positive not rejected."""
        return self.log_prob(batch.users, batch.positives.unsqueeze(1), scorer).expand(len(batch.users), 1).squeeze(1)

    def law(self, batch: Batch, items: Tensor, scorer: Scorer) -> tuple[Tensor, Tensor]:
        """`log_prob` of `items` and `log_prob_positive`, for those that compute both in one."""
        return self.log_prob(batch.users, items, scorer), self.log_prob_positive(batch, scorer)


class Proposal(Law):
    """A source of candidate items, and its law.

    Attributes:
        static: whether it looks at neither the other rows of the batch nor the model, so that draws may be made far
            ahead.
        of_users: whether it looks at nothing of a row but its user.

    Example:
        >>> class First(Proposal):
        ...     static = of_users = True
        ...
        ...     def draw(self, batch, n, rng, scorer):
        ...         return Candidates(torch.zeros(len(batch.users), n, dtype=torch.int64))
    """

    static: bool = False
    of_users: bool = False

    def draw(self, batch: Batch, n: int | None, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        """`n` candidates for each row, or all it has where `n` is None; a static proposal ignores the `scorer`.

        Example:
            >>> batch = Batch(torch.tensor([0, 1]), torch.tensor([3, 3]))
            >>> First().draw(batch, 2, np.random.default_rng(0), scorer=None).items.tolist()
            [[0, 0], [0, 0]]
        """
        raise NotImplementedError


# (batch, pool of candidates, negatives wanted, random stream, the model) -> the candidates to train on
Selector = Callable[[Batch, Candidates, int, np.random.Generator, Scorer], Candidates]


def as_many(n: int) -> int | None:
    """A pool of just the negatives that are wanted."""
    return n


@dataclass(frozen=True)
class Sampler:
    """A proposal, or a proposal with a selector that chooses from a pool.

    Attributes:
        proposal: draws the candidates.
        select: chooses among them; without one, all are used.
        chosen: the law of one of those that are chosen, where it is known.
        pool: how many candidates to propose where n negatives are wanted; None for all there are.
        divisible: whether the rows of a step may be drawn for in parts: they meet the whole catalogue, without chance.
        before_epoch: told the epoch (from 1), for rankings and memories that are refreshed now and then.
        after_step: told what the step trained on, for memories.
        settles: the share of `Training.epochs` after which its schedule stands still; 0 where it has none.
        state: what a checkpoint must keep beside the random streams. A sampler reads and writes its memory only
            here, so that `state.update(saved)` restores it.

    Example:
        >>> import datasets, recmodels
        >>> users, items = np.array([0, 0, 1], np.int32), np.array([0, 1, 3], np.int32)
        >>> training = Training(datasets.Interactions(users, items, n_users=2, n_items=4))
        >>> sampler = recmodels.SAMPLERS["uniform"](training)
        >>> batch, rng = Batch(torch.tensor([0, 1]), torch.tensor([0, 3])), np.random.default_rng(0)
        >>> model = Scorer(Tables(torch.ones(2, 1), torch.arange(4.0)[:, None]))
    """

    proposal: Proposal
    select: Selector | None = None
    pool: Callable[[int], int | None] = as_many
    divisible: bool = False
    before_epoch: Callable[[int, Scorer, np.random.Generator], None] | None = None
    after_step: Callable[[Batch, Candidates, Scorer], None] | None = None
    settles: float = 0.0
    chosen: Law | None = None
    state: dict[str, NDArray[Any] | Tensor] = field(default_factory=dict)

    @property
    def static(self) -> bool:
        """Whether candidates may be proposed far ahead of the step that uses them.

        Example:
            >>> sampler.static
            True
        """
        return self.proposal.static

    @property
    def law(self) -> Law:
        """The law of one candidate to train on.

        Example:
            >>> sampler.law is sampler.proposal
            True
        """
        return self.chosen or self.proposal

    def choosing(
        self,
        select: Selector | None,
        pool: Callable[[int], int | None] = as_many,
        *,
        chosen: Law | None = None,
        before_epoch: Callable[[int, Scorer, np.random.Generator], None] | None = None,
        after_step: Callable[[Batch, Candidates, Scorer], None] | None = None,
        settles: float = 0.0,
    ) -> Sampler:
        """A sampler that chooses among the draws of this one, with one state for both.

        Arguments as the attributes; what this one does before an epoch and after a step is done first.

        Example:
            >>> def last(batch, pool, n, rng, scorer):
            ...     return Candidates(pool.items[:, -n:])
            >>> sampler.choosing(last, pool=lambda n: 5 * n).propose(batch, 2, rng, model).items.shape
            torch.Size([2, 10])
        """
        return replace(
            self,
            select=select,
            pool=pool,
            chosen=chosen,
            before_epoch=_both(self.before_epoch, before_epoch),
            after_step=_both(self.after_step, after_step),
            settles=max(self.settles, settles),
        )

    def propose(self, batch: Batch, n: int | None, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        """The pool for each row of `batch`, whose ids are on the CPU.

        Example:
            >>> set(sampler.propose(batch, 50, rng, model).items[0].tolist())
            {2, 3}
        """
        return self.proposal.draw(batch, n if n is None else self.pool(n), rng, scorer)

    def choose(
        self, batch: Batch, pool: Candidates, n: int | None, rng: np.random.Generator, scorer: Scorer
    ) -> Candidates:
        """The negatives to train on, out of the `pool`.

        Example:
            >>> pool = sampler.propose(batch, 3, rng, model)
            >>> sampler.choose(batch, pool, 3, rng, model) is pool
            True
        """
        if self.select is None:
            return pool
        return self.select(batch.to(scorer.device), pool.to(scorer.device), n or pool.items.shape[-1], rng, scorer)

    def with_law(self, batch: Batch, candidates: Candidates, scorer: Scorer) -> Candidates:
        """The same candidates with `log_q` and `log_q_positive` filled in.

        Raises:
            ValueError: they have weights, which a law beside them would correct for a second time.

        Example:
            >>> sampler.with_law(batch, Candidates(torch.tensor([[2], [2]])), model).log_q.exp().mul(6).round().tolist()
            [[3.0], [2.0]]
        """
        if candidates.weight is not None:
            raise ValueError("Candidates carry a law or weights, not both; leave one of them out.")
        batch, device = batch.to(torch.device("cpu")), candidates.items.device
        log_q, at_positive = self.law.law(batch, candidates.items.cpu(), scorer)
        return replace(candidates, log_q=log_q.to(device), log_q_positive=at_positive.to(device))


def _both(first: Callable[..., None] | None, then: Callable[..., None] | None) -> Callable[..., None] | None:
    """One hook for two, of which either may be missing."""
    if first is None or then is None:
        return first or then

    def hook(*given: Any) -> None:
        first(*given)
        then(*given)

    return hook


def mask_seen(logits: Tensor, seen: Seen, users: Tensor) -> Tensor:
    """(B, I) `logits` with -inf at what `users` (B,) have seen, in place."""
    rows, items = (torch.from_numpy(ids).to(logits.device) for ids in seen.of(users.cpu().numpy()))
    logits[rows, items] = -torch.inf
    return logits


def draw_by_weight(log_weights: Tensor, n: int, rng: np.random.Generator) -> Tensor:
    """(B, n) columns drawn in proportion to exp of `log_weights` (B, K); the last column where all are -inf."""
    top = log_weights.amax(dim=1, keepdim=True).clamp(min=torch.finfo(log_weights.dtype).min)
    cumulated = (log_weights - top).exp_().cpu().double().cumsum(dim=1)  # ids are drawn on the CPU, on every device
    total = cumulated[:, -1:].contiguous()
    target = torch.from_numpy(rng.random((len(log_weights), n))) * total
    target = torch.minimum(target, torch.nextafter(total, torch.zeros_like(total)))  # rounding may reach the total
    return torch.searchsorted(cumulated, target, right=True).clamp_(max=log_weights.shape[1] - 1)


def first_occurrence(items: Tensor) -> Tensor:
    """Bool of the shape of `items` (N,) or (B, N): True where an id has not stood further left in its row."""
    ordered, order = items.sort(dim=-1, stable=True)
    fresh = torch.ones_like(ordered, dtype=torch.bool)
    fresh[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    return torch.empty_like(fresh).scatter_(-1, order, fresh)
