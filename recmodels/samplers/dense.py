"""Samplers that lay out the whole catalogue for each row: exact laws, where it has some ten thousand items at most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor

from recmodels.samplers import SAMPLERS
from recmodels.sampling import Proposal, Sampler, Scorer, Training, draw_by_weight, mask_seen
from recmodels.search import Search
from recmodels.types import Batch, Candidates

CELLS = 1 << 22  # of rows × items whose weights are laid out at a time


@SAMPLERS.register(
    "full",
    paper="Bishop, PRML 2006, section 4.3.4 (no sampling)",
    gives=["log_q", "all", "uniform_q", "catalogue"],
    negatives="all-only",
    aliases=["no sampling", "1-vs-all"],
)
def full(training: Training, *, mask: Literal["same-item", "seen"] = "seen") -> Sampler:
    """Every item as a negative, once: no sampling, the upper reference row.

    The candidates are the catalogue whatever `negatives` says, and q(j) = 1 / I makes the corrected sampled softmax
    the exact one. Cost: B × I scores.

    Args:
        training: the training interactions.
        mask: which candidates do not count: `same-item`, the row's own positive; `seen`, all the user has seen.
    """
    return Sampler(_Full(training, mask), pool=lambda n: None, divisible=True)


@SAMPLERS.register(
    "softmax-by-score", paper="Bengio and Senécal, IEEE TNN 2008 (the ideal proposal)", gives=["log_q", "ordered"]
)
def softmax_by_score(
    training: Training, *, temperature: Annotated[float, "> 0", Search(0.05, 5.0, log=True)] = 1.0
) -> Sampler:
    """Unseen items in proportion to exp(score / temperature), as the model scores them now.

    q(j|u) = exp(s_uj / T) / sum over unseen k of exp(s_uk / T), exactly. Cost: the scores of the catalogue for each
    row, and a binary search per draw.

    Args:
        training: the training interactions.
        temperature: T; towards 0 it draws the top item only, large it is uniform.
    """
    return Sampler(_ByScore(training, lambda scores: scores / temperature))


@SAMPLERS.register("kernel", paper="Blanc and Rendle, ICML 2018", gives=["log_q", "ordered"])
def kernel(training: Training, *, alpha: Annotated[float, ">= 0", Search(1.0, 1000.0, log=True)] = 100.0) -> Sampler:
    """Unseen items in proportion to a quadratic kernel of the score.

    q(j|u) = (alpha s_uj² + 1) / sum over unseen k of (alpha s_uk² + 1). Scores far below 0 are drawn as often as those
    far above: the paper trains an absolute softmax, of |s|, with it, which is not among the losses. Cost: the scores of
    the catalogue for each row, and a binary search per draw; the paper's tree takes D² log I per draw for the same law,
    which pays on larger catalogues.

    Args:
        training: the training interactions.
        alpha: weight of the score; 100 in the paper.
    """
    return Sampler(_ByScore(training, lambda scores: torch.log1p(alpha * scores.square())))


@dataclass(frozen=True)
class _Full(Proposal):
    training: Training
    mask: str

    def draw(self, batch: Batch, n: int | None, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        valid = torch.ones(len(batch.users), self.training.n_items, dtype=torch.bool)
        if self.mask == "seen":
            rows, items = self.training.seen.of(batch.users.numpy())
            valid[torch.from_numpy(rows), torch.from_numpy(items)] = False
        valid[torch.arange(len(valid)), batch.positives] = False
        return Candidates(torch.arange(self.training.n_items), valid=valid)

    def log_prob(self, users: Tensor, items: Tensor, scorer: Scorer) -> Tensor:
        return torch.full((1, 1), -float(np.log(self.training.n_items)))


@dataclass(frozen=True)
class _ByScore(Proposal):
    training: Training
    log_weight: Callable[[Tensor], Tensor]
    reject: bool = True

    def draw(self, batch: Batch, n: int | None, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        n, step = n or self.training.n_items, max(1, CELLS // self.training.n_items)
        items = [
            draw_by_weight(mask_seen(self.log_weight(scorer.all(asked)), self.training.seen, users), n, rng)
            for users, asked in zip(torch.split(batch.users, step), torch.split(batch.queries, step), strict=True)
        ]
        return Candidates(torch.cat(items), valid=_something_left(self.training, batch.users), ordered=True)

    def log_prob(self, users: Tensor, items: Tensor, scorer: Scorer) -> Tensor:
        return among_unseen(self.log_weight(scorer.all(users)), self.training, users, items)

    def log_prob_positive(self, batch: Batch, scorer: Scorer) -> Tensor:
        return self.law(batch, batch.positives[:0], scorer)[1]

    def law(self, batch: Batch, items: Tensor, scorer: Scorer) -> tuple[Tensor, Tensor]:
        return dense_law(self.log_weight(scorer.all(batch.queries)), self.training, batch, items)


def among_unseen(log_weights: Tensor, training: Training, users: Tensor, items: Tensor) -> Tensor:
    """(B, N) log probability of `items` under weights (B, I) among what `users` have not seen; on the CPU."""
    return dense_law(log_weights, training, Batch(users, torch.zeros_like(users)), items)[0]


def dense_law(log_weights: Tensor, training: Training, batch: Batch, items: Tensor) -> tuple[Tensor, Tensor]:
    """What `Proposal.law` says under weights (B, I), of which those of what is seen are set to 0; on the CPU."""
    device = log_weights.device
    own = log_weights.gather(1, batch.positives.unsqueeze(1).to(device))  # (B, 1)
    left = mask_seen(log_weights, training.seen, batch.users)
    total = left.logsumexp(dim=1, keepdim=True).clamp(min=torch.finfo(left.dtype).min)
    log_q = left.gather(1, items.expand(len(own), items.shape[-1]).to(device)) - total
    return log_q.cpu(), (own - torch.logaddexp(total, own)).squeeze(1).cpu()


def _something_left(training: Training, users: Tensor) -> Tensor | None:
    """(B, 1) bool, False for users who have seen every item; None where there are none."""
    left = torch.from_numpy(training.seen.counts[users.numpy()] < training.n_items)
    return None if left.all() else left.unsqueeze(1)
