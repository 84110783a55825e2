"""Where a command knows the training rows from, on which `batch_size=auto` depends; ids and captions hold numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.runs.design import design
from bench.runs.spec import Cell
from bench.runs.store import Store
from datasets.errors import UserError
from datasets.protocol import Protocol
from datasets.split import Split
from tests.inputs.asking import ask

LARGE = "synthetic:users=2000,items=1000,density=0.2"


def refuse(*given: object) -> Split:
    raise AssertionError("nothing had to be read")


def batch(dataset: str, store: Path, name: str = "bpr", protocol: Protocol = Protocol(), **given: object) -> object:
    found = design([name], dataset=dataset, protocol=protocol, store=Store(store), **given)  # type: ignore[arg-type]
    (cell,) = found.cells
    assert isinstance(cell, Cell)
    return cell.settings["batch_size"]


def test_the_catalogue_tells_without_reading(tmp_path: Path) -> None:
    """ml-1m has 1,000,209 interactions, of which leave-one-out trains all but two a user; nothing of it is here."""
    assert batch("ml-100k", tmp_path, opened=refuse) == 1024
    assert batch("ml-1m", tmp_path, opened=refuse) == 4096
    with pytest.raises(AssertionError, match="nothing had to be read"):
        batch("ml-1m", tmp_path, protocol=Protocol(min_rating=4), opened=refuse)


def test_a_number_or_a_baseline_asks_nobody(tmp_path: Path) -> None:
    assert batch(LARGE, tmp_path, settings=[("batch_size", "64")], opened=refuse) == 64
    assert design(["ease"], dataset=LARGE, protocol=Protocol(), store=Store(tmp_path), opened=refuse).rows == 0


def test_other_data_are_read_once_and_then_a_run_tells(tmp_path: Path) -> None:
    command = f"compare toppop --dataset {LARGE} --jobs 1 --results {tmp_path}"
    assert batch(LARGE, tmp_path) == 4096
    assert ask(command).code == 0
    assert batch(LARGE, tmp_path, opened=refuse) == 4096
    assert batch(LARGE, tmp_path, "directau", opened=refuse) == 1024
    with pytest.raises(AssertionError, match="nothing had to be read"):
        batch(LARGE, tmp_path, protocol=Protocol(split="ratio"), opened=refuse)


def test_a_caption_and_a_run_hold_numbers(tmp_path: Path) -> None:
    quick = f"--set epochs=1 --set embedding_size=2 --set negatives=1 --dataset {LARGE} --results {tmp_path}"
    told = ask(f"compare bpr directau --seeds 1 --jobs 1 --format json {quick}")
    assert told.code == 0, told.err
    assert "auto" not in json.dumps(json.loads(told.out)["protocol"])
    records = [json.loads(file.read_text()) for file in tmp_path.glob("*/*/run.json")]
    found = {run["spec"]["loss"]["name"]: run["spec"]["settings"] for run in records}
    sizes = {loss: (settings["batch_size"], settings["learning_rate"]) for loss, settings in found.items()}
    assert sizes == {"bpr": (4096, 0.0099), "directau": (1024, 0.007)}


def test_data_that_cannot_be_had_are_asked_for_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="amazon-beauty-lightgcnpp is not in the data folder"):
        batch("amazon-beauty-lightgcnpp", tmp_path)
    assert batch("amazon-beauty-lightgcnpp", tmp_path, settings=[("batch_size", "1024")]) == 1024
