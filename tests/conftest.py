"""Small data that tests share, a place of their own for caches and results, what they cost, which stay together."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Generator
from itertools import count
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from xdist.scheduler import LoadScopeScheduling

from datasets import Interactions
from tests.real_data import fetched

# a busy machine is no fault of a test
hypothesis.settings.register_profile("tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("tests")


@pytest.fixture(autouse=True)
def _isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's own data or results, or opens a connection it did not ask for."""
    base = tmp_path_factory.getbasetemp()
    monkeypatch.setenv("BENCH_DATA", str(base / "data"))
    monkeypatch.setenv("BENCH_RESULTS", str(base / f"results-{next(COUNT)}"))  # made by whoever writes there
    monkeypatch.setenv("BENCH_OFFLINE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def make_interactions(n_users: int = 40, n_items: int = 60, per_user: int = 12, seed: int = 0) -> Interactions:
    """Users with their own taste over items of uneven popularity, shuffled."""
    rng = np.random.default_rng(seed)
    popularity = 1.0 / np.arange(1, n_items + 1)
    users, items = [], []
    for user in range(n_users):
        taste = popularity * np.where(np.arange(n_items) % 4 == user % 4, 6.0, 1.0)
        users += [user] * per_user
        items += rng.choice(n_items, per_user, replace=False, p=taste / taste.sum()).tolist()
    order = rng.permutation(len(users))
    return Interactions(np.array(users, np.int32)[order], np.array(items, np.int32)[order], n_users, n_items)


def write_ratings(folder: Path) -> Path:
    """A CSV file with header, ratings and times: 40 users, 60 items, 12 interactions each."""
    data = make_interactions()
    lines = ["user,item,rating,timestamp"]
    for k, (u, i) in enumerate(zip(data.users, data.items, strict=True)):
        lines.append(f"{u + 100},{i + 7},{1 + i % 5},{1_000_000 + k}")
    path = folder / "ratings.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def ratings_csv(tmp_path: Path) -> Path:
    """The file of `write_ratings`, in a folder of its own."""
    folder = tmp_path / "data"
    folder.mkdir()
    return write_ratings(folder)


@pytest.fixture(scope="session")
def ml_100k(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which a `bench` command has the real MovieLens 100K; skips where it cannot be had."""
    return fetched(tmp_path_factory.mktemp("ml-100k"))


def spent() -> float:
    """Processor seconds of this process and of those it has waited for."""
    return sum(os.times()[:4])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    item.stash[SPENT] = spent()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    before, item.stash[SPENT] = item.stash[SPENT], spent()
    report.cpu = item.stash[SPENT] - before
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the tests cost, and the functions that cost most; walls depend on what else the machine does."""
    costs: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            costs[getattr(report, "nodeid", "").partition("[")[0]] += getattr(report, "cpu", 0.0)
    terminalreporter.write_line(f"{costs.total():.0f} s of processor time in all")
    for name, seconds in costs.most_common(terminalreporter.config.option.durations or 0):
        terminalreporter.write_line(f"{seconds:8.1f} s {name}")


COUNT = count()
SPENT = pytest.StashKey[float]()

TOGETHER = {
    f"tests/{name}.py"
    for name in (
        "bench/test_cluster",
        "bench/test_imported",
        "bench/test_page",
        "bench/test_tampering",
        "bench/test_verify",
        "test_main_job",
    )
}
"""Files whose tests share what takes seconds to make, so that one process runs each."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What collection makes stays, and is a million objects: no collection of garbage looks at them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with long tests first, so that no process is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.nodeid.partition("::")[0] not in TOGETHER, item.path not in slow))


class _InFiles(LoadScopeScheduling):
    """Tests one by one, but those of `TOGETHER` file by file."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if file in TOGETHER else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    return _InFiles(config, log)  # type: ignore[arg-type]
