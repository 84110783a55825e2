"""Seconds of an epoch of BPR, one uniform negative, on data of the shape of ml-1m; `ratio` is to the same elsewhere.

Plain torch draws negatives without looking at what the user has seen and has no L2; the libraries are skipped where
they are not installed.
"""

import warnings

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus

from tests.benchmarks.reference import N_INTERACTIONS, N_ITEMS, N_USERS, SIZE, TrainingClock, beside, some

CLOCK = TrainingClock()
PASSES = 5  # of the libraries in one go, so that their own set-up matters less


def ours(data, optimizer, batch):
    return lambda: CLOCK.epochs(data, "uniform", "bpr", optimizer=optimizer, batch_size=batch, negatives=1)


def pairs_of(benchmark):
    return some(N_INTERACTIONS if benchmark.enabled else 20_000)


@pytest.mark.benchmark(timer=CLOCK)
@pytest.mark.parametrize("batch", [8192, 1024])
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lazy_adam"])
def test_beside_plain_torch(benchmark, optimizer, batch):
    data = pairs_of(benchmark)
    sparse = optimizer == "lazy_adam"
    users, items = (torch.nn.Embedding(rows, SIZE, sparse=sparse) for rows in (N_USERS, N_ITEMS))
    kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD, "lazy_adam": torch.optim.SparseAdam}[optimizer]
    update = kind([*users.parameters(), *items.parameters()], lr=0.003)
    u, i = (torch.from_numpy(ids.astype(np.int64)) for ids in (data.interactions.users, data.interactions.items))

    def epoch():
        order = torch.randperm(len(u))
        for rows in order.split(batch):
            user, positive, negative = users(u[rows]), items(i[rows]), items(torch.randint(N_ITEMS, (len(rows),)))
            loss = softplus((user * negative).sum(dim=1) - (user * positive).sum(dim=1)).mean()
            update.zero_grad()
            loss.backward()
            update.step()

    beside(benchmark, ours(data, optimizer, batch), epoch, "plain torch", rounds=3)


def quiet_import(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name)


@pytest.mark.benchmark(timer=CLOCK)
def test_beside_implicit(benchmark):
    bpr, sparse = quiet_import("implicit.cpu.bpr"), pytest.importorskip("scipy.sparse")
    data = pairs_of(benchmark)
    pairs = data.interactions
    matrix = sparse.csr_matrix((np.ones(len(pairs), np.float32), (pairs.users, pairs.items)), shape=(N_USERS, N_ITEMS))

    def epochs():
        model = bpr.BayesianPersonalizedRanking(
            factors=SIZE - 1, iterations=PASSES, num_threads=1
        )  # one more for the bias
        model.fit(matrix, show_progress=False)

    beside(benchmark, ours(data, "sgd", 8192), epochs, "implicit", rounds=3, times=PASSES)


@pytest.mark.benchmark(timer=CLOCK)
def test_beside_cornac(benchmark):
    cornac = quiet_import("cornac")
    data = pairs_of(benchmark)
    pairs = data.interactions
    triples = cornac.data.Dataset.from_uir(
        [(int(u), int(i), 1.0) for u, i in zip(pairs.users, pairs.items, strict=True)], seed=0
    )

    def epochs():
        cornac.models.BPR(k=SIZE, max_iter=PASSES, num_threads=1, verbose=False, seed=0).fit(triples)

    beside(benchmark, ours(data, "sgd", 8192), epochs, "cornac", rounds=3, times=PASSES)
