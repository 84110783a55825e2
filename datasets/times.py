"""A column of times as whole numbers: counts since 1970, or dates in one format for the whole column."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.dates import (
    DAY_OR_MONTH_FIRST,
    YEAR_FIRST,
    Times,
    ambiguous,
    first_failing,
    in_unit,
    read_dates,
    read_iso,
    unlike,
)
from datasets.errors import UserError
from datasets.place import Place
from datasets.sniff import number
from datasets.table import ticks_of

FRACTION = 10**6
"""Fractional counts become whole ones of a millionth each."""


def parse_times(column: Any, place: Place, format: str | None = None) -> Times:
    """The times of a column of numbers, dates or text (a pyarrow array).

    Whole numbers are kept as they are, fractions in millionths, dates in their own resolution. Text is read in one
    format: `format` (strptime's codes) or, where none is given, the one its first value has. What begins with a day or
    a month is not guessed. Zones are turned into UTC; without one, times are taken as UTC.

    Raises:
        UserError: a time that is missing, no time, out of range, or written otherwise than the first, with its line.
    """
    import pyarrow as pa

    if column.null_count:
        first = place.row(int(np.argmax(np.asarray(column.is_null()))))
        raise UserError(
            f"{place.file} has {column.null_count:,} rows without a time (the first in {first}); remove them."
        )
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if format is not None and not pa.types.is_temporal(kind):
        return read_dates(column.cast(pa.string()), place, format)
    if pa.types.is_integer(kind):
        return _counts(column, place)
    if pa.types.is_floating(kind):
        return _fractions(column.to_numpy().astype(np.float64, copy=False), place)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        unit = kind.unit if pa.types.is_timestamp(kind) else "s"
        return in_unit(column.cast(pa.timestamp(unit, getattr(kind, "tz", None))), unit, "dates")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _text(column.cast(pa.string()), place)
    raise UserError(
        f"The time column of {place.file} holds {kind}, which is no time; leave it out with --columns, or write "
        "seconds or dates."
    )


def _counts(column: Any, place: Place) -> Times:
    import pyarrow as pa

    try:
        values = column.cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid as error:
        row = first_failing(column, lambda part: part.cast(pa.int64()))
        raise _out_of_range(column[row].as_py(), place, row) from error
    values = np.asarray(values).astype(np.int64, copy=False)
    return Times(values, ticks_of(values), "numbers")


def _fractions(counts: NDArray[np.float64], place: Place) -> Times:
    wrong = ~(np.abs(counts) < 2.0**63)
    if wrong.any():
        row = int(np.argmax(wrong))
        if np.isnan(counts[row]):
            raise UserError(f"{place.file} has no number but 'nan' as a time in {place.row(row)}; remove that row.")
        raise _out_of_range(counts[row], place, row)
    whole = counts.astype(np.int64)
    if (whole == counts).all():
        return Times(whole, ticks_of(whole), "numbers")
    scale = FRACTION if np.abs(counts).max() * FRACTION < 2.0**63 else 1
    return Times(np.round(counts * scale).astype(np.int64), ticks_of(whole) * scale, "numbers with fractions")


def _out_of_range(value: Any, place: Place, row: int) -> UserError:
    return UserError(
        f"{place.file} has the time {value} in {place.row(row)}, which is out of range; correct or remove that row, or "
        "leave the column out with --columns."
    )


def _text(column: Any, place: Place) -> Times:
    """Dates as the first value is written."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pc.any(pc.or_(pc.starts_with(column, " "), pc.ends_with(column, " "))).as_py():  # dearer to do than to see
        column = pc.utf8_trim_whitespace(column)
    first = column[0].as_py()
    if number(first):
        row = first_failing(column, lambda part: part.cast(pa.float64()))
        if row is not None:
            raise unlike(column, place, row, "a number")
        return _fractions(column.cast(pa.float64()).to_numpy(), place)
    if YEAR_FIRST.match(first):
        return read_iso(column, place)
    if DAY_OR_MONTH_FIRST.match(first):
        raise ambiguous(column, place)
    from pandas.tseries.api import guess_datetime_format

    guessed = guess_datetime_format(first) if re.search(r"[A-Za-z]{3}", first) else None
    if guessed is None:
        raise UserError(
            f"{place.file} has '{first[:40]}' as a time in {place.row(0)}, which is neither a number nor a date; name "
            "the format with --time-format, as in '%d.%m.%Y', or leave the column out with --columns."
        )
    return read_dates(column, place, guessed)
