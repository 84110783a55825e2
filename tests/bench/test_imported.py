"""Rows of another program: the lists of a run of ours, imported, are the run; and what is refused."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.runs.imported import IMPORTED, check_name
from bench.runs.store import Store
from datasets import load
from datasets.errors import UserError
from tests.inputs.asking import Answer, ask, check

QUICK = "--set epochs=2 --set embedding_size=8 --set negatives=4 --jobs 1 --quiet"
Bench = Callable[[str], Answer]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `ratings.csv` and a store of two runs of uniform with their vectors."""
    from tests.conftest import write_ratings

    folder = tmp_path_factory.mktemp("kept")
    data = write_ratings(folder)
    answer = ask(f"compare uniform --seeds 2 --keep-embeddings {QUICK} --dataset {data} --results {folder / 'store'}")
    assert answer.code == 0, answer.err
    return folder


@pytest.fixture
def bench(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """`bench` in a folder with `ratings.csv` and a copy of the store."""
    import shutil

    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_RESULTS", "store")
    return lambda words: ask(words.replace("DATA", "--dataset ratings.csv"))


def run_ids() -> list[str]:
    return [run.path.name for run in Store(Path("store")).runs() if not run.path.name.endswith(IMPORTED)]


def exported(bench: Bench, name: str, depth: int = 100) -> list[dict[str, str]]:
    check(bench(f"runs export {' '.join(run_ids())} --out {name} --depth {depth} DATA"), 0, ["2 runs"])
    if name.endswith(".parquet"):
        return []
    with Path(name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", ["lists.csv", "lists.tsv.gz", "lists.parquet"])
def test_the_lists_of_a_run_imported_have_its_metrics_for_every_user(bench: Bench, name: str) -> None:
    check(bench(f"runs export {' '.join(run_ids())} --out {name} DATA"), 0, ["2 runs"])
    check(bench(f"import {name} --name copy DATA"), 0, ["copy\tseed 0", "copy\tseed 1"])
    runs = list(Store(Path("store")).runs())
    for seed in (0, 1):
        ours, theirs = (
            next(run for run in runs if run.record["spec"]["seed"] == seed and ("imported" in run.record) == was)
            for was in (False, True)
        )
        assert theirs.record["result_sha256"] == ours.record["result_sha256"]  # better and tied of every user
        assert theirs.record["metrics"] == ours.record["metrics"]


def test_lists_that_are_cut_off_tell_the_metrics_above_the_cut(bench: Bench) -> None:
    exported(bench, "lists.csv", depth=10)
    check(bench("import lists.csv --name short DATA"), 0, ["K up to 10", "left empty"])
    ours, theirs = (
        next(
            run
            for run in Store(Path("store")).runs()
            if run.record["spec"]["seed"] == 0 and ("imported" in run.record) == was
        )
        for was in (False, True)
    )
    labels, known = theirs.user_metrics([1, 5, 10, 20])
    expected_labels, expected = ours.user_metrics([1, 5, 10])
    assert labels.tolist() == expected_labels.tolist()
    assert list(known) == list(expected)
    for metric, values in expected.items():
        np.testing.assert_array_equal(known[metric], values)
    answer = bench(f"compare short uniform --seeds 2 {QUICK} DATA --format json")
    check(answer, 0, [])
    rows = {row["name"]: row for row in json.loads(answer.out)["rows"]}
    assert rows["short"]["metrics"]["ndcg@20"] == {"mean": None, "ci": [None, None], "std_seeds": None}
    assert rows["short"]["metrics"]["ndcg@10"]["mean"] == rows["uniform"]["metrics"]["ndcg@10"]["mean"]
    for words in (f"compare short uniform {QUICK}", "table short uniform --seeds 2"):
        check(bench(f"{words} --metric ndcg@20 DATA"), 2, ["ndcg@20 of 'short'", "K up to 10", "longer lists"])
    check(bench("table short --metric hr@10 --expect-sampled 9 DATA"), 2, ["cut off after 10", "--expect-sampled"])
    check(bench("table short DATA --format csv"), 0, ["ndcg@20"])
    check(bench("runs verify"), 0, ["4 runs read: all are as they were written"])


def test_a_table_with_an_imported_row_tests_it_and_says_where_it_is_from(bench: Bench) -> None:
    rows = exported(bench, "lists.csv")
    rng = np.random.default_rng(0)
    with Path("mine.csv").open("w", encoding="utf-8") as file:  # other scores than those of the runs
        file.write("user,item,score,seed\n")
        file.writelines(f"{row['user']},{row['item']},{rng.random()},{int(row['seed']) + 40}\n" for row in rows)
    check(bench("import mine.csv --name mine DATA"), 0, ["seed 40", "seed 41", "user=user, item=item, score=score"])
    answer = bench(f"compare mine uniform toppop --seeds 2 {QUICK} DATA --format json --correction holm")
    check(answer, 0, [])
    table = json.loads(answer.out)
    assert [row["name"] for row in table["rows"]] == ["uniform", "toppop", "mine"]
    mine = table["rows"][2]
    assert (mine["sampler"], mine["loss"], mine["model"], mine["train_seconds"]) == (None, None, "imported", None)
    (file,) = mine["imported"]["files"]
    assert file["file"] == "mine.csv"
    assert file["sha256"] == hashlib.sha256(Path("mine.csv").read_bytes()).hexdigest()
    assert mine["imported"]["seeds"] == [40, 41]
    assert "imported" not in table["rows"][0]
    pairs = [pair for pair in table["pairs"] if pair["metric"] == "ndcg@10"]
    assert len(pairs) == 3
    assert all(pair["p"] is not None for pair in pairs)
    for form in ("table --caption full", "markdown", "latex", "html"):
        out = bench(
            f"table mine uniform --seeds 2 --set epochs=2 --set embedding_size=8 --set negatives=4 DATA --format {form}"
        ).out
        flat = " ".join(out.split())
        assert "mine from mine.csv (sha256" in flat, out
    check(bench("table mine DATA --view letters"), 0, ["mine"])
    check(bench("table mine DATA --view diagnostics"), 0, ["mine", "–"])
    against = bench(
        "table mine uniform --baseline mine --seeds 2 --set epochs=2 --set embedding_size=8 --set negatives=4 DATA"
    )
    check(against, 0, ["baseline", "differs from mine"])


def test_one_seed_has_its_warning_and_ranks_are_read(bench: Bench) -> None:
    rows = [row for row in exported(bench, "lists.csv", 20) if row["seed"] == "0"]
    places: dict[str, int] = {}
    with Path("mine.run").open("w", encoding="utf-8") as file:
        for row in rows:
            places[row["user"]] = places.get(row["user"], 0) + 1
            file.write(f"{row['user']} Q0 {row['item']} {places[row['user']]} {100 - places[row['user']]} tag\n")
    check(bench("import mine.run --name mine DATA"), 0, ["seed 0", "TREC run"])
    answer = bench(f"compare mine uniform --seeds 2 {QUICK} DATA")
    check(answer, 0, ["One seed: training noise is not covered", "paired on the 1 seed both have"])


def test_what_is_dropped_lacking_or_shorter_is_counted(bench: Bench) -> None:
    split = load("ratings.csv")
    rows = [row for row in exported(bench, "lists.csv", 20) if row["seed"] == "0"]
    first, second = (str(label) for label in split.user_ids[:2])
    shown = [row for row in rows if row["user"] != first]
    fewer = [row for row in shown if row["user"] == second][3:]
    seen = split.item_ids[split.train.items[split.train.users == 2]]
    with Path("mine.csv").open("w", encoding="utf-8") as file:
        file.write("user,item,score\n")
        file.writelines(f"{row['user']},{row['item']},{row['score']}\n" for row in shown if row not in fewer)
        file.writelines(f"{split.user_ids[2]},{item},99\n" for item in seen)
    answer = bench("import mine.csv --name mine DATA")
    check(answer, 0, [f"{len(seen)} listed items", "1 test users have no list", "list shorter than the longest"])
    (run,) = (run for run in Store(Path("store")).runs() if "imported" in run.record)
    labels, ranks = run.measured()
    assert labels[0] == split.user_ids[0]
    assert ranks.better[0] == ranks.candidates[0] - 1  # nothing was recommended, so that its item is last


def test_the_same_lists_are_the_same_run_and_names_are_taken_once(bench: Bench) -> None:
    exported(bench, "lists.csv", 20)
    first = bench("import lists.csv --name mine DATA")
    check(first, 0, ["mine\tseed 0"])
    header, *lines = Path("lists.csv").read_text(encoding="utf-8").splitlines()
    Path("turned.csv").write_text("\n".join([header, *reversed(lines)]) + "\n", encoding="utf-8")
    assert bench("import turned.csv --name mine DATA").out == first.out
    check(bench("import turned.csv --name other DATA"), 2, ["imported as 'mine' already", "bench runs rm"])
    Path("fewer.csv").write_text("\n".join([header, *lines[:-1]]) + "\n", encoding="utf-8")
    check(bench("import fewer.csv --name mine DATA"), 2, ["'mine' has other lists for seed", "--name"])
    check(bench("compare mine mine DATA"), 2, ["named twice"])
    check(bench("compare mien uniform DATA"), 2, ["'mien'", "'mine'", "imported"])
    check(bench("table mine DATA --split ratio:test=0.3"), 2, ["another split of ratings.csv", "bench data export"])
    check(bench("power mine uniform DATA"), 2, ["'mine' was imported"])
    check(bench("tune mine DATA"), 2, ["'mine' was imported"])


def test_runs_commands_know_imported_rows(bench: Bench) -> None:
    exported(bench, "lists.csv", 20)
    bench("import lists.csv --name mine DATA")
    check(bench("runs list"), 0, ["mine imported", "uniform"])
    check(bench("runs list --cell mine --seed 1"), 0, ["mine", "All: imported"], ["uniform"])
    name = next(run.path.name for run in Store(Path("store")).runs() if "imported" in run.record)
    shown = json.loads(bench(f"runs show {name}").out)
    assert shown["imported"]["name"] == "mine"
    check(bench(f"runs export {name} --out a.csv DATA"), 2, ["without its vectors"])
    check(bench("runs merge store --results other"), 0, ["Copied 4 runs"])
    check(bench("table mine DATA --results other"), 0, ["mine"])
    check(bench(f"runs rm {name} --dry-run"), 0, ["mine imported seed 0", "1 run"])
    check(bench(f"runs rm {name}"), 0, ["Removed 1 run"])
    check(bench("runs verify"), 0, ["3 runs"])


def test_a_tampered_import_is_found(bench: Bench) -> None:
    exported(bench, "lists.csv", 20)
    bench("import lists.csv --name mine DATA")
    folder = next(run.path for run in Store(Path("store")).runs() if "imported" in run.record)
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    record["imported"]["depth"] = None
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    check(bench("runs verify"), 1, [str(folder.name), "was changed"])
    check(bench("table mine DATA"), 2, ["was changed", "bench runs rm"])
    check(bench(f"compare uniform --seeds 2 {QUICK} DATA"), 0, ["uniform"])  # others are none the worse for it


@pytest.mark.parametrize(
    "name", ["uniform", "BPR", "toppop", "light-gcn", "DNS", "a+b", "a:b=1", "a b", "", "-x", "mine.toml", "a,b"]
)
def test_names_of_methods_and_signs_of_cells_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="name"):
        check_name(name)


@pytest.mark.parametrize("name", ["mine", "implicit-bpr", "RecBole_BPR", "knn.2"])
def test_other_names_are_taken(name: str) -> None:
    check_name(name)


def test_a_published_table_has_no_rows_that_nobody_here_trained(bench: Bench) -> None:
    exported(bench, "lists.csv", 20)
    check(bench("import lists.csv --name mine DATA"), 0, ["mine"])
    Path("mine").mkdir()
    description = 'table = "loo"\nversion = 1\ndataset = "ratings.csv"\nnames = ["toppop", "mine"]\nseeds = 2\n'
    Path("mine/table.toml").write_text(description, encoding="utf-8")
    check(bench("publish mine"), 2, ["'mine' was imported from another program", "leave it out"])
    assert [path.name for path in Path("mine").iterdir()] == ["table.toml"]
