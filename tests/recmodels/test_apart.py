"""What a loss learns apart from the model: upwards, at its own rate, in its own passes; and a learned temperature."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bench.runs.spec import incompatibility, parse_cell
from datasets import Interactions
from recmodels.apart import OwnUpdates
from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.objective import STATES, Apart, LossState, Objective, objective
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Training
from recmodels.settings import Settings
from recmodels.trainer import Trained, train
from recmodels.types import LossInput
from tests.loss_cases import changed, example, value

PAIRS = np.unique(np.random.default_rng(0).integers(0, [12, 20], size=(90, 2)), axis=0).astype(np.int32)


def trained(chosen: Objective, **settings: Any) -> Trained:
    data = Interactions(PAIRS[:, 0], PAIRS[:, 1], 12, 20)
    given = Settings(**{"epochs": 3, "batch_size": 16, "embedding_size": 4, "negatives": 3} | settings)
    training = Training(data, epochs=given.epochs)
    return train(
        training,
        data.take(np.empty(0, np.intp)),
        model=partial(MODELS["mf"]),
        sampler=SAMPLERS["uniform"](training, **SAMPLERS.parameters("uniform", {})),
        objective=chosen,
        settings=given,
        seed=3,
        device=torch.device("cpu"),
    )


def test_a_negative_rate_climbs_and_a_relative_one_follows_the_trainers() -> None:
    tensors: dict[str, torch.Tensor] = {name: nn.Parameter(torch.zeros(2)) for name in "abc"}
    state = LossState(tensors, apart=(Apart(("a",), -0.5), Apart(("b",), 2.0, relative=True)))
    assert [parameter is tensors["c"] for parameter in state.parameters] == [True]
    updates = OwnUpdates(state, Settings(optimizer="sgd", weight_decay=9.0))
    for name in "ab":
        tensors[name].grad = torch.tensor([3.0, -4.0])
    updates.step(0.1)
    torch.testing.assert_close(tensors["a"].detach(), torch.tensor([0.5, -0.5]))  # Adam's first step is a sign
    torch.testing.assert_close(tensors["b"].detach(), torch.tensor([-0.2, 0.2]))


def test_a_sparse_gradient_leaves_other_rows() -> None:
    table = nn.Parameter(torch.zeros(4, 1))
    updates = OwnUpdates(LossState({"t": table}, apart=(Apart(("t",), 0.1),)), Settings())
    for rows in ([1, 3, 1], [3]):
        torch.nn.functional.embedding(torch.tensor(rows), table, sparse=True).sum().backward()
        updates.step(1.0)
    torch.testing.assert_close(table.detach().flatten(), torch.tensor([0.0, -0.1, 0.0, -0.2]))


def test_in_a_pass_of_its_own_nothing_else_moves_and_outside_of_it_it_stands_still() -> None:
    """A loss whose adversary counts the rows it has seen."""
    seen: list[tuple[bool, int]] = []
    opponent = nn.Parameter(torch.zeros(()))
    state = LossState({"o": opponent}, apart=(Apart(("o",), -0.1, passes=lambda epoch: 2 if epoch == 2 else 0),))

    def loss(x: LossInput) -> torch.Tensor:
        seen.append((x.state["o"].requires_grad, len(x.positive)))
        return value("bpr", x) + x.state["o"]

    with_opponent = trained(Objective(loss, initial_state=lambda training: state))
    plain = trained(objective("bpr", {}))
    torch.testing.assert_close(with_opponent.tables.users, plain.tables.users)  # the same order and negatives
    torch.testing.assert_close(with_opponent.tables.items, plain.tables.items)
    learning = [rows for learns, rows in seen if learns]
    assert sum(learning) == 2 * len(PAIRS)
    assert sum(rows for learns, rows in seen if not learns) == 3 * len(PAIRS)
    assert opponent.item() > 0


def test_a_run_of_advinfonce_moves_its_adversary_and_one_of_llpauc_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, moving in (("advinfonce", "adversary_users"), ("llpauc", "s_plus"), ("talos", "threshold")):
        states = []
        assert LOSSES[name]  # imported, and its state with it

        def keep(*given: Any, make: Any = STATES[name], states: list[Any] = states, **named: Any) -> LossState:
            torch.manual_seed(0)
            states.append(make(*given, **named))
            states.append({key: tensor.clone() for key, tensor in states[0].tensors.items()})
            return states[0]  # type: ignore[no-any-return]

        monkeypatch.setitem(STATES, name, keep)
        trained(objective(name, LOSSES.parameters(name, {})))
        assert (states[0].tensors[moving] != states[1][moving]).any(), name


LEARNABLE = [name for name in LOSSES if "temperature" in LOSSES.entry(name).parameters]


@pytest.mark.parametrize("name", LEARNABLE)
def test_a_learned_temperature_starts_at_the_given_one_and_has_the_slope_of_the_loss(name: str) -> None:
    _, x = example(name, scale=0.3)
    parameters = LOSSES.parameters(name, {"temperature": "0.4"})
    state = {key: tensor.clone() for key, tensor in x.state.items()}
    log_temperature = torch.tensor(math.log(0.4)).double().requires_grad_()
    learned = objective(name, parameters, learn_temperature=True).loss

    def at(shift: float) -> torch.Tensor:
        moved = {"log_temperature": log_temperature + shift, **{key: tensor.clone() for key, tensor in state.items()}}
        return learned(changed(x, state=moved)).sum()

    plain = value(name, changed(x, state={key: tensor.clone() for key, tensor in state.items()}), temperature=0.4)
    torch.testing.assert_close(at(0.0).detach(), plain.sum().detach())
    (slope,) = torch.autograd.grad(at(0.0), log_temperature)
    if name == "sogclr":  # by design no gradient of its value: that of `sl`, in expectation
        assert slope.abs() > 0
    else:
        expected = (at(1e-5) - at(-1e-5)).item() / 2e-5
        assert slope.item() == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_a_learned_temperature_is_trained_and_has_a_floor() -> None:
    chosen = objective("infonce", {"temperature": 0.2}, learn_temperature=True)
    states = []

    def keep(training: Training) -> LossState:
        states.append(chosen.initial_state(training))
        return states[0]

    trained(Objective(chosen.loss, chosen.needs, chosen.space, chosen.rank_space, keep))
    learned = states[0].tensors["log_temperature"]
    assert learned.item() != pytest.approx(math.log(0.2), abs=1e-3)
    with torch.no_grad():
        learned.fill_(-9.0)
    assert states[0].after_step is not None
    states[0].after_step(nn.Module())
    assert learned.item() == pytest.approx(math.log(0.01))


def test_losses_without_a_temperature_have_none_to_learn() -> None:
    found = incompatibility(parse_cell("uniform+ccl:learn_temperature=true", {}))
    assert found is not None
    assert "ccl has no temperature to learn" in found
    assert incompatibility(parse_cell("uniform+sl:learn_temperature=true", {})) is None
    assert len(LEARNABLE) > 8
