"""Files to `Table`: columnar reading of text and Parquet, sequences, and ready splits."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.columns import SEQUENCE, Columns, header_roles, parse_columns, split_format
from datasets.compressed import plain_name, unpacked
from datasets.dates import check_format
from datasets.errors import UserError
from datasets.ids import encode
from datasets.parts import PARTS, holds_sequences, split_files
from datasets.place import Place
from datasets.sequences import read_lists, read_sequences
from datasets.sniff import Layout, number, sniff
from datasets.table import Labels, Table
from datasets.times import parse_times

VERSION = 1
"""Raised whenever a reader of catalogued files makes something else of the same bytes."""

BLOCK_BYTES = 16 << 20


def read_path(path: Path, columns: Columns = None) -> Table:
    """The interactions of a file, or of a folder with a ready split.

    Raises:
        UserError: anything in the file that is not an interaction, with its place.
    """
    if not path.is_dir():
        return read_file(path, columns)
    parts = split_files(path)
    if split_format(columns)[0] is None and holds_sequences(parts):
        columns = SEQUENCE
    return join({name: _part(name, file, columns) for name, file in parts.items()})


def _part(name: str, path: Path, columns: Columns) -> Table:
    lists = name == "candidates" and not is_parquet(path) and sniff(path).kind == "lists"
    return read_file(path, None if lists else columns)


def is_parquet(path: Path) -> bool:
    """Whether the file's name says Parquet."""
    return plain_name(path).lower().endswith(".parquet")


def read_file(path: Path, columns: Columns = None) -> Table:
    """The interactions of one file of one's own: CSV, TSV, Parquet, sequences or NCF's lists, compressed or not.

    Raises:
        UserError: an empty file, a wrong column, a rating that is no finite number, a missing id, a time that is none.
    """
    columns, time_format = split_format(columns)
    if time_format is not None:
        check_format(time_format)
    with unpacked(path) as file:
        if is_parquet(file):
            place = Place(path.name)
            return checked(_read_parquet(file, place, columns, time_format), place)
        layout = sniff(file, columns)
        if layout.kind != "columns":
            return {"sequences": read_sequences, "lists": read_lists}[layout.kind](file)
        place = Place(path.name, file, layout.header)
        return checked(read_delimited(file, layout, time_format=time_format, name=path.name), place)


def checked(table: Table, place: Place) -> Table:
    """The table, with nothing but zeros as times taken for none.

    Raises:
        UserError: a time before 1970, one in another unit than the largest, or whole numbers that spell dates.
    """
    times = table.times
    if times is None or not times.any():
        return replace(table, times=None, ticks=1)
    before = times < 0
    in_seconds = (times > 0) & (times // table.ticks < 365 * 86_400) if table.ticks > 1 else before
    for wrong, what in (
        (before, "which is before 1970; correct or remove such rows, or leave the column out with --columns."),
        (in_seconds, f"where others count in 1/{table.ticks:,} s; write all times in one unit."),
        (_spell_dates(times), "which spells a date; say so with --time-format '%Y%m%d', or write seconds."),
    ):
        if wrong.any():
            row = int(np.argmax(wrong))
            raise UserError(f"{place.file} has the time {times[row]} in {place.row(row)}, {what}")
    return table


def _spell_dates(times: NDArray[np.int64]) -> NDArray[np.bool_]:
    """All rows where every whole number is a day such as 20201226; as seconds they lie in August 1970."""
    if times.min() < 19_000_101 or times.max() > 21_001_231:
        return np.zeros(1, dtype=bool)
    month, day = times // 100 % 100, times % 100
    spelled: NDArray[np.bool_] = (month > 0) & (month < 13) & (day > 0) & (day < 32)
    return spelled & spelled.all()


def read_delimited(
    path: Path,
    layout: Layout,
    *,
    drop_missing: bool = False,
    quoted: bool = True,
    time_format: str | None = None,
    name: str | None = None,
) -> Table:
    """The interactions of a text file of known layout, read in blocks on all cores; messages call it `name`."""
    import pyarrow as pa

    place = Place(name or path.name, path, layout.header)
    as_text = time_format is not None or not number(layout.time or "0")
    for time_type in (pa.string(),) if as_text else (pa.int64(), pa.float64(), pa.string()):
        try:
            columns = parse_text(path, layout, {"rating": pa.float32(), "timestamp": time_type}, quoted)
        except pa.ArrowInvalid as error:
            if "invalid UTF8" in str(error) and layout.encoding == "utf-8":  # further down than the first lines
                return read_delimited(
                    path,
                    replace(layout, encoding="latin-1"),
                    drop_missing=drop_missing,
                    quoted=quoted,
                    time_format=time_format,
                    name=name,
                )
            if "timestamp" in layout.roles.values() and time_type != pa.string() and _about(error, layout, "timestamp"):
                continue
            raise complaint(place, layout, error, quoted) from error
        return from_columns(place, columns, drop_missing=drop_missing, time_format=time_format)
    raise AssertionError("text always parses as text")


def parse_text(path: Path, layout: Layout, types: Mapping[str, Any], quoted: bool = True) -> dict[str, Any]:
    """Role → column as pyarrow read it; `types` says how all but users and items, whose ids are text."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    step = 2 if layout.separator == "::" else 1
    names = [f"c{k}" for k in range(step * (layout.width - 1) + 1)]
    ids = pa.dictionary(pa.int32(), pa.string())
    kinds = {"user": ids, "item": ids, **types}
    roles = {f"c{step * k}": role for k, role in layout.roles.items()}
    table = arrow_csv.read_csv(
        path,
        read_options=arrow_csv.ReadOptions(
            column_names=names, skip_rows=int(layout.header), block_size=BLOCK_BYTES, encoding=layout.encoding
        ),
        parse_options=arrow_csv.ParseOptions(
            delimiter=layout.separator[0], quote_char='"' if quoted else False, ignore_empty_lines=True
        ),
        convert_options=arrow_csv.ConvertOptions(
            include_columns=list(roles), column_types={name: kinds[role] for name, role in roles.items()}
        ),
    )
    return {role: table.column(name) for name, role in roles.items()}


def _about(error: Exception, layout: Layout, role: str) -> bool:
    step = 2 if layout.separator == "::" else 1
    return f"CSV column #{step * (layout.column(role) or 0)}:" in str(error)


def complaint(place: Place, layout: Layout, error: Exception, quoted: bool = True) -> UserError:
    """pyarrow's complaint in our words, with the line."""
    text = str(error).splitlines()[0]
    if "Empty CSV file" in text:
        return UserError(f"{place.file} has no interactions; give a file with one interaction a line.")
    if _about(error, layout, "rating"):
        column = layout.column("rating") or 0
        rated = ((n, cells[column]) for n, cells in _lines(place, layout, quoted) if len(cells) == layout.width)
        what = text.rpartition("invalid value ")[2].strip("'\"")
        where = next((f" in line {n}" for n, cell in rated if cell.strip() == what), "")
        return UserError(
            f"{place.file} has '{what[:40]}' where a rating belongs{where}; correct it, or leave the column out with "
            "--columns."
        )
    if "straddling" in text:  # a row is longer than what is read at once
        sizes = ((sum(map(len, cells)), n) for n, cells in _lines(place, layout, quoted))
        size, line = max(sizes)
        return UserError(f"{place.file} has {size:,} characters in line {line}; a line may have {BLOCK_BYTES:,}.")
    widths = ((n, len(cells)) for n, cells in _lines(place, layout, quoted))
    if ragged := next((found for found in widths if found[1] != layout.width), None):
        line, cells = ragged
        return UserError(
            f"{place.file} has {cells} columns in line {line}, where the first line has {layout.width}; every line "
            f"needs the same {layout.width} columns."
        )
    return UserError(f"{place.file} cannot be read ({text[:200]}); every line needs the same {layout.width} columns.")


def _lines(place: Place, layout: Layout, quoted: bool = True) -> Iterator[tuple[int, list[str]]]:
    """The cells of each line of the body that is not empty, with its number."""
    assert place.text is not None
    with place.text.open(encoding=layout.encoding, errors="replace") as lines:
        body = ((k, line.rstrip("\n")) for k, line in enumerate(lines, 1) if line.strip("\n"))
        for k, line in islice(body, int(layout.header), None):
            plain = len(layout.separator) > 1 or not quoted or '"' not in line
            yield k, line.split(layout.separator) if plain else next(csv.reader([line], delimiter=layout.separator))


def _read_parquet(path: Path, place: Place, columns: Columns, time_format: str | None) -> Table:
    read, _ = parquet_columns(path, place, lambda names: parquet_roles(place, names, columns))
    return from_columns(place, read, time_format=time_format)


def parquet_columns(
    path: Path, place: Place, roles_of: Callable[[Sequence[str]], Mapping[int, str]]
) -> tuple[dict[str, Any], list[str]]:
    """Role → column, and the names of all columns, of which `roles_of` says what is read as what.

    Raises:
        UserError: it is no Parquet file, or has two columns of one name.
    """
    import pyarrow as pa
    from pyarrow import parquet

    names = list(parquet_schema(path, place).names)
    roles = roles_of(names)
    if len(set(names)) < len(names):
        raise UserError(f"{place.file} has two columns of one name; rename one of {', '.join(names)}.")
    try:
        table = parquet.read_table(path, columns=[names[k] for k in roles])
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(place, error) from error
    return {role: table.column(names[k]) for k, role in roles.items()}, names


def parquet_schema(path: Path, place: Place) -> Any:
    """The schema of a Parquet file.

    Raises:
        UserError: it is none.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(place, error) from error


def _unreadable(place: Place, error: Exception) -> UserError:
    return UserError(f"{place.file} is not a readable Parquet file ({str(error).splitlines()[0][:200]}).")


def parquet_roles(place: Place, names: Sequence[str], columns: Columns) -> dict[int, str]:
    """Column number → role."""
    wanted = parse_columns(columns) if columns else None
    if wanted == SEQUENCE:
        raise UserError(
            f"{place.file} is Parquet, which has no lines; name its columns, as in --columns user=…,item=…."
        )
    if isinstance(wanted, list):
        if len(wanted) > len(names):
            raise UserError(f"{place.file} has {len(names)} columns, but --columns names {len(wanted)}.")
        return {k: role for k, role in enumerate(wanted) if role != "-"}
    return header_roles(place.file, names, wanted)


def from_columns(
    place: Place, columns: Mapping[str, Any], *, drop_missing: bool = False, time_format: str | None = None
) -> Table:
    """Checked columns (role → pyarrow array) as a `Table`."""
    users, user_ids = encode(columns["user"], "user", place)
    items, item_ids = encode(columns["item"], "item", place)
    if not len(users):
        raise UserError(f"{place.file} has no interactions; give a file with one interaction a line.")
    missing = (users < 0) | (items < 0)
    values = _numbers(columns["rating"], place) if "rating" in columns else None
    times = parse_times(columns["timestamp"], place, time_format) if "timestamp" in columns else None
    if times is None:
        table = Table(users, items, user_ids, item_ids, None, values)
    else:
        table = Table(users, items, user_ids, item_ids, times.values, values, ticks=times.ticks)
    if not missing.any():
        return table
    if not drop_missing:
        first = place.row(int(np.argmax(missing)))
        raise UserError(
            f"{place.file} has {missing.sum():,} rows without a user or an item (the first in {first}); remove them."
        )
    return replace(table.take(~missing), facts={"rows_without_id": int(missing.sum())})


def _numbers(column: Any, place: Place) -> NDArray[np.float32]:
    import pyarrow as pa

    try:
        values = column.cast(pa.float32(), safe=False).to_numpy().astype(np.float32, copy=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UserError(f"The rating column of {place.file} is not numeric ({column.type}).") from error
    wrong = ~np.isfinite(values)
    if wrong.any():
        raise UserError(
            f"{place.file} has {wrong.sum():,} ratings that are missing or not finite (the first in "
            f"{place.row(int(np.argmax(wrong)))}); remove those rows, or leave the column out with --columns."
        )
    return np.asarray(values)


def join(tables: dict[str, Table]) -> Table:
    """The parts of a ready split as one table over one id space; `candidates` become the listed pairs.

    Times are kept where all parts have them. Where train has and another has not, train is put in their order, which
    the fact `train_in_order_of_time` says.
    """
    train, facts = tables["train"], dict[str, int]()
    timed = all(table.times is not None for name, table in tables.items() if name in PARTS)
    if not timed and train.times is not None:
        tables = {**tables, "train": train.take(np.argsort(train.times, kind="stable"))}
        facts["train_in_order_of_time"] = 1
    user_ids, users = _merge([t.user_ids for t in tables.values()], [t.users for t in tables.values()])
    item_ids, items = _merge([t.item_ids for t in tables.values()], [t.items for t in tables.values()])
    names = list(tables)
    rows = [k for k, name in enumerate(names) if name in PARTS]
    parts = [tables[names[k]] for k in rows]
    lists = next((k for k, name in enumerate(names) if name == "candidates"), None)
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
        facts or None,
    )


def _merge(labels: list[Labels], codes: list[NDArray[np.int32]]) -> tuple[Labels, list[NDArray[np.int32]]]:
    if len({array.dtype.kind for array in labels}) > 1:
        labels = [array.astype(np.str_) for array in labels]
    merged = np.unique(np.concatenate(labels))
    return merged, [
        np.searchsorted(merged, names).astype(np.int32)[code] for names, code in zip(labels, codes, strict=True)
    ]
