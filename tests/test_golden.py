"""Frozen results of every registered method: a change of numbers must be meant, and named under Results.

The tolerance allows for processors that round differently; on one processor the numbers are equal to the bit, which
test_cli checks.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.runs.runner import Task, execute
from bench.runs.spec import Data, RunSpec, incompatibility, parse_cell
from datasets import Interactions
from datasets.features import Features
from datasets.loading import load
from datasets.protocol import Protocol
from datasets.source import resolve
from recmodels.contracts.small import features
from recmodels.losses import LOSSES
from recmodels.metrics import user_metrics
from recmodels.models import BASELINES, MODELS
from recmodels.samplers import SAMPLERS
from tests.frozen import frozen_keys, frozen_value

pytestmark = pytest.mark.golden

SETTINGS = {"epochs": "3", "embedding_size": "8", "negatives": "4", "batch_size": "64", "learning_rate": "0.02"}
SMALLER = {"puresvd": "puresvd:factors=8"}  # its default is for larger data


def cells() -> list[str]:
    """Every sampler, loss, model and baseline once, each with the first partner that it can be trained with."""
    found = [*(SMALLER.get(name, name) for name in BASELINES), *(f"uniform+bpr+{model}" for model in MODELS)]
    for sampler in SAMPLERS:
        found.append(next(f"{sampler}+{loss}" for loss in ("bpr", *LOSSES) if _trainable(f"{sampler}+{loss}")))
    for loss in LOSSES:
        found.append(next(f"{s}+{loss}" for s in ("uniform", *SAMPLERS) if _trainable(f"{s}+{loss}")))
    return sorted(set(found))


def _trainable(text: str) -> bool:
    return incompatibility(parse_cell(text, SETTINGS)) is None


def outcome(text: str, path: Path) -> dict[str, float]:
    """Test NDCG@10 and the last training loss of one small run."""
    protocol = Protocol()
    data = Data(str(path), resolve(str(path)).content().sha256, protocol.as_dict())
    task = Task(RunSpec(data, parse_cell(text, SETTINGS), 0), protocol)
    split = load(str(path), protocol)
    if text.startswith("given"):
        split = replace(split, negatives=unwanted(split.train))
    if text.endswith("two-tower"):
        values = features(split.train.n_items)
        split = replace(split, features=Features(values, "items.csv", "0" * 64, "", {}))
    result = execute(task, split=split)
    assert result.failure is None, result.failure
    assert result.ranks is not None
    _, values = user_metrics(result.ranks, [10])
    numbers = {"ndcg@10": float(values["ndcg@10"].mean())}
    if result.history and "+" in text:  # a baseline has no loss
        numbers["loss"] = result.history[-1][1]
    return numbers


def unwanted(train: Interactions) -> Interactions:
    """Three items for every second user, as negatives that are given; what is trained on does not count."""
    users, items = np.repeat(np.arange(0, train.n_users, 2), 3), np.arange(3 * len(range(0, train.n_users, 2)))
    return Interactions(users.astype(np.int32), (items % train.n_items).astype(np.int32), train.n_users, train.n_items)


def same(found: dict[str, float], frozen: dict[str, float]) -> bool:
    return (
        set(found) == set(frozen)
        and found["ndcg@10"] == pytest.approx(frozen["ndcg@10"], abs=0.01)  # two users may swap two items
        and found.get("loss", 0.0) == pytest.approx(frozen.get("loss", 0.0), rel=1e-3)
    )


@pytest.mark.parametrize("text", cells())
def test_results_are_as_frozen(text: str, ratings_csv: Path) -> None:
    found = outcome(text, ratings_csv)
    frozen = frozen_value("runs.json", text, found, same)
    assert same(found, frozen), (found, frozen)


def test_nothing_is_frozen_that_no_longer_exists() -> None:
    assert frozen_keys("runs.json", set(cells())) == set(cells())
