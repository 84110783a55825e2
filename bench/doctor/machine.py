"""The machine and the terminal: limits of the system, memory, what can be printed, and variables nobody reads."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from shutil import get_terminal_size

from bench.doctor import OK, PROBLEM, WARNING, Found

WORKER = 520 << 20  # bytes, as measured (docs/scale.md)
HANDLES, PER_WORKER = 96, 8  # files that a command has open, imports included, and more for every worker
COLUMNS = 80
VARIABLES = ("BENCH_DATA", "BENCH_DATA_MIRROR", "BENCH_OFFLINE", "BENCH_RESULTS")


def handles() -> Found:
    """Whether so many files may be open as workers need."""
    limit, need = resource.getrlimit(resource.RLIMIT_NOFILE)[0], HANDLES + PER_WORKER * _cores()
    said = f"{'any number of' if limit == resource.RLIM_INFINITY else f'{limit:,}'} files may be open"
    if limit != resource.RLIM_INFINITY and limit < need:
        return Found(PROBLEM, f"{said}, and {need} are needed", f"run `ulimit -n {max(1024, need)}` before")
    return Found(OK, said)


def memory() -> Found:
    """Whether a worker on every core has room."""
    cores, free = _cores(), _available()
    if free is None:
        return Found(OK, f"{cores} cores; the system does not say how much memory is free")
    said = f"{cores} cores and {free / (1 << 30):.1f} GB of free memory"
    if free < WORKER:
        return Found(PROBLEM, f"{said}, and a worker takes {WORKER >> 20} MB", "end other programs, or ask for more")
    if free < cores * WORKER:
        return Found(WARNING, f"{said}, and a worker takes {WORKER >> 20} MB", f"use --jobs {free // WORKER}")
    return Found(OK, said)


def _available() -> int | None:
    """Bytes that are free, or that a limit on this process leaves; None where nothing says."""
    known = []
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        lines = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines())
        known.append(int(lines["MemAvailable"].split()[0]) << 10)
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return min([*known, *([limit] if limit != resource.RLIM_INFINITY else [])], default=None)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def terminal() -> Found:
    """Whether tables fit, and progress can be shown."""
    columns = get_terminal_size().columns
    if not (sys.stdout is not None and sys.stdout.isatty()):
        return Found(OK, "no terminal: plain text, and a line of progress for every run")
    if columns < COLUMNS:
        return Found(
            WARNING, f"{columns} columns cut tables short", f"widen the window to {COLUMNS}, or use --out FILE"
        )
    return Found(OK, f"{columns} columns")


def locale() -> Found:
    """Whether all characters can be printed, and file names with them opened."""
    encodings = {
        "output": "utf-8" if sys.stdout is None else sys.stdout.encoding,
        "file names": sys.getfilesystemencoding(),
    }
    wrong = [f"{what} in {name}" for what, name in encodings.items() if name.lower().replace("-", "") != "utf8"]
    if wrong:
        return Found(WARNING, f"{' and '.join(wrong)}: ± and names are escaped", "set LC_ALL=C.UTF-8 or PYTHONUTF8=1")
    return Found(OK, "all characters can be printed")


def variables() -> Found:
    """Whether a variable is set that nobody reads."""
    from datasets.errors import closest

    for name in sorted(os.environ):
        if name.startswith("BENCH_") and name not in VARIABLES:
            meant = closest(name, VARIABLES)
            fix = f"did you mean {meant}?" if meant else f"there are {', '.join(VARIABLES)}"
            return Found(WARNING, f"nobody reads {name}", fix)
    given = [f"{name}={os.environ[name]}" for name in VARIABLES if os.environ.get(name)]
    return Found(OK, ", ".join(given) or "no BENCH_ variable is set")
