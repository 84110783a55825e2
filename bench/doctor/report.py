"""All checks in turn, as lines or JSON; none of them can end the others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from bench.doctor import OK, PROBLEM, WARNING, Check, Found, environment, folders, machine
from datasets.errors import UserError


def checks(dataset: str, results: str | None) -> dict[str, Check]:
    """What is looked at, by name, for a data set and a folder of runs."""
    return {
        "python": environment.python,
        "environment": environment.environment,
        "packages": environment.packages,
        "dependencies": environment.dependencies,
        "lock": environment.lock,
        "torch": environment.torch,
        "extras": environment.extras,
        "code": environment.code,
        "plug-ins": environment.plugins,
        "results": lambda: folders.runs(results),
        "store": lambda: folders.store(results),
        "leftovers": lambda: folders.leftovers(results),
        "data": folders.data,
        "disk": lambda: folders.disk(results),
        "sources": lambda: folders.sources(dataset),
        "file handles": machine.handles,
        "memory": machine.memory,
        "terminal": machine.terminal,
        "locale": machine.locale,
        "variables": machine.variables,
    }


class Line(NamedTuple):
    """A check and what it found."""

    check: str
    state: str
    said: str
    fix: str


def examine(dataset: str = "ml-100k", results: str | None = None) -> list[Line]:
    """What every check found."""
    return [Line(name, *_found(check)) for name, check in checks(dataset, results).items()]


def _found(check: Check) -> Found:
    """The same for a check that cannot be made; a `UserError` says what is wrong and what to do."""
    try:
        return check()
    except UserError as error:
        said, _, fix = str(error).rstrip(".").rpartition("; ")
        return Found(PROBLEM, said or fix, fix if said else "")
    except Exception as error:  # whatever is broken here
        why = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(".")
        return Found(PROBLEM, f"this could not be looked at ({why})", "see to the lines above first")


def shown(lines: Sequence[Line], as_json: bool) -> str:
    """A line for each check, or a JSON array of objects with `check`, `state`, `said` and `fix`."""
    if as_json:
        return json.dumps([line._asdict() for line in lines], indent=1, ensure_ascii=False)
    width = max(len(line.check) for line in lines)
    return "\n".join(
        f"{line.state:<{len(WARNING)}}  {line.check:<{width}}  {line.said}{f': {line.fix}' if line.fix else ''}."
        for line in lines
    ).replace("?.", "?")


def code(lines: Sequence[Line]) -> int:
    """The exit code: 1 where something is a problem."""
    return int(any(line.state == PROBLEM for line in lines))


def counted(lines: Sequence[Line]) -> str:
    """How many lines need doing something."""
    told = [f"{sum(line.state == state for line in lines)} {state}s" for state in (PROBLEM, WARNING)]
    return "Nothing is wrong here." if all(line.state == OK for line in lines) else f"{' and '.join(told)}."
