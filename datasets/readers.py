"""Files to `Table`: columnar reading of text and Parquet, and the layouts public data sets come in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.columns import Layout, header_roles, parse_columns, sniff
from datasets.errors import UserError
from datasets.table import TEST, TRAIN, VALID, Labels, Table, ticks_of

VERSION = 1
"""Raised whenever a reader changes what it makes of the same bytes."""

BLOCK_BYTES = 16 << 20
PARTS = {"train": TRAIN, "valid": VALID, "test": TEST}
SUFFIXES = (".csv", ".tsv", ".txt", ".dat", ".data", ".inter", ".rating", ".base", ".test", ".parquet")


def read_path(path: Path, columns: str | Sequence[str] | None = None) -> Table:
    """The interactions of a file, or of a folder with a ready split.

    Raises:
        UserError: anything in the file that is not an interaction, with its place.
    """
    if path.is_dir():
        parts = split_files(path)
        tables = {name: read_file(file, columns) for name, file in parts.items()}
        return join(tables)
    return read_file(path, columns)


def split_files(folder: Path) -> dict[str, Path]:
    """The files of a ready split by part: train, test, and valid and candidates where they exist.

    Raises:
        UserError: train or test is missing, or there are two files for one part.
    """
    found: dict[str, Path] = {}
    for part in (*PARTS, "candidates"):
        files = sorted(p for p in folder.glob(f"{part}.*") if p.suffix in SUFFIXES and p.is_file())
        if len(files) > 1:
            raise UserError(f"{folder.name} has {' and '.join(p.name for p in files)}; keep one file for each part.")
        if files:
            found[part] = files[0]
    for part in ("train", "test"):
        if part not in found:
            raise UserError(
                f"The folder {folder.name} has no {part}.csv (or .tsv, .txt, .parquet); a ready split needs "
                "train.*, test.* and may have valid.* and candidates.*."
            )
    return found


def read_file(path: Path, columns: str | Sequence[str] | None = None) -> Table:
    """The interactions of one CSV, TSV or Parquet file.

    Raises:
        UserError: an empty file, a wrong column, a rating that is no finite number, a missing id.
    """
    if path.suffix == ".parquet":
        return _read_parquet(path, columns)
    return read_delimited(path, sniff(path, columns))


def read_delimited(path: Path, layout: Layout, *, drop_missing: bool = False, quoted: bool = True) -> Table:
    """The interactions of a text file of known layout, read in blocks on all cores."""
    import pyarrow as pa

    for number in (pa.int64(), pa.float64(), pa.string()):
        try:
            columns = _parse_text(path, layout, number, quoted)
        except pa.ArrowInvalid as error:
            if "timestamp" in layout.roles.values() and number != pa.string() and _about(error, layout, "timestamp"):
                continue
            raise _complaint(path, layout, error) from error
        return from_columns(path.name, columns, drop_missing=drop_missing, first=2 if layout.header else 1)
    raise AssertionError("text always parses as text")


def _parse_text(path: Path, layout: Layout, time_type: Any, quoted: bool) -> dict[str, Any]:
    """Role → column as pyarrow read it."""
    import pyarrow as pa
    from pyarrow import csv

    step = 2 if layout.separator == "::" else 1
    names = [f"c{k}" for k in range(step * (layout.width - 1) + 1)]
    ids = pa.dictionary(pa.int32(), pa.string())
    types = {"user": ids, "item": ids, "rating": pa.float32(), "timestamp": time_type}
    roles = {f"c{step * k}": role for k, role in layout.roles.items()}
    table = csv.read_csv(
        path,
        read_options=csv.ReadOptions(
            column_names=names, skip_rows=int(layout.header), block_size=BLOCK_BYTES, encoding=layout.encoding
        ),
        parse_options=csv.ParseOptions(
            delimiter=layout.separator[0], quote_char='"' if quoted else False, ignore_empty_lines=True
        ),
        convert_options=csv.ConvertOptions(
            include_columns=list(roles), column_types={name: types[role] for name, role in roles.items()}
        ),
    )
    return {role: table.column(name) for name, role in roles.items()}


def _about(error: Exception, layout: Layout, role: str) -> bool:
    step = 2 if layout.separator == "::" else 1
    return f"CSV column #{step * (layout.column(role) or 0)}:" in str(error)


def _complaint(path: Path, layout: Layout, error: Exception) -> UserError:
    """pyarrow's complaint in our words."""
    text = str(error).splitlines()[0]
    if "Empty CSV file" in text:
        return UserError(f"{path.name} has no interactions; give a file with one interaction a line.")
    if _about(error, layout, "rating"):
        what = text.rpartition("invalid value ")[2].strip("'\"")
        return UserError(
            f"{path.name} has '{what}' where a rating belongs; correct it, or leave the column out with --columns."
        )
    return UserError(f"{path.name} cannot be read ({text}); every line needs the same {layout.width} columns.")


def _read_parquet(path: Path, columns: str | Sequence[str] | None) -> Table:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        names = parquet.read_schema(path).names
        wanted = parse_columns(columns) if columns else None
        if isinstance(wanted, list):
            roles = {k: role for k, role in enumerate(wanted[: len(names)]) if role != "-"}
        else:
            roles = header_roles(path.name, names, wanted)
        table = parquet.read_table(path, columns=[names[k] for k in roles])
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path.name} is not a readable Parquet file ({str(error).splitlines()[0]}).") from error
    return from_columns(path.name, {role: table.column(names[k]) for k, role in roles.items()}, first=1)


def from_columns(file: str, columns: dict[str, Any], *, drop_missing: bool = False, first: int = 1) -> Table:
    """Checked columns as a `Table`; `first` is the line of the first row, for messages."""
    users, user_ids = encode(columns["user"], f"user column of {file}")
    items, item_ids = encode(columns["item"], f"item column of {file}")
    if not len(users):
        raise UserError(f"{file} has no interactions; give a file with one interaction a line.")
    missing = (users < 0) | (items < 0)
    values = _numbers(columns["rating"], file, "rating", first) if "rating" in columns else None
    times = _times(columns["timestamp"], file, first) if "timestamp" in columns else None
    table = Table(users, items, user_ids, item_ids, times, values, ticks=1 if times is None else ticks_of(times))
    if not missing.any():
        return table
    if not drop_missing:
        line = int(np.argmax(missing)) + first
        raise UserError(
            f"{file} has {missing.sum():,} rows without a user or an item (the first in line {line}); remove them."
        )
    return replace(table.take(~missing), facts={"rows_without_id": int(missing.sum())})


def from_labels(users: list[int], items: list[int]) -> Table:
    """Pairs of whole-number labels as a `Table`."""
    user_ids, user_codes = np.unique(np.asarray(users, np.int64), return_inverse=True)
    item_ids, item_codes = np.unique(np.asarray(items, np.int64), return_inverse=True)
    return Table(user_codes.astype(np.int32), item_codes.astype(np.int32), user_ids, item_ids)


def encode(column: Any, what: str) -> tuple[NDArray[np.int32], Labels]:
    """Codes and ascending labels of an id column; -1 where the id is missing or empty.

    Ids are int64 when every one is a whole number in its usual spelling, so that `7` and `007` stay apart; else
    text without surrounding blanks.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(column, pa.Array):
        column = pa.chunked_array([column])
    if pa.types.is_floating(column.type):
        column = _whole(column, what)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    if column.num_chunks == 0:
        return np.empty(0, np.int32), np.empty(0, np.int64)
    column = column.unify_dictionaries()
    names = column.chunk(0).dictionary
    parts = [chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in column.chunks]
    codes = np.concatenate(parts).astype(np.int32, copy=False)
    if pa.types.is_integer(names.type):
        labels = names.to_numpy(zero_copy_only=False).astype(np.int64)
        empty = np.zeros(len(labels), dtype=bool)
    else:
        names = pc.utf8_trim_whitespace(names.cast(pa.string()))
        empty = np.asarray(pc.equal(names, ""))
        solid = names.filter(pa.array(~empty))
        if pc.all(pc.match_substring_regex(solid, r"^(0|-?[1-9][0-9]{0,17})$"), min_count=0).as_py():
            labels = np.zeros(len(names), dtype=np.int64)
            labels[~empty] = solid.cast(pa.int64()).to_numpy(zero_copy_only=False)
        else:
            labels = np.array(names.to_pylist(), dtype=np.str_)
    distinct, inverse = np.unique(labels[~empty], return_inverse=True)
    renumber = np.full(len(labels) + 1, -1, dtype=np.int32)
    renumber[:-1][~empty] = inverse
    return renumber[codes], distinct


def _whole(column: Any, what: str) -> Any:
    """A float column of whole numbers (as pandas writes ids beside a missing one) as integers."""
    import pyarrow as pa

    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise UserError(f"The {what} has fractions; ids must be whole numbers or text.") from error


def _numbers(column: Any, file: str, role: str, first: int) -> NDArray[np.float32]:
    import pyarrow as pa

    try:
        values = column.cast(pa.float32(), safe=False).to_numpy().astype(np.float32, copy=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UserError(f"The {role} column of {file} is not numeric ({column.type}).") from error
    wrong = ~np.isfinite(values)
    if wrong.any():
        line = int(np.argmax(wrong)) + first
        raise UserError(
            f"{file} has {wrong.sum():,} {role}s that are missing or not finite (the first in line {line}); remove "
            "those rows, or leave the column out with --columns."
        )
    return np.asarray(values)


def _times(column: Any, file: str, first: int) -> NDArray[np.int64]:
    """Whole numbers as they are, fractions in microseconds, text and dates in seconds or finer."""
    import pyarrow as pa

    if column.null_count:
        line = int(np.argmax(np.asarray(column.is_null()))) + first
        raise UserError(
            f"{file} has {column.null_count:,} rows without a time (the first in line {line}); remove them."
        )
    if pa.types.is_integer(column.type):
        return np.asarray(column.to_numpy()).astype(np.int64, copy=False)
    if pa.types.is_floating(column.type):
        seconds = column.to_numpy()
        whole = seconds.astype(np.int64)
        return np.asarray(whole) if (whole == seconds).all() else np.round(seconds * 1e6).astype(np.int64)
    import pandas as pd

    encoded = column.dictionary_encode().unify_dictionaries()  # few distinct dates, many rows
    texts = encoded.chunk(0).dictionary.to_pylist()
    try:
        stamps = pd.to_datetime(pd.Series(texts), utc=True, format="ISO8601" if isinstance(texts[0], str) else None)
    except (ValueError, TypeError):
        try:
            stamps = pd.to_datetime(pd.Series(texts), utc=True, format="mixed")
        except (ValueError, TypeError) as error:
            raise UserError(f"{file} has a time that is neither a number nor a date ({str(error)[:80]}).") from error
    seconds = stamps.dt.tz_localize(None).to_numpy().astype("datetime64[ms]").astype(np.int64)
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in encoded.chunks])
    unique_seconds = seconds if (seconds % 1000).any() else seconds // 1000
    return np.asarray(unique_seconds[codes])


def join(tables: dict[str, Table]) -> Table:
    """The parts of a ready split as one table over one id space; `candidates` become the listed pairs."""
    user_ids, users = _merge([t.user_ids for t in tables.values()], [t.users for t in tables.values()])
    item_ids, items = _merge([t.item_ids for t in tables.values()], [t.items for t in tables.values()])
    names = list(tables)
    rows = [k for k, name in enumerate(names) if name in PARTS]
    parts = [tables[names[k]] for k in rows]
    lists = next((k for k, name in enumerate(names) if name == "candidates"), None)
    timed = all(t.times is not None for t in parts)
    valued = all(t.values is not None for t in parts)
    ticks = max(t.ticks for t in parts)
    return Table(
        np.concatenate([users[k] for k in rows]),
        np.concatenate([items[k] for k in rows]),
        user_ids,
        item_ids,
        np.concatenate([t.times * (ticks // t.ticks) for t in parts if t.times is not None]) if timed else None,
        np.concatenate([t.values for t in parts if t.values is not None]) if valued else None,
        np.concatenate([np.full(len(t), PARTS[names[k]], np.int8) for k, t in zip(rows, parts, strict=True)]),
        None if lists is None else users[lists],
        None if lists is None else items[lists],
        ticks,
    )


def _merge(labels: list[Labels], codes: list[NDArray[np.int32]]) -> tuple[Labels, list[NDArray[np.int32]]]:
    if len({array.dtype.kind for array in labels}) > 1:
        labels = [array.astype(np.str_) for array in labels]
    merged = np.unique(np.concatenate(labels))
    return merged, [
        np.searchsorted(merged, names).astype(np.int32)[code] for names, code in zip(labels, codes, strict=True)
    ]
