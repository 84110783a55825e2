"""Experiment files mean what the same words as flags mean, and every mistake in one is a sentence."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from bench.cli.experiment_file import from_file, read, resolved
from bench.cli.grammar import Seeds, Setting
from bench.cli.run import Run
from datasets.errors import UserError
from tests.inputs.asking import Answer, bench

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "experiments").glob("*.toml"))


def run(*words: str | Path, results: Path) -> Answer:
    return bench("run", *words, "--results", results)


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def cells(request: Run) -> list[str]:
    return [spec.run_id for experiment in request.experiments() for spec in experiment.specs()]


def from_toml(path: Path) -> Run:
    return from_file(Run(names=[str(path)]), [])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_file_means_runs_and_so_does_its_resolved_form(path: Path, tmp_path: Path) -> None:
    request = from_toml(path)
    runs = cells(request)
    assert len(runs) > 5 * len(request.datasets)
    again = from_toml(write(tmp_path, resolved(request, tmp_path)))
    assert (again, cells(again)) == (request, runs)


def test_lists_multiply_as_repeated_flags_do(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'sampler = ["uniform", "popularity"]\nloss = ["bpr", "bce"]\nseeds = [3]\n[set]\nepochs = 2\nl2 = [0, 0.1]\n',
    )
    request = Run(
        sampler=["uniform", "popularity"],
        loss=["bpr", "bce"],
        seeds=Seeds.of("3-3"),
        settings=[Setting("epochs", "2"), Setting("l2", "0"), Setting("l2", "0.1")],
    )
    assert from_toml(path) == request
    assert len(set(cells(request))) == 8


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('samplr = "uniform"', "Did you mean 'sampler'?"),
        ("sampler = 3", "sampler must be a text or a list of texts, not 3."),
        ('sampler = ["uniform", 3]', "sampler must be a text or a list of texts"),
        ("split-seed = true", "split-seed must be a whole number, not true."),
        ("split-seed = 1.5", "split-seed must be a whole number, not 1.5."),
        ('alpha = "low"', 'alpha must be a number, not "low".'),
        ("quiet = 1", "quiet must be true or false, not 1."),
        ("metric = []", "metric must be a text, not []."),
        ("set = 3", "set must be a table"),
        ("[set]\nepochs = [[1]]", "set.epochs must be one value or a list of values"),
        ("sampler = ", "is not TOML"),
        ("seeds = 1979-05-27", "seeds must be a whole number, a list of them or a text"),
        ("seeds = [7, 7]", "seeds 7,7 names a seed twice"),
        ("seeds = [7, -1]", "seeds 7,-1 names no seeds"),
        ("cutoffs = [5, 5]", "cutoffs 5,5 is not a list of whole numbers from 1 to 10000, each once"),
        ("cutoffs = [0]", "cutoffs 0 is not a list"),
        ("k-core = [1, 2, 3]", "k-core 1,2,3 is not K or users,items"),
        ("jobs = 0", "jobs must be at least 1, not 0."),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UserError) as found:
        read(write(tmp_path, text), Run)
    assert sentence in str(found.value)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    done = run("no/such.toml", results=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "no/such.toml does not exist" in done.err
    assert done.err.count("\n") == 1


def test_a_file_runs_says_what_is_done_and_is_kept_with_the_results(ratings_csv: Path, tmp_path: Path) -> None:
    results, other = tmp_path / "results", tmp_path / "data" / "other.csv"
    shutil.copy(ratings_csv, other)
    other.write_text(other.read_text() + "100,66,5,2000000\n")
    path = write(
        tmp_path,
        f'sampler = ["uniform", "popularity"]\ndataset = {json.dumps([str(ratings_csv), str(other)])}\nseeds = 2\n'
        "[set]\nepochs = 2\n",
    )
    before = run(path, "--dry-run", results=results)
    assert before.code == 0, before.err
    assert before.out.count("2 cells × 2 seeds = 4 runs") == 2
    assert "0 done, 0 failed, 4 to do" in before.out
    assert "judging by a few steps of 2 cells" in before.out
    assert not list(results.glob("*/*/run.json"))
    done = run(path, "--seeds", "1", results=results)  # a flag beside the file wins
    assert done.code == 0, done.err
    assert len(list(results.glob("*/*/run.json"))) == 4
    after = run(path, "--dry-run", results=results)
    assert after.out.count("2 done, 0 failed, 2 to do") == 2
    assert "of memory per worker, judging by the 2 done" in after.out
    (kept,) = (results / "experiments").glob("mine-*.toml")
    assert "seeds = [0]" in kept.read_text()
    again = run(kept, results=results)
    assert (again.code, again.err, again.out) == (0, "", done.out)


@pytest.mark.parametrize(
    ("command", "words", "sentence"),
    [
        ("run", ("--test", "anova"), "No test is called 'anova'"),
        ("run", ("--view", "rose"), "No view is called 'rose'"),
        ("run", ("--format", "jsn"), "No format is called 'jsn'"),
        ("across", (), "at least two data sets"),
        ("calibrate", ("--side", "9"), "do not make two sets of --side 9"),
        ("power", ("--power", "2"), "is not a probability"),
        ("tune", ("--seeds", "0-3"), "tuning seeds start at 1000"),
    ],
)
def test_a_file_is_kept_only_when_nothing_is_wrong(
    ratings_csv: Path, tmp_path: Path, command: str, words: tuple[str, ...], sentence: str
) -> None:
    path = write(tmp_path, f'sampler = "uniform"\ndataset = "{ratings_csv}"\n')
    done = bench(command, path, "--results", tmp_path / "runs", *words)
    assert done.code == 2
    assert sentence in done.err
    assert not list(tmp_path.glob("runs/experiments/*"))


def test_a_dry_run_says_what_cannot_be_trained_and_why(ratings_csv: Path, tmp_path: Path) -> None:
    words = ("--sampler", "uniform", "--sampler", "inbatch", "--set", "negatives=all", "--dataset", ratings_csv)
    done = run(*words, "--dry-run", results=tmp_path)
    assert done.code == 0, done.err
    assert "Not trained: uniform + bpr + mf: uniform has no negatives=all" in done.out


def test_a_mistake_in_the_second_data_set_stops_before_the_first_is_trained(ratings_csv: Path, tmp_path: Path) -> None:
    path = write(tmp_path, f'sampler = "uniform"\ndataset = {json.dumps([str(ratings_csv), "ml-10k"])}\n')
    done = run(path, results=tmp_path / "results")
    assert done.code == 2
    assert "Did you mean 'ml-100k'?" in done.err
    assert not os.path.exists(tmp_path / "results")
