"""Sampler runs on small data that the tests of samplers share, beside what every sampler is held to."""

import numpy as np
import torch

from recmodels.contracts.small import ALL_BUT_ONE as ALL_BUT_ONE
from recmodels.contracts.small import EVERYTHING as EVERYTHING
from recmodels.contracts.small import N_ITEMS as N_ITEMS
from recmodels.contracts.small import RUNNABLE as RUNNABLE
from recmodels.contracts.small import THE_ONE as THE_ONE
from recmodels.contracts.small import D as D
from recmodels.contracts.small import N as N
from recmodels.contracts.small import U as U
from recmodels.contracts.small import batch_of as batch_of
from recmodels.contracts.small import law_of as law_of
from recmodels.contracts.small import make as make
from recmodels.contracts.small import run as run
from recmodels.contracts.small import scorer as scorer
from recmodels.contracts.small import training as training
from recmodels.sampling import Training

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
