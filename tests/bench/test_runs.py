"""`bench runs`: the store seen, tidied and carried from machine to machine."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.runs.claims import Claims, alone
from bench.runs.hashes import result_sha256
from bench.runs.runner import Task, execute
from bench.runs.spec import Data, RunSpec, parse_cell
from bench.runs.store import Store, failed
from datasets.errors import UserError
from datasets.protocol import Protocol
from datasets.source import resolve
from recmodels.checkpoint import Checkpoint
from recmodels.metrics import Ranks
from tests.bench.test_store import SPEC, result

ROOT = Path(__file__).parents[2]


def spec(seed: int) -> RunSpec:
    return replace(SPEC, seed=seed)


def task(seed: int) -> Task:
    return Task(spec(seed), Protocol())


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> object:
    """Call `bench runs …` in this process: exit code, stdout, stderr."""
    from bench.__main__ import main

    def call(*words: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bench", "runs", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), out, err

    return call


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.save(spec(0), result(), [10])
    made.save(spec(1), failed("Diverged: the loss became nan", "Traceback: line 1"), [10])
    return made


def test_list_and_show_tell_what_is_there(runs: object, store: Store) -> None:
    code, out, _ = runs("list", "--results", store.root)  # type: ignore[operator]
    assert code == 0
    assert "failed: Diverged: t" in out
    rows = json.loads(runs("list", "--results", store.root, "--format", "json")[1])  # type: ignore[operator]
    assert {row["state"] for row in rows} == {"done", "failed: Diverged: the loss became nan"}
    for part in ("+mf", str(rows[0]["cell"])):
        assert len(json.loads(runs("list", "--cell", part, "--results", store.root, "--format", "json")[1])) == 2  # type: ignore[operator]
    assert "no such runs" in runs("list", "--cell", "+gmf", "--results", store.root)[2]  # type: ignore[operator]
    assert len(json.loads(runs("list", "--failed", "--results", store.root, "--format", "json")[1])) == 1  # type: ignore[operator]
    code, out, err = runs("show", spec(1).run_id[:8], "--results", store.root)  # type: ignore[operator]
    assert json.loads(out)["failure"] == {"reason": "Diverged: the loss became nan"}
    assert "Traceback: line 1" in err


def test_rm_takes_what_was_named(runs: object, store: Store) -> None:
    assert runs("rm", "--results", store.root)[0] == 2  # type: ignore[operator]
    assert runs("rm", "0000", "--results", store.root)[0] == 2  # type: ignore[operator]
    removed = runs("rm", "--failed", "--results", store.root)[1]  # type: ignore[operator]
    assert removed.startswith(spec(1).run_id)
    assert removed.endswith("Removed 1 run.\n")
    assert [run.run_id for run in store.runs()] == [spec(0).run_id]
    assert runs("rm", spec(0).run_id, "--results", store.root)[0] == 0  # type: ignore[operator]
    assert list(store.runs()) == []


def test_gc_takes_leftovers_and_only_when_nobody_writes(runs: object, store: Store) -> None:
    leftover = store.root / SPEC.data.folder / ".writing-abc"
    leftover.mkdir()
    (leftover / "users.parquet").write_bytes(b"half")
    code = "import sys, tests.bench.test_runs as t; from pathlib import Path\n"
    code += (
        "claims = t.Claims(t.Store(Path(sys.argv[1])), [t.task(7)]); claims.take(); print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(store.root)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        status, _, err = runs("gc", "--results", store.root)  # type: ignore[operator]
        assert (status, leftover.exists()) == (2, True)
        assert "A command is training into" in err
        writer.kill()  # its claim dies with it
    assert runs("gc", "--results", store.root)[1] == "Removed 1 half-written run, 4 bytes.\n"  # type: ignore[operator]
    assert not leftover.exists()
    assert len(list(store.runs())) == 2


def test_merge_copies_what_is_new_and_refuses_other_numbers(runs: object, store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    other.save(spec(0), result(), [5])  # the same ranks at other cut-offs
    other.save(spec(1), result(), [10])  # failed here, done there
    other.save(spec(2), result(), [10])
    assert runs("merge", other.root, "--results", store.root)[1] == "Copied 2 runs.\n"  # type: ignore[operator]
    assert [run.failure for run in store.runs()] == [None] * 3
    users, _ = store.find(spec(2)).user_metrics([10])  # type: ignore[union-attr]
    assert len(users) == 20
    assert runs("merge", other.root, "--results", store.root)[1] == "Copied 0 runs.\n"  # type: ignore[operator]
    third = Store(tmp_path / "third")
    done = result()
    assert done.ranks is not None
    third.save(spec(3), result(), [10])
    third.save(spec(0), result(ranks=replace_better(done.ranks)), [10])
    status, _, err = runs("merge", third.root, "--results", store.root)  # type: ignore[operator]
    assert status == 2
    assert "has other numbers in" in err
    assert store.find(spec(3)) is None  # nothing was copied
    assert runs("merge", tmp_path / "nowhere", "--results", store.root)[0] == 2  # type: ignore[operator]


def replace_better(ranks: Ranks) -> Ranks:
    return (
        ranks._replace(better=ranks.better + 1)
        if hasattr(ranks, "_replace")
        else replace(ranks, better=ranks.better + 1)
    )


def test_a_run_is_claimed_once_and_a_finished_one_is_left_out(store: Store) -> None:
    elsewhere: list[Task] = []
    claims = Claims(store, [task(5), task(1), task(6)], elsewhere.append)
    assert claims.take() == task(5)
    store.save(spec(6), result(), [10])  # another command was quicker
    assert claims.take() == task(1)  # failed before this command began: tried again
    assert (claims.take(), len(claims), elsewhere) == (None, 0, [task(6)])
    claims.close()
    with alone(store):
        pass


def test_a_claim_of_another_process_is_respected_until_that_dies(store: Store) -> None:
    code = "import sys, tests.bench.test_runs as t; from pathlib import Path\n"
    code += (
        "claims = t.Claims(t.Store(Path(sys.argv[1])), [t.task(7)]); claims.take(); print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(store.root)]
    claims = Claims(store, [task(7), task(8)])
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        assert claims.take() == task(8)
        assert (claims.take(), len(claims)) == (None, 1)
        owner.kill()
    assert claims.take() == task(7)
    claims.close()


def test_a_failed_run_has_its_traceback_beside_it(store: Store) -> None:
    run = store.find(spec(1))
    assert run is not None
    assert (run.path / "traceback.txt").read_text() == "Traceback: line 1"
    assert np.isnan(run.record["seconds"].get("total", float("nan")))


def test_an_unfinished_folder_in_the_place_of_a_run_gives_way(store: Store) -> None:
    target = store.path(spec(9))
    target.mkdir()
    (target / "history.csv").write_text("half")
    assert store.save(spec(9), result(), [10]).failure is None


def test_claims_need_a_folder_that_can_be_written(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        Claims(Store(blocker), [task(0)])


@pytest.mark.parametrize("refit", [False, True])
def test_a_run_that_was_ended_goes_on_to_the_same_result(
    refit: bool, tmp_path: Path, ratings_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the first training, and with --refit in the second one too."""
    monkeypatch.setattr(Checkpoint.__init__, "__defaults__", (0.0,))
    settings = {"epochs": "3", "embedding_size": "4", "batch_size": "64"}
    data = Data(str(ratings_csv), resolve(str(ratings_csv)).content().sha256, Protocol().as_dict())
    plain = Task(RunSpec(data, parse_cell("dns+bpr+sasrec:length=5", settings), 0, refit), Protocol())
    kept, epochs = replace(plain, unfinished=tmp_path / "kept"), []

    def end(number: int, loss: float, valid: float) -> None:
        epochs.append(number)
        if len(epochs) == 2 or (refit and len(epochs) == 7):
            raise KeyboardInterrupt

    wanted = execute(plain)
    assert wanted.ranks is not None
    ended = 0
    for _ in range(4):
        try:
            found = execute(kept, end)
        except KeyboardInterrupt:
            ended += 1
            continue
        assert found.ranks is not None
        assert result_sha256(found.users, found.ranks) == result_sha256(wanted.users, wanted.ranks)
        assert [line[:3] for line in found.history] == [line[:3] for line in wanted.history]
    assert ended == 1 + refit
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["again", "first"] if refit else ["first"]
