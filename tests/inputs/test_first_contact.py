"""Mistakes at the commands that one meets first: doctor, init, recommend."""

from __future__ import annotations

from pathlib import Path

from tests.inputs.asking import Case, ask, check, table

CONTACT: list[Case] = [
    ("doctor --format csv", 2, ["'csv'", "json"]),
    ("doctor --dataset ml-100", 1, ["ml-100k", "sources"]),
    ("doctor --results ''", 1, ["empty"]),
    ("doctor --fix", 2, ["--fix", "bench doctor --help"]),
    ("docter", 2, ["Did you mean 'doctor'?"]),
    ("doctor --help", 0, ["Example", "--dataset"]),
    ("init x.yaml", 2, ["x.yaml", ".toml"]),
    ("init taken.toml", 2, ["taken.toml", "exists", "another file"]),
    ("init no.toml --cell unifrom", 2, ["'unifrom'", "uniform"]),
    ("init no.toml --dataset ml-100", 2, ["'ml-100'", "ml-100k"]),
    ("init no.toml --dataset nope.csv", 2, ["nope.csv"]),
    ("init /dev/null/x.toml", 2, ["/dev/null/x.toml", "another file"]),
    ("init . ", 2, [".toml"]),
    ("init --cell", 2, ["--cell", "value"]),
    ("init --help", 0, ["Example", "--cell"]),
    ("recommend", 2, ["bench recommend needs USER", "--help"]),
    ("recommend 100 -k 0", 2, ["-k", "1"]),
    ("recommend 100 -k many", 2, ["-k", "'many'"]),
    ("recommend 100 --cell unifrom --dataset ratings.csv", 2, ["'unifrom'", "uniform"]),
    ("recommend 100 --cell uniform --dataset ratings.csv --set epochs=1 --set epochs=2", 2, ["2 runs", "one cell"]),
    ("recommend 100 --cell uniform+softmax --split strong --dataset ratings.csv", 2, ["strong split", "history"]),
    ("recommend 100 --run 3a02", 2, ["3a02", "bench runs list"]),
    ("recommend 100 --format csv --dataset ratings.csv", 2, ["'csv'", "json"]),
    ("recommend 100 --out x.doc --dataset ratings.csv", 2, ["x.doc", ".parquet"]),
    ("recommend --help", 0, ["Example", "--cell", "--held-out"]),
    ("runs export 3a02 --vectors items --out x.npz", 2, ["3a02", "bench runs list"]),
    ("runs export a b --vectors items --out x.npz", 2, ["one run", "several runs"]),
    ("runs export --help", 0, ["--vectors", "Example"]),
]


@table(CONTACT)
def test_a_newcomer_is_told_what_to_do(words: str, code: int, must: list[str], must_not: list[str], here: Path) -> None:
    (here / "taken.toml").write_text("mine\n", encoding="utf-8")
    check(ask(words), code, must, must_not)
    assert (here / "taken.toml").read_text(encoding="utf-8") == "mine\n"
    assert not (here / "no.toml").exists()
