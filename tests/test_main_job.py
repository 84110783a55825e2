"""The main job on real data: `make bench` in small, with the numbers that libraries reach on this protocol."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.results.published import read
from bench.results.ranks import Measured
from bench.results.rerun import elsewhere, outcome
from bench.runs.store import Store
from tests.real_data import ROOT

PUBLISHED = ROOT / "results" / "ml-100k-defaults"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the runs of the main job are stored."""
    return tmp_path_factory.mktemp("main-job")


@pytest.fixture(scope="module")
def table(ml_100k: dict[str, str], results: Path) -> dict[str, dict[str, float]]:
    """Mean test metrics of the nine default cells, one seed, and of the two baselines."""
    grid = [f"{s}+{loss}" for s in ("uniform", "popularity", "inbatch") for loss in ("bpr", "bce", "softmax")]
    command = [sys.executable, "-m", "bench", "compare", *grid, "toppop", "constant", "--seeds", "1"]
    command += ["--format", "json", "--results", str(results)]
    done = subprocess.run(command, cwd=ROOT, env=ml_100k, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["data"]["sha256"] == "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490"
    assert result["data"]["verified"]
    assert (result["users"], result["failed"], result["skipped"]) == (943, [], [])
    assert result["protocol"]["users_with_tied_last_time"] == 415
    return {row["name"]: {name: value["mean"] for name, value in row["metrics"].items()} for row in result["rows"]}


def test_uniform_bpr_reaches_what_libraries_reach(table: dict[str, dict[str, float]]) -> None:
    assert table["uniform+bpr"]["ndcg@10"] >= 0.055
    assert table["uniform+bpr"]["hr@10"] >= 0.105


def test_popularity_lands_where_counting_says(table: dict[str, dict[str, float]]) -> None:
    """80 of 943 users have their test item among the ten most popular unseen ones."""
    assert table["toppop"]["hr@10"] == pytest.approx(80 / 943, abs=1e-3)
    assert table["toppop"]["ndcg@10"] == pytest.approx(0.0441, abs=1e-4)


def test_a_constant_model_is_chance(table: dict[str, dict[str, float]]) -> None:
    """Ten of about 1,577 unseen items: 10 / (1,682 - 105) on average, more for users with fewer unseen items."""
    assert table["constant"]["hr@10"] == pytest.approx(10 / (1682 - 105), rel=0.03)


def test_default_rows_beat_popularity(table: dict[str, dict[str, float]]) -> None:
    """But for in-batch negatives under bce, which lowers every item by how often it is drawn (docs/protocol.md)."""
    trained = {name: row["ndcg@10"] for name, row in table.items() if "+" in name}
    assert len(trained) == 9
    trained.pop("inbatch+bce")
    assert min(trained.values()) > table["toppop"]["ndcg@10"]


@pytest.mark.usefixtures("table")
@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="needs the published table of MovieLens 100K")
def test_committed_runs_come_out_again(results: Path) -> None:
    """The nine runs of seed 0, of the published table of the same cells: each to the last rank on the same machine."""
    made = {run.path.name: run for run in Store(results).runs()}
    published = read(PUBLISHED)
    published.check_current()
    compared = [run for cell in published.cells for run in published.runs(cell) if run.record["spec"]["seed"] == 0]
    assert len(compared) == 9
    for run in compared:
        again = made[run.run_id]
        other = elsewhere(run, again.record["provenance"])
        same, said = outcome(Measured(*run.measured()), Measured(*again.measured()), other)
        assert same, f"{run.record['spec']}: {said}"
