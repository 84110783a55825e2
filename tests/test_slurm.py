"""The scripts for SLURM, with a stand-in for its `sbatch` and `scancel`; no queue, but real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import write_ratings

ROOT = Path(__file__).parents[1]
QUICK = "dataset = {data!r}\nnames = ['random', 'toppop']\nseeds = 2\n"
SBATCH = """#!/bin/bash
# As SLURM's: the tasks of an array with their number, in the folder it was called in; --wait for their end.
wait=
while [[ $1 == --* ]]; do
  case $1 in --array=*) range=${1#*=};; --wait) wait=1;; --parsable) ;; *) exit 9;; esac
  shift
done
script=$1
shift
grep -q '^#SBATCH --time=' "$script" || exit 9
for task in $(seq "${range%-*}" "${range#*-}"); do
  SLURM_ARRAY_TASK_ID=$task bash "$script" "$@" > "$LOGS/$task.out" 2>&1 &
  echo $! >> "$LOGS/pids"
done
if [ -n "$wait" ]; then
  code=0
  for pid in $(cat "$LOGS/pids"); do wait "$pid" || code=1; done
  exit $code
fi
echo 7
"""
SCANCEL = '#!/bin/bash\n[ "$1" = 7 ] && kill $(cat "$LOGS/pids") && touch "$LOGS/cancelled"\n'


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """An environment in which the queue is the stand-in."""
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(text, encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "logs").mkdir()
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "LOGS": str(tmp_path / "logs"), "PYTHON": sys.executable, "HOST": "127.0.0.1"}


def call(*words: str | Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*map(str, words)], cwd=ROOT, env=env, capture_output=True, text=True, timeout=250)
    logs = "\n".join(path.read_text() for path in sorted(Path(env["LOGS"]).glob("*.out")))
    assert done.returncode == 0, f"{done.stdout}{done.stderr}{logs}"
    (Path(env["LOGS"]) / "pids").unlink(missing_ok=True)
    return done


def measured(store: Path) -> dict[str, str]:
    """The hash of what was measured, by run."""
    records = [json.loads(path.read_text(encoding="utf-8")) for path in store.glob("*/*/run.json")]
    return {record["run_id"]: record["result_sha256"] for record in records}


@pytest.mark.slow
def test_tasks_of_an_array_share_one_store_or_fill_stores_to_merge(tmp_path: Path, slurm: dict[str, str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(QUICK.format(data=str(write_ratings(tmp_path))), encoding="utf-8")
    scripts = ROOT / "examples" / "slurm"
    shared, stores, merged = tmp_path / "shared", tmp_path / "stores", tmp_path / "merged"
    array = ("sbatch", "--wait", "--array=0-1")
    call(*array, scripts / "shared.sbatch", "run", file, "--results", shared, env=slurm)
    call(*array, scripts / "separate.sbatch", stores, "run", file, env=slurm)
    assert sorted(path.name for path in stores.iterdir()) == ["0", "1"]
    bench = (sys.executable, "-m", "bench")
    call(*bench, "runs", "merge", stores / "0", stores / "1", "--results", merged, env=slurm)
    assert len(measured(shared)) == 3  # toppop draws nothing, so that all its seeds are one run
    assert measured(merged) == measured(shared)
    table = call(*bench, "table", file, "--results", merged, "--format", "json", env=slurm)
    assert json.loads(table.stdout)["seeds"] == [0, 1]


@pytest.mark.slow
def test_workers_of_an_array_take_the_runs_of_one_command_and_end_with_it(
    tmp_path: Path, slurm: dict[str, str]
) -> None:
    pytest.importorskip("distributed")
    data, store = write_ratings(tmp_path), tmp_path / "store"
    words = ("compare", "random", "toppop", "--dataset", data, "--seeds", "1", "--results", store, "--quiet")
    done = call("bash", ROOT / "examples" / "slurm" / "dask.sh", *words, env={**slurm, "WORKERS": "1"})
    assert "Job 7 waits for its first worker" in done.stderr
    assert "toppop" in done.stdout
    assert len(measured(store)) == 2
    assert (tmp_path / "logs" / "cancelled").exists()
