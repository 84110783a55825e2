"""`RunSpec`: everything that can change a run's numbers, and `Cell`: one line of a table, run with several seeds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from bench.files import JSONObject
from bench.runs.hashes import canonical
from bench.runs.item_features import reads
from datasets.errors import UserError, unknown
from datasets.grammar import named
from datasets.loading import VERSION as LOAD_VERSION
from datasets.protocol import JSON
from datasets.readers import VERSION as READERS_VERSION
from recmodels.compatibility import needs_of, reason, text_of, unseen
from recmodels.entries import PROPOSAL, Entry, Value
from recmodels.identities import canonical as training
from recmodels.losses import LOSSES
from recmodels.models import BASELINES, MODELS
from recmodels.recommended import Advise, Recommended
from recmodels.registry import Registry, edited, not_registered
from recmodels.samplers import SAMPLERS
from recmodels.settings import SYNONYMS, setting_parameters, trainer_settings

CODE_PROTOCOL = 6
"""Raised by whoever changes what the same spec computes; see the changelog's "Results" sections."""

DEFAULTS = {"sampler": "uniform", "loss": "bpr", "model": "mf"}

REGISTRIES: dict[str, Registry] = {"sampler": SAMPLERS, "loss": LOSSES, "model": MODELS, "baseline": BASELINES}


@dataclass(frozen=True)
class Part:
    """A sampler, loss, model or baseline with all its parameters."""

    name: str
    parameters: Mapping[str, Value] = field(default_factory=dict)

    def label(self, registry: Registry) -> str:
        """The shortest text that means this part: its name, and what differs from the defaults."""
        defaults = {key: parameter.default for key, parameter in registry.entry(self.name).parameters.items()}
        options = [f"{key}={text_of(value)}" for key, value in self.parameters.items() if value != defaults[key]]
        return self.name + (":" + ",".join(options) if options else "")


@dataclass(frozen=True)
class Cell:
    """One combination of sampler, loss, model and trainer settings, or a baseline that has none of them."""

    name: str  # as the table shows it
    sampler: Part | None
    loss: Part | None
    model: Part
    settings: Mapping[str, Value]
    recommended: Mapping[str, tuple[Value, str]] = field(default_factory=dict)  # what of it is so: value and source
    remarks: tuple[str, ...] = ()  # sentences on where its settings come from
    trials: int | None = None  # settings that were tried to find its own; None where nothing was searched
    exhausted: bool = False  # whether these were all that there are to try
    search: str = ""  # what was searched where, and what came of it
    given: frozenset[str] = field(default=frozenset(), compare=False)  # what its row says itself: `loss.margin`, `l2`

    @property
    def is_baseline(self) -> bool:
        """Whether nothing is trained."""
        return self.sampler is None

    @property
    def parts(self) -> dict[str, Part]:
        """Its parts by kind."""
        if self.sampler is None or self.loss is None:
            return {"baseline": self.model}
        return {"sampler": self.sampler, "loss": self.loss, "model": self.model}

    @property
    def deterministic(self) -> bool:
        """Whether every seed gives the same numbers: a baseline that draws none."""
        return self.is_baseline and not BASELINES.entry(self.model.name).draws

    def labels(self) -> dict[str, str | None]:
        """Short text of sampler, loss and model."""
        return {
            "sampler": self.sampler.label(SAMPLERS) if self.sampler else None,
            "loss": self.loss.label(LOSSES) if self.loss else None,
            "model": self.model.label(BASELINES if self.is_baseline else MODELS),
        }


@dataclass(frozen=True)
class Data:
    """Which data a run uses: content, how it is read and how it is split."""

    dataset: str  # name or path, as given
    sha256: str
    protocol: Mapping[str, JSON]
    columns: str | None = None
    negatives_from: str | None = None  # a file of pairs that users do not want, of which `sha256` knows
    reading: str = ""  # what a file of the user's own was read as, in a line; not a part of its identity
    item_features: str | None = None  # a file that describes items
    features_sha256: str = ""  # of it, a part of the identity of runs whose model reads it

    @property
    def name(self) -> str:
        """The data set's name, or a path without the folders that lead to it, which are nobody's business."""
        return self.dataset.rstrip("/").rsplit("/", 1)[-1]

    @property
    def folder(self) -> str:
        """The name under which the store keeps runs on this data."""
        stem = self.name
        return "".join(c if c.isalnum() or c in "-_." else "-" for c in stem).strip(".") or "data"


OVER_UNIFORM = ["ahns", "bns", "curriculum", "dns", "dns-mn", "mixgcf", "self-adversarial", "softmax-rho", "srns"]
LATER: dict[str, dict[str, Value]] = {
    "settings": {"learn_temperature": False},
    **{name: {"proposal": "uniform"} for name in OVER_UNIFORM},
}
"""Values that came after runs were stored and make the training of before; a spec leaves them out, so that those runs
are found."""


def _told(owner: str, values: Mapping[str, Value]) -> dict[str, Value]:
    later = LATER.get(owner, {})
    return {key: value for key, value in values.items() if key not in later or value != later[key]}


@dataclass(frozen=True)
class RunSpec:
    """One training run: a cell, on some data, with one seed; with `refit` trained again before the test.

    Attributes:
        code: of each method of the cell by name, as it was when the spec was made.
    """

    data: Data
    cell: Cell
    seed: int
    refit: bool = False
    code: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "code", code(self.cell))

    def as_dict(self) -> JSONObject:
        """The full spec, as `run.json` stores it."""
        cell = self.cell
        return {
            "dataset": self.data.name,
            "data_sha256": self.data.sha256,
            "columns": self.data.columns,
            **({"features_sha256": self.data.features_sha256} if reads(cell) and self.data.features_sha256 else {}),
            "protocol": dict(self.data.protocol),
            "sampler": asdict(Part(cell.sampler.name, _told(cell.sampler.name, cell.sampler.parameters)))
            if cell.sampler
            else None,
            "loss": asdict(cell.loss) if cell.loss else None,
            "model": asdict(cell.model),
            "settings": _told("settings", cell.settings),
            "seed": self.seed,
            "refit": self.refit,
            "code": dict(self.code),
            "code_protocol": CODE_PROTOCOL,
            "data_protocol": [LOAD_VERSION, READERS_VERSION],
        }

    @property
    def run_id(self) -> str:
        """16 hex digits of the SHA-256 of all that can change the numbers, and of nothing that cannot."""
        return run_id_of(self.as_dict())


def run_id_of(spec: Mapping[str, object]) -> str:
    """The run id of a spec as `run.json` stores it; the name of the data set is not part of it."""
    identity = {key: value for key, value in spec.items() if key != "dataset"}
    return hashlib.sha256(canonical(identity).encode()).hexdigest()[:16]


def asked_id_of(spec: Mapping[str, object]) -> str:
    """What runs share that differ in the code of their methods alone."""
    return run_id_of({key: value for key, value in spec.items() if key != "code"})


def code(cell: Cell) -> dict[str, str]:
    """A digest of the code of each method of a cell, by name: of a sampler that chooses, of its proposal too."""
    found = {}
    for kind, part in cell.parts.items():
        registry = REGISTRIES[kind]
        found[part.name] = registry.code(part.name)
        for name, parameter in registry.entry(part.name).parameters.items():
            if parameter.bounds == PROPOSAL:
                proposal = str(part.parameters[name]).partition(":")[0]
                found[proposal] = registry.code(proposal)
    return found


def check_code(spec: RunSpec) -> None:
    """Refuse to train by other code than the spec is of.

    Raises:
        UserError: a method is not as it was when the spec was made.
    """
    for name in spec.code:
        if not any(name in registry for registry in REGISTRIES.values()):
            raise UserError(f"This worker does not know '{name}'; install the package that registers it there.")
    here = code(spec.cell)
    for name, digest in spec.code.items():
        if here[name] != digest:
            raise edited(name)


def parse_cell(text: str, settings: Mapping[str, str], advise: Advise | None = None, rows: int = 0) -> Cell:
    """The cell written as `sampler`, `loss`, `sampler+loss`, `sampler+loss+model` or the name of a baseline.

    Each name may carry options, `popularity:alpha=0.5,negatives=4`: its own parameters, or trainer settings for this
    row alone. What is not named is `uniform`, `bpr` and `mf`. `settings` are the trainer settings of all rows, as text.
    What `advise` says stands in for the defaults. The sizes that are `auto` are those of so many training `rows`.

    Raises:
        UserError: a name or option nobody knows, or two names of one kind.
    """
    parts, given, row = spoken(text)
    advice = advise(parts, given, settings.keys() | row.keys()) if advise else Recommended()
    whole = {
        kind: Part(entry.name, REGISTRIES[kind].parameters(entry.name, advice.own.get(kind, {}) | given[kind]))
        for kind, entry in parts.items()
    }
    said = frozenset([*settings, *row, *(f"{kind}.{key}" for kind, options in given.items() for key in options)])
    baseline = "baseline" in whole
    pairs = {kind: (part.name, part.parameters) for kind, part in whole.items()}
    needs = () if baseline else needs_of(pairs["sampler"][0], pairs["loss"], pairs["model"])
    return Cell(
        text,
        whole.get("sampler"),
        whole.get("loss"),
        whole["baseline" if baseline else "model"],
        {} if baseline else trainer_settings({**advice.settings, **settings, **row}, rows, needs),
        recommended=advice.told,
        remarks=advice.remarks,
        trials=advice.trials,
        exhausted=advice.exhausted,
        search=advice.search,
        given=said,
    )


def spoken(text: str) -> tuple[dict[str, Entry], dict[str, dict[str, str]], dict[str, str]]:
    """The parts that the text of a cell means, what it gives of their parameters, and of the trainer's settings.

    Raises:
        UserError: a name or option nobody knows, two names of one kind, or an option given twice.
    """
    parts: dict[str, Entry] = {}
    given: dict[str, dict[str, str]] = {}
    row: dict[str, str] = {}
    for piece in text.split("+"):
        name, options = named(piece)
        kind = _kind(name, text)
        if kind in parts:
            several = {"loss": "losses"}.get(kind, f"{kind}s")
            raise UserError(f"'{text}' names two {several}; give one of each kind, as in uniform+softmax.")
        parts[kind] = REGISTRIES[kind].entry(name)
        given[kind], trainer = _options(piece, options, parts[kind])
        if twice := row.keys() & trainer.keys():
            raise UserError(f"'{text}' gives {', '.join(sorted(twice))} twice; give it once.")
        row |= trainer
    if "baseline" not in parts:
        for kind, name in DEFAULTS.items():
            parts.setdefault(kind, REGISTRIES[kind].entry(name))
            given.setdefault(kind, {})
    elif len(parts) > 1:
        raise UserError(f"'{text}' joins a baseline to something else; a baseline needs no sampler, loss or model.")
    return parts, given, row


def given_name(parts: Mapping[str, Entry], given: Mapping[str, Mapping[str, str]]) -> str:
    """The name of a cell by its parts, `uniform+bpr+mf`, with the options that are given, in order."""
    words = []
    for kind in (kind for kind in (*DEFAULTS, "baseline") if kind in parts):
        options = ",".join(f"{key}={value}" for key, value in sorted(given.get(kind, {}).items()))
        words.append(f"{parts[kind].name}:{options}" if options else parts[kind].name)
    return "+".join(words)


def expand(names: Iterable[str], samplers: list[str], losses: list[str], models: list[str]) -> list[str]:
    """Cell texts: every name completed by each of the `samplers`, `losses` and `models` of the kinds it lacks."""
    options = {"sampler": samplers, "loss": losses, "model": models}
    texts: list[str] = []
    unused = {kind for kind, values in options.items() if values}
    for name in names:
        kinds = _kinds(name)
        grown = [name]
        if "baseline" not in kinds:
            for kind, values in options.items():
                if kind not in kinds and values:
                    unused.discard(kind)
                    grown = [_join(kind, value, text) for text in grown for value in values]
        texts += grown
    return texts


def check_used(names: Sequence[str], given: Mapping[str, Sequence[str]]) -> None:
    """Refuse samplers, losses or models beside cells that all name their own.

    Raises:
        UserError: naming what would be ignored.
    """
    kinds = [_kinds(name) for name in names]
    for kind, values in given.items():
        if values and kinds and all(kind in named or "baseline" in named for named in kinds):
            raise UserError(
                f"The {kind} {', '.join(values)} would be ignored, for {', '.join(names)} names its own or has none; "
                "leave one of them out."
            )


def _kinds(text: str) -> set[str]:
    return {_kind(named(piece)[0], text) for piece in text.split("+")}


def check_distinct(cells: Iterable[Cell]) -> None:
    """Refuse two names that mean the same run.

    Raises:
        UserError: naming both.
    """
    known: dict[str, str] = {}
    for cell in cells:
        key = json.dumps([cell.labels(), dict(cell.settings)], sort_keys=True)
        if key in known:
            raise UserError(f"'{known[key]}' and '{cell.name}' mean the same cell; name it once.")
        known[key] = cell.name


def same_training(cell: Cell) -> str:
    """A text that two cells share which are the same training by identity; for a baseline its parameters."""
    if cell.sampler is None or cell.loss is None:
        return json.dumps(asdict(cell.model), sort_keys=True)
    sampler, loss, model = ((part.name, part.parameters) for part in (cell.sampler, cell.loss, cell.model))
    return training(sampler, loss, model, cell.settings)


def incompatibility(cell: Cell) -> str | None:
    """Why this cell cannot be trained, or None: what its parts need against what the others give."""
    if cell.sampler is None or cell.loss is None:
        return None
    sampler, loss, model = ((part.name, part.parameters) for part in (cell.sampler, cell.loss, cell.model))
    return reason(sampler, loss, model, cell.settings)


def unrankable(cell: Cell) -> str | None:
    """Why this cell cannot rank users that it was not trained on, or None."""
    return None if cell.is_baseline else unseen((cell.model.name, cell.model.parameters))


def _kind(name: str, text: str) -> str:
    if not name:
        raise UserError(f"'{text}' has an empty name in it; write a cell as in uniform+softmax.")
    for kind, registry in REGISTRIES.items():
        if name in registry:
            return kind
    raise not_registered("sampler, loss, model or baseline", name, REGISTRIES.values())


def _options(piece: str, options: list[tuple[str, str | None]], entry: Entry) -> tuple[dict[str, str], dict[str, str]]:
    own: dict[str, str] = {}
    trainer: dict[str, str] = {}
    settings = setting_parameters()
    for key, value in options:
        if value is None:
            raise UserError(f"'{key}' in '{piece}' is not an option; write name=value, as in popularity:alpha=0.5.")
        if key in own or key in trainer:
            raise UserError(f"'{piece}' gives {key} twice; give it once.")
        if key in entry.parameters:
            own[key] = value
        elif key in settings and entry.name not in BASELINES:
            trainer[key] = value
        else:
            raise _unknown_option(entry, key)
    return own, trainer


def _unknown_option(entry: Entry, key: str) -> UserError:
    """What is no option of an entry may be one of others."""
    owners = [
        other.name for registry in REGISTRIES.values() for other in registry.entries.values() if key in other.parameters
    ]
    if owners:
        return UserError(f"{entry.name} has no option {key}, which is one of {', '.join(owners)}; write it there.")
    known = [*entry.parameters, *(setting_parameters() if entry.name not in BASELINES else ())]
    return unknown(f"option of {entry.name}", key, known or ["(it has none)"], SYNONYMS)


def _join(kind: str, value: str, text: str) -> str:
    return f"{value}+{text}" if kind == "sampler" else f"{text}+{value}"
