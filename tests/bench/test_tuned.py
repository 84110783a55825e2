"""The file of tuned settings and the trials in the store: what is applied, what is refused, what survives a kill."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cli.tune import Tune
from bench.runs.design import design
from bench.runs.pruning import given_up
from bench.runs.spec import parse_cell
from bench.runs.store import Store, failed
from bench.tuning import kept
from bench.tuning.space import space
from bench.tuning.study import Answer, Asked, Plan, Study, search
from bench.tuning.tuned import edges, late, read, tuned_cell, tuned_text
from datasets.errors import UserError
from datasets.protocol import Protocol
from recmodels.search import Search
from tests.bench.test_store import SPEC, result
from tests.inputs.asking import bench

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
def test_late_is_a_best_trial_among_the_last_tenth(best, expected):
    assert late([float(n == best) for n in range(20)]) is expected


def test_a_file_that_is_none_is_refused(tmp_path):
    path = tmp_path / "x.toml"
    with pytest.raises(UserError, match="There is no"):
        read(path)
    for text, said in (
        ("schema = 99\ncommand = ''\nkey = {}\nstudy = {}", "schema 99"),
        ("a = ", "is not TOML"),
        ("schema = 1", "holds no tuned settings, for it has no 'command'"),
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


def trained_as_far_as_the_floors(self, experiment, tasks, keep, total=None):
    """In place of training: every curve has 12 epochs at 0.1."""
    for task in tasks:
        stopped = given_up([0.1] * 12, task.floors, 0)
        history = [(epoch, 0.5, 0.1, 0.1) for epoch in range(1, (stopped or 12) + 1)]
        keep(task, replace(result(), history=history, given_up=stopped))


@pytest.mark.parametrize("first", [0, 1])
def test_two_cells_that_ask_for_one_training_have_it_by_their_own_floors(experiment, tmp_path, monkeypatch, first):
    monkeypatch.setattr(Tune, "carry_out", trained_as_far_as_the_floors)
    asked = [Asked(experiment.cells[0], 1000, floors) for floors in ((), (0.2,) * 12)]
    answers = Tune()._evaluate(experiment, asked[first:] + asked[:first])
    assert [one.given_up for one in answers[first:] + answers[:first]] == [None, 10]


def test_trials_that_are_not_in_the_store_are_one_sentence(experiment, monkeypatch):
    monkeypatch.setattr(Tune, "carry_out", lambda *_: None)
    with pytest.raises(UserError, match=r"1 trials ended and are not in .*; repeat the command"):
        Tune()._evaluate(experiment, [Asked(experiment.cells[0], 1000)])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"seeds": (0, 1001)}, "tuning seeds start at 1000"),
        ({"seeds": (1000,)}, "--seeds needs two at least"),
        ({"out": "tuned.toml", "dataset": ["a", "b"]}, "--out is for one data set and there are 2"),
        ({"curve": "curve.png", "dataset": ["a", "b"]}, "--curve is for one data set and there are 2"),
        ({"curve": "curve.gif"}, r"written as .svg, .pdf, .png, not '.gif'"),
        ({"out": "."}, "is a folder; give another --out"),
        ({"curve": "file/curve.png"}, "file is a file; give another --curve"),
    ],
)
def test_what_would_stop_a_search_at_its_end_is_refused_before_it(tmp_path, monkeypatch, asked, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    paths = {key: Path(value) for key, value in asked.items() if key in ("out", "curve")}
    with pytest.raises(UserError, match=said):
        Tune(**asked | paths)._check()


def test_a_run_of_another_command_that_failed_is_tried_again_once_where_asked(experiment, monkeypatch):
    spec, tried = experiment.spec(experiment.cells[0], 1000), []
    experiment.store.save(spec, failed("no memory"), [10])

    def fails_again(self, experiment, tasks, keep, total=None):
        for task in tasks:
            tried.append(task.spec.run_id)
            keep(task, failed("no memory at all"))

    monkeypatch.setattr(Tune, "carry_out", fails_again)
    asked = [Asked(experiment.cells[0], 1000)]
    assert [one.failure for one in Tune()._evaluate(experiment, asked)] == ["no memory"]
    assert tried == []
    assert [one.failure for one in Tune(retry_failed=True)._evaluate(experiment, asked)] == ["no memory at all"]
    assert tried == [spec.run_id]


COMMAND = ["tune", "uniform+bpr", "inbatch+softmax", "--trials", "7", "--finalists", "2", "--quiet"]
COMMAND += ["--set", "epochs=12", "--set", "embedding_size=8", "--space", "negatives=1..8:log"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_study_that_is_killed_twice_and_goes_on_with_other_workers_ends_alike(ratings_csv, tmp_path):
    def words(name):
        places = ["--dataset", ratings_csv, "--results", tmp_path / name, "--out", tmp_path / f"{name}.toml"]
        return [*COMMAND, *map(str, places)]

    assert bench(*words("whole")).code == 0
    for runs, jobs in ((1, "2"), (6, "3")):
        command = [sys.executable, "-m", "bench", *words("killed"), "--jobs", jobs]
        running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        while len(list((tmp_path / "killed").glob("*/*/run.json"))) < runs:
            assert running.poll() is None
            time.sleep(0.02)
        running.send_signal(signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL
        assert not (tmp_path / "killed.toml").exists()
    assert bench(*words("killed")).code == 0
    assert (tmp_path / "killed.toml").read_bytes() == (tmp_path / "whole.toml").read_bytes()


def test_a_table_names_what_was_searched(ratings_csv, tmp_path):
    words = ["--dataset", str(ratings_csv), "--results", str(tmp_path / "runs"), "--set", "epochs=3"]
    out = str(tmp_path / "tuned.toml")
    few = ["--trials", "3", "--finalists", "1", "--seeds", "1000-1001"]
    tuned = bench("tune", "uniform+bpr", *words, *few, "--out", out)
    assert tuned.code == 0, tuned.err
    named = re.findall(r"uniform\+bpr (?:trial|finalist) \d seed 100[01]", tuned.err)
    assert [name.split()[1:] for name in sorted(set(named))][1:] == [
        ["trial", number, "seed", "1000"] for number in "012"
    ], tuned.err
    asked = ["--seeds", "2", "--tuned-from", out, "--format", "json"]
    refused = bench("compare", "uniform+bpr", "toppop", *asked, *words)
    assert refused.code == 2
    assert "toppop" in refused.err
    told = json.loads(bench("compare", "uniform+bpr", *asked, *words).out)["facts"]["tuned"]
    assert "3 trials of l2" in told
