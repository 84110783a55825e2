"""Models of sequences: their formulas, what a position sees, the steps that the trainer makes of them, and at test."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.runs.spec import incompatibility, parse_cell
from datasets import Interactions
from datasets.errors import UserError
from recmodels import trainer
from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.objective import objective
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Scorer, Training
from recmodels.settings import Settings
from recmodels.types import Batch, Part, Tables

USERS, ITEMS, SIZE, LENGTH = 9, 14, 4, 5
SEQUENTIAL = [name for name in MODELS if "queries" in MODELS.entry(name).facts["gives"]]
PLAIN = {"drop": "0", "length": f"{LENGTH}"}


def data(shuffled: bool = True) -> Training:
    """User 8 has nothing and user 7 one interaction; most others have more than a window holds."""
    rng = np.random.default_rng(0)
    pairs = [
        (user, item) for user in range(USERS - 1) for item in rng.permutation(ITEMS)[: 1 if user == 7 else 3 + user]
    ]
    times = np.arange(len(pairs), dtype=np.int64)
    order = rng.permutation(len(pairs)) if shuffled else np.arange(len(pairs))
    users, items = np.array(pairs, np.int32)[order].T
    return Training(Interactions(users.copy(), items.copy(), USERS, ITEMS, times[order]))


def sequences(known: Interactions) -> list[list[int]]:
    """The items of each user by time."""
    assert known.times is not None
    rows = sorted(zip(known.times.tolist(), known.users.tolist(), known.items.tolist(), strict=True))
    return [[item for _, owner, item in rows if owner == user] for user in range(known.n_users)]


def built(name: str, training: Training | None = None, **given: str) -> Any:
    settings = Settings(embedding_size=SIZE, init="normal", init_std=0.7)
    parameters = MODELS.parameters(name, PLAIN | given)
    module = MODELS[name](training or data(), settings, np.random.default_rng(1), **parameters)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(5)) * 0.3)
    return module.double()


def windows(training: Training) -> list[tuple[int, int, list[int]]]:
    """User, positive and what comes before it, of every row."""
    found = []
    for user, items in enumerate(sequences(training.interactions)):
        first = max(0, len(items) - 1 - LENGTH)
        found += [(user, items[at], items[first:at]) for at in range(first + 1, len(items))]
    return found


def norm(x: Tensor, of: Any) -> Tensor:
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt() * of.weight + of.bias


def sasrec(module: Any, ids: list[int], heads: int = 1) -> Tensor:
    """The query after these items, by torch alone and the paper's formulas."""
    x = module.items[ids] * math.sqrt(SIZE) + module.positions[: len(ids)]
    later = torch.ones(len(ids), len(ids)).triu(1).bool()
    for block in module.blocks:
        y = norm(x, block.before_attention) @ block.mixing.weight.T + block.mixing.bias
        q, k, v = (part.view(len(ids), heads, -1).transpose(0, 1) for part in y.split(SIZE, dim=1))
        shares = (q @ k.transpose(1, 2) / math.sqrt(SIZE / heads)).masked_fill(later, -torch.inf).softmax(dim=-1)
        mixed = (shares @ v).transpose(0, 1).reshape(len(ids), SIZE)
        x = x + mixed @ block.joining.weight.T + block.joining.bias
        inner = norm(x, block.before_layers) @ block.first.weight.T + block.first.bias
        x = x + inner.relu() @ block.second.weight.T + block.second.bias
    return norm(x, module.norm)[-1]


def gru4rec(module: Any, ids: list[int]) -> Tensor:
    """The state after these items by the equations of the unit, mapped."""
    unit, state = module.unit, torch.zeros(module.unit.hidden_size).to(module.items)
    for item in ids:
        inner = (unit.weight_ih_l0 @ module.items[item] + unit.bias_ih_l0).chunk(3)
        outer = (unit.weight_hh_l0 @ state + unit.bias_hh_l0).chunk(3)
        reset, update = (inner[0] + outer[0]).sigmoid(), (inner[1] + outer[1]).sigmoid()
        state = (1 - update) * (inner[2] + reset * outer[2]).tanh() + update * state
    return module.map.weight @ state + module.map.bias


FORMULAS = {"sasrec": sasrec, "gru4rec": gru4rec}


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_queries_of_rows_and_of_users_are_those_of_the_formula(name: str) -> None:
    training, module = data(), built(name)
    rows = torch.from_numpy(module.sequences.rows)
    users, items, ids = zip(*windows(training), strict=True)
    assert module.sequences.owners[rows].tolist() == [*users]
    assert module.sequences.items[rows].tolist() == [*items]
    some = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    found = module.queries(Batch(torch.tensor(users)[some], torch.tensor(items)[some], rows[some]))
    oracle = torch.stack([FORMULAS[name](module, ids[at]) for at in some])
    torch.testing.assert_close(found.users, oracle)
    assert found.items is module.items
    pull = torch.randn(found.users.shape, dtype=torch.float64)
    names, parameters = zip(*module.named_parameters(), strict=True)
    ours, theirs = (torch.autograd.grad((x * pull).sum(), parameters) for x in (found.users, oracle))
    for called, mine, its in zip(names, ours, theirs, strict=True):
        torch.testing.assert_close(mine, its, msg=called)
    whole = module().users
    for user, mine in enumerate(sequences(training.interactions)):
        wanted = FORMULAS[name](module, mine[-LENGTH:]) if mine else torch.zeros(SIZE, dtype=torch.float64)
        torch.testing.assert_close(whole[user], wanted)


def test_heads_are_parts_of_the_vectors() -> None:
    module = built("sasrec", heads="2")
    user, _, ids = windows(data())[-1]
    row = torch.from_numpy(module.sequences.rows[-1:])
    found = module.queries(Batch(torch.tensor([user]), torch.tensor([0]), row)).users[0]
    torch.testing.assert_close(found, sasrec(module, ids, heads=2))
    with pytest.raises(UserError, match="heads that divide embedding_size, not 3 and 4"):
        built("sasrec", heads="3")


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_what_comes_later_moves_no_query(name: str) -> None:
    module = built(name)
    before = module.encode(inputs := torch.randn(3, LENGTH, SIZE, dtype=torch.float64))
    for at in range(LENGTH):
        changed = inputs.clone()
        changed[:, at] = torch.randn(3, SIZE, dtype=torch.float64)
        moved = (module.encode(changed) != before).any(dim=2)
        assert not moved[:, :at].any()
        assert moved[:, at:].all()


def test_an_epoch_has_every_row_once_in_steps_of_whole_users() -> None:
    module, wanted = built("sasrec"), windows(data())
    batch, edges = module.sequences.epoch(np.random.default_rng(0), 8)
    assert batch.rows is not None
    assert sorted(batch.rows.tolist()) == module.sequences.rows.tolist()
    assert sorted(zip(batch.users.tolist(), batch.positives.tolist(), strict=True)) == sorted(row[:2] for row in wanted)
    assert edges[0] == 0
    assert edges[-1] == len(wanted)
    steps = [set(batch.users[start:stop].tolist()) for start, stop in pairwise(edges)]
    assert sum(map(len, steps)) == len(set.union(*steps))
    assert len(steps) > 2
    assert max(stop - start for start, stop in pairwise(edges)) < 8 + LENGTH
    other, _ = module.sequences.epoch(np.random.default_rng(1), 8)
    assert batch.users.tolist() != other.users.tolist()


def trained(
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    sampler: str = "uniform",
    loss: str = "bpr",
    training: Training | None = None,
    valid: Interactions | None = None,
    given: dict[str, str] = PLAIN,
    **changed: Any,
) -> tuple[trainer.Trained, Any, list[tuple[Part, dict[str, Tensor]]]]:
    """What training gives, the module after it, and the parts with the parameters that they met."""
    training, modules, parts = training or data(), [], []
    settings = Settings(**({"epochs": 1, "embedding_size": SIZE, "negatives": 3, "batch_size": 8, "l2": 0.0} | changed))
    gradient = trainer._gradient

    def build(*arguments: Any) -> torch.nn.Module:
        modules.append(MODELS[model](*arguments, **MODELS.parameters(model, given)))
        return modules[-1]

    def remember(fit: Any, part: Part, *rest: Any) -> Tensor:
        parts.append((part, {name: value.clone() for name, value in modules[0].state_dict().items()}))
        return gradient(fit, part, *rest)

    name, _, options = sampler.partition(":")
    drawn = SAMPLERS.parameters(name, dict(option.split("=") for option in options.split(",") if option))
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "_gradient", remember)
        done = trainer.train(
            training,
            valid or training.interactions,
            model=build,
            sampler=SAMPLERS[name](training, **drawn),
            objective=objective(loss, LOSSES.parameters(loss, {})),
            settings=settings,
            seed=3,
            device=torch.device("cpu"),
        )
    return done, modules[0], parts


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("name", SEQUENTIAL)
def test_a_step_of_the_trainer_is_that_of_the_formula(
    name: str, reduction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the gradient of bpr's mean over rows and negatives, and of L2 on positives and negatives."""
    seen: list[list[Tensor]] = []
    step = trainer.Updates.step

    def watched(self: Any, rate: float) -> None:
        seen.append([parameter.grad.to_dense().clone() for parameter in self._parameters])
        step(self, rate)

    monkeypatch.setattr(trainer.Updates, "step", watched)
    _, module, parts = trained(
        monkeypatch, name, reduction=reduction, batch_size=1000, l2=0.02, learning_rate=1e-9, optimizer="sgd",
        init="normal", init_std=0.7,
    )  # fmt: skip
    ((part, _),) = parts
    before = {(user, item): ids for user, item, ids in windows(data())}
    total = torch.zeros(())
    for user, item, others in zip(
        part.batch.users.tolist(), part.batch.positives.tolist(), part.candidates.items.tolist(), strict=True
    ):
        u = FORMULAS[name](module, before[user, item])
        total = total + torch.nn.functional.softplus(module.items[others] @ u - module.items[item] @ u).mean()
        total = total + 0.01 * (module.items[item].square().sum() + module.items[others].square().sum() / 3)
    parameters = list(module.parameters())
    wanted = torch.autograd.grad(total / (len(before) if reduction == "mean" else 1), parameters)
    for mine, its in zip(seen[0], wanted, strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("sampler", ["full", "inbatch"])
def test_a_step_in_parts_is_the_whole_step(sampler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ends, counts = [], []
    for cells in (1 << 20, 24):
        monkeypatch.setattr(trainer, "CELLS", cells)
        _, module, parts = trained(
            monkeypatch, "sasrec", sampler, "softmax", epochs=2, negatives="all", batch_size=16, optimizer="sgd"
        )
        ends.append([parameter.detach() for parameter in module.parameters()])
        counts.append(len(parts))
    assert counts[0] < counts[1]
    for one, other in zip(*ends, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_samplers_choose_by_the_query_of_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """With as many draws as find every item the hardest is the best unseen of the row's own history."""
    training = data()
    before = {(user, item): ids for user, item, ids in windows(training)}
    _, module, parts = trained(monkeypatch, "sasrec", "dns:pool=400", negatives=1, training=training)
    assert len(parts) > 2
    for part, state in parts:
        module.load_state_dict(state)
        for user, item, (chosen,) in zip(
            part.batch.users.tolist(), part.batch.positives.tolist(), part.candidates.items.tolist(), strict=True
        ):
            scores = (module.items @ sasrec(module, before[user, item])).detach()
            scores[sequences(training.interactions)[user]] = -torch.inf
            assert scores[chosen] >= scores.max() - 1e-5


def test_other_rows_of_a_sequence_are_no_negatives_unless_the_mask_allows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for mask, allowed in (("seen", False), ("same-item", True)):
        found = []
        _, _, parts = trained(monkeypatch, "sasrec", f"inbatch:mask={mask}", "softmax", negatives="all", batch_size=30)
        for part, _ in parts:
            assert part.candidates.valid is not None
            same = part.batch.users[:, None] == part.batch.users
            found.append((part.candidates.valid & same).any())
        assert any(found) == allowed


def test_the_law_of_a_batch_is_that_of_the_rows() -> None:
    training = data()
    built("sasrec", training)
    targets = [item for _, item, _ in windows(training)]
    np.testing.assert_allclose(training.positive_law, np.bincount(targets, minlength=ITEMS) / len(targets))


def test_at_test_the_history_holds_what_validates_if_the_model_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    users = np.array([0, 1], np.int32)
    valid = Interactions(users, np.array([9, 12], np.int32), USERS, ITEMS, np.array([900, 901], np.int64))
    lists = sequences(data().interactions)
    for shown, more in (("valid", {0: [9], 1: [12]}), ("train", {})):
        done, module, _ = trained(monkeypatch, "sasrec", valid=valid, given={**PLAIN, "shown": shown}, epochs=2)
        for user in range(USERS - 1):
            wanted = sasrec(module, (lists[user] + more.get(user, []))[-LENGTH:])
            torch.testing.assert_close(done.tables.users[user], wanted.detach(), rtol=1e-4, atol=1e-5)


def test_validation_ranks_by_training_histories_and_the_best_epoch_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    users = np.arange(USERS - 1, dtype=np.int32)
    valid = Interactions(
        users, rng.integers(0, ITEMS, USERS - 1).astype(np.int32), USERS, ITEMS, users.astype(np.int64)
    )
    given = {**PLAIN, "shown": "train"}
    done, _, _ = trained(monkeypatch, "sasrec", valid=valid, given=given, epochs=6, learning_rate=0.05)
    ranking = trainer.FullRanking(valid, [data().interactions])
    best = max(epoch.valid for epoch in done.history)
    assert trainer.validate(ranking, done.tables, "ndcg@10") == pytest.approx(best)
    assert done.history[done.best_epoch - 1].valid == best


def successors(train: int = 300, valid: int = 60) -> tuple[Interactions, Interactions]:
    """Ten items of the first half in random order, and then the one that belongs to the last of them.

    It is in the training part of `train` users and validates `valid` others. Who does not know the order knows ten.
    """
    rng, half, n = np.random.default_rng(1), 20, 10
    items = np.array([rng.permutation(half)[:n] for _ in range(train + valid)])
    items = np.hstack([items, items[:, -1:] + half])
    users, times = np.repeat(np.arange(len(items)), n + 1), np.tile(np.arange(n + 1), len(items))
    ids = (users.astype(np.int32), items.astype(np.int32).ravel())
    known = Interactions(*ids, len(items), 2 * half, times.astype(np.int64))
    held_out = (users >= train) & (times == n)
    return known.take(~held_out), known.take(held_out)


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_a_rule_of_order_is_learned_and_lost_where_histories_are_shuffled(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, valid = successors()
    assert train.times is not None
    mixed = np.random.default_rng(0).permutation(len(train)).astype(np.int64)
    shuffled = Interactions(train.users, train.items, train.n_users, train.n_items, mixed)
    found = []
    for known in (train, shuffled):
        done, _, _ = trained(
            monkeypatch, name, "full", "softmax", training=Training(known), valid=valid,
            given={"length": "10", "drop": "0.1"}, epochs=16, embedding_size=16, batch_size=128, negatives="all",
            learning_rate=0.02, patience=16,
        )  # fmt: skip
        found.append(max(epoch.valid for epoch in done.history))
    assert found[0] > 0.9
    assert found[1] < 0.5


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_what_it_cannot_do_is_said(name: str) -> None:
    known = data().interactions
    with pytest.raises(UserError, match="neither times nor an order"):
        built(name, Training(known, ordered=False))
    alone = known.take(np.unique(known.users, return_index=True)[1])
    with pytest.raises(UserError, match="No user has two training interactions"):
        built(name, Training(alone))
    for text, settings, said in (
        ("uniform+bpr", {"positives": "user"}, "all positions of a sequence at once"),
        ("uniform+bpr", {"optimizer": "lazy_adam"}, "use adam"),
        ("uniform+talos", {}, "a query for every row"),
        ("uniform+cml", {}, "parameters themselves"),
        ("uniform+bsl", {}, "different queries"),
        ("uniform+bpr", {"l2_user": "0.1"}, "reads no l2_user"),
    ):
        assert said in (incompatibility(parse_cell(f"{text}+{name}", settings)) or "")


def test_a_scorer_takes_users_and_rows() -> None:
    class Rows:
        def catalogue(self) -> tuple[Tensor, Tensor | None]:
            return table, None

        def vectors(self, rows: Tensor) -> Tensor:
            return queries[rows]

    users, table, queries = torch.randn(3, SIZE), torch.randn(5, SIZE), torch.randn(4, SIZE)
    scorer = Scorer(lambda: Tables(users, table), rows=Rows())
    batch = Batch(torch.tensor([2, 0]), torch.tensor([1, 4]), torch.tensor([3, 1]))
    torch.testing.assert_close(scorer.all(batch.queries), queries[[3, 1]] @ table.T)
    torch.testing.assert_close(scorer.all(batch.users), users[[2, 0]] @ table.T)
    torch.testing.assert_close(scorer.positives(batch), (queries[[3, 1]] * table[[1, 4]]).sum(dim=1))
    assert Batch(batch.users, batch.positives).queries is batch.users
    assert batch.at(slice(1, 2)).queries.tolist() == [~1]
