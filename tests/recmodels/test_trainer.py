"""The trainer: every model and loss learns, and every setting that moves results does what it says."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from datasets import Interactions
from recmodels.compatibility import reason
from recmodels.diagnostics import Diagnostics
from recmodels.evaluation import FullRanking
from recmodels.losses import LOSSES
from recmodels.metrics import user_metrics
from recmodels.models import MODELS
from recmodels.objective import objective
from recmodels.registry import Registry
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Training
from recmodels.seeds import generator
from recmodels.settings import Settings
from recmodels.trainer import Trained, _rows, some_users, train
from recmodels.types import Batch, Candidates
from recmodels.updates import Updates, add_l2, learning_rate_factor

USERS, ITEMS = 40, 30


def data() -> tuple[Interactions, Interactions]:
    """Two tastes: users like even or odd items; one liked item of each user is held out."""
    generator = np.random.default_rng(0)
    train_pairs, valid_pairs = [], []
    for user in range(USERS):
        liked = generator.permutation(np.arange(user % 2, ITEMS, 2))
        train_pairs += [(user, item) for item in liked[:8]]
        valid_pairs.append((user, liked[8]))
    users, items = (np.array(column, np.int32) for column in zip(*train_pairs, strict=True))
    held_users, held_items = (np.array(column, np.int32) for column in zip(*valid_pairs, strict=True))
    return Interactions(users, items, USERS, ITEMS), Interactions(held_users, held_items, USERS, ITEMS)


SMALL: dict[str, Any] = {
    "epochs": 30, "patience": 30, "batch_size": 64, "negatives": 4, "embedding_size": 8, "learning_rate": 0.02,
}  # fmt: skip


def part(registry: Registry, text: str) -> tuple[str, dict[str, Any]]:
    """Name and parameters of what is written as `name:option=value,…`."""
    name, _, options = text.partition(":")
    return name, registry.parameters(name, dict(option.split("=") for option in options.split(",") if option))


def run(
    loss: str = "bpr",
    sampler: str = "uniform",
    model: str = "mf",
    observe: Callable[[Training], Diagnostics] | None = None,
    **changes: Any,
) -> Trained:
    known, held = data()
    settings = Settings(**(SMALL | changes))
    training = Training(known, settings.positives, settings.epochs)
    encoder, drawn = part(MODELS, model), part(SAMPLERS, sampler)
    return train(
        training,
        held,
        model=partial(MODELS[encoder[0]], **encoder[1]),
        sampler=SAMPLERS[drawn[0]](training, **drawn[1]),
        objective=objective(*part(LOSSES, loss), settings.space, settings.rank_space),
        settings=settings,
        seed=0,
        device=torch.device("cpu"),
        observer=observe and observe(training),
    )


def best(trained: Trained) -> float:
    return max(epoch.valid for epoch in trained.history)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_every_loss_learns_two_tastes(loss: str) -> None:
    """Chance is 0.18 of NDCG@10 among the 22 items that a user has not seen, knowing the taste about 0.5."""
    assert best(run(loss)) > 0.35


@pytest.mark.parametrize("model", sorted(MODELS))
def test_every_model_learns_with_the_same_trainer(model: str) -> None:
    light = {"simgcl": "simgcl:weight=0.01"}  # of two tastes, contrast makes as many as there are users
    assert best(run(model=light.get(model, model))) > 0.45


@pytest.mark.parametrize("model", ["mf", "lightgcn"])
def test_the_full_catalogue_with_softmax_learns(model: str) -> None:
    assert best(run("softmax", "full", model, negatives="all")) > 0.45


WITH_FULL = [
    name
    for name in LOSSES
    if not reason(
        ("full", SAMPLERS.parameters("full", {})),
        (name, LOSSES.parameters(name, {})),
        ("mf", MODELS.parameters("mf", {})),
        vars(Settings()),
    )
]


@pytest.mark.parametrize("model", ["mf", "lightgcn"])
@pytest.mark.parametrize("loss", WITH_FULL)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_step_in_parts_is_the_step(loss: str, model: str, reduction: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    changes: dict[str, Any] = {"reduction": reduction, "optimizer": "sgd", "learning_rate": 0.01, "l2": 0.01}
    whole = run(loss, "full", model, epochs=2, dropout=0.2, **changes)
    monkeypatch.setattr("recmodels.trainer.CELLS", 10 * ITEMS)  # of 64 rows: seven parts
    parts = run(loss, "full", model, epochs=2, dropout=0.2, **changes)
    assert parts.history[-1].loss == pytest.approx(whole.history[-1].loss, rel=1e-5)
    torch.testing.assert_close(parts.tables.users, whole.tables.users, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(parts.tables.items, whole.tables.items, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("optimizer", ["sgd", "lazy_adam", "adam"])
@pytest.mark.parametrize("sampler", ["inbatch", "mixed"])
@pytest.mark.parametrize("loss", ["bpr", "softmax", "sl"])
def test_a_batch_that_shares_its_negatives_is_the_same_in_parts(
    loss: str, sampler: str, optimizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, Any] = {"negatives": "all", "epochs": 2, "dropout": 0.2, "l2": 0.01, "optimizer": optimizer}
    whole = run(loss, sampler, **changes)
    monkeypatch.setattr("recmodels.trainer.CELLS", 10 * 64)
    parts = run(loss, sampler, **changes)
    torch.testing.assert_close(parts.tables.users, whole.tables.users, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(parts.tables.items, whole.tables.items, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("parts", "layers"), [(1, 2), (7, 2), (7, 3)])
def test_an_encoder_runs_once_forward_and_once_backward_in_a_step(
    parts: int, layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A product with the graph for each layer, each way; one pass more for the validation after the only epoch."""
    products = []
    original = torch.nn.functional.embedding_bag

    def counted(*given: Any, **named: Any) -> torch.Tensor:
        products.append(1)
        return original(*given, **named)

    monkeypatch.setattr("recmodels.models.lightgcn.embedding_bag", counted)
    monkeypatch.setattr("recmodels.trainer.CELLS", math.ceil(64 / parts) * ITEMS)
    run("softmax", "full", f"lightgcn:layers={layers}", epochs=1)
    steps = math.ceil(len(data()[0]) / 64)
    assert len(products) == (2 * steps + 1) * layers


@pytest.mark.parametrize(("sampler", "negatives"), [("full", 4), ("inbatch", "all")])
def test_parts_bound_the_scores_that_exist_at_a_time(
    sampler: str, negatives: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = []
    original = torch.Tensor.softmax
    monkeypatch.setattr(
        torch.Tensor, "softmax", lambda self, dim: shapes.append(self.numel()) or original(self, dim=dim)
    )
    monkeypatch.setattr("recmodels.trainer.CELLS", 10 * ITEMS)
    run("sl", sampler, epochs=1, negatives=negatives)
    assert max(shapes) <= 10 * ITEMS
    assert len(shapes) > 1


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": "sgd", "learning_rate": 2.0},
        {"optimizer": "sgd", "learning_rate": 1.0, "momentum": 0.5},
        {"optimizer": "adagrad", "learning_rate": 0.1},
        {"beta1": 0.5},
        {"beta2": 0.9},
        {"clip": 0.01},
        {"weight_decay": 0.001},
        {"optimizer": "lazy_adam"},
        {"schedule": "linear"},
        {"schedule": "cosine"},
        {"init": "uniform"},
        {"init": "normal"},
        {"dropout": 0.2},
        {"positives": "user"},
        {"space": "cosine"},
        {"space": "distance"},
        {"reduction": "sum", "optimizer": "sgd", "learning_rate": 0.05},
        {"l2_negative": 0.1},
        {"l2_positive": 0.0},
        {"l2_user": 0.1},
    ],
)
def test_settings_move_the_result_and_still_learn(change: dict[str, Any]) -> None:
    changed = run(**change)
    assert best(changed) > 0.4
    assert changed.history[-1].loss != run().history[-1].loss


def test_validation_ranks_a_fixed_sample_of_users_and_the_test_all() -> None:
    known, held = data()
    sample = some_users(held, 10)
    assert some_users(held, USERS) is held
    assert len(np.unique(sample.users)) == len(sample) == 10
    assert set(zip(sample.users, sample.items, strict=True)) < set(zip(held.users, held.items, strict=True))
    trained = run(valid_users=10, epochs=1)
    _, values = user_metrics(FullRanking(sample, [known]).ranks(trained.tables), [10])
    assert best(trained) == values["ndcg@10"].mean()
    assert torch.equal(trained.tables.users, run(epochs=1).tables.users)


def test_the_same_seed_gives_the_same_bits() -> None:
    for loss in ("bpr", "mawu", "sl-at-k"):
        assert [epoch[:3] for epoch in run(loss).history] == [epoch[:3] for epoch in run(loss).history]


def test_scores_rank_in_the_space_of_the_loss_unless_a_switch_says_otherwise() -> None:
    lengths = run("sl", epochs=3).tables.items.norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(ITEMS))
    assert run("directau", epochs=3).tables.items.norm(dim=1).std() > 1e-3
    torch.testing.assert_close(run("directau", epochs=3, rank_space="cosine").tables.items.norm(dim=1), lengths)
    assert run("cml", epochs=3).tables.bias is not None


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


def epochs_of(monkeypatch: pytest.MonkeyPatch, best: int, settles: float = 0.0, **changes: Any) -> tuple[int, int]:
    """Epochs trained and the best one, where validation rises until the epoch `best` and falls from there."""
    count = iter(range(1, 1000))
    monkeypatch.setattr("recmodels.trainer.validate", lambda *_: -abs(next(count) - best))
    known, held = data()
    training = Training(known)
    done = train(
        training,
        held,
        model=partial(MODELS["mf"], **MODELS.parameters("mf", {})),
        sampler=replace(SAMPLERS["uniform"](training, **SAMPLERS.parameters("uniform", {})), settles=settles),
        objective=objective("bpr", LOSSES.parameters("bpr", {})),
        settings=Settings(**(SMALL | changes)),
        seed=0,
        device=torch.device("cpu"),
    )
    return len(done.history), done.best_epoch


@pytest.mark.parametrize(
    ("best", "settles", "changes", "expected"),
    [
        (5, 0.0, {}, 8),
        (5, 0.3, {}, 15),  # the schedule stands still after 12 of 40 epochs
        (20, 0.3, {}, 23),
        (5, 0.31, {}, 16),  # after 12.4: part of epoch 13 still follows it
        (5, 1.0, {}, 40),
        (5, 0.0, {"schedule": "linear"}, 40),
        (5, 0.0, {"schedule": "cosine"}, 40),
        (39, 0.0, {}, 40),
    ],
)
def test_patience_counts_from_the_end_of_what_has_a_schedule(
    best: int, settles: float, changes: Any, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert epochs_of(monkeypatch, best, settles, epochs=40, patience=3, **changes) == (expected, best)


@pytest.mark.parametrize("metric", ["ndcg@10", "recall@3", "hr@1", "mrr@7"])
def test_the_metric_that_is_asked_for_chooses_the_epoch(metric: str) -> None:
    known, held = data()
    trained = run(epochs=4, select_on=metric)
    for epoch in (epoch for epoch in trained.history if epoch.epoch == trained.best_epoch):
        name, _, k = metric.partition("@")
        _, values = user_metrics(FullRanking(held, [known]).ranks(trained.tables), [int(k)])
        assert epoch.valid == values[f"{name}@{k}"].mean() == best(trained)


@pytest.mark.parametrize("name", ["sgd", "adagrad"])
@pytest.mark.parametrize("l2", [0.0, 0.01])
@pytest.mark.parametrize("space", ["dot", "distance"])
@pytest.mark.parametrize("sampler", ["uniform", "inbatch"])
def test_updating_the_rows_of_the_batch_alone_is_updating_the_table(
    name: Any, l2: float, space: Any, sampler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []
    for large in (0, 10**9):  # always by row, never by row
        monkeypatch.setattr("recmodels.trainer.LARGE", large)
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


def test_positives_by_user_follow_the_law_that_in_batch_corrects_for() -> None:
    users, items = np.array([0, 0, 0, 1, 2], np.int32), np.array([0, 1, 2, 2, 3], np.int32)
    training = Training(Interactions(users, items, 4, 5), "user")  # the fourth user has nothing
    generator = np.random.default_rng(0)
    drawn = [_rows(training, generator) for _ in range(4000)]
    assert (torch.cat([d[0] for d in drawn]).bincount(minlength=4)[3]) == 0
    counts = torch.cat([d[1] for d in drawn]).bincount(minlength=5).numpy()
    expected = np.array([1 / 9, 1 / 9, 1 / 9 + 1 / 3, 1 / 3, 0])
    np.testing.assert_allclose(training.positive_law, expected)
    np.testing.assert_allclose(counts / counts.sum(), expected, atol=0.01)
    np.testing.assert_allclose(Training(training.interactions).positive_law, [0.2, 0.2, 0.4, 0.2, 0])


def test_schedules_start_at_one_and_end_above_zero() -> None:
    for schedule in ("constant", "linear", "cosine"):
        factors = [learning_rate_factor(Settings(schedule=schedule, epochs=10), epoch) for epoch in range(1, 11)]  # type: ignore[arg-type]
        assert factors[0] == 1
        assert factors == sorted(factors, reverse=True)
        assert factors[-1] > 0
    assert learning_rate_factor(Settings(schedule="linear", epochs=10), 6) == 0.5
