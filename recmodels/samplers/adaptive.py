"""Samplers that approximate the model's ranking by a structure refreshed now and then."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recmodels.samplers import SAMPLERS
from recmodels.samplers.dense import restricted
from recmodels.sampling import Sampler, Scorer, Training, draw_by_weight, draw_unseen, mask_seen
from recmodels.seen import Int
from recmodels.types import Batch, Candidates

State = dict[str, NDArray[Any] | Tensor]
LLOYD_ROUNDS = 10


@SAMPLERS.register("aobpr", paper="Rendle and Freudenthaler, WSDM 2014", gives=["log_q", "ordered"])
def aobpr(training: Training, *, rank: Annotated[float, "> 1"] = 500.0) -> Sampler:
    """Adaptive oversampling: the item at a geometric rank in the order of one factor of the user's vector.

    A factor f is drawn with p(f|u) ∝ |w_uf| σ_f, σ_f the standard deviation of the factor over items; a rank r with
    p(r) ∝ (1 - 1/rank)^r; the item is the r-th from the top of factor f where w_uf > 0, else from the bottom. Hence
    q(j|u) ∝ Σ_f p(f|u) p(rank of j by f), among unseen items. Cost: two
    searches and a bit test per draw, and a sort of D × I factors every I ln I positives.

    Args:
        training: the training interactions.
        rank: mean rank drawn; published settings lie between 10 and 4000 and grow with the catalogue.
    """
    state: State = {"positives": np.zeros(1, np.int64)}

    def before_epoch(epoch: int, scorer: Scorer, rng: np.random.Generator) -> None:
        if epoch == 1:
            _refresh_order(state, scorer)

    return Sampler(_Factors(training, rank, state), before_epoch=before_epoch, state=state)


@SAMPLERS.register("midx", paper="Chen, Lian, Jin, Huang, Zheng, Chen, WWW 2022", gives=["log_q", "ordered"])
def midx(training: Training, *, clusters: Annotated[int, ">= 1, <= 256"] = 32) -> Sampler:
    """Softmax sampling through an inverted multi-index: items quantised in two halves of their vectors.

    Each half is clustered by k-means before every epoch. A pair of clusters is drawn in proportion to its number of
    items times exp(u₁·c + u₂·c'), then an item of it uniformly: q(j|u) ∝ exp of the score of its quantised vector,
    among unseen items. Cost: clusters² weights per row, a binary search and a bit test per draw.

    Args:
        training: the training interactions.
        clusters: of each half; as many as items in each cell means more exact scores.
    """
    state: State = {}

    def before_epoch(epoch: int, scorer: Scorer, rng: np.random.Generator) -> None:
        halves = scorer.tables.items.tensor_split(2, dim=1)
        found = [_kmeans(half, min(clusters, training.n_items), rng) for half in halves]
        (state["centers_1"], first), (state["centers_2"], second) = found
        cell = (first * len(state["centers_2"]) + second).cpu()
        size = len(state["centers_1"]) * len(state["centers_2"])
        state["cell"], state["by_cell"] = cell, cell.argsort(stable=True)
        state["starts"] = torch.cat([torch.zeros(1, dtype=torch.int64), cell.bincount(minlength=size).cumsum(0)])

    return Sampler(_MultiIndex(training, state), before_epoch=before_epoch, state=state)


@dataclass(frozen=True)
class _Factors:
    training: Training
    rank: float
    state: State
    static: bool = False
    reject: bool = True

    def draw(self, batch: Batch, n: int | None, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        n, size, counter = n or self.training.n_items, self.training.n_items, np.asarray(self.state["positives"])
        if counter[0] >= size * math.log(size):
            _refresh_order(self.state, scorer)
        counter[0] += len(batch.users)
        vectors = self._signed(batch.users, scorer).cpu().double().numpy()  # (B, D)
        law = np.abs(vectors) * np.asarray(self.state["spread"])
        law = np.where(law.sum(axis=1, keepdims=True) > 0, law, 1.0)
        cumulated = law.cumsum(axis=1) / law.sum(axis=1, keepdims=True)
        cumulated[:, -1] = 1.0
        flat = (cumulated + np.arange(len(law))[:, None]).ravel()  # ascending over all rows, one search for all
        order, decay = np.asarray(self.state["order"]), math.log1p(-1 / self.rank)

        def draw(rows: Int) -> Int:
            factors = np.searchsorted(flat, rows + rng.random(len(rows)), side="right").clip(max=len(flat) - 1)
            factors = np.clip(factors - rows * law.shape[1], 0, law.shape[1] - 1)
            ranks = np.log1p(rng.random(len(rows)) * math.expm1(size * decay)) / decay  # geometric, cut off at I
            ranks = np.minimum(ranks.astype(np.int64), size - 1)
            found: Int = order[factors, np.where(vectors[rows, factors] > 0, ranks, size - 1 - ranks)]
            return found

        def exact(rows: Int) -> Int:
            return exact_draws(self, batch.users[torch.from_numpy(rows)], rng, scorer, self.training)

        return draw_unseen(self.training.seen, batch.users.numpy(), n, draw, exact)

    def _signed(self, users: Tensor, scorer: Scorer) -> Tensor:
        return scorer.tables.users.index_select(0, users.to(scorer.device))

    def log_weights(self, users: Tensor, scorer: Scorer) -> Tensor:
        """(B, I) log probabilities before rejection: products of (B, D) factor laws with (D, I) rank laws."""
        size, decay = self.training.n_items, math.log1p(-1 / self.rank)
        order = torch.as_tensor(self.state["order"], device=scorer.device)
        from_top = torch.empty_like(order).scatter_(1, order, torch.arange(size, device=order.device).expand_as(order))
        log_top = from_top.double() * decay
        log_bottom = (size - 1 - from_top).double() * decay
        vectors = self._signed(users, scorer).double()
        law = vectors.abs() * torch.as_tensor(self.state["spread"], device=vectors.device)
        law = torch.where(law.sum(dim=1, keepdim=True) > 0, law, 1.0)
        law = law / law.sum(dim=1, keepdim=True)
        up = vectors > 0
        weights = (law * up) @ log_top.exp() + (law * ~up) @ log_bottom.exp()
        return (weights * (math.expm1(decay) / math.expm1(size * decay))).log().float()

    def log_prob(self, users: Tensor, items: Tensor, scorer: Scorer) -> Tensor:
        return restricted(self.log_weights(users, scorer), self.training, users, items)


@dataclass(frozen=True)
class _MultiIndex:
    training: Training
    state: State
    static: bool = False
    reject: bool = True

    def draw(self, batch: Batch, n: int | None, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        n, starts = n or self.training.n_items, torch.as_tensor(self.state["starts"])
        sizes = starts.diff()
        left, right = self._halves(batch.users, scorer)
        cells = (left.unsqueeze(2) + right.unsqueeze(1)).flatten(1).cpu() + sizes.log()  # (B, clusters²)
        by_cell = np.asarray(self.state["by_cell"])
        top = cells.amax(dim=1, keepdim=True)
        cumulated = (cells - top).double().exp().cumsum(dim=1)
        cumulated = cumulated / cumulated[:, -1:]
        flat = (cumulated + torch.arange(len(cells)).unsqueeze(1)).flatten().numpy()
        width, counts, first = cells.shape[1], sizes.numpy(), starts.numpy()
        last = int(np.flatnonzero(counts)[-1])

        def draw(rows: Int) -> Int:
            cell = np.searchsorted(flat, rows + rng.random(len(rows)), side="right") - rows * width
            cell = np.clip(cell, 0, last)
            found: Int = by_cell[first[cell] + (rng.random(len(rows)) * counts[cell]).astype(np.int64)]
            return found

        def exact(rows: Int) -> Int:
            return exact_draws(self, batch.users[torch.from_numpy(rows)], rng, scorer, self.training)

        return draw_unseen(self.training.seen, batch.users.numpy(), n, draw, exact)

    def _halves(self, users: Tensor, scorer: Scorer) -> tuple[Tensor, Tensor]:
        vectors = scorer.tables.users.index_select(0, users.to(scorer.device)).tensor_split(2, dim=1)
        centers = (torch.as_tensor(self.state[name], device=scorer.device) for name in ("centers_1", "centers_2"))
        left, right = (half @ center.T for half, center in zip(vectors, centers, strict=True))
        return left, right

    def log_weights(self, users: Tensor, scorer: Scorer) -> Tensor:
        """(B, I) scores of the quantised items."""
        left, right = self._halves(users, scorer)
        cell = torch.as_tensor(self.state["cell"], device=left.device)
        return left[:, cell // right.shape[1]] + right[:, cell % right.shape[1]]

    def log_prob(self, users: Tensor, items: Tensor, scorer: Scorer) -> Tensor:
        return restricted(self.log_weights(users, scorer), self.training, users, items)


def exact_draws(
    proposal: _Factors | _MultiIndex, users: Tensor, rng: np.random.Generator, scorer: Scorer, training: Training
) -> Int:
    """One unseen item for each of `users` by the law laid out over the catalogue; -1 where all are seen."""
    found = np.full(len(users), -1, np.int64)
    step = max(1, (1 << 22) // training.n_items)
    for start in range(0, len(users), step):
        mine = users[start : start + step]
        items = draw_by_weight(mask_seen(proposal.log_weights(mine, scorer), training.seen, mine), 1, rng)
        left = training.seen.counts[mine.numpy()] < training.n_items
        found[start : start + step] = np.where(left, items.squeeze(1).numpy(), -1)
    return found


def _refresh_order(state: State, scorer: Scorer) -> None:
    """Items in descending order of each factor, (D, I), and the spread (D,) of each factor."""
    items = scorer.tables.items.cpu()
    state["order"] = items.T.argsort(dim=1, descending=True, stable=True).numpy()
    state["spread"] = items.double().std(dim=0, correction=0).numpy()
    state["positives"] = np.zeros(1, np.int64)


def _kmeans(points: Tensor, k: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """(k, D) centres and the (I,) nearest of each point, by Lloyd's rounds from k random points."""
    centers = points[torch.from_numpy(rng.permutation(len(points))[:k]).to(points.device)]
    for _ in range(LLOYD_ROUNDS):
        nearest = torch.cdist(points, centers).argmin(dim=1)
        sums = torch.zeros_like(centers).index_add_(0, nearest, points)
        counts = nearest.bincount(minlength=k).unsqueeze(1)
        centers = torch.where(counts > 0, sums / counts.clamp(min=1), centers)
    return centers, torch.cdist(points, centers).argmin(dim=1)
