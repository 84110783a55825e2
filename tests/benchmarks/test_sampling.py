"""Negatives per second on one thread, on data of the shape of ml-1m; `ratio` is to `torch.randint` of as many ids."""

from functools import partial

import numpy as np
import pytest
import torch

from datasets import Interactions
from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.objective import objective
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Scorer, Training
from recmodels.settings import Settings
from recmodels.trainer import train
from recmodels.types import Batch, Tables
from tests.benchmarks.reference import CLOCK, N_INTERACTIONS, N_ITEMS, N_USERS, fastest, training

pytestmark = pytest.mark.benchmark(timer=CLOCK)

BATCH = 8192


def batch(size=BATCH):
    rows = np.random.default_rng(1).integers(N_INTERACTIONS, size=size)
    pairs = training().interactions
    return Batch(*(torch.from_numpy(ids[rows].astype(np.int64)) for ids in (pairs.users, pairs.items)))


def per_second(benchmark, function, draws):
    benchmark.extra_info["draws"] = draws
    benchmark(function)
    seconds = benchmark.stats.stats.min if benchmark.stats else fastest(function, rounds=1)
    benchmark.extra_info["million_per_second"] = round(draws / seconds / 1e6, 1)
    ratio = round(seconds / fastest(lambda: torch.randint(N_ITEMS, (draws,))), 1)
    benchmark.extra_info |= {"ratio": ratio, "to": "as many ids by torch.randint"}


DRAWN = {"uniform", "popularity", "log-uniform", "inbatch", "mixed"}


@pytest.mark.parametrize("n", [1, 16])
@pytest.mark.parametrize("name", sorted(DRAWN))
def test_drawing(benchmark, name, n):
    sampler, rows = SAMPLERS[name](training(), **SAMPLERS.parameters(name, {})), batch()
    rng = np.random.Generator(np.random.SFC64(0))
    per_second(benchmark, lambda: sampler.propose(rows, n, rng, None), BATCH * n)


@pytest.mark.parametrize("name", sorted(set(SAMPLERS) - DRAWN - {"given"}))
def test_choosing(benchmark, name):
    """The other samplers, with the scores they need, for a batch of 1024 and 16 negatives; these data give none."""
    generator = torch.Generator().manual_seed(0)
    users, items = (torch.randn(size, 64, generator=generator) * 0.3 for size in (N_USERS, N_ITEMS))
    sampler, model, rows = (
        SAMPLERS[name](training(), **SAMPLERS.parameters(name, {})),
        Scorer(Tables(users, items)),
        batch(1024),
    )
    rng = np.random.Generator(np.random.SFC64(0))
    if sampler.before_epoch is not None:
        sampler.before_epoch(1, model, rng)
    per_second(
        benchmark, lambda: sampler.choose(rows, sampler.propose(rows, 16, rng, model), 16, rng, model), 1024 * 16
    )


def epoch_seconds(name, interactions, **parameters):
    nothing = Interactions(np.empty(0, np.int32), np.empty(0, np.int32), N_USERS, N_ITEMS)
    data = Training(interactions)
    done = train(
        data,
        nothing,
        model=partial(MODELS["mf"], **MODELS.parameters("mf", {})),
        sampler=SAMPLERS[name](data, **{**SAMPLERS.parameters(name, {}), **parameters}),
        objective=objective("bpr", LOSSES.parameters("bpr", {})),
        settings=Settings(epochs=1, negatives=1),
        seed=0,
        device=torch.device("cpu"),
    )
    return done.history[0].seconds


def test_dns_with_a_pool_of_32_costs_at_most_three_epochs_of_uniform(benchmark):
    """One negative per positive, the best of 32; whole epochs in turn, so that both meet the same machine."""
    interactions = training().interactions
    if not benchmark.enabled:
        interactions = interactions.take(np.arange(0, N_INTERACTIONS, 50))
    rounds = 3 if benchmark.enabled else 1
    pairs = [
        (epoch_seconds("uniform", interactions), epoch_seconds("dns", interactions, pool=32)) for _ in range(rounds)
    ]
    uniform, dns = (min(times) for times in zip(*pairs, strict=True))
    benchmark.extra_info["ratio_to_uniform"] = round(dns / uniform, 2)
    benchmark(lambda: None)
    if benchmark.enabled:
        assert dns <= 3 * uniform
