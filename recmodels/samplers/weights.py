"""Samplers that keep all they draw and weigh it by score."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from recmodels.samplers import SAMPLERS
from recmodels.samplers.static import Uniform, by_popularity
from recmodels.sampling import Sampler, Scorer, Training
from recmodels.types import Batch, Candidates


@SAMPLERS.register("self-adversarial", paper="Sun, Deng, Nie, Tang, ICLR 2019", gives=["weight"])
def self_adversarial(training: Training, *, scale: Annotated[float, ">= 0"] | None = None) -> Sampler:
    """Uniform negatives, weighted by the softmax of their scores.

    w_j = exp(a s_j) / Σ_k exp(a s_k), without a gradient. The law behind weighted draws is not given. Cost: one draw
    and one score per negative.

    Args:
        training: the training interactions.
        scale: a; 0 weighs all alike. `none` is 1, the paper's, for dot products and distances, 5 for cosines and 10
            for half-cosines: the weights that a softmax at the usual temperature of 0.2 gives.
    """

    def weigh(batch: Batch, drawn: Candidates, n: int, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        return weighted(drawn, _scale(scale, scorer) * scorer.scores(batch.users, drawn.items))

    return Sampler(Uniform(training, reject=True), select=weigh)


@SAMPLERS.register("pris", paper="Lian, Liu, Chen, WWW 2020", gives=["weight"])
def pris(training: Training, *, proposal: Literal["uniform", "popularity"] = "popularity") -> Sampler:
    """Personalised ranking with importance sampling: draws of a fixed law, weighted towards the softmax of scores.

    w_j ∝ exp(s_j - log q_j), without a gradient: the expectation of the loss is as if negatives were drawn from the
    model's softmax. Cost: one draw and one score per negative.

    Args:
        training: the training interactions.
        proposal: q, `popularity` (PRIS(P), q ∝ n_j) or `uniform` (PRIS(U)), among unseen items.
    """
    drawing = by_popularity(training, 1.0, reject=True) if proposal == "popularity" else Uniform(training, reject=True)

    def weigh(batch: Batch, drawn: Candidates, n: int, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        scores = scorer.scores(batch.users, drawn.items)
        log_q = drawing.log_prob(batch.users.cpu(), drawn.items.cpu(), scorer).to(scores)
        return weighted(drawn, scores - log_q)

    return Sampler(drawing, select=weigh)


@SAMPLERS.register("softmax-rho", paper="Shi, Chen, Feng, Zhang, Wu, Gao, He, WWW 2023", gives=["weight"])
def softmax_rho(
    training: Training, *, rho: Annotated[float, "> 0"] = 1.0, scale: Annotated[float, "> 0"] | None = None
) -> Sampler:
    """Softmax(ρ, N): uniform negatives weighted by the softmax of their losses, as sharp as ρ allows.

    w_j ∝ exp(Z_j / τ) with Z_j = softplus(a (s_j - s⁺)) and τ = sqrt(Var_j Z / 2ρ), without a gradient; it is the
    weighting behind the one-way partial AUC. Cost: one draw and one score per negative.

    Args:
        training: the training interactions.
        rho: ρ, the divergence allowed from equal weights; 1 in the paper, with 200 negatives.
        scale: a. `none` is 1, the paper's, for dot products and distances; on cosines Z would be a straight line, and
            easy negatives count, so that it is 5 there and 10 for half-cosines: one over the usual temperature of 0.2.
    """

    def weigh(batch: Batch, drawn: Candidates, n: int, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        gap = scorer.scores(batch.users, drawn.items) - scorer.positives(batch).unsqueeze(1)
        z = softplus(_scale(scale, scorer) * gap)
        valid = torch.ones_like(z) if drawn.valid is None else drawn.valid.to(z).expand_as(z)
        count = valid.sum(dim=1, keepdim=True).clamp(min=1)
        mean = (z * valid).sum(dim=1, keepdim=True) / count
        variance = ((z - mean).square() * valid).sum(dim=1, keepdim=True) / count
        return weighted(drawn, (z - mean) / (variance / (2 * rho)).sqrt().clamp(min=1e-6))

    return Sampler(Uniform(training, reject=True), select=weigh)


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
