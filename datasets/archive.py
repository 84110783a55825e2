"""Taking one named member out of an archive, and nothing else."""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from datasets.errors import UserError

RATIO = 200
"""A member may be so many times larger than its archive; ratings in text pack about tenfold."""

SLACK = 1 << 20
"""Bytes that are always allowed: tiny files of zeros pack better than any ratio."""


def extract(archive: Path, member: str, target: Path, limit: int | None = None) -> None:
    """Write the one `member` of `archive` to `target`.

    Zip, tar (plain, gzip, bzip2, xz) and single-file gzip, bzip2 and xz (`member` empty). `outer!inner` takes a
    member of an archive that is itself a member. Where no member has that name, the only one whose path ends in
    it is taken: repackers add and drop top folders. Never more than `limit` bytes, where None means `RATIO` times
    the archive; only regular files; only names that stay below the archive's root.

    Raises:
        UserError: no such member, a link or device in its place, a name that leads outside, too many bytes, or
            an archive that cannot be read.
    """
    limit = archive.stat().st_size * RATIO + SLACK if limit is None else limit
    outer, _, inner = member.partition("!")
    try:
        if inner:
            with tempfile.TemporaryDirectory(dir=target.parent) as folder:
                middle = Path(folder) / PurePosixPath(outer).name
                extract(archive, outer, middle, max(limit, SLACK) * 2)
                extract(middle, inner, target, limit)
            return
        with target.open("wb") as out:
            _stream(archive, member, out, limit)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{archive.name} is damaged or no archive; fetch it again.") from error


def _stream(archive: Path, member: str, out: IO[bytes], limit: int) -> None:
    if member and (PurePosixPath(member).is_absolute() or ".." in PurePosixPath(member).parts):
        raise UserError(f"'{member}' would lead outside the archive {archive.name}; it was not unpacked.")
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            info = zipped.getinfo(_find(archive, member, zipped.namelist()))
            if info.is_dir() or not _regular(info.external_attr >> 16):
                raise UserError(f"'{member}' in {archive.name} is not a regular file; it was not unpacked.")
            with zipped.open(info) as stream:
                return _copy(stream, out, limit, archive)
    if member:
        with tarfile.open(archive) as tarred:
            found = tarred.getmember(_find(archive, member, tarred.getnames()))
            tar_stream = tarred.extractfile(found) if found.isreg() else None
            if tar_stream is None:
                raise UserError(f"'{member}' in {archive.name} is not a regular file; it was not unpacked.")
            return _copy(tar_stream, out, limit, archive)
    with _unpacked(archive) as stream:
        return _copy(stream, out, limit, archive)


def _unpacked(archive: Path) -> IO[bytes]:
    match archive.suffix:
        case ".gz":
            return gzip.open(archive, "rb")  # type: ignore[return-value]
        case ".bz2":
            return bz2.open(archive, "rb")
        case ".xz":
            return lzma.open(archive, "rb")
    raise UserError(f"{archive.name} is none of zip, tar, gz, bz2 and xz; unpack it by hand.")


def _regular(mode: int) -> bool:
    """Whether a zip entry's Unix mode is that of a file; zips made elsewhere carry none."""
    return stat.S_IFMT(mode) in (0, stat.S_IFREG)


def _copy(stream: IO[bytes], out: IO[bytes], limit: int, archive: Path) -> None:
    written = 0
    while block := stream.read(1 << 20):
        written += len(block)
        if written > limit:
            raise UserError(
                f"{archive.name} unpacks to more than the {limit:,} bytes expected; it was not unpacked further."
            )
        out.write(block)


def _find(archive: Path, member: str, names: list[str]) -> str:
    """The archive's own name of the member."""
    found = [name for name in names if name == member] or [n for n in names if n.endswith("/" + member)]
    if len(found) == 1 and ".." not in PurePosixPath(found[0]).parts and not PurePosixPath(found[0]).is_absolute():
        return found[0]
    if len(found) == 1:
        raise UserError(f"'{found[0]}' would lead outside the archive {archive.name}; it was not unpacked.")
    held = ", ".join(sorted(names)[:5]) or "nothing"
    raise UserError(f"{archive.name} has {'several' if found else 'no'} members '{member}'; it holds {held}.")
