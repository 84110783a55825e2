"""The trainer: every model and loss learns, and every setting that moves results does what it says."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch

from datasets import Interactions
from recmodels.compatibility import reason
from recmodels.contracts.small import features
from recmodels.diagnostics import Diagnostics
from recmodels.epochs import _rows
from recmodels.evaluation import FullRanking
from recmodels.losses import LOSSES
from recmodels.metrics import user_metrics
from recmodels.models import MODELS
from recmodels.objective import objective
from recmodels.registry import Registry
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Training
from recmodels.settings import Settings
from recmodels.trainer import Trained, some_users, train

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
    training = Training(known, settings.positives, settings.epochs, features=features(known.n_items))
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


@cache
def plain() -> Trained:
    """Uniform, BPR and MF with the settings of all these."""
    return run()


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


@pytest.mark.slow
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
    assert changed.history[-1].loss != plain().history[-1].loss


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
