"""A small published table for tests, of runs that were made up: nothing is trained for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.cli.publishing import Making
from bench.runs.design import Experiment
from bench.runs.store import Result
from recmodels.metrics import Ranks
from tests.conftest import write_ratings

DESCRIPTION = """
table = "loo"
version = 1
dataset = "{data}"
names = ["uniform+bpr", "popularity+bpr", "uniform+softmax:temperature=0.5", "toppop"]
seeds = 3

[set]
epochs = 2
embedding_size = 4
"""
MADE = {
    "contrarec": "0.1.0",
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "dirty": False,
    **{"python": "3.11.7", "torch": "2.13.0", "numpy": "2.4.6", "platform": "linux x86_64", "cpu": "a processor"},
    "device": "cpu",
}


def made_up(experiment: Experiment) -> None:
    """Put a run into the store for each that the experiment asks for."""
    data = {"sha256": experiment.data.sha256, "verified": None, "source": "file"}
    for spec in experiment.specs():
        rng = np.random.default_rng(int(spec.run_id[:8], 16))
        users, candidates = np.arange(40), rng.integers(40, 48, 40)
        ranks = Ranks(users, users * 0, rng.integers(0, 30, 40), rng.integers(0, 2, 40), candidates)
        result = Result(
            users + 100,
            ranks,
            [(1, 0.5, 0.1, 0.01), (2, 0.4, 0.2, 0.01)],
            1,
            {"train": float(rng.random()), "evaluate": 0.1, "total": 0.3},
            {**MADE, "data": data, "facts": {"users_without_test": 0}},
            diagnostics={"hardness": float(rng.random()), "draws_per_second": float(rng.random())},
            warnings=("one to keep",),
            peak_bytes=int(rng.integers(1e8, 2e8)),
        )
        experiment.store.save(spec, result, [5, 10, 20])


def described(folder: Path, text: str = DESCRIPTION) -> Path:
    """A folder `mine` with a `table.toml` in it, and its data beside it."""
    mine = folder / "mine"
    mine.mkdir()
    (mine / "table.toml").write_text(text.replace("{data}", str(write_ratings(folder))), encoding="utf-8")
    return mine


def making(mine: Path) -> Making:
    """What `bench publish` does with the folder; its store is beside it."""
    conditions = {"jobs": 1, "cluster": None, "offline": True, "retry_failed": False, "quiet": True}
    return Making.of(mine, {**conditions, "results": str(mine.parent / "store")})


def published(folder: Path) -> Path:
    """The folder of a published table."""
    mine = described(folder)
    one = making(mine)
    made_up(*one.asked.checked())
    assert one.make() == 0
    return mine
