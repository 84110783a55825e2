"""What a few steps tell of an epoch, on a clock that only the steps move."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from bench.runs import pace, stopwatch
from bench.runs.estimate import Paces
from bench.runs.pace import Pace
from bench.runs.runner import Task, execute
from bench.runs.spec import Data, RunSpec, parse_cell
from datasets import Consent, Protocol, load


def spec(cell: str, seed: int = 0, **settings: str) -> RunSpec:
    return RunSpec(Data("synthetic:users=60,items=80,density=0.1", "0" * 64, {}), parse_cell(cell, settings), seed)


def test_the_first_step_is_not_taken_for_a_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: clock[0])
    watch = stopwatch.Stopwatch.__new__(stopwatch.Stopwatch)

    def steps() -> Any:
        clock[0] += 7  # before the epoch
        for _ in range(50):
            yield SimpleNamespace(last=False)
            yield SimpleNamespace(last=True)

    passed = 0
    for part in watch.timed(steps()):
        clock[0] += (30 if passed == 0 else 1) if part.last else 2  # a step of two parts
        passed += part.last
    assert (watch.before, watch.step, passed) == (7, 3, stopwatch.STEPS + 1)


def test_an_epoch_is_many_steps_and_ranking_many_users(monkeypatch: pytest.MonkeyPatch) -> None:
    split = load("synthetic:users=60,items=80,density=0.1")
    task = Task(spec("uniform", batch_size="8"), Protocol(), Consent())
    told: list[Pace] = []
    with_pace = execute(task, split=split, on_pace=told.append)
    assert execute(task, split=split).ranks.better.tolist() == with_pace.ranks.better.tolist()  # type: ignore[union-attr]
    seconds = [line[3] for line in with_pace.history]
    assert 0 < told[0].training < 20 * max(seconds)
    assert told[0].ranking > 0
    monkeypatch.setattr(pace, "USERS", 10)
    assert pace.measure(task, split).ranking > 0


def test_a_baseline_and_a_cell_that_cannot_be_trained_tell_no_pace() -> None:
    split = load("synthetic:users=60,items=80,density=0.1")
    told: list[Pace] = []
    for cell in ("toppop", "uniform:learning_rate=1e30,optimizer=sgd"):
        execute(Task(spec(cell), Protocol(), Consent()), split=split, on_pace=told.append)
    assert len(told) <= 1


def test_the_range_is_from_patience_to_epochs_and_the_sum_waits_for_all_cells() -> None:
    first = spec("uniform", epochs="100", patience="10")
    second = spec("dns", epochs="5", patience="10")
    paces = Paces([first, replace(first, seed=1), second, spec("toppop")], jobs=2)
    assert paces.sentence(first, Pace(1.5, 0.5)) == (
        "uniform: an epoch takes 1.5 s and ranking after it 0.5 s, a run 22 s to 3 min (epochs 11 to 100)."
    )
    assert paces.sentence(second, Pace(1.0, 1.0)).endswith("a run 10 s (epochs 5); all runs 27 s to 3 min.")
