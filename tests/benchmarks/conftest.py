"""One thread for every benchmark, as in a run, and the ratios below pytest-benchmark's table, which leaves them out."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pytest_terminal_summary(terminalreporter, config):
    timed = [b for b in getattr(config, "_benchmarksession").benchmarks if "ratio" in b.extra_info]  # noqa: B009
    if timed:
        terminalreporter.write_line("ratio to the reference that the head of each file names, smaller is faster:")
    for benchmark in timed:
        terminalreporter.write_line(f"{benchmark.extra_info['ratio']:8.2f}  {benchmark.fullname}")
