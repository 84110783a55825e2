"""What a file or folder of one's own will be read as, told by its first lines before anything is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from datasets.columns import REVISED, SEQUENCE, USUAL, Columns, listed, plain, split_format, told, with_format
from datasets.compressed import unpacked
from datasets.dates import check_format
from datasets.errors import UserError
from datasets.parts import PARTS, holds_sequences, split_files, unused_files
from datasets.place import Place
from datasets.readers import is_parquet, parquet_roles, parquet_schema
from datasets.sniff import number, sniff

VERSION = 2
"""Raised whenever reading makes something else of the same file of one's own; kept tables are then made again."""


@dataclass(frozen=True)
class Reading:
    """How a path is read.

    Attributes:
        told: in a line, what is read as what and what is not used.
        spelled: what of it belongs to the data's identity: columns and time format as given, and `REVISED`.
    """

    told: str
    spelled: str


@dataclass(frozen=True)
class _File:
    told: str
    timed: bool
    revised: bool


def look(path: Path, columns: Columns = None) -> Reading:
    """How the file, or folder with a ready split, will be read.

    Raises:
        UserError: what its first lines, header or names already show to be wrong.
    """
    named, time_format = split_format(columns)
    if time_format is not None:
        check_format(time_format)
    if path.is_dir():
        file = _folder(path, named, time_format)
    else:
        file = _file(path, named, time_format)
        file = replace(file, told=f"{path.name}: {file.told}")
    if time_format is not None and not file.timed:
        raise UserError(f"{path.name} has no column of times, so a time format means nothing; leave --time-format out.")
    spelled = (with_format(named, time_format), REVISED if file.revised else None)
    return Reading(f"Read {file.told}.", ";".join(filter(None, spelled)))


def _folder(folder: Path, columns: Columns, time_format: str | None) -> _File:
    parts = split_files(folder)
    columns = columns or (SEQUENCE if holds_sequences(parts) else None)
    files = {name: _file(path, columns, time_format, lists=name == "candidates") for name, path in parts.items()}
    alike: dict[str, list[str]] = {}
    for name, file in files.items():
        alike.setdefault(file.told, []).append(parts[name].name)
    clauses = [f"{listed(names)}: {text}" for text, names in alike.items()]
    if unused := unused_files(folder):
        clauses.append(f"not used: {listed(unused)}")
    timed = {file.timed for name, file in files.items() if name in PARTS}
    revised = len(timed) > 1 or any(file.revised for file in files.values())
    return _File(" | ".join(clauses), True in timed, revised)


def _file(path: Path, columns: Columns, time_format: str | None, *, lists: bool = False) -> _File:
    if is_parquet(path):
        return _parquet(path, columns, time_format)
    layout = sniff(path, None if lists and sniff(path).kind == "lists" else columns)
    timed = layout.column("timestamp") is not None
    dates = timed and time_format is None and bool(layout.time) and not number(layout.time)
    return _File(layout.told + _by(time_format, timed), timed, layout.revised or dates)


def _parquet(path: Path, columns: Columns, time_format: str | None) -> _File:
    import pyarrow as pa

    with unpacked(path) as file:
        place = Place(path.name)
        schema = parquet_schema(file, place)
    names: Sequence[str] = schema.names
    roles: Mapping[int, str] = parquet_roles(place, names, columns)
    kinds = [schema.types[k] for k, role in roles.items() if role == "timestamp"]
    dates = time_format is None and any(not (pa.types.is_integer(k) or pa.types.is_floating(k)) for k in kinds)
    rare = columns is None and any(plain(names[k]) not in USUAL for k in roles)
    return _File(told(roles, names, len(names)) + _by(time_format, bool(kinds)), bool(kinds), dates or rare)


def _by(time_format: str | None, timed: bool) -> str:
    return f" (times as {time_format})" if time_format and timed else ""
