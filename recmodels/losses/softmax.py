"""Losses that compare the positive with all negatives at once, by a softmax."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from recmodels.losses import LOSSES
from recmodels.search import Search
from recmodels.slopes import Sloped, slopes
from recmodels.sums import log_sum_exp, log_sum_exp_shares
from recmodels.types import LOWEST, LossInput

NEAR = 1e-6  # of the prior: a mean so little above it counts as below


@LOSSES.register(
    "softmax",
    paper="Bengio and Senécal, IEEE TNN 2008; Yi et al., RecSys 2019; Khrylchenko et al., RecSys 2025",
    space="dot",
    needs={"log_q": "logq != none"},
    spaces=["dot", "cosine", "half-cosine", "distance"],
    search={"negatives": Search(64, 1500, log=True)},  # IRB: 1,000; BSL: 800 to 1,024
    aliases=["CCE", "cross-entropy", "sampled softmax", "logQ", "refined logQ"],
)
def softmax(
    x: LossInput,
    *,
    temperature: Annotated[float, "> 0", Search(0.2, 2, log=True)] = 1.0,  # IRB
    logq: Annotated[Literal["none", "both", "neg"], Search(among=("none", "both", "neg"))] = "neg",  # judgement
    include_positive: bool = True,
) -> Tensor:
    """Sampled softmax: -a⁺ + log(exp a⁺ + Σ_j exp a_j), with a = s / temperature and a correction for the sampling law.

    Over the whole catalogue it is the exact cross-entropy: a negative equal to the row's positive never counts twice.

    Args:
        x: scores, and log q of the negatives.
        temperature: τ; 1 on dot products, where the norms set the scale.
        logq: `neg` uses a_j - log(N q_j), an importance-sampled estimate of the full softmax for negatives that
            exclude the positive, which is always there and not drawn (Khrylchenko et al.); `both` subtracts log q from
            the positive as well (Yi et al.); `none` leaves the scores as they are, as `infonce` does.
        include_positive: whether exp a⁺ stands in the sum; without it, the decoupled form.
    """
    x, positive, negative = _corrected(x, temperature, logq)
    if include_positive:
        return surprise(x, positive, negative)
    negative = x.logits(negative)
    total = log_sum_exp(negative) - positive
    return total.masked_fill((negative <= LOWEST / 2).all(dim=1), 0.0)


@slopes("softmax")
def softmax_slopes(x: LossInput, *, temperature: float, logq: str, include_positive: bool) -> Sloped:
    """The shares in the sum, less 1 for the positive, over τ."""
    x, positive, negative = _corrected(x, temperature, logq)
    if include_positive:
        return _surprise_slopes(x, positive, negative, temperature)
    negative = x.logits(negative)
    total, shares = log_sum_exp_shares(negative)
    none = (negative <= LOWEST / 2).all(dim=1)
    values = (total - positive).masked_fill(none, 0.0)
    return Sloped(
        values,
        none.to(values.dtype).sub_(1).div_(temperature),
        shares.div_(temperature).masked_fill_(none[:, None], 0.0),
    )


def _corrected(x: LossInput, temperature: float, logq: str) -> tuple[LossInput, Tensor, Tensor]:
    """The input with what counts, and the exponents a⁺ (B,) and a_j (B, N) of `softmax`."""
    plain = not isinstance(temperature, Tensor) and temperature == 1  # a learned one has a gradient at 1 too
    positive, negative = (s if plain else s / temperature for s in (x.positive, x.negative))
    if logq != "none":
        assert x.log_q is not None
        assert x.log_q_positive is not None
        correction = x.log_q + math.log(x.negative.shape[1]) if logq == "neg" else x.log_q
        # an item of probability 0 cannot have been drawn: its column is masked, and LOWEST must still outweigh this
        negative = negative - correction.clamp(min=LOWEST / 2)
        if logq == "both":
            positive = positive - x.log_q_positive.clamp(min=LOWEST)
        else:
            x = x.without_positive()
    return x, positive, negative


def surprise(x: LossInput, positive: Tensor, negative: Tensor) -> Tensor:
    """(B,) -a⁺ + log(exp a⁺ + Σ_j exp a_j) of `positive` (B,) and `negative` (B, N) exponents."""
    return log_sum_exp(torch.cat([positive[:, None], x.logits(negative)], dim=1)) - positive


def _surprise_slopes(x: LossInput, positive: Tensor, negative: Tensor, temperature: float) -> Sloped:
    """`surprise` and its slopes by the scores, which are `temperature` times the exponents."""
    total, shares = log_sum_exp_shares(torch.cat([positive[:, None], x.logits(negative)], dim=1))
    values, shares = total - positive, shares if temperature == 1 else shares.div_(temperature)
    return Sloped(values, shares[:, 0] - 1 / temperature, shares[:, 1:])


@LOSSES.register(
    "infonce",
    paper="van den Oord, Li, Vinyals, arXiv 2018; Wu et al., TOIS 2024",
    space="cosine",
    spaces=["dot", "cosine", "half-cosine", "distance"],
    # IRB: 1,000; BSL: 800 to 1,024
    search={"l2": Search(among=(0.0, 1e-6, 1e-4, 1e-3)), "negatives": Search(64, 1500, log=True)},
    aliases=["InfoNCE", "SSM", "NT-Xent"],
)
def infonce(
    x: LossInput,
    *,
    temperature: Annotated[float, "> 0", Search(0.01, 0.5, log=True)] = 0.2,  # IRB
) -> Tensor:
    """InfoNCE, also called SSM: -c⁺/τ + log(exp(c⁺/τ) + Σ_j exp(c_j/τ)), uncorrected for the law of the negatives.

    It needs no law, so that it goes with every sampler. With one negative and τ = 1 it is `bpr`.

    Args:
        x: scores; cosines, unless `space=dot`.
        temperature: τ; 1 on dot products, where the norms set the scale.
    """
    return surprise(x, x.positive / temperature, x.negative / temperature)


@slopes("infonce")
def infonce_slopes(x: LossInput, *, temperature: float) -> Sloped:
    """The shares in the sum, less 1 for the positive, over τ."""
    return _surprise_slopes(x, x.positive / temperature, x.negative / temperature, temperature)


@LOSSES.register(
    "sl",
    paper="Yeh et al., ECCV 2022; Wu, Chen, Wu, Shi, Zhang, Wang, ICDE 2024",
    space="cosine",
    spaces=["cosine", "half-cosine"],
    spaces_why="without the positive in its sum it has no lower bound where scores have none",
    # IRB: 1,000; BSL: 800 to 1,024
    search={"l2": Search(among=(0.0, 1e-6, 1e-4, 1e-3)), "negatives": Search(64, 1500, log=True)},
    aliases=["decoupled softmax"],
)
def sl(
    x: LossInput,
    *,
    temperature: Annotated[float, "> 0", Search(0.01, 0.5, log=True)] = 0.2,  # IRB
) -> Tensor:
    """The decoupled softmax loss: log Σ_j exp((c_j - c⁺) / temperature), the positive not in the sum.

    What the code of the papers on BSL, PSL and SL@K calls SL or softmax loss; it can be negative.

    Args:
        x: cosines.
        temperature: τ.
    """
    return x.log_sum((x.negative - x.positive[:, None]) / temperature)


@slopes("sl")
def sl_slopes(x: LossInput, *, temperature: float) -> Sloped:
    """The shares of the negatives over τ, and less their sum for the positive."""
    values, shares = x.log_sum_shares((x.negative - x.positive[:, None]) / temperature)
    by_negative = shares.div_(temperature)
    return Sloped(values, -by_negative.sum(dim=1), by_negative)


@LOSSES.register(
    "bsl",
    paper="Wu, Chen, Wu, Shi, Zhang, Wang, ICDE 2024",
    space="cosine",
    needs={"batch": "form == multi", "user_rows": "form == multi"},
    ignores={"negative_weight": ["form == single", "form == paper"]},
    spaces=["cosine", "half-cosine"],
    spaces_why="without the positive in its sum it has no lower bound where scores have none",
    # IRB: 1,000; BSL: 800 to 1,024
    search={"l2": Search(among=(0.0, 1e-6, 1e-4, 1e-3)), "negatives": Search(64, 1500, log=True)},
    aliases=["bilateral softmax"],
)
def bsl(
    x: LossInput,
    *,
    # BSL
    form: Annotated[Literal["multi", "reweight", "single", "paper"], Search(among=("multi", "reweight"))] = "multi",
    temperature: Annotated[float, "> 0", Search(0.05, 0.3, log=True)] = 0.17,  # IRB
    positive_temperature: Annotated[float, "> 0", Search(0.05, 0.3, log=True, among=(None,))] | None = None,  # BSL
    negative_weight: Annotated[float, "> 0", Search(0.8, 1.4)] = 1.06,  # BSL, IRB
) -> Tensor:
    """The bilateral softmax loss: -log mean⁺ exp(c⁺ / τ⁺) + w · log Σ_j exp(c_j / τ), robust on both sides.

    The first three forms and their names are those of the authors' code; the defaults are its run for matrix
    factorisation on MovieLens 1M. With τ⁺ = τ and w = 1 all are `sl` where no user has two rows, up to a constant.

    Args:
        x: cosines.
        form: `multi`: mean⁺ is over the rows of the same user in the batch, and the sum over negatives is a mean;
            `reweight`: mean⁺ is the row's own positive; `single`: the same with w = 1 and the mean over negatives;
            `paper`: the row's own positive and w = τ / τ⁺, as IR-Benchmark has it, w times `sl`.
        temperature: τ of the negatives; .08 to .17 in the authors' runs.
        positive_temperature: τ⁺; none means τ.
        negative_weight: w of `multi` and `reweight`; 1.06 to 1.32 in the authors' runs.
    """
    own = x.positive / (positive_temperature or temperature)
    negative = x.negative / temperature
    if form == "multi":
        loss = negative_weight * x.log_mean(negative) - log_mean_by_user(own, x.batch.users)
    elif form == "single":
        loss = x.log_mean(negative) - own
    else:
        weight = negative_weight if form == "reweight" else temperature / (positive_temperature or temperature)
        loss = weight * x.log_sum(negative) - own
    return x.without_negatives(loss)


def log_mean_by_user(values: Tensor, users: Tensor) -> Tensor:
    """(B,) log of the mean of exp of `values` (B,) over the rows of the same user."""
    _, group, rows = torch.unique(users, return_inverse=True, return_counts=True)
    top = values.detach().new_full((len(rows),), LOWEST).scatter_reduce(0, group, values.detach(), "amax")
    shifted = (values - top[group]).exp()
    sums = shifted.new_zeros(len(rows)).index_add(0, group, shifted)
    mean: Tensor = (sums / rows).log() + top
    return mean.index_select(0, group)


@LOSSES.register(
    "psl",
    paper="Yang et al., NeurIPS 2024",
    space="half-cosine",
    spaces=["half-cosine"],
    recommended={"negatives": 128},
    recommended_from="validation on ml-100k; its authors take 1,000",
    spaces_why="differences of scores beyond 1 have no gradient",
    # IRB: 1,000; BSL: 800 to 1,024
    search={"l2": Search(among=(0.0, 1e-6, 1e-4, 1e-3)), "negatives": Search(64, 1500, log=True)},
    aliases=["pairwise softmax"],
)
def psl(
    x: LossInput,
    *,
    activation: Annotated[Literal["relu", "tanh", "atan"], Search(among=("relu", "tanh", "atan"))] = "relu",  # IRB
    temperature: Annotated[float, "> 0", Search(0.005, 0.25, log=True)] = 0.1,  # IRB
) -> Tensor:
    """The pairwise softmax loss: log Σ_j σ(s_j - s⁺)^(1/τ), with a bounded σ in place of the exponential of `sl`.

    Args:
        x: half cosines, so that differences are in [-1, 1].
        activation: σ(d) = max(d + 1, 0), tanh(d) + 1 or atan(d) + 1.
        temperature: τ, on half cosines: half of what `sl` takes.
    """
    return x.log_sum(_log_surrogate(x.negative - x.positive[:, None], activation) / temperature)


def _log_surrogate(difference: Tensor, activation: str) -> Tensor:
    if activation == "tanh":
        return math.log(2) + logsigmoid(2 * difference)  # log(tanh d + 1)
    shifted = (difference if activation == "relu" else difference.atan()) + 1
    return shifted.clamp(min=1e-8).log()


@LOSSES.register(
    "debiased",
    paper="Chuang et al., NeurIPS 2020; Robinson et al., ICLR 2021",
    space="cosine",
    spaces=["cosine"],
    spaces_why="its floor is what a cosine of -1 gives",
    # IRB: 1,000; BSL: 800 to 1,024
    search={"l2": Search(among=(0.0, 1e-6, 1e-4, 1e-3)), "negatives": Search(64, 1500, log=True)},
    aliases=["DCL", "HCL"],
)
def debiased(
    x: LossInput,
    *,
    temperature: Annotated[float, "> 0", Search(0.01, 0.5, log=True)] = 0.2,  # IRB
    prior: Annotated[float, ">= 0, < 1", Search(among=(0.0, 0.001, 0.01, 0.05, 0.1))] = 0.001,  # papers
    hardness: Annotated[float, ">= 0", Search(among=(0.0, 0.5, 1.0, 2.0))] = 0.0,  # HCL
) -> Tensor:
    """InfoNCE less what false negatives add to it: log(1 + N g), g = max((m - τ⁺) / (1 - τ⁺), e^((-1 - c⁺)/τ)).

    m is the mean over the N valid negatives of exp((c_j - c⁺) / τ), and the maximum keeps g above what a cosine of -1
    gives; where it does, the negatives get no gradient. `prior=0` is `infonce`. DCL has hardness 0, HCL a positive one.

    Args:
        x: cosines.
        temperature: τ; 0.5 in the papers.
        prior: τ⁺, the share of positives among negatives. The papers draw from all classes and take 0.1; samplers here
            never draw what the user has seen, and what is left to find is about one item in a thousand.
        hardness: β; the mean weighs negatives by exp(β c_j / τ), as hard negative sampling does.
    """
    exponent = (x.negative - x.positive[:, None]) / temperature
    log_g = x.log_sum((1 + hardness) * exponent) - x.log_sum(hardness * exponent)  # log m
    floor = (-1 - x.positive) / temperature
    if prior > 0:
        above = log_g - math.log(prior)
        some = above > NEAR  # log(m - τ⁺) = log m + log(1 - τ⁺ / m)
        log_g = torch.where(some, log_g + torch.log(-torch.expm1(-above.clamp(min=NEAR))), LOWEST)
    log_g = torch.maximum(log_g - math.log1p(-prior), floor)
    return x.without_negatives(softplus(log_g + x.counted.squeeze(1).clamp(min=1).log()))
