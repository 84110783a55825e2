"""The catalogue: what is known about each public data set, read from catalog.toml."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from datasets.errors import UserError, unknown

ANY = "<category>"
"""Stands for every category in a family's name; such an entry describes the family and has no files."""

_FILE = Path(__file__).with_name("catalog.toml")


@dataclass(frozen=True)
class Pin:
    """A checksum: `kind` is sha256, md5 or git-blob (`sha1("blob <size>\\0" + content)`)."""

    kind: str
    digest: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.digest}"


@dataclass(frozen=True)
class Wheel:
    """A copy inside a Python package: the member minus its first `header_lines` lines is the file."""

    requirement: str
    member: str
    header_lines: int = 0


@dataclass(frozen=True)
class Remote:
    """Something that can be downloaded: a file, or the archive around it."""

    name: str
    urls: tuple[str, ...]
    pin: Pin | None
    bytes: int | None


@dataclass(frozen=True)
class File:
    """One file of a data set.

    Attributes:
        remote: the file itself; without addresses where it only exists inside an archive.
        archive: the archive that holds it, if any.
        member: its name in there (empty for plain gzip, bzip2 and xz); `outer!inner` for an archive in an archive.
        wheel: a copy inside a Python package, if any.
        role: data, train, valid, test, negatives, or split for a file that holds several parts.
    """

    remote: Remote
    archive: Remote | None
    member: str
    wheel: Wheel | None
    role: str

    @property
    def stored(self) -> Remote:
        """What the cache keeps: the thing whose checksum is known, the file itself first."""
        return self.archive if self.archive and not self.remote.pin else self.remote


@dataclass(frozen=True)
class Entry:
    """One data set in one edition."""

    id: str
    title: str
    files: tuple[File, ...]
    reader: str
    options: Mapping[str, Any]
    order: str
    manual: str
    users: int | None
    items: int | None
    interactions: int | None
    counts: str
    feedback: str
    licence: str
    citation: str
    traps: tuple[str, ...]

    @property
    def pinned(self) -> bool:
        """Whether somebody published a checksum of every file."""
        return all(file.stored.pin for file in self.files)

    @property
    def given_split(self) -> bool:
        """Whether the data come as train and test parts."""
        return any(file.role in ("train", "split") for file in self.files)

    @property
    def identity(self) -> str | None:
        """A sha256 of the content that is known without the files; None where nothing is pinned.

        The file's own sha256 where there is one file with one; else the sha256 of the lines `kind:digest  name`.
        """
        pins = [file.stored.pin for file in self.files]
        if len(pins) == 1 and pins[0] and pins[0].kind == "sha256":
            return pins[0].digest
        if not self.pinned:
            return None
        lines = sorted(f"{file.stored.pin}  {file.stored.name}\n" for file in self.files)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def names() -> list[str]:
    """Every name that can be asked for; a family with categories is listed as `family:<category>`."""
    return [f"{key}:{ANY}" if "categories" in _raw(key) else key for key in _keys()]


def entry(name: str) -> Entry:
    """The catalogue's entry called `name`.

    Raises:
        UserError: no such data set, or no such category of it.
    """
    category = ""
    key, colon, rest = name.partition(":")
    if colon and "categories" in _raw(key):
        category = rest
    else:
        key = name
    fields = _raw(key)
    if not fields:
        raise unknown("data set", name, [*names(), "synthetic:users=…"], synonyms())
    if "categories" in fields:
        if not category:
            known = ", ".join(fields["categories"])
            raise UserError(f"{key} stands for many data sets; name one, as in {key}:NAME, of {known}.")
        if category not in fields["categories"] and category != ANY:
            raise unknown(f"category of {key}", category, fields["categories"])
        fields = _of_category(fields, category)
    return _entry(name, fields)


def one(name: str) -> Entry:
    """The entry of a data set that has files of its own.

    Raises:
        UserError: no such data set, or a name that stands for many.
    """
    found = entry(name)
    if not found.files:
        family = found.id.partition(":")[0]
        raise UserError(f"{found.id} stands for many data sets; name a category of it, as in {family}:NAME.")
    return found


def synonyms() -> dict[str, str]:
    """What others call data sets, and their names here; for hints alone."""
    return {f"movielens{name.removeprefix('ml')}": name for name in names() if name.startswith("ml-")}


def known(name: str) -> bool:
    """Whether `name` (or its part before the colon) is in the catalogue."""
    return name in _keys() or "categories" in _raw(name.partition(":")[0])


def categories(key: str) -> list[str]:
    """The categories of a family, or nothing."""
    return list(_raw(key).get("categories", ()))


@cache
def _texts() -> dict[str, str]:
    """The lines of each data set in the file, and as "" those before them: to parse all of them slows every command."""
    before, *parts = re.split(r'^(?=\[sets\.[\w"-]+\]$)', _FILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {"": before, **{part[len("[sets.") : part.index("]")].strip('"'): part for part in parts}}


def _keys() -> list[str]:
    return [key for key in _texts() if key]


@cache
def _raw(key: str) -> dict[str, Any]:
    """What the file says of one data set or family; nothing where it has none such."""
    fields: dict[str, Any] = tomllib.loads(_texts()[key])["sets"][key] if key in _keys() else {}
    return fields


@cache
def _shared() -> dict[str, Any]:
    """Texts that several data sets have."""
    return tomllib.loads(_texts()[""])


def _of_category(fields: dict[str, Any], category: str) -> dict[str, Any]:
    def fill(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("{category}", category)
        if isinstance(value, list):
            return [fill(v) for v in value]
        return {k: fill(v) for k, v in value.items()} if isinstance(value, dict) else value

    filled: dict[str, Any] = fill({k: v for k, v in fields.items() if k != "categories"})
    if category == ANY:
        return {**filled, "files": []}
    facts = fields["categories"][category]
    first = filled["files"][0]
    target = first.get("archive", first)
    target["sha256"] = facts if isinstance(facts, str) else facts["sha256"]
    if not isinstance(facts, str):
        filled |= {k: v for k, v in facts.items() if k != "sha256"}
    return filled


def _entry(name: str, raw: Mapping[str, Any]) -> Entry:
    return Entry(
        id=name,
        title=raw["title"],
        files=tuple(_file(f) for f in raw.get("files", ())),
        reader=raw["reader"],
        options=raw.get("options", {}),
        order=raw["order"],
        manual=raw.get("manual", ""),
        users=raw.get("users"),
        items=raw.get("items"),
        interactions=raw.get("interactions"),
        counts=raw["counts"],
        feedback=raw["feedback"],
        licence=_shared()["terms"][raw["licence"]],
        citation=_shared()["papers"][raw["citation"]],
        traps=tuple(raw.get("traps", ())),
    )


def _file(raw: Mapping[str, Any]) -> File:
    archive = raw.get("archive")
    return File(
        remote=_remote(raw),
        archive=_remote(archive) if archive else None,
        member=raw.get("member", ""),
        wheel=Wheel(**raw["wheel"]) if "wheel" in raw else None,
        role=raw.get("role", "data"),
    )


def _remote(raw: Mapping[str, Any]) -> Remote:
    pins = [Pin(kind, raw[kind]) for kind in ("sha256", "md5", "git-blob") if kind in raw]
    for pin in pins:
        if not re.fullmatch(
            {"sha256": "[0-9a-f]{64}", "md5": "[0-9a-f]{32}"}.get(pin.kind, "[0-9a-f]{40}"), pin.digest
        ):
            raise UserError(f"The catalogue's {pin} of {raw['name']} is no checksum; correct catalog.toml.")
    return Remote(raw["name"], tuple(raw.get("urls", ())), pins[0] if pins else None, raw.get("bytes"))
