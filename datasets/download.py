"""One download: a whole, bounded file or an explanation, with pooch doing the temporary file and the rename."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

Progress: TypeAlias = "Callable[[str, int, int | None], None]"
"""Called as (what, bytes done, bytes in all or None); a total of 0 marks a line of text without a bar."""

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
RESUME_BYTES = 100 << 20
"""From this size on, an interrupted download keeps its part and goes on from there."""

CAP_BYTES = 8 << 30
"""The most that is read where nobody stated a size."""

ATTEMPTS = 3
BLOCK_BYTES = 1 << 16
"""The most that is lost when a connection breaks off."""


class Refused(Exception):
    """Why a source did not serve; never reaches the user on its own."""


def silent(_what: str, _done: int, _total: int | None) -> None:
    """The progress nobody watches."""


def download(url: str, target: Path, size: int | None, progress: Progress = silent) -> None:
    """Write what `url` serves to `target`; all of it or nothing.

    `size` caps the body. A part left by an earlier, killed call is continued if the server still has the same
    version of the file (If-Range), otherwise read anew.

    Raises:
        Refused: no connection, no valid certificate, an error status, too many bytes, or too few.
    """
    import logging

    import pooch
    import requests

    pooch.get_logger().setLevel(logging.ERROR)

    def fetch(address: str, output: Any, _pooch: Any) -> None:
        part = target.with_name(target.name + ".part")
        _transfer(address, part, size, progress, target.name)
        os.replace(part, output)

    try:
        pooch.retrieve(url, known_hash=None, fname=target.name, path=target.parent, downloader=fetch)
    except requests.exceptions.SSLError as error:
        what = "has a TLS certificate that could not be verified" if "CERTIFICATE" in str(error) else "speaks no TLS"
        raise Refused(what) from error
    except requests.exceptions.ReadTimeout as error:
        raise Refused(f"stopped answering for {READ_SECONDS:g} s") from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise Refused("broke off in the middle of the file") from error
    except requests.exceptions.ConnectionError as error:
        timed_out = "Read timed out" in str(error)
        raise Refused(f"stopped answering for {READ_SECONDS:g} s" if timed_out else "could not be reached") from error
    except requests.exceptions.RequestException as error:
        raise Refused(f"could not be used ({type(error).__name__})") from error


def _transfer(url: str, part: Path, size: int | None, progress: Progress, name: str) -> None:
    import requests

    for attempt in range(ATTEMPTS):
        before = part.stat().st_size if part.exists() else 0
        try:
            return _request(url, part, size, progress, name)
        except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError):
            after = part.stat().st_size if part.exists() else 0
            if attempt + 1 == ATTEMPTS or after <= before:
                raise
    return None


def _request(url: str, part: Path, size: int | None, progress: Progress, name: str) -> None:
    import requests

    cap = CAP_BYTES if size is None else size
    note = part.with_name(part.name + ".json")
    headers, start = _resumption(part, note, url)
    timeout = (CONNECT_SECONDS, READ_SECONDS)
    with requests.get(url, stream=True, headers=headers, timeout=timeout) as answer:
        if answer.status_code == 416:
            part.unlink()
            raise Refused("has another length than before; run again")
        if answer.status_code >= 400:
            raise Refused(f"answered {answer.status_code} {answer.reason}")
        start = start if answer.status_code == 206 else 0
        length = answer.headers.get("Content-Length", "")
        total = start + int(length) if length.isdecimal() else None
        encoded = "Content-Encoding" in answer.headers
        if total is not None and total > cap and not encoded:
            raise Refused(f"offers {total:,} bytes where {cap:,} are the most expected")
        version = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        note.write_text(json.dumps({"url": url, "version": version}), encoding="utf-8")
        done = start
        with part.open("ab" if start else "wb") as out:
            for block in answer.iter_content(BLOCK_BYTES):
                done += len(block)
                if done > cap:
                    out.close()
                    part.unlink()
                    raise Refused(f"sent more than the {cap:,} bytes expected")
                out.write(block)
                progress(name, done, total or size)
    if total is not None and done < total and not encoded:
        raise requests.exceptions.ChunkedEncodingError("too short")
    note.unlink()


def _resumption(part: Path, note: Path, url: str) -> tuple[dict[str, str], int]:
    """The headers that ask for the rest, and where the rest begins."""
    start = part.stat().st_size if part.exists() else 0
    try:
        left = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        left = {}
    version = left.get("version")
    weak = not version or str(version).startswith("W/")
    if start < RESUME_BYTES or left.get("url") != url or weak:
        part.unlink(missing_ok=True)
        return {"Accept-Encoding": "identity"}, 0
    return {"Accept-Encoding": "identity", "Range": f"bytes={start}-", "If-Range": version}, start
