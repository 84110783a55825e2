"""The file of tuned settings and the trials in the store: what is applied, what is refused, what survives a kill."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bench.runs.design import design
from bench.runs.spec import parse_cell
from bench.runs.store import Store
from bench.tuning import kept
from bench.tuning.space import space
from bench.tuning.study import Answer, Plan, Study, search
from bench.tuning.tuned import edges, late, read, tuned_cell, tuned_text
from datasets.errors import UserError
from datasets.protocol import Protocol
from recmodels.search import Search
from tests.bench.test_store import SPEC, result

pytest.importorskip("optuna")
ROOT = Path(__file__).parents[2]
SPACE = {"l2": Search(1e-6, 0.1, log=True), "learning_rate": Search(1e-3, 0.1, log=True)}
PLAN = Plan(6, 2, (1000, 1001, 1002))


@pytest.fixture
def experiment(ratings_csv, tmp_path):
    names = ["uniform+bpr", "inbatch+softmax"]
    return design(names, dataset=str(ratings_csv), protocol=Protocol(), store=Store(tmp_path / "runs"), seeds=(0, 1))


def by_rate(asked):
    """Best with a small learning rate."""
    return [
        Answer(curve=(round(1 / (1 + one.cell.settings["learning_rate"]) + one.seed % 10 * 1e-4, 6),)) for one in asked
    ]


@pytest.fixture
def found(experiment):
    """The tuned cells of `uniform+bpr+mf` by name, and the study behind them."""
    cell = experiment.cells[0]
    study = Study(cell, cell, space(cell, SPACE), "x")
    search([study], PLAN, by_rate)
    return study, tuned_cell(study, "uniform+bpr+mf")


@pytest.fixture
def file(experiment, found, tmp_path):
    path = tmp_path / "tuned.toml"
    path.write_text(tuned_text(experiment, PLAN, "bench tune uniform+bpr", [found[1]]), encoding="utf-8")
    return path


def test_the_score_is_the_mean_over_the_seeds_of_finalists(found):
    study, cell = found
    rate = study.chosen.trial.cell.settings["learning_rate"]
    assert cell.facts["validation"] == pytest.approx(1 / (1 + rate) + 1.5e-4, abs=2e-6)


def test_a_row_takes_the_tuned_settings_but_for_those_it_gives(file, found):
    tuned, values = read(file), found[1].values
    assert {"l2", "learning_rate", "sampler.reject"} == {*values}
    plain = parse_cell("uniform+bpr", {}, tuned.advice)
    assert plain.sampler is not None
    chosen = {**plain.settings, "sampler.reject": plain.sampler.parameters["reject"]}
    assert {key: chosen[key] for key in values} == dict(values)
    assert plain.trials == 6
    given = parse_cell("uniform+bpr:l2=0.5", {}, tuned.advice)
    assert (given.settings["l2"], given.settings["learning_rate"]) == (0.5, values["learning_rate"])
    assert parse_cell("uniform+bpr", {"learning_rate": "0.2"}, tuned.advice).settings["learning_rate"] == 0.2


def test_a_cell_that_the_file_lacks_is_refused(file):
    with pytest.raises(UserError, match=r"no tuned settings for popularity\+bpr\+mf; it has uniform\+bpr\+mf"):
        parse_cell("popularity+bpr", {}, read(file).advice)


def test_what_it_was_tuned_for_is_checked(file, experiment):
    tuned = read(file)
    tuned.check(experiment)
    for other, said in (
        (replace(experiment, data=replace(experiment.data, sha256="0" * 64)), "another data sha256"),
        (replace(experiment, data=replace(experiment.data, protocol={"split": "x"})), "another protocol"),
        (replace(experiment, seeds=(0, 1001)), "Seeds 1001 chose"),
    ):
        with pytest.raises(UserError, match=said):
            tuned.check(other)
    changed = replace(experiment.cells[0], settings={**experiment.cells[0].settings, "select_on": "hr@5"})
    with pytest.raises(UserError, match="another select on"):
        tuned.check(replace(experiment, cells=(changed,)))


def test_the_same_study_writes_the_same_bytes(file, experiment, found):
    assert file.read_text(encoding="utf-8") == tuned_text(experiment, PLAN, "bench tune uniform+bpr", [found[1]])


def test_edges_are_the_outer_twentieths_of_a_range(found):
    study, _ = found
    trial = study.trials[1]
    at = [replace(trial, values={"l2": value}) for value in (1e-6, 1.5e-6, 1e-3, 0.08, 0.0)]
    dimensions = [one for one in study.dimensions if one.key == "l2"]
    assert [bool(list(edges(one, dimensions))) for one in at[:4]] == [True, True, False, True]


@pytest.mark.parametrize(("best", "expected"), [(17, False), (18, True), (19, True)])
def test_late_is_a_best_trial_among_the_last_tenth(found, best, expected):
    trial = found[0].trials[0]
    trials = [replace(trial, number=n, answer=Answer(curve=(float(n == best),))) for n in range(20)]
    assert late(trials) is expected


def test_a_file_that_is_none_is_refused(tmp_path):
    path = tmp_path / "x.toml"
    with pytest.raises(UserError, match="There is no"):
        read(path)
    for text, said in (
        ("schema = 99", "schema 99"),
        ("a = ", "not a file of tuned settings"),
        ("schema = 1", "not a file"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match=said):
            read(path)


def test_a_trial_that_was_given_up_is_no_run(tmp_path):
    store, floors = Store(tmp_path), (0.1, 0.2)
    history = [(1, 0.5, 0.05, 0.1), (2, 0.4, 0.06, 0.1)]
    stopped = replace(result(), ranks=None, history=history, given_up=2, seconds={"total": 0.2})
    kept.keep(store, SPEC, floors, stopped)
    assert store.find(SPEC) is None
    assert list(store.runs()) == []
    answer = kept.answer(store, SPEC, floors)
    assert answer is not None
    assert (answer.curve, answer.given_up) == ((0.05, 0.06), 2)
    assert kept.answer(store, SPEC, (0.1, 0.3)) is None  # held to other floors it might have gone on


def test_a_changed_trial_is_refused(tmp_path):
    store = Store(tmp_path)
    kept.keep(
        store,
        SPEC,
        (),
        replace(result(), ranks=None, history=[(1, 0.5, 0.05, 0.1)], given_up=1, seconds={"total": 0.2}),
    )
    (file,) = tmp_path.glob("*/.given-up/*.json")
    file.write_text(file.read_text(encoding="utf-8").replace("0.05", "0.95"), encoding="utf-8")
    with pytest.raises(UserError, match="was changed"):
        kept.answer(store, SPEC, ())


def test_a_whole_run_answers_as_if_it_had_been_given_up(tmp_path):
    """Whatever another command left in the store, a study asks the same."""
    store = Store(tmp_path)
    history = [(epoch, 0.5, 0.1, 0.1) for epoch in range(1, 16)]
    store.save(SPEC, replace(result(), history=history), [10])
    answer = kept.answer(store, SPEC, (0.2,) * 15)
    assert answer is not None
    assert (answer.given_up, len(answer.curve)) == (10, 10)


COMMAND = [sys.executable, "-m", "bench", "tune", "uniform+bpr", "inbatch+softmax", "--trials", "7", "--finalists", "2"]
COMMAND += ["--set", "epochs=12", "--set", "embedding_size=8", "--space", "negatives=1..8:log", "--quiet"]


@pytest.mark.slow
def test_a_study_that_is_killed_and_goes_on_with_other_workers_ends_alike(ratings_csv, tmp_path):
    def start(name, jobs):
        words = [
            "--dataset",
            str(ratings_csv),
            "--results",
            str(tmp_path / name),
            "--out",
            str(tmp_path / f"{name}.toml"),
        ]
        return subprocess.Popen([*COMMAND, *words, "--jobs", jobs], cwd=ROOT, stdout=subprocess.DEVNULL)

    assert start("whole", "1").wait(250) == 0
    for after in (1, 5):
        running = start("killed", "2")
        deadline = time.monotonic() + 100
        while len(list((tmp_path / "killed").glob("*/*/run.json"))) < after and running.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        running.kill()
        running.wait()
    assert start("killed", "2").wait(250) == 0
    assert (tmp_path / "killed.toml").read_bytes() == (tmp_path / "whole.toml").read_bytes()


@pytest.mark.slow
def test_a_table_names_what_was_searched(ratings_csv, tmp_path):
    words = ["--dataset", str(ratings_csv), "--results", str(tmp_path / "runs"), "--set", "epochs=3"]
    tuned = ["--trials", "3", "--finalists", "1", "--seeds", "1000-1001", "--out", str(tmp_path / "tuned.toml")]
    bench = [sys.executable, "-m", "bench"]
    subprocess.run([*bench, "tune", "uniform+bpr", *words, *tuned], cwd=ROOT, check=True, capture_output=True)
    asked = [
        "compare",
        "uniform+bpr",
        "toppop",
        "--seeds",
        "2",
        "--tuned-from",
        str(tmp_path / "tuned.toml"),
        "--format",
        "json",
    ]
    refused = subprocess.run([*bench, *asked, *words], cwd=ROOT, check=False, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "toppop" in refused.stderr
    asked.remove("toppop")
    done = subprocess.run([*bench, *asked, *words], cwd=ROOT, check=True, capture_output=True, text=True)
    told = json.loads(done.stdout)["facts"]["tuned"]
    assert "3 trials of l2" in told
