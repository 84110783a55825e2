"""Golden files in tests/golden: a test compares with them, and under `make golden` the same test rewrites them.

Rewriting leaves alone what is the same within the test's tolerance, so that the difference shows what has moved and
not what another processor rounds otherwise; numbers stand in a line each with the name they belong to.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"
Numbers = dict[str, float]


def rewriting() -> bool:
    """Whether `make golden` is what runs the tests."""
    return bool(os.environ.get("UPDATE_GOLDEN"))


def frozen_text(name: str, found: str, same: Callable[[str, str], bool]) -> str:
    """The text that the file has, which is `found` once that was rewritten."""
    path = GOLDEN / name
    if rewriting() and not (path.exists() and same(found, path.read_text(encoding="utf-8"))):
        path.write_text(found, encoding="utf-8")
    return path.read_text(encoding="utf-8")


def frozen_numbers(name: str, key: str, found: Numbers, same: Callable[[Numbers, Numbers], bool]) -> Numbers:
    """The numbers that the file has under `key`, which are `found` once that was rewritten."""
    known = _read(name)
    if rewriting() and not (key in known and same(found, known[key])):
        _write(name, {**known, key: found})
        return found
    assert key in known, f"{key} is not in tests/golden/{name}: make golden, and look at what it wrote"
    return known[key]


def frozen_keys(name: str, wanted: set[str]) -> set[str]:
    """The keys that the file has; only wanted ones once it was rewritten."""
    known = _read(name)
    if rewriting() and not known.keys() <= wanted:
        known = {key: numbers for key, numbers in known.items() if key in wanted}
        _write(name, known)
    return set(known)


def _read(name: str) -> dict[str, Numbers]:
    known: dict[str, Numbers] = json.loads((GOLDEN / name).read_text(encoding="utf-8"))
    return known


def _write(name: str, known: dict[str, Numbers]) -> None:
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(known[key], sort_keys=True)}" for key in sorted(known))
    (GOLDEN / name).write_text("{\n" + lines + "\n}\n", encoding="utf-8")
