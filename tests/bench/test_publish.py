"""Publishing: cell by cell, going on from what is there, never over what is published."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cli.publishing import Making
from bench.comparison.compare import compare
from bench.results import published as published_module
from bench.results.published import read
from bench.results.verify import verify
from datasets.errors import UserError
from tests.bench.published_tables import DESCRIPTION, described, made_up, making, published
from tests.inputs.asking import bench

ROOT = Path(__file__).parents[2]
FILES = ["manifest.json", "ranks.parquet", "table.csv", "table.json", "table.md", "table.tex", "table.toml"]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a published table, its data and its store."""
    folder = tmp_path_factory.mktemp("whole")
    published(folder)
    return folder


def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a run was to be trained")

    monkeypatch.setattr("bench.cli.training.Training.carry_out", refuse)


def test_a_published_folder_has_these_files_and_the_same_runs_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in ("a", "b"))
    for folder in (first, second):
        folder.mkdir()
        published(folder)
    assert sorted(path.name for path in (first / "mine").iterdir()) == FILES
    mine, again = (contents(folder / "mine") for folder in (first, second))
    for name in ("ranks.parquet", "table.json", "table.md", "table.tex", "table.csv"):
        assert mine[name] == again[name], name


def test_a_cell_is_kept_as_soon_as_it_is_finished_and_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = described(tmp_path)
    one = making(mine)
    (experiment,) = one.asked.checked()
    made_up(replace(experiment, cells=experiment.cells[:2]))

    class Killed(Exception):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    monkeypatch.setattr("bench.cli.training.Training.carry_out", killed)
    with pytest.raises(Killed):
        one.make()
    assert sorted(path.name for path in (mine / "cells").iterdir()) == [
        "popularity+bpr.json", "popularity+bpr.parquet", "uniform+bpr.json", "uniform+bpr.parquet",
    ]  # fmt: skip
    shutil.rmtree(tmp_path / "store")  # another machine has what is committed, and no runs
    made_up(replace(experiment, cells=experiment.cells[2:]))
    no_training(monkeypatch)
    assert making(mine).make() == 0
    assert verify(mine) == []
    assert not (mine / "cells").exists()


def test_a_finished_cell_that_was_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = described(tmp_path)
    one = making(mine)
    (experiment,) = one.asked.checked()
    made_up(replace(experiment, cells=experiment.cells[:1]))
    monkeypatch.setattr("bench.cli.training.Training.carry_out", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        one.make()
    file = mine / "cells" / "uniform+bpr.json"
    file.write_text(file.read_text().replace('"seed": 1', '"seed": 4'), encoding="utf-8")
    with pytest.raises(UserError, match=r"uniform\+bpr.json was changed since it was written; delete it"):
        making(mine).make()


def test_what_is_published_is_compared_and_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = published(tmp_path)
    shutil.rmtree(tmp_path / "store")
    before = contents(mine)
    no_training(monkeypatch)
    assert making(mine).make() == 0
    (mine / "table.md").write_text("better\n", encoding="utf-8")
    assert making(mine).make() == 1
    assert contents(mine) == {**before, "table.md": b"better\n"}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("seeds = 3", "seeds = 4", "asks for other runs of 'uniform.bpr' than ratings.csv/loo v1"),
        ('"toppop"', '"ease"', "asks for other runs of 'ease'"),
        ("epochs = 2", "epochs = 3", "raise the version"),
        ("seeds = 3", "seeds = 3\nalpha = 0.2", r"alpha 0.2 and ratings.csv/loo v1 was published with 0.05; .* raise"),
        ("seeds = 3", 'seeds = 3\nmetric = "hr@20"', "metric hr@20 and"),
        ("seeds = 3", 'seeds = 3\nbaseline = "uniform+bpr"', r"baseline uniform\+bpr and .* with None"),
        ("version = 1", "version = 0", "version must be at least 1, not 0"),
        ("version = 1", 'version = 1\nout = "x"', "out is how a command runs"),
        ("version = 1", 'version = 1\njobs = 3', "jobs is how a command runs"),
        ("version = 1", "version = 1\ntuned = true", r"write \[tune\]"),
        ("version = 1", "version = 1\nvresion = 2", "vresion"),
        ('dataset = "', 'dataset = ["ml-100k", "ml-1m"]\n# "', "names 2 data sets"),
        ("[set]", "[tune]\ntrails = 3\n[set]", "'trails'; it may have trials, finalists, seeds, space"),
    ],
)  # fmt: skip
def test_a_description_that_does_not_fit_is_refused(
    whole: Path, tmp_path: Path, old: str, new: str, words: str
) -> None:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    mine = tmp_path / "mine"
    file = mine / "table.toml"
    file.write_text(file.read_text().replace(str(whole), str(tmp_path)), encoding="utf-8")
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError, match=words):
        making(mine).make()
    assert verify(mine) == []


def test_a_newer_version_puts_the_old_one_aside_where_it_is_read_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = published(tmp_path)
    before = contents(mine)
    shutil.rmtree(tmp_path / "store")
    file = mine / "table.toml"
    file.write_text(
        file.read_text().replace("version = 1", "version = 2").replace('"toppop"', '"toppop", "constant"'),
        encoding="utf-8",
    )
    one = making(mine)
    (experiment,) = one.asked.checked()
    made_up(replace(experiment, cells=experiment.cells[-1:]))
    no_training(monkeypatch)
    assert one.make() == 0
    assert contents(mine / "v1") == {name: text for name, text in before.items() if name != "table.toml"}
    assert (verify(mine), verify(mine / "v1")) == ([], [])
    assert [read(folder).name for folder in (mine, mine / "v1")] == ["ratings.csv/loo v2", "ratings.csv/loo v1"]
    old, new = (json.loads((folder / "table.json").read_text()) for folder in (mine / "v1", mine))
    assert old["rows"][0]["results"] == new["rows"][0]["results"]
    assert len(new["rows"]) == len(old["rows"]) + 1


def test_a_table_of_another_code_protocol_is_read_and_verified_but_not_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = published(tmp_path)
    monkeypatch.setattr("bench.runs.spec.CODE_PROTOCOL", 99)
    monkeypatch.setattr(published_module, "CODE_PROTOCOL", 99)
    assert verify(mine) == []
    with pytest.raises(UserError, match=r"loo v1 was made by code protocol \d+ and this code has 99, which gives"):
        read(mine).check_current()
    with pytest.raises(UserError, match="code protocol"):
        making(mine).make()


@pytest.mark.parametrize("key", ["data", "protocol", "code protocol"])
def test_rows_that_differ_in_what_makes_them_comparable_cannot_share_a_table(tmp_path: Path, key: str) -> None:
    table = read(published(tmp_path))
    first, second, *_ = table.rows([10])
    assert first.identity["protocol"] == "split leave-last-one-out"
    other = replace(second, identity={**second.identity, key: "another"})
    with pytest.raises(UserError, match=f"cannot share a table: their {key} differs"):
        compare([first, other], context=table.context)


def test_made_again_all_but_commit_version_and_command_is_the_same(tmp_path: Path) -> None:
    mine = published(tmp_path)
    before = contents(mine)
    assert _again(mine, tmp_path / "fresh") == 0
    assert contents(mine) == before
    assert verify(tmp_path / "fresh") == []


def test_made_again_a_difference_is_named_and_what_is_published_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = published(tmp_path)
    table = json.loads((mine / "table.json").read_text())
    table["rows"][0]["epochs"] = 77
    (mine / "table.json").write_text(json.dumps(table), encoding="utf-8")
    before = contents(mine)
    assert _again(mine, tmp_path / "fresh") == 1
    out, err = capsys.readouterr()
    assert "table.json: rows[0].epochs is 77, not 2" in out
    assert "1 differences" in err
    assert contents(mine) == before


def _again(mine: Path, fresh: Path) -> int:
    one = making(mine)
    fresh_asked = replace(one.asked, results=str(fresh / "runs"))
    made_up(*fresh_asked.checked())
    return one.again(fresh)


TUNED = DESCRIPTION.replace("seeds = 3", "seeds = 2").replace(
    "[set]", '[tune]\ntrials = 3\nfinalists = 1\nseeds = [1000, 1001]\nspace = ["l2=0.001,0.1"]\n\n[set]'
)


@pytest.mark.slow
def test_commands_side_by_side_make_different_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = described(tmp_path)
    words = [sys.executable, ROOT / "experiments" / "make_cells.py", mine]
    place = {**os.environ, "BENCH_RESULTS": str(tmp_path / "store"), "PYTHONPATH": str(ROOT)}
    running = [subprocess.Popen(words, env=place, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [line.split()[2:5] for one in running for line in one.communicate()[0].splitlines()]
    assert [one.returncode for one in running] == [0, 0]
    assert {tuple(words[1:]) for words in told} == {("is", "made")}
    made = {path.stem for path in (mine / "cells").glob("*.json")}
    assert {name.replace(":", "-") for name, *_ in told} == made
    assert len(made) == 4
    no_training(monkeypatch)
    assert making(mine).make() == 0
    assert verify(mine) == []


def test_a_tuned_table_has_its_trials_and_whatever_is_changed_in_what_they_chose_is_found(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    text = TUNED.replace('"popularity+bpr", "uniform+softmax:temperature=0.5", "toppop"', '"toppop"')
    mine = described(tmp_path, text)
    store = tmp_path / "store"
    done = bench("publish", mine, "--jobs", "1", "--quiet", "--results", store)
    assert done.code == 0, done.err
    assert sorted(path.name for path in mine.iterdir()) == sorted([*FILES, "tuned.toml"])
    assert verify(mine) == []
    table, manifest = (json.loads((mine / name).read_text()) for name in ("table.json", "manifest.json"))
    cell = manifest["cells"][0]
    assert len(cell["trials"]) == 3
    best = max(cell["finalists"], key=lambda one: sum(one["scores"]))
    chosen = cell["trials"][best["trial"]]["values"]
    assert {key: cell["spec"]["settings"][key] for key in chosen if "." not in key}.items() <= chosen.items()
    assert "3 trials" in table["facts"]["tuned"]
    shutil.rmtree(store)
    assert making(mine).make() == 0
    asked = (mine / "table.toml").read_text()
    (mine / "table.toml").write_text(asked.replace("trials = 3", "trials = 4"), encoding="utf-8")
    with pytest.raises(UserError, match=r"the search .*'trials': 4.* was searched with .*'trials': 3"):
        making(mine).make()
    (mine / "table.toml").write_text(asked, encoding="utf-8")
    words = ["--with", f"{mine}:uniform+bpr", "--dataset", tmp_path / "ratings.csv", "--results", tmp_path / "own"]
    quick = ["--set", "epochs=2", "--set", "embedding_size=4", "--seeds", "2", "--jobs", "1", "--format", "json"]
    beside = json.loads(bench("compare", "uniform+softmax", *words, *quick).out)
    assert beside["facts"]["tuned"] == table["facts"]["tuned"].partition("; toppop")[0]
    assert "unequal chances: uniform+bpr was tuned with 3 trials, uniform+softmax was not tuned" in beside["warnings"]
    original = (mine / "tuned.toml").read_text()
    for name in ("trials", "validation", "trial", "validation_default", "validation_std", "given_up", "l2"):
        line = next((line for line in original.splitlines() if f"{name} = " in line), None)
        if line is None:
            assert name == "validation_std"  # of one finalist's seed there is none
            continue
        _, equals, value = line.partition(f"{name} = ")
        number = value.split(",")[0].split(" ")[0]
        (mine / "tuned.toml").write_text(original.replace(line, line.replace(equals + number, f"{equals}0.987", 1)))
        found = [one for one in verify(mine) if one.file == "tuned.toml"]
        assert found, name
        assert name in found[0].said, found
    (mine / "tuned.toml").write_text(original, encoding="utf-8")
    file = mine / "manifest.json"
    text = file.read_text()
    score = next(trial["score"] for trial in cell["trials"] if trial["score"] is not None)
    file.write_text(text.replace(f'"score": {score}', '"score": 0.9', 1), encoding="utf-8")
    assert any(one.file == "tuned.toml" and "the trials give" in one.said for one in verify(mine))
    file.write_text(text, encoding="utf-8")
    again = bench(
        "verify", mine, "--rerun", "1", "--row", "uniform+bpr", "--dataset", tmp_path / "ratings.csv", "--jobs", "1"
    )
    assert (again.code, "identical, to the last rank" in again.out) == (0, True), again.out + again.err


def test_a_failed_run_publishes_nothing(tmp_path: Path) -> None:
    from bench.runs.store import failed

    mine = described(tmp_path)
    one = making(mine)
    (experiment,) = one.asked.checked()
    made_up(replace(experiment, seeds=experiment.seeds[1:]))
    for cell in experiment.cells[:3]:
        experiment.store.save(experiment.spec(cell, 0), failed("no luck"), [10])
    assert one.make() == 1
    assert not (mine / "manifest.json").exists()


def test_a_folder_needs_a_description(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError, match=r"There is no .*table.toml; write one"):
            Making.of(folder, {})


def test_the_words_of_a_description_are_those_of_its_table(tmp_path: Path) -> None:
    words = """baseline = "uniform"
metric = "hr@5"
cutoffs = [5, 50]
test = "t"
correction = "bh"
alternative = "greater"
alpha = 0.1
margin = 0.02
"""
    mine = described(tmp_path, DESCRIPTION.replace("\n[set]", f"{words}\n[set]"))
    one = making(mine)
    made_up(*one.asked.checked())
    assert one.make() == 0
    assert verify(mine) == []
    table = json.loads((mine / "table.json").read_text())
    assert (table["baseline"], table["metric"], table["test"], table["correction"]) == (
        "uniform+bpr",
        "hr@5",
        "t",
        "bh",
    )
    assert (table["alternative"], table["alpha"]) == ("greater", 0.1)
    assert {pair["b"] for pair in table["pairs"]} == {"uniform+bpr"}
    assert "equivalence" in table["pairs"][0]
    assert "ndcg@50" in table["rows"][0]["metrics"]
