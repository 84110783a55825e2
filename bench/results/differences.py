"""What two versions of the same content differ in: numbers within a tolerance, all else exactly."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from itertools import zip_longest
from typing import Any

TOLERANCE = 1e-9
"""Relative: what another processor may round otherwise in sums over the same ranks."""

NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


def differences(written: Any, found: Any, place: str = "", ignored: Collection[str] = ()) -> Iterator[str]:
    """A phrase for each value of a JSON object that differs: its place, what is written, what was found.

    Keys in `ignored` are left out wherever they stand.
    """
    if isinstance(written, Mapping) and isinstance(found, Mapping):
        for key in dict.fromkeys((*written, *found)):
            if key in ignored:
                continue
            inner = f"{place}.{key}" if place else str(key)
            if key not in found:
                yield f"{inner} is {_short(written[key])}; there is no such thing"
            elif key not in written:
                yield f"{inner} is missing; it is {_short(found[key])}"
            else:
                yield from differences(written[key], found[key], inner, ignored)
    elif isinstance(written, list | tuple) and isinstance(found, list | tuple):
        if len(written) != len(found):
            yield f"{place} has {len(written)} entries, not {len(found)}"
        for at, (mine, theirs) in enumerate(zip(written, found, strict=False)):
            yield from differences(mine, theirs, f"{place}[{at}]", ignored)
    elif not same(written, found):
        yield f"{place} is {_short(written)}, not {_short(found)}"


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal, numbers within `TOLERANCE`; true and false are no numbers."""
    if isinstance(a, bool) or isinstance(b, bool) or not (isinstance(a, int | float) and isinstance(b, int | float)):
        return type(a) is type(b) and bool(a == b)
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    return abs(a - b) <= TOLERANCE * max(abs(a), abs(b))


def same_setting(a: Any, b: Any) -> bool:
    """Whether two values of a setting are equal where TOML, which has no null, writes `none` for it."""
    return same(*("none" if value is None else value for value in (a, b)))


def first_difference(written: str, found: str) -> str | None:
    """The first line in which two texts differ, as a phrase; None where they agree."""
    for at, (mine, theirs) in enumerate(zip_longest(written.splitlines(), found.splitlines()), start=1):
        if mine is None or theirs is None:
            return f"line {at} is {'missing' if mine is None else 'one too many'}"
        if mine != theirs and not _same_line(mine, theirs):
            column = next((k for k, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), 0)
            start = max(0, column - 20)
            return f"line {at} has …{mine[start : column + 40]}…, not …{theirs[start : column + 40]}…"
    return None


def _same_line(a: str, b: str) -> bool:
    if NUMBER.sub("#", a) != NUMBER.sub("#", b):
        return False
    pairs = zip(NUMBER.findall(a), NUMBER.findall(b), strict=True)
    return all(x == y or ("." in x + y and same(float(x), float(y))) for x, y in pairs)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 90 else f"{text[:80]}…"
