"""The whole store as comparisons: runs that were evaluated alike stand in one table."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.comparison.nouns import Context, Row
from bench.comparison.rows import Head, row_of
from bench.files import JSONObject
from bench.runs.described import changed_settings, label
from bench.runs.hashes import canonical
from bench.runs.provenance import manifest, mixed
from bench.runs.spec import Data
from bench.runs.store import LAST_EPOCH, Store
from bench.runs.stored import Damaged, StoredRun, read
from bench.tables.layout import plural
from datasets.grammar import with_option
from datasets.protocol import Protocol
from recmodels.compatibility import text_of
from recmodels.models import BASELINES
from recmodels.settings import setting_parameters

FIRST_TUNING_SEED = 1000
"""Seeds from here on are those of `bench tune`, which no table reports."""

ALIKE = ("data_sha256", "columns", "protocol", "refit", "code_protocol", "data_protocol")
"""What rows of one table share of their specs."""

Runs = dict[int, StoredRun]
"""The runs of one row by seed."""


@dataclass(frozen=True)
class Table:
    """Rows of the store that can stand in one table, what it says beside them, their runs, and how to make it again."""

    rows: tuple[Row, ...]
    context: Context
    runs: Mapping[str, Sequence[StoredRun]]
    data: Data
    commands: tuple[str, ...]
    remarks: tuple[str, ...]


def tables(store: Store, cutoffs: Sequence[int], datasets: Sequence[str] = ()) -> list[Table]:
    """The tables that the store allows, one or more for each data set and protocol, by the names of the data sets.

    Rows of one table share a seed at least. Damaged and imported runs, those of searches and those on another kind of
    device are left out, and it is said how many.

    Raises:
        Damaged: a run has other ranks than it was stored with.
    """
    alike: dict[str, dict[str, Runs]] = defaultdict(lambda: defaultdict(dict))
    left_out: Counter[str] = Counter()
    for folder in store.folders():
        if datasets and folder.parent.name not in datasets:
            continue
        try:
            run = read(folder)
        except Damaged:
            left_out["damaged (see `bench runs verify`)"] += 1
            continue
        spec = run.record["spec"]
        if "-" in folder.name:
            left_out["imported, or of another kind of device"] += 1
        elif spec["seed"] >= FIRST_TUNING_SEED:
            left_out[f"of searches, with seeds from {FIRST_TUNING_SEED} on"] += 1
        else:
            same = canonical([folder.parent.name, *(spec.get(name) for name in ALIKE)])
            cell = canonical({name: value for name, value in spec.items() if name != "seed"})
            alike[same][cell][spec["seed"]] = run
    remarks = tuple(f"Left out: {plural(count, 'run')}, {what}." for what, count in left_out.items())
    return [
        _table(together, cutoffs, remarks)
        for cells in alike.values()
        for together in sharing_a_seed([runs for runs in cells.values()])
    ]


def sharing_a_seed(rows: Iterable[Runs]) -> list[list[Runs]]:
    """The rows in portions whose members all have one seed; a baseline without randomness goes with the first."""
    every = list(rows)
    anywhere = [runs for runs in every if _once(runs)]
    waiting, found = [runs for runs in every if not _once(runs)], []
    while waiting:
        seeds = Counter(seed for runs in waiting for seed in runs)
        common = max(seeds, key=lambda seed: (seeds[seed], -seed))
        found.append([runs for runs in waiting if common in runs])
        waiting = [runs for runs in waiting if common not in runs]
    if not found:
        return [anywhere] if anywhere else []
    return [[*found[0], *anywhere], *found[1:]]


def _spec(runs: Runs) -> JSONObject:
    spec: JSONObject = next(iter(runs.values())).record["spec"]
    return spec


def _once(runs: Runs) -> bool:
    """Whether one run stands for all seeds: a baseline that draws nothing."""
    spec = _spec(runs)
    name = str(spec["model"]["name"])
    return spec["sampler"] is None and name in BASELINES and not BASELINES.entry(name).draws


def _table(together: Sequence[Runs], cutoffs: Sequence[int], remarks: tuple[str, ...]) -> Table:
    drawn = [runs for runs in together if not _once(runs)]
    seeds = tuple(sorted({seed for runs in drawn or together for seed in runs}))
    shared = _shared([_spec(runs) for runs in together])
    texts = [_text(_spec(runs), shared) for runs in together]
    called = [text + of for text, of in zip(texts, _features(together), strict=True)]
    names = [f"{text} (code {at + 1})" if (at := called[:i].count(text)) else text for i, text in enumerate(called)]
    by_name = {name: [runs[seed] for seed in sorted(runs)] for name, runs in zip(names, together, strict=True)}
    rows = tuple(
        row_of(_head(name, runs, seeds), by_name[name], list(cutoffs))
        for name, runs in zip(names, together, strict=True)
    )
    spec = _spec(together[0])
    words = [*dict.fromkeys(texts), "--dataset", str(spec["dataset"]), "--seeds", ",".join(map(str, seeds))]
    read = [run.record["provenance"].get("features") for runs in by_name.values() for run in runs]
    words += next((["--item-features", str(found["file"])] for found in read if found), [])
    command = shlex.join(["bench", "compare", *words, *_options(spec, shared)])
    return Table(
        rows,
        _context(spec, [run for runs in by_name.values() for run in runs]),
        by_name,
        Data(str(spec["dataset"]), spec["data_sha256"], spec["protocol"], spec["columns"]),
        (command, f"bench runs list --dataset {shlex.quote(str(spec['dataset']))}", "bench runs verify"),
        remarks,
    )


def _features(together: Sequence[Runs]) -> list[str]:
    """Of each row which features of items it read, where they are not the same for all that read any."""
    each = [str(_spec(runs).get("features_sha256", ""))[:8] for runs in together]
    several = len({sha for sha in each if sha}) > 1
    return [f" (features {sha})" if sha and several else "" for sha in each]


def _shared(specs: Sequence[JSONObject]) -> list[str]:
    """The settings that are no defaults and that all trained rows have, each as `name=value`."""
    each = [changed_settings(spec) for spec in specs if spec["settings"]]
    return [word for word in each[0] if all(word in words for words in each)] if each else []


def _text(spec: JSONObject, shared: Sequence[str]) -> str:
    """The cell as one writes it, with the settings that not all rows have."""
    parts = [label(kind, spec[kind]) for kind in ("sampler", "loss", "model") if spec[kind]]
    text = "+".join(part for part in parts if part != "mf" or len(parts) == 1)
    for word in changed_settings(spec):
        if word not in shared:
            text = with_option(text, *word.split("=", 1))
    return text


def _options(spec: JSONObject, shared: Sequence[str]) -> list[str]:
    """The options that say what the rows share."""
    words = [word for setting in shared for word in ("--set", setting)]
    usual = Protocol().as_dict()
    for name, value in spec["protocol"].items():
        if value != usual.get(name):
            shown = ",".join(map(str, value)) if isinstance(value, list) else text_of(value)
            words += [f"--{name.replace('_', '-')}", shown]
    words += ["--columns", spec["columns"]] if spec["columns"] else []
    return [*words, *(["--refit"] if spec["refit"] else [])]


def _context(spec: JSONObject, runs: Sequence[StoredRun]) -> Context:
    good = [run for run in runs if run.failure is None]
    made = manifest(run.record["provenance"] for run in good)
    said = dict.fromkeys(word for run in good for word in run.record["warnings"] if word != LAST_EPOCH)
    refit: dict[str, Any] = {"refit": "on train and validation"} if spec["refit"] else {}
    trained = [run.record["spec"]["settings"] for run in runs if run.record["spec"]["settings"]]
    facts = {
        name: trained[0][name]
        for name in setting_parameters()
        if trained and name in trained[0] and all(one.get(name) == trained[0][name] for one in trained)
    }
    return Context(
        dataset=str(spec["dataset"]),
        protocol={**spec["protocol"], **refit},
        data=good[0].record["provenance"].get("data", {}) if good else {"sha256": spec["data_sha256"]},
        facts=facts,
        failed=tuple({"run": run.run_id, "reason": str(run.failure)} for run in runs if run.failure is not None),
        warnings=(*said, *mixed(made)),
        manifest=made,
    )


def _head(name: str, runs: Runs, seeds: tuple[int, ...]) -> Head:
    spec = _spec(runs)
    parts = {kind: spec[kind] for kind in ("sampler", "loss", "model")}
    labels = {kind: label(kind, part) if part else "" for kind, part in parts.items()}
    settings = {kind: part["parameters"] for kind, part in parts.items() if part}
    settings |= {"trainer": spec["settings"]} if spec["settings"] else {}
    identity = {"code protocol": str(spec["code_protocol"])}  # the rest was sorted by already
    return Head(name, **labels, seeds=seeds, once=_once(runs), settings=settings, canonical="", identity=identity)
