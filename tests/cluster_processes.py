"""A real Dask scheduler and real workers over TCP on the loopback, for tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


class Cluster:
    """A scheduler and workers in processes of their own; workers share no data folder with the client."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.processes, self.workers = folder, [], {}
        file = folder / "scheduler.json"
        self._start("scheduler", "--port", "0", "--scheduler-file", str(file))
        deadline = time.monotonic() + 60
        while not file.exists() or not file.read_text():
            assert time.monotonic() < deadline, "no scheduler"
            time.sleep(0.05)
        self.address = str(json.loads(file.read_text())["address"])

    def _start(self, kind: str, *words: str, source: Path = ROOT) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-m",
            f"distributed.cli.dask_{kind}",
            *words,
            "--host",
            "127.0.0.1",
            "--no-dashboard",
        ]
        env = {**os.environ, "PYTHONPATH": str(source), "BENCH_DATA": str(self.folder / "nothing-here")}
        log = (self.folder / f"{kind}-{len(self.processes)}.log").open("wb")
        process = subprocess.Popen(command, cwd=self.folder, env=env, stdout=log, stderr=log)
        log.close()
        self.processes.append(process)
        return process

    def worker(self, name: str, *words: str, source: Path = ROOT) -> subprocess.Popen[bytes]:
        words = words or ("--nthreads", "1")
        local = ("--no-nanny", "--local-directory", str(self.folder))
        self.workers[name] = self._start("worker", self.address, "--name", name, *local, *words, source=source)
        return self.workers[name]

    def stop(self, *names: str) -> None:
        for name in names:
            process = self.workers.pop(name)
            process.kill()
            process.wait()

    def close(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()
