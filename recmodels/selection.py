"""The law of what is chosen: of the k highest of M independent draws, by whatever value they are ranked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import bdtr
from torch import Tensor

from recmodels.sampling import Law, Scorer, Training
from recmodels.types import Batch

CELLS = 1 << 22  # of rows × items whose values are laid out at a time
Floats = NDArray[np.float64]


def scores_of_all(batch: Batch, scorer: Scorer) -> Tensor:
    """(B, I) the values by which most selectors rank."""
    return scorer.all(batch.queries)


@dataclass(frozen=True)
class HighestLaw(Law):
    """The law of one of the k highest of M independent draws from a law q.

    With F the mass of what ranks no higher than an item, F⁻ of what ranks below it, and A the draws above it,
    E (k - A)⁺ at A ~ Binomial(M, 1 - F), less the same at F⁻, is how many copies of its rank are expected among the k;
    items of one rank share them in proportion to q. For k = 1 it is F^M - (F⁻)^M. Cost: the values of the catalogue
    and a sort of them for each row.

    Attributes:
        training: the training interactions.
        drawn: q.
        sizes: k and M as they are now.
        values: (B, I) what ranks.
    """

    training: Training
    drawn: Law
    sizes: Callable[[], tuple[int, int]]
    values: Callable[[Batch, Scorer], Tensor] = scores_of_all

    @property
    def reject(self) -> bool:  # type: ignore[override]
        """As the draws."""
        return self.drawn.reject

    def law(self, batch: Batch, items: Tensor, scorer: Scorer) -> tuple[Tensor, Tensor]:
        """(B, N) and (B,), as `Law` says; the device of `items` and `batch` is the CPU."""
        items = items.expand(len(batch.users), items.shape[-1])
        step = max(1, CELLS // self.training.n_items)
        parts = [
            self._rows(batch.at(slice(start, start + step)), items[start : start + step], scorer)
            for start in range(0, len(items), step)
        ]
        log_q, own = (torch.cat(part) for part in zip(*parts, strict=True))
        return log_q, own

    def _rows(self, batch: Batch, items: Tensor, scorer: Scorer) -> tuple[Tensor, Tensor]:
        catalogue = torch.arange(self.training.n_items)
        log_q, log_own = self.drawn.law(batch, catalogue, scorer)
        q, own = log_q.double().exp().expand(len(items), len(catalogue)).clone(), log_own.double().exp().unsqueeze(1)
        if self.reject:
            rows, seen = self.training.seen.of(batch.users.numpy())
            q[torch.from_numpy(rows), torch.from_numpy(seen)] = 0
        q /= q.sum(dim=1, keepdim=True).clamp(min=torch.finfo(q.dtype).tiny)
        on_device = batch.to(scorer.device)
        values = self.values(on_device, scorer).cpu()
        ranked, order = values.sort(dim=1)
        mass = torch.cat([q.new_zeros(len(q), 1), q.gather(1, order).cumsum(dim=1)], dim=1)

        def around(ids: Tensor) -> tuple[Tensor, Tensor]:
            wanted = values.gather(1, ids)
            return tuple(mass.gather(1, torch.searchsorted(ranked, wanted, right=side)) for side in (False, True))  # type: ignore[return-value]

        below, upto = around(items)
        found = self._share(below, upto, q.gather(1, items))
        below, upto = around(batch.positives.unsqueeze(1))
        if self.reject:  # as if the positive could be drawn: it joins what is unseen
            below, upto = below * (1 - own), upto * (1 - own) + own
        return found, self._share(below, upto, own).squeeze(1)

    def _share(self, below: Tensor, upto: Tensor, q: Tensor) -> Tensor:
        """Log of the copies of an item among the k, over k; float32, and finite where q is not 0."""
        k, draws = self.sizes()
        copies = torch.from_numpy(_above(upto.numpy(), k, draws) - _above(below.numpy(), k, draws)) / k
        tiny = torch.finfo(q.dtype).tiny
        share = (copies.clamp(min=tiny).log() + (q / (upto - below).clamp(min=tiny)).clamp(max=1).log()).float()
        return share.masked_fill(q == 0, -torch.inf)


def _above(mass: Floats, k: int, draws: int) -> Floats:
    """E (k - A)⁺ for A ~ Binomial(draws, 1 - mass)."""
    p = (1 - mass).clip(0, 1)
    if k == 1:
        found: Floats = (1 - p) ** draws
    elif k >= draws:
        found = k - draws * p
    else:
        found = k * bdtr(k - 1, draws, p) - draws * p * bdtr(k - 2, draws - 1, p)
    return found
