"""Arrays kept on disk under a key: written whole or not at all, read memory-mapped, checked on every read."""

from __future__ import annotations

import errno
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UserError
from datasets.protocol import JSON

Arrays: TypeAlias = "dict[str, NDArray[Any]]"
Meta: TypeAlias = "dict[str, JSON]"

PREPARED = ("tables", "splits", "features")
"""Kinds of what can be made again from the fetched files."""


def home() -> Path:
    """The data folder: `BENCH_DATA`, or the user's cache folder for this project."""
    if given := os.environ.get("BENCH_DATA"):
        return Path(given).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("contrarec")


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock called `name` in the data folder; the system frees it when the holder dies.

    Raises:
        UserError: the data folder cannot be written.
    """
    with writing():
        folder = home() / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        from filelock import FileLock

        lock = FileLock(folder / f"{name}.lock")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def writing() -> Iterator[None]:
    """Turn a file system's refusal into a sentence.

    Raises:
        UserError: something in the data folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"Cannot write to the data folder {home()} ({error.strerror or error}); free it, or set BENCH_DATA "
            "to a folder that can be written."
        ) from error


def kept(
    kind: str, key: str, build: Callable[[], tuple[Mapping[str, NDArray[Any] | None], Meta]]
) -> tuple[Arrays, Meta]:
    """The arrays and the metadata stored as `kind/key`, built first where they are missing or damaged.

    A damaged entry is thrown away and built again: everything here can be made from the raw files. The arrays
    are mapped copy-on-write, so that a reader may write to its own view and never to the file.
    """
    folder = home() / kind / key
    if found := _read(folder):
        return found
    with locked(f"{kind}-{key}"):
        if found := _read(folder):
            return found
        arrays, meta = build()
        with writing():
            _write(folder, {n: a for n, a in arrays.items() if a is not None}, meta)
    found = _read(folder)
    if found is None:
        raise UserError(f"The data folder {home()} returns other bytes than were written; check its disk.")
    return found


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A temporary name beside the target, which takes its place at the end; removed where writing fails."""
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        yield temporary
        os.replace(temporary, target)
    except BaseException:
        remove(temporary)
        raise


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there and can be removed."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _write(folder: Path, arrays: Mapping[str, NDArray[Any]], meta: Meta) -> None:
    with replacing(folder) as temporary:
        for leftover in (temporary, folder):
            remove(leftover)
        temporary.mkdir(parents=True)
        for name, array in arrays.items():
            np.save(temporary / f"{name}.npy", np.ascontiguousarray(array), allow_pickle=False)
        sums: Meta = {name: _crc32(temporary / f"{name}.npy") for name in arrays}
        (temporary / "meta.json").write_text(json.dumps({"crc32": sums, "meta": meta}), encoding="utf-8")


def _read(folder: Path) -> tuple[Arrays, Meta] | None:
    try:
        index = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        arrays = {}
        for name, crc in index["crc32"].items():
            path = folder / f"{name}.npy"
            if _crc32(path) != crc:
                return None
            mapped = np.load(path, mmap_mode="c", allow_pickle=False)
            arrays[name] = mapped.view(np.ndarray)
        with suppress(OSError):
            os.utime(folder / "meta.json")  # when it was last used, which `sweep` goes by
        return arrays, index["meta"]
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            raise UserError(
                f"The data folder cannot be read ({error.strerror}); allow more open files (ulimit -n 1024) or memory."
            ) from error
        return None


def _crc32(path: Path) -> int:
    crc = 0
    with path.open("rb") as stream:
        while block := stream.read(1 << 22):
            crc = zlib.crc32(block, crc)
    return crc
