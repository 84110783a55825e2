"""Disentangled negative sampling: what of an item's vector is relevant is left out of its hardness."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from recmodels.proposals import propose
from recmodels.samplers import SAMPLERS
from recmodels.samplers.hard import best_of_groups, masked
from recmodels.sampling import Sampler, Scorer, Training
from recmodels.scoring import row_dot, rows_of
from recmodels.search import Search
from recmodels.sums import log_sum_exp
from recmodels.types import LOWEST, Batch, Candidates, Vectors

CELLS = 1 << 18  # of rows × draws × embedding size that are gated at a time, so that they stay in the cache
BETAS, EPSILON = (0.9, 0.999), 1e-8  # of Adam


class Gates(NamedTuple):
    """Weights (D, D) and biases (D,): σ(item p + user u + bias) and σ(negative n + positive p_r + bias_negative)."""

    item: Tensor
    user: Tensor
    bias: Tensor
    negative: Tensor
    positive: Tensor
    bias_negative: Tensor


@SAMPLERS.register("dens", paper="Lai, Chen, Zhao, Chen, Han, WSDM 2023", aliases=["disentangled negative sampling"])
def dens(
    training: Training,
    *,
    pool: Annotated[int, ">= 1", Search(2, 64, log=True)] = 6,
    warm_up: Annotated[float, "> 0, <= 1", Search(0.1, 1.0, log=True)] = 0.1,
    rate: Annotated[float, "> 0", Search(1e-4, 1e-2, log=True)] = 1e-3,
    proposal: Annotated[str, "proposal"] = "uniform",
) -> Sampler:
    """Disentangled negative sampling: the draw that is hard by what of it is not relevant.

    Gates part vectors into a relevant part and the rest: p_r = p ∘ σ(W₁ p + W₂ u + b) of the positive, and
    n_r = n ∘ σ(W₃ n + W₄ p_r + b') of a draw. Of M draws, the one with the largest u·((1 - t) n - n_r) is taken, t
    rising from 0 to 1 over warm_up × epochs: first by all of the vector, in the end by the least relevant part. After
    every step Adam moves the gates down log(1 + e^(p_ir - p_r)) + log(1 + Σ e^(n_r - n_ir)) +
    log(1 + Σ e^(n_r - p_r)) + log(1 + Σ e^(p_ir - n_ir)), each standing for its dot product with u, ir for the rest, Σ
    over the negatives. In the authors' code that loss moves the vectors too, with weight 0.3; here they follow the
    loss of the row alone, so that every loss can be trained. Dot products are those of the vectors, whatever the score
    space. The law is unknown. Cost: M draws per negative, with a sigmoid for each number of their vectors.

    Args:
        training: the training interactions.
        pool: M, draws per negative; 6 in the authors' code.
        warm_up: the share of `epochs` over which t rises; 100 of 1,000 epochs in the authors' code.
        rate: learning rate of the gates; 0.001 in the authors' code.
        proposal: what draws them, as for `dns`.
    """
    base = propose(training, proposal)
    state = base.state

    def gates() -> Gates:
        return Gates(*(torch.as_tensor(state[f"gate_{name}"]) for name in Gates._fields))

    def before_epoch(epoch: int, scorer: Scorer, rng: np.random.Generator) -> None:
        state["done"] = np.array(min(1.0, (epoch - 1) / (warm_up * training.epochs)))
        if epoch > 1:
            return
        size = scorer.items.shape[1]
        limit = size**-0.5  # the law of a linear layer in torch
        for name in Gates._fields:
            shape = (size,) if name.startswith("bias") else (size, size)
            state[f"gate_{name}"] = torch.from_numpy(rng.uniform(-limit, limit, shape).astype(np.float32))
            state[f"gate_{name}"] = torch.as_tensor(state[f"gate_{name}"]).to(scorer.device)
            for moment in ("mean", "square"):
                state[f"{moment}_{name}"] = torch.zeros_like(torch.as_tensor(state[f"gate_{name}"]))
        state["steps"] = np.array(0)

    def least_relevant(batch: Batch, drawn: Candidates, n: int, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        scorer.scored += drawn.items.numel()
        values = hardness(batch, drawn.items, gates(), 1 - float(state["done"]), scorer)
        return best_of_groups(drawn, masked(values, drawn.valid), n)

    def learn(batch: Batch, candidates: Candidates, scorer: Scorer) -> None:
        own = (rows_of(scorer.items, ids) for ids in (batch.positives, candidates.items))
        vectors = Vectors(scorer.vectors(batch.queries), *own)
        learned = Gates(*(gate.detach().requires_grad_() for gate in gates()))
        with torch.enable_grad():
            loss = contrast(vectors, learned, candidates.valid).mean()
        state["steps"] = np.array(int(state["steps"]) + 1)
        for name, gradient in zip(Gates._fields, torch.autograd.grad(loss, learned), strict=True):
            gate, mean, square = (torch.as_tensor(state[f"{kind}_{name}"]) for kind in ("gate", "mean", "square"))
            mean.lerp_(gradient, 1 - BETAS[0])
            square.lerp_(gradient.square(), 1 - BETAS[1])
            steps = int(state["steps"])
            step = mean / (1 - BETAS[0] ** steps) / ((square / (1 - BETAS[1] ** steps)).sqrt() + EPSILON)
            gate.sub_(step, alpha=rate)

    return base.choosing(
        least_relevant,
        pool=lambda n: n * pool,
        before_epoch=before_epoch,
        after_step=learn,
        settles=warm_up,
    )


def relevant(users: Tensor, positives: Tensor, gates: Gates) -> tuple[Tensor, Tensor]:
    """(B, D) p_r of the positives, and (B, D) what it adds to the gates of the row's draws."""
    part = positives * (positives @ gates.item.T + users @ gates.user.T + gates.bias).sigmoid()
    return part, part @ gates.positive.T + gates.bias_negative


def hardness(batch: Batch, items: Tensor, gates: Gates, kept: float, scorer: Scorer) -> Tensor:
    """(B, M) u·(kept n - n_r) of the draws `items` (B, M)."""
    own, table = scorer.vectors(batch.queries), scorer.items
    _, shift = relevant(own, rows_of(table, batch.positives), gates)
    inner = table @ gates.negative.T  # (I, D), once for all draws
    found, step = [], max(1, CELLS // (items.shape[1] * table.shape[1]))
    for start in range(0, len(items), step):
        some = slice(start, start + step)
        gate = rows_of(inner, items[some]).add_(shift[some].unsqueeze(1)).sigmoid_()  # (b, M, D)
        found.append(row_dot(own[some], gate.neg_().add_(kept).mul_(rows_of(table, items[some]))))
    return torch.cat(found)


def contrast(vectors: Vectors, gates: Gates, valid: Tensor | None) -> Tensor:
    """(B,) the four terms that the gates learn from."""
    users, positives, negatives = vectors
    part, shift = relevant(users, positives, gates)
    gate = (negatives @ gates.negative.T + shift.unsqueeze(1)).sigmoid()
    p_r, p = (users * part).sum(dim=1), (users * positives).sum(dim=1)
    scaled = users.unsqueeze(1) * negatives  # (B, N, D)
    n_r, n = (scaled * gate).sum(dim=2), scaled.sum(dim=2)

    def beyond(gaps: Tensor) -> Tensor:
        """(B,) log(1 + Σ e^gap) over the valid negatives."""
        gaps = gaps if valid is None else torch.where(valid, gaps, LOWEST)
        return log_sum_exp(torch.cat([gaps.new_zeros(len(gaps), 1), gaps], dim=1))

    p_ir, n_ir = p - p_r, n - n_r
    own = softplus(p_ir - p_r)
    return own + beyond(n_r - n_ir) + beyond(n_r - p_r.unsqueeze(1)) + beyond(p_ir.unsqueeze(1) - n_ir)
