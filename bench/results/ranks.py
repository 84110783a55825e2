"""`ranks.parquet`: where the held-out items of every test user stand, in every run of a table.

One line per run, user and held-out item: `run` (the run id), `user` (its label in the data), `better` and `tied` (how
many other candidates scored higher, and the same), `candidates` (how many items were ranked for the user). Lines of one
run stand together, and of one user in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.runs.users import as_numpy
from datasets.table import Labels
from recmodels.metrics import Ranks

if TYPE_CHECKING:
    import pyarrow as pa


class Measured(NamedTuple):
    """What one run measured: labels (T,) of the test users, and where their held-out items stand."""

    users: Labels
    ranks: Ranks


def write_ranks(path: Path, runs: Mapping[str, Measured]) -> None:
    """Write what the runs measured, by run id; half of it never stands under the name."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    each = list(runs.values())
    sizes = [len(one.ranks.users) for one in each]
    columns = {
        "run": pa.DictionaryArray.from_arrays(
            np.repeat(np.arange(len(each), dtype=np.int32), sizes), pa.array(list(runs), pa.string())
        ),
        "user": pa.array(_joined([one.users[one.ranks.users] for one in each])),
        **{
            name: pa.array(_joined([getattr(one.ranks, name) for one in each]).astype(np.int32))
            for name in ("better", "tied", "candidates")
        },
    }
    temporary = path.with_name(f".writing-{path.name}")
    numbers = [name for name, column in columns.items() if pa.types.is_integer(column.type)]
    pq.write_table(
        pa.table(columns),
        temporary,
        compression="zstd",
        compression_level=19,
        use_dictionary=[name for name in columns if name not in numbers],
        column_encoding=dict.fromkeys(numbers, "BYTE_STREAM_SPLIT"),
        store_schema=False,
    )
    temporary.replace(path)


def read_ranks(path: Path) -> dict[str, Measured]:
    """What each run measured, by run id in the order of the file.

    Raises:
        ValueError: a column is missing or of another type, or the lines of a run do not stand together.
        OSError: the file cannot be read.
    """
    import pyarrow.parquet as pq

    table = pq.ParquetFile(path).read()
    if missing := [name for name in ("run", "user", "better", "tied", "candidates") if name not in table.column_names]:
        raise ValueError(f"no column {', '.join(missing)}")
    users, better, tied, candidates = (_column(table, name) for name in ("user", "better", "tied", "candidates"))
    runs = _column(table, "run")
    starts = [0, *(np.flatnonzero(runs[1:] != runs[:-1]) + 1)] if len(runs) else []
    ends = [*starts[1:], len(runs)]
    found: dict[str, Measured] = {}
    for start, end in zip(starts, ends, strict=True):
        name, part = str(runs[start]), slice(start, end)
        if name in found:
            raise ValueError(f"the lines of run {name} do not stand together")
        first = np.append(True, users[part][1:] != users[part][:-1])
        owners = np.cumsum(first) - 1
        nowhere = np.zeros(end - start, np.int64)
        numbers = (column[part].astype(np.int64) for column in (better, tied, candidates))
        found[name] = Measured(users[part][first], Ranks(owners, nowhere, *numbers))
    return found


def _joined(parts: list[Labels]) -> Labels:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _column(table: pa.Table, name: str) -> Labels:
    import pyarrow as pa

    column = table.column(name).combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return as_numpy(column)
