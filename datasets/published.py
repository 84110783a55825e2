"""The layouts of catalogued data sets, each as its entry describes it."""

from __future__ import annotations

import tarfile
import tempfile
from ast import literal_eval
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from datasets.archive import extract
from datasets.catalog import Entry
from datasets.columns import ROLES, Layout, sniff
from datasets.errors import UserError
from datasets.readers import BLOCK_BYTES, from_columns, from_labels, join, read_delimited
from datasets.table import Table


def read_entry(entry: Entry, paths: list[Path]) -> Table:
    """The interactions of an entry's files; members of archives are unpacked for the time of reading.

    Raises:
        UserError: nothing here can read the format, or the file is not in it.
    """
    read = READERS.get(entry.reader)
    if read is None:
        raise UserError(
            f"{entry.id} is a format this project does not read ({entry.reader}); convert it to CSV with the "
            "columns user,item,rating,timestamp and give the file's path."
        )
    tables: dict[str, Table] = {}
    for file, path in zip(entry.files, paths, strict=True):
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".unpacked-") as folder:
            if file.archive and path.name == file.archive.name:
                whole, path = path, Path(folder) / file.remote.name
                extract(whole, file.member, path, file.remote.bytes)
            name = "candidates" if file.role == "negatives" else file.role
            tables[name] = (_ncf_negatives if file.role == "negatives" else read)(path, entry.options)
    return join(tables) if entry.given_split else tables["data"]


def _delimited(path: Path, options: Mapping[str, Any]) -> Table:
    """A separator and the roles of the columns by position."""
    roles = {k: role for k, role in enumerate(options["columns"]) if role != "-"}
    layout = Layout(options["separator"], False, roles, len(options["columns"]), options.get("encoding", "utf-8"))
    return read_delimited(path, layout, drop_missing=options.get("drop_missing", False), quoted=False)


def _header(path: Path, options: Mapping[str, Any]) -> Table:
    """A header with the names in `columns`."""
    layout = sniff(path, options["columns"])
    return read_delimited(path, layout, drop_missing=options.get("drop_missing", False))


def _sniffed(path: Path, _options: Mapping[str, Any]) -> Table:
    """A header with usual names, which we have not seen."""
    return read_delimited(path, sniff(path))


def _ncf(path: Path, _options: Mapping[str, Any]) -> Table:
    """user, item, rating, time, by tabs; times of nothing but zeros are none."""
    table = read_delimited(path, Layout("\t", False, dict(enumerate(ROLES)), 4))
    return replace(table, times=None) if table.times is not None and not table.times.any() else table


def _ncf_negatives(path: Path, _options: Mapping[str, Any]) -> Table:
    """`(user,item)` and the user's negatives, by tabs; the pair's own item is not one of them."""
    users: list[int] = []
    items: list[int] = []
    with path.open(encoding="ascii") as lines:
        for line in lines:
            head, *negatives = line.split("\t")
            users += [int(head.strip("()").partition(",")[0])] * len(negatives)
            items += map(int, negatives)
    return from_labels(users, items)


def _rows(path: Path, _options: Mapping[str, Any]) -> Table:
    """A user and all its items in each line, by blanks; a user without items adds nothing."""
    lines = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    users = [int(line[0]) for line in lines if line for _ in line[1:]]
    return from_labels(users, [int(item) for line in lines for item in line[1:]])


def _counted_rows(path: Path, _options: Mapping[str, Any]) -> Table:
    """In line k the number of items of user k and the items, by blanks."""
    lines = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    for number, line in enumerate(lines):
        if line and int(line[0]) != len(line) - 1:
            raise UserError(f"{path.name} announces {line[0]} items in line {number + 1} and has {len(line) - 1}.")
    users = [k for k, line in enumerate(lines) for _ in line[1:]]
    return from_labels(users, [int(item) for line in lines for item in line[1:]])


def _dst(path: Path, _options: Mapping[str, Any]) -> Table:
    """Lines `C,"user",user` followed by that user's `V,item,1`; all others describe."""
    users: list[int] = []
    items: list[int] = []
    user = 0
    for line in path.read_text(encoding="latin-1").splitlines():
        kind, *fields = line.split(",")
        if kind == "C":
            user = int(fields[1])
        elif kind == "V":
            users.append(user)
            items.append(int(fields[0]))
    return from_labels(users, items)


def _json_lines(path: Path, options: Mapping[str, Any]) -> Table:
    """A JSON object in each line; `options` name the keys by role."""
    import pyarrow as pa
    from pyarrow import json as arrow_json

    schema = pa.schema([(key, pa.float32() if role == "rating" else pa.string()) for role, key in options.items()])
    parse = arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    table = arrow_json.read_json(path, arrow_json.ReadOptions(block_size=BLOCK_BYTES), parse)
    return from_columns(path.name, {role: table.column(key) for role, key in options.items()})


def _python_lines(path: Path, options: Mapping[str, Any]) -> Table:
    """A Python dictionary in each line; `options` name the keys by role."""
    import pyarrow as pa

    columns: dict[str, list[str | None]] = {role: [] for role in options}
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            record = literal_eval(line)
            for role, key in options.items():
                columns[role].append(record.get(key))
    return from_columns(path.name, {role: pa.chunked_array([pa.array(c)]) for role, c in columns.items()})


def _mind(path: Path, _options: Mapping[str, Any]) -> Table:
    """impression, user, time, history, `news-click …`, by tabs; only clicks are read."""
    import pyarrow as pa

    users: list[str] = []
    items: list[str] = []
    times: list[str] = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            _, user, time, _, shown = line.rstrip("\n").split("\t")
            for item in shown.split():
                if item.endswith("-1"):
                    users.append(user)
                    items.append(item[:-2])
                    times.append(time)
    columns = {"user": users, "item": items, "timestamp": times}
    return from_columns(path.name, {role: pa.chunked_array([pa.array(c)]) for role, c in columns.items()})


def _netflix(path: Path, _options: Mapping[str, Any]) -> Table:
    """A tar of one file for each film: a line `film:`, then user, rating and date, by commas."""
    import pyarrow as pa
    from pyarrow import csv

    read = csv.ReadOptions(column_names=["user", "rating", "timestamp"], skip_rows=1, use_threads=False)
    types = {"user": pa.int64(), "rating": pa.float32(), "timestamp": pa.date32()}
    parts = []
    with tarfile.open(path) as tarred:
        for member in tarred:
            stream = tarred.extractfile(member) if member.isreg() else None
            if stream and PurePosixPath(member.name).name.startswith("mv_"):
                text = stream.read()
                film = int(text[: text.index(b":")])
                part = csv.read_csv(pa.BufferReader(text), read, convert_options=csv.ConvertOptions(column_types=types))
                parts.append(part.append_column("item", pa.array([film] * len(part), pa.int64())))
    table = pa.concat_tables(parts)
    return from_columns(path.name, {role: table.column(role) for role in ROLES})


READERS: dict[str, Callable[[Path, Mapping[str, Any]], Table]] = {
    "delimited": _delimited,
    "header": _header,
    "sniffed": _sniffed,
    "ncf": _ncf,
    "rows": _rows,
    "counted-rows": _counted_rows,
    "dst": _dst,
    "json-lines": _json_lines,
    "python-lines": _python_lines,
    "mind": _mind,
    "netflix": _netflix,
}
"""Name in the catalogue → reader. `xls`, `matlab` and `several-tsv` have none and say so."""
