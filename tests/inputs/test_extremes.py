"""Numbers at the ends of what can be written, values that are empty, and what stands where a file should."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.inputs.asking import Case, ask, check, table

NUMBERS: list[Case] = [
    ("--metric ndcg@010", 2, ["'ndcg@010'", "1 to 10000"]),
    ("--metric ndcg@１０", 2, ["'ndcg@１０'", "1 to 10000"]),
    ("--cutoffs 99999999999999999999", 2, ["99999999999999999999", "10000"]),
    ("--cutoffs 010,10", 2, ["010,10", "once"]),
    ("--seeds 0x5", 2, ["--seeds 0x5"]),
    ("--set learning_rate=0x1", 2, ["learning_rate", "'0x1'"]),
    ("--alpha 1e-400", 2, ["alpha", "0.05"]),
    ("--min-rating inf", 2, ["min_rating", "inf"]),
    ("--min-rating 1e400", 2, ["min_rating", "inf"]),
    ("--sample-users 99999999999999999999", 2, ["40 users"]),
    ("--min-user-count 99999999999999999999", 2, ["no interactions", "lower"]),
    ("--min-item-count 99999999999999999999", 2, ["no interactions", "lower"]),
    ("--k-core 99999999999999999999", 2, ["no interactions", "k_core"]),
    ("--candidates sampled:99999999999999999999", 2, ["99999999999999999999", "47"]),
    ("--expect-sampled 48", 2, ["48", "47", "fewer"]),
    ("--expect-sampled 99999999999999999999", 2, ["99999999999999999999", "47", "fewer"]),
    ("--expect-sampled 47", 0, ["1 cells"]),
    ("--expect-sampled 47 --mask none", 0, ["1 cells"]),
    ("--expect-sampled 60 --mask none", 2, ["60", "58"]),
    ("--expect-sampled 10 --split ratio", 2, ["one test item", "several"]),
    ("--expect-sampled 10 --metric recall@10", 2, ["recall", "ndcg"]),
    ("--view equivalence --margin inf", 2, ["--margin inf", "above 0"]),
    ("--set embedding_size=99999999999", 0, ["Not measured: uniform", "out of memory"]),
    ("--set negatives=99999999999", 0, ["Not measured: uniform", "out of memory"]),
    ("--set batch_size=99999999999", 0, ["The rest takes about"]),
    ("--seeds 4294967296,3", 0, ["2 seeds"]),
    ("--split-seed 99999999999999999999999 --split ratio", 0, ["1 cells"]),
    ("--device cuda:99999999999999999999", 2, ["cuda:99999999999999999999", "--device cpu"]),
]

EMPTY: list[Case] = [
    ("compare uniform --dataset ratings.csv --results '' --dry-run", 2, ["results folder", "empty"]),
    ("compare uniform --dataset ratings.csv --negatives-from '' --dry-run", 2, ["negatives", "pairs"]),
    ("compare uniform --dataset ratings.csv --negatives-from . --dry-run", 2, ["'.'", "pairs"]),
    ("compare uniform --dataset ratings.csv --negatives-from nope.csv --dry-run", 2, ["nope.csv", "pairs"]),
    ("compare two-tower --dataset ratings.csv --dry-run", 2, ["two-tower reads features", "--item-features"]),
    ("compare two-tower --dataset ratings.csv --item-features '' --dry-run", 2, ["''", "an item a line"]),
    ("compare uniform --dataset ratings.csv --item-features nope.csv --dry-run", 2, ["nope.csv", "an item a line"]),
    ("compare two-tower --dataset ratings.csv --item-features ratings.csv --dry-run", 2, ["again in line"]),
    ("compare given --dataset ratings.csv --dry-run", 0, ["Not measured: given", "min_rating", "negatives_from"]),
    ("compare uniform --dataset ratings.csv --cluster '' --quiet", 2, ["''", "tcp://HOST:PORT"]),
    ("compare uniform --dataset ratings.csv --cluster 127.0.0.1:99999 --quiet", 2, ["99999", "tcp://HOST:PORT"]),
    ("compare uniform --dataset ratings.csv --cluster http://127.0.0.1:80 --quiet", 2, ["http://", "tcp://HOST:PORT"]),
    ("compare uniform --dataset pipe --dry-run", 2, ["pipe", "neither a file nor a folder"]),
    ("compare uniform --dataset loop.csv --dry-run", 2, ["loop.csv"], ["Did you mean loop.csv"]),
    ("compare uniform --dataset - --dry-run", 2, ["'-'", "ml-100k"]),
    ("compare uniform --dataset s3://bucket/x.csv --dry-run", 2, ["s3://bucket/x.csv", "download"]),
    ("compare uniform --dataset a=b.csv --dry-run", 0, ["a=b.csv"]),
    ("compare toppop --dataset ratings.csv --tuned-from nope.toml --dry-run", 2, ["nope.toml", "bench tune"]),
    ("compare toppop --dataset ratings.csv --tuned-from ratings.csv --dry-run", 2, ["ratings.csv is not TOML"]),
    ("compare toppop --dataset ratings.csv --tuned-from .", 2, [". is a folder", "a file that `bench tune` wrote"]),
    ("compare toppop --dataset ratings.csv --tuned-from table.json", 2, ["table.json is not TOML", "bench tune"]),
    (
        "compare toppop --dataset ratings.csv --tuned-from grid.toml",
        2,
        ["grid.toml holds no tuned settings", "'schema'"],
    ),
    ("compare toppop --dataset ratings.csv --tuned-from old.toml", 2, ["old.toml has schema 0", "tune again"]),
    ("compare toppop --dataset ratings.csv --tuned-from cut.toml", 2, ["cut.toml is not TOML", "bench tune"]),
    ("compare toppop --dataset ratings.csv --tuned-from bare.toml", 2, ["bare.toml", "changed since", "again"]),
    ("compare toppop --dataset ratings.csv --tuned-from latin.toml", 2, ["latin.toml is no text", "bench tune"]),
    ("compare toppop --dataset ratings.csv --tuned-from ''", 2, ["bench tune"]),
    ("tune uniform --dataset ratings.csv --out .", 2, [". is a folder", "--out"]),
    ("tune uniform --dataset ratings.csv --out folder --dry-run", 2, ["folder is a folder", "--out"]),
    ("tune uniform --dataset ratings.csv --out ratings.csv/x.toml", 2, ["ratings.csv is a file", "--out"]),
    ("tune uniform --dataset ratings.csv --curve x.txt", 2, [".png", ".svg", ".pdf", "'.txt'"]),
    ("tune uniform --dataset ratings.csv --curve x.txt --dry-run", 2, [".png", ".svg", ".pdf", "'.txt'"]),
    ("tune uniform --dataset ratings.csv --curve . --dry-run", 2, [". is a folder", "--curve"]),
    ("tune uniform --dataset ratings.csv --dataset a=b.csv --out x.toml", 2, ["--out", "2", "choose one"]),
    ("compare toppop --dataset ratings.csv --tuned-from t.toml --recommended", 2, ["--tuned-from", "--recommended"]),
    ("across toppop --dataset ratings.csv --dataset a=b.csv --margin inf", 2, ["--margin inf"]),
    ("across toppop --dataset ratings.csv --dataset a=b.csv --margin nan", 2, ["--margin", "'nan'"]),
    ("power uniform dns --dataset ratings.csv --dataset a=b.csv --out x.csv", 2, ["--out", "2 data sets"]),
    ("power uniform dns --dataset ratings.csv --out .", 2, [".", "folder"]),
    ("calibrate uniform --dataset ratings.csv --seeds 40 --out x.json", 2, ["x.json", ".txt"]),
    ("calibrate uniform --dataset ratings.csv --seeds 40 --out .", 2, [".", "folder"]),
    ("data info .", 2, ["train"], ["The folder  has"]),
    ("runs merge .", 2, ["no runs", "run.json"]),
    ("runs show '*'", 2, ["*", "bench runs list"]),
    ("runs show ../x", 2, ["../x", "bench runs list"]),
    ("list uniform popularity", 2, ["'popularity'", "bench list --help"]),
    ("runs show", 2, ["bench runs show needs", "--help"]),
    ("data info ratings.csv --columns", 2, ["--columns", "value"]),
    ("list ''", 2, ["''", "uniform"]),
    ("--verison", 2, ["--version"]),
]

NOT_TUNED = {
    "table.json": '{"schema": 1}\n',
    "grid.toml": 'names = ["uniform"]\n',
    "old.toml": 'schema = 0\ncommand = "bench tune"\n[key]\n[study]\n',
    "cut.toml": 'schema = 1\ncommand = "ben',
    "bare.toml": 'schema = 1\ncommand = "bench tune"\n[key]\n[study]\n[cells."uniform+bpr"]\ntrials = 2\n',
    "latin.toml": "# é\n",
}

PLACES: list[Case] = [
    ("BENCH_RESULTS=ratings.csv", 2, ["ratings.csv", "BENCH_RESULTS"]),
    ("BENCH_RESULTS=/dev/null/store", 2, ["/dev/null/store", "BENCH_RESULTS"]),
    ("BENCH_DATA=/dev/null/data", 2, ["/dev/null/data", "BENCH_DATA"]),
    ("COLUMNS=10", 0, ["toppop"]),
    ("COLUMNS=abc", 0, ["toppop"]),
    ("COLUMNS=0", 0, ["toppop"]),
]


@pytest.fixture
def odd(here: Path) -> Path:
    """The folder with a pipe, a link to itself and a name with an equals sign in it."""
    os.mkfifo(here / "pipe")
    (here / "loop.csv").symlink_to("loop.csv")
    (here / "a=b.csv").write_bytes((here / "ratings.csv").read_bytes())
    (here / "folder").mkdir()
    for name, text in NOT_TUNED.items():
        (here / name).write_text(text, encoding="latin-1")
    return here


@table(NUMBERS)
def test_a_number_is_told_what_it_may_be(
    words: str, code: int, must: list[str], must_not: list[str], here: Path
) -> None:
    check(ask(f"compare uniform --dataset ratings.csv {words} --dry-run"), code, must, must_not)


@table(EMPTY)
def test_what_is_no_file_is_told_apart(words: str, code: int, must: list[str], must_not: list[str], odd: Path) -> None:
    check(ask(words), code, must, must_not)


@table(PLACES)
def test_a_variable_that_means_nothing_is_named(
    words: str, code: int, must: list[str], must_not: list[str], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(*words.split("="))
    check(ask("compare toppop --dataset ratings.csv --seeds 1 --jobs 1 --quiet"), code, must, must_not)
