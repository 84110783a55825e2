"""What there is, as text or JSON, read from the sources: nothing is imported that trains."""

from __future__ import annotations

import json
from collections.abc import Iterable

from bench.files import JSONObject
from bench.runs.spec import REGISTRIES
from recmodels.compatibility import table
from recmodels.entries import Entry, Parameter
from recmodels.metrics import METRICS
from recmodels.plugins import DATASETS
from recmodels.registry import not_registered
from recmodels.settings import meanings, setting_parameters

# what an argument of `bench list` may be beside the name of one entry
KINDS = {"samplers": "sampler", "losses": "loss", "models": "model", "baselines": "baseline"}
NAMED = {**{each: REGISTRIES[kind] for each, kind in KINDS.items()}, "datasets": DATASETS}


def listing(kind: str, as_json: bool = False) -> str:
    """The entries of one kind, or of all, or the one of a name, as text or as a JSON array.

    Raises:
        UserError: a kind or name nobody knows.
    """
    kinds = [*KINDS, "settings", "metrics", "datasets"]
    one = next((each for each, registry in NAMED.items() if kind in registry), None)
    if kind != "all" and kind not in kinds and one is None:
        raise not_registered("kind, sampler, loss, model or baseline", kind, REGISTRIES.values(), [*kinds, "all"])
    if one is not None:
        found = {one: [row for row in _entries(one) if row["name"] == kind]}
    else:
        found = {each: _entries(each) for each in (kinds if kind == "all" else [kind])}
    if as_json:
        rows = [{"kind": each, **row} for each, rows in found.items() for row in rows]
        return json.dumps(rows, indent=1, ensure_ascii=False)
    return "\n\n".join(_section(each, rows, heading=kind == "all") for each, rows in found.items())


def compatible(as_json: bool = False) -> str:
    """Every sampler × loss × model with default parameters: + where they go together, else a letter for the reason."""
    cells = table()
    if as_json:
        return json.dumps(cells, indent=1, ensure_ascii=False)
    samplers, losses = ([*dict.fromkeys(str(cell[kind]) for cell in cells)] for kind in ("sampler", "loss"))
    letters: dict[str, str] = {}
    marks = {(cell["model"], cell["sampler"], cell["loss"]): _mark(cell, letters) for cell in cells}
    width = max(map(len, losses))
    lines = ["Samplers: " + ", ".join(f"{at} {name}" for at, name in enumerate(samplers, start=1)) + "."]
    for model in dict.fromkeys(cell["model"] for cell in cells):
        lines += ["", f"{model:{width}}  " + " ".join(f"{at:2}" for at in range(1, len(samplers) + 1))]
        for loss in losses:
            lines.append(f"{loss:{width}}  " + " ".join(f"{marks[model, sampler, loss]:>2}" for sampler in samplers))
    return "\n".join([*lines, "", *(f"{letter}  {why}" for why, letter in letters.items())])


def _mark(cell: dict[str, str | None], letters: dict[str, str]) -> str:
    why = cell["reason"]
    if why is None:
        return "+"
    words = {cell[kind]: f"the {kind}" for kind in ("sampler", "loss", "model")}
    why = " ".join(words.get(word, word) for word in why.split())
    return letters.setdefault(why, chr(ord("a") + len(letters)))


def _entries(kind: str) -> list[JSONObject]:
    if kind == "metrics":
        return [
            {"name": f"{name}@K", "summary": line, "parameters": {}, "paper": None} for name, line in METRICS.items()
        ]
    if kind == "settings":
        return [
            {
                "name": setting.name,
                "summary": meanings()[setting.name],
                "parameters": _parameters([setting]),
                "paper": None,
            }
            for setting in setting_parameters().values()
        ]
    if kind == "datasets":
        from datasets import catalog

        return [
            {
                "name": name,
                "summary": catalog.entry(name).title,
                "parameters": {},
                "paper": catalog.entry(name).citation,
            }
            for name in catalog.names()
        ] + [_describe(entry) for entry in DATASETS.entries.values()]
    return [_describe(entry) for entry in REGISTRIES[KINDS[kind]].entries.values()]


def _parameters(parameters: Iterable[Parameter]) -> JSONObject:
    return {
        p.name: {"default": p.default, "allowed": p.allowed, "searched": p.search and p.search.told} for p in parameters
    }


def _describe(entry: Entry) -> JSONObject:
    return {
        "name": entry.name,
        "summary": entry.summary,
        "parameters": _parameters(entry.parameters.values()),
        "paper": entry.facts.get("paper"),
        "aliases": entry.aliases,
        "plugin": entry.plugin or None,
        "spaces": entry.facts.get("spaces", []),
        "gives": entry.facts.get("gives", []),
        "needs": entry.facts.get("needs", []),
        "searched": {name: search.told for name, search in entry.facts.get("search", {}).items()},
        "recommended": entry.facts.get("recommended", {}),
        "recommended_from": entry.facts.get("recommended_from"),
    }


def _section(kind: str, rows: list[JSONObject], heading: bool) -> str:
    lines = [f"{kind.capitalize()}:"] if heading else []
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        lines.append(f"  {row['name']:{width}}  {row['summary']}")
        if kind == "datasets" and not row.get("plugin"):
            continue
        lines += [
            f"  {'':{width}}    {name}={_shown(p['default'])}: {p['allowed']}"
            + (f"; searched: {p['searched']}" if p["searched"] else "")
            for name, p in row["parameters"].items()
        ]
        if row.get("searched"):
            told = "; ".join(f"{name} {values}" for name, values in row["searched"].items())
            lines.append(f"  {'':{width}}    with it are searched: {told}")
        if row.get("aliases"):
            lines.append(f"  {'':{width}}    also called {', '.join(row['aliases'])}")
        if row.get("recommended"):
            told = ", ".join(f"{name}={_shown(value)}" for name, value in row["recommended"].items())
            lines.append(f"  {'':{width}}    recommended: {told} ({row['recommended_from']})")
        if row.get("plugin"):
            lines.append(f"  {'':{width}}    from {row['plugin']}")
        if row["paper"]:
            lines.append(f"  {'':{width}}    [{row['paper']}]")
    return "\n".join(lines)


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)
