"""Seconds of a `bench compare` whose runs are all in the store; `ratio` is to a Python that imports numpy."""

import subprocess
import sys
from pathlib import Path

from tests.benchmarks.reference import beside

ROOT = Path(__file__).parents[2]
SETTINGS = ("--seeds", "2", "--jobs", "1", "--quiet")


def run(*words):
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True, capture_output=True)


def test_cached_compare(benchmark, ratings_csv):
    command = ("-m", "bench", "compare", "toppop", "constant", "--dataset", str(ratings_csv), *SETTINGS)
    run(*command)  # trains
    beside(benchmark, lambda: run(*command), lambda: run("-c", "import numpy"))
