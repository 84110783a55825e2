"""`lazy_adam` moves the rows of a step's users, positives and candidates, and no others, in every cell that has it.

Items of the history of a step's user are rows of the step too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from datasets import Interactions
from recmodels import trainer
from recmodels.compatibility import is_whole, reason
from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.objective import objective
from recmodels.registry import fill
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Training
from recmodels.settings import Settings, setting_parameters
from recmodels.types import Part

USERS, ITEMS, BATCH = 30, 400, 6
SETTINGS = fill(
    "trainer",
    setting_parameters(),
    {"optimizer": "lazy_adam", "epochs": "2", "batch_size": str(BATCH), "negatives": "3", "embedding_size": "4",
     "l2": "0.01", "l2_bias": "0.01"},
)  # fmt: skip
OPTIONS: dict[str, list[dict[str, str]]] = {
    "memory": [{"mode": "ids"}, {"mode": "frozen", "warm_up": "0"}],
    "inbatch": [{}, {"negatives": "all"}],
}
VARIANTS: dict[tuple[str, str], list[dict[str, str]]] = {
    ("mf", "bpr"): [{}, {"bias": "true"}],
    ("history", "bpr"): [
        {},
        {"gamma": "0", "linear": "false"},
        {"pool": "attention", "separate": "true"},
        {"pool": "attention", "leave_out": "true"},
    ],
}
OF_ALL_ROWS = ("map", "keys", "key_bias", "query")  # parameters of a model that every row has


def data() -> Training:
    """Two steps an epoch; most users and items have no interaction. Each user is known not to want two items."""
    generator = np.random.default_rng(0)
    users, items = np.repeat(np.arange(4), 3), generator.choice(ITEMS, 12, replace=False)
    known = Interactions(users.astype(np.int32), items.astype(np.int32), USERS, ITEMS)
    others = np.setdiff1d(np.arange(ITEMS), items)[: 2 * 4]
    unwanted = Interactions(np.repeat(np.arange(4), 2).astype(np.int32), others.astype(np.int32), USERS, ITEMS)
    return Training(known, epochs=2, negatives=unwanted)


def moved(sampler: Any, loss: Any, model: Any, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> int:
    """How many steps were made; fails where a step moved a row that it does not have."""
    modules: list[torch.nn.Module] = []
    steps: list[list[Part]] = [[]]
    gradient, step = trainer._gradient, trainer.Updates.step

    def build(*given: Any) -> torch.nn.Module:
        modules.append(MODELS[model[0]](*given, **model[1]))
        return modules[-1]

    def remember(fit: Any, part: Part, *others: Any) -> Any:
        steps[-1].append(part)
        return gradient(fit, part, *others)

    def watched(self: Any, rate: float) -> None:
        before = [parameter.detach().clone() for parameter in modules[0].parameters()]
        step(self, rate)
        users = torch.cat([part.batch.users for part in steps[-1]])
        items = torch.cat([torch.cat([p.batch.positives, p.candidates.items.flatten()]) for p in steps[-1]])
        known = training.interactions
        reached = torch.from_numpy(known.items[np.isin(known.users, users)].astype(np.int64))
        if model[0] == "history":
            items = torch.cat([items, reached])
        for (name, parameter), old in zip(modules[0].named_parameters(), before, strict=True):
            if name in OF_ALL_ROWS:
                assert (parameter != old).any(), name
                continue
            changed = (parameter != old).reshape(len(old), -1).any(dim=1).nonzero().flatten()
            mine = {"users": users, "inputs": reached}.get(name, items)
            assert set(changed.tolist()) <= set(mine.tolist()), name
            assert len(changed) or name == "bias"
        steps.append([])

    monkeypatch.setattr(trainer, "_gradient", remember)
    monkeypatch.setattr(trainer.Updates, "step", watched)
    training = data()
    trainer.train(
        training,
        training.interactions,
        model=build,
        sampler=SAMPLERS[sampler[0]](training, **sampler[1]),
        objective=objective(*loss),
        settings=Settings(**settings),
        seed=0,
        device=torch.device("cpu"),
    )
    return len(steps) - 1


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SAMPLERS])
def test_rows_that_a_step_does_not_have_stay_as_they_are(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = 0
    for options in OPTIONS.get(name, [{}]):
        own = {key: value for key, value in options.items() if key != "negatives"}
        settings = SETTINGS | ({"negatives": "all"} if is_whole(name) or "negatives" in options else {})
        sampler = name, SAMPLERS.parameters(name, own)
        for loss in LOSSES:
            for model in MODELS:
                for given in VARIANTS.get((model, loss), [{}]):
                    cell = sampler, (loss, LOSSES.parameters(loss, {})), (model, MODELS.parameters(model, given))
                    if reason(*cell, settings) is None:
                        with monkeypatch.context() as patch:
                            assert moved(*cell, settings, patch) == 4, cell
                        tried += 1
    assert tried > 5


@pytest.mark.parametrize(("loss", "word"), [("wrmf", "sums over whole tables"), ("mawu", "learns a number for every")])
def test_losses_that_move_every_row_are_refused(loss: str, word: str) -> None:
    parameters = SAMPLERS.parameters("uniform", {}), LOSSES.parameters(loss, {}), MODELS.parameters("mf", {})
    found = reason(("uniform", parameters[0]), (loss, parameters[1]), ("mf", parameters[2]), SETTINGS)
    assert found is not None
    assert word in found


def test_what_it_no_longer_refuses_trains() -> None:
    for sampler, loss in (("mixgcf", "sl"), ("uniform", "directau"), ("uniform", "lambdarank")):
        cell = (
            (sampler, SAMPLERS.parameters(sampler, {})),
            (loss, LOSSES.parameters(loss, {})),
            ("mf", MODELS.parameters("mf", {})),
        )
        assert reason(*cell, SETTINGS) is None
