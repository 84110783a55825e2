"""Processor time of reading dates; `ratio` is to reading the same rows without times."""

import time

import numpy as np
import pytest

from datasets.readers import read_path


@pytest.mark.parametrize("suffix", ["", " UTC", "+02:00"])
def test_dates(benchmark, tmp_path, suffix):
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 20_000, 300_000), rng.integers(0, 5_000, 300_000)
    moments = (np.datetime64("2015-01-01 00:00:00") + rng.integers(0, 10**8, 300_000)).astype(str)
    rows = [f"{u},{i}" for u, i in zip(users, items, strict=True)]
    (tmp_path / "plain.csv").write_text("user,item\n" + "\n".join(rows))
    timed = [f"{row},{moment.replace('T', ' ')}{suffix}" for row, moment in zip(rows, moments, strict=True)]
    (tmp_path / "timed.csv").write_text("user,item,time\n" + "\n".join(timed))
    spent = {"plain": [], "timed": []}
    for _ in range(5):
        for name, seconds in spent.items():
            start = time.process_time()
            table = read_path(tmp_path / f"{name}.csv")
            seconds.append(time.process_time() - start)
    assert len(table.users) == 300_000
    ratio = round(min(spent["timed"]) / min(spent["plain"]), 2)
    benchmark.extra_info |= {"ratio": ratio, "to": "the same rows without times"}
    benchmark.pedantic(lambda: read_path(tmp_path / "timed.csv"), rounds=1)
