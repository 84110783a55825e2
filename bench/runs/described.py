"""What a stored run is, in words: enough to tell it from every other run of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.runs.spec import DEFAULTS, REGISTRIES
from bench.runs.stored import Damaged, read
from datasets.errors import UserError
from datasets.protocol import Protocol
from recmodels.compatibility import text_of
from recmodels.entries import Parameter
from recmodels.settings import usual

DAMAGED = "damaged"
Row = dict[str, str | int | float | None]


def described(folder: Path) -> Row:
    """The run in a folder: run, dataset, cell, parts, conditions, seed, state, ndcg@10 and seconds.

    `cell` names its parts with the options that are no defaults, as far as they are not the usual ones; `parts` are all
    of them. `conditions` are the trainer settings, protocol and device that are no defaults.
    """
    row: Row = {"run": folder.name, "dataset": folder.parent.name}
    try:
        run = read(folder)
        means = run.check()
    except Damaged:
        return {**row, "cell": "", "parts": "", "conditions": "", "state": DAMAGED}
    spec = run.record["spec"]
    device = folder.name.partition("-")[2]
    conditions = [
        *changed_settings(spec),
        *_changed(spec["protocol"], Protocol().as_dict()),
        *(["refit"] if spec["refit"] else []),
        *([f"columns={spec['columns']}"] if spec["columns"] else []),
        *([f"item-features={spec['features_sha256'][:8]}"] if "features_sha256" in spec else []),
        *([device] if device else []),
    ]
    parts = {kind: label(kind, spec[kind]) for kind in ("sampler", "loss", "model") if spec[kind]}
    imported = run.record.get("imported")
    return {
        **row,
        "cell": imported["name"] if imported else _cell(parts),
        "parts": imported["name"] if imported else "+".join(parts.values()),
        "conditions": " ".join(conditions),
        "seed": spec["seed"],
        "state": "done" if run.failure is None else f"failed: {run.failure}",
        "ndcg@10": means.get("ndcg@10"),
        "seconds": run.record["seconds"].get("total"),
    }


def changed_settings(spec: Mapping[str, Any]) -> list[str]:
    """The trainer settings of a spec that are no defaults, each as `name=value`."""
    return _changed(spec["settings"], usual(spec["settings"]))


def in_words(row: Row) -> str:
    """One run as a phrase, for whoever is about to lose it."""
    what = " ".join(filter(None, (str(row["cell"]), str(row["conditions"]))))
    seed = f" seed {row['seed']}" if "seed" in row else ""
    return f"{row['run']} {row['dataset']} {what}{seed} {row['state']}".replace("  ", " ")


def shared_conditions(rows: Sequence[Row]) -> list[str]:
    """The conditions that all runs have which are not damaged."""
    told = [str(row["conditions"]).split() for row in rows if row["state"] != DAMAGED]
    return [word for word in told[0] if all(word in words for words in told)] if told else []


def _cell(parts: Mapping[str, str]) -> str:
    """The cell as one writes it: without the parts that it has by default."""
    named = [part for kind, part in parts.items() if part != DEFAULTS[kind]]
    return "+".join(named) or next(iter(parts.values()))


def label(kind: str, part: Mapping[str, object]) -> str:
    """A sampler, loss, model or baseline of a spec: its name, with the options that are no defaults."""
    name, parameters = str(part["name"]), part["parameters"]
    assert isinstance(parameters, dict)
    for registry in (REGISTRIES[kind], REGISTRIES["baseline"]):
        try:
            changed = _changed(parameters, _defaults(registry.entry(name).parameters))
        except UserError:
            continue
        return f"{name}:{','.join(changed)}" if changed else name
    return name  # a method that is no longer here


def _defaults(parameters: Mapping[str, Parameter]) -> dict[str, object]:
    return {name: parameter.default for name, parameter in parameters.items()}


def _changed(values: Mapping[str, object], defaults: Mapping[str, object]) -> list[str]:
    return [
        f"{name}={text_of(value) if isinstance(value, bool | int | float | str | None) else value}".replace(" ", "")
        for name, value in values.items()
        if name not in defaults or value != defaults[name]
    ]
