"""What the benchmarks share: data of the shape of ml-1m, and how a time is set beside a reference of the same run.

Seconds depend on the machine and on what else it does; the ratio to something well known, measured a moment later in
the same process, does so much less. Each benchmark leaves it in `extra_info` as `ratio`: ours / reference, in processor
time, and what the reference is as `to`.
"""

import time
from functools import lru_cache, partial
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import torch

from datasets import Interactions
from recmodels import trainer
from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.objective import objective
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Training
from recmodels.settings import Settings

CLOCK = time.process_time  # of one thread, and not of what else runs
N_USERS, N_ITEMS, N_INTERACTIONS = 6040, 3706, 1_000_000
SIZE = 64  # D


@lru_cache(maxsize=1)
def training():
    """As many pairs, and about as uneven users and items, as in ml-1m."""
    rng = np.random.default_rng(0)
    users = rng.lognormal(0, 1.0, N_USERS)
    items = np.arange(1, N_ITEMS + 1) ** -0.6
    keys = np.empty(0, np.int64)
    while len(keys) < N_INTERACTIONS:
        more = [rng.choice(len(w), size=N_INTERACTIONS, p=w / w.sum()) for w in (users, items)]
        keys = np.unique(np.concatenate([keys, more[0] * N_ITEMS + more[1]]))
    keys = np.sort(rng.permutation(keys)[:N_INTERACTIONS])
    pairs = Interactions((keys // N_ITEMS).astype(np.int32), (keys % N_ITEMS).astype(np.int32), N_USERS, N_ITEMS)
    found = Training(pairs)
    assert found.seen.exact
    return found


@lru_cache(maxsize=8)
def some(rows):
    """So many of the interactions, spread over all of them."""
    return Training(training().interactions.take(np.arange(rows) * N_INTERACTIONS // rows))


class TrainingClock:
    """A clock that runs only while `train` says that it trains, so that set-up and validation do not count."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def epochs(self, data, sampler, loss, epochs=1, **settings):
        """Train without validation; the fastest epoch, which is what the clock moves on by."""
        nothing = Interactions(np.empty(0, np.int32), np.empty(0, np.int32), N_USERS, N_ITEMS)
        name, _, options = sampler.partition(":")
        given = dict(pair.split("=") for pair in filter(None, options.split(",")))
        with patch.object(trainer, "time", SimpleNamespace(perf_counter=CLOCK)):
            done = trainer.train(
                data,
                nothing,
                model=partial(MODELS["mf"], **MODELS.parameters("mf", {})),
                sampler=SAMPLERS[name](data, **SAMPLERS.parameters(name, given)),
                objective=objective(loss, LOSSES.parameters(loss, {})),
                settings=Settings(epochs=epochs, **settings),
                seed=0,
                device=torch.device("cpu"),
            )
        seconds = min(epoch.seconds for epoch in done.history)
        self.now += seconds
        return seconds


def fastest(function, rounds=20):
    """The fewest seconds of a call, after one that does not count."""
    times = []
    for _ in range(rounds + 1):
        started = CLOCK()
        function()
        times.append(CLOCK() - started)
    return min(times[1:])


def beside(benchmark, ours, reference, to, rounds=5, times=1):
    """Measure `ours` as the benchmark and right after it the `reference`, called `to`, which does as much `times` over.

    Without timing, each is run once.
    """
    rounds = rounds if benchmark.enabled else 1
    benchmark.pedantic(ours, rounds=rounds, warmup_rounds=int(benchmark.enabled))
    other = fastest(reference, rounds) / times
    if benchmark.enabled:
        benchmark.extra_info["reference_seconds"] = other
        benchmark.extra_info |= {"ratio": round(benchmark.stats.stats.min / other, 2), "to": to}
