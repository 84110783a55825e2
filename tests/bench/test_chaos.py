"""A grid of 60 runs, disturbed by 20 kills at random moments, ends with the bytes of an undisturbed one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bench.test_executor import ROOT, finished

GRID = [f"{sampler}+{loss}" for sampler in ("uniform", "popularity", "inbatch") for loss in ("bpr", "bce")]
SEEDS, KILLS, JOBS = 10, 20, 2
RUNS = len(GRID) * SEEDS

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds worker processes in /proc")


class Command:
    """`bench compare` over the grid, its messages in a file."""

    def __init__(self, data: Path, results: Path, log: Path) -> None:
        command = [sys.executable, "-m", "bench", "compare", *GRID, "--dataset", str(data), "--results", str(results)]
        command += ["--seeds", str(SEEDS), "--jobs", str(JOBS), "--set", "epochs=12", "--set", "patience=12"]
        with log.open("a") as stream:
            self.process = subprocess.Popen(
                [*command, "--retry-failed"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=stream
            )

    def workers(self) -> list[int]:
        pid = self.process.pid
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            return [int(c) for c in children if b"spawn_main" in Path(f"/proc/{c}/cmdline").read_bytes()]
        except OSError:
            return []


@pytest.mark.long
@pytest.mark.timeout(900)
def test_sixty_runs_survive_twenty_kills(ratings_csv: Path, tmp_path: Path) -> None:
    calm, stormy, log = tmp_path / "calm", tmp_path / "stormy", tmp_path / "log"
    assert Command(ratings_csv, calm, tmp_path / "calm-log").process.wait(timeout=300) == 0
    rng = random.Random(7)
    victims = ["worker"] * 14 + ["client"] * 6
    rng.shuffle(victims)
    # Every kill waits for the next runs to be kept, so that kills are spread over the whole grid.
    moments = sorted(rng.sample(range(1, RUNS - 6), KILLS))
    command = Command(ratings_csv, stormy, log)
    for victim, moment in zip(victims, moments, strict=True):
        deadline = time.monotonic() + 120
        while finished(stormy) < moment:
            assert command.process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.1))
        workers = command.workers()
        if victim == "worker" and workers:
            os.kill(rng.choice(workers), signal.SIGKILL)
        else:
            command.process.send_signal(signal.SIGKILL)
            command.process.wait()
            command = Command(ratings_csv, stormy, log)
    assert command.process.wait(timeout=300) in (0, 1), log.read_text()  # 1 if a killed run failed
    last = Command(ratings_csv, stormy, log)  # tries again what the killed workers were at
    assert last.process.wait(timeout=300) == 0, log.read_text()
    files = sorted(path.relative_to(calm) for path in calm.glob("*/[!.]*/users.parquet"))
    assert len(files) == RUNS
    for file in files:
        assert (calm / file).read_bytes() == (stormy / file).read_bytes()
    lines = log.read_text().splitlines()
    done, failed = sum(": 12 epochs" in line for line in lines), sum("worker process died" in line for line in lines)
    assert RUNS <= done <= RUNS + victims.count("client") * JOBS, "nothing is trained twice but what was in flight"
    assert failed <= KILLS
