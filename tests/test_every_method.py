"""On real data every sampler, with a loss that can use its law, and every loss beats popularity as recommended."""

from __future__ import annotations

import json
import lzma
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.pages.losses import cells

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "data" / "research-only" / "ml-100k" / "u.data.xz"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not REAL.is_file(), reason="needs the real MovieLens 100K, which may not be shipped"),
    pytest.mark.timeout(7200),
]


def test_every_method_beats_popularity(tmp_path: Path) -> None:
    (tmp_path / "mirror" / "ml-100k").mkdir(parents=True)
    (tmp_path / "mirror" / "ml-100k" / "u.data").write_bytes(lzma.decompress(REAL.read_bytes()))
    command = [sys.executable, "-m", "bench", "compare", *cells(), "--recommended", "--seeds", "1", "--format", "json"]
    env = {**os.environ, "BENCH_DATA_MIRROR": str(tmp_path / "mirror"), "BENCH_DATA": str(tmp_path / "data")}
    done = subprocess.run(
        [*command, "--results", str(tmp_path / "runs")], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = {row["name"]: row["metrics"]["ndcg@10"]["mean"] for row in json.loads(done.stdout)["rows"]}
    assert set(found) == set(cells())
    toppop = found.pop("toppop")
    assert {name: value for name, value in found.items() if value <= toppop} == {}
