"""Samplers that keep a list of candidate items for every user, refreshed before each epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recmodels.proposals import propose
from recmodels.samplers import SAMPLERS
from recmodels.samplers.hard import masked, pick
from recmodels.samplers.static import Uniform
from recmodels.sampling import Proposal, Sampler, Scorer, Training, draw_by_weight, first_occurrence, mask_seen
from recmodels.search import Search
from recmodels.types import Batch, Candidates, Tables

State = dict[str, NDArray[Any] | Tensor]
USERS_AT_A_TIME = 1024
PAST = ("past_users", "past_items", "past_bias")  # what SRNS remembers of the model
HISTORY = 5  # epochs over which SRNS measures how much scores vary


@SAMPLERS.register("ance", paper="Xiong et al., ICLR 2021", gives=["log_q"])
def ance(
    training: Training,
    *,
    depth: Annotated[int, ">= 1", Search(50, 500, log=True)] = 100,
    share: Annotated[float, ">= 0, <= 1", Search(0.1, 0.9)] = 0.5,
    every: Annotated[int, ">= 1", Search(among=(1, 5))] = 1,
) -> Sampler:
    """Negatives from the top of a stale ranking, mixed with uniform ones.

    q(j|u) = share [j in top] / depth + (1 - share) / (I - |P_u|), the top being the user's unseen items that scored
    highest when the index was refreshed; here the index is exact. Cost: one draw per negative, and U × I scores per
    refresh.

    Args:
        training: the training interactions.
        depth: length of the list; 200 in the paper.
        share: of negatives from the list.
        every: epochs between refreshes.
    """
    state: State = {}

    def before_epoch(epoch: int, scorer: Scorer, rng: np.random.Generator) -> None:
        if (epoch - 1) % every:
            return
        lists = np.zeros((training.n_users, min(depth, training.n_items)), np.int32)
        for users in _all_users(training):
            scores = mask_seen(scorer.all(users), training.seen, users)
            lists[users.numpy()] = scores.topk(lists.shape[1], dim=1).indices.cpu().numpy()
        state["top"] = lists

    return Sampler(_TopAndUniform(training, state, share), before_epoch=before_epoch, state=state)


@SAMPLERS.register("adasir", paper="Chen, Lian, Jin, Zheng, Chen, WWW 2022", of_proposal=["log_q"])
def adasir(
    training: Training,
    *,
    pool: Annotated[int, ">= 1", Search(50, 400, log=True)] = 50,
    draws: Annotated[int, ">= 1", Search(200, 1600, log=True)] = 200,
    proposal: Annotated[str, "proposal", Search(among=("uniform", "popularity:alpha=1.0"))] = "uniform",
) -> Sampler:
    """Adaptive sampling importance resampling: a pool per user, renewed before every epoch.

    Of the draws from q, a new pool is drawn with replacement with probability ∝ exp(s_j - log q_j); later pools are
    drawn from the old one and the new one together, uniformly and with replacement. Negatives are drawn from the pool
    uniformly. The law is unknown. Cost: one draw per negative, and `draws` scores per user and epoch.

    Args:
        training: the training interactions.
        pool: items kept per user; 50 in the paper, with 5 negatives: with many more they come back often.
        draws: proposed per user and epoch; 200 in the paper.
        proposal: q, a sampler that draws by a law; `popularity:alpha=1.0` is q ∝ n_j, and log(1 + n_j) in the authors'
            code. What draws from a batch draws from one of interactions taken at random.
    """
    base = propose(training, proposal)
    state = base.state

    def resample(users: Tensor, scorer: Scorer, rng: np.random.Generator) -> NDArray[np.int64]:
        batch = _rows_of(users, training, base, rng)
        drawn = base.proposal.draw(batch, draws, rng, scorer)
        log_q = base.proposal.law(batch, drawn.items, scorer)[0].to(scorer.device)
        logits = scorer.scores(users, drawn.items.to(scorer.device)) - log_q
        logits = masked(logits, _unseen(training, users, drawn.items).to(scorer.device))
        return pick(drawn, draw_by_weight(logits, pool, rng)).items.numpy()

    def before_epoch(epoch: int, scorer: Scorer, rng: np.random.Generator) -> None:
        lists = np.empty((training.n_users, pool), np.int32)
        for users in _all_users(training):
            rows = users.numpy()
            lists[rows] = resample(users, scorer, rng)
            if epoch > 1:
                both = np.concatenate([np.asarray(state["lists"])[rows], lists[rows]], axis=1)
                lists[rows] = np.take_along_axis(both, rng.integers(2 * pool, size=(len(rows), pool)), 1)
        state["lists"] = lists

    return replace(base.choosing(None, before_epoch=before_epoch), proposal=_FromLists(training, state))


@SAMPLERS.register("srns", paper="Ding, Quan, Yao, Li, Jin, NeurIPS 2020", limits=["negatives <= memory"])
def srns(
    training: Training,
    *,
    memory: Annotated[int, ">= 1", Search(32, 128, log=True)] = 128,
    draws: Annotated[int, ">= 1", Search(256, 1024, log=True)] = 1024,
    alpha: Annotated[float, ">= 0", Search(among=(1.0, 5.0, 10.0, 20.0))] = 5.0,
    warm_up: Annotated[float, "> 0, <= 1", Search(0.2, 1.0)] = 0.5,
    temperature: Annotated[float, "> 0", Search(among=(1.0, 2.0, 10.0))] = 10.0,
    proposal: Annotated[str, "proposal"] = "uniform",
) -> Sampler:
    """Simplify and robustify: of a user's memory, the items of high score and high variance.

    Chooses the N items of the memory with the largest sigmoid(s_j - s⁺) + α_t std_j, where std_j is the standard
    deviation of that sigmoid over the last 5 epochs and α_t = α min(1, t / T₀) with T₀ = warm_up × epochs. Before
    every epoch the memory is joined by new draws, and keeps S₁ different items, drawn without replacement by
    exp(s / τ). False negatives score high but steadily. The law is unknown. Cost: S₁ scores per row, and S₁ + S₂ per
    user and epoch.

    Args:
        training: the training interactions.
        memory: S₁, items kept per user; 8 per negative in the paper.
        draws: S₂, new draws per user and epoch; 8 S₁ in the paper.
        alpha: α, weight of the variance; 5 on ml-1m.
        warm_up: the share of `epochs` after which it counts in full; 50 epochs in the paper.
        temperature: τ; 10 in the paper.
        proposal: what draws them, as for `adasir`; the paper's draws are uniform.
    """
    base = propose(training, proposal)
    state = base.state

    def before_epoch(epoch: int, scorer: Scorer, rng: np.random.Generator) -> None:
        lists = np.empty((training.n_users, memory), np.int32)
        for users in _all_users(training):
            drawn = base.proposal.draw(_rows_of(users, training, base, rng), max(draws, memory), rng, scorer).items
            if epoch > 1:
                drawn = torch.cat([torch.from_numpy(np.asarray(state["lists"])[users.numpy()]), drawn], dim=1)
            noise = torch.from_numpy(rng.gumbel(size=tuple(drawn.shape)).astype(np.float32)).to(scorer.device)
            drawn = drawn.to(torch.int64)
            kept = first_occurrence(drawn) & _unseen(training, users, drawn)
            drawn = drawn.to(scorer.device)
            keys = scorer.scores(users.to(scorer.device), drawn) / temperature + noise
            kept = masked(keys, kept.to(scorer.device)).topk(memory, dim=1).indices
            lists[users.numpy()] = drawn.gather(1, kept).cpu().numpy()
        state["lists"], state["weight"] = lists, np.array(alpha * min(1.0, epoch / (warm_up * training.epochs)))
        _remember(state, scorer)

    def steady(batch: Batch, drawn: Candidates, n: int, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        def chance(model: Scorer, batch: Batch) -> Tensor:
            return (model.scores(batch.queries, drawn.items) - model.positives(batch).unsqueeze(1)).sigmoid()

        users = Batch(batch.users, batch.positives)  # of whom alone the past is kept
        past = torch.stack([chance(model, users) for model in _past(state, scorer)])
        value = chance(scorer, batch) + float(state["weight"]) * past.std(dim=0, correction=0)
        return pick(drawn, masked(value, drawn.valid).topk(min(n, value.shape[1]), dim=1).indices)

    chosen = base.choosing(steady, before_epoch=before_epoch, settles=warm_up)
    return replace(chosen, proposal=_FromLists(training, state, whole=True))


@dataclass(frozen=True)
class _FromLists(Proposal):
    """Draws from the user's list, or the `whole` of it."""

    training: Training
    state: State
    whole: bool = False

    def draw(self, batch: Batch, n: int | None, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        users, lists = batch.users.numpy(), np.asarray(self.state["lists"])
        items = lists[users]
        if not self.whole:
            items = np.take_along_axis(items, rng.integers(lists.shape[1], size=(len(users), n or lists.shape[1])), 1)
        found = torch.from_numpy(items.astype(np.int64))
        unseen = _unseen(self.training, batch.users, found)
        return Candidates(found, valid=None if unseen.all() else unseen)

    def log_prob(self, users: Tensor, items: Tensor, scorer: Scorer) -> Tensor:
        raise LookupError("how probable an item is to be on a user's list is not known")


@dataclass(frozen=True)
class _TopAndUniform(Proposal):
    training: Training
    state: State
    share: float
    reject: bool = True

    def draw(self, batch: Batch, n: int | None, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        users, lists = batch.users.numpy(), np.asarray(self.state["top"])
        drawn = Uniform(self.training, reject=True).draw(batch, n, rng, scorer)
        length = self._length(users)
        columns = (rng.random(tuple(drawn.items.shape)) * length[:, None]).astype(np.int64)
        top = torch.from_numpy(np.take_along_axis(lists[users], columns, 1).astype(np.int64))
        from_list = torch.from_numpy(rng.random(tuple(top.shape)) < self.share)
        return Candidates(torch.where(from_list, top, drawn.items), valid=drawn.valid)

    def _length(self, users: NDArray[np.int64]) -> NDArray[np.int64]:
        """Entries of each user's list; what follows them is seen."""
        left = self.training.n_items - self.training.seen.counts[users]
        return np.minimum(np.asarray(self.state["top"]).shape[1], left)

    def log_prob(self, users: Tensor, items: Tensor, scorer: Scorer) -> Tensor:
        rows, size = users.numpy(), self.training.n_items
        length = self._length(rows)
        mine = np.zeros((len(rows), size), bool)
        lists = np.asarray(self.state["top"])[rows]
        kept = np.arange(lists.shape[1]) < length[:, None]
        mine[np.nonzero(kept)[0], lists[kept]] = True
        listed = np.take_along_axis(mine, np.broadcast_to(items.numpy(), (len(rows), items.shape[-1])), 1)
        uniform = (1 - self.share) / np.maximum(size - self.training.seen.counts[rows], 1)
        law = uniform[:, None] + listed * (self.share / np.maximum(length, 1))[:, None]
        with np.errstate(divide="ignore"):
            return torch.from_numpy(np.log(law).astype(np.float32))

    def log_prob_positive(self, batch: Batch, scorer: Scorer) -> Tensor:
        left = self.training.n_items - self.training.seen.counts[batch.users.numpy()]
        with np.errstate(divide="ignore"):  # a positive is on no list, and one more item for the uniform part
            return torch.from_numpy(np.log((1 - self.share) / (left + 1)).astype(np.float32))


def _all_users(training: Training) -> Iterator[Tensor]:
    return iter(torch.split(torch.arange(training.n_users), USERS_AT_A_TIME))


def _unseen(training: Training, users: Tensor, items: Tensor) -> Tensor:
    """(B, N) whether `items` (B, N) are unseen by `users` (B,); on the CPU."""
    return torch.from_numpy(~training.seen.contains(users.numpy()[:, None], items.numpy()))


def _rows_of(users: Tensor, training: Training, base: Sampler, rng: np.random.Generator) -> Batch:
    """Rows for `users` to propose for, whose positives are as those of rows taken at random."""
    if base.proposal.of_users:
        return Batch(users, torch.zeros_like(users))
    return Batch(users, torch.from_numpy(rng.choice(training.n_items, size=len(users), p=training.positive_law)))


def _remember(state: State, scorer: Scorer) -> None:
    """Add the tables as they are to those of the last epochs."""
    for name, table in zip(PAST, scorer.tables, strict=True):
        if table is not None:
            now = table.clone().unsqueeze(0)
            state[name] = torch.cat([now, torch.as_tensor(state.get(name, now[:0]))])[:HISTORY]


def _past(state: State, scorer: Scorer) -> Iterator[Scorer]:
    """The model as it was at the start of the last epochs."""
    for epoch in range(len(state[PAST[0]])):
        users, items, bias = (torch.as_tensor(state[name])[epoch] if name in state else None for name in PAST)
        assert users is not None
        assert items is not None
        yield Scorer(Tables(users, items, bias), scorer.space)
