"""On real data every sampler, with a loss that can use its law, and every loss beats popularity as recommended."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.pages.losses import RATED, asking, cells
from tests.real_data import ROOT

pytestmark = [pytest.mark.long, pytest.mark.timeout(7200)]


@pytest.mark.parametrize(
    ("names", "options"),
    [(cells(), []), (asking(), ["--min-rating", RATED])],
    ids=["any data", "ratings below a threshold are negatives"],
)
def test_every_method_beats_popularity(
    names: list[str], options: list[str], ml_100k: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "bench", "compare", *names, *options, "--recommended", "--seeds", "1"]
    command += ["--format", "json", "--results", str(tmp_path / "runs")]
    done = subprocess.run(command, cwd=ROOT, env=ml_100k, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = {row["name"]: row["metrics"]["ndcg@10"]["mean"] for row in json.loads(done.stdout)["rows"]}
    assert set(found) == set(names)
    toppop = found.pop("toppop")
    assert {name: value for name, value in found.items() if value <= toppop} == {}
