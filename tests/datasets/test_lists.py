"""Files of lists: what every kind is read as, and where a mistake in one is."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from datasets.errors import UserError
from datasets.lists import Lists, read_lists

USERS, ITEMS = np.array([1, 7, 30]), np.array([10, 20, 40, 50])
TEXT = "user,item,score\n7,20,0.5\n7,10,1.5\n30,50,-2\n"


def read(path: Path, text: str | bytes = "", columns: str | None = None) -> Lists:
    if text:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_lists(path, USERS, ITEMS, columns)


def content(lists: Lists) -> list[tuple[int, int, float]]:
    return list(zip(lists.users.tolist(), lists.items.tolist(), lists.scores.tolist(), strict=True))


SCORES = [(1, 1, 0.5), (1, 0, 1.5), (2, 3, -2.0)]
RANKS = [(1, 1, -2.0), (1, 0, -1.0), (2, 3, -1.0)]


@pytest.mark.parametrize(
    ("name", "text", "columns", "expected"),
    [
        ("a.csv", TEXT, None, SCORES),
        ("a.csv.gz", gzip.compress(TEXT.encode(), mtime=0), None, SCORES),
        ("a.tsv", TEXT.replace(",", "\t"), None, SCORES),
        ("a.txt", TEXT.replace(",", ";").replace("\n", "\r\n"), None, SCORES),
        ("a.csv", TEXT.replace("user,item,score", "userId,movieId,prediction"), None, SCORES),
        ("a.csv", "user,item,rank\n7,20,2\n7,10,1\n30,50,1\n", None, RANKS),
        ("a.csv", "7,20,0.5\n7,10,1.5\n30,50,-2\n", "user,item,score", SCORES),
        ("a.csv", "7,20,2\n7,10,1\n30,50,1\n", "user,item,rank", RANKS),
        ("a.csv", TEXT.replace("score", "y"), "user=user,item=item,score=y", SCORES),
        ("a.csv", TEXT.replace("user,item", "a,b"), "user,item,score", SCORES),
        ("a.csv", "rank,item,user,score\n2,20,7,0.5\n1,10,7,1.5\n1,50,30,-2\n", None, SCORES),
        ("a.run", "7 Q0 20 2 0.5 me\n7  Q0\t10 1 1.5 me\n30 Q0 50 1 -2 me\n", None, SCORES),
    ],
)
def test_each_kind_is_the_same_lists(
    tmp_path: Path, name: str, text: str | bytes, columns: str | None, expected: list[tuple[int, int, float]]
) -> None:
    lists = read(tmp_path / name, text, columns)
    assert content(lists) == expected
    assert lists.seeds is None


def test_parquet_of_numbers_or_text(tmp_path: Path) -> None:
    for users in ([7, 7, 30], ["7", "7", "30"]):
        table = pa.table({"user_id": users, "item_id": [20, 10, 50], "rank": [2, 1, 1], "score": [0.5, 1.5, -2]})
        parquet.write_table(table, tmp_path / "a.parquet")
        lists = read(tmp_path / "a.parquet")
        assert content(lists) == SCORES
        assert lists.told == "user=user_id, item=item_id, score=score; not used: rank"


def test_seeds_are_read_and_text_ids_found(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("seed,user,item,score\n4,b,y,1\n0,b,y,1\n0,007,x,2\n")
    lists = read_lists(path, np.array(["007", "a", "b"]), np.array(["x", "y"]))
    assert content(lists) == [(2, 1, 1.0), (2, 1, 1.0), (0, 0, 2.0)]
    assert lists.seeds is not None
    assert lists.seeds.tolist() == [4, 0, 0]
    path.write_text("user,item,score\n1,8,1\n")  # all of them whole numbers, where the data have text too
    assert read_lists(path, np.array(["1", "b"]), np.array(["10", "8", "9"])).items.tolist() == [1]


@pytest.mark.parametrize(
    ("text", "columns", "said"),
    [
        ("user,item,score\n7,20,1\n\n8,20,1\n", None, "user 8 in line 4"),
        ("user,item,score\n7,20,1\n7,2,1\n", None, "item 2 in line 3"),
        ("user,item,score\n7,20,1\n7,x,1\n", None, "item x in line 3"),
        ("user,item,score\n7,20,1\n7,,1\n", None, "no item in line 3"),
        ("user,item,score\n7,20,1\n7,10,high\n", None, "'high' where a score belongs in line 3"),
        ("user,item,score\n7,20,1\n7,10,\n", None, "'' where a score belongs in line 3"),
        ("user,item,score\n7,20,1\n7,10,nan\n", None, "no finite number in line 3"),
        ("user,item,rank\n7,20,1\n7,10,inf\n", None, "a rank that is missing or no finite number in line 3"),
        ("user,item,score\n7,20,1\n30,20,1\n7,20,2\n", None, "item 20 of user 7 in line 2 and again in line 4"),
        ("user,item,score,seed\n7,20,1,0\n7,20,1,1\n7,20,2,1\n", None, "in line 3 and again in line 4"),
        ("user,item,score,seed\n7,20,1,0.5\n", None, "no whole number from 0 in line 2"),
        ("user,item,score\n7,20,1\n7,10\n", None, "2 columns in line 3"),
        ("user,item,score\n", None, "has no rows"),
        (" \n", None, "is empty"),
        ("7,20,1\n", None, "has no header; say what its columns are, as in --list-columns user,item,score"),
        ("user,item\n7,20\n", None, "neither scores nor ranks among user, item"),
        ("who,item,score\n7,20,1\n", None, "no column for the user among who, item, score"),
        ("user,item,score,prediction\n7,20,1,2\n", "user,item,wage", "'wage'"),
        ("user,item,a,b\n7,20,1,2\n", "user=user,item=item,score=c", "No column of a.csv is called 'c'"),
        ("user,item,score\n7,20,1\n", "user,item,score,seed", "has 3 columns, but --list-columns names 4"),
        ("user,item,score\n7,20,1\n", "user,user,score", "names 'user' twice"),
        ("user,item,pred,yhat\n7,20,1,2\n", None, "several columns for the score (pred, yhat)"),
        ("user\n7\n", None, "one column only"),
        ("7 Q0 20 1 0.5 me\n7 Q0 10 2 0.4\n", None, "5 fields in line 2"),
        ("7 Q0 20 1 0.5 me\n7 Q0 10 2 0.4 you\n", None, "several runs (me, you)"),
        ("7 Q0 20 1 0.5 me\n7 Q0 10 2 low me\n", None, "'low' where a score belongs in line 2"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, columns: str | None, said: str) -> None:
    with pytest.raises(UserError) as error:
        read(tmp_path / "a.csv", text, columns)
    assert said in str(error.value)
    assert "a.csv" in str(error.value) or columns is not None


def test_a_row_of_parquet_is_named_by_its_number(tmp_path: Path) -> None:
    table = pa.table({"user": [7, 7], "item": [20, 10], "score": [1.0, None]})
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(UserError, match="no finite number in row 2"):
        read(tmp_path / "a.parquet")
    with pytest.raises(UserError, match="There is no file"):
        read(tmp_path / "b.parquet")
