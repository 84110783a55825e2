"""Runs are written whole or not at all, and read back exactly."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.runs.spec import Data, RunSpec, parse_cell
from bench.runs.store import Result, Store
from datasets.errors import UserError
from datasets.protocol import Protocol
from recmodels.metrics import Ranks, user_metrics

SPEC = RunSpec(Data("a/ratings.csv", "ab" * 32, Protocol().as_dict()), parse_cell("uniform", {}), 0)


def result(relevant: int = 1, **changes: object) -> Result:
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(20), relevant)
    n = len(users)
    ranks = Ranks(users, rng.integers(0, 90, n), rng.integers(0, 30, n), rng.integers(0, 3, n), np.full(n, 90))
    base = Result(
        np.arange(20) * 3 + 1,
        ranks,
        [(1, 0.5, 0.1, 0.01), (2, 0.4, float("nan"), 0.01)],
        1,
        {"train": 0.1, "total": 0.2},
        {},
    )
    return replace(base, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("relevant", [1, 3])
def test_what_is_read_is_what_was_written_at_any_cutoff(tmp_path: Path, relevant: int) -> None:
    done = result(relevant)
    run = Store(tmp_path).save(SPEC, done, [5, 10])
    labels, values = run.user_metrics([5, 7, 10])
    assert done.ranks is not None
    _, expected = user_metrics(done.ranks, [5, 7, 10])
    np.testing.assert_array_equal(labels, done.users)
    for name, column in expected.items():
        np.testing.assert_array_equal(values[name], column)
    assert run.record["metrics"]["ndcg@10"] == float(expected["ndcg@10"].mean())
    assert run.history()[0] == {"epoch": 1.0, "loss": 0.5, "valid": 0.1, "seconds": 0.01}


def test_text_labels_survive(tmp_path: Path) -> None:
    names = np.array([f"user-{k}" for k in range(20)])
    labels, _ = Store(tmp_path).save(SPEC, result(users=names), [10]).user_metrics([10])
    assert labels.tolist() == names.tolist()


def test_the_layout_is_the_contract(tmp_path: Path) -> None:
    run = Store(tmp_path).save(SPEC, result(), [10])
    assert run.path == tmp_path / "ratings.csv" / SPEC.run_id
    assert sorted(path.name for path in run.path.iterdir()) == ["history.csv", "run.json", "users.parquet"]
    assert {"schema", "run_id", "spec", "metrics", "epochs", "seconds", "provenance", "warnings"} <= set(run.record)
    assert run.record["spec"] == SPEC.as_dict()


def test_the_first_of_two_writers_wins_and_nothing_is_left_over(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(SPEC, result(), [10])
    again = store.save(SPEC, result(best_epoch=2), [10])
    assert again.record["best_epoch"] == 1
    assert [path.name for path in (tmp_path / "ratings.csv").iterdir()] == [SPEC.run_id]


def test_a_failed_run_is_kept_and_replaced_by_one_that_succeeds(tmp_path: Path) -> None:
    store = Store(tmp_path)
    failure = {"reason": "Diverged: the loss became nan", "traceback": "…"}
    assert store.save(SPEC, result(ranks=None, failure=failure), [10]).failure == failure["reason"]
    assert store.save(SPEC, result(), [10]).failure is None


def test_another_kind_of_device_has_its_own_place(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(SPEC, result(), [10], "cuda:0")
    assert store.find(SPEC) is None
    assert store.find(SPEC, "cuda:1") is not None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 99}'])
def test_an_unreadable_run_is_named(tmp_path: Path, text: str) -> None:
    store = Store(tmp_path)
    path = store.save(SPEC, result(), [10]).path / "run.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=str(path)):
        store.find(SPEC)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    blocker = tmp_path / "results"
    blocker.write_text("a file where a folder should be", encoding="utf-8")
    with pytest.raises(UserError, match=r"cannot be written .* name another results folder"):
        Store(blocker).save(SPEC, result(), [10])


@pytest.mark.parametrize("point", ["write_table", "rename"])
def test_killed_while_writing_leaves_no_run(tmp_path: Path, point: str) -> None:
    """A process that dies between the first byte and the rename leaves nothing that reads as a run."""
    target = "pyarrow.parquet" if point == "write_table" else "pathlib.Path"
    code = (
        "import os, signal, sys; sys.path.insert(0, sys.argv[2]);"
        f"import pyarrow.parquet, pathlib; module = {target};"
        f"module.{point} = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL);"
        "from tests.bench.test_store import SPEC, Store, result; from pathlib import Path;"
        "Store(Path(sys.argv[1])).save(SPEC, result(), [10])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(root)], cwd=root, env={**os.environ}, check=False
    )
    assert done.returncode == -9
    store = Store(tmp_path)
    assert store.find(SPEC) is None
    assert list(store.runs()) == []
    assert store.save(SPEC, result(), [10]).failure is None
