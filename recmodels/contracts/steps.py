"""What every sampler, loss and model promises of a training step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from datasets import Interactions
from recmodels import trainer
from recmodels.compatibility import Parameters, held, is_whole, reason
from recmodels.contracts import hold
from recmodels.contracts.small import features
from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.objective import objective
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Training
from recmodels.settings import Settings, trainer_settings
from recmodels.types import Part
from recmodels.updates import Updates

USERS, ITEMS, BATCH = 30, 400, 6
SETTINGS = trainer_settings(
    {"optimizer": "lazy_adam", "epochs": "2", "batch_size": str(BATCH), "negatives": "3", "embedding_size": "4",
     "l2": "0.01"},
)  # fmt: skip
STEPS = 4
Named = tuple[str, Parameters]


def data() -> Training:
    """Two steps an epoch; most users and items have no interaction. Each user is known not to want two items."""
    generator = np.random.default_rng(0)
    users, items = np.repeat(np.arange(4), 3), generator.choice(ITEMS, 12, replace=False)
    known = Interactions(users.astype(np.int32), items.astype(np.int32), USERS, ITEMS)
    others = np.setdiff1d(np.arange(ITEMS), items)[: 2 * 4]
    unwanted = Interactions(np.repeat(np.arange(4), 2).astype(np.int32), others.astype(np.int32), USERS, ITEMS)
    return Training(known, epochs=2, negatives=unwanted, features=features(ITEMS))


def moves_rows_of_the_batch_alone(sampler: Named, loss: Named, model: Named, settings: dict[str, Any]) -> None:
    """`lazy_adam` moves the rows of a step's users, positives and candidates, and no others.

    Where the model gives "rows" and no free vectors, the items that its users interacted with are rows of the step too.
    Parameters without a row for each user or item are of all rows.
    """
    training = data()
    reaching = "free_vectors" not in held("gives", MODELS.entry(model[0]), model[1])
    with _watched(training.interactions, reaching) as steps:
        trainer.train(
            training,
            training.interactions,
            model=lambda *given: _remembered(steps, MODELS[model[0]](*given, **model[1])),
            sampler=SAMPLERS[sampler[0]](training, **sampler[1]),
            objective=objective(*loss),
            settings=Settings(**{**settings, "l2_bias": 0.01}) if model[1].get("bias") else Settings(**settings),
            seed=0,
            device=torch.device("cpu"),
        )
    hold(steps.made == STEPS, f"training made {steps.made} steps and not {STEPS}")


class _Steps:
    """What is seen of a training."""

    def __init__(self) -> None:
        self.module: torch.nn.Module = torch.nn.Module()
        self.parts: list[Part] = []
        self.made = 0


def _remembered(steps: _Steps, module: torch.nn.Module) -> torch.nn.Module:
    steps.module = module
    return module


@contextmanager
def _watched(known: Interactions, reaching: bool) -> Iterator[_Steps]:
    """Look at each step of a training; `Broken` where it moves a row that it does not have."""
    steps = _Steps()
    gradient, step = trainer._gradient, Updates.step

    def remember(fit: Any, part: Part, *others: Any) -> Any:
        steps.parts.append(part)
        return gradient(fit, part, *others)

    def watched(self: Any, rate: float) -> None:
        before = [parameter.detach().clone() for parameter in steps.module.parameters()]
        step(self, rate)
        users = torch.cat([part.batch.users for part in steps.parts])
        items = torch.cat([torch.cat([p.batch.positives, p.candidates.items.flatten()]) for p in steps.parts])
        if reaching:
            items = torch.cat([items, torch.from_numpy(known.items[np.isin(known.users, users)].astype(np.int64))])
        for (name, parameter), old in zip(steps.module.named_parameters(), before, strict=True):
            if parameter.dim() == 0 or len(parameter) not in (USERS, ITEMS):
                hold((parameter != old).any(), f"a step does not move {name}")
                continue
            changed = (parameter != old).reshape(len(old), -1).any(dim=1).nonzero().flatten()
            mine = users if len(parameter) == USERS else items
            others = {*changed.tolist()} - {*mine.tolist()}
            hold(not others, f"a step of lazy_adam moves {len(others)} rows of {name} that it does not have")
            hold(len(changed) or name == "bias", f"a step moves no row of {name}")
        steps.parts = []
        steps.made += 1

    with patch.object(trainer, "_gradient", remember), patch.object(Updates, "step", watched):
        yield steps


def a_step_moves_its_rows(kind: str, name: str) -> None:
    """With the first partners that it can be trained with, a step of `lazy_adam` moves its own rows and no others."""
    registries = {"sampler": SAMPLERS, "loss": LOSSES, "model": MODELS}
    usual = {"sampler": ("uniform", *SAMPLERS), "loss": ("bpr", *LOSSES), "model": ("mf", *MODELS)}
    for sampler in (name,) if kind == "sampler" else usual["sampler"]:
        settings = SETTINGS | ({"negatives": "all"} if is_whole(sampler) else {})
        for loss in (name,) if kind == "loss" else usual["loss"]:
            for model in (name,) if kind == "model" else usual["model"]:
                chosen = {"sampler": sampler, "loss": loss, "model": model}
                cell = [(each, registries[part].parameters(each, {})) for part, each in chosen.items()]
                if reason(cell[0], cell[1], cell[2], settings) is None:
                    moves_rows_of_the_batch_alone(cell[0], cell[1], cell[2], settings)
                    return
