"""How negatives are made: a `Proposal` draws ids by a known law, a `Selector` may choose among them by score."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datasets import Interactions
from recmodels.seen import Int, Seen
from recmodels.types import Batch, Candidates, Tables

REJECTION_ROUNDS = 8


class Training:
    """What a sampler may learn from: the training interactions, and nothing else."""

    def __init__(self, interactions: Interactions) -> None:
        self.interactions = interactions
        self.n_users = interactions.n_users
        self.n_items = interactions.n_items

    @cached_property
    def seen(self) -> Seen:
        """The training items of every user."""
        return Seen(self.interactions)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """(I,) training interactions of each item."""
        return self.interactions.item_counts()


class Scorer:
    """The model as it stands, for samplers that choose by score; nothing here carries a gradient."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    def scores(self, users: Tensor, items: Tensor) -> Tensor:
        """(B, N) scores of `items`, shared (N,) or per row (B, N), for `users` (B,)."""
        u = self.tables.users.index_select(0, users)  # (B, D)
        if items.dim() == 1:
            scores = u @ self.tables.items.index_select(0, items).T  # (B, N)
        else:
            v = self.tables.items.index_select(0, items.reshape(-1)).view(*items.shape, -1)  # (B, N, D)
            scores = torch.bmm(v, u.unsqueeze(2)).squeeze(2)
        return scores if self.tables.bias is None else scores + self.tables.bias[items]

    def positives(self, batch: Batch) -> Tensor:
        """(B,) scores of the positives."""
        return self.scores(batch.users, batch.positives.unsqueeze(1)).squeeze(1)


class Proposal(Protocol):
    """A source of candidate items.

    `static` proposals look at neither the other rows of the batch nor the model, so draws may be made far ahead.
    """

    @property
    def static(self) -> bool: ...  # noqa: D102

    def draw(self, batch: Batch, n: int | None, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        """`n` candidates for each row, or all it has where `n` is None; a static proposal ignores the `scorer`."""

    def log_prob(self, users: Tensor, items: Tensor) -> Tensor:
        """Log probability, broadcastable to (B, N), that one draw for `users` (B,) gives `items` (N,) or (B, N)."""


# (batch, pool of candidates, negatives wanted, random stream, the model) -> the candidates to train on
Selector = Callable[[Batch, Candidates, int, np.random.Generator, Scorer], Candidates]


@dataclass(frozen=True)
class Sampler:
    """A proposal, or a proposal with a selector that chooses from a pool `pool` times as large.

    Attributes:
        proposal: draws the candidates.
        select: chooses among them; without one, all are used.
        pool: candidates proposed per negative wanted.
        before_epoch: told the epoch (from 1), for rankings and memories that are refreshed now and then.
        after_step: told what the step trained on, for memories.
        state: arrays that a checkpoint must keep beside the random streams.
    """

    proposal: Proposal
    select: Selector | None = None
    pool: int = 1
    before_epoch: Callable[[int, Scorer, np.random.Generator], None] | None = None
    after_step: Callable[[Batch, Candidates, Scorer], None] | None = None
    state: Mapping[str, NDArray[Any] | Tensor] = field(default_factory=dict)

    @property
    def static(self) -> bool:
        """Whether candidates may be proposed far ahead of the step that uses them."""
        return self.proposal.static

    def propose(self, batch: Batch, n: int | None, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        """The pool for each row of `batch`."""
        return self.proposal.draw(batch, n if n is None else n * self.pool, rng, scorer)

    def choose(
        self, batch: Batch, pool: Candidates, n: int | None, rng: np.random.Generator, scorer: Scorer
    ) -> Candidates:
        """The negatives to train on, out of the `pool`."""
        if self.select is None:
            return pool
        return self.select(batch, pool, n or pool.items.shape[-1], rng, scorer)

    def with_law(self, batch: Batch, candidates: Candidates) -> Candidates:
        """The same candidates with `log_q` filled in."""
        return replace(
            candidates,
            log_q=self.proposal.log_prob(batch.users, candidates.items),
            log_q_positive=self.proposal.log_prob(batch.users, batch.positives.unsqueeze(1)).squeeze(1),
        )


def draw_unseen(
    seen: Seen,
    users: Int,
    n: int,
    draw: Callable[[int], Int],
    exact: Callable[[Int], Int],
) -> Candidates:
    """(B, n) draws from a law restricted to the items each user has not seen, exactly.

    What hits a seen item is drawn again, `REJECTION_ROUNDS` times; what is left then (users who have seen almost
    everything) is drawn from the restricted law directly. Both give the same law, so the mixture does.

    Args:
        seen: the items to avoid.
        users: (B,) row owners.
        n: draws per row.
        draw: k -> (k,) draws from the unrestricted law.
        exact: (k,) users -> (k,) draws from the restricted law; -1 where a user has nothing left.
    """
    items = draw(len(users) * n)
    todo = np.flatnonzero(seen.contains(np.repeat(users, n), items))
    for _ in range(REJECTION_ROUNDS):
        if not todo.size:
            break
        items[todo] = draw(todo.size)
        todo = todo[seen.contains(users[todo // n], items[todo])]
    if todo.size:
        items[todo] = exact(users[todo // n])
    grid = items.reshape(len(users), n)
    if todo.size and (items[todo] < 0).any():
        return Candidates(torch.from_numpy(grid.clip(min=0)), valid=torch.from_numpy(grid >= 0))
    return Candidates(torch.from_numpy(grid))
