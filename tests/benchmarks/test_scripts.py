"""The scripts of experiments/ that the documents name run as they say."""

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from datasets import load
from recmodels.evaluation import FullRanking
from recmodels.types import Tables
from recmodels.validation import validate

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


def test_a_library_is_timed_and_ranked_as_all_are(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    beside_peers, peer = import_module("beside_peers"), import_module("peer")
    name = "synthetic:users=200,items=100,density=0.1"
    path = beside_peers.written(name, tmp_path)
    told = json.dumps({"seed": 0, "epochs": 3, "every": 1})
    for library in ("contrarec", "loop"):
        said = json.loads(run("experiments/peer.py", library, str(path), told).splitlines()[-1])
        assert [epoch for epoch, _, _ in said["curve"]] == [1, 2, 3]
        assert min(said["epochs"]) > 0
        assert all(0 < ndcg < 1 for _, _, ndcg in said["curve"])
    split, rng = load(name), np.random.default_rng(0)
    users, items = (rng.integers(-1, 2, size=(rows, 4)).astype(np.float32) for rows in (200, split.train.n_items))
    tables = Tables(torch.from_numpy(users), torch.from_numpy(items))  # with many equal scores
    expected = validate(FullRanking(split.valid, [split.train]), tables, "ndcg@10")
    assert peer.Split(path).ndcg(users, items) == pytest.approx(expected, abs=1e-12)


def test_all_libraries_are_given_as_many_settings_within_their_ranges(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    beside_peers = import_module("beside_peers")
    for library, ranges in beside_peers.RANGES.items():
        tried = beside_peers.settings(library)
        assert len({json.dumps(each) for each in tried}) == len(tried) == beside_peers.TRIALS
        for name, (low, high) in ranges.items():
            least, most = (low, high) if name in ("lr", "reg") else (2**low, 2**high)
            assert all(least <= given[name] <= most for given in tried)


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
