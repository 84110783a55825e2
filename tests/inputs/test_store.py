"""`bench runs`, and what commands say of a store: empty, damaged, of somebody else, or with failed runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.inputs.asking import Answer, Case, ask, check, table
from tests.inputs.conftest import TRAINED

EMPTY: list[Case] = [
    ("runs list", 0, ["no runs"]),
    ("runs list --format json", 0, ["[]"]),
    ("runs list --failed", 0, ["no runs"]),
    ("runs list --dataset ml-100k", 2, ["ml-100k", "no runs"]),
    ("runs list --format csv", 2, ["'csv'", "json"]),
    ("runs list --results nowhere", 2, ["nowhere", "--results"]),
    ("runs list --results ratings.csv", 2, ["ratings.csv", "folder"]),
    ("runs list extra", 2, ["extra"]),
    ("runs show", 2, ["run"]),
    ("runs show 3a02", 2, ["3a02", "bench runs list"]),
    ("runs show ''", 2, ["empty"]),
    ("runs rm", 2, ["--failed", "--dataset"]),
    ("runs rm 3a02", 2, ["3a02", "bench runs list"]),
    ("runs rm --failed", 0, ["0 runs"]),
    ("runs rm --results nowhere --failed", 2, ["nowhere"]),
    ("runs verify", 0, ["0 runs"]),
    ("runs gc", 0, ["0"]),
    ("runs gc --given-up", 0, ["0 given-up trials"]),
    ("runs merge", 2, ["FOLDER"]),
    ("runs merge nowhere", 2, ["nowhere", "results folder"]),
    ("runs merge ratings.csv", 2, ["ratings.csv", "results folder"]),
    ("table uniform --dataset ratings.csv", 2, ["5 of 5 runs of 'uniform'", "bench compare", "results folder"]),
    ("table uniform --dataset ratings.csv --results nowhere", 2, ["nowhere", "results folder"]),
]

FULL: list[Case] = [
    ("runs list", 0, ["uniform", "popularity", "softmax", "failed"]),
    ("runs list --failed", 0, ["Diverged"], ["popularity"]),
    ("runs list --dataset ratings.csv", 0, ["uniform"]),
    ("runs list --dataset rating.csv", 2, ["'rating.csv'", "'ratings.csv'"]),
    ("runs list --dataset ml-100k", 2, ["ml-100k", "ratings.csv"]),
    ("runs show ''", 2, ["empty"]),
    ("runs show zzzz", 2, ["zzzz", "bench runs list"]),
    ("runs rm ''", 2, ["empty"]),
    ("runs rm zzzz", 2, ["zzzz"]),
    ("runs rm {failed} --failed", 2, ["--failed"]),
    ("runs rm {failed} --dataset ratings.csv", 2, ["--dataset"]),
    ("runs rm {failed} --dry-run", 0, ["softmax", "seed", "1 run"]),
    ("runs rm {failed} zzzz", 2, ["zzzz"]),
    ("runs verify", 0, ["6 runs"]),
    ("runs verify --dataset nope", 2, ["'nope'", "ratings.csv"]),
    ("runs merge {store}", 2, ["itself"]),
]


def _fill(words: str, trained: Path) -> str:
    failed = next(p.parent.name for p in trained.glob("*/*/traceback.txt"))
    return words.replace("{failed}", failed).replace("{store}", str(trained))


@pytest.fixture
def store(here: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The trained store as this folder's own; what a test does to it stays in the test."""
    shutil.copytree(trained, here / "store")
    monkeypatch.setenv("BENCH_RESULTS", str(here / "store"))
    return here / "store"


@table(EMPTY)
def test_without_runs(
    words: str, code: int, must: list[str], must_not: list[str], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_RESULTS", str(here / "not yet"))
    check(ask(words), code, must, must_not)
    assert not (here / "nowhere").exists()


@table(FULL)
def test_with_runs(words: str, code: int, must: list[str], must_not: list[str], store: Path) -> None:
    check(ask(_fill(words, store)), code, must, must_not)
    assert len(list(store.glob("*/*/run.json"))) == 6


def _again(words: str = "", command: str = "compare") -> Answer:
    return ask(f"{command} {TRAINED} --dataset ratings.csv {words}")


@pytest.mark.parametrize("command", ["compare", "table"])
@pytest.mark.parametrize("format", ["table", "json", "csv"])
def test_failed_runs_end_in_exit_1_and_their_reason(command: str, format: str, store: Path) -> None:
    answer = _again(f"--format {format}", command)
    check(answer, 1, ["softmax"])
    assert "popularity" in answer.out
    failed = {p.parent.name for p in store.glob("*/*/traceback.txt")}
    (shown,) = [name for name in failed if f"bench runs show {name}" in answer.err]
    sentence = answer.err.splitlines()[-1]
    for word in ("2 of 6 runs failed", "Diverged", "--retry-failed", shown):
        assert word in sentence, answer.err


def test_list_tells_runs_apart_and_fits_the_width(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = ask("runs list").out
    assert max(map(len, out.splitlines())) <= 80, out
    assert "learning_rate=1e30" in out or "learning_rate=1e+30" in out
    assert len({line.partition(" ")[2] for line in out.splitlines()}) == len(out.splitlines())


def test_rm_names_what_it_removes(store: Path) -> None:
    answer = ask("runs rm --failed")
    check(answer, 0, ["softmax", "seed 0", "seed 1", "Removed 2 runs"])
    assert len(list(store.glob("*/*/run.json"))) == 4
    run = next(store.glob("*/*/run.json")).parent.name
    check(ask(f"runs rm {run[:6]}"), 0, [run, "Removed 1 run"])


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


DAMAGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "half a run.json": ("run.json", _truncate),
    "an empty run.json": ("run.json", lambda path: path.write_bytes(b"")),
    "a run.json of others": ("run.json", lambda path: path.write_text('{"schema": 9}')),
    "no run.json": ("run.json", Path.unlink),
    "half a table": ("users.parquet", _truncate),
    "an empty table": ("users.parquet", lambda path: path.write_bytes(b"")),
    "no table": ("users.parquet", Path.unlink),
    "garbage for a history": ("history.csv", lambda path: path.write_bytes(b"\xff\x00garbage")),
}


@pytest.mark.parametrize(("file", "damage"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_run_blocks_nothing_but_itself(file: str, damage: Callable[[Path], object], store: Path) -> None:
    run = next(p.parent for p in store.glob("*/*/users.parquet"))
    damage(run / file)
    check(ask("runs list"), 0, [run.name[:10], "damaged", "popularity"])
    check(ask("runs verify"), 1, [run.name, "bench runs rm"])
    shown = ask(f"runs show {run.name}")
    assert (shown.code, file in shown.err.splitlines()[-1]) == (1, True), shown.err
    check(ask(f"runs rm {run.name}"), 0, [run.name, "Removed 1 run"])
    assert not run.exists()


@pytest.mark.parametrize("file", ["users.parquet", "history.csv"])
def test_a_table_is_not_made_of_a_damaged_run(file: str, store: Path) -> None:
    run = next(p.parent for p in store.glob("*/*/users.parquet"))
    (run / file).write_bytes(b"garbage")
    check(_again("--figures figures", "table"), 2, [file, run.name, "bench runs rm"])


def test_retry_failed_and_keep_embeddings_say_what_they_run(store: Path) -> None:
    assert "2 runs to train" in _dry("--retry-failed")
    assert "4 runs to train" in _dry("--keep-embeddings")
    assert "0 runs to train" in _dry("")


def _dry(words: str) -> str:
    answer = _again(f"{words} --dry-run")
    assert answer.code == 0, answer
    count = answer.out.partition(" to do")[0].rpartition(" ")[2]
    return f"{count} runs to train"


def test_embeddings_are_trained_for_where_a_stored_run_has_none(store: Path) -> None:
    words = "uniform --seeds 1 --set epochs=2 --set embedding_size=8 --dataset ratings.csv --quiet --jobs 1"
    before = {p: p.read_bytes() for p in store.glob("*/*/users.parquet")}
    answer = ask(f"compare {words} --keep-embeddings")
    check(answer, 0, ["uniform"])
    (kept,) = store.glob("*/*/embeddings.npz")
    assert before[kept.with_name("users.parquet")] == kept.with_name("users.parquet").read_bytes()
    assert json.loads(kept.with_name("run.json").read_text())["seconds"]["total"] > 0
    assert "0 runs to train" in _dry_of(f"compare {words} --keep-embeddings")


def _dry_of(words: str) -> str:
    answer = ask(f"{words} --dry-run")
    return f"{answer.out.partition(' to do')[0].rpartition(' ')[2]} runs to train"


def test_two_data_sets_of_one_name_are_refused_before_training(here: Path) -> None:
    for folder in ("a", "b"):
        (here / folder).mkdir()
        shutil.copy(here / "ratings.csv", here / folder / "ratings.csv")
    words = "--dataset a/ratings.csv --dataset b/ratings.csv --results store"
    check(ask(f"across uniform popularity {words}"), 2, ["called ratings.csv"])
    assert not (here / "store").exists()


def test_the_suffix_of_out_is_the_format(store: Path) -> None:
    words = f"table uniform popularity {TRAINED.partition(' --')[1]}{TRAINED.partition(' --')[2]} --dataset ratings.csv"
    for name, content in {
        "x.md": "| ",
        "x.html": "<table",
        "x.tex": "\\begin{table",
        "x.csv": "name,",
        "x.json": '"rows"',
        "x.txt": "uniform",
        "x.markdown": "| ",
        "X.HTML": "<table",
    }.items():
        answer = ask(f"{words} --out {name}")
        check(answer, 0, [name])
        assert content in Path(name).read_text(), name
    check(ask(f"{words} --out x.md --format html"), 0, ["x.md"])
    assert "<table" in Path("x.md").read_text(), "what is said goes before what an ending says"
    check(ask(f"{words} --out plain --format html"), 0, ["plain"])
    for refused in ("x.pdf", "x.png", "x.xlsx"):
        check(ask(f"{words} --out {refused}"), 2, [refused, ".md", "--format"])


def test_runs_of_a_file_that_was_edited_since_are_told_from_missing_ones(store: Path) -> None:
    with Path("ratings.csv").open("a", encoding="utf-8") as file:
        file.write("100,7,5,2000000\n")
    check(_again(command="table"), 2, ["are not in", "ratings.csv, which has changed since"])


def test_what_a_killed_training_left_goes_when_its_run_is_saved_or_with_gc(store: Path) -> None:
    run = next(store.glob("*/*/run.json")).parent
    unfinished = run.parent / ".unfinished" / run.name
    shutil.rmtree(run)
    for command, code in ((_again, 1), (lambda: ask("runs gc"), 0)):
        unfinished.mkdir(parents=True)
        (unfinished / "first").write_text("cut off")
        assert ask("runs list").code == 0
        check(command(), code, [])
        assert not unfinished.exists()
        assert (run / "run.json").exists()


def test_gc_removes_what_tuning_gave_up_where_it_is_asked_to(store: Path) -> None:
    folder = next(store.glob("*/*/run.json")).parents[1] / ".given-up"
    folder.mkdir()
    for name in ("a.json", "b.json", "c.writing"):
        (folder / name).write_text("1234")
    check(ask("runs gc"), 0, ["Removed 1 half-written run, 4 bytes", "2 given-up trials", "--given-up"])
    assert sorted(path.name for path in folder.iterdir()) == ["a.json", "b.json"]
    check(ask("runs gc --given-up"), 0, ["Removed 0 half-written runs and 2 given-up trials, 8 bytes"])
    assert not list(folder.iterdir())
    assert len(list(store.glob("*/*/run.json"))) == 6
