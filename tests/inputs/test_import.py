"""`bench import`, `bench runs export` and `bench data export --layout`: each mistake a user can make with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.inputs.asking import Case, ask, check, table

GOOD = "user,item,score\n100,9,1\n100,12,0.5\n101,11,2\n"  # none of it seen
FILES = {
    "good.csv": GOOD,
    "stranger.csv": GOOD + "99,7,1\n",
    "strange-item.csv": GOOD + "101,999,1\n",
    "twice.csv": GOOD + "100,12,0.1\n",
    "seen.csv": "user,item,score\n100,7,1\n100,8,1\n",
    "words.csv": GOOD + "102,9,high\n",
    "ragged.csv": GOOD + "102,9\n",
    "bare.csv": "100,9,1\n101,11,2\n",
    "pairs.csv": "user,item\n100,7\n",
    "empty.csv": "",
    "header.csv": "user,item,score\n",
    "seeds.csv": "user,item,score,seed\n100,7,1,0\n",
    "half.csv": "user,item,score,seed\n100,7,1,0.5\n",
    "lists.json": '{"100": [7, 8]}\n',
    "not.parquet": "user,item\n",
    "a.run": "100 Q0 7 1 0.9 me\n100 Q0 8 2 0.8\n",
}

IMPORTS: list[Case] = [
    ("import", 2, ["FILE"]),
    ("import good.csv", 2, ["bench import needs --name; see", "--help"]),
    ("import good.csv --name uniform --dataset ratings.csv", 2, ["'uniform'", "sampler", "--name other-uniform"]),
    ("import good.csv --name BPR --dataset ratings.csv", 2, ["'BPR'", "loss bpr", "name of its own"]),
    ("import good.csv --name a+b --dataset ratings.csv", 2, ["'a+b'", "letters"]),
    ("import good.csv --name '' --dataset ratings.csv", 2, ["''", "letters"]),
    ("import good.csv --name my.toml --dataset ratings.csv", 2, ["my.toml", "letters"]),
    ("import nowhere.csv --name mine --dataset ratings.csv", 2, ["no file nowhere.csv"]),
    ("import good.csv --name mine --dataset rating.csv", 2, ["rating.csv", "ratings.csv"]),
    ("import good.csv --name mine --dataset uniform", 2, ["'uniform' is a sampler"]),
    ("import good.csv --name mine --dataset ratings.csv --split lo", 2, ["No split", "'lo'"]),
    ("import good.csv --name mine --dataset ratings.csv --metric hr@10", 2, ["--metric", "bench import"]),
    ("import stranger.csv --name mine --dataset ratings.csv", 2, ["stranger.csv", "user 99 in line 5", "such as 100"]),
    ("import strange-item.csv --name mine --dataset ratings.csv", 2, ["item 999 in line 5", "such as 7"]),
    ("import twice.csv --name mine --dataset ratings.csv", 2, ["item 12 of user 100", "line 3", "line 5"]),
    ("import seen.csv --name mine --dataset ratings.csv", 2, ["to user 100 but what the user has seen"]),
    ("import words.csv --name mine --dataset ratings.csv", 2, ["'high' where a score belongs in line 5"]),
    ("import ragged.csv --name mine --dataset ratings.csv", 2, ["2 columns in line 5"]),
    ("import bare.csv --name mine --dataset ratings.csv", 2, ["no header", "--list-columns user,item,score"]),
    ("import bare.csv --name mine --dataset ratings.csv --list-columns user,item,wage", 2, ["'wage'", "score"]),
    ("import bare.csv --name mine --dataset ratings.csv --list-columns item,score", 2, ["no column for the user"]),
    ("import bare.csv --name mine --dataset ratings.csv --list-columns user,item,score", 0, ["mine\tseed 0"]),
    ("import pairs.csv --name mine --dataset ratings.csv", 2, ["neither scores nor ranks"]),
    ("import empty.csv --name mine --dataset ratings.csv", 2, ["empty.csv is empty"]),
    ("import header.csv --name mine --dataset ratings.csv", 2, ["header.csv has no rows"]),
    ("import half.csv --name mine --dataset ratings.csv", 2, ["seed that is no whole number", "line 2"]),
    ("import seeds.csv good.csv --name mine --dataset ratings.csv", 2, ["seeds.csv", "give it alone"]),
    ("import lists.json --name mine --dataset ratings.csv", 2, ["lists.json", "user"]),
    ("import not.parquet --name mine --dataset ratings.csv", 2, ["not.parquet is not a readable Parquet file"]),
    ("import a.run --name mine --dataset ratings.csv", 2, ["5 fields in line 2", "TREC"]),
    ("import good.csv --name mine --dataset ratings.csv --results good.csv", 2, ["good.csv is a file"]),
    ("import good.csv good.csv --name mine --dataset ratings.csv", 0, ["seed 0", "seed 1"]),
    ("import good.csv --name mine --dataset ratings.csv", 0, ["38 test users have no list", "K up to"]),
]

EXPORTS: list[Case] = [
    ("data export out ratings.csv --layout cvs", 2, ["'cvs'", "'csv'"]),
    ("data export out ratings.csv ml-100k --layout csv", 2, ["2 data sets"]),
    ("data export . ratings.csv --layout csv", 2, ["not empty"]),
    ("data export good.csv ratings.csv --layout csv", 2, ["good.csv is a file"]),
    ("data export out rating.csv --layout csv", 2, ["ratings.csv"]),
    ("data export out ratings.csv --layout csv --split ratio:test=2", 2, ["ratio:test is '2'"]),
    ("data export out ratings.csv --layout recbole --candidates sampled:9", 2, ["recbole has no place"]),
    ("data export ml-100k ratings.csv --layout recbole", 2, ["RecBole takes ml-100k from its own", "ml-100k-split"]),
    ("data export out ratings.csv --layout csv --negatives-from good.csv", 2, ["--negatives-from"]),
    ("data export out ratings.csv --layout csv --item-features good.csv", 2, ["--item-features", "in no split"]),
    ("data export out ml-100k --split ratio:test=0.2", 2, ["--split is for a split", "--layout"]),
    ("data export out ratings.csv", 2, ["'ratings.csv' is a path", "--layout"]),
    ("data export out ratings.csv --layout csv", 0, ["out/train.csv", "out/test.csv"]),
    ("data export out ratings.csv --layout recbole", 0, ["out/out.train.inter", "out/recbole.yaml"]),
    ("data export out ratings.csv --layout lenskit --split ratio:test=0.2,valid=0", 0, ["no validation part"]),
    ("runs export", 2, ["runs"]),
    ("runs export abc --out lists.csv", 2, ["No run", "abc"]),
    ("runs export abc --out lists.xlsx", 2, ["lists.xlsx", ".parquet"]),
    ("runs export abc --out lists.csv.xz", 2, ["lists.csv.xz", ".gz"]),
    ("runs export abc --out lists.csv --depth 0", 2, ["--depth"]),
]


@pytest.fixture
def files(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder with files of lists and an empty store."""
    monkeypatch.setenv("BENCH_RESULTS", str(here / "store"))
    for name, text in FILES.items():
        (here / name).write_text(text, encoding="utf-8")
    return here


@table([*IMPORTS, *EXPORTS])
def test_each_is_answered_and_a_mistake_leaves_nothing(
    words: str, code: int, must: list[str], must_not: list[str], files: Path
) -> None:
    check(ask(words), code, must, must_not)
    if code:
        assert not list(files.glob("store/*/*/run.json"))
        assert not (files / "out").exists()
