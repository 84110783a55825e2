"""From a name or a path to a `Split`: fetch, read, prepare, split, and keep the result."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

from datasets import features, negatives
from datasets.cache import Arrays, Meta, kept
from datasets.columns import Columns
from datasets.consent import Consent
from datasets.download import Progress, silent
from datasets.errors import UserError
from datasets.interactions import Interactions
from datasets.protocol import JSON, Protocol
from datasets.source import Generated, Source, resolve
from datasets.split import CandidateLists, Content, Split
from datasets.table import FOLD_IN, TEST, TRAIN, VALID, Table

VERSION = 2
"""Raised whenever preparing or splitting makes something else of the same table and protocol."""


def load(
    dataset: str,
    protocol: Protocol = Protocol(),
    *,
    columns: Columns = None,
    consent: Consent = Consent(),
    negatives_from: str | None = None,
    item_features: str | None = None,
    progress: Progress = silent,
) -> Split:
    """The data set split by the protocol; fetched if need be, and memory-mapped from the cache the next time.

    A file `negatives_from` of pairs that users are known not to want becomes part of the data and of their sha256.
    A file `item_features` does not, for few models read it; the split has them as `features`, with a sha256 of theirs.

    Raises:
        UserError: the data cannot be had, read, prepared or split.

    Example:
        >>> split = load("synthetic:users=200,items=100,density=0.1", Protocol("ratio"))
        >>> split.protocol.split_name, len(split.user_ids)
        ('ratio', 200)
    """
    source = resolve(dataset, columns)
    content = source.content(consent)
    protocol = source.in_force(protocol)
    parts = {name: value for name, value in protocol.as_dict().items() if name != "mask"}  # it splits nothing
    joint = None if negatives_from is None else negatives.identity(content.sha256, negatives_from)
    key = _key(VERSION, negatives.VERSION, content.name, source.order, *source.reading(content), parts, joint)

    def build() -> tuple[dict[str, Any], Meta]:
        table = _table(source, content, consent, progress)
        listed = None if negatives_from is None else negatives.read(negatives_from)
        return _split(table, protocol, content, source.order, listed)

    arrays, meta = kept("splits", key, build)
    served = source.served(content, consent)
    if negatives_from is not None:
        served = replace(served, sha256=negatives.identity(served.sha256, negatives_from))
    split = _unpack(arrays, meta, served, protocol)
    lists = source.comes_split and source.order != "file"  # without times, a user's items in any order
    ordered = split.train.times is not None or not (lists or source.order == "none")
    found = None if item_features is None else _features(item_features, split, key)
    return replace(split, ordered=ordered, features=found)


def _features(path: str, split: Split, key: str) -> features.Features:
    """The features of the items of a split, read once for it."""
    file, sha256 = features.file_of(path), features.identity(path)

    def build() -> tuple[dict[str, Any], Meta]:
        values, told, facts = features.read_features(file, split.item_ids)
        return {"values": values}, {"told": told, "facts": facts}

    arrays, meta = kept("features", _key(sha256, key), build)
    return features.Features(arrays["values"], file.name, sha256, str(meta["told"]), dict(meta["facts"]))  # type: ignore[arg-type]


def _key(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _table(source: Source, content: Content, consent: Consent, progress: Progress) -> Table:
    """The table from the cache, or read into it; what is generated is quicker made than kept."""

    def build() -> tuple[dict[str, Any], Meta]:
        table = source.table(consent, progress)
        fields = {name: value for name, value in vars(table).items() if name not in ("ticks", "facts")}
        return fields, {"ticks": table.ticks, "facts": dict(table.facts or {})}

    if isinstance(source, Generated):
        return source.table(consent, progress)
    arrays, meta = kept("tables", _key(*source.reading(content)), build)
    return Table(**arrays, **meta)  # type: ignore[arg-type]


def _split(
    table: Table, protocol: Protocol, source: Content, order: str, listed: Table | None
) -> tuple[dict[str, Any], Meta]:
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
    wanted = [("train", TRAIN), ("valid", VALID), ("test", TEST), *([("fold_in", FOLD_IN)] if protocol.strong else [])]
    for name, which in wanted:
        piece = pieces(prepared, part, which)
        arrays |= {f"{name}_{k}": getattr(piece, k) for k in ("users", "items", "times", "values")}
    if (unwanted := negatives.given_negatives(table, prepared, part, protocol, listed, facts)) is not None:
        arrays |= {"negative_users": unwanted.users, "negative_items": unwanted.items}
    warnings = _warnings(source, protocol, facts, timed=table.times is not None or order == "file")
    if lists := candidate_lists(prepared, part, protocol, facts):
        arrays |= {"candidate_offsets": lists.offsets, "candidate_items": lists.items}
        warnings.append(
            "Metrics over sampled or given candidates do not rank models as full ranking does (Krichene and "
            "Rendle, KDD 2020); use them only to compare with published numbers."
        )
    return arrays, {"facts": facts, "warnings": list(warnings)}


def _warnings(source: Content, protocol: Protocol, facts: dict[str, JSON], *, timed: bool) -> list[str]:
    warnings = []
    ordered = protocol.split_name == "leave-last-one-out" or "order=time" in protocol.split
    if ordered and not timed:
        warnings.append(f"{source.name} has no times: the last interaction is the last in the file.")
    if overlap := facts.get("held_out_pairs_also_trained_on"):
        known = "what is folded in" if protocol.strong else "its train part"
        warnings.append(f"{overlap:,} held-out pairs of {source.name} are also in {known}; they are left out.")
    if cold := facts.get("held_out_rows_of_users_without_training"):
        warnings.append(
            f"{cold:,} held-out interactions of users without training are left out (cold=keep keeps them)."
        )
    if facts["users_without_test"] and not protocol.strong:
        warnings.append(f"{facts['users_without_test']:,} of {facts['users']:,} users have no test item.")
    if not facts["valid"]:
        warnings.append(f"{source.name} has no validation part under this split; nothing can be selected on it.")
    return warnings


def _unpack(arrays: Arrays, meta: Meta, source: Content, protocol: Protocol) -> Split:
    facts, warnings = meta["facts"], meta["warnings"]
    assert isinstance(facts, dict)
    assert isinstance(warnings, list)
    said = [str(warning) for warning in warnings]
    if source.verified is False:
        said.insert(0, f"{source.name} was made from content that is not verified (sha256 {source.sha256}).")
    users, items = arrays["user_ids"], arrays["item_ids"]

    def part(name: str) -> Interactions:
        columns = [arrays.get(f"{name}_{k}") for k in ("users", "items", "times", "values")]
        return Interactions(columns[0], columns[1], len(users), len(items), columns[2], columns[3])  # type: ignore[arg-type]

    lists = (
        CandidateLists(arrays["candidate_offsets"], arrays["candidate_items"]) if "candidate_items" in arrays else None
    )
    unwanted = part("negative") if "negative_items" in arrays else None
    parts = part("train"), part("valid"), part("test")
    known = part("fold_in") if "fold_in_items" in arrays else None
    return Split(*parts, users, items, source, protocol, facts, tuple(said), lists, unwanted, known)
