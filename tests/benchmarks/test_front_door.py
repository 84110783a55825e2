"""Processor time of whole commands; `ratio` is to a Python that imports typer and rich.

A cached comparison imports numpy, pyarrow and what typer checks values with (pydantic) before it does anything, which
takes most of five times the reference. What it adds of its own is held to as much again.
"""

import os
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
ROUNDS = 7
REFERENCE = ("-c", "import typer, rich")
LIBRARIES = ("-c", "import typer, rich, typer._adapters, numpy, pyarrow.parquet")


def seconds(*words):
    """User and system time of a process that runs compiled files, as they are from the second command on."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], cwd=ROOT, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def medians(*commands):
    """The median time of each command, of rounds in which they take turns; the first round compiles."""
    rounds = [[seconds(*command) for command in commands] for _ in range(ROUNDS + 1)]
    return [median(times) for times in zip(*rounds[1:], strict=True)]


def test_help(record_property):
    reference, helped = medians(REFERENCE, ("-m", "bench", "--help"))
    record_property("ratio", helped / reference)
    assert helped <= 3 * reference


def test_cached_compare(record_property, ratings_csv, tmp_path):
    words = ("--dataset", str(ratings_csv), "--seeds", "2", "--jobs", "1", "--quiet", "--results", str(tmp_path))
    command = ("-m", "bench", "compare", "toppop", "constant", *words)
    seconds(*command)  # trains
    reference, libraries, compared = medians(REFERENCE, LIBRARIES, command)
    record_property("ratio", compared / reference)
    record_property("libraries", libraries / reference)
    assert compared <= 2 * libraries
