"""Where a run's time goes: known work is found in its place, and looking changes nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pytest

from bench.runs.design import design
from bench.runs.profile import PHASES, ROOT, profiled
from bench.runs.runner import Task, execute
from bench.runs.store import Store
from datasets import load
from datasets.protocol import Protocol
from tests.bench.test_cli import QUICK
from tests.inputs.asking import bench


def placed(file: str, source: str, **names: Any) -> Any:
    """The function `f` of `source`, as if it stood in `file`."""
    exec(compile(source, str(ROOT / file), "exec"), names)
    found = names["f"]
    assert isinstance(found, FunctionType)
    return found


def busy(file: str) -> Callable[[float], None]:
    source = "def f(seconds):\n end = clock() + seconds\n while clock() < end:\n  pass"
    function: Callable[[float], None] = placed(file, source, clock=time.process_time)
    return function


def test_work_counts_for_the_outermost_listed_caller_and_for_its_own_function() -> None:
    loss, draw = busy("recmodels/losses/pairwise.py"), busy("recmodels/samplers/hard.py")
    ranking = busy("recmodels/evaluation.py")
    scoring_sampler = placed("recmodels/sampling.py", "def f(): loss(0.2)", loss=loss)
    train = placed(
        "recmodels/trainer.py",
        "def f(): scoring_sampler(); draw(0.1); loss(0.2); ranking(0.1)",
        **{"scoring_sampler": scoring_sampler, "draw": draw, "loss": loss, "ranking": ranking},
    )
    with profiled() as profile:
        train()
        ranking(0.3)
    spent = profile.phases()
    expected = {"draw negatives": 0.3, "score and loss": 0.2, "validation": 0.1, "test ranking": 0.3}
    tick = 0.02  # two ticks of the slowest usual system timer, 10 ms, one at each end
    for name, seconds in spent.items():
        assert abs(seconds - expected.get(name, 0.0)) < tick, name
    own = {(name, of): seconds for name, of, seconds in profile.functions()}
    assert abs(own["recmodels/losses/pairwise.py: f", "draw negatives"] - 0.2) < tick
    assert sum(seconds for _, _, seconds in profile.functions()) == pytest.approx(profile.seconds)


def test_a_long_call_into_a_library_counts_whole() -> None:
    numbers = np.random.default_rng(0).random(3_000_000)
    sort = placed("recmodels/updates.py", "def f(x): sort(x)", sort=np.sort)
    before = time.process_time()
    with profiled() as profile:
        sort(numbers)
        spent = time.process_time() - before
    assert profile.phases()["update"] > 0.8 * spent


def test_looking_changes_no_number(ratings_csv: Path, tmp_path: Path) -> None:
    experiment = design(
        ["dns+bpr"],
        dataset=str(ratings_csv),
        protocol=Protocol(),
        settings=[("epochs", "3"), ("embedding_size", "8")],
        seeds=[0],
        store=Store(tmp_path),
    )
    (spec,) = experiment.specs()
    task, split = Task(spec, experiment.protocol, keep_embeddings=True), load(str(ratings_csv))
    plain = execute(task, split=split)
    with profiled() as profile:
        watched = execute(task, split=split)
    assert profile.samples
    assert [line[:3] for line in watched.history] == [line[:3] for line in plain.history]
    assert plain.embeddings is not None
    assert watched.embeddings is not None
    for name, table in plain.embeddings.items():
        assert table.tobytes() == watched.embeddings[name].tobytes(), name


def test_the_command_prints_the_phases_of_one_seed_of_each_cell_and_stores_nothing(
    ratings_csv: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    words = ("run", "uniform", "dns", "--dataset", ratings_csv, "--results", results, *QUICK, "--profile")
    done = bench(*words, "--format", "json")
    assert done.code == 0, done.err
    profiles = json.loads(done.out)
    assert [(p["name"], p["seed"], p["epochs"], p["failure"]) for p in profiles] == [
        ("uniform", 0, 2, None),
        ("dns", 0, 2, None),
    ]
    assert set(profiles[0]["phases"]) == {*PHASES, "imports", "other"}
    assert sum(profiles[0]["phases"].values()) == pytest.approx(profiles[0]["cpu_seconds"])
    assert not results.exists()
    text = bench(*words)
    assert text.code == 0, text.err
    assert "dns, seed 0, 2 epochs: " in text.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("table", "--profile"), "bench table has no option --profile"),
        (("run", "--profile", "--format", "latex"), "table or json"),
        (("run", "--profile", "--cluster", "tcp://127.0.0.1:1"), "leave --cluster"),
    ],
)
def test_what_cannot_be_profiled_is_said(words: tuple[str, ...], said: str, ratings_csv: Path) -> None:
    done = bench(words[0], "uniform", "--dataset", ratings_csv, *words[1:])
    assert (done.code, done.out) == (2, "")
    assert said in done.err
