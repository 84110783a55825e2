"""Losses against values and gradients of their authors' formulas, most of them made by running the authors' code.

`oracles/losses.json` has one case a line: scores, which of them count, the value of each row, and the gradients of the
sum of the rows, with 12 digits. The losses run in float64, so that 1e-9 is the tolerance of value and gradient alike.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from recmodels.losses import LOSSES
from recmodels.types import Batch, LossInput, Tables, Vectors
from tests.loss_cases import changed, example, value

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "oracles" / "losses.json").read_text())
SCORES = ("infonce", "sl", "sogclr", "debiased", "bsl", "gbce", "sl-at-k", "psl")
FORMS = {"multi": "multi", "reweight": "reweight", "single": "single", "paper (IR-Benchmark)": "paper"}
OPTIONS = {"negative_power": "negative_weight", "temperature_negative": "temperature",
           "temperature_positive": "positive_temperature", "gamma": "momentum"}  # fmt: skip


def tensor(numbers: Any) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def close(ours: torch.Tensor, theirs: Any) -> None:
    torch.testing.assert_close(ours, tensor(theirs), rtol=1e-9, atol=1e-9)


def options(case: dict[str, Any]) -> dict[str, Any]:
    """Our options of a case."""
    named = {OPTIONS.get(key, key): number for key, number in case["parameters"].items()}
    if case["loss"] == "bsl":
        named["form"] = FORMS[case["form"]]
    if case["loss"] == "psl":
        named["activation"] = case["form"]
    return {key: number for key, number in named.items() if key in LOSSES.entry(case["loss"]).parameters}


def given(case: dict[str, Any]) -> LossInput:
    """The scores of a case and what its loss remembers, both leaves of the gradient."""
    extra, rows = case["extra"], len(case["positive"])
    _, x = example(case["loss"], rows, len(case["negative"][0]))
    users = extra.get("users", None)
    ids = torch.tensor(users) if isinstance(users, list) else torch.arange(rows)
    state: dict[str, torch.Tensor] = {}
    if "beta_user" in extra:
        state["quantile"] = tensor(extra["beta_user"])
    if "state_before" in extra:
        before = tensor(extra["state_before"]).expand(rows)
        state["log_average"] = torch.where(before > 0, before.log(), torch.nan)
    return changed(
        x,
        positive=tensor(case["positive"]).requires_grad_(),
        negative=tensor(case["negative"]).requires_grad_(),
        valid=None if case["valid"] is None else torch.tensor(case["valid"]),
        n_items=case["parameters"].get("n_items", x.n_items),
        batch=Batch(ids, x.batch.positives),
        state=state,
    )


def numbered(cases: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(case, id=f"{case['loss']}-{case['form']}-{at}") for at, case in enumerate(cases)]


def test_nothing_is_left_out() -> None:
    """What is no vector of scores has a test of its own below, or is what our loss does otherwise (β_u of SL@K)."""
    special = {(case["loss"], case["form"]) for case in CASES if case not in ROWS}
    assert special == {
        ("sogclr", "three batches of ONE user"),
        ("mawu", "authors, cosine clamp and pi clamp"),
        ("lambdarank", "|1/D(ri)-1/D(rj)|"),
        ("sl-at-k", "state beta_u"),
    }


ROWS = [case for case in CASES if case["loss"] in SCORES and case["value"] and "sequential" not in case["extra"]]


@pytest.mark.parametrize("case", numbered(ROWS))
def test_values_and_gradients(case: dict[str, Any]) -> None:
    x = given(case)
    half = 2 if case["loss"] == "psl" else 1  # the vectors have whole cosines
    values = value(case["loss"], changed(x, positive=x.positive / half, negative=x.negative / half), **options(case))
    close(values, case["value"])
    up, down = torch.autograd.grad(values.sum(), (x.positive, x.negative))
    close(up, case["grad_positive"])
    close(down, case["grad_negative"])
    if "state_after" in case["extra"]:
        close(x.state["log_average"].exp(), case["extra"]["state_after"])


@pytest.mark.parametrize("case", numbered([case for case in ROWS if case["loss"] == "infonce"]))
def test_softmax_without_a_correction_is_infonce(case: dict[str, Any]) -> None:
    x = given(case)
    values = value("softmax", x, logq="none", **options(case))
    close(values, case["value"])
    close(torch.autograd.grad(values.sum(), x.negative)[0], case["grad_negative"])


def test_sogclr_remembers_from_batch_to_batch() -> None:
    case = next(case for case in CASES if "sequential" in case["extra"])
    state = {"log_average": tensor([math.nan])}
    for row in range(3):
        one = case | {key: case[key][row : row + 1] for key in ("positive", "negative")}
        x = changed(given(one | {"extra": {}}), state=state)
        values = value("sogclr", x, **options(case))
        close(values, case["value"][row : row + 1])
        up, down = torch.autograd.grad(values.sum(), (x.positive, x.negative))
        close(up, case["grad_positive"][row : row + 1])
        close(down, case["grad_negative"][row : row + 1])
        close(state["log_average"].exp(), case["extra"]["state_after"][row : row + 1])


def test_mawu_with_both_clamps_and_its_authors_uniformity() -> None:
    case = next(case for case in CASES if case["loss"] == "mawu")
    users, items = (tensor(case[key]).requires_grad_() for key in ("positive", "negative"))
    user, item = (tensor(margins).requires_grad_() for margins in case["extra"]["inputs"]["margins"])
    _, x = example("mawu", rows=3)
    x = changed(
        x,
        vectors=Vectors(users, items, items),
        batch=Batch(torch.arange(3), torch.arange(3)),
        state={"user_margin": user, "item_margin": item},
    )
    values = value("mawu", x, **case["parameters"])
    close(values, case["value"])
    gradients = torch.autograd.grad(values.sum(), (users, items, user, item))
    close(gradients[0], case["grad_positive"])
    close(gradients[1], case["grad_negative"])
    close(torch.stack(gradients[2:]), case["extra"]["grad"]["margins"])
    alignment = value("mawu", x, gamma_user=0.0, gamma_item=0.0)
    for weights, spread in zip(((1.0, 0.0), (0.0, 1.0)), case["extra"]["uniformity_authors"], strict=True):
        both = value("mawu", x, gamma_user=weights[0], gamma_item=weights[1])
        close((both - alignment).detach(), [spread] * 3)


def test_lambdarank_at_given_ranks() -> None:
    """Item r - 1 has rank r in this catalogue, which gives the ranks of the vector. Its row is a sum, ours a mean."""
    case = next(case for case in CASES if case["loss"] == "lambdarank")
    ranks = torch.tensor(case["extra"]["rank_positive"]), torch.tensor(case["extra"]["rank_negative"])
    x = given(case)
    x = changed(
        x,
        items=ranks[1] - 1,
        batch=Batch(torch.tensor([0, 1]), ranks[0] - 1),
        tables=Tables(torch.ones(2, 1).double(), -torch.arange(40.0).double().unsqueeze(1)),
        space="dot",
    )
    values = 3 * value("lambdarank", x)
    close(values, case["value"])
    up, down = torch.autograd.grad(values.sum(), (x.positive, x.negative))
    close(up, case["grad_positive"])
    close(down, case["grad_negative"])
