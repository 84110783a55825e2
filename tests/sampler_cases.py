"""Small data, a model and sampler runs that the tests of samplers share."""

import hashlib

import numpy as np
import torch

from datasets import Interactions
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Scorer, Training
from recmodels.types import Batch, Tables

U, N_ITEMS, D, N = 50, 40, 6, 8
EVERYTHING, ALL_BUT_ONE, THE_ONE = 0, 1, 7  # users who have seen every item, and every item but item 7
RUNNABLE = {
    "dns-mn": {"pool": 24},
    "ance": {"depth": 10},
}  # parameters that suit so few items, where the defaults do not


def training(seed=0):
    rng = np.random.default_rng(seed)
    pairs = {(EVERYTHING, i) for i in range(N_ITEMS)} | {(ALL_BUT_ONE, i) for i in range(N_ITEMS) if i != THE_ONE}
    weights = 1 / np.arange(1, N_ITEMS + 1)
    for user in range(2, U):
        items = rng.choice(N_ITEMS, size=rng.integers(2, 12), replace=False, p=weights / weights.sum())
        pairs |= {(user, int(item)) for item in items}
    left = np.array([(u, i) for u in range(2, U) for i in range(N_ITEMS) if (u, i) not in pairs and u % 5])
    unwanted = left[rng.random(len(left)) < 0.1]  # every fifth user gives no negatives
    known, negatives = (
        Interactions(*(column.astype(np.int32) for column in np.array(part).T), U, N_ITEMS)
        for part in (sorted(pairs), unwanted)
    )
    return Training(known, negatives=negatives)


def scorer(seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    users, items = (torch.from_numpy(rng.normal(0, scale, (n, D)).astype(np.float32)) for n in (U, N_ITEMS))
    return Scorer(Tables(users, items))


def batch_of(data, rows=None, seed=0, size=32):
    rows = np.random.default_rng(seed).integers(len(data.interactions), size=size) if rows is None else rows
    users, items = data.interactions.users[rows], data.interactions.items[rows]
    return Batch(torch.from_numpy(users.astype(np.int64)), torch.from_numpy(items.astype(np.int64)))


def make(name, data, **parameters):
    defaults = SAMPLERS.parameters(name, {})
    return SAMPLERS[name](data, **{**defaults, **RUNNABLE.get(name, {}), **parameters})


def law_of(sampler, data, users, model):
    """(B, I) what the sampler says of the whole catalogue; 0 where it says nothing, because it rejects what is seen."""
    batch = Batch(users, users % data.n_items)  # whatever the positives
    law = sampler.law.law(batch, torch.arange(data.n_items), model)[0].double().exp()
    law = law.expand(len(users), data.n_items).clone().numpy()
    if sampler.law.reject:
        law[data.seen.contains(users.numpy()[:, None], np.arange(data.n_items))] = 0
    return law


def run(sampler, data, rng, model, epochs=2, steps=2, first=1):
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


def digest(name):
    hashed = hashlib.sha256()
    for _, chosen in run(make(name, training()), training(), np.random.Generator(np.random.SFC64(3)), scorer()):
        for part in (chosen.items, chosen.valid, chosen.weight, chosen.vectors, chosen.mix):
            hashed.update(b"-" if part is None else part.contiguous().numpy().tobytes())
    return hashed.hexdigest()


DATA = training()


def of_epochs(epochs):
    return Training(DATA.interactions, epochs=epochs)


def draw(name, seed=4, n=N, size=64, model=None, epoch=1, data=DATA, **parameters):
    sampler, rng = make(name, data, **parameters), np.random.Generator(np.random.SFC64(seed))
    model = model or scorer()
    if sampler.before_epoch is not None:
        sampler.before_epoch(epoch, model, np.random.default_rng(0))
    batch = batch_of(data, size=size)
    return batch, sampler.choose(batch, sampler.propose(batch, n, rng, model), n, rng, model)


def same(a, b):
    return torch.equal(a[1].items, b[1].items)


def pooled(name, n=N, pool=None, **parameters):
    """The pool that the sampler chose from, by drawing it again."""
    sampler, model = make(name, DATA, **({"pool": pool} if pool else {}), **parameters), scorer()
    batch, rng = batch_of(DATA, size=64), np.random.Generator(np.random.SFC64(4))
    drawn = sampler.propose(batch, n, rng, model)
    return batch, drawn, sampler.choose(batch, drawn, n, rng, model), model
