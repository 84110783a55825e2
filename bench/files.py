"""Files of the user's: what cannot be read or written is said in one sentence."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from datasets.errors import UserError, closest

JSONObject: TypeAlias = dict[str, Any]
"""What a JSON or TOML file holds, or is to hold: the border at which types end."""

RESULTS = "name another results folder, or set BENCH_RESULTS"
"""The cure where the store cannot be written."""


@contextmanager
def writing(path: Path, cure: str) -> Iterator[None]:
    """Whatever inside writes to `path`, a file or a folder.

    Raises:
        UserError: the system refused; `cure` says what to do.
    """
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror or error}); {cure}.") from error


def check_writable(path: Path, cure: str, *, folder: bool = False) -> None:
    """Refuse a file, or with `folder` a folder, that cannot come to be at `path`.

    Raises:
        UserError: saying why; `cure` says what to do.
    """
    if path.is_dir() and not folder:
        raise UserError(f"{path} is a folder; {cure}, the name of a file.")
    if path.is_file() and folder:
        raise UserError(f"{path} is a file and no folder; {cure}.")
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    if there.is_file() and there != path:
        raise UserError(f"{path} cannot be written, for {there} is a file; {cure}.")
    if not os.access(there, os.W_OK):
        raise UserError(f"{path} cannot be written (Permission denied); {cure}.")


def parsed(path: Path) -> JSONObject:
    """The content of a TOML file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        near = closest(path.name, (one.name for one in path.absolute().parent.glob("*.toml")))
        hint = f" Did you mean {path.with_name(near)}?" if near else ""
        raise UserError(f"{path} does not exist; give a TOML file that exists.{hint}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not TOML, which is text in UTF-8; save it so.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}); give a TOML file that exists.") from error
    except ValueError as error:  # of TOML, or of UTF-8
        raise UserError(f"{path} is not TOML: {error}; see experiments/ for examples.") from error
