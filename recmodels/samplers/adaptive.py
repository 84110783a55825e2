"""Samplers that approximate the model's ranking by a structure refreshed now and then."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recmodels.draws import draw_unseen, drawn_in_order
from recmodels.samplers import SAMPLERS
from recmodels.samplers.dense import CELLS, among_unseen, dense_law
from recmodels.sampling import (
    Proposal,
    Sampler,
    Scorer,
    Training,
    draw_by_weight,
    mask_seen,
)
from recmodels.scoring import ranking_tables
from recmodels.search import Search
from recmodels.seen import Int
from recmodels.types import Batch, Candidates, Tables

State = dict[str, NDArray[Any] | Tensor]
LLOYD_ROUNDS = 10
ROUNDS = 24  # steps of a walk to an unseen item, before the rest of its way is laid out
SMALLEST_RANK = 1.000001  # of a mean rank; 1 is always the first item


@SAMPLERS.register("aobpr", paper="Rendle and Freudenthaler, WSDM 2014", gives=["log_q", "ordered"])
def aobpr(training: Training, *, rank: Annotated[float, "> 0, <= 1", Search(0.0005, 0.1, log=True)] = 0.035) -> Sampler:
    """Adaptive oversampling: the item at a geometric rank in the order of one factor of the user's vector.

    A factor f is drawn with p(f|u) ∝ |w_uf| σ_f, σ_f the standard deviation of the factor over items; a rank r = 0, 1,
    … with p(r) ∝ (1 - p)^r, 1 / p = rank × I; the item is the r-th of the user's unseen ones in descending order of
    factor f where w_uf > 0, else in ascending order. Hence q(j|u) = Σ_f p(f|u) p(rank of j by f). Ranks end with the
    last unseen item and are renormalised; the code of Milogradskii et al. (RecSys 2024) gives what lies beyond to the
    last item, and is else the same. A bias is one more factor, and in the spaces other than dot the factors are those
    of the vectors whose dot products give the score. Cost: a search and some bit tests per draw, and a sort of D × I
    factors every I ln I positives; log q takes D searches per item.

    Args:
        training: the training interactions.
        rank: mean rank drawn, as a share of the catalogue; 0.0005 to 0.2 are published, 0.035 is the best mean rank
            of 700 on the 20,108 items of ML-20M.
    """
    state: State = {"positives": np.zeros(1, np.int64)}

    def before_epoch(epoch: int, scorer: Scorer, rng: np.random.Generator) -> None:
        if epoch == 1:
            _refresh_order(state, scorer)

    decay = math.log1p(-1 / max(rank * training.n_items, SMALLEST_RANK))
    return Sampler(_Factors(training, decay, state), before_epoch=before_epoch, state=state)


@SAMPLERS.register("midx", paper="Chen, Lian, Jin, Huang, Zheng, Chen, WWW 2022", gives=["log_q", "ordered"])
def midx(training: Training, *, clusters: Annotated[int, ">= 1, <= 256", Search(8, 128, log=True)] = 32) -> Sampler:
    """Softmax sampling through an inverted multi-index: items quantised in two halves of their vectors.

    Each half is clustered by k-means before every epoch. A pair of clusters is drawn in proportion to its number of
    items times exp(u₁·c + u₂·c'), then an item of it uniformly: q(j|u) ∝ exp of the score of its quantised vector,
    among unseen items, in the score space of the loss; a bias is one more number of the vectors. Cost: clusters²
    weights per row, a binary search and a bit test per draw.

    Args:
        training: the training interactions.
        clusters: of each half; as many as items in each cell means more exact scores.
    """
    state: State = {}

    def before_epoch(epoch: int, scorer: Scorer, rng: np.random.Generator) -> None:
        halves = _item_factors(scorer).tensor_split(2, dim=1)
        found = [_kmeans(half, min(clusters, training.n_items), rng) for half in halves]
        (state["centers_1"], first), (state["centers_2"], second) = found
        cell = (first * len(state["centers_2"]) + second).cpu()
        size = len(state["centers_1"]) * len(state["centers_2"])
        state["cell"], state["by_cell"] = cell, cell.argsort(stable=True)
        state["starts"] = torch.cat([torch.zeros(1, dtype=torch.int64), cell.bincount(minlength=size).cumsum(0)])

    return Sampler(_MultiIndex(training, state), before_epoch=before_epoch, state=state)


@dataclass(frozen=True)
class _Factors(Proposal):
    training: Training
    decay: float  # log(1 - p)
    state: State
    reject: bool = True

    def draw(self, batch: Batch, n: int | None, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        n, size, counter = n or self.training.n_items, self.training.n_items, np.asarray(self.state["positives"])
        if counter[0] >= size * math.log(size):
            _refresh_order(self.state, scorer)
        counter[0] += len(batch.users)
        law, descending = self._factors(batch.queries, scorer)
        cumulated = law.cumsum(axis=1)
        cumulated[:, -1] = 1.0
        flat = (cumulated + np.arange(len(law))[:, None]).ravel()  # ascending over all rows, one search for all
        rows = np.arange(len(law)).repeat(n)
        factors = np.searchsorted(flat, rows + rng.random(len(rows)), side="right") - rows * law.shape[1]
        factors = factors.clip(0, law.shape[1] - 1)
        users = batch.users.numpy()[rows]
        return drawn_in_order(self._walk(users, factors, descending[rows, factors], rng).reshape(-1, n))

    def _factors(self, users: Tensor, scorer: Scorer) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """(B, D) probability of each factor, and whether its order is descending."""
        vectors = _user_factors(users, scorer).cpu().double().numpy()
        law = np.abs(vectors) * np.asarray(self.state["spread"])
        law = np.where(law.sum(axis=1, keepdims=True) > 0, law, 1.0)
        return law / law.sum(axis=1, keepdims=True), vectors > 0

    def _geometric(self, k: int, rng: np.random.Generator) -> Int:
        ranks: Int = (np.log1p(-rng.random(k)) / self.decay).astype(np.int64)  # from 0
        return ranks

    def _walk(self, users: Int, factors: Int, descending: NDArray[np.bool_], rng: np.random.Generator) -> Int:
        """One item for each of `users` (k,), at a geometric rank among the unseen in the order of its factor; -1: none.

        From the top, each place is hit with probability p; the first hit on an unseen item counts, and whoever passes
        the end starts again. So no rank among the unseen is ever counted.
        """
        order, seen, size = np.asarray(self.state["order"]), self.training.seen, self.training.n_items
        found, todo = np.full(len(users), -1, np.int64), np.flatnonzero(seen.counts[users] < size)
        place = np.zeros(len(todo), np.int64)  # where the walk goes on
        for _ in range(ROUNDS):
            if not todo.size:
                return found
            place += self._geometric(len(todo), rng)
            inside = np.flatnonzero(place < size)
            mine = todo[inside]
            items = order[factors[mine], np.where(descending[mine], place[inside], size - 1 - place[inside])]
            free = ~seen.contains(users[mine], items)
            found[mine[free]] = items[free]
            left = np.ones(len(todo), bool)
            left[inside[free]] = False
            todo, place = todo[left], np.where(place < size, place + 1, 0)[left]
        step = max(1, CELLS // size)
        for start in range(0, len(todo), step):
            some = todo[start : start + step]
            along = order[factors[some]]  # (k, I)
            along[~descending[some]] = along[~descending[some], ::-1]
            found[some] = self._lay_out(users[some], along, place[start : start + step], rng)
        return found

    def _lay_out(self, users: Int, along: Int, place: Int, rng: np.random.Generator) -> Int:
        """Where the walk that goes on from `place` (k,) of the items `along` (k, I) ends, by counting the unseen."""
        rows = np.arange(len(users))
        upto = (~self.training.seen.contains(users[:, None], along)).cumsum(axis=1)  # (k, I)
        rank = np.where(place > 0, upto[rows, place - 1], 0) + self._geometric(len(rows), rng)
        total = upto[:, -1]
        again = np.log1p(rng.random(len(rows)) * np.expm1(total * self.decay)) / self.decay  # geometric, cut off
        rank = np.where(rank < total, rank, np.minimum(again.astype(np.int64), total - 1))
        found: Int = along[rows, (upto > rank[:, None]).argmax(axis=1)]
        return found

    def log_prob(self, users: Tensor, items: Tensor, scorer: Scorer) -> Tensor:
        return self.law(Batch(users, torch.zeros_like(users)), items, scorer)[0]

    def log_prob_positive(self, batch: Batch, scorer: Scorer) -> Tensor:
        return self.law(batch, batch.positives[:0], scorer)[1]

    def law(self, batch: Batch, items: Tensor, scorer: Scorer) -> tuple[Tensor, Tensor]:
        users, own = batch.users, batch.positives.unsqueeze(1)
        both = torch.cat([own, items.expand(len(users), items.shape[-1])], dim=1)
        unseen = self.training.n_items - self.training.seen.counts[users.numpy()][:, None]
        left = np.concatenate([unseen + 1, np.broadcast_to(unseen, (len(users), items.shape[-1]))], axis=1)
        log_q = self._law(batch, both.numpy(), left.clip(min=1), scorer)
        return log_q[:, 1:], log_q[:, 0]

    def _law(self, batch: Batch, ids: Int, left: Int, scorer: Scorer) -> Tensor:
        """(B, N) log q of the items `ids`, each among so many that are `left`."""
        seen, size = self.training.seen, self.training.n_items
        law, descending = self._factors(batch.queries, scorer)
        owners, row = np.unique(batch.users.numpy(), return_inverse=True)
        kind = np.int32 if len(owners) * size < 1 << 31 else np.int64  # the smaller sort in half the time
        rows, hidden = seen.of(owners)
        own, theirs = (row * size).astype(kind)[:, None], (rows * size).astype(kind)
        starts = np.concatenate([[0], np.cumsum(seen.counts[owners])])[row][:, None]
        total = np.zeros(ids.shape)
        for factor, place in enumerate(np.asarray(self.state["place"]).astype(kind)):
            at = place[ids]
            rank = at + starts - np.searchsorted(np.sort(theirs + place[hidden]), own + at)  # among the unseen
            rank = np.where(descending[:, factor, None], rank, left - 1 - rank).clip(min=0)
            total += law[:, factor, None] * np.exp(rank * self.decay)
        total *= np.expm1(self.decay) / np.expm1(left * self.decay)
        with np.errstate(divide="ignore"):
            return torch.from_numpy(np.log(total).astype(np.float32))


@dataclass(frozen=True)
class _MultiIndex(Proposal):
    training: Training
    state: State
    reject: bool = True

    def draw(self, batch: Batch, n: int | None, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        n, starts = n or self.training.n_items, torch.as_tensor(self.state["starts"])
        sizes = starts.diff()
        left, right = self._halves(batch.queries, scorer)
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
            return self._exact(batch.at(torch.from_numpy(rows)), rng, scorer)

        return draw_unseen(self.training.seen, batch.users.numpy(), n, draw, exact)

    def _halves(self, users: Tensor, scorer: Scorer) -> tuple[Tensor, Tensor]:
        vectors = _user_factors(users, scorer).tensor_split(2, dim=1)
        centers = (torch.as_tensor(self.state[name], device=scorer.device) for name in ("centers_1", "centers_2"))
        left, right = (half @ center.T for half, center in zip(vectors, centers, strict=True))
        return left, right

    def log_weights(self, users: Tensor, scorer: Scorer) -> Tensor:
        """(B, I) scores of the quantised items."""
        left, right = self._halves(users, scorer)
        cell = torch.as_tensor(self.state["cell"], device=left.device)
        return left[:, cell // right.shape[1]] + right[:, cell % right.shape[1]]

    def _exact(self, batch: Batch, rng: np.random.Generator, scorer: Scorer) -> Int:
        """One unseen item for each row by the law laid out over the catalogue; -1 where all are seen."""
        found, training = np.full(len(batch.users), -1, np.int64), self.training
        step = max(1, CELLS // training.n_items)
        for start in range(0, len(found), step):
            some = batch.at(slice(start, start + step))
            mine, weights = some.users, self.log_weights(some.queries, scorer)
            items = draw_by_weight(mask_seen(weights, training.seen, mine), 1, rng)
            left = training.seen.counts[mine.numpy()] < training.n_items
            found[start : start + step] = np.where(left, items.squeeze(1).numpy(), -1)
        return found

    def log_prob(self, users: Tensor, items: Tensor, scorer: Scorer) -> Tensor:
        return among_unseen(self.log_weights(users, scorer), self.training, users, items)

    def log_prob_positive(self, batch: Batch, scorer: Scorer) -> Tensor:
        return self.law(batch, batch.positives[:0], scorer)[1]

    def law(self, batch: Batch, items: Tensor, scorer: Scorer) -> tuple[Tensor, Tensor]:
        return dense_law(self.log_weights(batch.queries, scorer), self.training, batch, items)


def _user_factors(users: Tensor, scorer: Scorer) -> Tensor:
    """(B, D) vectors of `users` whose dot products with `_item_factors` order items as the scores do."""
    rows, items, bias = scorer.vectors(users), scorer.items, scorer.bias
    rows, _, bias = ranking_tables(Tables(rows, items[:0], None if bias is None else bias[:0]), scorer.space)
    return rows if bias is None else torch.cat([rows, rows.new_ones(len(rows), 1)], dim=1)


def _item_factors(scorer: Scorer) -> Tensor:
    """(I, D) vectors of the items; the last number is their bias, if they have one."""
    _, items, bias = ranking_tables(Tables(scorer.items[:0], scorer.items, scorer.bias), scorer.space)
    return items if bias is None else torch.cat([items, bias.unsqueeze(1)], dim=1)


def _refresh_order(state: State, scorer: Scorer) -> None:
    """Items in descending order of each factor and the place of each item there, (D, I); the spread (D,) of each."""
    items = _item_factors(scorer).cpu()
    order = items.T.argsort(dim=1, descending=True, stable=True)
    state["order"], state["place"] = order.numpy(), order.argsort(dim=1).numpy()
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
