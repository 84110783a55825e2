"""Columns to a file: CSV and other text with a separator, or Parquet, by the end of the name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.compressed import plain_name
from datasets.errors import UserError
from datasets.readers import is_parquet

SEPARATORS = {".csv": ",", ".tsv": "\t", ".inter": "\t"}
PACKED = (".gz", ".bz2", ".zst")
"""What text may be packed as; Parquet packs itself."""


def check_ending(path: Path) -> None:
    """Refuse a name that says no format.

    Raises:
        UserError: naming those there are.
    """
    packed = path.suffix.lower() in PACKED
    end = Path(plain_name(path)).suffix.lower()
    if not (end in SEPARATORS or (end == ".parquet" and not packed)) or (not packed and plain_name(path) != path.name):
        raise UserError(
            f"{path} has an ending that says no format; end it in .csv, .tsv or .parquet, text also packed as "
            f"{', '.join(PACKED)}."
        )


def write_columns(path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    """Write columns of one length, with their names as the header; numbers come back as the same numbers.

    Text is quoted only where some id has the separator, a quote or a line break in it.
    """
    import pyarrow as pa
    from pyarrow import csv, parquet

    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    if is_parquet(path):
        parquet.write_table(table, path, compression="zstd")
        return
    separator = SEPARATORS[Path(plain_name(path)).suffix.lower()]
    texts = [np.unique(values) for values in columns.values() if values.dtype.kind == "U"]
    signs = (separator, '"', "\n", "\r")
    special = any(sign in text for values in texts for text in values.tolist() for sign in signs)
    options = csv.WriteOptions(include_header=False, delimiter=separator, quoting_style="needed" if special else "none")
    with pa.output_stream(str(path), compression="detect") as out:
        out.write(separator.join(columns).encode() + b"\n")
        csv.write_csv(table, out, options)
