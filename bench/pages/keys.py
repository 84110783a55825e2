"""Writes the tables of docs/experiment-file.md: `python -m bench.pages.keys`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from bench import ROOT
from bench.cli.keys import Key, keys
from bench.cli.main import REQUESTS
from bench.cli.request import Request
from bench.cli.run import Run
from bench.pages.samplers import markdown, replaced
from recmodels.compatibility import text_of
from recmodels.settings import meanings, setting_parameters

PAGE = ROOT / "docs" / "experiment-file.md"


def keys_part() -> str:
    """The keys of `bench run`, a table for each panel of its help."""
    parts = groupby(keys(Run), key=lambda key: key.panel)
    return "\n\n".join(f"### {panel}\n\n{_table(found)}" for panel, found in parts)


def others_part() -> str:
    """The keys that `bench run` has not, each with the commands that have it; what one says may differ by command."""
    known = {key.field for key in keys(Run)}
    owners: dict[Key, list[str]] = {}
    for name, where in REQUESTS.items():
        kind = where.load()
        assert isinstance(kind, type)
        assert issubclass(kind, Request)
        for key in keys(kind):
            if key.field not in known:
                owners.setdefault(key, []).append(f"`{name}`")
    rows = [
        [f"`{key.name}`", ", ".join(names), key.kind, _shown(key), _cell(key.help)] for key, names in owners.items()
    ]
    return markdown(["key", "commands", "value", "default", "what it says"], rows)


def settings_part() -> str:
    """The settings, which stand under `[set]`."""
    said = meanings()
    rows = [
        [f"`{name}`", _cell(one.allowed), f"`{text_of(one.default)}`", _cell(said[name])]
        for name, one in setting_parameters().items()
    ]
    return markdown(["setting", "value", "default", "what it says"], rows)


def _table(found: Iterable[Key]) -> str:
    rows = [[f"`{key.name}`", key.kind, _shown(key), _cell(key.help)] for key in found]
    return markdown(["key", "value", "default", "what it says"], rows)


def _shown(key: Key) -> str:
    return f"`{key.default}`" if key.default else "–"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def page(text: str) -> str:
    """The page with its tables written anew."""
    for mark, part in (("keys", keys_part()), ("others", others_part()), ("settings", settings_part())):
        text = replaced(text, mark, part)
    return text


def main() -> None:
    """Write the tables."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
