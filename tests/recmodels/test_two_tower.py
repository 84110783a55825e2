"""Two towers: the formula, that cold items are ranked by their features alone, and whom L2 reaches."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bench.runs.spec import incompatibility, parse_cell
from datasets import Interactions
from datasets.errors import UserError
from recmodels import trainer
from recmodels.encoder import Encoder
from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.objective import objective
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Training
from recmodels.settings import Settings
from recmodels.types import Batch
from recmodels.updates import l2_pull

USERS, ITEMS, SIZE, FEATURES, COLD = 6, 9, 4, 3, 8
VARIANTS = [
    {"user": user, "ids": ids, "hidden": hidden}
    for user in ("id", "history")
    for ids in ("true", "false")
    for hidden in ("0", "1", "2")
]


def data() -> Training:
    """The last user and the last item have no interaction; the features cannot be written, as those of a cluster."""
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((USERS - 1, ITEMS - 1)) < 0.5)
    known = Interactions(users.astype(np.int32), items.astype(np.int32), USERS, ITEMS)
    features = rng.normal(size=(ITEMS, FEATURES)).astype(np.float32)
    features.setflags(write=False)
    return Training(known, features=features)


def built(given: dict[str, str], training: Training | None = None) -> Any:
    settings = Settings(embedding_size=SIZE, init="normal", init_std=0.7)
    module: Any = MODELS["two-tower"](
        training or data(), settings, np.random.default_rng(1), **MODELS.parameters("two-tower", given)
    )
    for bias in module.biases:
        torch.nn.init.normal_(bias, generator=torch.Generator().manual_seed(3))
    return module


def formula(module: Any, training: Training) -> tuple[NDArray[Any], NDArray[Any]]:
    """Users and items as the docstring says, in numpy."""
    n = {name: parameter.detach().double().numpy() for name, parameter in module.named_parameters()}
    assert training.features is not None
    h = training.features @ n["of_features"]
    for at in range(len(module.layers)):
        h = np.maximum(0, h + n[f"biases.{at}"]) @ n[f"layers.{at}"].T
    items = h + (n["items"] * (training.counts > 0)[:, None] if "items" in n else 0)
    known = np.zeros((USERS, ITEMS))
    known[training.histories.users, training.histories.items] = 1
    means = known @ items / known.sum(axis=1, keepdims=True).clip(1)
    return n.get("users", means @ n["map"].T if "map" in n else None), items


@pytest.mark.parametrize("given", VARIANTS, ids=str)
def test_the_vectors_are_those_of_the_formula(given: dict[str, str]) -> None:
    module, training = built(given), data()
    users, items = formula(module, training)
    tables = module()
    np.testing.assert_allclose(tables.users.detach(), users, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(tables.items.detach(), items, rtol=1e-4, atol=1e-5)
    if given["user"] == "history":
        batch = Batch(torch.tensor([4, 0, 4, 5]), torch.tensor([1, 2, 3, 0]))
        found = module.queries(batch)
        np.testing.assert_allclose(found.users.detach(), users[[4, 0, 4, 5]], rtol=1e-4, atol=1e-5)
        assert torch.equal(found.items, tables.items)
        assert (tables.users[USERS - 1] == 0).all()


@pytest.mark.parametrize("given", [given for given in VARIANTS if given["hidden"] != "2"], ids=str)
def test_every_parameter_learns_but_the_own_vector_of_an_item_that_nobody_trained_on(given: dict[str, str]) -> None:
    module = built(given)
    tables = module()
    (tables.users @ tables.items.T * torch.arange(1.0, ITEMS + 1)).sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    if given["ids"] == "true":
        assert (module.items.grad.abs().sum(dim=1) > 0).tolist() == (data().counts > 0).tolist()
        assert not data().counts[COLD]


def test_features_are_asked_for() -> None:
    with pytest.raises(UserError, match="give --item-features"):
        built({}, Training(data().interactions))


def trained(model: str, training: Training, **given: Any) -> trainer.Trained:
    settings = Settings(**({"epochs": 20, "embedding_size": 8, "batch_size": 64, "learning_rate": 0.02} | given))
    cell = parse_cell(f"uniform+bpr+{model}", {})
    return trainer.train(
        training,
        training.interactions,
        model=partial(MODELS[cell.model.name], **cell.model.parameters),
        sampler=SAMPLERS["popularity"](training, alpha=0.0, reject=True),
        objective=objective("bpr", LOSSES.parameters("bpr", {})),
        settings=settings,
        seed=0,
        device=torch.device("cpu"),
    )


@pytest.mark.parametrize("model", ["two-tower", "two-tower:hidden=1", "two-tower:user=history", "two-tower:ids=false"])
def test_cold_items_are_ranked_by_what_they_are(model: str) -> None:
    """Even users like even items, of which the last ten of both kinds are cold; features say which is which."""
    users, items = 40, 50
    rng, kinds = np.random.default_rng(0), np.arange(items) % 2
    pairs = np.array([(u, i) for u in range(users) for i in range(items - 20) if i % 2 == u % 2 and rng.random() < 0.6])
    known = Interactions(*pairs.T.astype(np.int32), users, items)
    features = np.eye(2, dtype=np.float32)[kinds]
    found = trained(model, Training(known, features=features)).tables
    scores = (found.users @ found.items.T).detach().numpy()[:, -20:]
    likes = kinds[None, -20:] == (np.arange(users) % 2)[:, None]
    apart = np.where(likes, scores, np.inf).min(axis=1) > np.where(likes, -np.inf, scores).max(axis=1)
    assert apart.mean() > 0.9


def test_l2_is_of_own_vectors_by_role_and_not_of_what_is_scored() -> None:
    """With plain descent, L2 adds -rate times (a u, b e⁺ + c e⁻) of the batch to a step, and nothing to the rest."""
    training = data()
    start = {name: p.detach().clone() for name, p in built({}).named_parameters()}
    steps = {}
    for weight in (0.0, 0.5):
        given: dict[str, Any] = {"optimizer": "sgd", "batch_size": 1000, "epochs": 1, "negatives": 2, "l2": weight}
        modules: list[Any] = []
        seen: list[Any] = []

        def watched(fit: Any, part: Any, *others: Any, kept: list[Any] = seen, real: Any = trainer._gradient) -> Any:
            kept.append(part)
            return real(fit, part, *others)

        def make(*_: Any, made: list[Any] = modules) -> Any:
            made.append(built({}))
            return made[0]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trainer, "_gradient", watched)
            trainer.train(
                training, training.interactions, model=make, sampler=SAMPLERS["uniform"](training, reject=True),
                objective=objective("bpr", {}), settings=Settings(embedding_size=SIZE, learning_rate=1.0, **given),
                seed=0, device=torch.device("cpu"),
            )  # fmt: skip
        steps[weight] = {name: p.detach() for name, p in modules[0].named_parameters()}
        (part,) = seen
    rows = len(part.batch.users)
    for name, ids in {
        "users": [(part.batch.users, 1.0)],
        "items": [(part.batch.positives, 1.0), (part.candidates.items.flatten(), 0.5)],
        "of_features": [],
    }.items():
        shares = torch.zeros(len(start[name]))
        for which, each in ids:
            shares.index_add_(0, which, torch.full(which.shape, 0.5 * each / rows))
        expected = -shares[:, None] * start[name]
        torch.testing.assert_close(steps[0.5][name] - steps[0.0][name], expected, rtol=1e-4, atol=1e-5)


def test_how_hard_l2_pulls_is_of_the_vectors_that_there_are() -> None:
    module, batch = built({"user": "history", "ids": "false"}), Batch(torch.tensor([0, 1]), torch.tensor([1, 2]))
    nothing = replace(trainer._NOTHING)
    found = l2_pull(module, batch, nothing, Settings(), 2, Encoder(module).gradient)
    assert found == {}


def test_lazy_adam_is_refused_and_losses_that_want_free_vectors_too() -> None:
    said = incompatibility(parse_cell("uniform+bpr+two-tower:optimizer=lazy_adam", {}))
    assert said is not None
    assert "vectors of two-tower depend on all rows" in said
    gmf = {loss for loss in LOSSES if incompatibility(parse_cell(f"uniform+{loss}+lightgcn", {}))}
    assert {loss for loss in LOSSES if incompatibility(parse_cell(f"uniform+{loss}+two-tower", {}))} == gmf


def test_a_user_that_is_not_trained_on_is_ranked_by_the_history() -> None:
    training = data()
    known = training.interactions
    rest = known.take(known.users != 0)
    for items in ([1, 2], [3]):
        fold_in = Interactions(np.zeros(len(items), np.int32), np.array(items, np.int32), USERS, ITEMS)
        given = Training(rest, fold_in=fold_in, features=training.features)
        module = built({"user": "history"}, given)
        users, _ = formula(module, given)
        np.testing.assert_allclose(module().users.detach(), users, rtol=1e-4, atol=1e-5)
        assert np.abs(users[0]).sum() > 0
