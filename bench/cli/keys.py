"""The keys of an experiment file, as the fields of requests say them, and a commented file that has them all."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, get_args, get_origin, get_type_hints

from bench.cli.experiment_file import word
from bench.cli.grammar import Core, Cutoffs, Seeds, Setting
from bench.cli.option import CELLS, PANELS

if TYPE_CHECKING:
    from bench.cli.request import Request

SETTINGS = "settings"
KINDS: dict[object, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a text",
    list[str]: "a text or a list of texts",
    Seeds: "a whole number, a list of them, or a text",
    Cutoffs: "a whole number or a list of them",
    Core: "a whole number or a list of two",
    list[Setting]: "a table",
}
"""What a value is called, by the type of its field."""

EXAMPLES: dict[str, object] = {
    "sampler": ["uniform", "dns"],
    "loss": ["bpr", "softmax"],
    "model": "mf",
    "plugin": "mine.py",
    "columns": "user,item,rating,timestamp",
    "time_format": "%d.%m.%Y %H:%M",
    "negatives_from": "dislikes.csv",
    "item_features": "movies.csv",
    "min_rating": 4.0,
    "baseline": "toppop",
    "beside": "results/ml-100k",
    "tuned_from": "tuned.toml",
    "expect_sampled": 100,
    "margin": 0.002,
    "results": "results/runs",
    "jobs": 2,
    "cluster": "tcp://127.0.0.1:8786",
    "cell_timeout": 3600.0,
    "out": "table.tex",
    "format": "latex",
    "figures": "figures",
    "groups": "activity",
}
"""Of keys that have no default, a value."""


class Key(NamedTuple):
    """One key of an experiment file.

    Attributes:
        name: as it is written in a file.
        field: of the request.
        panel: where the help has it.
        kind: what its value is, in words.
        default: as TOML, or "" where it has none.
        help: what it says.
    """

    name: str
    field: str
    panel: str
    kind: str
    default: str
    help: str


def keys(kind: type[Request]) -> list[Key]:
    """Every key of a kind of request, in the order of its help."""
    types = get_type_hints(kind, include_extras=True)
    found = []
    for field in fields(kind):
        annotation = types[field.name]
        assert get_origin(annotation) is Annotated
        type_, info = get_args(annotation)[:2]
        plain = next((one for one in get_args(type_) if one is not type(None)), type_) if _optional(type_) else type_
        default = field.default if field.default is not MISSING else None
        found.append(
            Key(
                word(field.name),
                field.name,
                info.rich_help_panel or CELLS,
                KINDS[plain],
                "" if default is None else toml(default),
                info.help,
            )
        )
    return sorted(found, key=lambda key: PANELS.index(key.panel))


def toml(value: object) -> str:
    """A value as TOML; seeds from 0 on are their count."""
    if isinstance(value, Seeds):
        return str(len(value)) if [*value] == [*range(len(value))] else toml([*value])
    if isinstance(value, tuple):
        return toml([*value])
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)


def commented(kind: type[Request], name: str, cells: Sequence[str], dataset: str) -> str:
    """An experiment file that compares the cells, with every other key and setting as a comment beside its default."""
    given = {"names": toml([*cells]), "dataset": toml(dataset), "seeds": None}
    lines = [
        f"# An experiment: `bench run {name}` trains what the store lacks of it and prints the table.",
        "# A line like #key = value shows a default, or an example where there is none; take the # away to set it.",
        "# Lists multiply, those under [set] too. An option beside the file wins, as in --seeds 10.",
    ]
    panel = ""
    for key in keys(kind):
        if key.field == SETTINGS:
            continue
        if key.panel != panel:
            panel = key.panel
            lines += ["", f"# ---- {panel} ----"]
        lines += ["", *_comment(key.help)]
        value = given.get(key.field) or key.default or toml(EXAMPLES[key.field])
        lines.append(f"{'' if key.field in given else '#'}{key.name} = {value}")
    return "\n".join([*lines, "", "# ---- How every cell is trained ----", "", "[set]", *_settings()]) + "\n"


def _settings() -> Iterator[str]:
    from recmodels.settings import meanings, setting_parameters

    said = meanings()
    for name, parameter in setting_parameters().items():
        value = "none" if parameter.default is None else parameter.default
        yield from ("", *_comment(said[name]), f"#{name} = {toml(value)}")


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, 110, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _optional(kind: object) -> bool:
    return type(None) in get_args(kind)
