"""Seconds of training steps, drawing included; `ratio` is to what the same steps cannot do without.

Negatives of each row: gathering the users' and items' vectors and adding as many up again. Shared negatives: the three
matrix products of the scores and of the two gradients.
"""

import pytest
import torch

from tests.benchmarks.reference import N_ITEMS, N_USERS, SIZE, TrainingClock, beside, some

CLOCK = TrainingClock()


@pytest.mark.benchmark(timer=CLOCK)
@pytest.mark.parametrize(
    ("optimizer", "batch", "n", "count"),
    [
        ("sgd", 8192, 1, 25),
        ("adam", 8192, 1, 25),
        ("lazy_adam", 8192, 1, 25),
        ("adam", 1024, 1, 100),
        ("lazy_adam", 1024, 1, 100),
        ("adam", 1024, 16, 50),
        ("adam", 1024, 64, 25),
        ("adam", 8192, 64, 5),
    ],
)
def test_bpr_with_own_negatives(benchmark, optimizer, batch, n, count):
    batch, count = (batch, count) if benchmark.enabled else (256, 1)
    data = some(batch * count)
    users, items = torch.randn(N_USERS, SIZE), torch.randn(N_ITEMS, SIZE)
    rows = torch.randint(N_USERS, (batch,)), torch.randint(N_ITEMS, (batch * (1 + n),))

    def gather_and_scatter():
        for _ in range(count):
            for table, ids in zip((users, items), rows, strict=True):
                torch.zeros_like(table).index_add_(0, ids, table.index_select(0, ids))

    settings = {"optimizer": optimizer, "batch_size": batch, "negatives": n}
    beside(
        benchmark,
        lambda: CLOCK.epochs(data, "uniform", "bpr", **settings),
        gather_and_scatter,
        "rows read and added up",
    )


@pytest.mark.benchmark(timer=CLOCK)
@pytest.mark.parametrize(("sampler", "batch", "count"), [("inbatch", 2048, 20), ("full", 1024, 20)])
def test_softmax_with_shared_negatives(benchmark, sampler, batch, count):
    batch, count = (batch, count) if benchmark.enabled else (256, 1)
    data = some(batch * count)
    users, items = torch.randn(batch, SIZE), torch.randn(N_ITEMS if sampler == "full" else batch, SIZE)

    def products():
        for _ in range(count):
            scores = users @ items.T
            scores @ items
            scores.T @ users

    settings = {"batch_size": batch, "negatives": "all"}
    beside(benchmark, lambda: CLOCK.epochs(data, sampler, "softmax", **settings), products, "its matrix products")
