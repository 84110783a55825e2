"""Where numbers came from: code, versions, machine and command. No host and no user names."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from bench import ROOT, __version__
from bench.files import JSONObject

_CODE = ("bench", "datasets", "recmodels")
_PACKAGES = ("numpy", "torch", "pandas", "scipy", "pyarrow")


@cache
def provenance() -> JSONObject:
    """Commit and dirty flag, versions, processor."""
    from importlib.metadata import version

    return {
        "contrarec": __version__,
        **committed(),
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
        "platform": f"{sys.platform} {platform.machine()}",
        "cpu": _cpu(),
    }


def committed() -> JSONObject:
    """Commit of the code, None outside of a checkout, and whether there is code that no commit has."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--untracked-files=all", "--", *_CODE)),
    }


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


MANIFEST = {
    "versions": "contrarec",
    "commits": "commit",
    "python": "python",
    "torch": "torch",
    "numpy": "numpy",
    "platforms": "platform",
    "processors": "cpu",
    "devices": "device",
}
"""What a manifest calls the facts of `provenance`."""


def manifest(provenances: Iterable[JSONObject]) -> JSONObject:
    """What the runs of a table were made with: for each name of `MANIFEST` the values met; runs, and how many dirty."""
    known = [found for found in provenances if "commit" in found]
    return {
        **{
            name: list(dict.fromkeys(str(found[key]) for found in known if found.get(key)))
            for name, key in MANIFEST.items()
        },
        "runs": len(known),
        "dirty": sum(bool(found["dirty"]) for found in known),
    }


def joined(a: Mapping[str, Any], b: Mapping[str, Any]) -> JSONObject:
    """The manifest of the runs of two."""
    values = {name: list(dict.fromkeys((*a.get(name, ()), *b.get(name, ())))) for name in MANIFEST}
    return {**values, **{name: a.get(name, 0) + b.get(name, 0) for name in ("runs", "dirty")}}


def mixed(found: Mapping[str, Any]) -> Iterator[str]:
    """Sentences on a manifest whose runs do not come from one committed state of the code."""
    for name in ("versions", "commits", "python", "torch", "numpy", "devices"):
        values = [value[:12] if name == "commits" else value for value in found[name]]
        several = name if name.endswith("s") else f"versions of {name}"
        if len(values) > 1:
            yield f"the runs come from several {several}: {', '.join(values)}"
    if found["dirty"]:
        yield f"{found['dirty']} of {found['runs']} runs were made by code with uncommitted changes"


def command_line(arguments: Sequence[str]) -> str:
    """The `bench` command as typed; of a path only its last part, of a cluster nothing, for these name machines."""
    words: list[str] = []
    rest = iter(arguments)
    for word in rest:
        option, equals, value = word.partition("=")
        if option == "--cluster":
            next(rest, None) if not equals else None
        elif option.startswith("--") and equals:
            words.append(f"{option}={_last(value)}")
        else:
            words.append(_last(word))
    return shlex.join(["bench", *words])


def _last(word: str) -> str:
    return word.rstrip("/").rpartition("/")[2] if "/" in word else word
