"""What the rows and the caption of a published table say, against the settings of its runs, from which it follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from bench.comparison import advice, told
from bench.files import JSONObject
from bench.results.differences import differences, same
from bench.runs.spec import CODE_PROTOCOL, LATER, REGISTRIES, Cell, Part, same_training, spoken
from bench.tuning.tuned import TunedCell
from recmodels.settings import AUTO, trainer_settings

KINDS = ("sampler", "loss", "model")


def cell_of(spec: JSONObject, name: str) -> Cell:
    """The cell of the runs that a spec is of, as this code has it."""
    parts = {kind: None if spec[kind] is None else _part(spec[kind]) for kind in KINDS}
    assert parts["model"] is not None
    settings = {} if parts["sampler"] is None else {**LATER["settings"], **spec["settings"]}
    return Cell(name, parts["sampler"], parts["loss"], parts["model"], settings)


def _part(told: JSONObject) -> Part:
    return Part(told["name"], {**LATER.get(told["name"], {}), **told["parameters"]})


def row_faults(record: JSONObject) -> Iterator[str]:
    """Where a row says otherwise than the spec of its runs: in name, settings, labels, seeds, or what it is one of."""
    spec, row, place = record["spec"], record["row"], f"cells[{record['name']}]"
    cell = cell_of(spec, record["name"])
    whole: dict[str, Any] = {kind: part.parameters for kind in KINDS if (part := getattr(cell, kind)) is not None}
    for kind, values in (whole if cell.is_baseline else {**whole, "trainer": cell.settings}).items():
        for said in differences(row["settings"].get(kind), values, f"row.settings.{kind}"):
            yield f"{place}.{said}, as its runs have it"
    seeds = [run["seed"] for run in record["runs"]]
    if not row["once"] and seeds != row["seeds"]:
        yield f"{place}.row.seeds are {row['seeds']}; its runs have {seeds}"
    same_as = {"data": spec["data_sha256"], "code protocol": str(spec["code_protocol"])}
    for key, value in same_as.items():
        if row["identity"].get(key) != value:
            yield f"{place}.row.identity.{key} is {row['identity'].get(key)}; its runs have {value}"
    if not _known(cell):
        return
    for kind, label in cell.labels().items():
        if (row.get(kind) or None) != label:
            yield f"{place}.row.{kind} is {row.get(kind)}; its runs have {label}"
    yield from (f"{place} is named {said}" for said in _misnamed(cell))


def _known(cell: Cell) -> bool:
    """Whether this code has the parts; it may lack those of a plug-in."""
    registries = REGISTRIES if not cell.is_baseline else {"model": REGISTRIES["baseline"]}
    parts = {kind: getattr(cell, kind) for kind in KINDS}
    return all(part is None or part.name in registries[kind] for kind, part in parts.items())


def _misnamed(cell: Cell) -> Iterator[str]:
    """Where the name of a cell means other parts, options or settings than the cell has."""
    parts, given, settings = spoken(cell.name)
    for kind, entry in parts.items():
        part = cell.parts.get(kind)
        if part is None or part.name != entry.name:
            yield f"with the {kind} {entry.name}; its runs have {part.name if part else 'none'}"
            continue
        values = REGISTRIES[kind].parameters(entry.name, given[kind])
        for key in given[kind]:
            if not same(values[key], part.parameters[key]):
                yield f"with {key}={values[key]}; its runs have {part.parameters[key]}"
    if settings:
        asked = trainer_settings(settings)
        for key, text in settings.items():
            if key in asked and text != AUTO and not same(asked[key], cell.settings[key]):
                yield f"with {key}={asked[key]}; its runs have {cell.settings[key]}"


def table_faults(manifest: JSONObject, searched: Mapping[str, TunedCell]) -> Iterator[str]:
    """Where the caption says otherwise than its runs; `searched` is what `tuned.toml` has, by the cell's name there.

    What other code said of them in other words is not compared.
    """
    records, context = manifest["cells"], manifest["context"]
    names = [record["name"] for record in records]
    yield from (f"cells has {name} twice" for name in dict.fromkeys(names) if names.count(name) > 1)
    for record in records:
        for key, value in record["spec"]["protocol"].items():
            if not same(context["protocol"].get(key), value):
                yield f"context.protocol.{key} is {context['protocol'].get(key)}; cells[{record['name']}] has {value}"
        if bool(context["protocol"].get("refit")) != record["spec"]["refit"]:
            yield f"context.protocol.refit is not that of cells[{record['name']}]"
    if {record["study"] is not None for record in records} == {False} and "tuned" in context["facts"]:
        yield "context.facts.tuned is there, and no row was searched for"
    cells = [settled(record, record["name"], searched) for record in records]
    if manifest["code_protocol"] != CODE_PROTOCOL or not all(map(_known, cells)):
        return
    trainings: dict[str, tuple[str, str]] = {}
    for cell, record in zip(cells, records, strict=True):
        if shared := record["row"]["canonical"]:
            name, training = trainings.setdefault(shared, (cell.name, same_training(cell)))
            if training != same_training(cell):
                yield f"cells[{cell.name}].row.canonical is that of {name}, which is another training"
    now = told.facts(cells) | ({"tuned": found} if (found := advice.searched(cells)) else {})
    for key, value in now.items():
        if not same(context["facts"].get(key), value):
            yield f"context.facts.{key} is {context['facts'].get(key)}; the runs have {value}"
    for warning in advice.warnings(cells):
        if warning not in context["warnings"]:
            yield f"context.warnings lacks: {warning}"


def settled(record: JSONObject, name: str, searched: Mapping[str, TunedCell]) -> Cell:
    """The cell of a row that is called `name`, with what was searched for it."""
    cell, found = cell_of(record["spec"], name), searched.get(record["study"])
    if found is None:
        return cell
    trials, exhausted = int(found.facts["trials"]), bool(found.facts["exhausted"])
    return replace(cell, trials=trials, exhausted=exhausted, search=found.told, remarks=(*found.remarks,))
