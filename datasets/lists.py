"""Lists that another program recommends: CSV, TSV or Parquet of user, item and score or rank, or a TREC run file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.columns import listed
from datasets.compressed import head, unpacked
from datasets.errors import UserError
from datasets.ids import encode
from datasets.list_columns import TREC, is_trec, layout_of, roles_of, told_of
from datasets.place import Place
from datasets.readers import complaint, is_parquet, parquet_columns, parse_text
from datasets.sniff import Layout, first_lines, number
from datasets.table import Labels

_NEEDED = "give a file with user, item and score or rank"


@dataclass(frozen=True, eq=False)
class Lists:
    """Rows of lists, in file order.

    Attributes:
        users, items: (n,) positions in the split's labels; no triple of user, item and seed comes twice.
        scores: (n,) the higher the better, finite; of ranks the negative.
        seeds: (n,), or None where the file has none.
        told: what was read as what, in a line.
    """

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    scores: NDArray[np.float64]
    seeds: NDArray[np.int64] | None
    told: str


def read_lists(path: Path, user_ids: Labels, item_ids: Labels, columns: str | None = None) -> Lists:
    """The lists of a file, over the users and items of a split.

    Where a file has scores and ranks, the scores decide, for ranks hide which items are level.

    Args:
        path: the file; what it is is told by its first line or, Parquet, by its name.
        user_ids: the labels of users that the split has.
        item_ids: the same of items.
        columns: roles by position (`user,item,score`), or header names by role (`user=uid,item=sku,score=yhat`).

    Raises:
        UserError: a column that is lacking, a user or item that the split does not have, a score that is no finite
            number, an item twice in a list; with its place.
    """
    if not path.is_file():
        raise UserError(f"There is no file {path}; {_NEEDED}.")
    with unpacked(path) as file:
        if is_parquet(file):
            place = Place(path.name)
            read, told = _parquet(file, place, columns)
        elif not head(file, 1 << 16).strip():
            raise UserError(f"{path.name} is empty; {_NEEDED}.")
        else:
            lines = first_lines(file)
            trec = columns is None and is_trec(lines[0])
            layout = Layout(" ", False, {}, len(TREC)) if trec else layout_of(path.name, lines, columns)
            place = Place(path.name, file, layout.header)
            if len(lines) == layout.header:
                raise UserError(f"{path.name} has no rows; {_NEEDED}.")
            read, told = _trec(file, place) if trec else _delimited(file, place, layout)
        return _lists(read, place, user_ids, item_ids, told)


def _delimited(file: Path, place: Place, layout: Layout) -> tuple[dict[str, Any], str]:
    import pyarrow as pa

    types = dict.fromkeys(("score", "rank", "seed"), pa.string())
    try:
        read = parse_text(file, layout, types)
    except pa.ArrowInvalid as error:
        raise complaint(place, layout, error) from error
    names = layout.names if layout.header else [f"column {k + 1}" for k in range(layout.width)]
    return read, told_of(names, layout.roles)


def _parquet(file: Path, place: Place, columns: str | None) -> tuple[dict[str, Any], str]:
    found: list[dict[int, str]] = []

    def roles(names: Sequence[str]) -> dict[int, str]:
        found.append(roles_of(place.file, names, columns))
        return found[0]

    read, names = parquet_columns(file, place, roles)
    return read, told_of(names, found[0])


def _trec(file: Path, place: Place) -> tuple[dict[str, Any], str]:
    """The columns of a TREC run file, in which any blanks separate."""
    import pyarrow as pa

    rows: list[list[str]] = []
    with file.open(encoding="utf-8", errors="replace") as lines:
        for k, line in enumerate(lines, 1):
            if fields := line.split():
                if len(fields) != len(TREC):
                    raise UserError(
                        f"{place.file} has {len(fields)} fields in line {k}, where a TREC run has {len(TREC)}: query, "
                        "Q0, document, rank, score, tag."
                    )
                rows.append(fields)
    read = dict(zip(TREC, zip(*rows, strict=True), strict=True))
    if len(tags := dict.fromkeys(read["tag"])) > 1:
        raise UserError(f"{place.file} holds several runs ({listed(tags)}); give each a file of its own.")
    columns = {role: pa.chunked_array([pa.array(read[role], pa.string())]) for role in ("user", "item", "score")}
    return columns, "TREC run: user=query, item=document, score=score; not used: rank"


def _lists(read: Mapping[str, Any], place: Place, user_ids: Labels, item_ids: Labels, told: str) -> Lists:
    """The columns checked, over the labels of the split."""
    if not len(read["user"]):
        raise UserError(f"{place.file} has no rows; {_NEEDED}.")
    users = _positions(read["user"], "user", place, user_ids)
    items = _positions(read["item"], "item", place, item_ids)
    scores = _finite(read["score"], "score", place) if "score" in read else -_finite(read["rank"], "rank", place)
    seeds = _whole(read["seed"], place) if "seed" in read else None
    _check_once(users, items, seeds, place, user_ids, item_ids)
    return Lists(users, items, scores, seeds, told)


def _positions(column: Any, role: str, place: Place, known: Labels) -> NDArray[np.int64]:
    """(n,) where each row's id stands among the labels of the split."""
    codes, labels = encode(column, role, place)
    if (codes < 0).any():
        raise UserError(f"{place.file} has no {role} in {place.row(int(np.argmax(codes < 0)))}; remove that row.")
    names, order = known, np.arange(len(known))
    if labels.dtype.kind != known.dtype.kind:  # 7 and "7" are the same id
        labels, names = labels.astype(np.str_), known.astype(np.str_)
        order = np.argsort(names)
    at = np.minimum(np.searchsorted(names, labels, sorter=order), len(known) - 1)
    strange = names[order[at]] != labels
    if strange[codes].any():
        row = int(np.argmax(strange[codes]))
        raise UserError(
            f"{place.file} has the {role} {labels[codes[row]]} in {place.row(row)}, whom this split does not have; "
            f"give the ids that the data have, such as {known[0]}, and the same split."
            if role == "user"
            else f"{place.file} has the item {labels[codes[row]]} in {place.row(row)}, which this split does not have; "
            f"give the ids that the data have, such as {known[0]}, and the same split."
        )
    positions: NDArray[np.int64] = order[at][codes]
    return positions


def _finite(column: Any, role: str, place: Place) -> NDArray[np.float64]:
    values = _cast(column, role, place, "float64")
    wrong = ~np.isfinite(values)
    if wrong.any():
        raise UserError(
            f"{place.file} has a {role} that is missing or no finite number in {place.row(int(np.argmax(wrong)))}; "
            "correct or remove that row."
        )
    return values


def _whole(column: Any, place: Place) -> NDArray[np.int64]:
    values = _cast(column, "seed", place, "float64")
    wrong = ~(np.isfinite(values) & (values >= 0) & (values < 2**53) & (np.floor(values) == values))
    if wrong.any():
        raise UserError(
            f"{place.file} has a seed that is no whole number from 0 in {place.row(int(np.argmax(wrong)))}; correct it."
        )
    return values.astype(np.int64)


def _cast(column: Any, role: str, place: Place, kind: str) -> NDArray[Any]:
    """The column as numbers; null becomes nan."""
    import pyarrow as pa

    try:
        return np.asarray(column.cast(kind, safe=False).to_numpy(), dtype=kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        if not pa.types.is_string(column.type):
            raise UserError(f"The {role} column of {place.file} is not numeric ({column.type}).") from error
        row, text = next((k, text) for k, text in enumerate(column.to_pylist()) if not number(text or ""))
        raise UserError(
            f"{place.file} has '{(text or '')[:40]}' where a {role} belongs in {place.row(row)}; correct it."
        ) from error


def _check_once(
    users: NDArray[np.int64],
    items: NDArray[np.int64],
    seeds: NDArray[np.int64] | None,
    place: Place,
    user_ids: Labels,
    item_ids: Labels,
) -> None:
    keys = (items, users) if seeds is None else (items, users, seeds)
    order = np.lexsort(keys)
    same = np.ones(max(0, len(order) - 1), dtype=bool)
    for key in keys:
        same &= key[order[1:]] == key[order[:-1]]
    if same.any():
        first, second = min(zip(order[:-1][same].tolist(), order[1:][same].tolist(), strict=True), key=lambda p: p[1])
        raise UserError(
            f"{place.file} has the item {item_ids[items[second]]} of user {user_ids[users[second]]} in "
            f"{place.row(first)} and again in {place.row(second)}; a list names an item once."
        )
