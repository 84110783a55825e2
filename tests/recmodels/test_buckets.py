"""Losses that take what random projections put beside a row, against the exact cross-entropy and a walk by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from bench.runs.spec import incompatibility, parse_cell
from recmodels.losses import buckets
from recmodels.types import Batch, LossInput, Tables
from tests.loss_cases import changed, example, lin, value
from tests.recmodels.test_learned_losses import CASES
from tests.recmodels.test_loss_vectors import close, tensor

ROWS, ITEMS, D = 12, 40, 5


def given(valid: torch.Tensor | None = None, bias: bool = False) -> LossInput:
    users, items = lin(ROWS, D, seed=1).requires_grad_(), lin(ITEMS, D, seed=2).requires_grad_()
    shift = lin(ITEMS, seed=3).requires_grad_() if bias else None
    positives = torch.arange(ROWS) * 3
    _, x = example("bpr", rows=ROWS)
    own = (users * items[positives]).sum(dim=1)
    return changed(
        x,
        positive=own if shift is None else own + shift[positives],
        negative=torch.empty(ROWS, 0).double(),
        items=torch.arange(ITEMS),
        valid=valid,
        n_items=ITEMS,
        batch=Batch(torch.arange(ROWS), positives),
        tables=Tables(users, items, shift),
        log_q=None,
    )


def exact(x: LossInput) -> torch.Tensor:
    assert x.tables is not None
    users, items, bias = x.tables
    scores = users @ items.T + (0 if bias is None else bias)
    if x.valid is not None:
        keep = x.valid | torch.nn.functional.one_hot(x.batch.positives, ITEMS).bool()
        scores = scores.masked_fill(~keep, -math.inf)
    return torch.nn.functional.cross_entropy(scores, x.batch.positives, reduction="none")


MASKS = [None, torch.from_numpy(np.random.default_rng(4).random((ROWS, ITEMS)) < 0.7)]
WHOLE: dict[str, dict[str, Any]] = {
    "sce": {"buckets": 1, "bucket_rows": ROWS, "bucket_items": ITEMS},
    "rece": {"chunks": 1, "extra": 0},
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("bias", [False, True])
def test_one_bucket_is_the_exact_cross_entropy(name: str, mask: torch.Tensor | None, bias: bool) -> None:
    x = given(mask, bias)
    assert x.tables is not None
    ours, expected = value(name, x, **WHOLE[name]), exact(x)
    torch.testing.assert_close(ours, expected)
    leaves = [table for table in x.tables if table is not None]
    for mine, its in zip(
        torch.autograd.grad(ours.sum(), leaves), torch.autograd.grad(expected.sum(), leaves), strict=True
    ):
        torch.testing.assert_close(mine, its)


@pytest.mark.parametrize("name", WHOLE)
def test_a_part_of_the_catalogue_gives_less_and_is_not_bpr(name: str) -> None:
    torch.manual_seed(0)
    x = given()
    ours = value(
        name, x, **({"bucket_items": 8, "bucket_rows": ROWS, "buckets": 1} if name == "sce" else {"chunks": 4})
    )
    assert (ours <= exact(x)).all()
    assert (ours < exact(x) - 0.1).any()


def test_sce_is_that_of_its_authors(monkeypatch: pytest.MonkeyPatch) -> None:
    case = next(case for case in CASES if case["loss"] == "sce")
    users, items = (tensor(case["extra"][f"{side}_vectors"]).requires_grad_() for side in ("user", "item"))
    positives = torch.tensor(case["extra"]["target"])
    scores = users @ items.T
    ways = tensor(case["extra"]["projections"]).T
    ways[0, 1] += 1e-9  # items 0 and 2 tie in the second direction, and the vector has item 0
    monkeypatch.setattr(buckets, "directions", lambda n, like: ways)
    own = scores[torch.arange(4), positives]
    x = changed(
        given(),
        positive=own,
        n_items=6,
        items=torch.arange(6),
        batch=Batch(torch.arange(4), positives),
        tables=Tables(users, items),
    )
    values = 3 / 4 * value("sce", x, buckets=2, bucket_rows=2, bucket_items=3)  # of four rows three are covered
    close(values.detach(), case["value"])
    found = torch.autograd.grad(values.sum(), (users, items), retain_graph=True)
    slope = tensor(case["grad_negative"])
    slope[torch.arange(4), positives] += tensor(case["grad_positive"])
    for mine, its in zip(found, torch.autograd.grad((scores * slope).sum(), (users, items)), strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-9, atol=1e-9)


def test_rece_counts_an_item_of_several_rounds_once() -> None:
    """The vector subtracts log(count) from each copy, which is the set; ours is given its copies."""
    case = next(case for case in CASES if case["loss"] == "rece")
    ids, positive = torch.tensor(case["extra"]["item_ids"]), tensor(case["positive"]).requires_grad_()
    scores = tensor(case["negative"]).requires_grad_()
    counts = torch.tensor(case["valid"]) & buckets.first_occurrence(ids)
    values = buckets._surprise(positive, scores, counts)
    close(values.detach(), case["value"])
    up, down = torch.autograd.grad(values.sum(), (positive, scores))
    close(up, case["grad_positive"])
    theirs = tensor(case["grad_negative"])
    for row in (0, 1):  # a copy has its item's gradient
        for item in ids[row].unique().tolist():
            here = ids[row] == item
            assert down[row, here].sum().item() == pytest.approx(theirs[row, here].sum().item(), abs=1e-9)


@pytest.mark.parametrize(("chunks", "extra", "rounds"), [(4, 0, 1), (6, 1, 1), (7, 2, 3)])
def test_rece_is_infonce_over_the_chunks_around_a_row(chunks: int, extra: int, rounds: int) -> None:
    x = given(MASKS[1])
    assert x.tables is not None
    assert x.valid is not None
    torch.manual_seed(9)
    ours = value("rece", x, chunks=chunks, extra=extra, rounds=rounds).detach().numpy()
    torch.manual_seed(9)
    users, items = (table.detach().numpy() for table in x.tables[:2])  # type: ignore[union-attr]
    seen: list[set[int]] = [set() for _ in range(ROWS)]
    width = math.ceil(ITEMS / chunks)
    for _ in range(rounds):
        ways = torch.randn(chunks, D).double().numpy()
        rows, listed = (np.argsort((side @ ways.T).argmax(1), kind="stable") for side in (users, items))
        for at, row in enumerate(rows):
            chunk = at * chunks // ROWS
            for near in range(max(0, chunk - extra), chunk + extra + 1):
                seen[row] |= set(listed[near * width : (near + 1) * width].tolist())
    for row in range(ROWS):
        own = int(x.batch.positives[row])
        others = [users[row] @ items[i] for i in seen[row] if i != own and x.valid[row, i]]
        assert ours[row] == pytest.approx(logsumexp([users[row] @ items[own], *others]) - users[row] @ items[own])


def test_buckets_beside_another_sampler_are_refused_with_the_reason() -> None:
    for name in WHOLE:
        assert incompatibility(parse_cell(f"full+{name}", {})) is None
        found = incompatibility(parse_cell(f"uniform+{name}", {}))
        assert found is not None
        assert "the whole catalogue" in found
        lazy = incompatibility(parse_cell(f"full+{name}:optimizer=lazy_adam", {}))
        assert lazy is not None
        assert "whole tables" in lazy
