"""Rows that another program trained: its lists ranked as ours are, kept as runs, and found again by their name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.files import JSONObject
from bench.runs.spec import REGISTRIES, Data, run_id_of
from bench.runs.store import Result, Store
from bench.runs.stored import Damaged, StoredRun, read
from datasets.errors import UserError, plain
from datasets.loading import VERSION as LOAD_VERSION
from datasets.protocol import JSON
from datasets.readers import VERSION as READERS_VERSION

if TYPE_CHECKING:
    from datasets.lists import Lists
    from datasets.split import Split

IMPORTED = "imported"
"""Ends the folder of such a run in the store, so that they are found without reading the others."""
IMPORT_PROTOCOL = 1
"""Raised by whoever changes what the same lists rank to."""
CUTOFFS = (5, 10, 20)
_NAME = re.compile(r"[^\W_][\w.-]*")


@dataclass(frozen=True)
class ImportedSpec:
    """What decides the numbers of an imported run: the data and how they are split and ranked, the lists, the seed."""

    data: Data
    content: str  # sha256 of the lists, see `content_sha256`
    seed: int

    def as_dict(self) -> JSONObject:
        """The full spec, as `run.json` stores it, with the keys that a trained run has."""
        return {
            "dataset": self.data.name,
            **of_data(self.data),
            "sampler": None,
            "loss": None,
            "model": {"name": IMPORTED, "parameters": {"content_sha256": self.content}},
            "settings": {},
            "seed": self.seed,
            "refit": False,
            "code_protocol": None,
        }

    @property
    def run_id(self) -> str:
        """16 hex digits of the SHA-256 of all of it but the name of the data set."""
        return run_id_of(self.as_dict())


def of_data(data: Data) -> JSONObject:
    """What must be the same for an imported run to stand in a table on these data."""
    protocol: Mapping[str, JSON] = data.protocol
    return {
        "data_sha256": data.sha256,
        "columns": data.columns,
        "protocol": dict(protocol),
        "data_protocol": [LOAD_VERSION, READERS_VERSION],
        "import_protocol": IMPORT_PROTOCOL,
    }


@dataclass(frozen=True)
class Imported:
    """A row that was imported: its runs, by seed."""

    name: str
    runs: tuple[StoredRun, ...]

    @property
    def depth(self) -> int | None:
        """Metrics@K are known for K up to this; None for every K."""
        return min((run.depth for run in self.runs if run.depth is not None), default=None)

    @property
    def files(self) -> list[JSONObject]:
        """{"file", "sha256", "read_as"} of what it was read from, each file once."""
        told = [{key: run.record["imported"][key] for key in ("file", "sha256", "read_as")} for run in self.runs]
        return [each for k, each in enumerate(told) if each not in told[:k]]


def check_name(name: str) -> None:
    """Refuse a name that a table could take for something else.

    Raises:
        UserError: a name of a method, in whatever spelling, or one with signs that cells are written with.
    """
    for kind, registry in REGISTRIES.items():
        for entry in registry.entries.values():
            if plain(name) in {plain(word) for word in (entry.name, *entry.aliases)}:
                raise UserError(
                    f"'{name}' is the {kind} {entry.name}; give an imported row a name of its own, as in --name "
                    f"other-{entry.name}."
                )
    if not _NAME.fullmatch(name) or name.lower().endswith(".toml"):
        raise UserError(
            f"'{name}' cannot name a row; use letters, digits, points, - and _, as in --name implicit-bpr, and no "
            ".toml at the end."
        )


def content_sha256(lists: Lists) -> str:
    """Hex digest of the lists of one seed, whatever file and order of rows they came in.

    The bytes are `contrarec lists 1\\n` and then user, item (int64, as the split numbers them) and score (float64) of
    all rows, column by column, sorted by user and item, little-endian.
    """
    order = np.lexsort((lists.items, lists.users))
    digest = hashlib.sha256(b"contrarec lists 1\n")
    for values, kind in ((lists.users, "<i8"), (lists.items, "<i8"), (lists.scores + 0.0, "<f8")):  # no -0.0
        digest.update(np.ascontiguousarray(values[order], kind).tobytes())
    return digest.hexdigest()


def keep(store: Store, spec: ImportedSpec, name: str, lists: Lists, split: Split, file: Path) -> StoredRun:
    """Rank the lists of one seed and write them as a run; what is there already stays.

    Raises:
        UserError: what is left of the lists places nobody's items, or the folder cannot be written.
    """
    from bench.runs.runner import masked
    from datasets.digests import sha256_of
    from recmodels.listed import listed_ranks

    known = masked(split, str(spec.data.protocol["mask"]))
    found = listed_ranks(split.test, known, split.candidates, lists.users, lists.items, lists.scores)
    if found.depth == 0:
        raise UserError(
            f"{file.name} lists nothing to user {split.user_ids[found.shallow]} but what the user has seen already, so "
            "that no metric is known; leave seen items out where the lists are made, or make them longer."
        )
    owners = np.unique(found.ranks.users)
    told = {
        "name": name,
        "file": file.name,
        "sha256": sha256_of(file),
        "read_as": lists.told,
        "rows": len(lists.users),
        "longest_list": found.longest,
        "depth": found.depth,
        "seen_items_dropped": found.dropped,
        "rows_of_users_without_test": found.untested,
        "users_without_list": found.without,
        "users_with_shorter_list": found.shorter,
    }
    result = Result(
        split.user_ids[owners],
        found.ranks,
        [],
        0,
        {},
        conditions(split),
        diagnostics={"test_tie_rate": float((found.ranks.tied > 0).mean())},
        warnings=tuple(split.warnings),
        imported=told,
    )
    cutoffs = [k for k in CUTOFFS if found.depth is None or k <= found.depth] or [found.depth or 1]
    return store.save(spec, result, cutoffs, IMPORTED)


def conditions(split: Split) -> JSONObject:
    """Provenance of what was only evaluated here."""
    from bench.runs.provenance import provenance

    source = split.source
    data = {"sha256": source.sha256, "verified": source.verified, "source": source.source}
    return {**provenance(), "device": "cpu", "data": data, "facts": split.facts}


def names_on(store: Store, dataset: str, words: Iterable[str]) -> dict[str, list[StoredRun]]:
    """The imported runs on a data set by the name of their row, whatever its split, for a request of these words.

    Raises:
        Damaged: one of them is not as it was written, and a word that names no method may mean its row.
    """
    found: dict[str, list[StoredRun]] = {}
    damaged: list[Damaged] = []
    for path in sorted((store.root / Data(dataset, "", {}).folder).glob(f"*-{IMPORTED}")):
        try:
            run = read(path)
        except Damaged as error:
            damaged.append(error)
        else:
            found.setdefault(str(run.record["imported"]["name"]), []).append(run)
    if damaged and not all(map(_begins_with_a_method, words)):
        raise damaged[0]
    return found


def _begins_with_a_method(word: str) -> bool:
    name = word.partition("+")[0].partition(":")[0].strip()
    return any(name in registry for registry in REGISTRIES.values())


def check_free(store: Store, dataset: str, name: str, specs: Iterable[ImportedSpec]) -> None:
    """Refuse a name that other lists have, and lists that have another name.

    Raises:
        UserError: saying which.
    """
    there = [(other, run) for other, runs in names_on(store, dataset, [name]).items() for run in runs]
    for spec in specs:
        told, same = spec.as_dict(), of_data(spec.data)
        for other, run in there:
            kept = run.record["spec"]
            if run.run_id == spec.run_id and other != name:
                raise UserError(
                    f"These lists were imported as '{other}' already; compare that, or remove it with bench runs rm "
                    f"{run.path.name}."
                )
            alike = all(kept.get(key) == same[key] for key in same) and kept["seed"] == told["seed"]
            if other == name and alike and run.run_id != spec.run_id:
                raise UserError(
                    f"'{name}' has other lists for seed {spec.seed} already; give another --name, or remove them with "
                    f"bench runs rm {run.path.name}."
                )


def own_names(words: Iterable[str], dataset: str, store: Store) -> dict[str, list[StoredRun]]:
    """The imported rows among the words of a request.

    Raises:
        UserError: a word is given twice, or has come to be the name of a method too.
    """
    words = list(words)
    found = names_on(store, dataset, words)
    words = [word for word in words if word in found]
    for word in words:
        check_name(word)
        if words.count(word) > 1:
            raise UserError(f"'{word}' is named twice; name each row once.")
    return {word: found[word] for word in words}


def chosen(rows: Mapping[str, list[StoredRun]], data: Data, seeds: int) -> tuple[Imported, ...]:
    """The imported rows, on these very data, with the first of their runs for a table of so many seeds.

    Raises:
        UserError: one was imported for other data or another split only, or twice with the same seed.
    """
    found = []
    same = of_data(data)
    for name, every in rows.items():
        runs = [run for run in every if all(run.record["spec"].get(key) == same[key] for key in same)]
        if not runs:
            raise UserError(
                f"'{name}' was imported for another split of {data.name}, or another content of it; make its lists for "
                "this one, which bench data export FOLDER NAME --layout csv writes with the same options."
            )
        by_seed = {run.record["spec"]["seed"]: run for run in runs}
        if len(by_seed) < len(runs):
            ids = ", ".join(run.path.name for run in runs)
            raise UserError(
                f"'{name}' has several lists for one seed ({ids}); remove those that are not meant with bench runs rm."
            )
        found.append(Imported(name, tuple(run for _, run in sorted(by_seed.items())[:seeds])))
    return tuple(found)
