"""What grids cost: `python -m bench.pages.scale costs|overhead|speedup`; docs/scale.md shows and explains the output.

A cell's seconds and bytes are linear in a handful of counts with coefficients >= 0, fitted to relative errors. A grid
on many workers is simulated: each worker takes the next cell when it is free, and one client serves all in turn.
"""

from __future__ import annotations

import heapq
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from bench.runs.store import Store
from bench.runs.stored import StoredRun
from datasets.errors import UserError

Counts = dict[str, float]
BATCH = 512  # users ranked at a time, `recmodels.evaluation.CHUNK`
TINY = ("--dataset", "synthetic:users=100,items=100,density=0.1", "--quiet")
SMALL = ("--dataset", "synthetic:users=2000,items=1500,density=0.03", "--quiet")


def time_counts(run: StoredRun) -> Counts:
    """The counts that a run's seconds grow with."""
    n, users, items, held_out, size, negatives, batch, epochs = _sizes(run)
    return {
        "run": 1,
        "epoch": epochs,
        "interaction × epoch": n * epochs,
        "negative × epoch": n * negatives * epochs,
        "number of a gathered vector × epoch": n * (negatives + 2) * size * epochs,
        "number of a table × step": (users + items) * size * np.ceil(n / batch) * epochs,
        "score ranked": held_out * items * (epochs + 1),
        "multiplication in ranking": held_out * items * size * (epochs + 1),
    }


def memory_counts(run: StoredRun) -> Counts:
    """The counts that a run's peak of memory grows with."""
    n, users, items, held_out, size, negatives, batch, _ = _sizes(run)
    return {
        "process": 1,
        "interaction": n,
        "number of a table": (users + items) * size,
        "number of a batch": min(batch, n) * (negatives + 2) * size,
        "score ranked at a time": min(BATCH, held_out) * items,
    }


def _sizes(run: StoredRun) -> tuple[float, ...]:
    facts, settings = run.record["provenance"]["facts"], run.record["spec"]["settings"]
    held_out = facts["users_with_test"]
    data = (facts["train"], facts["users"], facts["items"], held_out)
    return (*data, settings["embedding_size"], settings["negatives"], settings["batch_size"], run.record["epochs"])


def fit(counts: Sequence[Counts], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients >= 0 that make the relative errors small (Lawson and Hanson, 1974)."""
    from scipy.optimize import nnls

    table = np.array([list(each.values()) for each in counts]) / values[:, None]
    scale = table.max(axis=0)
    return np.asarray(nnls(table / scale, np.ones(len(values)))[0] / scale)


def predict(counts: Sequence[Counts], coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """The model's values."""
    return np.asarray(np.array([list(each.values()) for each in counts]) @ coefficients)


def simulate(seconds: Sequence[float], workers: int, client: float) -> float:
    """When the last of the cells is done, with `client` seconds of the one client for each of them."""
    free = [0.0] * workers
    client_free = done = 0.0
    for each in seconds:
        asked = heapq.heappop(free)
        client_free = max(client_free, asked) + client
        heapq.heappush(free, client_free + each)
        done = max(done, client_free + each)
    return done


def costs(fitted: Path, unseen: Path, cells: int = 10_000, client: float = 0.02) -> str:
    """The model's coefficients, its errors, and what a large grid of the unseen cells would cost."""
    here, there = _good(fitted), _good(unseen)
    text = []
    seconds = np.array([run.record["seconds"]["total"] for run in there])
    kinds: tuple[tuple[str, Callable[[StoredRun], Counts], Callable[[StoredRun], float]], ...] = (
        ("seconds", time_counts, lambda run: run.record["seconds"]["total"]),
        ("bytes", memory_counts, lambda run: run.record["peak_bytes"]),
    )
    for name, counts, value in kinds:
        own, new = [counts(run) for run in here], [counts(run) for run in there]
        measured, other = np.array([value(run) for run in here]), np.array([value(run) for run in there])
        found = fit(own, measured)
        text.append(tabulate(zip(own[0], found, strict=True), [f"{name} per", "coefficient"], floatfmt=".3g"))
        for label, given, truth in (("fitted", own, measured), ("unseen", new, other)):
            error = np.abs(predict(given, found) / truth - 1)
            text.append(
                f"{name}, {len(truth)} {label} cells ({truth.min():.3g} to {truth.max():.3g}): relative error "
                f"median {np.median(error):.0%}, worst {error.max():.0%}."
            )
    for times in (1, 20):
        drawn = np.random.default_rng(0).choice(seconds, cells) * times
        rows = []
        for workers in (1, 16, 256):
            wall = simulate(drawn.tolist(), workers, client)
            rows.append([workers, wall / 3600, drawn.sum() / wall, drawn.sum() / wall / workers])
        title = f"{cells:,} cells of {drawn.mean():.1f} s on average, {client * 1000:.0f} ms of the client for each"
        text.append(title + ":\n" + tabulate(rows, ["workers", "hours", "speed-up", "efficiency"], floatfmt=".3g"))
    return "\n\n".join(text)


def overhead(*where: str) -> str:
    """Milliseconds per cell beyond the cell's own: a long grid of cells that do nothing against a short one."""
    wall, own = zip(
        *(_timed(["random", *TINY, "--seeds", str(n), "--jobs", "1", *where]) for n in (20, 220)), strict=True
    )
    extra = 1000 * (wall[1] - wall[0] - (own[1] - own[0])) / 200
    parts = f"200 cells took {wall[1] - wall[0]:.1f} s, {own[1] - own[0]:.1f} s of them for themselves"
    return f"Overhead per cell: {extra:.0f} ms; {parts}."


def speedup() -> str:
    """Throughput of two workers against one on the same grid, without the start of the command."""
    grid = ["uniform", "popularity", *SMALL, "--set", "epochs=12", "--set", "patience=12"]
    wall = {}
    for jobs in (1, 2):
        few, many = (_timed([*grid, "--seeds", str(n), "--jobs", str(jobs)])[0] for n in (1, 7))
        wall[jobs] = many - few
    return f"12 runs more: {wall[1]:.1f} s with one worker, {wall[2]:.1f} s with two; speed-up {wall[1] / wall[2]:.2f}."


def _timed(words: Sequence[str]) -> tuple[float, float]:
    """Wall seconds of `bench run`, and the seconds that its cells took themselves."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bench", "run", *words, "--results", folder]
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        wall = time.perf_counter() - began
        return wall, sum(run.record["seconds"]["total"] for run in Store(Path(folder)).runs())


def _good(folder: Path) -> list[StoredRun]:
    """The quickest seed of each cell, for it was disturbed least and did not have to import anything."""
    best: dict[str, StoredRun] = {}
    for run in Store(folder).runs():
        cell = json.dumps({key: value for key, value in run.record["spec"].items() if key != "seed"}, sort_keys=True)
        seconds = run.record["seconds"]["total"]
        if run.failure is None and (cell not in best or seconds < best[cell].record["seconds"]["total"]):
            best[cell] = run
    if len(best) < 8:
        raise UserError(f"{folder} has {len(best)} finished cells and 8 are needed; docs/scale.md has the commands.")
    return list(best.values())


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["costs", fitted, unseen]:
            print(costs(Path(fitted), Path(unseen)))  # noqa: T201
        case ["overhead", *where]:
            print(overhead(*where))  # noqa: T201
        case ["speedup"]:
            print(speedup())  # noqa: T201
        case _:
            sys.exit("Usage: python -m bench.pages.scale costs FITTED UNSEEN | overhead [--cluster ADDRESS] | speedup")
