"""Losses that look at the negatives that come closest to the positive."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from recmodels.losses import LOSSES
from recmodels.objective import LossState, state
from recmodels.sampling import Training
from recmodels.search import Search
from recmodels.types import LossInput

EULER = 0.5772156649015329


@LOSSES.register(
    "warp",
    paper="Weston, Bengio, Usunier, IJCAI 2011",
    space="dot",
    needs=["ordered"],
    refuses=["weight"],
    spaces=["dot", "cosine", "half-cosine", "distance"],
    search={"negatives": Search(10, 200, log=True)},  # papers
    aliases=["WSABIE"],
)
def warp(
    x: LossInput,
    *,
    margin: Annotated[float, "> 0", Search(0.1, 5, log=True)] = 1.0,  # papers
    # paper, later code
    rank_weight: Annotated[Literal["harmonic", "log"], Search(among=("harmonic", "log"))] = "harmonic",
) -> Tensor:
    """The hinge of the first draw that violates the margin, times a weight for the rank that its trial tells.

    Draws are looked at in order, at most N; a violation s_j > s⁺ - margin at trial t estimates the positive's rank as
    k = floor((I - |P_u|) / t), from the number of items that the user has not seen. No violation, no loss. Draws that
    do not count as negatives are no trials.

    Args:
        x: scores of independent draws in order.
        margin: by how much the positive has to win.
        rank_weight: Σ_{i ≤ k} 1/i as in the paper, or log k as in later implementations.
    """
    excess = margin + x.negative - x.positive[:, None]  # (B, N)
    violated = excess.detach() > 0
    counts = torch.ones_like(violated) if x.valid is None else x.valid.expand(violated.shape)
    violated = violated & counts
    first = violated.to(torch.uint8).argmax(dim=1, keepdim=True)  # the first of the largest
    trials = counts.cumsum(dim=1).gather(1, first).clamp(min=1)
    unseen = x.state["unseen"][x.batch.users]
    rank = (unseen // trials.squeeze(1)).clamp(min=1).to(excess.dtype)
    weight = torch.digamma(rank + 1) + EULER if rank_weight == "harmonic" else rank.log()
    return weight * excess.gather(1, first).squeeze(1) * violated.any(dim=1)


@state("warp")
def unseen_items(training: Training, *, margin: float, rank_weight: str) -> LossState:
    """I - |P_u|, how many items each user has not seen."""
    return LossState({"unseen": training.n_items - torch.from_numpy(training.seen.counts)})


@LOSSES.register(
    "cml",
    paper="Hsieh, Yang, Cui, Lin, Belongie, Estrin, WWW 2017",
    space="distance",
    needs=["free_vectors"],
    refuses=["weight"],
    spaces=["distance"],
    spaces_why="its margin and its ball are distances",
    aliases=["collaborative metric learning"],
)
def cml(
    x: LossInput,
    *,
    margin: Annotated[float, "> 0", Search(0.5, 2)] = 1.5,  # papers
    radius: Annotated[float, "> 0"] = 1.0,
) -> Tensor:
    """Collaborative metric learning: w · max(0, margin + ‖u - v⁺‖² - min_j ‖u - v_j‖²).

    w = log(1 + I · share of negatives within the margin) estimates the positive's rank. After every step vectors
    longer than `radius` are shortened to it. The covariance penalty of the paper is left out.

    Args:
        x: negative squared distances.
        margin: by how much the positive has to be nearer.
        radius: of the ball that all vectors stay in.
    """
    closest = x.masked(x.negative).amax(dim=1)
    excess = (margin + closest - x.positive).relu()
    violated = x.masked(x.negative.detach()) > x.positive.detach()[:, None] - margin
    share = violated.sum(dim=1, keepdim=True) / x.counted.clamp(min=1)
    return torch.log1p(x.n_items * share.squeeze(1)) * excess


@state("cml")
def project(training: Training, *, margin: float, radius: float) -> LossState:
    """Keeps every vector within the ball."""

    @torch.no_grad()
    def after_step(module: nn.Module) -> None:
        for table in (module.users, module.items):
            assert isinstance(table, Tensor)
            table.mul_((radius / table.norm(dim=1, keepdim=True).clamp(min=1e-12)).clamp(max=1.0))

    return LossState(after_step=after_step)


@LOSSES.register(
    "bpr-max",
    paper="Hidasi, Karatzoglou, CIKM 2018",
    space="dot",
    refuses=["weight"],
    spaces=["dot", "cosine", "half-cosine"],
    spaces_why="it pulls the scores of negatives to 0, the largest that a distance gives",
)
def bpr_max(
    x: LossInput,
    *,
    regularization: Annotated[float, ">= 0", Search(0.01, 10, log=True, among=(0.0,))] = 1.0,  # GRU4Rec
) -> Tensor:
    """-log Σ_j p_j sigmoid(s⁺ - s_j) + regularization · Σ_j p_j s_j², where p is the softmax over negatives.

    Computed as a log-sum-exp of log p_j + logsigmoid(s⁺ - s_j). The gradient goes through p too, as in the paper.

    Args:
        x: scores.
        regularization: pulls the scores of the strongest negatives to 0.
    """
    negative = x.negative - x.positive[:, None]
    log_p = x.masked(x.negative).log_softmax(dim=1)
    rank = -x.log_sum(log_p + logsigmoid(-negative))
    return rank + regularization * (x.shares(x.negative) * x.negative.square()).sum(dim=1)


@LOSSES.register(
    "top1-max",
    paper="Hidasi, Karatzoglou, CIKM 2018",
    space="dot",
    refuses=["weight"],
    spaces=["dot", "cosine", "half-cosine"],
    spaces_why="it pulls the scores of negatives to 0, the largest that a distance gives",
)
def top1_max(x: LossInput) -> Tensor:
    """Σ_j p_j (sigmoid(s_j - s⁺) + sigmoid(s_j²)), where p is the softmax over negatives."""
    terms = (x.negative - x.positive[:, None]).sigmoid() + x.negative.square().sigmoid()
    return (x.shares(x.negative) * terms).sum(dim=1)


@LOSSES.register(
    "simce",
    paper="Yang et al., arXiv 2406.16170, 2024",
    space="dot",
    refuses=["weight"],
    spaces=["dot", "cosine", "half-cosine", "distance"],
    search={"negatives": Search(16, 256, log=True)},  # papers
    aliases=["SimCE"],
)
def simce(
    x: LossInput,
    *,
    margin: Annotated[float, "> 0", Search(0.5, 10, log=True)] = 5.0,  # papers
) -> Tensor:
    """max(0, margin - s⁺ + max_j s_j): a bound of the softmax, in which the highest negative alone learns.

    With one negative it is `hinge`.

    Args:
        x: scores.
        margin: by how much the positive has to win; 5 with 64 negatives in the authors' command.
    """
    highest = x.masked(x.negative).amax(dim=1)
    return x.without_negatives((margin + highest - x.positive).relu())
