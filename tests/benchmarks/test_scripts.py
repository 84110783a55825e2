"""The scripts of experiments/ that the documents name run as they say."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


def run(*words, cwd=ROOT):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *words], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_growth_draws_its_points_and_keeps_them(tmp_path):
    out = tmp_path / "growth.png"
    measured = run("experiments/growth.py", "--out", str(out), "--sizes", "20000", "--optimizers", "sgd")
    assert '"ranked_users"' in measured
    assert out.with_suffix(".csv").read_text().count("\n") == 2
    assert out.stat().st_size > 10_000
    assert run("experiments/growth.py", "--out", str(out), "--sizes", "20000", "--optimizers", "sgd") == ""


def test_our_trainer_is_timed_as_others_are():
    data = "synthetic:users=200,items=100,density=0.1"
    said = json.loads(run("experiments/beside_peers.py", "--data", data, "--epochs", "2", "--validate", "1"))
    assert said["n_epochs"] == 2
    assert said["cpu_s_per_epoch"] > 0
    assert all(0 < ndcg < 1 for _, _, ndcg in said["curve"])


def test_rounded_down_reads_a_stored_run(ratings_csv, tmp_path):
    words = ["--dataset", str(ratings_csv), "--split", "ratio:test=0.15,valid=0.1", "--seeds", "1"]
    run("-m", "bench", "compare", "toppop", "constant", *words, "--results", str(tmp_path / "runs"))
    (found,) = [path for path in (tmp_path / "runs").glob("*/[!.]*") if '"toppop"' in (path / "run.json").read_text()]
    assert "rounded down" in run(str(ROOT / "experiments/rounded_down.py"), str(found), cwd=ratings_csv.parent)


def test_a_step_of_sasrec_is_timed_beside_a_plain_one():
    words = ["--data", "synthetic:users=300,items=100,density=0.1", "--steps", "1", "--losses", "bce", "softmax"]
    said = [json.loads(line) for line in run("experiments/sequence_step.py", *words).splitlines()]
    assert [found["loss"] for found in said] == ["bce", "softmax"]
    assert all(found["ratio"] < 2 for found in said)
