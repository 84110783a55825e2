"""Models against dense formulas, and that one trainer trains them all."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import embedding_bag

from recmodels.contracts.models import ITEMS, USERS, built, training
from recmodels.settings import Settings


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_lightgcn_is_the_mean_of_powers_of_the_normalised_adjacency(layers: int) -> None:
    module, data = built("lightgcn", layers=str(layers)), training().interactions
    adjacency = torch.zeros(USERS + ITEMS, USERS + ITEMS, dtype=torch.float64)
    for user, item in zip(data.users.tolist(), data.items.tolist(), strict=True):
        adjacency[user, USERS + item] = adjacency[USERS + item, user] = 1
    scale = adjacency.sum(1).clamp(min=1).rsqrt()
    propagation = scale[:, None] * adjacency * scale
    start = torch.cat([module.users, module.items]).double().detach().requires_grad_()  # type: ignore[list-item]
    layer, total = start, start
    for _ in range(layers):
        layer = propagation @ layer
        total = total + layer
    expected = total / (layers + 1)
    tables = module()
    torch.testing.assert_close(torch.cat([tables.users, tables.items]).double(), expected, rtol=1e-5, atol=1e-6)
    weights = torch.randn(USERS + ITEMS, 4)
    (torch.cat([tables.users, tables.items]) * weights).sum().backward()
    (expected * weights).sum().backward()
    found = torch.cat([module.users.grad, module.items.grad])  # type: ignore[list-item, union-attr]
    torch.testing.assert_close(found.double(), start.grad, rtol=1e-5, atol=1e-6)
    assert [name for name, _ in module.named_parameters()] == ["users", "items"]


@pytest.mark.parametrize("layers", [1, 3])
def test_lightgcn_adds_up_in_place_what_sums_of_their_own_give(layers: int) -> None:
    """To the bit: a sum has the same rounding in either order, and the parameters stay as they are."""
    module = built("lightgcn", layers=str(layers))
    start = torch.cat([module.users, module.items]).detach()  # type: ignore[list-item]
    total = start
    for _ in range(layers):
        graph = module.neighbours, total, module.starts
        total = start + embedding_bag(*graph, mode="sum", per_sample_weights=module.weights)  # type: ignore[arg-type]
    tables = module()
    assert torch.equal(torch.cat([tables.users, tables.items]), total / (layers + 1))
    assert torch.equal(torch.cat([module.users, module.items]), start)  # type: ignore[list-item]


def test_an_item_without_interactions_keeps_its_own_vector() -> None:
    module = built("lightgcn", layers="1")
    torch.testing.assert_close(module().items[-1], module.items[-1] / 2)  # type: ignore[index]


def test_gmf_starts_as_mf_and_weighs_dimensions() -> None:
    module, plain = built("gmf"), built("mf")
    assert (module().users @ module().items.T).equal(plain().users @ plain().items.T)
    with torch.no_grad():
        module.weights.copy_(torch.tensor([1.0, 0, 0, 2]))  # type: ignore[union-attr, operator]
    u, v = plain().users, plain().items
    torch.testing.assert_close(module().users @ module().items.T, u[:, :1] @ v[:, :1].T + 2 * u[:, 3:] @ v[:, 3:].T)


def test_biases_start_at_zero_and_are_only_there_when_asked_for() -> None:
    assert built("mf")().bias is None
    assert (built("mf", bias="true")().bias == 0).all()


@pytest.mark.parametrize(("init", "std"), [("normal", 0.3), ("uniform", 0.3), ("xavier", (2 / 2064) ** 0.5)])
def test_initial_vectors_have_the_deviation_that_is_asked_for(init: str, std: float) -> None:
    from recmodels.models.mf import vectors

    settings = Settings(init=init, init_std=0.3)  # type: ignore[arg-type]
    drawn = vectors(2000, settings, np.random.default_rng(0)).detach()
    assert drawn.std().item() == pytest.approx(std, rel=0.01)
    assert abs(drawn.mean().item()) < 0.01 * std * 3
    if init == "uniform":
        assert drawn.abs().max().item() <= 0.3 * 3**0.5
