"""A folder to type in, and a store that one command has trained for all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import write_ratings
from tests.inputs.asking import ask

TRAINED = "uniform popularity softmax:learning_rate=1e30 --seeds 2 --set epochs=2 --set embedding_size=8"


@pytest.fixture(autouse=True)
def _without_a_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mirror that whoever runs the tests has set would serve what is to be refused."""
    monkeypatch.delenv("BENCH_DATA_MIRROR", raising=False)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with `ratings.csv` in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    write_ratings(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with four finished runs on `ratings.csv`, and two of softmax that failed."""
    folder = tmp_path_factory.mktemp("trained")
    data, results = write_ratings(folder), folder / "store"
    answer = ask(f"compare {TRAINED} --dataset {data} --results {results} --jobs 1 --quiet")
    assert len(list(results.glob("*/*/run.json"))) == 6, answer
    return results
