"""Golden files in tests/golden: a test compares with them, and under `make golden` the same test rewrites them.

Rewriting leaves alone what is the same within the test's tolerance, so that the difference shows what has moved and
not what another processor rounds otherwise; a JSON file has a line for each value, with its name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from operator import eq
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
GOLDEN = Path(__file__).parent / "golden"


def rewriting() -> bool:
    """Whether `make golden` is what runs the tests."""
    return bool(os.environ.get("UPDATE_GOLDEN"))


def frozen_text(name: str, found: str, same: Callable[[str, str], bool]) -> str:
    """The text that the file has, which is `found` once that was rewritten."""
    path = GOLDEN / name
    if rewriting() and not (path.exists() and same(found, path.read_text(encoding="utf-8"))):
        path.write_text(found, encoding="utf-8")
    return path.read_text(encoding="utf-8")


def frozen_value(name: str, key: str, found: T, same: Callable[[T, T], bool] = eq) -> T:
    """The JSON value that the file has under `key`, which is `found` once that was rewritten."""
    known = _read(name)
    if rewriting() and not (key in known and same(found, known[key])):
        _write(name, {**known, key: found})
        return found
    assert key in known, f"{key} is not in tests/golden/{name}: make golden, and look at what it wrote"
    value: T = known[key]
    return value


def frozen_keys(name: str, wanted: set[str]) -> set[str]:
    """The keys that the file has; only wanted ones once it was rewritten."""
    known = _read(name)
    if rewriting() and not known.keys() <= wanted:
        known = {key: value for key, value in known.items() if key in wanted}
        _write(name, known)
    return set(known)


def _read(name: str) -> dict[str, Any]:
    known: dict[str, Any] = json.loads((GOLDEN / name).read_text(encoding="utf-8"))
    return known


def _write(name: str, known: dict[str, Any]) -> None:
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(known[key], sort_keys=True)}" for key in sorted(known))
    (GOLDEN / name).write_text("{\n" + lines + "\n}\n", encoding="utf-8")
