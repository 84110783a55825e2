"""`--with`: rows of a published table beside new ones, which nobody trains again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.results.published import MANIFEST, manifest_sha256
from tests.bench.published_tables import published
from tests.conftest import make_interactions
from tests.inputs.asking import Answer, ask, check

ITEMS = sorted({item + 7 for item in make_interactions().items.tolist()})
LISTS = "user,item,score\n" + "".join(f"{user},{item},{item % 7}\n" for user in range(100, 140) for item in ITEMS)
ROWS = ["uniform+bpr", "popularity+bpr", "uniform+softmax:temperature=0.5", "toppop"]
SAME = "--set epochs=2 --set embedding_size=4"
Bench = Callable[[str], Answer]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a published table `mine`, its data, and a store `own` of an imported row `other`."""
    folder = tmp_path_factory.mktemp("whole")
    published(folder)
    (folder / "lists.csv").write_text(LISTS, encoding="utf-8")
    places = f"--dataset {folder / 'ratings.csv'} --results {folder / 'own'}"
    answer = ask(f"import {folder / 'lists.csv'} --name other {places}")
    assert answer.code == 0, answer.err
    return folder


@pytest.fixture
def bench(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """`bench` beside the published table `mine`, with an empty store but for an imported row `other`."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_RESULTS", str(tmp_path / "own"))
    return lambda words: ask(f"{words} --dataset ratings.csv")


def trained() -> list[str]:
    return [path.name for path in Path("own").glob("*/*") if not path.name.endswith("imported")]


def test_all_rows_of_a_table_stand_beside_mine_and_nothing_is_trained(bench: Bench) -> None:
    answer = bench("compare other --with mine --seeds 3 --format json")
    check(answer, 0, [])
    table, theirs = json.loads(answer.out), json.loads((Path("mine") / "table.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in table["rows"]] == ["other", *ROWS]
    for mine, known in zip(table["rows"][1:], theirs["rows"], strict=True):
        assert mine["metrics"] == known["metrics"]
        assert (mine["runs"], mine["results"], mine["settings"]) == (known["runs"], known["results"], known["settings"])
    pairs = [pair for pair in table["pairs"] if pair["metric"] == "ndcg@10"]
    assert len(pairs) == 10  # five rows: the family has all pairs
    assert table["facts"]["rows of ratings.csv/loo v1"] == "all rows"
    assert sum("does not correct for" in warning for warning in table["warnings"]) == 1
    assert table["commit"] == theirs["commit"]
    assert trained() == []


def test_one_row_can_be_named_and_be_the_baseline(bench: Bench) -> None:
    answer = bench(
        "table other --with mine:toppop --with mine:uniform+bpr --baseline uniform+bpr --seeds 2 --format json"
    )
    check(answer, 0, [])
    table = json.loads(answer.out)
    assert [row["name"] for row in table["rows"]] == ["other", "toppop", "uniform+bpr"]
    assert [len(row["runs"]) for row in table["rows"]] == [1, 1, 2]  # of three published seeds the two asked for
    assert {pair["b"] for pair in table["pairs"]} == {"uniform+bpr"}
    assert table["facts"]["rows of ratings.csv/loo v1"] == "toppop, uniform+bpr"
    check(bench("table other --with mine:uniform+bpr --seeds 7-9"), 2, ["the seeds 0, 1, 2 and none of yours"])


def test_a_row_of_other_runs_and_the_same_name_is_told_apart(bench: Bench) -> None:
    words = "compare uniform+bpr --set epochs=1 --set embedding_size=4 --seeds 2 --jobs 1 --quiet"
    answer = bench(f"{words} --with mine:uniform+bpr --format json")
    check(answer, 0, [])
    table = json.loads(answer.out)
    assert [row["name"] for row in table["rows"]] == ["uniform+bpr", "uniform+bpr (ratings.csv/loo v1)"]
    assert table["facts"]["epochs"] == "1 (uniform+bpr), 2 (uniform+bpr (ratings.csv/loo v1))"


@pytest.mark.parametrize(
    ("words", "must"),
    [
        ("--with nowhere", ["nowhere does not exist", "results/ml-100k"]),
        ("--with own", ["own is no published table"]),
        ("--with mine:unifrm+bpr", ["'unifrm+bpr'", "Did you mean 'uniform+bpr'", "ratings.csv/loo v1"]),
        ("--with mine --split ratio:test=0.3", ["another split of ratings.csv"]),
        ("--with mine --baseline dns", ["No row is called 'dns'", "uniform+bpr"]),
        ("--with mine --refit", ["their protocol is split leave-last-one-out, and here", "refit"]),
    ],
)
def test_what_cannot_stand_there_is_refused_in_a_sentence(bench: Bench, words: str, must: list[str]) -> None:
    check(bench(f"compare other {words}"), 2, must)
    assert trained() == []


def test_other_protocols_data_and_code_are_refused_before_anything_is_trained(bench: Bench) -> None:
    check(
        bench("compare uniform --with mine --split ratio:test=0.3"),
        2,
        ["their protocol is split leave-last-one-out, and here"],
    )
    check(
        bench("compare uniform --with mine --mask train"),
        2,
        ["split leave-last-one-out, mask train"],
    )
    check(
        bench(f"compare uniform {SAME} --with mine --seeds 3"), 2, ["'uniform' is in ratings.csv/loo v1", "run by run"]
    )
    check(ask("compare uniform --with mine --dataset ml-100k --dataset ratings.csv"), 2, ["--with", "2"])
    with Path("ratings.csv").open("a", encoding="utf-8") as file:
        file.write("100,66,1,2000000\n")
    check(bench("compare uniform --with mine"), 2, ["Rows of ratings.csv/loo v1", "their data is"])
    manifest = json.loads((Path("mine") / MANIFEST).read_text(encoding="utf-8"))
    manifest["code_protocol"] -= 1
    manifest["manifest_sha256"] = manifest_sha256(manifest)
    (Path("mine") / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    check(bench("compare uniform --with mine"), 2, ["code protocol", "gives other numbers"])
    assert trained() == []
