"""Losses that play against an opponent of their own."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from recmodels.losses import LOSSES
from recmodels.objective import Apart, LossState, state
from recmodels.sampling import DENSE_RATIO, Training
from recmodels.scoring import pick_scores, row_dot, rows_of
from recmodels.search import Search
from recmodels.sums import log_sum_exp
from recmodels.types import LossInput

ADVERSARY_SIZE = 64  # numbers of each vector of the adversary of AdvInfoNCE
SCALARS = ("a", "b", "s_plus", "s_minus", "gamma", "theta_a", "theta_b")  # of LLPAUC
RANGES = ((0.0, 1.0), (0.0, 1.0), (-1.0, 4.0), (0.0, 5.0), (-1.0, 1.0), (0.0, 1e9), (0.0, 1e9))
SMOOTH = 5.0  # κ: softplus(κ x) / κ stands for max(0, x)


@LOSSES.register(
    "advinfonce",
    paper="Zhang, Sheng, Cai, Wang, Chua, NeurIPS 2023",
    space="cosine",
    refuses=["weight"],
    learns="vectors of an adversary",
    spaces=["dot", "cosine", "half-cosine", "distance"],
    # as for sl; authors: 64, 128
    search={"l2": Search(among=(0.0, 1e-6, 1e-4, 1e-3)), "negatives": Search(64, 1500, log=True)},
    aliases=["AdvInfoNCE"],
)
def advinfonce(
    x: LossInput,
    *,
    temperature: Annotated[float, "> 0", Search(0.05, 0.5, log=True)] = 0.1,  # authors: .09 to .75
    factor: Annotated[float, "> 0", Search(1, 128, log=True)] = 64.0,  # judgement; authors: 64
    adversary_rate: Annotated[float, "> 0", Search(1e-5, 1e-2, log=True)] = 5e-5,  # authors
    interval: Annotated[int, ">= 1", Search(among=(5, 10, 15))] = 5,  # authors: 5, 15
    rounds: Annotated[int, ">= 0", Search(7, 20)] = 7,  # authors
) -> Tensor:
    """InfoNCE whose negatives an adversary weighs: -c⁺/τ + log(exp(c⁺/τ) + K N Σ_j p_j exp(c_j/τ)).

    p is the softmax over the row's N valid negatives of a_u·b_j, of the adversary's own vectors. It climbs the loss in
    passes over the data in which the model stands still. With p uniform and K = 1 it is `infonce`.

    Args:
        x: cosines.
        temperature: τ.
        factor: K, which the authors' code calls k_neg.
        adversary_rate: the adversary's learning rate; 1e-2 in the paper's runs on Coat.
        interval: epochs from one pass of the adversary to the next; the first is before the third epoch.
        rounds: passes of the adversary, at most.
    """
    log_p = x.masked(_game(x)).log_softmax(dim=1)
    total = log_sum_exp(x.masked(x.negative / temperature + log_p))
    total = total + (x.counted.squeeze(1).clamp(min=1) * factor).log()
    return x.without_negatives(softplus(total - x.positive / temperature))


def _game(x: LossInput) -> Tensor:
    """(B, N) a_u·b_j; a gradient where the adversary learns."""
    users, items = x.state["adversary_users"].index_select(0, x.batch.users), x.state["adversary_items"]
    if x.items.dim() == 1:
        return users @ items.index_select(0, x.items).T
    if x.items.shape[1] * DENSE_RATIO > len(items):
        return (users @ items.T).gather(1, x.items)
    if not items.requires_grad:
        return pick_scores(users, items, x.items, "dot")
    return row_dot(users, rows_of(items, x.items))


@state("advinfonce")
def adversary(
    training: Training, *, temperature: float, factor: float, adversary_rate: float, interval: int, rounds: int
) -> LossState:
    """Xavier's vectors, and when they climb: before epoch e, from 0, where (e + 3) mod `interval` = 0."""

    def vectors(rows: int) -> nn.Parameter:
        return nn.Parameter(torch.randn(rows, ADVERSARY_SIZE) * math.sqrt(2 / (rows + ADVERSARY_SIZE)))

    def passes(epoch: int) -> int:
        due = [e for e in range(1, epoch) if (e + 3) % interval == 0]
        return int(len(due) <= rounds and epoch - 1 in due)

    names = ("adversary_users", "adversary_items")
    tensors: dict[str, Tensor] = dict(zip(names, map(vectors, (training.n_users, training.n_items)), strict=True))
    return LossState(tensors, apart=(Apart(names, -adversary_rate, passes=passes),))


@LOSSES.register(
    "llpauc",
    paper="Shi, Wang, Feng, Zhang, Wang, Wu, He, WWW 2024",
    space="dot",
    learns="seven numbers of its own",
    spaces=["dot"],
    spaces_why="the sigmoid of its scores has to reach 0 and 1",
    search={"negatives": Search(64, 1500, log=True)},  # as for sl; authors: 64, 128
    aliases=["lower-left partial AUC"],
)
def llpauc(
    x: LossInput,
    *,
    alpha: Annotated[float, "> 0, <= 1", Search(0.1, 0.9)] = 0.7,  # IRB
    beta: Annotated[float, "> 0, <= 1", Search(among=(0.01, 0.1))] = 0.1,  # IRB
) -> Tensor:
    """The lower-left partial AUC, a bound on top-K metrics, as a saddle point with seven numbers that are learned too.

    With P = sigmoid(s⁺), n = sigmoid(s_j) and r(x) = softplus(5 x) / 5 the row's value is
    -s₊ + s₋ - γ² + θ_b (1 + γ - b) + θ_a (a + γ) - r(-(P - a)² + 2 (1 + γ) P - s₊) / α
    + mean_j r((n - b)² + 2 (1 + γ) n - s₋) / β. All descend but s₊ and γ, which climb; s₊, s₋ and γ at twice the rate.

    Args:
        x: dot products.
        alpha: the largest true positive rate that counts; .7 to .9 in the authors' runs.
        beta: the largest false positive rate that counts; .01 to .1 in the authors' runs.
    """
    a, b, s_plus, s_minus, gamma, theta_a, theta_b = (x.state[name] for name in SCALARS)
    own, others = x.positive.sigmoid(), x.negative.sigmoid()
    above = -(own - a).square() + 2 * (1 + gamma) * own - s_plus
    below = (others - b).square() + 2 * (1 + gamma) * others - s_minus
    free = -s_plus + s_minus - gamma.square() + theta_b * (1 + gamma - b) + theta_a * (a + gamma)
    loss = free - softplus(SMOOTH * above) / SMOOTH / alpha + x.mean(softplus(SMOOTH * below)) / SMOOTH / beta
    return x.without_negatives(loss)


@state("llpauc")
def scalars(training: Training, *, alpha: float, beta: float) -> LossState:
    """a = 1, b = γ = 0 and the others .5 at the start, kept in their ranges after every step."""
    start = {"a": 1.0, "b": 0.0, "gamma": 0.0}
    tensors: dict[str, Tensor] = {name: nn.Parameter(torch.tensor(start.get(name, 0.5))) for name in SCALARS}

    @torch.no_grad()
    def after_step(module: nn.Module) -> None:
        for name, (low, high) in zip(SCALARS, RANGES, strict=True):
            tensors[name].clamp_(low, high)

    groups = (
        Apart(("a", "b", "theta_a", "theta_b"), 1.0, relative=True),
        Apart(("s_minus",), 2.0, relative=True),
        Apart(("s_plus", "gamma"), -2.0, relative=True),
    )
    return LossState(tensors, after_step=after_step, apart=groups)
