"""Small data, a model and sampler runs, on which promises are checked."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datasets import Interactions
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Sampler, Scorer, Training
from recmodels.types import Batch, Candidates, Tables

U, N_ITEMS, D, N = 50, 40, 6, 8
EVERYTHING, ALL_BUT_ONE, THE_ONE = 0, 1, 7  # users who have seen every item, and every item but item 7
RUNNABLE: dict[str, dict[str, Any]] = {
    "dns-mn": {"pool": 24},
    "ance": {"depth": 10},
}  # parameters that suit so few items, where the defaults do not


def training(seed: int = 0) -> Training:
    """50 users and 40 items, two users who have seen nearly everything, and known negatives of most."""
    rng = np.random.default_rng(seed)
    pairs = {(EVERYTHING, i) for i in range(N_ITEMS)} | {(ALL_BUT_ONE, i) for i in range(N_ITEMS) if i != THE_ONE}
    weights = 1 / np.arange(1, N_ITEMS + 1)
    for user in range(2, U):
        items = rng.choice(N_ITEMS, size=rng.integers(2, 12), replace=False, p=weights / weights.sum())
        pairs |= {(user, int(item)) for item in items}
    left = np.array([(u, i) for u in range(2, U) for i in range(N_ITEMS) if (u, i) not in pairs and u % 5])
    unwanted = left[rng.random(len(left)) < 0.1]  # every fifth user gives no negatives
    known = _interactions(np.array(sorted(pairs)))
    return Training(known, negatives=_interactions(unwanted), features=features(N_ITEMS))


def features(items: int, size: int = 3) -> NDArray[np.float32]:
    """(I, F) features of so many items, for models that read some."""
    return np.random.default_rng(5).normal(0, 1, (items, size)).astype(np.float32)


def _interactions(pairs: NDArray[Any]) -> Interactions:
    users, items = pairs.T.astype(np.int32)
    return Interactions(users.copy(), items.copy(), U, N_ITEMS)


def scorer(seed: int = 0, scale: float = 1.0) -> Scorer:
    """A model of random vectors."""
    rng = np.random.default_rng(seed)
    users, items = (torch.from_numpy(rng.normal(0, scale, (n, D)).astype(np.float32)) for n in (U, N_ITEMS))
    return Scorer(Tables(users, items))


def batch_of(data: Training, rows: NDArray[Any] | None = None, seed: int = 0, size: int = 32) -> Batch:
    """Rows of a step: these interactions, or some drawn at random."""
    rows = np.random.default_rng(seed).integers(len(data.interactions), size=size) if rows is None else rows
    users, items = data.interactions.users[rows], data.interactions.items[rows]
    return Batch(torch.from_numpy(users.astype(np.int64)), torch.from_numpy(items.astype(np.int64)))


def make(name: str, data: Training, **parameters: Any) -> Sampler:
    """The sampler with its defaults, but for these parameters."""
    defaults = SAMPLERS.parameters(name, {})
    sampler: Sampler = SAMPLERS[name](data, **{**defaults, **RUNNABLE.get(name, {}), **parameters})
    return sampler


def law_of(sampler: Sampler, data: Training, users: Tensor, model: Scorer) -> NDArray[np.float64]:
    """(B, I) what the sampler says of the whole catalogue; 0 where it says nothing, because it rejects what is seen."""
    return law_at(sampler, data, Batch(users, users % data.n_items), model)  # whatever the positives


def law_at(sampler: Sampler, data: Training, batch: Batch, model: Scorer) -> NDArray[np.float64]:
    """The same for the rows of a batch."""
    law = sampler.law.law(batch, torch.arange(data.n_items), model)[0].double().exp()
    found: NDArray[np.float64] = law.expand(len(batch.users), data.n_items).clone().numpy()
    if sampler.law.reject:
        found[data.seen.contains(batch.users.numpy()[:, None], np.arange(data.n_items))] = 0
    return found


def run(
    sampler: Sampler,
    data: Training,
    rng: np.random.Generator,
    model: Scorer,
    epochs: int = 2,
    steps: int = 2,
    first: int = 1,
) -> list[tuple[Batch, Candidates]]:
    """The candidates of some steps, as the trainer would ask for them."""
    found = []
    for epoch in range(first, first + epochs):
        if sampler.before_epoch is not None:
            sampler.before_epoch(epoch, model, rng)
        for step in range(steps):
            batch = batch_of(data, seed=10 * epoch + step)
            pool = sampler.propose(batch, N, rng, model)
            chosen = sampler.choose(batch, pool, N, rng, model)
            if sampler.after_step is not None:
                sampler.after_step(batch, chosen, model)
            found.append((batch, chosen))
    return found


def digest(name: str) -> str:
    """A hash of what the sampler gives in a few steps."""
    hashed = hashlib.sha256()
    for _, chosen in run(make(name, training()), training(), np.random.Generator(np.random.SFC64(3)), scorer()):
        for part in (chosen.items, chosen.valid, chosen.weight, chosen.vectors, chosen.mix):
            hashed.update(b"-" if part is None else part.contiguous().numpy().tobytes())
    return hashed.hexdigest()
