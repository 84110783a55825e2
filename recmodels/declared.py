"""What a method may declare where it is registered, and what is wrong with what it does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from datasets.errors import unknown
from recmodels.compatibility import FROM_MODEL, FROM_SAMPLER, TO_LOSS
from recmodels.entries import METRIC, PROPOSAL, Entry, Parameter
from recmodels.search import Search
from recmodels.settings import setting_parameters

FROM_TRAINER = ("vectors", "tables", "user_tables", "user_rows", "batch", "no_negatives")
"""What a loss may need of the trainer: the vectors behind the scores, the tables of the rows, those of
users whatever the row, the other rows; or no negatives at all."""
SPACES = ("dot", "cosine", "half-cosine", "distance")
TAKES: dict[str, list[list[str]]] = {
    "sampler": [["training"]],
    "loss": [["x"]],
    "model": [["training", "settings", "rng"]],
    "baseline": [["training"], ["training", "rng"]],
    "dataset": [[]],
}
"""What a function is called with beside its parameters; a baseline that draws takes `rng` by this name."""
OF_ALL = ("paper", "aliases", "search", "recommended", "recommended_from")
FACTS = {
    "sampler": (*OF_ALL, "gives", "asks", "negatives", "of_proposal", "limits", "ignores"),
    "loss": (*OF_ALL, "space", "spaces", "spaces_why", "rank_space", "needs", "refuses", "learns", "ignores"),
    "model": (*OF_ALL, "gives", "asks", "limits", "needs", "refuses", "ignores"),
    "baseline": OF_ALL,
    "dataset": ("paper", "columns"),
}
WORDS = {
    ("sampler", "gives"): (*FROM_SAMPLER, *TO_LOSS, "all", "vectors"),
    ("sampler", "of_proposal"): tuple(FROM_SAMPLER),
    ("sampler", "asks"): ("negatives",),
    ("loss", "needs"): (*FROM_SAMPLER, *FROM_MODEL, *FROM_TRAINER),
    ("loss", "refuses"): tuple(TO_LOSS),
    ("loss", "spaces"): SPACES,
    ("model", "gives"): tuple(FROM_MODEL),
    ("model", "asks"): ("features",),
    ("model", "needs"): ("batch",),
    ("model", "refuses"): FROM_TRAINER,
}
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def mistakes(kind: str, entry: Entry) -> Iterator[str]:
    """A sentence on each mistake in what an entry declares."""
    if not NAME.fullmatch(entry.name):
        yield f"registers '{entry.name}'; a name is made of small letters, digits and single hyphens."
    if len(entry.takes) not in map(len, TAKES[kind]) or (kind == "baseline" and list(entry.takes) not in TAKES[kind]):
        allowed = " or ".join(", ".join(each) or "nothing" for each in TAKES[kind])
        yield (
            f"gives {entry.name} the arguments ({', '.join(entry.takes)}); a {kind} is called with {allowed}, and its "
            "parameters stand after a *."
        )
    for fact, value in entry.facts.items():
        if fact not in FACTS[kind]:
            yield str(unknown(f"fact of a {kind}", fact, FACTS[kind]))
        elif (kind, fact) in WORDS:
            yield from _words(kind, entry, fact, value)
    if kind == "loss":
        yield from _spaces(entry)
    for parameter in entry.parameters.values():
        yield from _parameter(entry, parameter)
    yield from _settings(entry)


def _words(kind: str, entry: Entry, fact: str, value: Any) -> Iterator[str]:
    if not isinstance(value, list | dict):
        yield f'gives {fact} as {value!r}; write a list, as in {fact}=["{WORDS[kind, fact][0]}"].'
        return
    for word in value:
        if word not in WORDS[kind, fact]:
            yield f"of {entry.name}: {unknown(f'word of {fact}', str(word), WORDS[kind, fact])}"
    for condition in value.values() if isinstance(value, dict) else ():
        yield from _condition(entry, fact, condition)


def _condition(entry: Entry, fact: str, condition: str) -> Iterator[str]:
    for part in condition.split(" and "):
        match part.split():
            case [] | ["proposal", "gives", _]:
                pass
            case [key, "==" | "!=", _] if key in entry.parameters:
                pass
            case _:
                yield (
                    f"has the condition '{condition}' in {fact}; write one on a parameter, as in 'logq != none', or "
                    "'proposal gives ordered'."
                )


def _spaces(entry: Entry) -> Iterator[str]:
    allowed = entry.facts.get("spaces", [])
    if entry.facts.get("space") not in SPACES:
        yield f"names no score space of {entry.name}; write space= and one of {', '.join(SPACES)}."
    elif allowed and entry.facts["space"] not in allowed:
        yield f"has the space {entry.facts['space']} for {entry.name}, which is not among its spaces."


def _parameter(entry: Entry, parameter: Parameter) -> Iterator[str]:
    name = parameter.name
    if name in setting_parameters() and (entry.name, name) != ("sogclr", "momentum"):  # --set momentum is the trainer's
        yield f"gives {entry.name} a parameter {name}, which is a setting of the trainer; call it otherwise."
    if parameter.bounds in (METRIC, PROPOSAL):
        return
    if not re.fullmatch(r"((>=|<=|>|<) -?[\d.e-]+(, (>=|<=|>|<) -?[\d.e-]+)*)?", parameter.bounds):
        yield f"has the bounds '{parameter.bounds}' on {name}, which mean nothing; write them as in '> 0, <= 1'."
        return
    tried = {"default": parameter.default}
    if parameter.search is not None:
        tried |= {f"search for {value}": value for value in _tried(parameter.search)}
    for what, value in tried.items():
        if not _allowed(parameter, value):
            yield f"has a {what} of {name} that it does not allow; it must be {parameter.allowed}."


def _tried(search: Search) -> tuple[Any, ...]:
    return (*search.among, *(search.range if search.low is not None else ()))


def _allowed(parameter: Parameter, value: Any) -> bool:
    if value is None:
        return parameter.optional
    try:
        return bool(parameter.parse(str(value)) == value)
    except (ValueError, KeyError):
        return False


def _settings(entry: Entry) -> Iterator[str]:
    settings = setting_parameters()
    for setting, search in entry.facts.get("search", {}).items():
        if setting not in settings or not isinstance(search, Search):
            yield f"searches {setting}, which is no setting of the trainer, or not with Search(…)."
        elif not all(_allowed(settings[setting], value) for value in _tried(search)):
            yield f"searches {setting} where it is not allowed; it must be {settings[setting].allowed}."
    for key, value in entry.facts.get("recommended", {}).items():
        known = entry.parameters.get(key) or settings.get(key)
        if known is None or not _allowed(known, value):
            yield f"recommends {key}={value}, which is no value of its parameters or of the trainer's settings."
    if entry.facts.get("recommended") and not entry.facts.get("recommended_from"):
        yield f"recommends settings of {entry.name} and does not say from where; add recommended_from=."
    ignores = entry.facts.get("ignores", {})
    if not isinstance(ignores, dict):
        yield f'gives ignores as {ignores!r}; write a dictionary, as in ignores={{"l2_bias": ""}}.'
        return
    for name, conditions in ignores.items():
        for condition in [conditions] if isinstance(conditions, str) else conditions:
            yield from _condition(entry, "ignores", condition)
        if name not in entry.parameters and name not in settings:
            yield f"ignores {name}, which is none of its parameters and no setting of the trainer."
