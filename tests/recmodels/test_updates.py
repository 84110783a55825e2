"""What happens to parameters after the gradient of the loss is there: L2 by role, the optimiser, its schedule."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from datasets import Interactions
from recmodels.gradients import merge_rows
from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.objective import objective
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Training
from recmodels.seeds import generator
from recmodels.settings import Settings
from recmodels.trainer import train
from recmodels.types import Batch, Candidates
from recmodels.updates import Updates, add_l2, learning_rate_factor
from tests.recmodels.test_trainer import ITEMS, USERS, data, run


def test_summed_sgd_is_averaged_sgd_with_a_learning_rate_times_the_batch() -> None:
    known, _ = data()
    batch = len(known) // 5  # batches of exactly this size
    summed = run(optimizer="sgd", learning_rate=0.01, reduction="sum", batch_size=batch, epochs=3)
    averaged = run(optimizer="sgd", learning_rate=0.01 * batch, batch_size=batch, epochs=3)
    torch.testing.assert_close(summed.tables.items, averaged.tables.items, rtol=1e-4, atol=1e-5)


def test_lazy_adam_is_adam_where_every_row_is_in_every_batch() -> None:
    """With the whole batch as negatives and one batch per epoch every trained row is touched at every step."""
    lazy, dense = (
        run(optimizer=name, batch_size=100_000, sampler="inbatch", loss="softmax", negatives="all", epochs=5)
        for name in ("lazy_adam", "adam")
    )
    torch.testing.assert_close(lazy.tables.users, dense.tables.users, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(lazy.tables.items, dense.tables.items, rtol=1e-4, atol=1e-6)


def test_lazy_adam_leaves_rows_alone_that_the_batch_does_not_have() -> None:
    module = MODELS["mf"](Training(data()[0]), Settings(embedding_size=4), np.random.default_rng(0))
    before = module.users.detach().clone()
    lazy = Updates(list(module.parameters()), Settings(optimizer="lazy_adam"))
    for step in range(3):
        for table in (module.users, module.items):
            rows = torch.tensor([[step, 5]])
            table.grad = torch.sparse_coo_tensor(rows, torch.ones(2, 4), table.shape, check_invariants=True)
        lazy.step(0.01)
    moved = (module.users != before).any(dim=1)
    assert torch.flatten(moved.nonzero()).tolist() == [0, 1, 2, 5]


RULES: list[tuple[dict[str, Any], Any]] = [
    ({"optimizer": "sgd"}, lambda p: torch.optim.SGD(p, lr=0.1)),
    ({"optimizer": "sgd", "weight_decay": 0.3}, lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.3)),
    ({"optimizer": "sgd", "momentum": 0.8}, lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.8)),
    (
        {"optimizer": "sgd", "momentum": 0.8, "weight_decay": 0.3},
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.8, weight_decay=0.3),
    ),
    ({"optimizer": "adagrad"}, lambda p: torch.optim.Adagrad(p, lr=0.1)),
    ({"optimizer": "adagrad", "weight_decay": 0.3}, lambda p: torch.optim.Adagrad(p, lr=0.1, weight_decay=0.3)),
    ({"optimizer": "adam"}, lambda p: torch.optim.Adam(p, lr=0.1)),
    ({"optimizer": "adam", "beta1": 0.5, "beta2": 0.9}, lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.5, 0.9))),
    ({"optimizer": "adam", "weight_decay": 0.3}, lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.3)),
]


@pytest.mark.parametrize("clip", [None, 0.5, 100.0])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(("changes", "theirs"), RULES)
def test_updates_are_those_of_torch(changes: Any, theirs: Any, sparse: bool, clip: float | None) -> None:
    torch.manual_seed(0)
    tables = torch.randn(9, 4), torch.randn(7)
    ours, expected = ([torch.nn.Parameter(table.clone()) for table in tables] for _ in range(2))
    updates, optimizer = Updates(ours, Settings(clip=clip, **changes)), theirs(expected)
    for step in range(5):
        for mine, plain in zip(ours, expected, strict=True):
            rows = torch.randperm(len(plain))[: 3 if sparse else len(plain)].sort().values
            values = torch.randn(len(rows), *plain.shape[1:])
            plain.grad = torch.zeros_like(plain).index_copy_(0, rows, values)
            mine.grad = plain.grad.clone()
            if sparse:
                mine.grad = torch.sparse_coo_tensor(rows[None], values.clone(), plain.shape, check_invariants=True)
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(expected, clip)
        updates.step(0.1)
        optimizer.step()
        for mine, plain in zip(ours, expected, strict=True):
            torch.testing.assert_close(mine, plain, msg=f"step {step}")


@pytest.mark.parametrize("optimizer", ["lazy_adam", "adagrad"])
def test_a_row_that_stands_twice_in_a_gradient_moves_by_its_sum(optimizer: str) -> None:
    """As where autograd sets two gradients by row one behind the other."""
    moved = []
    for rows, values in (([1, 4, 1], [2.0, 1.0, -0.5]), ([1, 4], [1.5, 1.0])):
        table = torch.nn.Parameter(torch.ones(6, 1))
        updates = Updates([table], Settings(optimizer=optimizer))
        table.grad = torch.sparse_coo_tensor([rows], torch.tensor(values)[:, None], (6, 1), check_invariants=True)
        merge_rows([table])
        updates.step(0.1)
        moved.append(table.detach())
    torch.testing.assert_close(*moved)
    assert (moved[0] != 1).squeeze(1).tolist() == [False, True, False, False, True, False]


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.9)])
def test_lazy_adam_is_the_sparse_adam_of_torch(betas: tuple[float, float]) -> None:
    """It too takes the number of all steps for the corrections, and leaves the moments of absent rows as they are."""
    torch.manual_seed(0)
    table = torch.randn(9, 4)
    ours, expected = torch.nn.Parameter(table.clone()), torch.nn.Parameter(table.clone())
    updates = Updates([ours], Settings(optimizer="lazy_adam", beta1=betas[0], beta2=betas[1]))
    optimizer = torch.optim.SparseAdam([expected], lr=0.1, betas=betas)
    for _ in range(5):
        rows = torch.randperm(9)[:4].sort().values
        gradient = torch.sparse_coo_tensor(rows[None], torch.randn(4, 4), table.shape, check_invariants=True)
        ours.grad, expected.grad = gradient.clone(), gradient.clone()
        updates.step(0.1)
        optimizer.step()
        torch.testing.assert_close(ours, expected)


def test_weight_decay_reaches_rows_that_no_batch_has_and_l2_does_not() -> None:
    """User 0 and the last item have no interaction; with a gradient of 0, SGD multiplies them by 1 - rate · decay."""
    users, items = np.array([1, 2, 1, 2], np.int32), np.array([0, 0, 1, 2], np.int32)
    training = Training(Interactions(users, items, 3, 30))
    start = MODELS["mf"](training, Settings(embedding_size=4), generator(0, "init"))
    fixed = {"optimizer": "sgd", "learning_rate": 0.1, "epochs": 1, "batch_size": 4, "embedding_size": 4}
    for changes, factor in (({"l2": 0.5}, 1.0), ({"l2": 0.0, "weight_decay": 0.5}, 1 - 0.1 * 0.5)):
        done = train(
            training,
            training.interactions.take(np.zeros(4, bool)),
            model=partial(MODELS["mf"], **MODELS.parameters("mf", {})),
            sampler=SAMPLERS["inbatch"](training, **SAMPLERS.parameters("inbatch", {})),
            objective=objective("bpr", LOSSES.parameters("bpr", {})),
            settings=Settings(negatives=2, **fixed, **changes),  # type: ignore[arg-type]
            seed=0,
            device=torch.device("cpu"),
        )
        torch.testing.assert_close(done.tables.users[0], start.users[0] * factor)
        torch.testing.assert_close(done.tables.items[29], start.items[29] * factor)
        assert not torch.equal(done.tables.users[1], start.users[1] * factor)


@pytest.mark.parametrize("name", ["sgd", "adagrad"])
@pytest.mark.parametrize("l2", [0.0, 0.01])
@pytest.mark.parametrize("space", ["dot", "distance"])
@pytest.mark.parametrize("sampler", ["uniform", "inbatch"])
def test_updating_the_rows_of_the_batch_alone_is_updating_the_table(
    name: Any, l2: float, space: Any, sampler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []
    for large in (0, 10**9):  # always by row, never by row
        monkeypatch.setattr("recmodels.updates.LARGE", large)
        trained.append(run(sampler=sampler, optimizer=name, learning_rate=0.1, l2=l2, space=space, epochs=2).tables)
    torch.testing.assert_close(trained[0].users, trained[1].users, rtol=0, atol=1e-6)
    torch.testing.assert_close(trained[0].items, trained[1].items, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("roles", [(0.1, 0.2, 0.3), (0.1, 0.0, 0.3), (0.0, 0.5, 0.0)])
def test_l2_by_role_is_the_gradient_of_its_formula(shared: bool, reduction: str, roles: tuple[float, ...]) -> None:
    training = Training(data()[0])
    module = MODELS["mf"](training, Settings(embedding_size=4), np.random.default_rng(0), bias=True)
    with torch.no_grad():
        module.bias.normal_()
    batch = Batch(torch.randint(USERS, (6,)), torch.randint(ITEMS, (6,)))
    candidates = Candidates(torch.randint(ITEMS, (5,) if shared else (6, 5)))
    user, positive, negative = roles
    settings = Settings(
        l2_user=user,
        l2_positive=positive,
        l2_negative=negative,
        l2_bias=0.7,
        reduction=reduction,  # type: ignore[arg-type]
    )
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    add_l2(module, batch, candidates, settings, 6)
    u, v, b = (table.detach().clone().requires_grad_() for table in (module.users, module.items, module.bias))
    items = candidates.items.expand(6, 5)
    rows = (
        user * u[batch.users].square().sum(1)
        + positive * v[batch.positives].square().sum(1)
        + negative * v[items].square().sum(2).mean(1)
        + 0.7 * (b[batch.positives].square() + b[items].square().mean(1))
    ) / 2
    (rows.mean() if reduction == "mean" else rows.sum()).backward()
    for ours, theirs in zip((module.users, module.items, module.bias), (u, v, b), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_schedules_start_at_one_and_end_above_zero() -> None:
    for schedule in ("constant", "linear", "cosine"):
        factors = [learning_rate_factor(Settings(schedule=schedule, epochs=10), epoch) for epoch in range(1, 11)]  # type: ignore[arg-type]
        assert factors[0] == 1
        assert factors == sorted(factors, reverse=True)
        assert factors[-1] > 0
    assert learning_rate_factor(Settings(schedule="linear", epochs=10), 6) == 0.5
