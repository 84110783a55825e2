"""Checksums of files, read in blocks."""

from __future__ import annotations

import hashlib
from pathlib import Path


def sha256_of(path: Path) -> str:
    """The file's sha256."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_of(path: Path, kind: str) -> str:
    """The file's checksum of the given kind."""
    if kind == "git-blob":
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size)
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, kind).hexdigest()
