"""Parquet, folders with a ready split, and the layouts that other programs write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.inputs.asking import ask, check
from tests.inputs.test_files import HEADER, rows

Make = Callable[[Path], object]


def _parquet(**columns: object) -> Make:
    def make(path: Path) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        parquet.write_table(pa.table(columns), path)

    return make


USERS, ITEMS = [k // 6 for k in range(36)], [k % 6 for k in range(36)]
STAMPS = np.arange("2020-01-01", "2020-02-06", dtype="datetime64[D]").astype("datetime64[ms]")
TABLES: list[tuple[str, Make, int, list[str]]] = [
    ("a table", _parquet(user=USERS, item=ITEMS), 0, ["user=user"]),
    ("with dates", _parquet(user=USERS, item=ITEMS, timestamp=STAMPS), 0, ["user=user"]),
    ("text ids", _parquet(user=[f"u{u}" for u in USERS], item=ITEMS), 0, ["user=user"]),
    ("ids as pandas writes them", _parquet(user=[float(u) for u in USERS], item=ITEMS), 0, ["user=user"]),
    ("ids with fractions", _parquet(user=[u + 0.5 for u in USERS], item=ITEMS), 2, ["user", "fractions"]),
    ("a list column", _parquet(user=USERS, item=[[i, i] for i in ITEMS]), 2, ["item", "list"]),
    ("a list of ratings", _parquet(user=USERS, item=ITEMS, rating=[[1.0]] * 36), 2, ["rating", "list"]),
    ("ratings in words", _parquet(user=USERS, item=ITEMS, rating=["good"] * 36), 2, ["rating"]),
    ("times in words", _parquet(user=USERS, item=ITEMS, timestamp=["soon"] * 36), 2, ["'soon'"]),
    ("true for an id", _parquet(user=[True] * 36, item=ITEMS), 2, ["user", "bool"]),
    ("no rows", _parquet(user=np.empty(0, np.int64), item=np.empty(0, np.int64)), 2, ["no interactions"]),
    ("no user", _parquet(alpha=USERS, item=ITEMS), 2, ["user", "--columns"]),
    ("a null id", _parquet(user=[None, *USERS[1:]], item=ITEMS), 2, ["user", "row 1"]),
    ("no Parquet", lambda path: path.write_text(rows()), 2, ["a.parquet", "Parquet"]),
    ("half a table", lambda path: _half(path), 2, ["a.parquet", "Parquet"]),
    ("empty", lambda path: path.write_bytes(b""), 2, ["a.parquet"]),
]


def _half(path: Path) -> None:
    _parquet(user=USERS, item=ITEMS)(path)
    path.write_bytes(path.read_bytes()[:200])


PLAIN = {"train.csv": rows(), "test.csv": f"{HEADER}\n" + "".join(f"{u},17,5,1700000000\n" for u in range(1, 7))}
PAIRS = "".join(f"{u} {i}\n" for u in range(1, 7) for i in range(1, 8))
NCF = {
    "a.train.rating": rows("{u}\t{i}\t{r}\t{t}", None),
    "a.test.rating": "".join(f"{u}\t17\t5\t1700000000\n" for u in range(1, 7)),
    "a.test.negative": "".join(f"({u},17)\t18\t19\n" for u in range(1, 7)),
}
LISTS = {
    "train.txt": "".join(f"{u} {' '.join(map(str, range(u, u + 4 + u)))}\n" for u in range(6)),
    "test.txt": "".join(f"{u} {u + 14}\n" for u in range(6)),
}
FOLDERS: list[tuple[str, dict[str, str], int, list[str]]] = [
    ("train and test", PLAIN, 0, ["train"]),
    ("all three", PLAIN | {"valid.csv": PLAIN["test.csv"].replace("17,5", "18,5")}, 0, ["train"]),
    ("adjacency", LISTS, 0, ["train"]),
    ("NCF", NCF, 0, ["train"]),
    ("candidates in NCF's form", {**PLAIN, "candidates.txt": NCF["a.test.negative"]}, 0, ["train"]),
    ("empty", {}, 2, ["train", "test"]),
    ("no test", {"train.csv": rows()}, 2, ["test"]),
    ("no train", {"test.csv": rows()}, 2, ["train"]),
    ("other names", {"training.csv": rows(), "testing.csv": rows()}, 2, ["train"]),
    ("capitals", {"Train.csv": PLAIN["train.csv"], "Test.csv": PLAIN["test.csv"]}, 0, ["train"]),
    ("two trains", {**PLAIN, "train.tsv": rows()}, 2, ["train.csv", "train.tsv"]),
    ("an empty train", {**PLAIN, "train.csv": ""}, 2, ["train.csv", "empty"]),
    ("an empty test", {**PLAIN, "test.csv": ""}, 2, ["test.csv", "empty"]),
    ("only a header to test", {**PLAIN, "test.csv": HEADER + "\n"}, 2, ["test.csv", "no interactions"]),
    ("other columns to test", {**PLAIN, "test.csv": "a,b\n1,2\n"}, 2, ["test.csv", "--columns"]),
    ("a ragged test", {**PLAIN, "test.csv": PLAIN["test.csv"] + "1,2\n"}, 2, ["test.csv", "line 8"]),
    ("half an NCF", {name: NCF[name] for name in ("a.train.rating", "a.test.negative")}, 2, ["test"]),
    ("NCF's lists amiss", NCF | {"a.test.negative": "(1,17)\tx\n"}, 2, ["a.test.negative", "line 1"]),
]

SINGLES: list[tuple[str, str, str, str, int, list[str]]] = [
    (
        "sequences of one length",
        "a.txt",
        "".join(f"{u} {u + 1} {u + 2} {u + 3} {u + 4}\n" for u in range(6)),
        "",
        2,
        ["--columns user,items"],
    ),
    ("ragged sequences", "a.txt", "1 2 3 4 5 6\n2 3 4 5\n3 4 5 6 7 8 9\n", "", 0, ["items"]),
    ("sequences, told", "a.txt", "1 2 3 4\n2 3 4 5\n3 4 5 6\n", "--columns user,items", 0, ["items"]),
    ("iclrec's pairs", "a.txt", PAIRS, "", 0, ["user"]),
    ("a user without items", "a.txt", "1 2 3 4 5 6\n2\n3 4 5 6 7 8 9\n", "--columns user,items", 0, ["items"]),
    ("a Matlab file", "a.mat", "MATLAB 5.0 MAT-file", "", 2, ["a.mat"]),
    ("a spreadsheet", "a.xls", "\u00d0\u00cf\u0011\u00e0", "", 2, ["a.xls"]),
]


@pytest.mark.parametrize(("make", "code", "must"), [t[1:] for t in TABLES], ids=[t[0] for t in TABLES])
def test_parquet(make: Make, code: int, must: list[str], here: Path) -> None:
    make(here / "a.parquet")
    check(ask("data info a.parquet"), code, must)


@pytest.mark.parametrize(("files", "code", "must"), [f[1:] for f in FOLDERS], ids=[f[0] for f in FOLDERS])
def test_a_folder_is_a_ready_split_or_told_what_it_lacks(
    files: dict[str, str], code: int, must: list[str], here: Path
) -> None:
    (here / "ready").mkdir()
    for name, text in files.items():
        (here / "ready" / name).write_text(text)
    check(ask("compare uniform --dataset ready --dry-run"), code, must if code else [])
    if not code:
        check(ask("data info ready"), 0, must)


@pytest.mark.parametrize(
    ("name", "text", "words", "code", "must"), [s[1:] for s in SINGLES], ids=[s[0] for s in SINGLES]
)
def test_a_layout_of_other_programs_is_read_as_it_is(
    name: str, text: str, words: str, code: int, must: list[str], here: Path
) -> None:
    (here / name).write_text(text, encoding="latin-1")
    check(ask(f"data info {name} {words}"), code, must)
