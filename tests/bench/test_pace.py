"""What a few steps tell of an epoch, on a clock that only the steps move."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.runs import pace, stopwatch
from bench.runs.design import Experiment, design
from bench.runs.estimate import Paces, dry_run, estimate, finished
from bench.runs.executor import paces
from bench.runs.pace import Pace
from bench.runs.runner import Task, execute
from bench.runs.spec import Data, RunSpec, parse_cell
from bench.runs.store import Store
from datasets import Consent, Protocol, load
from tests.bench.test_store import result


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
    for cell in ("toppop", DIVERGES):
        execute(Task(spec(cell), Protocol(), Consent()), split=split, on_pace=told.append)
    assert len(told) <= 1


def test_the_range_is_from_patience_to_epochs_and_the_sum_waits_for_all_cells() -> None:
    first = spec("uniform", epochs="100", patience="10")
    second = spec("dns", epochs="5", patience="10")
    paces = Paces([first, replace(first, seed=1), second, spec("toppop")], jobs=2, done={})
    assert paces.sentence(first, Pace(1.5, 0.5)) == (
        "uniform: an epoch takes 1.5 s and ranking after it 0.5 s, a run 22 s to 3 min (epochs 11 to 100)."
    )
    assert paces.sentence(second, Pace(1.0, 1.0)).endswith("a run 10 s (epochs 5); all runs 27 s to 3 min.")


SMALL = "synthetic:users=60,items=80,density=0.1"
DIVERGES = "uniform:learning_rate=1e30,optimizer=sgd,batch_size=8"


def planned(tmp_path: Path, *names: str, seeds: int = 2) -> Experiment:
    """Cells of 11 to 100 epochs on generated data, and an empty store."""
    return design(names, dataset=SMALL, protocol=Protocol(), seeds=tuple(range(seeds)), store=Store(tmp_path))


def finish(experiment: Experiment, name: str, seconds: float) -> None:
    """Keep the first run of a cell, as one that took so long."""
    cell = next(cell for cell in experiment.cells if cell.name == name)
    done = replace(result(), seconds={"train": 1.0, "evaluate": 1.0, "total": seconds}, peak_bytes=3 << 20)
    experiment.store.save(experiment.spec(cell, 0), done, [10])


def test_a_worker_tells_the_pace_of_each_or_what_it_met(tmp_path: Path) -> None:
    experiment = planned(tmp_path, "uniform", "toppop", DIVERGES)
    tasks = [Task(experiment.spec(cell, 0), experiment.protocol) for cell in experiment.cells]
    found = {task.spec.cell.name: pace for task, pace in paces(tasks, 60, 60)}
    assert list(found) == ["uniform", "toppop", DIVERGES]
    *measured, failed = found.values()
    assert all(isinstance(one, Pace) and one.training > 0 and one.ranking > 0 for one in measured)
    assert str(failed).startswith("its first steps fail: Diverged: ")
    assert list(tmp_path.iterdir()) == [], "nothing is stored"


def test_what_takes_too_long_is_left_and_the_rest_when_all_time_is_spent(tmp_path: Path) -> None:
    slow = planned(tmp_path, "uniform+softmax:batch_size=1", "uniform", "popularity")
    tasks = [Task(slow.spec(cell, 0), slow.protocol) for cell in slow.cells]
    began = time.monotonic()
    found = list(paces(tasks, each=0.01, together=1e-9))  # not even the data are open by then
    assert [(task.spec.cell.name, pace) for task, pace in found] == [
        ("uniform+softmax:batch_size=1", "its first steps take more than 0.01 s")
    ]
    assert time.monotonic() - began < 60


def test_a_baseline_is_fitted_whole_and_ranks_all_users_by_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 100.0, 107.0, 110.0])  # before; before and after fitting; after ranking ten users
    monkeypatch.setattr(pace, "USERS", 10)
    task = Task(spec("toppop"), Protocol(), Consent())
    split = load(SMALL)
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    told = pace.measure(task, split)
    assert (told.training, told.ranking) == (7.0, pytest.approx(103 * len(set(split.valid.users.tolist())) / 10))


def test_the_plan_goes_by_finished_runs_of_a_cell_and_by_a_few_steps_of_the_others(tmp_path: Path) -> None:
    experiment = planned(tmp_path, "uniform", "popularity", "toppop", seeds=3)
    text = dry_run(experiment, experiment.missing(), 2, {})
    assert "No run of these is finished and none was measured" in text
    finish(experiment, "uniform", 8.0)
    missing = experiment.missing()
    text = dry_run(experiment, missing, 2, {"popularity": Pace(1.5, 0.5), "toppop": Pace(4.0, 1.0)})
    # two more of uniform at 8 s, three of popularity with 11 to 100 epochs of 2 s, 4 + 2 × 1 s for toppop; two workers
    assert "popularity 0 0 3 1.5 s 0.5 s 22 s to 3 min" in " ".join(text.split())
    assert (
        "The rest takes about 44 s to 5 min on 2 workers and 3 MiB of memory per worker, judging by the 1 done and a "
        "few steps of 2 cells: patience ends a run at the earliest, `epochs` at the latest."
    ) in text
    text = dry_run(experiment, missing, 1, {"popularity": "its first steps take more than 10 s", "toppop": Pace(4, 0)})
    assert "Not measured: popularity: its first steps take more than 10 s." in text
    # 16 s, 4 s, and three runs like the mean of 8 and 4 s
    assert "about 38 s on 1 worker" in text
    assert "; 1 more is taken to be as these on average." in text


def test_runs_are_judged_by_finished_ones_of_their_own_cell_alone(tmp_path: Path) -> None:
    experiment = planned(tmp_path, "uniform", "popularity", seeds=3)
    finish(experiment, "uniform", 8.0)
    assert estimate(experiment.missing(), finished(experiment), 2) == ""
    paced = Paces(experiment.missing(), 2, finished(experiment))
    popularity = next(spec for spec in experiment.missing() if spec.cell.name == "popularity")
    assert paced.sentence(popularity, Pace(1.5, 0.5)).endswith("; all runs 41 s to 5 min.")
    finish(experiment, "popularity", 2.0)
    assert estimate(experiment.missing(), finished(experiment), 2) == ": about 10 s, judging by the 2 done"
