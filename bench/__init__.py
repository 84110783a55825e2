"""The command line, and what turns runs into tables."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.api import compare
    from bench.compared import Compared
    from bench.comparison.nouns import Comparison, Pair, Row, Value

_HOMES = {
    "Compared": "compared",
    "Comparison": "comparison.nouns",
    "Pair": "comparison.nouns",
    "Row": "comparison.nouns",
    "Value": "comparison.nouns",
    "compare": "api",
}

__all__ = ["Compared", "Comparison", "Pair", "Row", "Value", "compare"]
__version__ = "0.1.0"

ROOT = Path(__file__).resolve().parent.parent


def _shadowed(*names: str) -> dict[str, Path | None]:
    """Those of our packages in whose place another distribution's would be imported, and where that is."""
    specs = {name: find_spec(name) for name in names}
    found = {name: Path(spec.origin).resolve().parent if spec and spec.origin else None for name, spec in specs.items()}
    return {name: place for name, place in found.items() if place != ROOT / name}


if sys.platform == "win32":
    raise ImportError("contrarec runs on Linux and macOS; on Windows use it inside WSL.")
SHADOWED = _shadowed("datasets", "recmodels")
if SHADOWED and sys.argv[1:2] == ["doctor"]:  # which says so, by our packages
    sys.path.insert(0, str(ROOT))
elif SHADOWED:
    raise ImportError(
        "; ".join(
            f"`{name}` resolves to {place or 'nothing'}, not to {ROOT / name}" for name, place in SHADOWED.items()
        )
        + ": another distribution has that name. Use the project's own environment: `make install`, then "
        "`.venv/bin/bench`; `bench doctor` says more."
    )


def __getattr__(name: str) -> object:
    """The public names, each imported when it is asked for: a cached command line waits for nothing it does not use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'bench' has no attribute '{name}'")
    return getattr(import_module(f"bench.{_HOMES[name]}"), name)
