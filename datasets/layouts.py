"""A split as files that other libraries train on: CSV, RecBole's benchmark files, LensKit's Parquet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UserError
from datasets.interactions import Interactions
from datasets.split import Split
from datasets.writing import write_columns

LAYOUTS: dict[str, tuple[str, tuple[str, str, str, str]]] = {
    "csv": ("{part}.csv", ("user", "item", "rating", "timestamp")),
    "recbole": ("{name}.{part}.inter", ("user_id:token", "item_id:token", "rating:float", "timestamp:float")),
    "lenskit": ("{part}.parquet", ("user_id", "item_id", "rating", "timestamp")),
}
"""Layout → the name of a part's file, and what it calls user, item, rating and time."""
CONFIG = "recbole.yaml"
BUNDLED = ("ml-100k",)
"""What RecBole 1.2.1 reads from its own package by name, though `data_path` says otherwise."""


def write_split(split: Split, folder: Path, layout: str) -> list[Path]:
    """Write train, valid and test, and what is folded in, to a new or empty folder.

    Read back as a ready split, each layout is the same split. Ids are the labels of the data,
    rows are in the order of the split, times in seconds. Candidates go with `csv` alone, which has a word for them.

    Raises:
        UserError: the split has candidates or no validation part, and the layout has no place for that; RecBole would
            not read a folder of this name.
    """
    pattern, words = LAYOUTS[layout]
    if split.candidates is not None and layout != "csv":
        raise UserError(f"The layout {layout} has no place for candidates; use --layout csv, or --candidates full.")
    if layout == "recbole" and (split.fold_in is not None or not len(split.valid)):
        lacking = "no validation part" if split.fold_in is None else "users that nothing is trained on"
        raise UserError(f"The layout recbole has no place for a split with {lacking}; use another layout or split.")
    if layout == "recbole" and folder.name in BUNDLED:
        raise UserError(
            f"RecBole takes {folder.name} from its own package, whatever the configuration says; give the folder "
            f"another name, as in {folder.with_name(folder.name + '-split')}."
        )
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"train": split.train, "valid": split.valid, "test": split.test, "fold_in": split.fold_in}
    written = []
    for part, rows in parts.items():
        if rows is not None and len(rows):
            path = folder / pattern.format(name=folder.name, part=part)
            write_columns(path, _columns(split, rows, words))
            written.append(path)
    if split.candidates is not None:
        path = folder / "candidates.csv"
        owners = np.repeat(np.arange(len(split.user_ids)), np.diff(split.candidates.offsets))
        pairs = {"user": split.user_ids[owners], "item": split.item_ids[split.candidates.items]}
        write_columns(path, pairs)
        written.append(path)
    if layout == "recbole":
        written.append(_config(folder))
    return written


def unwritten(split: Split) -> tuple[int, int]:
    """Users and items that occur in no part, so that no file of the split names them."""
    parts = [split.train, split.valid, split.test, *([] if split.fold_in is None else [split.fold_in])]
    users, items = (np.unique(np.concatenate([getattr(part, what) for part in parts])) for what in ("users", "items"))
    return len(split.user_ids) - len(users), len(split.item_ids) - len(items)


def _columns(split: Split, rows: Interactions, words: tuple[str, ...]) -> Mapping[str, NDArray[Any]]:
    values = (split.user_ids[rows.users], split.item_ids[rows.items], rows.values, rows.times)
    return {word: column for word, column in zip(words, values, strict=True) if column is not None}


def _config(folder: Path) -> Path:
    """What RecBole must be told to take the parts as they are and rank the whole catalogue."""
    path = folder / CONFIG
    lines = [
        f"dataset: {json.dumps(folder.name)}",
        f"data_path: {json.dumps(str(folder.absolute().parent))}",
        "benchmark_filename: [train, valid, test]",
        "load_col: {inter: [user_id, item_id]}",
        "eval_args: {group_by: user, order: RO, mode: full}",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
