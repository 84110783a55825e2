"""Seconds from a file of a million ratings to arrays; `ratio` is to pandas on the same bytes, or to one SHA-256."""

import hashlib
from itertools import count

import numpy as np
import pytest

from datasets.loading import load
from datasets.readers import read_path
from tests.benchmarks.reference import CLOCK, N_INTERACTIONS, beside, training

pytestmark = pytest.mark.benchmark(timer=CLOCK)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Makes a file with so many lines, in the layout of ml-1m's ratings.dat."""

    def write(rows):
        path = tmp_path_factory.mktemp("ratings") / "ratings.dat"
        pairs = training().interactions.take(np.arange(rows) * N_INTERACTIONS // rows)
        times = 956_703_932 + np.random.default_rng(0).integers(10**8, size=rows)
        lines = zip((pairs.users + 1).tolist(), (pairs.items + 1).tolist(), times.tolist(), strict=True)
        path.write_text("".join(f"{u}::{i}::{1 + i % 5}::{t}\n" for u, i, t in lines), encoding="ascii")
        return path

    made = {}
    return lambda benchmark: made.setdefault(benchmark.enabled, write(N_INTERACTIONS if benchmark.enabled else 20_000))


def by_pandas(path):
    import pandas as pd

    pd.read_csv(path, sep=":", header=None, usecols=[0, 2, 4, 6])  # "::" would take its slow parser


def test_reading(benchmark, files):
    path = files(benchmark)
    beside(benchmark, lambda: read_path(path), lambda: by_pandas(path), "pandas", rounds=3)


def test_first_load(benchmark, files, tmp_path, monkeypatch):
    """Reading, preparing, splitting and writing to the cache."""
    path, number = files(benchmark), count()

    def first():
        monkeypatch.setenv("BENCH_DATA", str(tmp_path / str(next(number))))
        load(str(path))

    beside(benchmark, first, lambda: by_pandas(path), "pandas, reading alone", rounds=3)


def test_cached_load(benchmark, files):
    path = files(benchmark)
    beside(benchmark, lambda: load(str(path)), lambda: hashlib.sha256(path.read_bytes()).digest(), "one SHA-256")
