"""Where a run's numbers came from: code, versions and machine. No host and no user names."""

from __future__ import annotations

import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import __version__

_ROOT = Path(__file__).resolve().parent.parent
_PACKAGES = ("numpy", "torch", "pandas", "scipy", "pyarrow")


@cache
def provenance() -> dict[str, Any]:
    """Commit and dirty flag, versions, processor."""
    return {
        "contrarec": __version__,
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
        "platform": f"{sys.platform} {platform.machine()}",
        "cpu": _cpu(),
    }


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(_ROOT), *arguments], capture_output=True, text=True, timeout=10, check=True
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
