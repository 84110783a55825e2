"""Files as people have them: read and reported, or one sentence with the line and the cure."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.inputs.asking import ask, check

HEADER = "user,item,rating,timestamp"


def rows(line: str = "{u},{i},{r},{t}", header: str | None = HEADER, last: str = "") -> str:
    """A file of six users with six items each, every row written as `line`."""
    text = "" if header is None else f"{header}\n"
    for k in range(36):
        u, i = k // 6 + 1, k % 6 + 11
        text += line.format(u=u, i=i, r=k % 5 + 1, t=1_600_000_000 + 1000 * k) + "\n"
    return text + last


Text = tuple[str, str, str | bytes, int, list[str]]

SHAPES: list[Text] = [
    ("commas", "a.csv", rows(), 0, ["user=user", "item=item"]),
    ("tabs", "a.tsv", rows("{u}\t{i}\t{r}\t{t}", HEADER.replace(",", "\t")), 0, ["user=user"]),
    ("semicolons", "a.csv", rows("{u};{i};{r};{t}", HEADER.replace(",", ";")), 0, ["user=user"]),
    ("pipes", "a.csv", rows("{u}|{i}|{r}|{t}", HEADER.replace(",", "|")), 0, ["user=user"]),
    ("double colons", "a.dat", rows("{u}::{i}::{r}::{t}", None), 0, ["user"]),
    ("blanks", "a.txt", rows("{u} {i} {r} {t}", None), 0, ["user"]),
    ("no header", "a.csv", rows(header=None), 0, ["user", "item"]),
    ("two columns", "a.csv", rows("{u},{i}", "user,item"), 0, ["no times"]),
    ("CRLF", "a.csv", rows().replace("\n", "\r\n"), 0, ["user=user"]),
    ("a byte order mark", "a.csv", "\ufeff" + rows(), 0, ["user=user"]),
    ("latin-1", "a.csv", rows("{u}é,{i},{r},{t}").encode("latin-1"), 0, ["user=user"]),
    ("UTF-16", "a.csv", rows().encode("utf-16"), 2, ["a.csv", "text"]),
    ("quoted", "a.csv", rows('"{u}","{i}","{r}","{t}"'), 0, ["user=user"]),
    ("blank lines", "a.csv", rows().replace("\n", "\n\n"), 0, ["user=user"]),
    ("no line end", "a.csv", rows().rstrip("\n"), 0, ["user=user"]),
    ("a blank in the name", "my file.csv", rows(), 0, ["user=user"]),
    ("an umlaut in the name", "größe.csv", rows(), 0, ["user=user"]),
    ("no ending", "ratings", rows(), 0, ["user=user"]),
    ("text ids", "a.csv", rows("u{u},i{i},{r},{t}"), 0, ["user=user"]),
    (
        "RecBole",
        "a.inter",
        rows("{u}\t{i}\t{r}\t{t}", "user_id:token\titem_id:token\trating:float\ttimestamp:float"),
        0,
        ["user_id"],
    ),
    ("empty", "a.csv", "", 2, ["a.csv", "empty"]),
    ("only blanks", "a.csv", "  \n \n", 2, ["a.csv", "empty"]),
    ("only a header", "a.csv", HEADER + "\n", 2, ["a.csv", "no interactions"]),
    ("one column", "a.csv", "user\n1\n2\n", 2, ["a.csv", "one column"]),
    ("binary", "a.csv", b"\x00\x01\x02\x03" * 9, 2, ["a.csv", "text"]),
    ("a picture", "a.csv", b"\x89PNG\r\n\x1a\n\x00\x00", 2, ["a.csv", "text"]),
    ("a spreadsheet", "a.xlsx", b"PK\x03\x04" + b"\x00" * 40, 2, ["a.xlsx", "CSV"]),
    ("JSON lines", "a.jsonl", '{"user": 1, "item": 2}\n' * 9, 2, ["a.jsonl", "CSV"]),
    ("JSON", "a.json", '[{"user": 1, "item": 2}]', 2, ["a.json", "CSV"]),
    ("one user", "a.csv", "user,item\n1,2\n1,3\n1,4\n", 0, ["1"]),
    ("one row each", "a.csv", HEADER + "\n1,2,4,5\n2,3,4,6\n", 2, ["nothing to test on", "more data"]),
]

COLUMNS: list[Text] = [
    (
        "aliases",
        "a.csv",
        rows(header="customer_id,sku,stars,event_time"),
        0,
        ["user=customer_id", "item=sku", "event_time"],
    ),
    ("case and blanks", "a.csv", rows(header="User ID,Item Id,Rating,Event Time"), 0, ["User ID", "Event Time"]),
    ("capitals", "a.csv", rows(header="USER,ITEM,RATING,TIMESTAMP"), 0, ["user=USER"]),
    ("what is not used", "a.csv", rows("{u},{i},{r},x", "user,item,rating,genre"), 0, ["not used: genre"]),
    (
        "a split column",
        "a.csv",
        rows("{u},{i},{r},train", "user,item,rating,split"),
        0,
        ["not used: split (for a split of your own give a folder with train.* and test.*)"],
    ),
    ("two users", "a.csv", rows(header="user_name,userno,item,timestamp"), 2, ["user_name", "userno", "--columns"]),
    ("no user", "a.csv", rows(header="alpha,item,rating,timestamp"), 2, ["a.csv", "user", "--columns"]),
    ("no item", "a.csv", rows(header="user,beta,rating,timestamp"), 2, ["a.csv", "item", "--columns"]),
    ("neither", "a.csv", rows("{u},{i}", "foo,bar"), 2, ["foo", "bar", "--columns"]),
    (
        "a wide file",
        "a.csv",
        rows("{u},{i}" + ",0" * 40, "user,item" + "".join(f",x{k}" for k in range(40))),
        0,
        ["not used"],
    ),
]

CONTENT: list[Text] = [
    ("a missing column", "a.csv", rows(last="9,9,4\n"), 2, ["a.csv", "line 38", "4"]),
    ("a column too many", "a.csv", rows(last="9,9,4,5,6\n"), 2, ["a.csv", "line 38", "4"]),
    ("an open quote", "a.csv", rows(last='"9,9,4,5\n'), 2, ["a.csv", "line 38"]),
    ("a missing user", "a.csv", rows(last=",9,4,5\n"), 2, ["a.csv", "line 38", "user"]),
    ("a missing item", "a.csv", rows(last="9,,4,5\n"), 2, ["a.csv", "line 38", "item"]),
    ("a rating in words", "a.csv", rows(last="9,9,good,5\n"), 2, ["a.csv", "line 38", "'good'", "rating"]),
    ("a decimal comma", "a.csv", rows("{u};{i};{r},5;{t}", HEADER.replace(",", ";")), 2, ["a.csv", "'1,5'", "rating"]),
    ("no rating", "a.csv", rows(last="9,9,,5\n"), 2, ["a.csv", "line 38", "rating"]),
    ("a rating nan", "a.csv", rows(last="9,9,nan,5\n"), 2, ["a.csv", "line 38", "rating"]),
    ("a rating inf", "a.csv", rows(last="9,9,inf,5\n"), 2, ["a.csv", "line 38", "rating"]),
    ("a header again", "a.csv", rows(last=HEADER + "\n"), 2, ["a.csv", "line 38"]),
    ("a huge id", "a.csv", rows(last="x" * 5_000_000 + ",9,4,5\n"), 2, ["a.csv", "line 38"]),
    ("a long id", "a.csv", rows(last="x" * 200 + ",9,4,5\n"), 0, ["user=user"]),
    ("a large number for an id", "a.csv", rows(last="99999999999999999999999,9,4,5\n"), 0, ["user=user"]),
    ("a repeated pair", "a.csv", rows() + rows(header=None), 0, ["36"]),
]

PACKED: list[tuple[str, str, Callable[[bytes], bytes], int, list[str]]] = [
    ("gz", "a.csv.gz", gzip.compress, 0, ["user=user"]),
    ("bz2", "a.csv.bz2", bz2.compress, 0, ["user=user"]),
    ("xz", "a.csv.xz", lzma.compress, 0, ["user=user"]),
    ("zst", "a.csv.zst", lambda content: _zst(content), 0, ["user=user"]),
    ("zip", "a.zip", lambda content: _zip({"a.csv": content}), 0, ["user=user"]),
    (
        "a zip of two",
        "a.zip",
        lambda content: _zip({"a.csv": content, "b.csv": content}),
        2,
        ["a.zip", "a.csv", "b.csv"],
    ),
    ("a zip of nothing", "a.zip", lambda _: _zip({}), 2, ["a.zip", "no file"]),
    ("half a gz", "a.csv.gz", lambda content: gzip.compress(content)[:60], 2, ["a.csv.gz", "damaged"]),
    ("half an xz", "a.csv.xz", lambda content: lzma.compress(content)[:60], 2, ["a.csv.xz", "damaged"]),
    ("half a zst", "a.csv.zst", lambda content: _zst(content)[:60], 2, ["a.csv.zst", "damaged"]),
    ("half a zip", "a.zip", lambda content: _zip({"a.csv": content})[:60], 2, ["a.zip", "damaged"]),
    ("no gz", "a.csv.gz", lambda content: content, 2, ["a.csv.gz", "damaged"]),
    ("an empty gz", "a.csv.gz", lambda _: gzip.compress(b""), 2, ["a.csv.gz", "empty"]),
    ("gz without its ending", "a.csv", gzip.compress, 2, ["a.csv", "gz"]),
]

WORDS: list[tuple[str, int, list[str]]] = [
    ("--columns user,item,rating,timestamp", 0, ["user"]),
    ("--columns user=user,item=item", 0, ["not used: rating, timestamp"]),
    ("--columns 'user = user, item = item'", 0, ["user=user"]),
    ("--columns user=uesr,item=item", 2, ["'uesr'", "'user'"]),
    ("--columns user=user,item=user", 2, ["user"]),
    ("--columns user=,item=item", 2, ["''", "user"]),
    ("--columns user,item,rating,timestamp,-", 2, ["4 columns", "5"]),
    ("--split leave-last", 2, ["'leave-last'", "'leave-last-one-out'"]),
    ("--format csv", 2, ["'csv'", "json"]),
    ("--time-format %d.%m.%Y", 2, ["a.csv", "%d.%m.%Y", "line 2"]),
    ("--time-format dd.mm.yyyy", 2, ["dd.mm.yyyy", "%d.%m.%Y"]),
]


def _zip(files: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return whole.getvalue()


def _zst(content: bytes) -> bytes:
    import pyarrow as pa

    return bytes(pa.compress(content, codec="zstd", asbytes=True))


def _looked_into(folder: Path, name: str, content: str | bytes, words: str = "") -> object:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return ask(["data", "info", name, *words.split()])


TEXTS = SHAPES + COLUMNS + CONTENT


@pytest.mark.parametrize(("name", "content", "code", "must"), [t[1:] for t in TEXTS], ids=[t[0] for t in TEXTS])
def test_a_file_is_read_and_reported_or_told_its_line(
    name: str, content: str | bytes, code: int, must: list[str], here: Path
) -> None:
    check(_looked_into(here, name, content), code, must)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "pack", "code", "must"), [p[1:] for p in PACKED], ids=[p[0] for p in PACKED])
def test_a_compressed_file_is_read_as_what_it_holds(
    name: str, pack: Callable[[bytes], bytes], code: int, must: list[str], here: Path
) -> None:
    check(_looked_into(here, name, pack(rows().encode())), code, must)  # type: ignore[arg-type]
    assert not list(here.rglob("*.tmp"))


@pytest.mark.parametrize(("words", "code", "must"), WORDS)
def test_what_is_said_of_a_file_is_held_against_it(words: str, code: int, must: list[str], here: Path) -> None:
    import shlex

    (here / "a.csv").write_text(rows())
    check(ask(["data", "info", "a.csv", *shlex.split(words)]), code, must)


def test_a_column_that_is_not_used_is_said_where_a_table_is_made_too(here: Path) -> None:
    (here / "a.csv").write_text(rows("{u},{i},{r},train", "user,item,rating,split"))
    said = "not used: split (for a split of your own give a folder with train.* and test.*)"
    assert said in ask("compare toppop --dataset a.csv --seeds 1 --dry-run").err
