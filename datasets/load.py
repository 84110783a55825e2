"""From a name or a path to a `Split`: resolve, fetch, read, prepare, split, and keep the result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from datasets import catalog
from datasets.cache import Arrays, Meta, kept
from datasets.catalog import Entry
from datasets.download import Progress, silent
from datasets.errors import UserError, unknown
from datasets.fetch import Consent, cached, obtain, sha256_of
from datasets.interactions import Interactions
from datasets.protocol import JSON, Protocol
from datasets.split import CandidateLists, DataSource, Split
from datasets.table import TEST, TRAIN, VALID, Table

VERSION = 2
"""Raised whenever preparing or splitting makes something else of the same table and protocol."""

Columns = str | Sequence[str] | None


def resolve(
    dataset: str,
    *,
    columns: Columns = None,
    unverified: bool = False,
    accept_unpinned: bool = False,
    offline: bool | None = None,
) -> DataSource:
    """What a name or path means, and the sha256 of its content, without reading or fetching the data.

    A catalogued data set whose checksums are known needs no file at all. Where nobody published one, or with
    `unverified`, the file's own sha256 is its identity and it is fetched if need be.

    Raises:
        UserError: an unknown name, a missing file, or data that cannot be had.
    """
    if _is_synthetic(dataset):
        from datasets import synthetic

        return synthetic.resolve(dataset)
    if catalog.known(dataset):
        if columns:
            raise UserError(f"{dataset} is in the catalogue, which knows its columns; leave --columns out.")
        return _resolve_entry(catalog.entry(dataset), Consent(unverified, accept_unpinned, offline))
    path = Path(dataset).expanduser()
    spelled = "" if columns is None else columns if isinstance(columns, str) else ",".join(columns)
    if path.is_dir():
        from datasets.readers import split_files

        lines = [f"sha256:{sha256_of(file)}  {name}\n" for name, file in sorted(split_files(path).items())]
        digest = hashlib.sha256("".join(lines).encode()).hexdigest()
        return DataSource(path.resolve().name, digest, None, f"folder {path.resolve().name}", spelled)
    if path.is_file():
        return DataSource(path.name, sha256_of(path), None, f"file {path.name}", spelled)
    if path.suffix or len(path.parts) > 1:
        raise UserError(
            f"There is no file or folder {dataset}; give a path that exists, or a name of `bench data list`."
        )
    raise unknown("data set", dataset, [*catalog.names(), "synthetic"])


def load(
    dataset: str,
    protocol: Protocol = Protocol(),  # noqa: B008 - frozen
    *,
    columns: Columns = None,
    unverified: bool = False,
    accept_unpinned: bool = False,
    offline: bool | None = None,
    progress: Progress | None = None,
) -> Split:
    """The data set split by the protocol; fetched if need be, and memory-mapped from the cache the next time.

    Raises:
        UserError: the data cannot be had, read, prepared or split.
    """
    report = progress or silent
    source = resolve(dataset, columns=columns, unverified=unverified, accept_unpinned=accept_unpinned, offline=offline)
    consent = Consent(unverified, accept_unpinned, offline)
    protocol = in_force(dataset, protocol)
    parts = {name: value for name, value in protocol.as_dict().items() if name != "mask"}  # it splits nothing
    key = _key(VERSION, source.name, _order(dataset), *_reading(dataset, source), parts)

    def build() -> tuple[dict[str, Any], Meta]:
        table = _table(dataset, source, columns, consent, report)
        return _split(table, protocol, source, _order(dataset))

    arrays, meta = kept("splits", key, build)
    if catalog.known(dataset):
        source = _resolve_entry(catalog.entry(dataset), consent)
    return _unpack(arrays, meta, source, protocol)


def _is_synthetic(dataset: str) -> bool:
    return dataset == "synthetic" or dataset.startswith("synthetic:")


def in_force(dataset: str, protocol: Protocol) -> Protocol:
    """The protocol as it will be applied: data that come split keep their split, whatever the default says.

    Raises:
        UserError: the protocol asks to leave users or items out of a given split, or to split it otherwise.
    """
    path = Path(dataset).expanduser()
    came_split = catalog.entry(dataset).given_split if catalog.known(dataset) else path.is_dir()
    if not came_split:
        if protocol.split_name == "given":
            raise UserError(f"{dataset} has no ready split; give a folder with train.* and test.*, or another split.")
        return protocol
    if protocol.split_name not in ("given", Protocol().split):
        raise UserError(f"{dataset} comes with its own split, which is used as it is; leave --split out.")
    if protocol.prepares:
        raise UserError(
            f"{dataset} comes with its own split, which is used as it is; leave k_core, the minimum counts and "
            "sample_users out."
        )
    return protocol if protocol.split_name == "given" else replace(protocol, split="given")


def table_of(
    dataset: str, *, columns: Columns = None, consent: Consent | None = None, progress: Progress | None = None
) -> Table:
    """The interactions as the file has them, before any preparation."""
    consent = consent or Consent()
    source = resolve(
        dataset,
        columns=columns,
        unverified=consent.unverified,
        accept_unpinned=consent.accept_unpinned,
        offline=consent.offline,
    )
    return _table(dataset, source, columns, consent, progress or silent)


def _resolve_entry(entry: Entry, consent: Consent) -> DataSource:
    if not entry.files:
        raise UserError(f"{entry.id} stands for many data sets; see `bench data list --families` for the categories.")
    found = [cached(entry, file, consent) for file in entry.files]
    if not all(found) and (consent.unverified or not entry.pinned):  # only the file tells which content it is
        found = [obtain(entry, file, consent) for file in entry.files]
    here = [kept_file for kept_file in found if kept_file]
    official = entry.pinned and all(kept_file.verified for kept_file in here)
    sources = list(dict.fromkeys(kept_file.source for kept_file in here))
    served = " and ".join(sources) or "not fetched yet"
    if official and entry.identity:
        return DataSource(entry.id, entry.identity, True, served)
    lines = [f"sha256:{k.sha256}  {f.stored.name}\n" for k, f in zip(here, entry.files, strict=True)]
    digest = here[0].sha256 if len(here) == 1 else hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
    return DataSource(entry.id, digest, False, served)


def _reading(dataset: str, source: DataSource) -> tuple[JSON, ...]:
    """What decides the table: the content and how it is read."""
    from datasets import readers

    if catalog.known(dataset):
        entry = catalog.entry(dataset)
        return (readers.VERSION, source.sha256, entry.reader, json.dumps(dict(entry.options), sort_keys=True))
    return (readers.VERSION, source.sha256, source.columns, Path(source.name).suffix)


def _order(dataset: str) -> str:
    """`time`, `file` or `none`: what the catalogue says the order of the rows means."""
    return catalog.entry(dataset).order if catalog.known(dataset) else "time"


def _key(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _table(dataset: str, source: DataSource, columns: Columns, consent: Consent, progress: Progress) -> Table:
    def build() -> tuple[dict[str, Any], Meta]:
        table = _read(dataset, columns, consent, progress)
        fields = {name: value for name, value in vars(table).items() if name not in ("ticks", "facts")}
        return fields, {"ticks": table.ticks, "facts": dict(table.facts or {})}

    if _is_synthetic(dataset):
        return _read(dataset, columns, consent, progress)
    arrays, meta = kept("tables", _key(*_reading(dataset, source)), build)
    return Table(**arrays, **meta)  # type: ignore[arg-type]


def _read(dataset: str, columns: Columns, consent: Consent, progress: Progress) -> Table:
    from datasets import readers

    if _is_synthetic(dataset):
        from datasets import synthetic

        return synthetic.generate(dataset)
    if catalog.known(dataset):
        from datasets.published import read_entry

        entry = catalog.entry(dataset)
        files = [obtain(entry, file, consent, progress) for file in entry.files]
        progress(f"Reading {dataset}.", 0, 0)
        return read_entry(entry, [file.path for file in files])
    progress(f"Reading {Path(dataset).name}.", 0, 0)
    return readers.read_path(Path(dataset).expanduser(), columns)


def _split(table: Table, protocol: Protocol, source: DataSource, order: str) -> tuple[dict[str, Any], Meta]:
    from datasets.candidates import candidate_lists
    from datasets.prepare import prepare
    from datasets.split import assign, count, leakage, pieces

    ordered = protocol.split_name == "leave-last-one-out" or "order=time" in protocol.split
    if ordered and table.times is None and order == "none":
        raise UserError(
            f"{source.name} has no times and its rows are in no order, so 'last' means nothing; use "
            "leave-random-one-out, or ratio."
        )
    prepared, dropped = prepare(table, protocol)
    part, facts = assign(prepared, protocol)
    facts = {**count(prepared, part), **dropped, **facts, **leakage(prepared, part)}
    arrays: dict[str, Any] = {"user_ids": prepared.user_ids, "item_ids": prepared.item_ids}
    for name, which in (("train", TRAIN), ("valid", VALID), ("test", TEST)):
        piece = pieces(prepared, part, which)
        arrays |= {f"{name}_{k}": getattr(piece, k) for k in ("users", "items", "times", "values")}
    warnings = _warnings(source, protocol, facts, timed=table.times is not None or order == "file")
    if lists := candidate_lists(prepared, part, protocol, facts):
        arrays |= {"candidate_offsets": lists.offsets, "candidate_items": lists.items}
        warnings.append(
            "Metrics over sampled or given candidates do not rank models as full ranking does (Krichene and "
            "Rendle, KDD 2020); use them only to compare with published numbers."
        )
    return arrays, {"facts": facts, "warnings": list(warnings)}


def _warnings(source: DataSource, protocol: Protocol, facts: dict[str, JSON], *, timed: bool) -> list[str]:
    warnings = []
    ordered = protocol.split_name == "leave-last-one-out" or "order=time" in protocol.split
    if ordered and not timed:
        warnings.append(f"{source.name} has no times: the last interaction is the last in the file.")
    if overlap := facts.get("held_out_pairs_also_trained_on"):
        warnings.append(f"{overlap:,} held-out pairs of {source.name} are also in its train part; they are left out.")
    if cold := facts.get("held_out_rows_of_users_without_training"):
        warnings.append(
            f"{cold:,} held-out interactions of users without training are left out (cold=keep keeps them)."
        )
    if facts["users_without_test"]:
        warnings.append(f"{facts['users_without_test']:,} of {facts['users']:,} users have no test item.")
    if not facts["valid"]:
        warnings.append(f"{source.name} has no validation part under this split; nothing can be selected on it.")
    return warnings


def _unpack(arrays: Arrays, meta: Meta, source: DataSource, protocol: Protocol) -> Split:
    facts, warnings = meta["facts"], meta["warnings"]
    assert isinstance(facts, dict)
    assert isinstance(warnings, list)
    said = [str(warning) for warning in warnings]
    if not source.verified and catalog.known(source.name):
        said.insert(0, f"{source.name} was made from content that is not verified (sha256 {source.sha256}).")
    users, items = arrays["user_ids"], arrays["item_ids"]

    def part(name: str) -> Interactions:
        columns = [arrays.get(f"{name}_{k}") for k in ("users", "items", "times", "values")]
        return Interactions(columns[0], columns[1], len(users), len(items), columns[2], columns[3])  # type: ignore[arg-type]

    lists = (
        CandidateLists(arrays["candidate_offsets"], arrays["candidate_items"]) if "candidate_items" in arrays else None
    )
    return Split(part("train"), part("valid"), part("test"), users, items, source, protocol, facts, tuple(said), lists)
