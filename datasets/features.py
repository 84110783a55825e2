"""Features of items from a file: a line an item, and columns of categories, numbers and vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.columns import USUAL, listed, plain
from datasets.compressed import head, unpacked
from datasets.errors import UserError
from datasets.ids import encode, places
from datasets.place import Place
from datasets.protocol import JSON
from datasets.readers import complaint, is_parquet, parquet_columns, parse_text
from datasets.sniff import Layout, cells_of, first_lines, number
from datasets.table import Labels

VERSION = 1
"""Raised whenever the same file and items give other features."""

ITEM = "item"
MOST = 1000
"""Different values of a text column, each of which becomes a number of every item."""
SEPARATOR = "|"
_NEEDED = "give a CSV, TSV or Parquet file with a header, an item a line, and columns of its features"
Numbers = NDArray[np.float32]
Has = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Features:
    """Numbers that describe the items of a split.

    Attributes:
        values: (I, F) float32, finite; zeros for an item without features.
        file: the name of the file.
        sha256: of what it holds, and of how it is read.
        told: which column was read as what, in a line.
        facts: how many items have features, how many have none, how many of the file the data lack.

    Example:
        >>> features = Features(np.eye(3, dtype=np.float32), "items.csv", "0" * 64, "kind (3 categories)", {})
        >>> features.values.shape, features.warnings
        ((3, 3), ())
    """

    values: Numbers
    file: str
    sha256: str
    told: str
    facts: Mapping[str, JSON]

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence where items have none.

        Example:
            >>> replace(features, facts={"items_without_features": 1}).warnings
            ('1 of 3 items have no features in items.csv; theirs are zeros.',)
        """
        without = self.facts.get("items_without_features", 0)
        if not without:
            return ()
        return (f"{without:,} of {len(self.values):,} items have no features in {self.file}; theirs are zeros.",)


def file_of(path: str) -> Path:
    """The file at a path.

    Raises:
        UserError: there is none.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise UserError(f"'{path}' is no file of item features; {_NEEDED}.")
    return file


def identity(path: str) -> str:
    """The sha256 of what a file holds and of how it is read.

    Raises:
        UserError: there is no such file.
    """
    from datasets.digests import sha256_of

    file = file_of(path)
    lines = f"sha256:{sha256_of(file)}  features\nversion:{VERSION}\nparquet:{is_parquet(file)}\n"
    return hashlib.sha256(lines.encode()).hexdigest()


def read_features(path: Path, item_ids: Labels) -> tuple[Numbers, str, dict[str, JSON]]:
    """`values`, `told` and `facts` of `Features` for the items of a split.

    A number, and a vector, is centred over the items that have it and scaled so that its mean squared length is 1, so
    that it is 0 where it is missing. Of a text, the values between bars are categories: an item has 1 / k in the
    columns of its k.

    Raises:
        UserError: a file that is no table of items, an item that comes twice, a number that is not finite, vectors of
            several lengths, or text that tells items apart and says nothing of them; with its place.
    """
    with unpacked(path) as file:
        if not head(file, 1 << 16).strip():
            raise UserError(f"{path.name} is empty; {_NEEDED}.")
        columns, place = _parquet(file, path.name) if is_parquet(file) else _text(file, path.name)
        codes, labels = encode(columns.pop(ITEM), "item", place)
        if not len(codes):
            raise UserError(f"{path.name} has no rows; {_NEEDED}.")
        _check_items(codes, labels, place)
        at = places(labels, item_ids)[codes]
        if (at < 0).all():
            raise UserError(
                f"{path.name} has no item of these data, whose labels are such as {item_ids[0]}, and not {labels[0]}; "
                "give the labels that the data have."
            )
        parts, told, has = [], [], np.zeros(len(at), dtype=bool)
        for name, column in ((called.strip(), column) for called, column in columns.items()):
            part, said, there = _column(column, name, place, at >= 0)
            parts.append(part)
            told.append(f"{name} ({said})")
            has |= there
    mine = at >= 0
    values = np.zeros((len(item_ids), sum(part.shape[1] for part in parts)), dtype=np.float32)
    values[at[mine]] = np.hstack([part[mine] for part in parts])
    facts: dict[str, JSON] = {
        "items_with_features": int(has[mine].sum()),
        "items_without_features": int(len(item_ids) - has[mine].sum()),
        "features_of_other_items": int((~mine).sum()),
    }
    return values, listed(told, 12), facts


def _text(file: Path, name: str) -> tuple[dict[str, Any], Place]:
    """Name → column of text, the item's under `ITEM`."""
    import pyarrow as pa

    lines = first_lines(file)
    separator = next((s for s in ("\t", ",", ";") if s in lines[0]), "")
    if not separator:
        raise UserError(f"{name} has one column only ('{lines[0][:40]}'); {_NEEDED}, separated by commas or tabs.")
    fields = cells_of(lines[0], separator)
    if all(map(number, fields)):
        raise UserError(f"{name} has no header; {_NEEDED}.")
    roles = _roles(name, fields)
    layout = Layout(separator, True, roles, len(fields), names=tuple(fields))
    place = Place(name, file, header=True)
    if len(lines) == 1:
        raise UserError(f"{name} has no rows; {_NEEDED}.")
    types = {role: pa.string() for role in roles.values()}
    try:
        return parse_text(file, layout, types), place
    except pa.ArrowInvalid as error:
        if "invalid UTF8" not in str(error):
            raise complaint(place, layout, error) from error
        return parse_text(file, replace(layout, encoding="latin-1"), types), place


def _parquet(file: Path, name: str) -> tuple[dict[str, Any], Place]:
    place = Place(name)
    columns, _ = parquet_columns(file, place, lambda names: _roles(name, names))
    return columns, place


def _roles(name: str, fields: Sequence[str]) -> dict[int, str]:
    """Column number → its name, and `ITEM` for that of the item."""
    items = [k for k, field in enumerate(fields) if USUAL.get(plain(field)) == "item"]
    exact = [k for k in items if plain(fields[k]) in ("item", "itemid")]
    items = exact if len(exact) == 1 else items
    if len(items) != 1:
        what = f"several columns for the item ({listed(fields[k] for k in items)})" if items else "no column item"
        raise UserError(f"{name} has {what} among {listed(fields)}; call the one with the labels of the data item.")
    others = [field for k, field in enumerate(fields) if k != items[0]]
    if not others:
        raise UserError(f"{name} has no column beside {fields[items[0]]}; {_NEEDED}.")
    if twice := next((field for field in others if others.count(field) > 1), None):
        raise UserError(f"{name} has two columns called '{twice}'; rename one of them.")
    return {k: ITEM if k == items[0] else f" {field}" for k, field in enumerate(fields)}  # no field is called ITEM then


def _check_items(codes: NDArray[np.int32], labels: Labels, place: Place) -> None:
    if (codes < 0).any():
        raise UserError(f"{place.file} has no item in {place.row(int(np.argmax(codes < 0)))}; remove that row.")
    order = np.argsort(codes, kind="stable")
    if (again := np.flatnonzero(np.diff(codes[order]) == 0)).size:
        first, second = order[again[0]], order[again[0] + 1]
        raise UserError(
            f"{place.file} has the item {labels[codes[first]]} in {place.row(int(first))} and again in "
            f"{place.row(int(second))}; give each item one row."
        )


def _column(column: Any, name: str, place: Place, mine: Has) -> tuple[Numbers, str, Has]:
    """(n, k) what a column says of each row, what it was read as, and (n,) whether the row has a value.

    It is scaled by the rows that are `mine`.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        if pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type):
            return _categories(column.cast(pa.large_list(pa.string())), name, place, mine)
        return _vectors(column, name, place, mine)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        texts = pc.utf8_trim_whitespace(column.cast(pa.string()))
        texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
        try:
            column = texts.cast(pa.float64())
        except pa.ArrowInvalid:
            return _categories(pc.split_pattern(texts, SEPARATOR), name, place, mine)
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise _other(name, place, kind)
    numbers = (column.cast(pa.int8()) if pa.types.is_boolean(kind) else column).cast(pa.float64(), safe=False)
    there = np.asarray(numbers.is_valid())
    values = np.where(there, np.asarray(numbers.fill_null(0.0)), 0.0)[:, None]
    _check_finite(values, name, place)
    return _scaled(values, there, mine), "a number", there


def _vectors(column: Any, name: str, place: Place, mine: Has) -> tuple[Numbers, str, Has]:
    import pyarrow as pa
    import pyarrow.compute as pc

    there = np.asarray(column.is_valid())
    sizes = np.asarray(pc.list_value_length(column).fill_null(0))
    lengths = np.unique(sizes[there])
    if len(lengths) > 1 or not lengths.sum():
        row = int(np.flatnonzero(there & (sizes != sizes[there][:1]))[0]) if len(lengths) > 1 else 0
        raise UserError(
            f"{place.file} has {sizes[row]} numbers of {name} in {place.row(row)} and {sizes[there][:1].sum()} in the "
            "first row that has some; give every item a vector of the same length."
        )
    flat = pc.list_flatten(column.filter(pa.array(there)))
    try:
        numbers = np.asarray(flat.cast(pa.float64()).fill_null(np.nan))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _other(name, place, column.type) from error
    values = np.zeros((len(there), int(lengths[0])))
    values[there] = numbers.reshape(-1, int(lengths[0]))
    _check_finite(values, name, place)
    return _scaled(values, there, mine), f"vectors of {lengths[0]}", there


def _categories(lists: Any, name: str, place: Place, mine: Has) -> tuple[Numbers, str, Has]:
    """Of each row 1 / k in the columns of its k categories; those that only other items have are none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    sizes = np.asarray(pc.list_value_length(lists).fill_null(0)).astype(np.int64)
    words = pc.utf8_trim_whitespace(pc.list_flatten(lists).cast(pa.string()).fill_null(""))
    rows = np.repeat(np.arange(len(sizes)), sizes)
    kept = np.asarray(pc.not_equal(words, "")) & mine[rows]
    coded = pc.dictionary_encode(words.filter(pa.array(kept)))
    coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
    codes, rows = np.asarray(coded.indices).astype(np.int64), rows[kept]
    pairs = np.unique(rows * max(1, len(coded.dictionary)) + codes)
    rows, codes = np.divmod(pairs, max(1, len(coded.dictionary)))
    counts = np.bincount(codes, minlength=len(coded.dictionary))
    if len(counts) > MOST or (len(counts) > 1 and counts.max(initial=0) == 1):
        what = f"{len(counts):,} different values" + (" and none of two items" if counts.max() == 1 else "")
        raise UserError(
            f"{place.file} has {what} in the column {name}, where up to {MOST:,} categories belong, which items share; "
            "leave the column out, or give numbers or vectors in its place."
        )
    values = np.zeros((len(sizes), len(counts)), dtype=np.float32)
    many = np.bincount(rows, minlength=len(sizes))
    values[rows, codes] = 1 / many[rows]
    return values, f"{len(counts)} {'category' if len(counts) == 1 else 'categories'}", many > 0


def _scaled(values: NDArray[np.float64], there: Has, mine: Has) -> Numbers:
    """Centred over the rows that are there and mine, of mean squared length 1 over them; 0 where nothing is."""
    some = there & mine
    if not some.any():
        return np.zeros(values.shape, dtype=np.float32)
    centred = np.where(there[:, None], values - values[some].mean(axis=0), 0.0)
    length = np.sqrt(np.square(centred[some]).sum(axis=1).mean())
    if length <= 1e-9 * max(1.0, np.abs(values[some]).max()):  # all alike, but for rounding
        return np.zeros(values.shape, dtype=np.float32)
    scaled: Numbers = (centred / length).astype(np.float32)
    return scaled


def _check_finite(values: NDArray[np.float64], name: str, place: Place) -> None:
    wrong = ~(np.abs(values) < np.finfo(np.float32).max).all(axis=1)
    if wrong.any():
        raise UserError(
            f"{place.file} has no finite number in the column {name} in {place.row(int(np.argmax(wrong)))}; correct "
            "it, or leave the cell empty."
        )


def _other(name: str, place: Place, kind: Any) -> UserError:
    return UserError(
        f"The column {name} of {place.file} holds {kind}; give numbers, lists of numbers, or text with {SEPARATOR} "
        "between the categories of an item."
    )
