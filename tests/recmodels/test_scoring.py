"""Score spaces and the closed-form gradients, against autograd in float64."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recmodels.sampling import Scorer
from recmodels.scoring import SPACES, batch_scores, batch_vectors, ranking_tables, vector_scores
from recmodels.types import Batch, Candidates, Tables


def plain(u: torch.Tensor, v: torch.Tensor, space: str) -> torch.Tensor:
    """The score of two vectors (…, D), by its definition."""
    if space == "distance":
        return -(u - v).square().sum(-1)
    dot = (u * v).sum(-1)
    return dot if space == "dot" else dot / (u.norm(dim=-1) * v.norm(dim=-1)) / (2 if space == "half-cosine" else 1)


def case(
    seed: int, rows: int, n: int, d: int, shared: bool, bias: bool, dtype: torch.dtype = torch.float64
) -> tuple[Tables, Batch, Candidates]:
    torch.manual_seed(seed)
    tables = Tables(
        torch.randn(5, d).to(dtype), torch.randn(7, d).to(dtype), torch.randn(7).to(dtype) if bias else None
    )
    batch = Batch(torch.randint(5, (rows,)), torch.randint(7, (rows,)))
    return tables, batch, Candidates(torch.randint(7, (n,) if shared else (rows, n)))


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("by_row", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # compiled, and not
@given(seed=st.integers(0, 99), rows=st.integers(1, 6), n=st.integers(1, 5), d=st.integers(1, 4), drop=st.booleans())
@settings(deadline=None, max_examples=15)
def test_scores_and_gradients_are_those_of_autograd(
    space: str, shared: bool, by_row: bool, dtype: torch.dtype, seed: int, rows: int, n: int, d: int, drop: bool
) -> None:
    tables, batch, candidates = case(seed, rows, n, 5 * d, shared, bias=space == "dot", dtype=dtype)
    keep = torch.rand(rows, 5 * d).to(dtype) + 0.5 if drop else None
    weights = torch.randn(rows).to(dtype), torch.randn(rows, n).to(dtype)

    def gradients(score: Any) -> list[torch.Tensor]:
        leaves = Tables(*(None if table is None else table.clone().requires_grad_() for table in tables))  # type: ignore[arg-type]
        positive, negative = score(leaves)
        ((positive * weights[0]).sum() + (negative * weights[1]).sum()).backward()
        grads = [leaf.grad for leaf in leaves if leaf is not None]
        return [positive, negative, *(grad.to_dense() if grad.is_sparse else grad for grad in grads)]

    def expected(leaves: Tables) -> tuple[torch.Tensor, torch.Tensor]:
        u = leaves.users[batch.users] * (1 if keep is None else keep)
        positive, negative = (
            plain(u, leaves.items[batch.positives], space),
            plain(u[:, None], leaves.items[candidates.items], space),
        )
        if leaves.bias is None:
            return positive, negative
        return positive + leaves.bias[batch.positives], negative + leaves.bias[candidates.items]

    found = gradients(lambda leaves: batch_scores(leaves, batch, candidates, space, keep, (by_row, by_row)))
    close = 1e-7 if dtype == torch.float64 else 1e-4
    for ours, theirs in zip(found, gradients(expected), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=close, atol=close)


@pytest.mark.parametrize("space", SPACES)
def test_vectors_give_the_same_scores_as_ids(space: str) -> None:
    tables, batch, candidates = case(0, 6, 5, 4, shared=False, bias=False)
    direct = batch_scores(tables, batch, candidates, space)
    for ours, theirs in zip(vector_scores(batch_vectors(tables, batch, candidates), space), direct, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("space", SPACES)
def test_mixed_negatives_are_scored_as_mixed_vectors_and_teach_both(space: str) -> None:
    tables, batch, candidates = case(1, 6, 5, 4, shared=False, bias=False)
    share = torch.rand(6, 5).double()
    items = tables.items.clone().requires_grad_()
    mixed = share[..., None] * items[batch.positives][:, None] + (1 - share[..., None]) * items[candidates.items]
    expected = plain(tables.users[batch.users][:, None], mixed, space)
    gradient = torch.autograd.grad(expected.sin().sum(), items)[0]
    found = batch_scores(tables._replace(items=items), batch, replace(candidates, mix=share), space)[1]
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found.sin().sum(), items)[0], gradient)


def test_frozen_vectors_take_the_place_of_items_and_items_learn_nothing_from_them() -> None:
    tables, batch, candidates = case(2, 6, 5, 4, shared=False, bias=False)
    frozen = torch.randn(6, 5, 4).double()
    items = tables.items.clone().requires_grad_()
    _, negative = batch_scores(tables._replace(items=items), batch, replace(candidates, vectors=frozen))
    torch.testing.assert_close(negative, plain(tables.users[batch.users][:, None], frozen, "dot"))
    assert not negative.requires_grad


@pytest.mark.parametrize("space", SPACES)
def test_samplers_and_ranking_see_the_scores_of_the_loss(space: str) -> None:
    tables, batch, candidates = case(3, 6, 5, 4, shared=False, bias=False)
    positive, negative = batch_scores(tables, batch, candidates, space)
    scorer = Scorer(tables, space)
    torch.testing.assert_close(scorer.scores(batch.users, candidates.items), negative)
    torch.testing.assert_close(scorer.all(batch.users).gather(1, candidates.items), negative)
    users, items, bias = ranking_tables(tables, space)
    ranked = users[batch.users] @ items.T + (0 if bias is None else bias)
    offset = ranked.gather(1, batch.positives[:, None]).squeeze(1) - positive
    torch.testing.assert_close(ranked.gather(1, candidates.items) - offset[:, None], negative)


@pytest.mark.parametrize("space", ["cosine", "half-cosine"])
def test_a_vector_of_zeros_is_no_reason_for_nan(space: str) -> None:
    users, items = torch.zeros(2, 3, requires_grad=True), torch.zeros(4, 3, requires_grad=True)
    batch = Batch(torch.tensor([0, 1]), torch.tensor([0, 1]))
    scores = batch_scores(Tables(users, items), batch, Candidates(torch.tensor([[2], [3]])), space)
    sum(part.sum() for part in scores).backward()  # type: ignore[union-attr]
    for part in (*scores, users.grad, items.grad):
        assert part is not None
        assert part.isfinite().all()


@pytest.mark.parametrize("kind", ["vectors", "mix", "shared vectors"])
def test_rows_of_candidates_have_the_scores_of_those_rows(kind: str) -> None:
    rng = torch.Generator().manual_seed(0)
    tables = Tables(torch.randn(9, 4, generator=rng), torch.randn(20, 4, generator=rng))
    batch = Batch(torch.arange(6), torch.arange(6) + 3)
    items = torch.arange(5) if kind == "shared vectors" else torch.randint(20, (6, 5), generator=rng)
    vectors = torch.randn(*items.shape, 4, generator=rng) if "vectors" in kind else None
    mix = torch.rand(6, 5, generator=rng) if kind == "mix" else None
    candidates = Candidates(items, vectors=vectors, mix=mix)
    whole = batch_scores(tables, batch, candidates)[1]
    part = batch_scores(tables, Batch(batch.users[2:5], batch.positives[2:5]), candidates.rows(2, 5))[1]
    torch.testing.assert_close(part, whole[2:5])
