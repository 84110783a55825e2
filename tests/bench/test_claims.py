"""Locks of the store between processes, as docs/scale.md promises them; and where there are none."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.runs.claims import Claims, alone
from bench.runs.runner import Task
from bench.runs.store import Store
from datasets.errors import UserError
from datasets.protocol import Protocol
from tests.bench.test_store import SPEC, result

ROOT = Path(__file__).parents[2]
RUNS = 40
BEGIN = """
import sys
from pathlib import Path
from tests.bench.test_claims import RUNS, Claims, Store, alone, drained, tasks
store = Store(Path(sys.argv[1]))
"""


def tasks() -> list[Task]:
    return [Task(replace(SPEC, seed=seed), Protocol()) for seed in range(RUNS)]


def drained(store: Store, claims: Claims) -> Iterator[int]:
    """Do what is left to do, one after the other; the seeds that were done here."""
    while claims:
        if task := claims.take():
            store.save(task.spec, result(), [10])
            claims.release(task)
            yield task.spec.seed


def process(code: str, store: Store) -> subprocess.Popen[str]:
    """Python at the point where it printed a line and waits for one."""
    command = [sys.executable, "-c", BEGIN + code, str(store.root)]
    started = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


def test_two_processes_share_the_runs_and_do_none_twice(tmp_path: Path) -> None:
    store = Store(tmp_path)
    code = "claims = Claims(store, tasks())\nprint('ready', flush=True)\ninput()\nprint(*drained(store, claims))"
    both = [process(code, store) for _ in range(2)]
    for one in both:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    done = [one.communicate(timeout=60)[0].split() for one in both]
    assert sorted(int(seed) for seeds in done for seed in seeds) == list(range(RUNS))
    assert len(list(store.runs())) == RUNS


def test_who_holds_the_whole_store_keeps_others_from_claiming(tmp_path: Path) -> None:
    store = Store(tmp_path)
    claims = Claims(store, tasks())
    owner = process("with alone(store):\n    print('ready', flush=True)\n    input()", store)
    assert claims.take() is None
    owner.kill()
    owner.communicate()
    assert claims.take() == tasks()[0]
    claims.close()


def test_a_file_system_without_locks_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.lockf", refuse)
    claims = Claims(Store(tmp_path), tasks())
    with pytest.raises(UserError, match=r"\.lock cannot be locked \(No locks available\).*--results DIR"):
        claims.take()
    claims.close()
    with pytest.raises(UserError, match="cannot be locked"), alone(Store(tmp_path)):
        pass


def test_windows_is_one_sentence() -> None:
    code = "import pathlib, importlib.util, sys; sys.platform = 'win32'; import bench"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].endswith("contrarec runs on Linux and macOS; on Windows use it inside WSL.")
