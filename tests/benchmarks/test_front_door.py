"""Processor time of whole commands; `ratio` is to a Python that imports typer and rich."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROUNDS = 7
REFERENCE = ("-c", "import typer, rich")


def seconds(*words):
    """User and system time of a process that runs compiled files, as they are from the second command on."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], cwd=ROOT, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ratio(benchmark, *command):
    """The ratio of the fastest of rounds in which both take turns, as other work only adds; the first compiles."""
    rounds = [(seconds(*command), seconds(*REFERENCE)) for _ in range(ROUNDS + 1)]
    ours, reference = (min(times) for times in zip(*rounds[1:], strict=True))
    benchmark.extra_info |= {"ratio": round(ours / reference, 2), "to": "python importing typer and rich"}
    benchmark.pedantic(lambda: seconds(*command), rounds=1)
    return ours / reference


def test_help(benchmark):
    assert ratio(benchmark, "-m", "bench", "--help") <= 3


@pytest.mark.slow
def test_cached_compare(benchmark, ratings_csv, tmp_path):
    words = ("--dataset", str(ratings_csv), "--seeds", "2", "--jobs", "1", "--quiet", "--results", str(tmp_path))
    command = ("-m", "bench", "compare", "toppop", "constant", *words)
    seconds(*command)  # trains
    assert ratio(benchmark, *command) <= 5
