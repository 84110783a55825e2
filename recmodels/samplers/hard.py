"""Samplers that choose by score from a pool of draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor

from datasets.errors import UserError
from recmodels.compatibility import proposal_gives
from recmodels.proposals import propose
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Law, Sampler, Scorer, Training
from recmodels.scoring import from_dot
from recmodels.search import Search
from recmodels.selection import HighestLaw, scores_of_all
from recmodels.types import Batch, Candidates, Tables


@SAMPLERS.register(
    "dns",
    paper="Zhang, Chen, Wang, Yu, SIGIR 2013",
    gives={"log_q": "proposal gives ordered"},
    aliases={"AMNS": "proposal=mixed"},
)
def dns(
    training: Training,
    *,
    pool: Annotated[int, ">= 1", Search(2, 64, log=True)] = 8,
    proposal: Annotated[str, "proposal"] = "uniform",
) -> Sampler:
    """Dynamic negative sampling: the highest-scoring of a few draws, for each negative anew.

    Of M draws from a law q, item j is the highest with probability F_j^M - (F_j - q_j)^M, F_j the mass of what scores
    no higher; log q is that law where the draws are independent. `proposal=mixed` is adaptive mixed sampling (Prakash,
    Bermperidis, Chennu, arXiv 2410.17276), whose code takes the highest of one pool per row as `dns-mn:proposal=mixed`
    does. Cost: M draws and M scores per negative; log q takes the scores of the catalogue and a sort per row.

    Args:
        training: the training interactions.
        pool: M, draws per negative; 1 is the proposal itself, published values are 5 to 64.
        proposal: q, a sampler that draws by a law, as in `popularity:alpha=0.5`.
    """
    base = propose(training, proposal)
    return base.choosing(
        highest, pool=lambda n: n * pool, chosen=law_of_highest(training, base, proposal, lambda: (1, pool))
    )


def highest(batch: Batch, drawn: Candidates, n: int, rng: np.random.Generator, scorer: Scorer) -> Candidates:
    """The highest-scoring of each of n groups."""
    return best_of_groups(drawn, masked(scorer.scores(batch.queries, drawn.items), drawn.valid), n)


@SAMPLERS.register(
    "dns-mn",
    paper="Shi, Chen, Feng, Zhang, Wu, Gao, He, WWW 2023",
    gives={"log_q": "proposal gives ordered"},
    limits=["negatives <= pool", "negatives <= keep", "keep <= pool"],
)
def dns_mn(
    training: Training,
    *,
    pool: Annotated[int, ">= 1", Search(among=(50, 100, 200, 500))] = 200,
    keep: Annotated[int, ">= 1", Search(1, 50, log=True)] | None = None,
    proposal: Annotated[str, "proposal"] = "uniform",
) -> Sampler:
    """DNS(M, N): the negatives are taken from the M highest-scoring of N draws.

    With `keep=none`, M is the number of negatives and all M are used, as in the paper's code; with `keep=M` the
    negatives are a random part of the top M, one of them in the paper's text (`negatives=1`). Larger M is a softer
    choice. log q is the law of one of the top M: an item's expected copies there over M, where the draws are
    independent. Cost: N draws, N scores and a partial sort per row; log q takes the scores of the catalogue and a sort.

    Args:
        training: the training interactions.
        pool: N, draws per row; 200 in the paper.
        keep: M, at least the number of negatives.
        proposal: what draws them, as for `dns`.
    """
    base = propose(training, proposal)
    base.state["kept"] = np.array(keep or 1)

    def top(batch: Batch, drawn: Candidates, n: int, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        kept = keep or n
        if n > kept or kept > drawn.items.shape[1]:
            raise UserError(f"dns-mn: negatives={n} <= keep={kept} <= pool={pool} must hold; change one of them.")
        base.state["kept"] = np.array(kept)
        scores = masked(scorer.scores(batch.queries, drawn.items), drawn.valid)
        columns = scores.topk(kept, dim=1).indices
        if kept > n:
            chosen = torch.from_numpy(rng.random(columns.shape)).argsort(dim=1)[:, :n]
            columns = columns.gather(1, chosen.to(columns.device))
        return pick(drawn, columns)

    law = law_of_highest(training, base, proposal, lambda: (int(base.state["kept"]), pool))
    return base.choosing(top, pool=lambda n: pool, chosen=law)


@SAMPLERS.register(
    "curriculum",
    paper="Lai et al., AAAI 2024 (its curriculum ablation)",
    gives={"log_q": "proposal gives ordered"},
)
def curriculum(
    training: Training,
    *,
    pool: Annotated[int, ">= 1", Search(2, 64, log=True)] = 16,
    uniform_from: Annotated[float, "> 0, <= 1", Search(0.2, 1.0)] = 0.2,
    proposal: Annotated[str, "proposal"] = "uniform",
) -> Sampler:
    """DNS whose pool shrinks from M to 1, from hard negatives to those of the proposal.

    In epoch t the pool is M - (M - 1)(t - 1) / (L - 1), rounded, and 1 from epoch L = uniform_from × epochs on. log q
    is that of `dns` with the pool of the epoch. Cost: that of `dns` with the pool of the epoch.

    Args:
        training: the training interactions.
        pool: M of the first epoch.
        uniform_from: the share of `epochs` after which negatives are uniform, or what else the proposal draws.
        proposal: what draws them, as for `dns`.
    """
    base = propose(training, proposal)
    base.state["pool"] = np.array(pool)
    last = uniform_from * training.epochs

    def before_epoch(epoch: int, scorer: Scorer, rng: np.random.Generator) -> None:
        done = min(1.0, (epoch - 1) / (last - 1)) if last > 1 else 1.0
        base.state["pool"] = np.array(round(pool - (pool - 1) * done))

    return base.choosing(
        highest,
        pool=lambda n: n * int(base.state["pool"]),
        chosen=law_of_highest(training, base, proposal, lambda: (1, int(base.state["pool"]))),
        before_epoch=before_epoch,
        settles=uniform_from,
    )


@SAMPLERS.register("ahns", paper="Lai et al., AAAI 2024", gives={"log_q": "proposal gives ordered"})
def ahns(
    training: Training,
    *,
    pool: Annotated[int, ">= 1", Search(8, 64, log=True)] = 16,
    alpha: Annotated[float, ">= 0", Search(among=(0.1, 0.5, 1.0))] = 0.1,
    beta: Annotated[float, ">= 0", Search(0.05, 1.0)] = 0.4,
    power: Annotated[float, "<= 0", Search(among=(-2.0, -1.5))] = -2.0,
    proposal: Annotated[str, "proposal"] = "uniform",
) -> Sampler:
    """Adaptive hardness: the draw whose score is nearest to a target that falls as the positive's score rises.

    Chooses argmin_j |s_j - β (s⁺ + α)^(p + 1)|. Where s⁺ + α is not positive it is taken as a small number, so that
    the target is high. log q is as for `dns`, by nearness in place of the score. Cost: M draws and M scores per
    negative; log q takes the scores of the catalogue and a sort per row.

    Args:
        training: the training interactions.
        pool: M, draws per negative; 16 on ml-1m.
        alpha: α; 0.1 on ml-1m.
        beta: β; 0.4 on ml-1m.
        power: p; -2 in the paper.
        proposal: what draws them, as for `dns`.
    """

    def nearness(batch: Batch, scores: Tensor, scorer: Scorer) -> Tensor:
        target = beta * (scorer.positives(batch) + alpha).clamp(min=1e-6).pow(power + 1)
        return -(scores - target.unsqueeze(1)).abs()

    def nearest(batch: Batch, drawn: Candidates, n: int, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        values = nearness(batch, scorer.scores(batch.queries, drawn.items), scorer)
        return best_of_groups(drawn, masked(values, drawn.valid), n)

    base = propose(training, proposal)

    def values(batch: Batch, scorer: Scorer) -> Tensor:
        return nearness(batch, scorer.all(batch.queries), scorer)

    law = law_of_highest(training, base, proposal, lambda: (1, pool), values)
    return base.choosing(nearest, pool=lambda n: n * pool, chosen=law)


@SAMPLERS.register("bns", paper="Liu and Wang, ICDE 2023")
def bns(
    training: Training,
    *,
    pool: Annotated[int, ">= 1", Search(3, 16, log=True)] = 5,
    weight: Annotated[float, ">= 0", Search(1.0, 20.0, log=True)] = 5.0,
    reference: Annotated[int, ">= 1"] | Literal["all"] = 256,
    proposal: Annotated[str, "proposal"] = "uniform",
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
        proposal: what draws them, as for `dns`.
    """
    prior = training.counts / training.counts.sum()

    def least_risk(batch: Batch, drawn: Candidates, n: int, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        scores = scorer.scores(batch.queries, drawn.items)
        below = _unseen_below(training, batch, scores, reference, rng, scorer)
        p = torch.from_numpy(prior).to(scores)[drawn.items]
        unbias = (1 - below) * (1 - p) / (1 - below - p + 2 * below * p).clamp(min=1e-12)
        risk = (scores - scorer.positives(batch).unsqueeze(1)).sigmoid() * (1 - (1 + weight) * unbias)
        return best_of_groups(drawn, masked(-risk, drawn.valid), n)

    return propose(training, proposal).choosing(least_risk, pool=lambda n: n * pool)


def _unseen_below(
    training: Training, batch: Batch, scores: Tensor, reference: int | str, rng: np.random.Generator, scorer: Scorer
) -> Tensor:
    """(B, M) shares of the user's unseen reference items that score no higher than each of `scores` (B, M)."""
    size = training.n_items
    items = np.arange(size) if isinstance(reference, str) else rng.integers(size, size=min(reference, size))
    against = scorer.scores(batch.queries, torch.from_numpy(items).to(scores.device))  # (B, R)
    seen = torch.from_numpy(training.seen.contains(batch.users.cpu().numpy()[:, None], items)).to(scores.device)
    ordered = against.masked_fill_(seen, torch.inf).sort(dim=1).values
    count = torch.searchsorted(ordered, scores.contiguous(), right=True)
    return count / (~seen).sum(dim=1, keepdim=True).clamp(min=1)


@SAMPLERS.register(
    "mixgcf",
    paper="Huang, Dong, Ding, Yang, Feng, Wang, Tang, KDD 2021",
    gives=["vectors"],
    recommended={"pool": 4, "negatives": 4, "l2": 1e-4},
    recommended_from="validation on ml-100k",
)
def mixgcf(
    training: Training,
    *,
    pool: Annotated[int, ">= 1", Search(8, 64, log=True)] = 16,
    proposal: Annotated[str, "proposal"] = "uniform",
) -> Sampler:
    """Positive mixing: the draw whose vector, with some of the positive mixed in, scores highest.

    v' = b v⁺ + (1 - b) v_j with b uniform in (0, 1) for each draw; the choice among M of them is by the score of v',
    u·v' in the paper, and v' is the negative that is trained on. The paper's hop mixing needs the layers of a graph
    model and is left out. The law is unknown. Cost: M draws and M scores per negative.

    Args:
        training: the training interactions.
        pool: M, draws per negative; 16 to 64 in the paper.
        proposal: what draws them, as for `dns`.
    """

    def mix(batch: Batch, drawn: Candidates, n: int, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        share = torch.from_numpy(rng.random(tuple(drawn.items.shape), dtype=np.float32)).to(scorer.device)
        columns = _best_columns(drawn, masked(_mixed_scores(batch, drawn.items, share, scorer), drawn.valid), n)
        return replace(pick(drawn, columns), mix=share.gather(1, columns))

    return propose(training, proposal).choosing(mix, pool=lambda n: n * pool)


def _mixed_scores(batch: Batch, items: Tensor, share: Tensor, scorer: Scorer) -> Tensor:
    """(B, M) scores of `items` (B, M) with a `share` (B, M) of the row's positive mixed into their vectors."""
    if scorer.space == "dot":  # the score is linear in the vector
        return torch.lerp(scorer.scores(batch.queries, items), scorer.positives(batch).unsqueeze(1), share)
    users, table, rows = scorer.vectors(batch.queries), scorer.items, torch.arange(len(items), device=scorer.device)
    plain, among = Scorer(Tables(users, table)), Scorer(Tables(table, table))  # dot products with rows, among items
    own = plain.positives(Batch(rows, batch.positives)).unsqueeze(1)
    dot = torch.lerp(plain.scores(rows, items), own, share)
    across = 2 * share * (1 - share) * among.scores(batch.positives, items)
    user, item = (vectors.square().sum(dim=1) for vectors in (users, table))
    squares = share.square() * item[batch.positives].unsqueeze(1) + (1 - share).square() * item[items] + across
    return from_dot(dot, user.unsqueeze(1), squares, scorer.space)


def masked(values: Tensor, valid: Tensor | None) -> Tensor:
    """`values` (B, M) with -inf where a candidate must not count."""
    return values if valid is None else values.masked_fill(~valid, -torch.inf)


def best_of_groups(drawn: Candidates, values: Tensor, n: int) -> Candidates:
    """The candidate with the largest of `values` (B, n · M) in each of n groups of M."""
    return pick(drawn, _best_columns(drawn, values, n))


def _best_columns(drawn: Candidates, values: Tensor, n: int) -> Tensor:
    """The column of the largest value of each group: neighbours where draws are independent, else every n-th.

    The columns of a mixture stand by their origin, and each group gets its share of either.
    """
    if drawn.ordered:
        size = values.shape[1] // n
        best = values.view(len(values), n, size).argmax(dim=2)
        return best + size * torch.arange(n, device=best.device)
    best = values.view(len(values), -1, n).argmax(dim=1)
    return best * n + torch.arange(n, device=best.device)


def pick(drawn: Candidates, columns: Tensor) -> Candidates:
    """The candidates in `columns` (B, N) of each row; their law is not known any more."""
    valid = None if drawn.valid is None else drawn.valid.expand_as(drawn.items).gather(1, columns)
    return Candidates(drawn.items.gather(1, columns), valid=valid)


def law_of_highest(
    training: Training,
    base: Sampler,
    proposal: str,
    sizes: Callable[[], tuple[int, int]],
    values: Callable[[Batch, Scorer], Tensor] = scores_of_all,
) -> Law | None:
    """The law of one of the highest, where the draws of the proposal are independent; else it is unknown."""
    independent = "ordered" in proposal_gives({"proposal": proposal})
    return HighestLaw(training, base.proposal, sizes, values) if independent else None
