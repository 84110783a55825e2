"""One thread for every benchmark, as in a run, and the ratios below pytest-benchmark's table, which leaves them out."""

import pytest
import torch

from bench.pages.speed import ratios_part


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pytest_terminal_summary(terminalreporter, config):
    timed = [vars(b) for b in getattr(config, "_benchmarksession").benchmarks if "ratio" in b.extra_info]  # noqa: B009
    if timed:
        terminalreporter.write_line(f"Times the seconds of a reference, smaller is faster:\n{ratios_part(timed)}")
