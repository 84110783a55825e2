"""Users made of their history: formula, gradient, identities, and that the trainer trains just that."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.runs.spec import Cell, incompatibility, parse_cell, same_training
from datasets import Interactions
from recmodels import trainer
from recmodels.encoder import Encoder
from recmodels.models import MODELS
from recmodels.objective import objective
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Training
from recmodels.scoring import lookups
from recmodels.settings import Settings
from recmodels.types import Batch, Part

USERS, ITEMS, SIZE, LENGTH = 7, 11, 4, 4
VARIANTS = [
    {"gamma": gamma, "pool": pool, "separate": separate, "leave_out": leave_out}
    for gamma, pool, separate, leave_out in product(
        ("0", "0.3"), ("mean", "attention", "user-attention"), ("false", "true"), ("false", "true")
    )
] + [
    {"gamma": "0", "separate": "true", "leave_out": "false", "linear": "false", "hidden": "2"},
    {"gamma": "0.3", "pool": "user-attention", "leave_out": "true", "hidden": "1"},
]
NAMES = [", ".join(f"{key}={value}" for key, value in one.items()) for one in VARIANTS]


def data(fold_in: Interactions | None = None) -> Training:
    """User 6 has no interaction; most others have more than a history holds."""
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((USERS - 1, ITEMS - 1)) < 0.5)
    order = rng.permutation(len(users))
    times = rng.permutation(len(users)).astype(np.int64)
    users, items = (ids[order].astype(np.int32) for ids in (users, items))
    return Training(Interactions(users, items, USERS, ITEMS, times), fold_in=fold_in)


def built(given: dict[str, str], optimizer: str = "adam", training: Training | None = None) -> Any:
    settings = Settings(embedding_size=SIZE, init="normal", init_std=0.7, optimizer=optimizer)  # type: ignore[arg-type]
    parameters = MODELS.parameters("history", {"length": str(LENGTH)} | given)
    return MODELS["history"](training or data(), settings, np.random.default_rng(1), **parameters)


def histories(training: Training) -> list[list[int]]:
    """The last items of each user, by time."""
    known = training.histories
    assert known.times is not None
    rows = sorted(zip(known.times.tolist(), known.users.tolist(), known.items.tolist(), strict=True))
    return [[item for _, owner, item in rows if owner == user][-LENGTH:] for user in range(USERS)]


def expected(module: Any, own: Tensor | None, ids: list[int]) -> Tensor:
    """γ e + (1 - γ) W h_L of h_0 = Σ_k α_k v_k, by torch alone."""
    v = (module.items if module.inputs is None else module.inputs)[ids]
    if module.keys is None:
        logits = torch.zeros(len(ids))
    else:
        asks = module.query if module.query is not None else torch.zeros(SIZE).to(v) if own is None else own
        logits = (v @ module.keys.T + module.key_bias).tanh() @ asks
    pooled = logits.softmax(dim=0).to(v) @ v
    for weight, bias in zip(module.layers, module.biases, strict=True):
        pooled = weight @ pooled + bias
        pooled = pooled * (pooled > 0)
    pooled = pooled if module.map is None else module.map @ pooled
    return (1 - module.gamma) * pooled + (module.gamma * own if own is not None else 0)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("given", VARIANTS, ids=NAMES)
def test_queries_and_their_gradient_are_those_of_the_formula(given: dict[str, str], optimizer: str) -> None:
    training, module = data(), built(given, optimizer).double()
    rows = np.random.default_rng(2).permutation(len(training.interactions))[:16]
    users, items = (ids[rows].astype(np.int64) for ids in (training.interactions.users, training.interactions.items))
    own, pull = getattr(module, "users", None), torch.randn(16, SIZE, dtype=torch.float64)
    lists = histories(training)
    oracle = torch.stack(
        [
            expected(
                module,
                None if own is None else own[user],
                [i for i in lists[user] if i != item or given["leave_out"] == "false"],
            )
            for user, item in zip(users, items, strict=True)
        ]
    )
    found = module.queries(Batch(torch.from_numpy(users), torch.from_numpy(items)))
    assert found.items is module.items
    torch.testing.assert_close(found.users, oracle)
    names, parameters = zip(*module.named_parameters(), strict=True)
    ours, theirs = (torch.autograd.grad((x * pull).sum(), parameters, allow_unused=True) for x in (found.users, oracle))
    for name, mine, its in zip(names, ours, theirs, strict=True):
        assert (mine is None) == (its is None), name
        if mine is not None:
            assert mine.is_sparse == (optimizer == "sgd" and name in ("users", "items", "inputs"))
            torch.testing.assert_close(mine.to_dense(), its, msg=name)


@pytest.mark.parametrize("given", VARIANTS, ids=NAMES)
def test_tables_hold_whole_histories_and_no_own_vector_of_who_is_not_trained_on(given: dict[str, str]) -> None:
    fold_in = Interactions(
        np.array([6, 6], np.int32), np.array([9, 2], np.int32), USERS, ITEMS, np.array([1, 2], np.int64)
    )
    training = data(fold_in)
    module = built(given, training=training)
    own, lists = getattr(module, "users", None), histories(training)
    assert lists[6] == [9, 2]
    oracle = [expected(module, own[u] if own is not None and u != 6 else None, lists[u]) for u in range(USERS)]
    torch.testing.assert_close(module().users, torch.stack(oracle))
    assert (built(given)().users[6] == 0).all()


def test_attention_of_vectors_of_0_is_the_mean_and_a_tower_without_layers_the_same_user() -> None:
    """Bit for bit, of the same initial vectors."""
    plain = built({})
    for given in ({"pool": "attention"}, {"pool": "user-attention"}):
        module = built(given)
        with torch.no_grad():
            module.keys.zero_()
        torch.testing.assert_close(module().users, plain().users)
        assert module.items.equal(plain.items)
    assert built({"hidden": "0"})().users.equal(plain().users)
    tower = built({"hidden": "1", "linear": "false", "gamma": "0"})
    with torch.no_grad():
        tower.layers[0].copy_(torch.eye(SIZE))
    mean = built({"linear": "false", "gamma": "0"})
    assert tower().users.equal(mean().users.relu())


def test_one_item_in_place_of_the_user_is_the_vector_of_that_item() -> None:
    """And with vectors of their own the score is the dot product of two item tables."""
    items = np.array([4, 0, 7, 4, 2, 1, 10], np.int32)
    training = Training(Interactions(np.arange(USERS, dtype=np.int32), items, USERS, ITEMS))
    module = built({"gamma": "0", "linear": "false"}, training=training)
    assert module().users.equal(module.items[items])
    module = built({"gamma": "0", "linear": "false", "separate": "true"}, training=training)
    assert module().scores(torch.arange(USERS)).equal(module.inputs[items] @ module.items.T)
    assert not hasattr(module, "users")


@pytest.mark.parametrize("given", [*VARIANTS, {}], ids=[*NAMES, "as it is by default"])
def test_a_user_follows_the_items_of_its_history_and_no_others(given: dict[str, str]) -> None:
    """Of `mf` no user would follow any item."""
    module, lists = built(given), histories(data())
    for bias in module.biases:
        bias.data.fill_(9)  # so that no unit is at rest
    table = module.items if module.inputs is None else module.inputs
    before, start = module().users.detach().clone(), table.detach().clone()
    for item in range(ITEMS):
        with torch.no_grad():
            table.copy_(start)
            table[item] += 1
            moved = (module().users != before).any(dim=1)
        assert moved.tolist() == [item in mine for mine in lists]


def trained(
    model: str, given: dict[str, str], monkeypatch: pytest.MonkeyPatch, **changed: Any
) -> tuple[Any, list[Part]]:
    """The module after one epoch, and the parts that it was trained on."""
    training, modules, parts = data(), [], list[Part]()
    settings = Settings(**({"epochs": 1, "embedding_size": SIZE, "negatives": 3, "batch_size": 8} | changed))
    gradient = trainer._gradient

    def build(*arguments: Any) -> torch.nn.Module:
        modules.append(MODELS[model](*arguments, **MODELS.parameters(model, given)))
        return modules[-1]

    with monkeypatch.context() as patch:
        patch.setattr(
            trainer, "_gradient", lambda fit, part, *rest: (parts.append(part), gradient(fit, part, *rest))[1]
        )
        trainer.train(
            training,
            training.interactions,
            model=build,
            sampler=SAMPLERS["uniform"](training, **SAMPLERS.parameters("uniform", {})),
            objective=objective("bpr", {}),
            settings=settings,
            seed=3,
            device=torch.device("cpu"),
        )
    return modules[0], parts


def test_a_share_of_1_is_mf_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, _ = trained("history", {"gamma": "1"}, monkeypatch, epochs=3)
    theirs, _ = trained("mf", {}, monkeypatch, epochs=3)
    assert ours.users.equal(theirs.users)
    assert ours.items.equal(theirs.items)
    one, other = (parse_cell(f"uniform+bpr+{name}", {}) for name in ("history:gamma=1,length=none", "mf"))
    assert same_training(one) == same_training(other) != same_training(parse_cell("uniform+bpr+history", {}))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("optimizer", ["sgd", "lazy_adam"])
@pytest.mark.parametrize("given", VARIANTS, ids=NAMES)
def test_a_step_of_the_trainer_is_that_of_the_formula(
    given: dict[str, str], optimizer: str, reduction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the gradient of bpr's mean over rows and negatives, and of L2 on own vectors, positives and negatives."""
    given = given | {"length": str(LENGTH)}
    seen: list[dict[str, Tensor]] = []
    step = trainer.Updates.step

    def watched(self: Any, rate: float) -> None:
        seen.append({f"{at}": p.grad.to_dense().clone() for at, p in enumerate(self._parameters) if p.grad is not None})
        step(self, rate)

    monkeypatch.setattr(trainer.Updates, "step", watched)
    module, parts = trained(
        "history", given, monkeypatch, optimizer=optimizer, reduction=reduction, batch_size=1000, l2=0.02,
        learning_rate=1e-9, init="normal", init_std=0.7,
    )  # fmt: skip
    assert len(parts) == 1
    batch, candidates = parts[0].batch, parts[0].candidates
    own, lists = getattr(module, "users", None), histories(data())
    total = torch.zeros(())
    for user, item, others in zip(*(ids.tolist() for ids in (*batch[:2], candidates.items)), strict=True):
        mine = [i for i in lists[user] if i != item or given["leave_out"] == "false"]
        u = expected(module, None if own is None else own[user], mine)
        total = total + torch.nn.functional.softplus(module.items[others] @ u - module.items[item] @ u).mean()
        total = total + 0.01 * (module.items[item].square().sum() + module.items[others].square().sum() / 3)
        total = total + (0 if own is None else 0.01 * own[user].square().sum())
    parameters = list(module.parameters())
    (total / (len(batch.users) if reduction == "mean" else 1)).backward()  # type: ignore[no-untyped-call]
    for at, parameter in enumerate(parameters):
        torch.testing.assert_close(seen[0][f"{at}"], parameter.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_gradient_on_the_way_is_what_reaches_the_items_as_such_and_in_histories(optimizer: str) -> None:
    """In two parts, one of which has the items' gradient by row where the optimiser allows it."""
    module = built({}, optimizer).double()
    encoder, total = Encoder(module), torch.zeros((), dtype=torch.float64)
    for users, items in (([0, 2, 0], [1, 3, 4]), ([5, 1], [0, 1])):
        batch = Batch(torch.tensor(users), torch.tensor(items))
        tables, at = encoder.rows(batch)
        mine, its = lookups(tables.users, False, at)[0], lookups(tables.items, module.by_row, batch.positives)[0]
        (mine * its).sum().backward()
        plain = module.queries(batch)
        total = total + (plain.users * plain.items[batch.positives]).sum()
    parameters = [module.users, module.items, module.map]
    expected = torch.autograd.grad(total, parameters)
    for found, wanted in zip(encoder.gradient(parameters), expected, strict=True):
        torch.testing.assert_close(found.to_dense(), wanted.to_dense())  # type: ignore[union-attr]
    encoder.backward()
    for parameter, wanted in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad.to_dense(), wanted.to_dense())


def test_a_step_in_parts_is_the_whole_step(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = []
    for cells in (1 << 20, 24):
        monkeypatch.setattr(trainer, "CELLS", cells)
        training, modules = data(), []

        def build(*arguments: Any, modules: list[Any] = modules) -> torch.nn.Module:
            modules.append(MODELS["history"](*arguments, **MODELS.parameters("history", {"leave_out": "true"})))
            return modules[-1]

        trainer.train(
            training,
            training.interactions,
            model=build,
            sampler=SAMPLERS["full"](training, **SAMPLERS.parameters("full", {})),
            objective=objective("bpr", {}),
            settings=Settings(epochs=2, embedding_size=SIZE, negatives="all", batch_size=16),
            seed=0,
            device=torch.device("cpu"),
        )
        ends.append([parameter.detach() for parameter in modules[0].parameters()])
    for one, other in zip(*ends, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def refused(text: str) -> str:
    cell: Cell = parse_cell(text, {})
    return incompatibility(cell) or ""


def test_losses_of_whole_tables_train_with_whole_histories_alone() -> None:
    for loss in ("uniform+wrmf", "full+sce", "uniform+lambdarank"):
        assert not refused(f"{loss}+history")
        assert "history:leave_out=true has a user of its own for each row" in refused(f"{loss}+history:leave_out=true")
    assert "parameters themselves" in refused("uniform+cml+history")
    assert not refused("uniform+cml+history:gamma=1")
