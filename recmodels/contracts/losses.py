"""What every loss promises."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datasets import Interactions
from recmodels.compatibility import held
from recmodels.contracts import Contract, hold
from recmodels.losses import LOSSES
from recmodels.objective import objective
from recmodels.sampling import Training
from recmodels.types import Batch, LossInput, Tables, Vectors

USERS, ITEMS, D = 5, 30, 4
EXTREMES = (0.0, 1.0, -1.0, 88.0, -88.0, 104.0, 1e4, -1e4)
Loss = Callable[[LossInput], Tensor]


def training() -> Training:
    """Users who have three to eleven items in a row."""
    users, items = np.array([(u, i) for u in range(USERS) for i in range(u, 3 * u + 3)], np.int32).T
    return Training(Interactions(users, items, USERS, ITEMS))


def lin(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    """Normal numbers in float64."""
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape) * scale)


def example(
    name: str,
    rows: int = 6,
    n: int = 7,
    seed: int = 0,
    scale: float = 0.5,
    dtype: torch.dtype = torch.float64,
    valid: Tensor | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> tuple[Loss, LossInput]:
    """A loss and an input for it, with scores, vectors and tables that belong together."""
    torch.manual_seed(seed)  # of what a state starts from
    chosen = LOSSES.parameters(name, {}) | dict(parameters or {})
    built = objective(name, chosen)
    generator = np.random.default_rng(seed)
    tables = Tables(lin(USERS, D, seed=seed + 1).to(dtype), lin(ITEMS, D, seed=seed + 2).to(dtype))
    users = torch.from_numpy(generator.integers(USERS, size=rows))
    positives = torch.from_numpy(generator.integers(10, size=rows))
    items = torch.from_numpy(generator.integers(10, ITEMS, size=(rows, n)))
    state = built.initial_state(training())
    for key, tensor in state.tensors.items():
        state.tensors[key] = tensor.detach().to(dtype if tensor.is_floating_point() else tensor.dtype)
    x = LossInput(
        positive=(lin(rows, seed=seed + 3) * scale).to(dtype),
        negative=(lin(rows, n, seed=seed + 4) * scale).to(dtype),
        valid=valid,
        log_q=torch.full((rows, n), -math.log(ITEMS), dtype=dtype),
        log_q_positive=torch.full((rows,), -math.log(ITEMS), dtype=dtype),
        weight=None,
        n_items=ITEMS,
        batch=Batch(users, positives),
        items=items,
        vectors=Vectors(tables.users[users], tables.items[positives], tables.items[items]),
        tables=tables,
        state=state.tensors,
        space=built.space,
    )
    return built.loss, x


def fresh(x: LossInput, **changes: Any) -> LossInput:
    """The input with these changes, and a state of its own."""
    return replace(x, **{"state": {key: tensor.clone() for key, tensor in x.state.items()}, **changes})


def one_value_per_row(name: str) -> None:
    """It gives one value per row, in the type of the scores, and the same again for the same input."""
    for dtype in (torch.float64, torch.float32):
        loss, x = example(name, dtype=dtype)
        values = loss(fresh(x))
        hold(values.shape == (6,), f"of 6 rows it makes the shape {tuple(values.shape)}; return one value per row")
        hold(values.dtype == dtype, f"of {dtype} it makes {values.dtype}")
        hold(torch.equal(values, loss(fresh(x))), "it gives other values for the same input; a loss draws no numbers")


def finite_for_any_score(name: str) -> None:
    """Values and gradients are finite for any finite score, many negatives, ties, and rows of which nothing counts."""
    masks = (None, torch.tensor([[False, True]] * 2), torch.zeros(2, 2, dtype=torch.bool))
    for at, (positive, negative) in enumerate(product(EXTREMES, EXTREMES)):
        other, mask = EXTREMES[at * 5 % len(EXTREMES)], masks[at % len(masks)]
        loss, x = example(name, rows=2, n=2, dtype=torch.float32, valid=mask)
        x = replace(
            x,
            positive=torch.full((2,), positive, requires_grad=True),
            negative=torch.tensor([[negative, other]] * 2, requires_grad=True),
        )
        masked = "" if mask is None else f" of which {int((~mask[0]).sum())} masked"
        said = f"the score {positive:g} of a positive and {negative:g} and {other:g} of negatives{masked}"
        values = loss(x)
        hold(values.isfinite().all(), f"its value is {values.detach().tolist()} for {said}")
        if values.requires_grad:
            values.sum().backward()  # type: ignore[no-untyped-call]
            for leaf in (x.positive, x.negative):
                hold(leaf.grad is None or leaf.grad.isfinite().all(), f"its gradient is not finite for {said}")
            if mask is not None and x.negative.grad is not None:
                hold((x.negative.grad[~mask] == 0).all(), f"what does not count learns for {said}")
    for n in (1, 10_000):
        loss, x = example(name, rows=2, n=n, dtype=torch.float32)
        for given in (x, fresh(x, positive=torch.zeros(2), negative=torch.zeros(2, n))):
            hold(loss(given).isfinite().all(), f"its value is not finite for {n} negatives")


def it_learns(name: str) -> None:
    """Something of what it is given has a gradient that is not zero."""
    loss, x = example(name)
    leaves = [part.clone().requires_grad_() for part in (x.positive, x.negative, *_encoded(x))]
    values = loss(_with(x, leaves))
    hold(values.requires_grad, "its value has no gradient; compute it from x.positive and x.negative, with torch")
    gradients = torch.autograd.grad(values.sum(), leaves, allow_unused=True)
    hold(any(each is not None and each.abs().sum() > 0 for each in gradients), "its gradient is zero everywhere")


def rows_stand_alone(name: str) -> None:
    """A row's value depends on its own scores alone, unless `needs` has "batch", "tables" or "vectors"."""
    if _needs(name) & {"batch", "tables", "vectors", "no_negatives"}:
        return
    loss, x = example(name)
    before = loss(fresh(x))
    positive, negative = x.positive.clone(), x.negative.clone()
    positive[0] += 1
    negative[0] -= 1
    after = loss(fresh(x, positive=positive, negative=negative))
    hold(
        torch.allclose(before[1:], after[1:], rtol=1e-9),
        'the value of a row changes with the scores of another; register it with needs=["batch"], or reduce over dim=1',
    )


def masked_negatives_change_nothing(name: str) -> None:
    """Negatives that do not count may hold anything, and learn nothing."""
    mask = torch.tensor([True, True, False, True, False, True, True]).expand(6, 7)
    loss, x = example(name, valid=mask)
    negative = x.negative.clone().requires_grad_()
    values = loss(fresh(x, negative=negative))
    other = loss(fresh(x, negative=torch.where(mask, x.negative, 50.0)))
    hold(torch.allclose(values, other, rtol=1e-6), "negatives that x.valid leaves out count; use x.mean or x.log_sum")
    if values.requires_grad:
        (gradient,) = torch.autograd.grad(values.sum(), negative, allow_unused=True)
        hold(gradient is None or (gradient[~mask] == 0).all(), "negatives that x.valid leaves out get a gradient")


def weights_count(name: str) -> None:
    """Equal weights of negatives are none, and others change it, unless `refuses` has "weight"."""
    refused = held("refuses", LOSSES.entry(name), LOSSES.parameters(name, {}))
    if "weight" in refused or _needs(name) & {"no_negatives", "catalogue"}:
        return
    loss, x = example(name)
    even, uneven = torch.full((6, 7), 1 / 7).double(), torch.tensor([0.7, *[0.05] * 6]).double().expand(6, 7)
    plain = loss(fresh(x))
    same = torch.allclose(loss(fresh(x, weight=even)), plain, rtol=1e-6, atol=1e-6)
    hold(same, 'equal weights change its value; use x.mean or x.log_sum, or register it with refuses=["weight"]')
    hold(
        not torch.allclose(loss(fresh(x, weight=uneven)), plain),
        'it does not look at weights; use x.mean or x.log_sum, or register it with refuses=["weight"]',
    )


def slopes_are_its_gradient(name: str) -> None:
    """A closed form of its gradient, if it has one, is what autograd finds: with masks, weights, laws and ties."""
    mask = torch.tensor([[True, True, False, True, False, True, True]] * 5 + [[False] * 7])
    uneven = torch.tensor([0.7, *[0.05] * 6]).double().expand(6, 7)
    for parameters, valid, weight in product(_options(name), (None, mask), (None, uneven)):
        built = objective(name, parameters)
        loss, x = example(name, valid=valid, parameters=parameters)
        if built.sloped is None:
            return
        x = replace(x, log_q=lin(6, 7) - 3, log_q_positive=lin(6) - 3, weight=weight)
        tied = replace(x, positive=torch.zeros(6).double(), negative=torch.zeros(6, 7).double())
        for given in (x, tied):
            leaves = [part.clone().requires_grad_() for part in (given.positive, given.negative)]
            values = loss(replace(given, positive=leaves[0], negative=leaves[1]))
            gradients = torch.autograd.grad(values.sum(), leaves)
            for found, wanted in zip(built.sloped(given), (values, *gradients), strict=True):
                close = found.shape == wanted.shape and torch.allclose(found, wanted, rtol=1e-6, atol=1e-9)
                hold(close, f"its closed form differs from autograd with {dict(parameters)}; mend what @slopes marks")


def _options(name: str) -> Iterator[dict[str, Any]]:
    """Its parameters, with every choice that they offer."""
    usual = LOSSES.parameters(name, {})
    yield usual
    for key, parameter in LOSSES.entry(name).parameters.items():
        for choice in parameter.choices or ():
            yield usual | {key: choice}


def _needs(name: str) -> set[str]:
    return held("needs", LOSSES.entry(name), LOSSES.parameters(name, {}))


def _encoded(x: LossInput) -> Iterator[Tensor]:
    assert x.tables is not None
    yield from (x.tables.users, x.tables.items)


def _with(x: LossInput, leaves: list[Tensor]) -> LossInput:
    """The input with scores, vectors and tables that are these leaves, or made of them."""
    positive, negative, users, items = leaves
    vectors = Vectors(users[x.batch.users], items[x.batch.positives], items[x.items])
    return fresh(x, positive=positive, negative=negative, vectors=vectors, tables=Tables(users, items))


CONTRACTS: tuple[Contract, ...] = (
    one_value_per_row,
    finite_for_any_score,
    it_learns,
    rows_stand_alone,
    masked_negatives_change_nothing,
    weights_count,
    slopes_are_its_gradient,
)
