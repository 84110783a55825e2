"""Dates as text: ISO 8601, a given format, and the refusal of what may be read two ways."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UserError
from datasets.place import Place

ISO = "ISO 8601"

YEAR_FIRST = re.compile(r"\d{4}([-/.])\d{1,2}\1\d{1,2}([T ]\d|$)")
DAY_OR_MONTH_FIRST = re.compile(r"(\d{1,2})([-/. ])(\d{1,2})(?:\2|, ?)(\d{4}|\d{2})(?=$|[T ,])")
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_ZONE = re.compile(r"(Z|[+-]\d\d(:?\d\d)?)$")
_WORDS = (" UTC", " GMT")


@dataclass(frozen=True)
class Times:
    """Times of all rows.

    Attributes:
        values: (n,) int64 in `ticks` per second.
        ticks: units in a second.
        format: how they are written, in a word or as a strptime format.
    """

    values: NDArray[np.int64]
    ticks: int
    format: str


def check_format(format: str) -> None:
    """Refuse a `--time-format` that strptime does not know.

    Raises:
        UserError: with an example.
    """
    from datetime import UTC, datetime

    try:
        if "%" not in format:
            raise ValueError
        datetime.strptime(datetime(2021, 11, 30, 13, 59, 58, tzinfo=UTC).strftime(format), format)
    except ValueError as error:
        raise UserError(
            f"--time-format {format} is no format; write it with %Y %m %d %H %M %S, as in '%d.%m.%Y %H:%M'."
        ) from error


def read_iso(column: Any, place: Place) -> Times:
    """Year, month, day and perhaps a time and a zone; by pyarrow, which takes 50 ns for each."""
    import pyarrow as pa
    import pyarrow.compute as pc

    first = column[0].as_py()
    plain, zone = column, None
    if word := next((w for w in _WORDS if first.endswith(w)), None):
        ends = np.asarray(pc.ends_with(column, word))
        if not ends.all():
            raise unlike(column, place, int(np.argmin(ends)), f"{ISO} and{word}")
        plain = pc.utf8_slice_codeunits(column, 0, -len(word))
    elif ":" in first and _ZONE.search(first):
        zone = "UTC"
    if first[4] != "-":
        plain = pc.replace_substring(plain, first[4], "-", max_replacements=2)

    def cast(part: Any, unit: str = "ns") -> Any:
        return part.cast(pa.timestamp(unit, zone))

    for padding in (False, True):  # costs ten times as much and is rarely needed
        plain = _padded(plain) if padding else plain
        for unit in ("s", "us", "ns"):
            try:
                return in_unit(cast(plain, unit), unit, ISO)
            except pa.ArrowInvalid:
                continue
    raise unlike(column, place, first_failing(plain, cast), ISO)


def _padded(column: Any) -> Any:
    """`2021-1-7 9:05` with the zeros that ISO 8601 asks for."""
    import pyarrow.compute as pc

    for pattern in (r"^(\d{4}-)(\d-)", r"^(\d{4}-\d\d-)(\d(?:[T ]|$))", r"^(\d{4}-\d\d-\d\d[T ])(\d:)"):
        column = pc.replace_substring_regex(column, pattern, r"\10\2")
    return column


def read_dates(column: Any, place: Place, format: str) -> Times:
    """Dates in one strptime format: rewritten as ISO 8601 where that will do, else by pandas, ten times slower."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    column = pc.utf8_trim_whitespace(column)
    pattern, order = _as_pattern(format)
    if order is not None and pc.all(pc.match_substring_regex(column, pattern)).as_py():
        try:
            plain = pc.replace_substring_regex(column, pattern, order).cast(pa.timestamp("s"))
            return in_unit(plain, "s", format)
        except pa.ArrowInvalid:  # 31.02.2021, which pandas finds
            pass
    encoded = column.dictionary_encode()  # few distinct dates, many rows
    encoded = encoded.unify_dictionaries() if hasattr(encoded, "chunks") else encoded
    chunks = encoded.chunks if hasattr(encoded, "chunks") else [encoded]
    texts = pd.Series(chunks[0].dictionary.to_pylist(), dtype="str")
    try:
        stamps = pd.to_datetime(texts, utc=True, format=format, errors="coerce")
    except ValueError as error:
        raise UserError(f"--time-format {format} is not understood ({str(error).splitlines()[0]}).") from error
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in chunks])
    wrong = stamps.isna().to_numpy()
    if wrong.any():
        raise unlike(column, place, int(np.argmax(wrong[codes])), format)
    microseconds = stamps.dt.tz_localize(None).to_numpy().astype("datetime64[us]").astype(np.int64)
    values, ticks = _coarse(microseconds, 10**6)
    return Times(values[codes], ticks, format)


def _as_pattern(format: str) -> tuple[str, str | None]:
    """A pattern of numbers of full width, and where they belong in ISO 8601; None for other formats."""
    pieces = re.split(r"(%[A-Za-z%])", format)
    codes = pieces[1::2]
    for wanted in (["%d", "%m", "%Y"], ["%H", "%M", "%d", "%m", "%Y"], ["%H", "%M", "%S", "%d", "%m", "%Y"]):
        if sorted(codes) == sorted(wanted):
            break
    else:
        return "", None
    at = {code: rf"\{k}" for k, code in enumerate(codes, 1)}
    day = f"{at['%Y']}-{at['%m']}-{at['%d']}"
    clock = ":".join(at[code] for code in ("%H", "%M", "%S") if code in at)
    widths = [rf"(\d{{{4 if piece == '%Y' else 2}}})" if piece in at else re.escape(piece) for piece in pieces]
    return f"^{''.join(widths)}$", f"{day} {clock}".strip()


def in_unit(column: Any, unit: str, format: str) -> Times:
    """A column of timestamps of that unit."""
    import pyarrow as pa

    values = np.asarray(column.cast(pa.int64()).to_numpy()).astype(np.int64, copy=False)
    return Times(*_coarse(values, _UNITS[unit]), format)


def _coarse(values: NDArray[np.int64], ticks: int) -> tuple[NDArray[np.int64], int]:
    """The values in the largest of seconds, milli-, micro- and nanoseconds that holds them whole."""
    for coarser in (1, 10**3, 10**6):
        step = ticks // coarser
        if step > 1 and not (values % step).any():
            return values // step, coarser
    return values, ticks


def ambiguous(column: Any, place: Place) -> UserError:
    """The refusal of `07.01.2021`, with the format where another row tells which number is the day."""
    import pyarrow.compute as pc

    first = column[0].as_py()
    shape = DAY_OR_MONTH_FIRST.match(first)
    assert shape is not None
    mark, gap = shape[2], first[shape.end(3) : shape.start(4)]
    rest = f"{gap}{'%Y' if len(shape[4]) == 4 else '%y'}{_clock(first[shape.end() :])}"
    formats = {"day": f"%d{mark}%m{rest}", "month": f"%m{mark}%d{rest}"}
    numbers = pc.extract_regex(column, rf"^(?P<day>\d{{1,2}}){re.escape(mark)}(?P<month>\d{{1,2}})")
    proofs = {}
    for name in formats:  # a first number above 12 is a day, and a second one says that the month comes first
        large = np.asarray(pc.fill_null(pc.greater(pc.struct_field(numbers, name).cast("int8"), 12), False))
        if large.any():
            row = int(np.argmax(large))
            proofs[name] = f"'{column[row].as_py()[:40]}' in {place.row(row)}"
    if len(proofs) == 2:
        return UserError(
            f"The times of {place.file} are mixed: day first ({proofs['day']}) and month first ({proofs['month']}); "
            "write all of them one way, best as 2021-01-31."
        )
    told = f"{place.file} has the time '{first[:40]}' in {place.row(0)}, which may begin with the day or the month"
    for name, proof in proofs.items():
        return UserError(
            f"{told} and is not guessed; {proof} begins with the {name}, so give --time-format '{formats[name]}'."
        )
    return UserError(f"{told}; say which with --time-format '{formats['day']}' or '{formats['month']}'.")


def _clock(rest: str) -> str:
    """The strptime codes of a time of day, with what stands before it."""
    found = re.fullmatch(r"([T ,]+)\d{1,2}:\d\d(:\d\d)?(\.\d+)?( ?[AaPp][Mm])?( ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?", rest)
    if not found:
        return ""
    half = found[4] or ""
    zone = found[5] or ""
    text = found[1] + ("%I" if half else "%H") + ":%M" + (":%S" if found[2] else "") + (".%f" if found[3] else "")
    text += " %p" if half.startswith(" ") else "%p" if half else ""
    if zone:
        text += (" " if zone.startswith(" ") else "") + ("%Z" if zone.strip() in ("UTC", "GMT") else "%z")
    return text


def unlike(column: Any, place: Place, row: int, format: str) -> UserError:
    """The refusal of the value in that row, which is written otherwise than `format`."""
    text = column[row].as_py()[:40]
    if row == 0:
        return UserError(f"{place.file} has '{text}' as a time in {place.row(0)}, which is not written as {format}.")
    return UserError(
        f"{place.file} has '{text}' as a time in {place.row(row)}, where the first is '{column[0].as_py()[:40]}' "
        f"({format}); write all of them one way, or leave the column out with --columns."
    )


def first_failing(column: Any, read: Callable[[Any], Any]) -> Any:
    """The first row that `read` refuses, by halving; None where it takes all."""
    import pyarrow as pa

    def fails(start: int, stop: int) -> bool:
        try:
            read(column.slice(start, stop - start))
        except pa.ArrowInvalid:
            return True
        return False

    low, high = 0, len(column)
    if not fails(low, high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fails(low, middle) else (middle, high)
    return low
