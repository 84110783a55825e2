"""The layouts of catalogued data sets, each as its entry describes it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from datasets.archive import extract
from datasets.catalog import Entry
from datasets.columns import Layout
from datasets.errors import UserError
from datasets.readers import join, read_delimited
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
            if file.stored is file.archive:
                whole, path = path, Path(folder) / file.remote.name
                extract(whole, file.member, path, file.remote.bytes)
            name = "candidates" if file.role == "negatives" else file.role
            table = read(path, {**entry.options, "role": file.role})
            tables[name] = table
    return join(tables) if entry.given_split else tables["data"]


def _delimited(path: Path, options: Mapping[str, Any]) -> Table:
    roles = {k: role for k, role in enumerate(options["columns"]) if role != "-"}
    layout = Layout(
        options["separator"],
        options.get("header", False),
        roles,
        len(options["columns"]),
        options.get("encoding", "utf-8"),
    )
    return read_delimited(
        path, layout, drop_missing=options.get("drop_missing", False), quoted=options.get("quoted", False)
    )


READERS: dict[str, Callable[[Path, Mapping[str, Any]], Table]] = {"delimited": _delimited}
