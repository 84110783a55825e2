"""`users.parquet`: where the held-out items of every test user stand, and the metrics that follow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets.table import Labels
from recmodels.metrics import Ranks, user_metrics

if TYPE_CHECKING:
    import pyarrow as pa


def user_table(users: Labels, ranks: Ranks, cutoffs: list[int]) -> tuple[pa.Table, dict[str, float]]:
    """What `users.parquet` holds, one line per test user, and the mean of each metric at the `cutoffs`."""
    import pyarrow as pa

    owners, values = user_metrics(ranks, cutoffs)
    columns: dict[str, object] = {"user": users, **values}
    starts = np.searchsorted(ranks.users, owners)
    for name in ("better", "tied"):
        counts = getattr(ranks, name).astype(np.int32)
        if len(counts) == len(owners):
            columns[name] = counts
        else:  # several held-out items per user
            columns[name] = pa.ListArray.from_arrays(pa.array(np.append(starts, len(counts)), pa.int32()), counts)
    columns["candidates"] = ranks.candidates[starts].astype(np.int32)
    return pa.table(columns), {name: float(column.mean()) for name, column in values.items()}


def _ranks(table: pa.Table) -> Ranks:
    import pyarrow as pa

    better, tied = (table.column(name).combine_chunks() for name in ("better", "tied"))
    if pa.types.is_list(better.type):
        per_user = np.diff(as_numpy(better.offsets))
        better, tied = better.flatten(), tied.flatten()
    else:
        per_user = np.ones(len(better), np.int64)
    users = np.repeat(np.arange(len(per_user)), per_user)
    candidates = np.repeat(as_numpy(table.column("candidates").combine_chunks()), per_user).astype(np.int64)
    nowhere = np.zeros(len(users), np.int64)
    return Ranks(users, nowhere, as_numpy(better).astype(np.int64), as_numpy(tied).astype(np.int64), candidates)


def as_numpy(array: pa.Array) -> Labels:
    """The array in numpy; `array.to_numpy()` would import pandas."""
    import pyarrow as pa

    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return np.array(array.to_pylist(), np.str_)
    return np.from_dlpack(array)


def read_users(file: Path) -> tuple[Labels, Ranks]:
    """Labels of the test users, and where their held-out items stand."""
    import pyarrow.parquet as pq

    table = pq.ParquetFile(file).read()  # read_table would import pyarrow.dataset
    return as_numpy(table.column("user").combine_chunks()), _ranks(table)
