"""Id columns as codes and labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UserError
from datasets.place import Place
from datasets.table import Labels

LONGEST = 1000
"""Characters of an id; labels are kept as text of one width, so that a single long one would cost all the memory."""


def encode(column: Any, role: str, place: Place) -> tuple[NDArray[np.int32], Labels]:
    """Codes and ascending labels of an id column; -1 where the id is missing or empty.

    Ids are int64 when every one is a whole number in its usual spelling, so that `7` and `007` stay apart; else
    text without surrounding blanks.

    Raises:
        UserError: fractions, lists and other things that are no ids; an id with a line break, or of more than `LONGEST`
            characters.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(column, pa.Array):
        column = pa.chunked_array([column])
    column = _plain(column, role, place)
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
        broken = pc.match_substring_regex(names, "[\r\n]")
        if pc.any(broken, min_count=0).as_py():
            row = int(np.argmax(np.isin(codes, np.flatnonzero(np.asarray(broken)))))
            raise UserError(
                f"{place.file} has a line break within the {role} in {place.row(row)}; a quotation mark there is not "
                "closed, so correct that line."
            )
        if len(names) and (longest := pc.max(pc.utf8_length(names)).as_py() or 0) > LONGEST:
            row = int(np.argmax(codes == pc.index(pc.utf8_length(names), longest).as_py()))
            raise UserError(
                f"{place.file} has {longest:,} characters for the {role} in {place.row(row)}; ids have up to "
                f"{LONGEST:,}, so choose another column with --columns, or shorten it."
            )
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


def places(labels: Labels, among: Labels) -> NDArray[np.int64]:
    """Where each of `labels` is `among` ascending ones; -1 where it is not."""
    if (labels.dtype.kind == "i") != (among.dtype.kind == "i"):  # whole numbers on one side, text on the other
        labels, order = _as_text(labels), np.argsort(_as_text(among))
        among = _as_text(among)[order]
    else:
        order = np.arange(len(among))
    at = np.searchsorted(among, labels).clip(max=len(among) - 1)
    return np.where(among[at] == labels, order[at], -1)


def _as_text(labels: Labels) -> NDArray[Any]:
    return labels.astype(np.str_)


def _plain(column: Any, role: str, place: Place) -> Any:
    """The column as whole numbers or text."""
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    try:
        if pa.types.is_floating(kind):  # as pandas writes whole numbers beside a missing one
            return column.cast(pa.int64())
        if pa.types.is_uint64(kind):
            return _unsigned(column)
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_large_string(kind):
            return column.cast(pa.string())
    except pa.ArrowInvalid as error:
        what = "fractions" if pa.types.is_floating(kind) else "bytes that are no text"
        raise UserError(f"The {role} column of {place.file} has {what}; ids must be whole numbers or text.") from error
    if pa.types.is_integer(kind) or pa.types.is_string(kind):
        return column
    if pa.types.is_string_view(kind) or pa.types.is_decimal(kind):
        return column.cast(pa.string())
    raise UserError(
        f"The {role} column of {place.file} holds {kind}; ids must be whole numbers or text, so choose another column "
        "with --columns."
    )


def _unsigned(column: Any) -> Any:
    import pyarrow as pa

    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid:  # beyond 63 bits
        return column.cast(pa.string())
