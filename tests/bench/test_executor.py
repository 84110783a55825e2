"""Grids end, whatever happens to a run, a worker, the disk or the command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bench.runs.runner import Task, execute
from bench.runs.spec import Data, RunSpec, parse_cell
from bench.runs.store import Store
from datasets.protocol import Protocol
from tests.bench.test_store import SPEC, result
from tests.inputs.asking import bench

ROOT = Path(__file__).parents[2]
SLOW = ("--set", "epochs=60", "--set", "patience=60")
ENDLESS = ("--set", "epochs=1000000", "--set", "patience=1000000")


def start(data: Path, results: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bench", "compare", *words, "--dataset", str(data), "--results", str(results)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    stdout, stderr = process.communicate(timeout=120)
    return process.returncode, stdout, stderr


def finished(results: Path) -> int:
    return len(list(results.glob("*/[!.]*/run.json")))


def wait_for(results: Path, count: int) -> None:
    deadline = time.monotonic() + 90
    while finished(results) < count:
        assert time.monotonic() < deadline, "the runs do not come"
        time.sleep(0.02)


def one(text: str, data: Path, **settings: str) -> Task:
    spec = RunSpec(Data(str(data), "ab" * 32, Protocol().as_dict()), parse_cell(text, settings), 0)
    return Task(spec, Protocol())


@pytest.mark.slow
def test_two_commands_on_one_store_train_nothing_twice(ratings_csv: Path, tmp_path: Path) -> None:
    words = ("uniform", "popularity", "inbatch", "--seeds", "2", "--jobs", "1", *SLOW)
    both = [start(ratings_csv, tmp_path, *words) for _ in range(2)]
    ended = [finish(process) for process in both]
    assert [code for code, _, _ in ended] == [0, 0], ended
    assert ended[0][1] == ended[1][1]
    lines = "".join(stderr for _, _, stderr in ended).splitlines()
    assert sum(": 60 epochs" in line for line in lines) == 6
    assert finished(tmp_path) == 6


@pytest.mark.slow
def test_sigterm_finishes_running_runs_as_ctrl_c_does(ratings_csv: Path, tmp_path: Path) -> None:
    process = start(ratings_csv, tmp_path, "uniform", "popularity", "inbatch", "--seeds", "8", "--jobs", "2", *SLOW)
    wait_for(tmp_path, 1)
    process.terminate()
    code, stdout, stderr = finish(process)
    assert (code, stdout) == (130, "")
    assert "press Ctrl-C again to stop now" in stderr
    assert "Traceback" not in stderr
    assert 0 < finished(tmp_path) < 24


@pytest.mark.slow
def test_a_second_signal_stops_at_once(ratings_csv: Path, tmp_path: Path) -> None:
    process = start(ratings_csv, tmp_path, "toppop", "uniform", "--seeds", "1", "--jobs", "2", *ENDLESS)
    wait_for(tmp_path, 1)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    code, _, stderr = finish(process)
    assert code == 130
    assert "Traceback" not in stderr
    assert finished(tmp_path) == 1


@pytest.mark.slow
def test_a_run_that_takes_too_long_is_failed_and_the_rest_goes_on(ratings_csv: Path, tmp_path: Path) -> None:
    words = ("uniform:epochs=1000000,patience=1000000", "popularity", "--seeds", "1", "--set", "epochs=2")
    process = start(ratings_csv, tmp_path, *words, "--jobs", "1", "--cell-timeout", "3", "--format", "json")
    code, stdout, stderr = finish(process)
    assert code == 1, stderr
    reasons = [each["reason"] for each in json.loads(stdout)["failed"]]
    assert reasons == ["timed out: not done after 3 s (cell-timeout)"]
    assert finished(tmp_path) == 2


@pytest.mark.slow
def test_workers_end_with_a_command_that_is_killed(ratings_csv: Path, tmp_path: Path) -> None:
    process = start(ratings_csv, tmp_path, "toppop", "uniform", "--seeds", "1", "--jobs", "2", *ENDLESS)
    wait_for(tmp_path, 1)
    workers = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    assert len(workers) >= 2
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline, "a worker outlived its command"
        time.sleep(0.05)


def test_a_sample_of_the_users_in_validation_is_said(ratings_csv: Path) -> None:
    every, some = (execute(one("uniform", ratings_csv, epochs="2", valid_users=limit)) for limit in ("10000", "5"))
    assert not any("sample" in warning for warning in every.warnings)
    assert some.warnings[-1].startswith("epochs were chosen on a fixed sample of 5 of ")
    assert np.array_equal(every.users, some.users)


def test_too_much_memory_is_the_runs_failure(ratings_csv: Path) -> None:
    done = execute(one("uniform", ratings_csv, embedding_size="1000000000000"))
    assert done.failure is not None
    assert done.failure["reason"].startswith("out of memory: ")
    assert "Traceback" in done.failure["traceback"]


def test_scores_that_are_all_equal_are_a_failure_but_not_of_a_baseline(ratings_csv: Path) -> None:
    assert execute(one("constant", ratings_csv)).failure is None
    normal = execute(one("uniform", ratings_csv, epochs="1"))
    assert normal.failure is None
    assert normal.peak_bytes is None or normal.peak_bytes > 10_000_000
    failure = execute(
        one("uniform", ratings_csv, epochs="1", init="normal", init_std="1e-30", learning_rate="1e-30")
    ).failure
    assert failure is not None  # products of such vectors are 0 in 32 bits
    assert failure["reason"] == "constant scores: for every test user all items have the same score"


def test_a_full_disk_is_one_sentence_and_leaves_nothing(ratings_csv: Path, tmp_path: Path) -> None:
    """A file that may not grow fails as a full disk does, with an OSError from the write."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "nothing half-written was left" in done.stdout
    assert list((tmp_path / SPEC.data.folder).iterdir()) == []


FULL = """
import resource, sys
from pathlib import Path
import pyarrow.parquet, pytest
from datasets.errors import UserError
from tests.bench.test_store import SPEC, Store, result
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    Store(Path(sys.argv[1])).save(SPEC, result(), [5, 10, 20])
except UserError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_command_on_a_full_disk_goes_on_once_there_is_room(ratings_csv: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("cannot mount a small disk here")
    try:
        words = ("random", "ials:iterations=1,factors=4", "--seeds", "6", "--jobs", "1")
        code, stdout, stderr = finish(start(ratings_csv, disk, *words))
        assert (code, stdout) == (2, "")
        assert "No space left on device" in stderr
        assert "Traceback" not in stderr
        kept = finished(disk)
        assert 0 < kept < 12
        assert list(disk.glob("*/.writing-*")) == []
        subprocess.run(["mount", "-o", "remount,size=8m", disk], check=True)
        again = bench("compare", *words, "--dataset", ratings_csv, "--results", disk)
        assert again.code == 0, again.err
        assert f"{12 - kept} of 12 runs to do" in again.err
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_folder_left_by_a_kill_is_never_read(tmp_path: Path) -> None:
    store = Store(tmp_path)
    whole = store.save(SPEC, result(), [10])
    hidden = whole.path.with_name(".writing-killed-before-the-rename")
    whole.path.rename(hidden)
    assert store.find(SPEC) is None
    assert list(store.runs()) == []
