"""`tuned.toml`: the settings that studies chose, what they were chosen for, and how they were looked for."""

from __future__ import annotations

import json
import math
import statistics
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.runs.design import Experiment
from bench.runs.item_features import reads
from bench.runs.spec import CODE_PROTOCOL, REGISTRIES, Cell, given_name, spoken
from bench.tuning.proposals import DIGITS
from bench.tuning.space import Dimension
from bench.tuning.study import ROUND, Plan, Study, Trial, best_so_far, enough
from datasets.errors import UserError
from recmodels.compatibility import text_of
from recmodels.entries import Entry, Value
from recmodels.recommended import Recommended
from recmodels.settings import setting_parameters, usual

SCHEMA = 1
SELECT_ON = str(setting_parameters()["select_on"].default)
NEAR = 0.05  # of a range, in its own scale: a value this near to an end is at its edge
LAST = 0.1  # of the trials: a best one among these may not be the best there is


@dataclass(frozen=True)
class TunedCell:
    """What was found for one cell.

    Attributes:
        values: key → value, for everything that was searched, and for all that is not as by default.
        searched: key → where it was looked for, in words.
        facts: trials, enough, given_up, failed, validation, validation_std, spread, edges, late, exhausted; scores of
            all trials, which of them were stopped, and the scores of the finalists over their seeds.
    """

    name: str
    values: Mapping[str, Value]
    searched: Mapping[str, str]
    facts: Mapping[str, Any]

    @property
    def told(self) -> str:
        """What was searched where, and what came of it, for a caption."""
        chosen = ", ".join(f"{key}={text_of(self.values[key])}" for key in self.searched if key in self.values)
        ranges = ", ".join(f"{key} {where}" for key, where in self.searched.items())
        low, _, high = self.facts["spread"]
        return (
            f"{chosen or 'nothing'} from {self.facts['trials']} trials of {ranges or 'nothing'} "
            f"(validation {self.facts['validation']:.4f}; trials {low:.4f} to {high:.4f})"
        )

    @property
    def remarks(self) -> list[str]:
        """Sentences on what a wider or longer search may find."""
        said = [f"{edge} is at an edge of what was searched" for edge in self.facts["edges"]]
        if self.facts["late"]:
            said.append("its best trial was among the last tenth; more trials may find better settings")
        return said


@dataclass(frozen=True)
class Tuned:
    """A file of tuned settings.

    Attributes:
        key: data hash, protocol, metric and code protocol, outside of which the settings mean nothing.
        study: trials, finalists, seeds and round of every cell.
        command: that made it.
        cells: by name, as in `uniform+bpr+mf`.
    """

    name: str
    command: str
    key: Mapping[str, Any]
    study: Mapping[str, Any]
    cells: Mapping[str, TunedCell]

    def check(self, experiment: Experiment) -> None:
        """Refuse settings of other data, another protocol, metric or code, and seeds that they were chosen by.

        Raises:
            UserError: naming what differs.
        """
        for name, here in key_of(experiment).items():
            if self.key.get(name) != here:
                other = f"another {name.replace('_', ' ')} ({_short(self.key.get(name))}, not {_short(here)})"
                raise UserError(f"{self.name} was tuned for {other}; tune for this one with `bench tune`.")
        if both := sorted(set(experiment.seeds) & set(self.study["seeds"])):
            raise UserError(
                f"Seeds {', '.join(map(str, both))} chose the settings of {self.name}; "
                "report with others, as in --seeds 10."
            )

    def advice(
        self, parts: Mapping[str, Entry], given: Mapping[str, Mapping[str, str]], fixed: Collection[str]
    ) -> Recommended:
        """The settings of a cell that its row and `--set` do not give themselves; arguments as for `recommended`.

        Raises:
            UserError: the file has no such cell.
        """
        cell = self._cell(parts, given)
        if cell is None:
            name = given_name(parts, {})
            raise UserError(
                f"{self.name} has no tuned settings for {name}; it has {', '.join(sorted(self.cells))}. "
                f"Find them with `bench tune {name}`."
            )
        found = Recommended(
            remarks=tuple(cell.remarks),
            trials=int(cell.facts["trials"]),
            exhausted=bool(cell.facts["exhausted"]),
            search=cell.told,
        )
        for key, value in cell.values.items():
            kind, dot, name = key.rpartition(".")
            if name in given[kind] if dot else key in fixed:
                continue
            (found.own.setdefault(kind, {}) if dot else found.settings)[name] = text_of(value)
            found.told[f"{parts[kind].name}:{name}" if dot else key] = (value, self.name)
        return found

    def cell(self, text: str) -> TunedCell | None:
        """What was found for the cell that one writes so, or None."""
        parts, given, _ = spoken(text)
        return self._cell(parts, given)

    def _cell(self, parts: Mapping[str, Entry], given: Mapping[str, Mapping[str, str]]) -> TunedCell | None:
        names = [given_name(parts, given), given_name(parts, {})]
        return next((self.cells[name] for name in names if name in self.cells), None)


def key_of(experiment: Experiment) -> dict[str, Any]:
    """What tuned settings hold for; features of the items are a part of it where a model reads them."""
    data, trained = experiment.data, [cell for cell in experiment.cells if not cell.is_baseline]
    return {
        "data_sha256": data.sha256,
        "protocol": {name: value for name, value in data.protocol.items() if value is not None},
        **({"features_sha256": data.features_sha256} if any(map(reads, trained)) else {}),
        "select_on": str(trained[0].settings["select_on"]) if trained else SELECT_ON,
        "code_protocol": CODE_PROTOCOL,
    }


def tuned_cell(study: Study, name: str) -> TunedCell | None:
    """What the study chose, or None where no trial ended well."""
    chosen = study.chosen
    if chosen is None:
        return None
    scores = [one.answer.score for one in study.trials if one.answer.score is not None]
    facts = {
        "trials": len(study.trials),
        "enough": enough(best_so_far(study.scores)),
        "given_up": sum(one.answer.given_up is not None for one in study.trials),
        "failed": sum(one.answer.failure is not None for one in study.trials),
        "trial": chosen.trial.number,
        "validation": rounded(chosen.mean),
        "validation_std": rounded(statistics.stdev(chosen.scores)) if len(chosen.scores) > 1 else None,
        "validation_default": study.trials[0].answer.score and rounded(study.trials[0].answer.score),
        "spread": [rounded(value) for value in (min(scores), statistics.median(scores), max(scores))],
        "edges": list(edges(chosen.trial, study.dimensions)),
        "late": late(study.scores),
        "exhausted": study.exhausted,
        "scores": [None if score is None else rounded(score) for score in study.scores],
        "stopped": [one.number for one in study.trials if one.answer.given_up is not None],
        "finalists": [[rounded(score) for score in one.scores] for one in study.finalists],
    }
    searched = {one.key: one.search.told for one in study.dimensions}
    return TunedCell(name, _values(chosen.trial.cell, chosen.trial.values), searched, facts)


def edges(trial: Trial, dimensions: Iterable[Dimension]) -> Iterable[str]:
    """The searched values that stand at an end of their range, where more may lie beyond."""
    for one in dimensions:
        value, search = trial.values.get(one.key), one.search
        if search.low is None or isinstance(value, (bool, str)) or value is None or value in search.among:
            continue
        low, high = search.range
        scale = math.log if search.log else float
        share = (scale(value) - scale(low)) / (scale(high) - scale(low))
        if share <= NEAR or share >= 1 - NEAR:
            yield f"{one.key}={text_of(value)} of {search.told}"


def late(trials: Sequence[float | None]) -> bool:
    """Whether the best of these scores came among the last tenth, so that more trials may find better."""
    best = best_so_far(trials)
    first = next((number for number, value in enumerate(best) if value == best[-1]), 0) if best else 0
    return len(trials) > 1 and first >= len(trials) - max(1, math.ceil(len(trials) * LAST))


def tuned_text(experiment: Experiment, plan: Plan, command: str, cells: Sequence[TunedCell]) -> str:
    """The content of the file; the same study gives the same text."""
    study: dict[str, Any] = {"trials": plan.trials} if plan.budget is None else {"budget_seconds": plan.budget}
    study |= {"finalists": plan.finalists, "seeds": list(plan.seeds), "round": ROUND}
    lines = ["# Settings chosen on the validation part; `--tuned-from` applies them.", f"schema = {SCHEMA}"]
    lines += [f"command = {json.dumps(command)}", "", "[key]"]
    lines += [f"{name} = {_toml(value)}" for name, value in key_of(experiment).items()]
    lines += ["", "[study]", *(f"{name} = {_toml(value)}" for name, value in study.items())]
    for cell in sorted(cells, key=lambda one: one.name):
        lines += ["", f"[cells.{json.dumps(cell.name)}]"]
        lines += [f"{name} = {_toml(value)}" for name, value in cell.facts.items() if value is not None]
        lines += [f"values = {_toml(cell.values)}", f"searched = {_toml(cell.searched)}"]
    return "\n".join(lines) + "\n"


def read(path: Path) -> Tuned:
    """A file of tuned settings.

    Raises:
        UserError: there is none, or it is not one.
    """
    content = _content(path)
    try:
        if content["schema"] != SCHEMA:
            raise UserError(f"{path} has schema {content['schema']}, and this version reads {SCHEMA}; tune again.")
        cells = {
            name: TunedCell(
                name,
                {key: None if value == "none" else value for key, value in cell["values"].items()},
                cell["searched"],
                {key: value for key, value in cell.items() if key not in ("values", "searched")},
            )
            for name, cell in content.get("cells", {}).items()
        }
        return Tuned(path.name, content["command"], content["key"], content["study"], cells)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} was written by `bench tune` and changed since; make it again.") from error


def _content(path: Path) -> dict[str, Any]:
    """What is in the file, which `bench tune` wrote.

    Raises:
        UserError: there is no such file.
    """
    cure = "give a file that `bench tune` wrote"
    if path.is_dir():
        raise UserError(f"{path} is a folder; {cure}.")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"There is no {path}; make it with `bench tune … --out {path.name}`.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}); {cure}.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no text, and tuned settings are TOML; {cure}.") from error
    except ValueError as error:
        raise UserError(f"{path} is not TOML ({error}); {cure}.") from error
    if lacking := [name for name in ("schema", "command", "key", "study") if name not in content]:
        raise UserError(f"{path} holds no tuned settings, for it has no '{lacking[0]}'; {cure}.")
    return content


def _values(cell: Cell, searched: Collection[str]) -> dict[str, Value]:
    """What makes the cell out of the defaults: every value that is another, and every one that was searched."""
    parts = {"sampler": cell.sampler, "loss": cell.loss, "model": cell.model}
    if cell.is_baseline:
        parts = {"baseline": cell.model}
    found = {} if cell.is_baseline else {name: (it, cell.settings[name]) for name, it in usual(cell.settings).items()}
    for kind, part in parts.items():
        if part is not None:
            defaults = REGISTRIES[kind].entry(part.name).parameters
            found |= {f"{kind}.{name}": (defaults[name].default, value) for name, value in part.parameters.items()}
    return {key: value for key, (default, value) in sorted(found.items()) if value != default or key in searched}


def rounded(value: float) -> float:
    """With as many digits as the file has."""
    return float(f"{value:.{DIGITS + 3}g}")


def _short(value: Any) -> str:
    return text if len(text := json.dumps(value)) < 80 else f"{text[:76]}…"


def _toml(value: Any) -> str:
    """A value in TOML, which has no null."""
    if isinstance(value, Mapping):
        return (
            "{ "
            + ", ".join(
                f"{key if key.isidentifier() else json.dumps(key)} = {_toml(one)}" for key, one in value.items()
            )
            + " }"
        )
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps("none" if value is None else value, ensure_ascii=False)
