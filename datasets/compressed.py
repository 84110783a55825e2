"""Compressed files, by the end of their name: looked into, or unpacked for the time of reading."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from datasets.cache import home, writing
from datasets.errors import UserError

OPENERS: dict[str, Callable[[Path], IO[bytes]]] = {
    ".gz": gzip.GzipFile,  # type: ignore[dict-item]  # it has what a stream of bytes has
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
    ".zst": lambda path: _zstandard(path),
    ".zip": lambda path: _only_member(path),
}
"""End of the name → a stream of the content."""


def plain_name(path: Path) -> str:
    """The file's name without the end that tells its compression."""
    return path.stem if path.suffix.lower() in OPENERS else path.name


def head(path: Path, size: int) -> bytes:
    """The first `size` bytes of the content.

    Raises:
        UserError: a damaged file, or a zip of several files.
    """
    with _reading(path) as stream:
        return stream.read(size)


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The file itself, or its content in a temporary file of its plain name.

    Raises:
        UserError: a damaged file, a zip of several files, or no room in the data folder.
    """
    if path.suffix.lower() not in OPENERS:
        yield path
        return
    with writing():
        partial = home() / "partial"
        partial.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=partial, prefix="unpacked-"))
    try:
        target = folder / plain_name(path)
        with _reading(path) as stream, target.open("wb") as out:
            while block := stream.read(1 << 20):
                with writing():
                    out.write(block)
        yield target
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _reading(path: Path) -> Iterator[IO[bytes]]:
    suffix = path.suffix.lower()
    try:
        with OPENERS[suffix](path) if suffix in OPENERS else path.open("rb") as stream:
            yield stream
    except UserError:
        raise
    except (EOFError, OSError, RuntimeError, zipfile.BadZipFile, lzma.LZMAError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise UserError(f"{path.name} cannot be read ({error.strerror}).") from error
        raise UserError(f"{path.name} is damaged or no {path.suffix} file; pack it again, or unpack it.") from error


def _zstandard(path: Path) -> IO[bytes]:
    import pyarrow as pa

    stream: IO[bytes] = pa.input_stream(str(path), compression="zstd")
    return stream


def _only_member(path: Path) -> IO[bytes]:
    archive = zipfile.ZipFile(path)
    names = [info.filename for info in archive.infolist() if not info.is_dir() and not _litter(info.filename)]
    if len(names) != 1:
        held = f"{len(names)} files ({', '.join(names[:4])})" if names else "no file"
        raise UserError(
            f"{path.name} holds {held}; give a zip of one file, or unpack it and give the file, or the folder of a "
            "ready split."
        )
    return archive.open(names[0])


def _litter(name: str) -> bool:
    """What systems add to an archive on their own."""
    path = PurePosixPath(name)
    return path.name.startswith(".") or path.parts[0] == "__MACOSX"
