"""The contrast of two views, and the models that train with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from bench.runs.spec import incompatibility, parse_cell
from datasets import Interactions
from recmodels.contrastive import auxiliary, contrast, perturbed
from recmodels.encoder import Encoder
from recmodels.models import MODELS
from recmodels.objective import objective
from recmodels.samplers import SAMPLERS
from recmodels.settings import Settings
from recmodels.trainer import train
from recmodels.types import Batch, Tables
from tests.recmodels.test_learned_losses import CASES
from tests.recmodels.test_loss_vectors import close, tensor
from tests.recmodels.test_models import ITEMS, USERS, built, training


def test_a_contrast_is_that_of_its_authors_and_its_gradient_goes_through_both_views() -> None:
    case = next(case for case in CASES if case["loss"] == "xsimgcl")
    views = [tensor(case[side]).requires_grad_() for side in ("positive", "negative")]
    found = 3 * contrast(views[0], views[1], torch.tensor([2, 0, 1, 0]), 0.15)  # a mean, the vector has rows
    close(found.detach(), sum(case["value"]))
    for mine, its in zip(torch.autograd.grad(found, views), ("grad_positive", "grad_negative"), strict=True):
        close(mine, case[its])


def test_two_rows_with_equal_views_are_a_softplus() -> None:
    view = torch.tensor([[1.0, 0.0], [0.6, 0.8]]).double()
    expected = np.logaddexp(0, (0.6 - 1) / 0.2)
    assert contrast(view, view, torch.tensor([0, 1]), 0.2).item() == pytest.approx(expected)
    both = Tables(view, view.flip(0))
    batch = Batch(torch.tensor([0, 1, 0]), torch.tensor([1, 0, 0]))
    assert auxiliary(both, both, batch, 0.2).item() == pytest.approx(2 * expected)


def test_noise_has_one_length_and_stays_in_the_orthant() -> None:
    vectors = torch.from_numpy(np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)).requires_grad_()
    moved = perturbed(vectors, 0.3, np.random.default_rng(1))
    torch.testing.assert_close((moved - vectors).norm(dim=1), torch.full((50,), 0.3))
    assert (moved.sign() == vectors.sign()).all()
    (slope,) = torch.autograd.grad(moved.sum(), vectors)
    assert (slope == 1).all()


def layers_of(module: Any, layers: int) -> list[torch.Tensor]:
    """e⁽¹⁾ … e⁽ᴸ⁾ by dense powers."""
    data = training().interactions
    adjacency = torch.zeros(USERS + ITEMS, USERS + ITEMS, dtype=torch.float64)
    for user, item in zip(data.users.tolist(), data.items.tolist(), strict=True):
        adjacency[user, USERS + item] = adjacency[USERS + item, user] = 1
    scale = adjacency.sum(1).clamp(min=1).rsqrt()
    found = [torch.cat([module.users, module.items]).double()]
    for _ in range(layers):
        found.append(scale[:, None] * adjacency * scale @ found[-1])
    return found[1:]


@pytest.mark.parametrize("name", ["simgcl", "xsimgcl"])
def test_without_noise_and_contrast_it_is_lightgcn_without_layer_0(name: str) -> None:
    module = built(name, layers="3", weight="0", noise="0")
    expected = torch.stack(layers_of(module, 3)).mean(dim=0)
    tables = module()
    torch.testing.assert_close(torch.cat(tables[:2]).double(), expected, rtol=1e-5, atol=1e-6)
    weights = torch.randn(USERS + ITEMS, 4)
    ours = torch.autograd.grad((torch.cat(tables[:2]) * weights).sum(), [module.users, module.items])  # type: ignore[list-item]
    theirs = torch.autograd.grad((expected * weights).sum(), [module.users, module.items])  # type: ignore[list-item]
    for mine, its in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-4, atol=1e-6)


def test_without_noise_simgcl_spreads_its_users_and_items() -> None:
    """Two equal views: the mean over i of log Σ_j exp((cos_ij - 1) / τ), of users and of items."""
    module, batch = built("simgcl", noise="0", weight="0.5"), Batch(torch.tensor([1, 3, 1]), torch.tensor([2, 0, 2]))
    expected = 0.0
    for table, ids in zip(module()[:2], (batch.users, batch.positives), strict=True):
        unit = torch.nn.functional.normalize(table[ids.unique()]).detach().double().numpy()
        expected += np.mean(logsumexp((unit @ unit.T - 1) / 0.2, axis=1))
    assert module.auxiliary(batch).item() == pytest.approx(0.5 * expected, rel=1e-5)  # type: ignore[operator]


def test_xsimgcl_contrasts_what_it_trains_with_one_of_its_layers_and_ranks_without_noise() -> None:
    module, batch = built("xsimgcl", layers="2", layer="1"), Batch(torch.tensor([1, 3]), torch.tensor([2, 0]))
    tables = module()
    assert module.views[0] is tables  # type: ignore[index]
    first = torch.cat(module.views[1][:2])  # type: ignore[index]
    torch.testing.assert_close(
        (first - layers_of(module, 1)[0]).norm(dim=1)[:USERS], torch.full((USERS,), 0.2), check_dtype=False
    )
    expected = 0.2 * auxiliary(tables, module.views[1], batch, 0.15)  # type: ignore[index]
    torch.testing.assert_close(module.auxiliary(batch), expected)  # type: ignore[operator]
    ranked = Encoder(module).ranked()
    clean = torch.stack(layers_of(module, 2)).mean(dim=0)
    torch.testing.assert_close(torch.cat(ranked[:2]).double(), clean, rtol=1e-5, atol=1e-6)
    assert module.training


def test_a_layer_beyond_the_last_is_refused() -> None:
    found = incompatibility(parse_cell("uniform+bpr+xsimgcl:layer=3,layers=2", {}))
    assert found is not None
    assert "xsimgcl needs layer <= layers" in found


@pytest.mark.parametrize("loss", ["bpr", "sl", "ccl", "warp"])
def test_any_loss_carries_it(loss: str) -> None:
    """One step of plain gradient descent is that of the loss and that of the contrast together."""
    ends = {}
    for weight in ("0", "0.7"):
        data = training()
        settings = Settings(epochs=1, optimizer="sgd", learning_rate=0.1, embedding_size=4, negatives=3, l2=0.0)
        nothing = Interactions(np.empty(0, np.int32), np.empty(0, np.int32), USERS, ITEMS)
        modules = []

        def build(*given: Any, weight: str = weight, modules: list[Any] = modules) -> torch.nn.Module:
            modules.append(MODELS["simgcl"](*given, **MODELS.parameters("simgcl", {"weight": weight, "noise": "0"})))
            return modules[-1]

        train(
            data,
            nothing,
            model=build,
            sampler=SAMPLERS["uniform"](data, **SAMPLERS.parameters("uniform", {})),
            objective=objective(loss, _loss(loss)),
            settings=settings,
            seed=1,
            device=torch.device("cpu"),
        )
        ends[weight] = modules[0]
    start = MODELS["simgcl"](
        data, settings, np.random.default_rng(0), **MODELS.parameters("simgcl", {"weight": "0.7", "noise": "0"})
    )
    with torch.no_grad():
        for name in ("users", "items"):
            begun = _start(name, settings)
            getattr(start, name).copy_(begun)
    users, items = (
        torch.from_numpy(ids.astype(np.int64)) for ids in (data.interactions.users, data.interactions.items)
    )
    slopes = torch.autograd.grad(start.auxiliary(Batch(users, items)), [start.users, start.items])
    for name, slope in zip(("users", "items"), slopes, strict=True):
        difference = getattr(ends["0.7"], name) - getattr(ends["0"], name)
        torch.testing.assert_close(difference, -0.1 * slope, rtol=1e-3, atol=1e-6)


def _loss(name: str) -> dict[str, Any]:
    from recmodels.losses import LOSSES

    return LOSSES.parameters(name, {})


def _start(name: str, settings: Settings) -> torch.Tensor:
    """The initial vectors of a run with seed 1."""
    from recmodels.models.mf import vectors
    from recmodels.seeds import generator

    rng = generator(1, "init")
    both = {"users": vectors(USERS, settings, rng), "items": vectors(ITEMS, settings, rng)}
    return both[name]


def test_cosine_towers_are_cosines_over_a_learned_temperature() -> None:
    module = built("cosine-towers", start="0.5")
    tables = module()
    users, items = (torch.nn.functional.normalize(t) for t in (module.users, module.items))  # type: ignore[arg-type]
    torch.testing.assert_close(tables.users @ tables.items.T, users @ items.T / 0.5)
    (slope,) = torch.autograd.grad((tables.users @ tables.items.T).sum(), module.log_scale)  # type: ignore[arg-type]
    torch.testing.assert_close(slope, (users @ items.T).sum() / 0.5)
    with torch.no_grad():
        module.log_scale.fill_(9.0)  # type: ignore[union-attr, operator]
    assert module().users.norm(dim=1).max().item() == pytest.approx(100, rel=1e-4)
