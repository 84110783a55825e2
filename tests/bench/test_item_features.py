"""Features of items in a command: which runs they belong to, and what is said of them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from bench.report.stored import tables
from bench.results.rerun import spec_of
from bench.runs import runner
from bench.runs.design import Experiment, design
from bench.runs.runner import Task, execute, open_split
from bench.runs.store import Store
from datasets.errors import UserError
from datasets.features import identity
from datasets.protocol import Protocol
from tests.inputs.asking import ask

TOWER = "uniform+bpr+two-tower"
FEW = "--set epochs=2 --set embedding_size=8 --seeds 1"


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Features of 58 of the 59 items of `ratings_csv`, whose labels are from 7 to 66, and of two that it lacks."""
    path = tmp_path / "films.csv"
    rows = "".join(f"{i},{'even' if i % 2 else 'odd'},{i % 7}\n" for i in [*range(7, 66), 1000])
    path.write_text(f"item,kind,size\n{rows}", encoding="utf-8")
    return path


def experiment(names: list[str], ratings: Path, films: Path | None, store: Path) -> Experiment:
    given = None if films is None else str(films)
    settings = [("epochs", "2"), ("embedding_size", "8")]
    return design(
        names,
        dataset=str(ratings),
        protocol=Protocol(),
        item_features=given,
        store=Store(store),
        seeds=(0,),
        settings=settings,
    )


def ids(names: list[str], ratings: Path, films: Path | None, store: Path) -> dict[str, str]:
    return {spec.cell.name: spec.run_id for spec in experiment(names, ratings, films, store).specs()}


def test_the_content_belongs_to_runs_that_read_it_and_to_no_others(
    ratings_csv: Path, films: Path, tmp_path: Path
) -> None:
    without = ids(["uniform", "toppop"], ratings_csv, None, tmp_path)
    before = ids(["uniform", "toppop", TOWER], ratings_csv, films, tmp_path)
    moved = films.rename(tmp_path / "others.csv")
    assert ids(["uniform", "toppop", TOWER], ratings_csv, moved, tmp_path) == before
    moved.write_text(moved.read_text(encoding="utf-8").replace("even", "uneven"), encoding="utf-8")
    after = ids(["uniform", "toppop", TOWER], ratings_csv, moved, tmp_path)
    assert {name: after[name] for name in without} == {name: before[name] for name in without} == without
    assert after[TOWER] != before[TOWER]
    assert ids(["uniform"], ratings_csv, moved, tmp_path) == {"uniform": without["uniform"]}


def test_a_model_that_reads_them_is_refused_without_and_left_out_of_a_product(
    ratings_csv: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="two-tower reads features of the items; give --item-features"):
        experiment([TOWER], ratings_csv, None, tmp_path)
    found = design(
        ["uniform"], dataset=str(ratings_csv), protocol=Protocol(), models=["mf", "two-tower"], store=Store(tmp_path)
    )
    assert [cell.model.name for cell in found.cells] == ["mf"]
    assert "two-tower reads features" in found.skipped[0]["reason"]


def test_a_run_says_what_it_read_and_reads_nothing_else(ratings_csv: Path, films: Path, tmp_path: Path) -> None:
    asked = experiment([TOWER, "uniform"], ratings_csv, films, tmp_path)
    tower, plain = asked.specs()
    split = open_split(asked.data, asked.protocol, Task(tower, asked.protocol).consent)
    results = [execute(Task(spec, asked.protocol), split=split) for spec in (tower, plain)]
    assert [result.failure for result in results] == [None, None]
    assert results[0].provenance["features"] == {
        "sha256": identity(str(films)),
        "file": "films.csv",
        "read": "kind (2 categories), size (a number)",
        "items_with_features": 58,
        "items_without_features": 1,
        "features_of_other_items": 2,
    }
    said = "1 of 59 items have no features in films.csv; theirs are zeros."
    assert said in results[0].warnings
    assert said not in results[1].warnings
    assert "features" not in results[1].provenance
    films.write_text("item,size\n7,1\n8,2\n", encoding="utf-8")
    runner._open.cache_clear()
    other = execute(Task(tower, asked.protocol))
    assert other.failure is not None
    assert "features has changed since the command began" in other.failure["reason"]


def test_from_the_command_line_to_lists_of_cold_and_other_items(ratings_csv: Path, films: Path, tmp_path: Path) -> None:
    told = f"--dataset {ratings_csv} --item-features {films} {FEW} --results {tmp_path / 'store'}"
    answer = ask(f"compare {TOWER} {TOWER}:user=history uniform {told} --caption full --keep-embeddings --refit")
    assert answer.code == 0, answer.err
    assert "films.csv: kind (2 categories), size (a number); 58 of 59 items; 2 of the file are not in the data." in (
        answer.err
    )
    assert f"item features films.csv {identity(str(films))[:12]}" in " ".join(answer.out.split())
    again = ask(f"compare {TOWER} uniform {told} --refit --format json")
    assert [row["runs"] for row in json.loads(again.out)["rows"]] == [
        row["runs"] for row in json.loads(ask(f"table {TOWER} uniform {told} --refit --format json").out)["rows"]
    ]
    listed = ask(f"runs list --format json --results {tmp_path / 'store'}")
    (condition,) = {word for row in json.loads(listed.out) for word in row["conditions"].split() if "features" in word}
    assert condition == f"item-features={identity(str(films))[:8]}"
    out = tmp_path / "lists.parquet"
    lists = ask(f"recommend 100 101 --cell {TOWER} {told.replace('--seeds 1', '')} --refit --out {out}")
    assert lists.code == 0, lists.err
    assert len(pq.read_table(out)) == 20


def test_what_nobody_reads_is_said_before_training_and_beside_the_table(
    ratings_csv: Path, films: Path, tmp_path: Path
) -> None:
    answer = ask(f"compare uniform --dataset {ratings_csv} --item-features {films} {FEW} --results {tmp_path / 's'}")
    said = "No row reads the item features in films.csv"
    assert answer.code == 0
    assert f"Warning: {said}; those of the model two-tower do." in answer.err
    assert said in " ".join(answer.out.split())


def test_a_page_of_the_store_tells_apart_what_read_different_files(
    ratings_csv: Path, films: Path, tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    shas = []
    for kinds in ("even", "uneven"):
        films.write_text(films.read_text(encoding="utf-8").replace("even", kinds), encoding="utf-8")
        runner._open.cache_clear()
        asked = experiment([TOWER, "uniform"], ratings_csv, films, tmp_path / "store")
        for spec in asked.specs():
            store.save(spec, execute(Task(spec, asked.protocol)), [10])
        shas.append(asked.data.features_sha256[:8])
    (table,) = tables(store, [10])
    names = {row.name for row in table.rows}
    assert names == {"uniform+bpr", *(f"uniform+bpr+two-tower (features {sha})" for sha in shas)}
    assert "--item-features films.csv" in table.commands[0]


def test_a_published_run_that_read_them_is_not_trained_again() -> None:
    spec = {"features_sha256": "ab" * 32}
    run = SimpleNamespace(run_id="0" * 16, record={"spec": spec, "provenance": {"device": "cpu"}})
    with pytest.raises(UserError, match="read a file of item features, which no table keeps; draw from other rows"):
        spec_of(run, TOWER)  # type: ignore[arg-type]


def test_tuned_settings_hold_for_the_features_that_were_searched_with(
    ratings_csv: Path, films: Path, tmp_path: Path
) -> None:
    pytest.importorskip("optuna")
    quick = (
        f"--dataset {ratings_csv} --set epochs=1 --set embedding_size=4 --results {tmp_path / 'store'} --jobs 1 --quiet"
    )
    few = f"--trials 2 --finalists 1 --seeds 1000-1001 --out {tmp_path / 'tuned.toml'}"
    answer = ask(f"tune {TOWER} uniform --item-features {films} {quick} {few}")
    assert answer.code == 0, answer.err
    use = f"{quick} --tuned-from {tmp_path / 'tuned.toml'} --seeds 1 --dry-run"
    assert ask(f"compare uniform {use}").code == 0
    assert ask(f"compare {TOWER} --item-features {films} {use}").code == 0
    films.write_text(films.read_text(encoding="utf-8").replace("even", "uneven"), encoding="utf-8")
    answer = ask(f"compare {TOWER} --item-features {films} {use}")
    assert answer.code == 2
    assert "was tuned for another features sha256" in answer.err
