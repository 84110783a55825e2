"""Runs that were asked for and are in the store, but were made by other code of a method."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

from bench.runs.spec import RunSpec, asked_id_of
from bench.runs.store import Store


def other_code(store: Store, specs: Iterable[RunSpec], device: str = "cpu") -> str:
    """A sentence for each method whose edit makes runs that are there unfit for these; empty where there are none."""
    wanted = {asked_id_of(spec.as_dict()): spec for spec in specs}
    found: Counter[tuple[str, ...]] = Counter()
    for folder in {store.path(spec, device).parent for spec in wanted.values()}:
        for file in folder.glob("[!.]*/run.json"):
            try:
                record = json.loads(file.read_text(encoding="utf-8"))
                told, kind = record["spec"], file.parent.name.partition("-")[2] or "cpu"
                spec = wanted.get(asked_id_of(told))
            except (OSError, ValueError, KeyError, TypeError, AttributeError):  # damaged, and so no run of these
                continue
            if spec is not None and kind == device.partition(":")[0] and told.get("code") != spec.code:
                before = told.get("code", {})
                found[tuple(name for name in spec.code if before.get(name) != spec.code[name])] += 1
    return " ".join(
        f"{count} {'run was' if count == 1 else 'runs were'} made by other code of {_listed(names)}; "
        f"{'it is' if count == 1 else 'they are'} kept and not used."
        for names, count in found.most_common()
    )


def _listed(names: Iterable[str]) -> str:
    *first, last = (f"'{name}'" for name in names)
    return f"{', '.join(first)} and {last}" if first else last
