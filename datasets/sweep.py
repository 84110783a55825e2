"""How large the data folder is, and removing from it what can be made again or was left behind."""

from __future__ import annotations

import time
from pathlib import Path

from datasets.cache import PREPARED, home, locked, remove

RUNNING_SECONDS = 3600
"""What is younger may belong to a command that is running."""


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; 0 where there is neither."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def sizes() -> dict[str, int]:
    """Bytes in the data folder of files as they were fetched, of tables and splits made of them, of work begun."""
    return {
        "fetched": size_of(home() / "raw"),
        "prepared": sum(size_of(home() / kind) for kind in PREPARED),
        "unfinished": size_of(home() / "partial"),
    }


def sweep(days: float, *, dry_run: bool = False) -> list[tuple[Path, int]]:
    """Remove what interrupted commands left, and the tables and splits that nobody has used for so many days.

    Files as they were fetched stay; all that goes can be made of them again. With `dry_run` nothing is removed.

    Returns:
        What was removed, or would be, with its bytes.
    """
    now = time.time()
    found = [path for path in _leftovers() if now - path.stat().st_mtime >= RUNNING_SECONDS]
    for kind in PREPARED:
        found += [path for path in sorted((home() / kind).glob("[!.]*")) if now - _used(path) >= days * 86_400]
    swept = [(path, size_of(path)) for path in found]
    for path, _ in () if dry_run else swept:
        with locked(f"{path.parent.name}-{path.name}"):  # nobody is writing it
            remove(path)
    return swept


def _leftovers() -> list[Path]:
    found = sorted((home() / "partial").glob("*"))
    for kind in (*PREPARED, "raw"):
        hidden = sorted((home() / kind).rglob(".*"))
        found += [path for path in hidden if path.suffix == ".tmp" or path.name.startswith(".unpacked-")]
    return found


def _used(folder: Path) -> float:
    """When it was last used; long ago where it is damaged."""
    meta = folder / "meta.json"
    return meta.stat().st_mtime if meta.is_file() else 0.0
