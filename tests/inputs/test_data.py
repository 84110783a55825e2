"""`bench data`: names, files brought by hand, mirrors, and what is left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.inputs.asking import Case, ask, check, table

COMMANDS: list[Case] = [
    ("data list", 0, ["ml-100k", "ml-1m"]),
    ("data list --format csv", 2, ["'csv'", "json"]),
    ("data list extra", 2, ["extra"]),
    ("data info", 2, ["NAME"]),
    ("data info ml-10k", 2, ["Did you mean 'ml-100k'?"]),
    ("data info ML-100K", 2, ["Did you mean 'ml-100k'?"]),
    ("data info ''", 2, ["empty"]),
    ("data info ml-1m", 0, ["MovieLens", "Not measured"]),
    ("data info ratings.csv", 0, ["ratings.csv", "user=user"]),
    ("data info rating.csv", 2, ["rating.csv", "ratings.csv"]),
    ("data info ratings.csv --split loo", 2, ["'loo'", "leave-last-one-out"]),
    ("data info ratings.csv --columns user", 2, ["'item'"]),
    ("data info ratings.csv --format yaml", 2, ["'yaml'"]),
    ("data info ml-100k --columns user,item", 2, ["ml-100k", "columns"]),
    ("data info ratings.csv --offline", 2, ["--offline", "bench data info"]),
    ("data info uniform", 2, ["'uniform'", "sampler"]),
    ("data fetch", 2, ["NAME"]),
    ("data fetch ml-10k", 2, ["Did you mean 'ml-100k'?"]),
    ("data fetch ml-100k", 2, ["ml-100k", "network is switched off", "bench data add"]),
    ("data fetch ratings.csv", 2, ["ratings.csv"]),
    ("data fetch synthetic", 2, ["synthetic"]),
    ("data fetch yelp", 2, ["yelp"]),
    ("data fetch mind-small", 2, ["mind-small"]),
    ("data fetch amazon-2018", 2, ["amazon-2018", "Books"]),
    ("data fetch amazon-2018:Bookz", 2, ["Bookz", "Books"]),
    ("data fetch 'amazon-2018:<category>'", 2, ["amazon-2018", "category"]),
    ("data add", 2, ["NAME"]),
    ("data add ml-100k", 2, ["FILE"]),
    ("data add ml-10k ratings.csv", 2, ["Did you mean 'ml-100k'?"]),
    ("data add ml-100k nope.zip", 2, ["nope.zip"]),
    ("data add ml-100k ratings.csv", 2, ["ratings.csv", "published"]),
    ("data add ml-100k .", 2, ["no file ."]),
    ("data add douban ratings.csv", 2, ["douban"], ["--unverified"]),
    ("data export", 2, ["FOLDER"]),
    ("data export stick", 2, ["NAME"]),
    ("data export stick ml-10k", 2, ["Did you mean 'ml-100k'?"]),
    ("data export stick ml-100k", 2, ["ml-100k", "network is switched off"]),
    ("data verify", 0, ["empty"]),
    ("data verify ml-10k", 2, ["Did you mean 'ml-100k'?"]),
    ("data verify ml-100k", 0, ["not here"]),
    ("data gc", 0, ["Freed"]),
    ("data gc extra", 2, ["extra"]),
    ("data rm ml-100k", 2, ["'rm'", "gc"]),
]


@table(COMMANDS)
def test_data_commands(
    words: str, code: int, must: list[str], must_not: list[str], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_DATA", str(here / "data"))
    check(ask(words), code, must, must_not)


@pytest.mark.parametrize("words", ["fetch ml-100k", "export stick ml-100k", "add ml-100k ratings.csv --unverified"])
def test_a_data_folder_that_cannot_be_written(words: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_DATA", str(here / "ratings.csv"))
    check(ask(f"data {words}"), 2, ["ratings.csv", "BENCH_DATA"])


def test_a_mirror_that_is_not_there(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_DATA", str(here / "data"))
    monkeypatch.setenv("BENCH_DATA_MIRROR", str(here / "no mirror"))
    check(ask("data fetch ml-100k"), 2, ["no mirror", "BENCH_DATA_MIRROR"])
