"""SASRec with every loss and sampler that go together; test_sequences.py has its formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bench.runs.spec import Cell, incompatibility, parse_cell
from datasets import Interactions
from recmodels import trainer
from recmodels.compatibility import is_whole
from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.objective import objective
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Training
from recmodels.settings import Settings


def data() -> Training:
    """User 0 has two items, the others more."""
    rng = np.random.default_rng(0)
    pairs = [(user, item) for user in range(8) for item in rng.permutation(14)[: 2 + user]]
    users, items = np.array(pairs, np.int32).T
    return Training(Interactions(users.copy(), items.copy(), 8, 14))


def cells() -> list[str]:
    """Every loss with five samplers, and every sampler with a loss that it goes with."""
    losses = [
        f"{sampler}+{loss}" for loss in LOSSES for sampler in ("uniform", "popularity", "inbatch", "mixed", "dns")
    ]
    samplers = [f"{sampler}+{loss}" for sampler in SAMPLERS for loss in ("bpr", "softmax:logq=both")]
    whole = [f"full+{loss}" for loss in ("softmax", "sce", "rece")]
    return [text for text in dict.fromkeys([*losses, *samplers, *whole]) if _fits(text) and text[:5] != "given"]


def _settings(text: str) -> dict[str, str]:
    return {"embedding_size": "4", "epochs": "1", "batch_size": "16"} | (
        {"negatives": "all"} if is_whole(text.partition("+")[0]) else {"negatives": "3"}
    )


def _fits(text: str) -> bool:
    return incompatibility(parse_cell(f"{text}+sasrec", _settings(text))) is None


@pytest.mark.parametrize("text", cells())
def test_it_is_trained_with_every_loss_and_sampler_that_go_together(text: str) -> None:
    cell: Cell = parse_cell(f"{text}+sasrec:length=5", _settings(text))
    assert cell.sampler is not None
    assert cell.loss is not None
    training, chosen = data(), Settings(**cell.settings)  # type: ignore[arg-type]
    small = {"keep": 3} if cell.sampler.name == "dns-mn" else {}
    done = trainer.train(
        training,
        training.interactions,
        model=lambda *given: MODELS["sasrec"](*given, **cell.model.parameters),
        sampler=SAMPLERS[cell.sampler.name](training, **{**cell.sampler.parameters, **small}),
        objective=objective(cell.loss.name, cell.loss.parameters),
        settings=chosen,
        seed=0,
        device=torch.device("cpu"),
    )
    assert math.isfinite(done.history[0].loss)


def test_most_losses_and_samplers_go_with_sequences() -> None:
    known = {part.partition(":")[0] for text in cells() for part in text.split("+")}
    assert {name for name in LOSSES if name not in known} == {"cml", "talos"}
    assert {name for name in SAMPLERS if name not in known} == {"given"}
