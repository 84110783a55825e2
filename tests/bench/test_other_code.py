"""An edited method never returns an old number, and what was made by other code is found and explained."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.cli.tune import Tune
from bench.runs.other_code import other_code
from bench.runs.spec import RunSpec
from bench.runs.store import Store
from tests.bench.test_store import SPEC, result
from tests.cluster_processes import Cluster

ROOT = Path(__file__).parents[2]


def by_other_code(*names: str, seed: int = 0) -> RunSpec:
    spec = replace(SPEC, seed=seed)
    object.__setattr__(spec, "code", {**spec.code, **dict.fromkeys(names, "0" * 12)})
    return spec


def test_runs_by_other_code_are_counted_by_what_was_edited(tmp_path: Path) -> None:
    store = Store(tmp_path)
    asked = [replace(SPEC, seed=seed) for seed in range(4)]
    assert other_code(store, asked) == ""
    for seed in (0, 1):
        store.save(by_other_code("bpr", seed=seed), result(), [10])
    assert other_code(store, asked) == "2 runs were made by other code of 'bpr'; they are kept and not used."
    store.save(by_other_code("uniform", "mf", seed=2), result(), [10])
    assert other_code(store, asked) == (
        "2 runs were made by other code of 'bpr'; they are kept and not used. "
        "1 run was made by other code of 'uniform' and 'mf'; it is kept and not used."
    )
    assert other_code(store, asked[3:]) == ""
    assert other_code(store, asked, "cuda:1") == ""


def test_what_is_stored_is_not_other_code_and_damaged_runs_are_none(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(SPEC, result(), [10])
    assert other_code(store, [SPEC]) == ""
    run = store.save(by_other_code("bpr"), result(), [10])
    (run.path / "run.json").write_text("{")
    assert other_code(store, [SPEC]) == ""


def test_a_search_says_it_of_its_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    store.save(by_other_code("bpr"), result(), [10])
    monkeypatch.setattr(Tune, "carry_out", lambda *_: None)
    experiment: Any = SimpleNamespace(store=store, device="cpu", protocol=None)
    for quiet, said in ((False, "1 run was made by other code of 'bpr'; it is kept and not used.\n"), (True, "")):
        told: set[str] = set()
        for _ in range(2):  # rounds
            Tune(names=["uniform"], quiet=quiet)._try(experiment, {SPEC.run_id: (SPEC, ())}, told)
        assert capsys.readouterr().err == said


def copied(folder: Path) -> Path:
    """The project, to be edited."""
    for package in ("bench", "datasets", "recmodels"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.mark.slow
def test_an_edited_method_of_the_project_trains_again_and_a_comment_does_not(ratings_csv: Path, tmp_path: Path) -> None:
    project, words = copied(tmp_path / "project"), ["--seeds", "2", "--jobs", "1", "--set", "epochs=1"]
    command = [sys.executable, "-m", "bench", "compare", "uniform", "toppop", *words, "--dataset", str(ratings_csv)]

    def compare(kind: str = "compare") -> subprocess.CompletedProcess[str]:
        given = [word if word != "compare" else kind for word in command if kind == "compare" or word not in words[2:4]]
        environment = {**os.environ, "BENCH_RESULTS": str(tmp_path / "runs")}
        return subprocess.run(given, cwd=project, env=environment, capture_output=True, text=True, check=False)

    def edit(before: str, after: str) -> None:
        file = project / "recmodels" / "samplers" / "static.py"
        text = file.read_text()
        assert before in text
        file.write_text(text.replace(before, after))

    first = compare()
    assert "3 of 3 runs to do" in first.stderr
    edit("class Uniform(Proposal):\n", "class Uniform(Proposal):\n    # a comment\n\n")
    assert (compare().stdout, compare().stderr) == (first.stdout, "")
    edit("    # a comment\n", "    edited = 1\n")
    told = "2 runs were made by other code of 'uniform'; they are kept and not used."
    missing = compare("table")
    assert missing.returncode == 2
    assert missing.stderr.rstrip().endswith(told)
    again = compare()
    assert told in again.stderr
    assert "2 of 3 runs to do" in again.stderr
    assert again.stdout.splitlines()[:4] == first.stdout.splitlines()[:4]


PLUGIN = '''from recmodels.losses import LOSSES
from helper import FACTOR


@LOSSES.register("mine", paper="none: a test", space="dot")
def mine(x):
    """The mean square of differences."""
    return FACTOR * x.mean((x.positive[:, None] - x.negative - 1).square())
'''
CELLS = ("compare", "mine", "uniform", "--seeds", "2", "--set", "epochs=2")


def plugged(folder: Path, plugin: str = PLUGIN, factor: float = 1.0) -> Path:
    """A plug-in, and a module that it imports."""
    folder.mkdir(exist_ok=True)
    (folder / "helper.py").write_text(f"FACTOR = {factor}\n")
    (folder / "mine.py").write_text(plugin)
    return folder / "mine.py"


def numbers(results: Path) -> dict[str, list[float]]:
    """The last training loss of every run of the plug-in, by the code that made it."""
    found: dict[str, list[float]] = {}
    for run in Store(results).runs():
        if run.record["spec"]["loss"]["name"] == "mine":
            found.setdefault(run.record["spec"]["code"]["mine"], []).append(run.history()[-1]["loss"])
    return found


def edits(folder: Path, train: Callable[[Path], str], results: Path) -> None:
    """Edit a plug-in and a module that it imports between calls; what changes no number trains nothing."""
    assert "4 of 4 runs to do" in train(plugged(folder))
    assert train(plugged(folder, PLUGIN.replace("    return", "    # so\n    return"))) == ""
    assert train(plugged(folder.with_name("moved"))) == ""
    said = train(plugged(folder, factor=2.0))
    assert "2 runs were made by other code of 'mine'; they are kept and not used." in said
    assert "2 of 4 runs to do" in said
    assert "2 of 4 runs to do" in train(plugged(folder, PLUGIN.replace("- 1)", "- 2)")))
    assert train(plugged(folder)) == ""
    assert [len(losses) for losses in numbers(results).values()] == [2, 2, 2]
    assert len({loss for losses in numbers(results).values() for loss in losses}) == 6
    for run in Store(results).runs():
        code = run.record["spec"]["code"].get("mine")
        assert run.record["provenance"]["plugins"] == ({"mine.py": code} if code else {})


@pytest.mark.slow
def test_an_edited_plug_in_trains_again_on_two_workers(ratings_csv: Path, tmp_path: Path) -> None:
    def train(file: Path) -> str:
        words = (*CELLS, "--jobs", "2", "--plugin", str(file), "--dataset", str(ratings_csv))
        command = [sys.executable, "-m", "bench", *words, "--results", str(tmp_path / "runs")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return "\n".join(line for line in done.stderr.splitlines() if not line.startswith("Read "))

    edits(tmp_path / "mine", train, tmp_path / "runs")


@pytest.mark.long
def test_an_edited_plug_in_trains_again_on_a_cluster_that_has_none_of_its_files(
    ratings_csv: Path, tmp_path: Path
) -> None:
    pytest.importorskip("distributed")
    cluster = Cluster(tmp_path)
    try:
        cluster.worker("first")
        cluster.worker("second")

        def train(file: Path) -> str:
            words = (*CELLS, "--cluster", cluster.address, "--plugin", str(file), "--dataset", str(ratings_csv))
            command = [sys.executable, "-m", "bench", *words, "--results", str(tmp_path / "runs")]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            shutil.rmtree(file.parent)
            return "\n".join(line for line in done.stderr.splitlines() if not line.startswith("Read "))

        edits(tmp_path / "mine", train, tmp_path / "runs")
    finally:
        cluster.close()
