"""Samplers that keep all they draw and weigh it by score."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from recmodels.proposals import propose
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Sampler, Scorer, Training
from recmodels.search import Search
from recmodels.types import Batch, Candidates


@SAMPLERS.register(
    "self-adversarial",
    paper="Sun, Deng, Nie, Tang, ICLR 2019",
    gives={"weight": "", "all": "proposal gives all"},
)
def self_adversarial(
    training: Training,
    *,
    scale: Annotated[float, ">= 0", Search(0.25, 20.0, log=True)] | None = None,
    proposal: Annotated[str, "proposal"] = "uniform",
) -> Sampler:
    """Draws weighted by the softmax of their scores.

    w_j = exp(a s_j) / Σ_k exp(a s_k), without a gradient. The law behind weighted draws is not given. Cost: one draw
    and one score per negative.

    Args:
        training: the training interactions.
        scale: a; 0 weighs all alike. `none` is 1, the paper's, for dot products and distances, 5 for cosines and 10
            for half-cosines: the weights that a softmax at the usual temperature of 0.2 gives.
        proposal: what draws them: a sampler that draws by a law, as in `popularity:alpha=0.5`.
    """

    def weigh(batch: Batch, drawn: Candidates, n: int, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        return weighted(drawn, _scale(scale, scorer) * scorer.scores(batch.queries, drawn.items))

    return propose(training, proposal).choosing(weigh)


@SAMPLERS.register(
    "pris",
    paper="Lian, Liu, Chen, WWW 2020",
    gives={"weight": "", "all": "proposal gives all"},
    of_proposal=["log_q"],
)
def pris(
    training: Training,
    *,
    proposal: Annotated[str, "proposal", Search(among=("uniform", "popularity:alpha=1.0"))] = "popularity:alpha=1.0",
) -> Sampler:
    """Personalised ranking with importance sampling: draws of a fixed law, weighted towards the softmax of scores.

    w_j ∝ exp(s_j - log q_j), without a gradient: the expectation of the loss is as if negatives were drawn from the
    model's softmax. Cost: one draw and one score per negative.

    Args:
        training: the training interactions.
        proposal: q, a sampler that draws by a law; q ∝ n_j is PRIS(P), `uniform` is PRIS(U), both among unseen items.
    """
    base = propose(training, proposal)

    def weigh(batch: Batch, drawn: Candidates, n: int, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        scores = scorer.scores(batch.queries, drawn.items)
        own = batch.to(torch.device("cpu"))
        log_q, _ = base.proposal.law(own, drawn.items.cpu(), scorer)
        return weighted(drawn, scores - log_q.to(scores))

    return base.choosing(weigh)


@SAMPLERS.register(
    "softmax-rho",
    paper="Shi, Chen, Feng, Zhang, Wu, Gao, He, WWW 2023",
    gives={"weight": "", "all": "proposal gives all"},
)
def softmax_rho(
    training: Training,
    *,
    rho: Annotated[float, "> 0", Search(0.05, 5.0, log=True)] = 1.0,
    scale: Annotated[float, "> 0"] | None = None,
    proposal: Annotated[str, "proposal"] = "uniform",
) -> Sampler:
    """Softmax(ρ, N): draws weighted by the softmax of their losses, as sharp as ρ allows.

    w_j ∝ exp(Z_j / τ) with Z_j = softplus(a (s_j - s⁺)) and τ = sqrt(Var_j Z / 2ρ), without a gradient; it is the
    weighting behind the one-way partial AUC. Cost: one draw and one score per negative.

    Args:
        training: the training interactions.
        rho: ρ, the divergence allowed from equal weights; 1 in the paper, with 200 negatives.
        scale: a. `none` is 1, the paper's, for dot products and distances; on cosines Z would be a straight line, and
            easy negatives count, so that it is 5 there and 10 for half-cosines: one over the usual temperature of 0.2.
        proposal: what draws them, as for `self-adversarial`.
    """

    def weigh(batch: Batch, drawn: Candidates, n: int, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        gap = scorer.scores(batch.queries, drawn.items) - scorer.positives(batch).unsqueeze(1)
        z = softplus(_scale(scale, scorer) * gap)
        valid = torch.ones_like(z) if drawn.valid is None else drawn.valid.to(z).expand_as(z)
        count = valid.sum(dim=1, keepdim=True).clamp(min=1)
        mean = (z * valid).sum(dim=1, keepdim=True) / count
        variance = ((z - mean).square() * valid).sum(dim=1, keepdim=True) / count
        return weighted(drawn, (z - mean) / (variance / (2 * rho)).sqrt().clamp(min=1e-6))

    return propose(training, proposal).choosing(weigh)


def _scale(given: float | None, scorer: Scorer) -> float:
    """What scores are multiplied by: as given, else what brings cosines to the size of dot products."""
    return {"cosine": 5.0, "half-cosine": 10.0}.get(scorer.space, 1.0) if given is None else given


def weighted(drawn: Candidates, logits: Tensor) -> Candidates:
    """The same candidates with weights (B, N): the softmax of `logits` over what is valid, 0 where nothing is."""
    if drawn.valid is None:
        return replace(drawn, weight=logits.softmax(dim=1), ordered=False)
    valid = drawn.valid.expand_as(logits)
    lowest = torch.finfo(logits.dtype).min
    return replace(drawn, weight=logits.masked_fill(~valid, lowest).softmax(dim=1) * valid, ordered=False)
