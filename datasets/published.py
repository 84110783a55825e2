"""The layouts of catalogued data sets, each as its entry describes it."""

from __future__ import annotations

import tarfile
import tempfile
from ast import literal_eval
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from datasets.archive import extract
from datasets.catalog import Entry
from datasets.columns import ROLES
from datasets.compressed import unpacked
from datasets.errors import UserError
from datasets.place import Place
from datasets.readers import BLOCK_BYTES, from_columns, join, read_delimited
from datasets.sequences import from_labels, read_lists, read_sequences
from datasets.sniff import Layout, sniff
from datasets.table import TEST, TRAIN, Table


def check_layout(entry: Entry) -> None:
    """Refuse an entry whose layout nothing here reads.

    Raises:
        UserError: with what to do instead.
    """
    if entry.reader not in READERS:
        raise UserError(
            f"{entry.id} is a format this project does not read ({entry.reader}); convert it to CSV with the "
            "columns user,item,rating,timestamp and give the file's path."
        )


def check_readable(entry: Entry) -> None:
    """Refuse, before anything is fetched, an entry whose layout nothing reads, or whose reader is not installed.

    Raises:
        UserError: with what to do.
    """
    check_layout(entry)
    if (package := PACKAGES.get(entry.reader)) and find_spec(package.replace("-", "_")) is None:
        raise UserError(
            f"{entry.id} needs the package {package}; install it with `pip install {package}` into the project's .venv."
        )


def read_entry(entry: Entry, paths: list[Path]) -> Table:
    """The interactions of an entry's files; members of archives are unpacked for the time of reading.

    Several files of the role `data` are one table, in their order.

    Raises:
        UserError: nothing here can read the format, or the file is not in it.
    """
    check_readable(entry)
    tables: dict[str, Table] = {}
    for number, (file, path) in enumerate(zip(entry.files, paths, strict=True)):
        role = f"{file.role} {number}" if file.role == "data" else file.role
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".unpacked-") as folder:
            if file.archive and path.name == file.archive.name:
                whole, path = path, Path(folder) / file.remote.name
                extract(whole, file.member, path, file.remote.bytes)
            if role == "negatives":
                tables["candidates"] = read_lists(path)
            else:
                tables[role] = READERS[entry.reader](path, entry.options)
    if any(file.role == "train" for file in entry.files):
        return join(tables)
    return _stacked(list(tables.values()))


def _stacked(tables: list[Table]) -> Table:
    """One table of several whose users are others in each; a single one as it is."""
    if len(tables) == 1:
        return tables[0]
    first = np.cumsum([0, *(len(table.user_ids) for table in tables)])
    items = np.concatenate([table.item_ids[table.items] for table in tables])
    item_ids, codes = np.unique(items, return_inverse=True)
    users = np.concatenate([table.users + start for table, start in zip(tables, first[:-1], strict=True)])
    values = np.concatenate([table.values for table in tables if table.values is not None])
    return Table(users.astype(np.int32), codes.astype(np.int32), np.arange(first[-1]), item_ids, None, values)


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


def _rows(path: Path, _options: Mapping[str, Any]) -> Table:
    """A user and all its items in each line, by blanks."""
    return read_sequences(path)


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
    return from_columns(Place(path.name), {role: table.column(key) for role, key in options.items()})


def _python_lines(path: Path, options: Mapping[str, Any]) -> Table:
    """A Python dictionary in each line; `options` name the keys by role."""
    import pyarrow as pa

    columns: dict[str, list[str | None]] = {role: [] for role in options}
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            record = literal_eval(line)
            for role, key in options.items():
                columns[role].append(record.get(key))
    return from_columns(Place(path.name), {role: pa.chunked_array([pa.array(c)]) for role, c in columns.items()})


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
    read = {role: pa.chunked_array([pa.array(c)]) for role, c in columns.items()}
    return from_columns(Place(path.name), read, time_format="%m/%d/%Y %I:%M:%S %p")


def _xls(path: Path, _options: Mapping[str, Any]) -> Table:
    """An Excel sheet of users × items, perhaps zipped: the number of ratings, then one for each item; 99 is none."""
    from python_calamine import CalamineError, CalamineWorkbook

    with unpacked(path) as file, file.open("rb") as stream:
        try:
            sheet = CalamineWorkbook.from_filelike(stream).get_sheet_by_index(0)
        except CalamineError as error:
            raise UserError(f"{path.name} is not a readable Excel file ({error}).") from error
        ratings = np.array(sheet.to_python(), dtype=np.float32)[:, 1:]
    users, items = np.nonzero(ratings != 99)
    n_users, n_items = ratings.shape
    values = ratings[users, items]
    return Table(
        users.astype(np.int32), items.astype(np.int32), np.arange(n_users), np.arange(n_items) + 1, None, values
    )


def _matlab(path: Path, _options: Mapping[str, Any]) -> Table:
    """MATLAB 7.3: ratings `M` and the masks `Otraining` and `Otest`, users × items, stored transposed."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            ratings, train, test = (np.asarray(file[name]).T for name in ("M", "Otraining", "Otest"))
    except (OSError, KeyError) as error:
        raise UserError(f"{path.name} is no MATLAB 7.3 file with M, Otraining and Otest ({error}).") from error
    rows = [np.nonzero(mask) for mask in (train, test)]
    users, items = (np.concatenate([row[axis] for row in rows]) for axis in (0, 1))
    part = np.repeat(np.array([TRAIN, TEST], np.int8), [len(row[0]) for row in rows])
    user_ids, user_codes = np.unique(users, return_inverse=True)
    item_ids, item_codes = np.unique(items, return_inverse=True)
    values = ratings[users, items].astype(np.float32)
    return Table(user_codes.astype(np.int32), item_codes.astype(np.int32), user_ids, item_ids, None, values, part)


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
    return from_columns(Place(path.name), {role: table.column(role) for role in ROLES})


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
    "xls": _xls,
    "matlab": _matlab,
}
"""Name in the catalogue → reader. `several-tsv` has none and says so."""

PACKAGES = {"xls": "python-calamine", "matlab": "h5py"}
"""What readers need beyond the usual dependencies."""
