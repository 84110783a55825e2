"""The files of a folder with a ready split: train, valid, test, what is folded in, and candidates."""

from __future__ import annotations

import re
from pathlib import Path

from datasets.columns import listed
from datasets.compressed import OPENERS
from datasets.errors import UserError
from datasets.sniff import first_lines, sequence_like, whole_numbers
from datasets.table import FOLD_IN, TEST, TRAIN, VALID

PARTS = {"train": TRAIN, "valid": VALID, "test": TEST, "fold_in": FOLD_IN}
_WORDS = {"train": "train", "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid", "test": "test"}
_WORDS |= {"fold_in": "fold_in", "fold-in": "fold_in", "candidates": "candidates"}
_SUFFIXES = ["csv", "tsv", "txt", "dat", "data", "inter", "rating", "negative", "base", "test", "parquet"]
_NAME = re.compile(
    rf"(?:(?P<prefix>.+)\.)?(?P<part>{'|'.join(_WORDS)})\.(?P<kind>{'|'.join(_SUFFIXES)})"
    rf"({'|'.join(map(re.escape, OPENERS))})?",
    re.IGNORECASE,
)


def split_files(folder: Path) -> dict[str, Path]:
    """The files of a ready split by part: train, test, and valid, fold_in and candidates where they exist.

    They are called `train.csv`, or with one and the same word before as in `ml-1m.train.rating`; `test.negative` holds
    candidates.

    Raises:
        UserError: train or test is missing, or there are two files for one part.
    """
    found: dict[str, dict[str, list[Path]]] = {}
    for path in sorted(folder.iterdir()):
        name = _NAME.fullmatch(path.name)
        if name and path.is_file():
            part = "candidates" if name["kind"].lower() == "negative" else _WORDS[name["part"].lower()]
            found.setdefault(name["prefix"] or "", {}).setdefault(part, []).append(path)
    called = folder.resolve().name
    whole = {prefix: parts for prefix, parts in found.items() if {"train", "test"} <= parts.keys()}
    chosen = [""] if "" in whole else list(whole)
    if len(chosen) > 1:
        raise UserError(
            f"{called} holds several splits ({listed(chosen)}); give each a folder of its own, and one of them."
        )
    if not chosen:
        part = "test" if any("train" in parts for parts in found.values()) else "train"
        raise UserError(
            f"The folder {called} has no {part}.csv (or .tsv, .txt, .parquet); a ready split needs "
            "train.*, test.* and may have valid.*, fold_in.* and candidates.*."
        )
    parts = whole[chosen[0]]
    for files in parts.values():
        if len(files) > 1:
            raise UserError(f"{called} has {' and '.join(p.name for p in files)}; keep one file for each part.")
    order = [*PARTS, "candidates"]
    return {part: parts[part][0] for part in sorted(parts, key=order.index)}


def unused_files(folder: Path) -> list[str]:
    """Files in the folder that look like data and are no part of its split."""
    used = {path.name for path in split_files(folder).values()}
    data = re.compile(rf".+\.({'|'.join(_SUFFIXES)})({'|'.join(map(re.escape, OPENERS))})?")
    return sorted(p.name for p in folder.iterdir() if p.is_file() and data.fullmatch(p.name) and p.name not in used)


def holds_sequences(parts: dict[str, Path]) -> bool:
    """Whether the parts are a user and its items in each line, as one of them shows for all.

    Raises:
        UserError: an empty or binary file.
    """
    texts = [first_lines(path) for part, path in parts.items() if part in PARTS and ".parquet" not in path.suffixes]
    return all(map(whole_numbers, texts)) and any(map(sequence_like, texts))
