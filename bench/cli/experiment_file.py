"""Experiment files: the words of `bench run` in TOML. Lists multiply, as repeated flags do."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from datasets.errors import UserError, unknown

LISTS_TOO = ("dataset", "seeds", "cutoffs")  # one text as a flag; here a list or a number as well
CONDITIONS = ("results", "jobs", "cluster", "offline", "format", "out", "quiet", "retry_failed", "dry_run")
"""Words that cannot change a number; a resolved file leaves them out."""


def read(path: Path, types: Mapping[str, Any]) -> dict[str, Any]:
    """What the file says, as the command's parameters; `types` are the annotations of the command's function.

    Raises:
        UserError: no such file, no TOML, a word that is no flag, or a value of another type than the flag's.
    """
    known = {word(parameter): parameter for parameter in types if parameter not in ("context", "return")}
    given: dict[str, Any] = {}
    for key, value in parsed(path).items():
        if key not in known:
            raise unknown(f"word of an experiment file ({path})", key, known)
        parameter = known[key]
        if parameter == "settings":
            given[parameter] = _settings(path, value)
        elif parameter in LISTS_TOO and _are(value, (str, int)):
            texts = [str(each) for each in (value if isinstance(value, list) else [value])]
            if parameter == "seeds" and isinstance(value, list) and len(value) == 1:
                texts *= 2  # seeds = [3] is the seed 3, seeds = 3 is 0 to 2
            given[parameter] = (
                texts if parameter == "dataset" else ("-" if len({*texts}) < len(texts) else ",").join(texts)
            )
        else:
            given[parameter] = _typed(path, key, value, types[parameter])
    return given


def parsed(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}); give a TOML file that exists.") from error
    except ValueError as error:  # of TOML, or of UTF-8
        raise UserError(f"{path} is not TOML: {error}; see experiments/ for examples.") from error


def word(parameter: str) -> str:
    """The flag of a parameter of the command's function, without the dashes in front."""
    return {"settings": "set"}.get(parameter, parameter.replace("_", "-"))


def resolved(words: Mapping[str, Any]) -> str:
    """A file that means the same whatever the defaults become: every word that can change a number."""
    lines, settings = [], []
    for parameter, value in words.items():
        if parameter == "settings":
            settings = [pair.partition("=")[::2] for pair in value or ()]
        elif parameter not in CONDITIONS and value is not None:
            lines.append(f"{word(parameter)} = {json.dumps(value, ensure_ascii=False)}")
    lines += ["", "[set]"] if settings else []
    for name in dict.fromkeys(name for name, _ in settings):
        values = [value for key, value in settings if key == name]
        lines.append(f"{name} = {json.dumps(values if len(values) > 1 else values[0])}")
    return "\n".join(lines) + "\n"


def keep(results: Path, stem: str, text: str) -> Path:
    """Write a resolved file beside the results, under its name and content.

    Raises:
        UserError: the folder cannot be written.
    """
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    path = results / "experiments" / f"{stem}-{digest}.toml"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"The results folder {results} cannot be written ({error.strerror or error}); "
            "give another with --results DIR or BENCH_RESULTS."
        ) from error
    return path


def _settings(path: Path, value: Any) -> list[str]:
    if not isinstance(value, dict):
        raise UserError(
            f"{path}: set must be a table, as in [set] with lines such as epochs = 20, not {_shown(value)}."
        )
    pairs = []
    for name, choice in value.items():
        if not _are(choice, (str, int, float, bool)):
            raise UserError(f"{path}: set.{name} must be one value or a list of values, not {_shown(choice)}.")
        for each in choice if isinstance(choice, list) else [choice]:
            pairs.append(f"{name}={str(each).lower() if isinstance(each, bool) else each}")
    return pairs


def _typed(path: Path, key: str, value: Any, annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if type(None) in get_args(annotation):
        annotation = next(kind for kind in get_args(annotation) if kind is not type(None))
    if annotation == list[str]:
        if _are(value, (str,)):
            return value if isinstance(value, list) else [value]
        raise UserError(f"{path}: {key} must be a text or a list of texts, not {_shown(value)}.")
    allowed, name = {
        bool: ((bool,), "true or false"),
        int: ((int,), "a whole number"),
        float: ((int, float), "a number"),
    }.get(annotation, ((str,), "a text"))
    if isinstance(value, list) or not _are(value, allowed):
        raise UserError(f"{path}: {key} must be {name}, not {_shown(value)}.")
    return Path(value) if annotation is Path else value


def _are(value: Any, kinds: tuple[type, ...]) -> bool:
    """Whether it is of one of the `kinds`, or a list of such; true is no number."""
    values = value if isinstance(value, list) and value else [value]
    return all(isinstance(each, kinds) and (bool in kinds or not isinstance(each, bool)) for each in values)


def _shown(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
