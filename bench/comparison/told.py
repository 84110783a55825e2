"""What a caption says of the cells of a table: sampler, loss and model, and the settings of every row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.runs.design import Experiment
from bench.runs.spec import CODE_PROTOCOL, REGISTRIES, Cell, Part
from datasets.protocol import Protocol
from recmodels.compatibility import held, text_of
from recmodels.entries import Value
from recmodels.settings import setting_parameters

ALWAYS = (
    *("negatives", "batch_size", "embedding_size", "optimizer", "learning_rate", "l2", "epochs", "patience"),
    "select_on",
)
MANY = 3  # more rows than this that share a value are "the others"


def facts(cells: Sequence[Cell]) -> dict[str, Any]:
    """Sampler, loss, model and law correction, then the trainer settings: `ALWAYS`, and what is no default.

    What trained rows share is said once; where they differ each value names its rows, as in
    `16 (uniform), 64 (uniform:negatives=64)`.
    """
    trained = [cell for cell in cells if not cell.is_baseline]
    if not trained:
        return {}
    told: dict[str, Any] = {}
    for kind in ("sampler", "loss", "model"):
        told |= _parts(kind, [(cell.name, getattr(cell, kind)) for cell in trained])
    corrected = [(cell.name, _correction(cell.loss)) for cell in trained if cell.loss]
    told["law correction"] = by_value((name, word) for name, word in corrected if word is not None)
    names = setting_parameters()
    for name in (*(name for name in ALWAYS if name in names), *(name for name in names if name not in ALWAYS)):
        if name in ALWAYS or any(cell.settings[name] != names[name].default for cell in trained):
            told[name] = by_value((cell.name, cell.settings[name]) for cell in trained)
    return {name: value for name, value in told.items() if value != ""}


def by_value(pairs: Iterable[tuple[str, Value]]) -> Any:
    """The value that all rows (name, value) share, or each value with its rows; the most common one last."""
    rows: dict[str, list[str]] = {}
    values: dict[str, Value] = {}
    for name, value in pairs:
        rows.setdefault(text_of(value), []).append(name)
        values[text_of(value)] = value
    if len(rows) < 2:
        return next(iter(values.values()), "")
    order = sorted(rows, key=lambda text: len(rows[text]))
    last = order[-1]
    others = "the others" if len(rows[last]) > MANY else ", ".join(rows[last])
    return ", ".join([*(f"{text} ({', '.join(rows[text])})" for text in order[:-1]), f"{last} ({others})"])


def _parts(kind: str, named: Sequence[tuple[str, Part]]) -> dict[str, Any]:
    """The sampler, loss or model of (row, part) pairs, as far as the names of the rows do not say it."""
    groups: dict[str, list[tuple[str, Part]]] = {}
    for name, part in named:
        groups.setdefault(part.name, []).append((name, part))
    told: dict[str, Any] = {}
    if len(groups) == 1:
        shared, parameters = next(iter(groups)), [part.parameters for _, part in named]
        same = {key: value for key, value in parameters[0].items() if all(p[key] == value for p in parameters)}
        options = ", ".join(f"{key} {text_of(value)}" for key, value in same.items())
        told[kind] = f"{shared} ({options})" if options else shared
    else:
        hidden = ((row, part.label(REGISTRIES[kind])) for row, part in named if part.name not in _words(row))
        told[kind] = _listed(hidden)
        if kind == "sampler":
            told |= _shared_options(kind, named)
    for part_name, members in groups.items():
        for key in members[0][1].parameters:
            if len({text_of(part.parameters[key]) for _, part in members}) > 1:
                told[f"{part_name} {key}"] = by_value((row, part.parameters[key]) for row, part in members)
    return told


def _words(row: str) -> list[str]:
    """The names that a row's name is made of, without options."""
    return [piece.partition(":")[0].strip() for piece in row.split("+")]


def _listed(pairs: Iterable[tuple[str, str]]) -> str:
    rows: dict[str, list[str]] = {}
    for row, label in pairs:
        rows.setdefault(label, []).append(row)
    return ", ".join(f"{label} ({', '.join(names)})" for label, names in rows.items())


def _shared_options(kind: str, named: Sequence[tuple[str, Part]]) -> dict[str, Any]:
    """Options of the same name and value in all rows that have them, and in two parts at least."""
    values: dict[str, list[tuple[str, Value]]] = {}
    for _, part in named:
        for key, value in part.parameters.items():
            values.setdefault(key, []).append((part.name, value))
    return {
        f"{kind} {key}": found[0][1]
        for key, found in values.items()
        if len({name for name, _ in found}) > 1 and len({text_of(value) for _, value in found}) == 1
    }


def _correction(loss: Part) -> str | None:
    """How a loss corrects scores for the sampler's law; None where it has no negatives to correct."""
    entry = REGISTRIES["loss"].entry(loss.name)
    needs = held("needs", entry, loss.parameters)
    if "no_negatives" in needs:
        return None
    if "log_q" not in needs:
        return "none"
    return f"logq {loss.parameters['logq']}" if "logq" in loss.parameters else f"that of {loss.name}"


def settings_of(cell: Cell) -> dict[str, Mapping[str, Value]]:
    """All parameters of a cell, for programs: {"sampler", "loss", "model", "trainer"}; what it lacks is left out.

    "recommended" names the source of each value that a part of the cell recommends.
    """
    parts = {kind: getattr(cell, kind) for kind in ("sampler", "loss", "model")}
    found = {kind: part.parameters for kind, part in parts.items() if part is not None}
    sources = {name: source for name, (_, source) in cell.recommended.items()}
    return found if cell.is_baseline else {**found, "trainer": cell.settings, "recommended": sources}


def comparable(experiment: Experiment) -> dict[str, str]:
    """What rows must have in common to stand in one table: the data, the protocol in words, the code protocol."""
    usual = Protocol().as_dict()
    told = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in experiment.protocol.as_dict().items()
        if name == "split" or value != usual[name]
    ]
    told += ["refit"] if experiment.refit else []
    told += [f"expected over {n} sampled candidates"] if (n := experiment.expect_sampled) is not None else []
    return {"data": experiment.data.sha256, "protocol": ", ".join(told), "code protocol": str(CODE_PROTOCOL)}
