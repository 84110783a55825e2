"""What a sampler did in a run: hardness, false negatives, popularity, agreement with its law, and speed.

`Diagnostics` is shown a sample of the training steps. It is built from the training interactions alone, keeps tallies
and drawn pairs, and nothing reads it while training runs; held-out interactions are given to `summary`, which is
called when training is over. So what is held out cannot reach a sampler or the choice of an epoch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datasets import Interactions
from recmodels.sampling import Law, Scorer, Training, first_occurrence
from recmodels.seen import Int
from recmodels.types import Batch, Candidates, Part

# (k,) users and (k,) items -> whether each pair is relevant, where the truth is known
Truth = Callable[[Int, Int], NDArray[np.bool_]]

ROWS = 64  # of an observed batch, spread over it, that are looked at
RANKED = 16  # of these, that are ranked and held against the law, which takes the whole catalogue
COLUMNS = 64  # of their negatives, at most, that are ranked
VANISHED = 0.01  # a gradient, times B · N, below which a negative no longer teaches; for BPR it is sigmoid(s_j - s⁺)


class Diagnostics:
    """Tallies of every `every`-th training step, the first included.

    Args:
        training: the training interactions.
        law: of the negatives, where it is known, to compare them with it.
        every: steps from one observation to the next; with 64, all observations take under 3 % of training.
    """

    def __init__(self, training: Training, law: Law | None = None, every: int = 64) -> None:
        self.training, self.law, self.every = training, law, every
        self._step = 0
        self._negatives = self._scored = self._rows = 0  # of all steps
        self._sampling = self._observing = self._training = 0.0  # seconds
        self._used = np.zeros(training.n_items, np.int64)  # valid negatives of each item
        self._drawn = np.zeros(training.n_items, np.int64)  # all negatives of the rows held against the law
        self._nominal = np.zeros(training.n_items)  # what the law expects of `_drawn`
        self._pairs: list[tuple[Int, Int]] = []  # users and items of valid negatives
        self._notes: dict[str, list[float]] = {}  # one mean per observation

    def tallies(self) -> dict[str, Any]:
        """All that it has counted and noted; not a copy."""
        return {name: value for name, value in vars(self).items() if name.startswith("_")}

    def recall(self, tallies: Mapping[str, Any]) -> None:
        """Go on from what was counted and noted before."""
        vars(self).update(tallies)

    def timed(self, steps: Iterator[Part]) -> Iterator[Part]:
        """The same steps of an epoch, timing how long each took to make and how long the whole epoch took."""
        started = time.perf_counter()
        while True:
            before = time.perf_counter()
            step = next(steps, None)
            self._sampling += time.perf_counter() - before
            if step is None:
                break
            self._negatives += len(step.batch.users) * step.candidates.items.shape[-1]
            self._scored += step.scored
            self._rows += len(step.batch.users)
            yield step
        self._training += time.perf_counter() - started

    def due(self) -> bool:
        """Whether this step is to be observed; to be asked once per step."""
        self._step += 1
        return (self._step - 1) % self.every == 0

    @torch.no_grad()
    def observe(
        self,
        batch: Batch,
        candidates: Candidates,
        positive: Tensor,
        negative: Tensor,
        gradient: Tensor | None,
        scorer: Scorer,
    ) -> None:
        """Look at one step: its scores (B,) and (B, N), and the gradient (B, N) of the mean loss by the latter."""
        started = time.perf_counter()
        rows = torch.linspace(0, len(positive) - 1, min(ROWS, len(positive)), device=negative.device).long()
        looked, items = batch.at(rows), candidates.items
        items = items.expand(len(rows), -1) if candidates.shared else items[rows]
        valid = torch.ones_like(items, dtype=torch.bool)
        if candidates.valid is not None:
            valid = candidates.valid.expand(negative.shape)[rows]
        self._used += np.bincount(items[valid].cpu().numpy(), minlength=self.training.n_items)
        some = torch.linspace(0, len(rows) - 1, min(RANKED, len(rows)), device=rows.device).long()
        self._compare(looked, some, items, valid, scorer)
        columns = torch.linspace(0, items.shape[1] - 1, min(COLUMNS, items.shape[1]), device=rows.device).long()
        items, valid = items[:, columns], valid[:, columns]
        self._note("invalid", ~valid)
        self._note("duplicates", ~first_occurrence(items)[valid])
        self._note("score_gap", (positive[rows].unsqueeze(1) - negative[rows][:, columns])[valid])
        self._note("hardness", _percentile(scorer.all(looked.queries[some]), items[some])[valid[some]])
        if gradient is not None:
            self._note("zero_gradient", gradient[rows][:, columns][valid].abs() * negative.numel() < VANISHED)
        owners = looked.users.unsqueeze(1).expand_as(items)
        self._pairs.append((owners[valid].cpu().numpy(), items[valid].cpu().numpy()))
        self._observing += time.perf_counter() - started

    def measure(self, ratios: Callable[[], Mapping[str, float]]) -> None:
        """Keep what else is to be known of this step, where it is finite."""
        started = time.perf_counter()
        for name, value in ratios().items():
            if math.isfinite(value):
                self._notes.setdefault(name, []).append(value)
        self._observing += time.perf_counter() - started

    def _note(self, name: str, values: Tensor) -> None:
        if values.numel():
            self._notes.setdefault(name, []).append(float(values.double().mean()))

    def _compare(self, batch: Batch, some: Tensor, items: Tensor, valid: Tensor, scorer: Scorer) -> None:
        size = self.training.n_items
        some = some[valid[some].any(dim=1)]  # a user with nothing left to draw has placeholders
        if self.law is None or not len(some):
            return
        self._drawn += np.bincount(items[some].reshape(-1).cpu().numpy(), minlength=size)
        shown = batch.at(some).to(torch.device("cpu"))
        known, _ = self.law.law(shown, torch.arange(size), scorer)
        law = known.cpu().double().exp().expand(len(some), size).clone()
        if self.law.reject:  # the law says nothing of what is seen
            law[self.training.seen.of(shown.users.numpy())] = 0
        self._nominal += law.sum(dim=0).numpy() * items.shape[1]

    def summary(self, held_out: Sequence[Interactions] = (), truth: Truth | None = None) -> dict[str, float]:
        """Flat numbers about the whole run; what cannot be known is left out.

        Args:
            held_out: validation and test interactions, for the false-negative rate.
            truth: tells which pairs are relevant, for synthetic data.
        """
        found: dict[str, float] = {}
        for name, values in self._notes.items():
            found[name] = float(np.mean(values))
            if name in ("hardness", "score_gap", "zero_gradient"):
                quarter = max(1, len(values) // 4)
                found[f"{name}_first"] = float(np.mean(values[:quarter]))
                found[f"{name}_last"] = float(np.mean(values[-quarter:]))
        if self._used.any():
            found |= self._popularity() | self._false_negatives(held_out, truth)
        if self._scored:
            found["candidates_per_positive"] = self._scored / self._rows
        if self._training > 0:
            busy = self._training - self._observing
            found["draws_per_second"] = self._negatives / max(self._sampling, 1e-9)
            found["sampling_share"] = self._sampling / busy
            found["diagnostics_share"] = self._observing / busy
        return found

    def _popularity(self) -> dict[str, float]:
        counts, used = self.training.counts, self._used
        total = used.sum()
        found = {
            "popularity": float(used @ counts / total / counts.mean()),  # 1 where all items are drawn alike
            "coverage": float((used > 0).mean()),
            "effective_items": float(np.exp(-_kl(used, np.ones(len(used))))),  # perplexity / I
        }
        if self._nominal.any():
            found["kl_to_law"] = _kl(self._drawn, self._nominal)
            # what chance alone adds to it on average (Miller and Madow, 1955)
            found["kl_by_chance"] = float((np.count_nonzero(self._nominal) - 1) / (2 * self._drawn.sum()))
        return found

    def _false_negatives(self, held_out: Sequence[Interactions], truth: Truth | None) -> dict[str, float]:
        users, items = (np.concatenate(parts) for parts in zip(*self._pairs, strict=True))
        found: dict[str, float] = {}
        size = self.training.n_items
        if held_out:
            keys = np.concatenate([part.users.astype(np.int64) * size + part.items for part in held_out])
            found["false_negatives"] = float(np.isin(users * size + items, keys).mean())
            owned = np.bincount(keys // size, minlength=self.training.n_users)
            unseen = np.maximum(size - self.training.seen.counts, 1)
            by_chance = float((owned[users] / unseen[users]).mean())  # were the same users' negatives uniform
            found["false_negatives_uniform"] = by_chance
        if truth is not None:
            found["false_negatives_true"] = float(truth(users, items).mean())
        return found


def _percentile(scores: Tensor, items: Tensor) -> Tensor:
    """(B, N) shares of all items that score below each of `items` (B, N); ties count half. `scores` is (B, I)."""
    ordered = scores.sort(dim=1).values
    own = scores.gather(1, items).contiguous()
    below, upto = (torch.searchsorted(ordered, own, right=right) for right in (False, True))
    return (below + upto).double() / (2 * scores.shape[1])


def _kl(counts: NDArray[np.int64], law: NDArray[np.float64]) -> float:
    """KL divergence, in nats, of `counts` from a `law`, neither normalised; inf off its support."""
    p, q = counts[counts > 0] / counts.sum(), law[counts > 0] / law.sum()
    with np.errstate(divide="ignore"):
        return float(np.sum(p * np.log(p / q)))
