"""Losses that learn or remember, against values and gradients of their authors' formulas, and against neighbours.

`oracles/learned_losses.json` is read as `oracles/losses.json` is.
"""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from datasets import load
from datasets.errors import UserError
from recmodels import fit
from recmodels.losses.adaptive import difference_of_means, global_weight, user_factor
from recmodels.losses.adversarial import SCALARS
from recmodels.losses.thresholds import pinball, regression
from recmodels.objective import objective
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Scorer, Training
from recmodels.types import Batch, LossInput, Tables
from tests.loss_cases import ITEMS, LOSSES, USERS, D, changed, example, lin, training, value
from tests.recmodels.test_loss_vectors import close, tensor

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "oracles" / "learned_losses.json").read_text())


def cases(loss: str, form: str = "") -> list[Any]:
    found = [case for case in CASES if case["loss"] == loss and form in case["form"]]
    assert found
    return [pytest.param(case, id=f"{loss}-{at}") for at, case in enumerate(found)]


def given(case: dict[str, Any], loss: str, **state: torch.Tensor) -> LossInput:
    rows = len(case["positive"])
    _, x = example(loss, rows, len(case["negative"][0]))
    return changed(
        x,
        positive=tensor(case["positive"]).requires_grad_(),
        negative=tensor(case["negative"]).requires_grad_(),
        valid=None if case["valid"] is None else torch.tensor(case["valid"]),
        batch=Batch(torch.arange(rows), torch.arange(rows)),
        items=torch.arange(rows * len(case["negative"][0])).view(rows, -1),
        state=x.state | state,
    )


def check(values: torch.Tensor, case: dict[str, Any], x: LossInput) -> None:
    close(values.detach(), case["value"])
    up, down = torch.autograd.grad(values.sum(), (x.positive, x.negative), retain_graph=True)
    close(up, case["grad_positive"])
    close(down, case["grad_negative"])


@pytest.mark.parametrize("case", cases("advinfonce"))
def test_advinfonce_and_the_gradient_that_its_adversary_climbs(case: dict[str, Any]) -> None:
    logits = tensor(case["extra"]["inputs"]["adversary_logits"])  # (2, 3)
    items = logits.reshape(-1, 1).requires_grad_()  # of the six negatives, each with one row
    x = given(case, "advinfonce", adversary_users=torch.ones(2, 1).double(), adversary_items=items)
    values = value("advinfonce", x, temperature=0.2, factor=case["parameters"]["k_neg"])
    check(values, case, x)
    close(torch.autograd.grad(values.sum(), items)[0].view(2, 3), case["extra"]["grad"]["adversary_logits"])


def test_advinfonce_with_a_uniform_adversary_is_infonce() -> None:
    _, x = example("advinfonce")
    for valid in (None, torch.tensor([True, False, True, True, False, True, True]).expand(6, 7)):
        x = changed(x, valid=valid, state={key: torch.zeros_like(part) for key, part in x.state.items()})
        ours = value("advinfonce", x, temperature=0.3, factor=1.0)
        torch.testing.assert_close(ours, value("infonce", x, temperature=0.3))
        more = changed(x, negative=x.negative + 0.3 * math.log(64))
        torch.testing.assert_close(value("advinfonce", x, temperature=0.3), value("infonce", more, temperature=0.3))


def test_advinfonce_against_a_sure_adversary_sees_the_hardest_alone() -> None:
    _, x = example("advinfonce")
    items = torch.zeros(ITEMS, 1).double()
    x = changed(x, items=torch.arange(12).view(6, 2), negative=x.negative[:, :2])
    items[x.items[torch.arange(6), x.negative.argmax(dim=1)]] = 1.0
    x = changed(x, state={"adversary_users": torch.full((USERS, 1), 1e4).double(), "adversary_items": items})
    ours = value("advinfonce", x, temperature=0.2, factor=1 / 2)
    expected = torch.logaddexp(torch.zeros(6).double(), (x.negative.amax(dim=1) - x.positive) / 0.2)
    torch.testing.assert_close(ours, expected)


def test_the_adversary_climbs_before_the_epochs_of_its_authors() -> None:
    (group,) = objective("advinfonce", LOSSES.parameters("advinfonce", {})).initial_state(training()).apart
    assert group.passes is not None
    assert group.rate == -5e-5
    due = [epoch for epoch in range(1, 80) if group.passes(epoch)]
    assert due == [3, 8, 13, 18, 23, 28, 33]  # e = 2, 7, … from 0, seven of them


@pytest.mark.parametrize("case", cases("llpauc"))
def test_llpauc_and_its_seven_numbers(case: dict[str, Any]) -> None:
    numbers = dict(zip(SCALARS, map(tensor, case["extra"]["inputs"]["scalars"]), strict=True))
    for number in numbers.values():
        number.requires_grad_()
    x = given(case, "llpauc", **numbers)
    values = value("llpauc", x, alpha=case["parameters"]["alpha"], beta=case["parameters"]["beta"])
    check(values, case, x)
    close(torch.stack(torch.autograd.grad(values.sum(), list(numbers.values()))), case["extra"]["grad"]["scalars"])


def test_llpauc_of_everything_is_the_saddle_point_of_the_square_loss() -> None:
    """α = β = 1, both s far below and θ = 0: r(x) = x; the saddle over a, b, γ is E (1 - P + n)² - 1."""
    _, x = example("llpauc", rows=4, n=6)
    x = changed(x, positive=x.positive * 2, negative=x.negative * 2)
    own, others = x.positive.sigmoid(), x.negative.sigmoid()
    a, b = own.mean(), others.mean()
    numbers = {"a": a, "b": b, "gamma": b - a, "theta_a": 0 * a, "theta_b": 0 * a}
    low = torch.tensor(-50.0).double()
    x = changed(x, state=numbers | {"s_plus": low, "s_minus": low})
    expected = (1 - own[:, None, None] + others).square().mean() - 1
    torch.testing.assert_close(value("llpauc", x, alpha=1.0, beta=1.0).mean(), expected)


def test_which_numbers_of_llpauc_climb_and_where_they_stay() -> None:
    state = objective("llpauc", LOSSES.parameters("llpauc", {})).initial_state(training())
    rates = {name: group.rate for group in state.apart for name in group.names}
    assert rates == {"a": 1, "b": 1, "theta_a": 1, "theta_b": 1, "s_minus": 2, "s_plus": -2, "gamma": -2}
    assert all(group.relative and group.passes is None for group in state.apart)
    with torch.no_grad():
        for name in SCALARS:
            state.tensors[name] += 9
    assert state.after_step is not None
    state.after_step(torch.nn.Module())
    assert [state.tensors[name].item() for name in SCALARS] == [1, 1, 4, 5, 1, 9.5, 9.5]


@pytest.mark.parametrize("case", cases("talos", "3.7"))
def test_talos_at_given_thresholds(case: dict[str, Any]) -> None:
    x = given(case, "talos", threshold=tensor(case["extra"]["theta"]).unsqueeze(1))
    check(value("talos", x, temperature=0.2), case, x)


@pytest.mark.parametrize("case", cases("talos", "quantile"))
def test_talos_learns_its_threshold_by_quantile_regression(case: dict[str, Any]) -> None:
    theta, own = tensor(case["extra"]["theta"]).requires_grad_(), case["extra"]["all_train_positives_scores"]
    parts = [sum(pinball(score - theta[row], 20, 100) for score in own[row] if score is not None) for row in (0, 1)]
    counts = torch.tensor([sum(score is not None for score in row) for row in own])
    x = changed(given(case | {"positive": [0, 0]}, "talos", items_of_user=counts), n_items=100)
    values = regression(x, theta, torch.stack(parts), 20)  # type: ignore[arg-type]
    close(values.detach(), case["value"])
    close(torch.autograd.grad(values.sum(), theta)[0], case["extra"]["grad"]["theta"])


def test_talos_takes_all_training_items_of_a_user_and_gives_the_model_no_gradient_by_them() -> None:
    _, x = example("talos")
    theta = lin(USERS, 1, scale=0.1).requires_grad_()
    x = changed(x, state=x.state | {"threshold": theta}, positive=x.positive.requires_grad_())
    (slope,) = torch.autograd.grad(value("talos", x, k=3).sum(), theta)
    unit = [table / table.norm(dim=1, keepdim=True) for table in x.tables[:2]]  # type: ignore[index]
    expected = torch.zeros(USERS, 1).double()
    for row, user in enumerate(x.batch.users.tolist()):
        known = range(user, 3 * user + 3)
        scores = [float(unit[0][user] @ unit[1][item]) for item in known]
        weighed = [(score, 1.0) for score in scores]
        weighed += [(score, (ITEMS - len(scores)) / 7) for score in x.negative[row].tolist()]
        slopes = [w * (-(1 - 3 / ITEMS) if s > theta[user] else 3 / ITEMS) for s, w in weighed]
        expected[user] += sum(slopes) / ITEMS
    torch.testing.assert_close(slope.to_dense(), expected)


def test_talos_with_a_threshold_above_or_below_everything() -> None:
    _, x = example("talos")
    x = changed(x, positive=x.positive.requires_grad_(), negative=x.negative.requires_grad_())
    far = changed(x, state=x.state | {"threshold": torch.full((USERS, 1), 60.0).double()})
    torch.testing.assert_close(value("talos", far), value("sl", x))
    low = changed(x, state=x.state | {"threshold": torch.full((USERS, 1), -60.0).double()})
    values = value("talos", low)
    torch.testing.assert_close(values, torch.full((6,), math.log(7)).double())
    assert torch.autograd.grad(values.sum(), x.negative)[0].abs().max() < 1e-20


@pytest.mark.parametrize("case", cases("adap-tau", "authors"))
def test_adap_tau_with_the_temperatures_of_a_user(case: dict[str, Any]) -> None:
    extra = case["extra"]
    weights = tensor(extra["w_user"] + [1.0] * (USERS - 2))
    x = given(case, "adap-tau", weight=tensor(case["parameters"]["w0"]), user_weight=weights)
    check(value("adap-tau", x), case, x)
    close(x.state["total"][:2], extra["row_loss_recorded"])
    assert x.state["rows"].tolist() == [1, 1, 0, 0, 0]


def test_adap_tau_takes_a_users_temperature_from_lamberts_function() -> None:
    case = next(case for case in CASES if case["form"] == "authors (positive left out)")
    losses = [1.2, 0.2, 0.1]  # whose mean is that of the case
    found = 5.0 * user_factor(tensor(losses), 1.0)
    close(found[:2], case["extra"]["w_user"])
    assert user_factor(tensor([0.0, 9.0]), 1.0)[0].item() == pytest.approx(math.e)  # W(-1/e) = -1


def test_adap_tau_takes_the_temperature_of_all_from_mean_cosines() -> None:
    case = next(case for case in CASES if case["form"] == "global w0")
    p = case["parameters"]

    class Counted:
        n_items = p["n_items"]

        class seen:
            """A fifth of the users have one interaction; the others share the interactions of the case."""

            rest = np.full(p["users_above_20_percent"], p["their_interactions"] // p["users_above_20_percent"])
            rest[: p["their_interactions"] - rest.sum()] += 1
            counts = np.concatenate([np.ones(p["users_above_20_percent"] // 3, np.int64), rest])

    for difference, name in ((0.55 - 0.02, "w0_after_warm_up"), (0.7, "w0_before_warm_up")):
        found = global_weight(Counted, difference)  # type: ignore[arg-type]
        assert found == pytest.approx(case["extra"][name], rel=1e-9)


def test_adap_tau_looks_at_the_model_before_an_epoch() -> None:
    data = Training(training().interactions, epochs=20)
    state = objective("adap-tau", LOSSES.parameters("adap-tau", {})).initial_state(data)
    scorer = Scorer(Tables(lin(USERS, D).float(), lin(ITEMS, D, seed=1).float()), "cosine")
    unit = [table / table.norm(dim=1, keepdim=True) for table in scorer.tables[:2] if table is not None]
    cosines = (unit[0] @ unit[1].T).numpy()
    pairs = [(u, i) for u in range(1, USERS) for i in range(u, 3 * u + 3)]  # user 0 has the fewest
    expected = np.mean([cosines[pair] for pair in pairs]) - cosines[1:].mean()
    assert difference_of_means(data, scorer) == pytest.approx(expected, abs=1e-6)
    assert state.before_epoch is not None
    state.before_epoch(1, scorer)
    assert state.tensors["user_weight"].unique().tolist() == [state.tensors["weight"].item()]
    assert state.tensors["weight"].item() == pytest.approx(global_weight(data, 0.7))
    state.tensors["total"][:] = torch.tensor([1.0, 4.0, 9.0, 0.0, 0.0])
    state.tensors["rows"][:] = torch.tensor([1.0, 2.0, 3.0, 0.0, 0.0])
    state.before_epoch(3, scorer)  # two of twenty are the warm-up
    weight = global_weight(data, max(0.1, expected))
    assert state.tensors["weight"].item() == pytest.approx(weight, rel=1e-5)
    found = state.tensors["user_weight"]
    torch.testing.assert_close(found[:3], weight * user_factor(torch.tensor([1.0, 2.0, 3.0]), 1.0))
    assert found[3] == found[4] == state.tensors["weight"]
    assert found[0] > found[1] > found[2]  # the larger the loss, the larger the temperature
    assert (state.tensors["rows"] == 0).all()


def test_adap_tau_with_one_weight_is_sl() -> None:
    _, x = example("adap-tau")
    same = torch.full((USERS,), 4.0).double()
    torch.testing.assert_close(
        value("adap-tau", changed(x, state=x.state | {"weight": same[0], "user_weight": same})),
        value("sl", x, temperature=0.25),
    )


@pytest.mark.parametrize("case", cases("bc"))
def test_bc_at_given_margins(case: dict[str, Any]) -> None:
    margins = tensor(case["extra"]["margin"])
    x = given(
        case,
        "bc",
        user_popularity=torch.ones(1, 1).double(),
        item_popularity=torch.cat([(1 - margins).logit(), torch.zeros(4).double()]).unsqueeze(1),
        user_class=torch.zeros(USERS, dtype=torch.int64),
        item_class=torch.arange(6),
    )
    check(value("bc", x, temperature=0.07, share=0.0), case, x)


def test_bc_without_a_margin_is_infonce_and_its_vectors_learn_by_popularity_alone() -> None:
    _, x = example("bc", scale=0.2)
    bare = {"user_popularity": torch.full((USERS, 1), 60.0).double(), "item_popularity": torch.ones(ITEMS, 1).double()}
    torch.testing.assert_close(
        value("bc", changed(x, state=x.state | bare), share=0.0), value("infonce", x, temperature=0.07)
    )
    vectors = {name: x.state[name].requires_grad_() for name in ("user_popularity", "item_popularity")}
    values = value("bc", changed(x, state=x.state | vectors), share=0.3)
    users = vectors["user_popularity"][x.state["user_class"][x.batch.users]].detach().numpy()
    item = vectors["item_popularity"][x.state["item_class"]].detach().numpy()
    unit = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in (users, item)]
    popular = []
    for row in range(6):
        others = [unit[0][row] @ unit[1][i] / 0.1 for i in x.items[row].tolist()]
        own = unit[0][row] @ unit[1][x.batch.positives[row]] / 0.1
        popular.append(logsumexp([own, *others]) - own)
    (slope,) = torch.autograd.grad(values.sum(), vectors["user_popularity"], retain_graph=True)
    main = (values.detach().numpy() - 0.3 * np.array(popular)) / 0.7
    assert slope.abs().sum() > 0
    dots = [float(users[row] @ item[x.batch.positives[row]]) for row in range(6)]
    angles = [math.acos(s) + 1 - 1 / (1 + math.exp(-d)) for s, d in zip(x.positive.tolist(), dots, strict=True)]
    expected = [
        logsumexp([math.cos(a) / 0.07, *(n / 0.07)]) - math.cos(a) / 0.07
        for a, n in zip(angles, x.negative.numpy(), strict=True)
    ]
    np.testing.assert_allclose(main, expected, rtol=1e-9)


def test_bc_has_a_vector_for_each_number_of_interactions() -> None:
    state = objective("bc", LOSSES.parameters("bc", {})).initial_state(training())
    counts = training().counts
    same = state.tensors["item_class"][:, None] == state.tensors["item_class"]
    assert (same.numpy() == (counts[:, None] == counts)).all()
    assert len(state.tensors["item_popularity"]) == len(set(counts.tolist()))
    (group,) = state.apart
    assert [group.passes(epoch) for epoch in (1, 2, 3)] == [5, 0, 0]  # type: ignore[misc]


@pytest.mark.parametrize("case", cases("simce"))
def test_simce(case: dict[str, Any]) -> None:
    x = given(case, "simce")
    check(value("simce", x, margin=case["parameters"]["margin"]), case, x)


def test_simce_bounds_the_softmax_from_below_and_with_one_negative_is_hinge() -> None:
    _, x = example("simce", n=7)
    one = changed(x, negative=x.negative[:, :1], items=x.items[:, :1])
    torch.testing.assert_close(value("simce", one, margin=0.7), value("hinge", one, margin=0.7))
    highest = x.negative.amax(dim=1) - x.positive
    soft = value("infonce", x, temperature=1.0)
    assert (highest <= soft).all()
    assert (soft <= highest.relu() + math.log(8)).all()
    sharp = 1e-4 * value("infonce", changed(x, positive=x.positive - 0.7), temperature=1e-4)
    torch.testing.assert_close(value("simce", x, margin=0.7), sharp, rtol=0, atol=1e-3)


@pytest.mark.parametrize("case", [*cases("lambdaloss", "NDCG"), *cases("lambdaloss@k")])
def test_lambdaloss_at_given_ranks(case: dict[str, Any]) -> None:
    """Item r - 1 has rank r in this catalogue. The row of the vector is a sum, ours a mean."""
    own, others = (torch.tensor(case["extra"][f"rank_{side}"]) for side in ("positive", "negative"))
    tables = Tables(torch.ones(2, 1).double(), -torch.arange(100.0).double().unsqueeze(1))
    x = given(case, "lambdaloss")
    x = changed(x, items=others - 1, batch=Batch(torch.tensor([0, 1]), own - 1), tables=tables, space="dot")
    check(3 * value("lambdaloss", x, k=case["parameters"].get("k")), case, x)


def test_lambdaloss_takes_items_that_tie_as_neighbours() -> None:
    _, x = example("lambdaloss", rows=2, n=1)
    tables = Tables(torch.ones(USERS, 1).double(), torch.zeros(ITEMS, 1).double())
    x = changed(x, tables=tables, positive=torch.zeros(2).double(), negative=torch.zeros(2, 1).double())
    expected = (1 - 1 / math.log2(3)) * math.log(2)
    torch.testing.assert_close(value("lambdaloss", x), torch.full((2,), expected).double())


def test_every_case_is_used() -> None:
    assert {case["loss"] for case in CASES} == {
        "advinfonce", "llpauc", "talos", "adap-tau", "bc", "simce", "lambdaloss", "lambdaloss@k", "sce", "rece",
        "xsimgcl",
    }  # fmt: skip


def needs_told(name: str, data: Training) -> bool:
    with contextlib.suppress(UserError):  # what these data lack
        return SAMPLERS[name](data, **SAMPLERS.parameters(name, {})).before_epoch is not None
    return False


def test_a_pass_of_the_loss_alone_finds_samplers_told_of_their_epoch() -> None:
    """bc's vectors move before the model's first step, with lists and rankings that samplers make for an epoch."""
    split = load("synthetic:users=60,items=40,density=0.2")
    told = [name for name in SAMPLERS if needs_told(name, Training(split.train))]
    assert {"adasir", "aobpr"} <= {*told}
    for name in told:
        with contextlib.suppress(UserError):  # what bc does not go with
            assert fit(split, name, "bc", settings={"epochs": 1, "embedding_size": 8}).best_epoch == 1
