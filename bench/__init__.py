"""The command line, and what turns runs into tables."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.api import compare as compare

__version__ = "0.1.0"

ROOT = Path(__file__).resolve().parent.parent


def _check_siblings(*names: str) -> None:
    """Fail early, in one sentence, when another distribution shadows one of our packages."""
    for name in names:
        spec = find_spec(name)
        found = Path(spec.origin).resolve().parent if spec and spec.origin else None
        if found != ROOT / name:
            raise ImportError(
                f"`{name}` resolves to {found or 'nothing'}, not to {ROOT / name}: another distribution has "
                "that name. Use the project's own environment: `make install`, then `.venv/bin/bench`."
            )


if sys.platform == "win32":
    raise ImportError("contrarec runs on Linux and macOS; on Windows use it inside WSL.")
_check_siblings("datasets", "recmodels")


def __getattr__(name: str) -> object:
    """`bench.compare`, imported when it is asked for: a cached command line waits for nothing it does not use."""
    if name != "compare":
        raise AttributeError(f"module 'bench' has no attribute '{name}'")
    from bench.api import compare

    return compare
