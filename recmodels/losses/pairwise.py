"""Losses that compare each negative with the positive."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor
from torch.nn.functional import softplus

from recmodels.losses import LOSSES
from recmodels.scoring import ascending, in_space
from recmodels.search import Search
from recmodels.slopes import Sloped, slopes
from recmodels.types import LossInput


@LOSSES.register(
    "bpr",
    paper="Rendle, Freudenthaler, Gantner, Schmidt-Thieme, UAI 2009",
    space="dot",
    spaces=["dot", "cosine", "half-cosine", "distance"],
)
def bpr(x: LossInput) -> Tensor:
    """The mean over negatives of -log sigmoid(s⁺ - s_j).

    Written as softplus(s_j - s⁺), which neither overflows nor loses its gradient.
    """
    return x.mean(softplus(x.negative - x.positive[:, None]))


@slopes("bpr")
def bpr_slopes(x: LossInput) -> Sloped:
    """Each negative's is sigmoid(s_j - s⁺), by its share in the mean."""
    gap = x.negative - x.positive[:, None]
    return _of_gaps(x, softplus(gap), gap.sigmoid())


def _of_gaps(x: LossInput, values: Tensor, slope: Tensor) -> Sloped:
    """The mean of `values` (B, N), functions of s_j - s⁺, and its slopes by theirs (B, N)."""
    by_negative = slope * x.factors
    return Sloped(x.mean(values), -by_negative.sum(dim=1), by_negative)


@LOSSES.register(
    "hinge",
    paper="Joachims, KDD 2002; Weimer, Karatzoglou, Smola, Machine Learning 72(3), 2008",
    space="dot",
    spaces=["dot", "cosine", "half-cosine", "distance"],
    aliases=["pairwise hinge"],
)
def hinge(
    x: LossInput,
    *,
    margin: Annotated[float, "> 0", Search(0.1, 5, log=True)] = 1.0,  # papers
) -> Tensor:
    """The mean over negatives of max(0, margin + s_j - s⁺).

    Args:
        x: scores.
        margin: by how much the positive has to win; 1 for dot products, 0.1 to 0.5 for cosines.
    """
    return x.mean((margin + x.negative - x.positive[:, None]).relu())


@slopes("hinge")
def hinge_slopes(x: LossInput, *, margin: float) -> Sloped:
    """Each negative's is 1 where the positive does not win by the margin, by its share in the mean."""
    short = (margin + x.negative - x.positive[:, None]).relu()
    return _of_gaps(x, short, (short > 0).to(short.dtype))


@LOSSES.register(
    "top1",
    paper="Hidasi, Karatzoglou, Baltrunas, Tikk, ICLR 2016",
    space="dot",
    spaces=["dot", "cosine", "half-cosine"],
    spaces_why="it pulls the scores of negatives to 0, the largest that a distance gives",
)
def top1(x: LossInput) -> Tensor:
    """The mean over negatives of sigmoid(s_j - s⁺) + sigmoid(s_j²).

    The second term pulls the scores of negatives to 0.
    """
    return x.mean((x.negative - x.positive[:, None]).sigmoid() + x.negative.square().sigmoid())


@LOSSES.register(
    "lambdarank",
    paper="Burges, Ragno, Le, NIPS 2006",
    space="dot",
    needs=["tables"],
    spaces=["dot", "cosine", "half-cosine", "distance"],
    recommended={"l2": 3e-4},
    recommended_from="validation on ml-100k",
    search={"l2": Search(1e-7, 1e-3, log=True)},  # its gradient is weaker than that of bpr
)
def lambdarank(x: LossInput) -> Tensor:
    """The mean over negatives of |1/log2(1 + r⁺) - 1/log2(1 + r_j)| · softplus(s_j - s⁺).

    r are the ranks, from 1, among all items, so that a pair weighs what swapping it would change in DCG; no gradient
    flows through them. Cost: the scores of the whole catalogue for each row.
    """
    gain = 1 / discount(ranks(x))
    weight = (gain[:, :1] - gain[:, 1:]).abs()  # (B, N)
    return x.mean(weight * softplus(x.negative - x.positive[:, None]))


@LOSSES.register(
    "lambdaloss",
    paper="Wang, Li, Golbandi, Bendersky, Najork, CIKM 2018; Jagerman, Qin, Wang, Bendersky, Najork, SIGIR 2022",
    space="dot",
    needs=["tables"],
    spaces=["dot", "cosine", "half-cosine", "distance"],
    search={"l2": Search(1e-7, 1e-3, log=True)},  # its gradient is weaker than that of bpr
    recommended={"l2": 1e-5},
    recommended_from="validation on ml-100k",
    aliases=["NDCG-Loss2", "LambdaLoss@K"],
)
def lambdaloss(
    x: LossInput,
    *,
    k: Annotated[int, ">= 1", Search(among=(5, 10, 20, 50))] | None = None,  # IRB
) -> Tensor:
    """The mean over negatives of μ (1/log2(1 + a) - 1/log2(2 + a)) · softplus(s_j - s⁺), with a = |r⁺ - r_j|.

    NDCG-Loss2: a bound of NDCG. r are the ranks as in `lambdarank`, no gradient flows through them; of two items that
    tie, one is taken to stand next to the other (a = 1). With `k` it aims at NDCG@k: μ is
    1 / (1 - 1/log2(1 + max(r⁺, r_j))) where one of the two ranks is beyond k, and 1 elsewhere.

    Args:
        x: scores, and the tables.
        k: the cut-off of the metric; none for NDCG of the whole list.
    """
    rank = ranks(x)
    own, others = rank[:, :1], rank[:, 1:]
    apart = (own - others).abs().clamp(min=1)
    weight = 1 / discount(apart) - 1 / discount(apart + 1)
    if k is not None:
        last = torch.maximum(own, others)
        weight = torch.where(last > k, weight / (1 - 1 / discount(last.clamp(min=2))), weight)
    return x.mean(weight * softplus(x.negative - x.positive[:, None]))


def discount(rank: Tensor) -> Tensor:
    """log2(1 + rank)."""
    return torch.log2(1 + rank)


@torch.no_grad()
def ranks(x: LossInput) -> Tensor:
    """(B, 1 + N) the ranks of the positive and of the negatives among all items: 1 + how many score higher."""
    assert x.tables is not None
    scores = in_space(x.of_rows, x.tables.items, x.space)  # (B, I)
    if x.tables.bias is not None:
        scores = scores + x.tables.bias
    items = x.items.expand(len(scores), -1) if x.items.dim() == 1 else x.items
    own = scores.gather(1, torch.cat([x.batch.positives.unsqueeze(1), items], dim=1))  # (B, 1 + N)
    above = scores.shape[1] - torch.searchsorted(ascending(scores), own, right=True)
    return (1 + above).to(scores.dtype)
