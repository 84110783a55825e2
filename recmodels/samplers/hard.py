"""Samplers that draw a pool uniformly and choose from it by score."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor

from datasets.errors import UserError
from recmodels.samplers import SAMPLERS
from recmodels.samplers.static import Uniform
from recmodels.sampling import Sampler, Scorer, Training
from recmodels.scoring import from_dot
from recmodels.types import Batch, Candidates, Tables


@SAMPLERS.register("dns", paper="Zhang, Chen, Wang, Yu, SIGIR 2013")
def dns(training: Training, *, pool: Annotated[int, ">= 1"] = 8) -> Sampler:
    """Dynamic negative sampling: the highest-scoring of a few uniform draws, for each negative anew.

    With n unseen items, the one of rank r is chosen with probability ((n-r+1)/n)^M - ((n-r)/n)^M; its rank takes the
    scores of all items, so log q is not given. Cost: M draws and M scores per negative.

    Args:
        training: the training interactions.
        pool: M, draws per negative; 1 is `uniform`, published values are 5 to 64.
    """

    def hardest(batch: Batch, drawn: Candidates, n: int, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        return best_of_groups(drawn, masked(scorer.scores(batch.users, drawn.items), drawn.valid), n)

    return Sampler(Uniform(training, reject=True), select=hardest, pool=lambda n: n * pool)


@SAMPLERS.register(
    "dns-mn",
    paper="Shi, Chen, Feng, Zhang, Wu, Gao, He, WWW 2023",
    limits=["negatives <= pool", "negatives <= keep", "keep <= pool"],
)
def dns_mn(
    training: Training, *, pool: Annotated[int, ">= 1"] = 200, keep: Annotated[int, ">= 1"] | None = None
) -> Sampler:
    """DNS(M, N): the negatives are taken from the M highest-scoring of N uniform draws.

    With `keep=none`, M is the number of negatives and all M are used, as in the paper's code; with `keep=M` the
    negatives are a random part of the top M, one of them in the paper's text (`negatives=1`). Larger M is a softer
    choice. The law is unknown. Cost: N draws, N scores and a partial sort per row.

    Args:
        training: the training interactions.
        pool: N, draws per row; 200 in the paper.
        keep: M, at least the number of negatives.
    """

    def top(batch: Batch, drawn: Candidates, n: int, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        if n > (keep or n) or (keep or n) > drawn.items.shape[1]:
            raise UserError(f"dns-mn: negatives={n} <= keep={keep or n} <= pool={pool} must hold; change one of them.")
        scores = masked(scorer.scores(batch.users, drawn.items), drawn.valid)
        columns = scores.topk(keep or n, dim=1).indices
        if keep is not None and keep > n:
            chosen = torch.from_numpy(rng.random(columns.shape)).argsort(dim=1)[:, :n]
            columns = columns.gather(1, chosen.to(columns.device))
        return pick(drawn, columns)

    return Sampler(Uniform(training, reject=True), select=top, pool=lambda n: pool)


@SAMPLERS.register("curriculum", paper="Lai et al., AAAI 2024 (its curriculum ablation)")
def curriculum(
    training: Training, *, pool: Annotated[int, ">= 1"] = 16, uniform_from: Annotated[float, "> 0, <= 1"] = 0.2
) -> Sampler:
    """DNS whose pool shrinks from M to 1, from hard negatives to uniform ones.

    In epoch t the pool is M - (M - 1)(t - 1) / (L - 1), rounded, and 1 from epoch L = uniform_from × epochs on. The law
    is unknown.
    Cost: that of `dns` with the pool of the epoch.

    Args:
        training: the training interactions.
        pool: M of the first epoch.
        uniform_from: the share of `epochs` after which negatives are uniform.
    """
    state: dict[str, np.ndarray | Tensor] = {"pool": np.array(pool)}
    last = uniform_from * training.epochs

    def before_epoch(epoch: int, scorer: Scorer, rng: np.random.Generator) -> None:
        done = min(1.0, (epoch - 1) / (last - 1)) if last > 1 else 1.0
        state["pool"] = np.array(round(pool - (pool - 1) * done))

    def hardest(batch: Batch, drawn: Candidates, n: int, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        return best_of_groups(drawn, masked(scorer.scores(batch.users, drawn.items), drawn.valid), n)

    return Sampler(
        Uniform(training, reject=True),
        select=hardest,
        pool=lambda n: n * int(state["pool"]),
        before_epoch=before_epoch,
        settles=uniform_from,
        state=state,
    )


@SAMPLERS.register("ahns", paper="Lai et al., AAAI 2024")
def ahns(
    training: Training,
    *,
    pool: Annotated[int, ">= 1"] = 16,
    alpha: Annotated[float, ">= 0"] = 0.1,
    beta: Annotated[float, ">= 0"] = 0.4,
    power: Annotated[float, "<= 0"] = -2.0,
) -> Sampler:
    """Adaptive hardness: the draw whose score is nearest to a target that falls as the positive's score rises.

    Chooses argmin_j |s_j - β (s⁺ + α)^(p + 1)|. Where s⁺ + α is not positive it is taken as a small number, so that
    the target is high. The law is unknown. Cost: M draws and M scores per negative.

    Args:
        training: the training interactions.
        pool: M, draws per negative; 16 on ml-1m.
        alpha: α; 0.1 on ml-1m.
        beta: β; 0.4 on ml-1m.
        power: p; -2 in the paper.
    """

    def nearest(batch: Batch, drawn: Candidates, n: int, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        target = beta * (scorer.positives(batch) + alpha).clamp(min=1e-6).pow(power + 1)
        gap = (scorer.scores(batch.users, drawn.items) - target.unsqueeze(1)).abs()
        return best_of_groups(drawn, masked(-gap, drawn.valid), n)

    return Sampler(Uniform(training, reject=True), select=nearest, pool=lambda n: n * pool)


@SAMPLERS.register("bns", paper="Liu and Wang, ICDE 2023")
def bns(
    training: Training,
    *,
    pool: Annotated[int, ">= 1"] = 5,
    weight: Annotated[float, ">= 0"] = 5.0,
    reference: Annotated[int, ">= 1"] | Literal["all"] = 256,
) -> Sampler:
    """Bayesian negative sampling: the draw with the least risk of being a false negative, for what it teaches.

    With F(s_j) the empirical distribution of the user's unseen scores at s_j and the prior p_j = n_j / |D|,
    unbias = (1 - F)(1 - p) / (1 - F - p + 2 F p) and info = sigmoid(s_j - s⁺); chooses
    argmin_j info · (1 - (1 + λ) unbias). The law is unknown. Cost: M draws and M scores per negative, and a sort of
    the reference scores per row.

    Args:
        training: the training interactions.
        pool: M, draws per negative; 5 in the paper.
        weight: λ, of not being a false negative; 5 on ml-100k.
        reference: items, drawn anew for each batch, whose unseen scores estimate F; `all` is the paper's.
    """
    prior = training.counts / training.counts.sum()

    def least_risk(batch: Batch, drawn: Candidates, n: int, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        scores = scorer.scores(batch.users, drawn.items)
        below = _unseen_below(training, batch, scores, reference, rng, scorer)
        p = torch.from_numpy(prior).to(scores)[drawn.items]
        unbias = (1 - below) * (1 - p) / (1 - below - p + 2 * below * p).clamp(min=1e-12)
        risk = (scores - scorer.positives(batch).unsqueeze(1)).sigmoid() * (1 - (1 + weight) * unbias)
        return best_of_groups(drawn, masked(-risk, drawn.valid), n)

    return Sampler(Uniform(training, reject=True), select=least_risk, pool=lambda n: n * pool)


def _unseen_below(
    training: Training, batch: Batch, scores: Tensor, reference: int | str, rng: np.random.Generator, scorer: Scorer
) -> Tensor:
    """(B, M) shares of the user's unseen reference items that score no higher than each of `scores` (B, M)."""
    size = training.n_items
    items = np.arange(size) if isinstance(reference, str) else rng.integers(size, size=min(reference, size))
    against = scorer.scores(batch.users, torch.from_numpy(items).to(scores.device))  # (B, R)
    seen = torch.from_numpy(training.seen.contains(batch.users.cpu().numpy()[:, None], items)).to(scores.device)
    ordered = against.masked_fill_(seen, torch.inf).sort(dim=1).values
    count = torch.searchsorted(ordered, scores.contiguous(), right=True)
    return count / (~seen).sum(dim=1, keepdim=True).clamp(min=1)


@SAMPLERS.register("mixgcf", paper="Huang, Dong, Ding, Yang, Feng, Wang, Tang, KDD 2021", gives=["vectors"])
def mixgcf(training: Training, *, pool: Annotated[int, ">= 1"] = 16) -> Sampler:
    """Positive mixing: the draw whose vector, with some of the positive mixed in, scores highest.

    v' = b v⁺ + (1 - b) v_j with b uniform in (0, 1) for each draw; the choice among M of them is by the score of v',
    u·v' in the paper, and v' is the negative that is trained on. The paper's hop mixing needs the layers of a graph
    model and is left out. The law is unknown. Cost: M draws and M scores per negative.

    Args:
        training: the training interactions.
        pool: M, draws per negative; 16 to 64 in the paper.
    """

    def mix(batch: Batch, drawn: Candidates, n: int, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        share = torch.from_numpy(rng.random(tuple(drawn.items.shape), dtype=np.float32)).to(scorer.device)
        columns = _best_columns(masked(_mixed_scores(batch, drawn.items, share, scorer), drawn.valid), n)
        return replace(pick(drawn, columns), mix=share.gather(1, columns))

    return Sampler(Uniform(training, reject=True), select=mix, pool=lambda n: n * pool)


def _mixed_scores(batch: Batch, items: Tensor, share: Tensor, scorer: Scorer) -> Tensor:
    """(B, M) scores of `items` (B, M) with a `share` (B, M) of the row's positive mixed into their vectors."""
    if scorer.space == "dot":  # the score is linear in the vector
        return torch.lerp(scorer.scores(batch.users, items), scorer.positives(batch).unsqueeze(1), share)
    users, table, _ = scorer.tables
    plain, among = Scorer(Tables(users, table)), Scorer(Tables(table, table))  # dot products with users, among items
    dot = torch.lerp(plain.scores(batch.users, items), plain.positives(batch).unsqueeze(1), share)
    across = 2 * share * (1 - share) * among.scores(batch.positives, items)
    user, item = (vectors.square().sum(dim=1) for vectors in (users, table))
    squares = share.square() * item[batch.positives].unsqueeze(1) + (1 - share).square() * item[items] + across
    return from_dot(dot, user[batch.users].unsqueeze(1), squares, scorer.space)


def masked(values: Tensor, valid: Tensor | None) -> Tensor:
    """`values` (B, M) with -inf where a candidate must not count."""
    return values if valid is None else values.masked_fill(~valid, -torch.inf)


def best_of_groups(drawn: Candidates, values: Tensor, n: int) -> Candidates:
    """The candidate with the largest of `values` (B, n · M) in each of n groups of M neighbours."""
    return pick(drawn, _best_columns(values, n))


def _best_columns(values: Tensor, n: int) -> Tensor:
    size = values.shape[1] // n
    best = values.view(len(values), n, size).argmax(dim=2)
    return best + size * torch.arange(n, device=best.device)


def pick(drawn: Candidates, columns: Tensor) -> Candidates:
    """The candidates in `columns` (B, N) of each row; their law is not known any more."""
    valid = None if drawn.valid is None else drawn.valid.expand_as(drawn.items).gather(1, columns)
    return Candidates(drawn.items.gather(1, columns), valid=valid)
