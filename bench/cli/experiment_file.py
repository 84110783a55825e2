"""Experiment files: the options of `bench run` in TOML. Lists multiply, as repeated options do."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, TypeVar, get_args, get_origin, get_type_hints

from bench.cli.grammar import Core, Cutoffs, Seeds, Setting
from bench.cli.hints import unknown_key
from bench.cli.request import Request
from bench.files import RESULTS, JSONObject, parsed, writing
from datasets.errors import UserError

R = TypeVar("R", bound=Request)

CONDITIONS = ("results", "jobs", "cluster", "offline", "format", "out", "quiet", "retry_failed", "dry_run")
"""Fields that cannot change a number; a resolved file leaves them out."""

LISTS: dict[object, Callable[[object], object]] = {Seeds: Seeds.of, Cutoffs: Cutoffs.of, Core: Core.of}
"""Types whose values are a number, a list of numbers, or a text as on the command line."""


def from_file(request: R, given: Iterable[str]) -> R:
    """The request that the experiment file means, which is the only name; fields that were `given` beside it win.

    Of settings, those that are given win, and the file keeps its others.

    Raises:
        UserError: other names beside the file, or what `read` refuses.
    """
    names = request.names or []
    if len(names) > 1:
        file = next(name for name in names if name.lower().endswith(".toml"))
        others = " ".join(name for name in names if name is not file)
        raise UserError(f"{file} is an experiment file and stands alone; leave {others} out.")
    request, given = replace(request, names=None), set(given) - {"names"}
    found = read(Path(names[0]), type(request))
    if "settings" in given:
        settings, own = request.settings or [], found.get("settings", [])
        beside = {setting.name for setting in settings}
        request = replace(request, settings=[*(one for one in own if one.name not in beside), *settings])
    return replace(request, **{field: value for field, value in found.items() if field not in given})


def read(path: Path, kind: type[Request]) -> JSONObject:
    """The fields of a request of this kind that the file names.

    Raises:
        UserError: no such file, no TOML, a key that is no option of the command, or a value of another type.
    """
    return meant(path, parsed(path), kind)


def meant(path: Path, content: JSONObject, kind: type[Request]) -> JSONObject:
    """The fields of a request of this kind that a file, or a part of it, names; plug-ins stand beside the file.

    Raises:
        UserError: a key that is no option of the command, or a value of another type.
    """
    types = get_type_hints(kind, include_extras=True)
    known = {word(field.name): field.name for field in fields(kind)}
    given: JSONObject = {}
    for key, value in content.items():
        if key not in known:
            raise unknown_key(key, path, kind)
        given[known[key]] = typed(str(path), key, value, types[known[key]])
    if "plugin" in given:
        given["plugin"] = [str(path.parent / Path(plugin).expanduser()) for plugin in given["plugin"]]
    return given


def word(field: str) -> str:
    """What a field is called in a file and, after two dashes, on the command line."""
    return {"settings": "set", "beside": "with"}.get(field, field.replace("_", "-"))


def resolved(request: Request, folder: Path) -> str:
    """A file in `folder` that means the same whatever the defaults become: every field that can change a number."""
    lines, settings = [], ["", "[set]"]
    for field in fields(request):
        value = getattr(request, field.name)
        if field.name == "settings":
            for name in dict.fromkeys(setting.name for setting in value or ()):
                values = [setting.value for setting in value if setting.name == name]
                settings.append(f"{name} = {json.dumps(values if len(values) > 1 else values[0])}")
        elif field.name not in CONDITIONS and value is not None:
            shown = str(value) if isinstance(value, Path) else value
            if field.name == "plugin":
                shown = [os.path.relpath(path, folder) for path in value]
            lines.append(f"{word(field.name)} = {json.dumps(shown, ensure_ascii=False)}")
    return "\n".join(lines + (settings if len(settings) > 2 else [])) + "\n"


def keep(results: Path, stem: str, request: Request) -> Path:
    """Write the resolved file of a request beside the results, under its name and content.

    Raises:
        UserError: the folder cannot be written.
    """
    text = resolved(request, results / "experiments")
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    path = results / "experiments" / f"{stem}-{digest}.toml"
    with writing(results, RESULTS):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return path


def typed(place: str, key: str, value: object, annotation: object) -> object:
    """The value as the field's type has it; a tuple of numbers is written as a list, settings as a table.

    Raises:
        UserError: it is of another type, or too small; `place` says where it stands.
    """
    kind = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    kind = next((one for one in get_args(kind) if one is not type(None)), kind) if _optional(kind) else kind
    if kind == list[Setting]:
        return _settings(place, value)
    if kind in LISTS:
        if not _are(value, (str, int)):
            raise UserError(f"{place}: {key} must be a whole number, a list of them or a text, not {_shown(value)}.")
        try:
            return LISTS[kind](value)
        except UserError as error:
            raise UserError(f"{place}: {str(error).removeprefix('--')}") from error
    if kind == list[str]:
        if not _are(value, (str,)):
            raise UserError(f"{place}: {key} must be a text or a list of texts, not {_shown(value)}.")
        return value if isinstance(value, list) else [value]
    scalars: dict[object, tuple[tuple[type, ...], str]] = {
        bool: ((bool,), "true or false"),
        int: ((int,), "a whole number"),
        float: ((int, float), "a number"),
    }
    allowed, name = scalars.get(kind, ((str,), "a text"))
    if isinstance(value, list) or not _are(value, allowed):
        raise UserError(f"{place}: {key} must be {name}, not {_shown(value)}.")
    least = next((info.min for info in get_args(annotation)[1:] if info.min is not None), None)
    if least is not None and isinstance(value, int | float) and value < least:
        raise UserError(f"{place}: {key} must be at least {least:g}, not {_shown(value)}.")
    return Path(str(value)) if kind is Path else value


def _optional(kind: object) -> bool:
    return type(None) in get_args(kind)


def _settings(place: str, value: object) -> list[Setting]:
    if not isinstance(value, dict):
        raise UserError(
            f"{place}: set must be a table, as in [set] with lines such as epochs = 20, not {_shown(value)}."
        )
    found = []
    for name, choice in value.items():
        if not _are(choice, (str, int, float, bool)):
            raise UserError(f"{place}: set.{name} must be one value or a list of values, not {_shown(choice)}.")
        for each in choice if isinstance(choice, list) else [choice]:
            found.append(Setting(name, str(each).lower() if isinstance(each, bool) else str(each)))
    return found


def _are(value: object, kinds: tuple[type, ...]) -> bool:
    """Whether it is of one of the `kinds`, or a list of such; true is no number."""
    values = value if isinstance(value, list) and value else [value]
    return all(isinstance(each, kinds) and (bool in kinds or not isinstance(each, bool)) for each in values)


def _shown(value: object) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
