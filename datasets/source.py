"""`Source`: what the name or path of a data set is, found out once: catalogued, generated, a file, a ready split."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from datasets import catalog
from datasets.catalog import Entry
from datasets.columns import Columns
from datasets.consent import Consent
from datasets.download import Progress, silent
from datasets.errors import UserError, closest, unknown
from datasets.protocol import JSON, Protocol
from datasets.split import Content
from datasets.table import Table

PLUGGED: dict[str, Callable[[], tuple[str, Columns]]] = {}
"""Data sets of plug-ins: name → what tells the path or name behind it, and its columns."""


def resolve(dataset: str, columns: Columns = None) -> Source:
    """What a name or path means; nothing is read or fetched for it.

    Raises:
        UserError: an unknown name, or no such file.

    Example:
        >>> resolve("ml-100k").order, type(resolve("synthetic:users=200")).__name__
        ('time', 'Generated')
    """
    if not dataset.strip():
        raise UserError("The name of the data set is empty; give one of the catalogue, or the path of a file.")
    if dataset in PLUGGED:
        place, own = PLUGGED[dataset]()
        return replace(resolve(place, columns or own), given=dataset)
    if dataset == "synthetic" or dataset.startswith("synthetic:"):
        return Generated(dataset)
    if catalog.known(dataset):
        if columns:
            raise UserError(f"{dataset} is in the catalogue, which knows its columns and times; leave them out.")
        return Catalogued(dataset, catalog.entry(dataset))
    path = Path(dataset).expanduser()
    if path.is_dir():
        return OwnSplit(dataset, path, columns)
    if path.is_file():
        return OwnFile(dataset, path, columns)
    if "://" in dataset:
        raise UserError(f"{dataset} is an address; download the file and give its path.")
    if path.exists():
        raise UserError(f"{dataset} is neither a file nor a folder; give the path of a file with interactions.")
    if path.suffix or "/" in dataset:
        near = closest(path.name, (one.name for one in path.parent.glob("*") if one.exists()))
        hint = f" Did you mean {path.parent / near}?" if near else ""
        raise UserError(
            f"There is no file or folder {dataset}; give a path that exists, or the name of a data set.{hint}"
        )
    raise unknown("data set", dataset, [*catalog.names(), *PLUGGED, "synthetic"], catalog.synonyms())


@dataclass(frozen=True)
class Source:
    """Where a data set comes from; the four kinds are below.

    Attributes:
        given: the name or path as it was given.

    Example:
        >>> source = resolve("synthetic:users=200,items=100,density=0.1")
        >>> source.given, source.comes_split
        ('synthetic:users=200,items=100,density=0.1', False)
    """

    given: str

    comes_split = False
    """Whether the data come as train and test parts."""
    holds_users_out = False
    """Whether they come with what is known of users that are not trained on."""
    order = "time"
    """`time`, `file` or `none`: what the order of the rows means."""

    def content(self, consent: Consent = Consent()) -> Content:
        """Which content this is, by checksum; read or fetched for it only where nothing else tells.

        Raises:
            UserError: the data cannot be had.

        Example:
            >>> content = source.content()
            >>> len(content.sha256), content.source
            (64, 'generated')
        """
        raise NotImplementedError

    def training_rows(self, content: Content, protocol: Protocol) -> tuple[int, int] | None:
        """Fewest and most rows that its training part can have, as far as nothing must be read for it.

        Example:
            >>> catalogued = resolve("ml-100k")
            >>> catalogued.training_rows(catalogued.content(Consent(offline=True)), Protocol())
            (98114, 100000)
            >>> source.training_rows(source.content(), Protocol()) is None
            True
        """
        return None

    def here(self, consent: Consent) -> bool:
        """Whether nothing must be fetched to read it.

        Example:
            >>> source.here(Consent(offline=True))
            True
        """
        return True

    def served(self, content: Content, consent: Consent) -> Content:
        """The same, once the data are here: it says now what served them.

        Example:
            >>> source.served(source.content(), Consent()).source
            'generated'
        """
        return content

    def table(self, consent: Consent = Consent(), progress: Progress = silent) -> Table:
        """The interactions as they are, before any preparation.

        Raises:
            UserError: the data cannot be had or read.

        Example:
            >>> len(source.table().user_ids)
            200
        """
        raise NotImplementedError

    def reading(self, content: Content) -> tuple[JSON, ...]:
        """What decides the table: the content and how it is read.

        Example:
            >>> content = source.content()
            >>> content.sha256 in source.reading(content)
            True
        """
        from datasets import readers

        return (readers.VERSION, content.sha256, content.columns, Path(content.name).suffix)

    def in_force(self, protocol: Protocol) -> Protocol:
        """The protocol as it will be applied: data that come split keep their split, whatever the default says.

        Raises:
            UserError: the protocol asks to leave users or items out of a given split, or to split it otherwise.

        Example:
            >>> source.in_force(Protocol()).split
            'leave-last-one-out'
        """
        if not self.comes_split:
            if protocol.split_name == "given":
                raise UserError(
                    f"{self.given} has no ready split; give a folder with train.* and test.*, or another split."
                )
            return protocol
        if protocol.split_name not in ("given", Protocol().split):
            raise UserError(f"{self.given} comes with its own split, which is used as it is; leave split out.")
        if protocol.prepares:
            raise UserError(
                f"{self.given} comes with its own split, which is used as it is; leave k_core, the minimum counts and "
                "sample_users out."
            )
        given = protocol if protocol.split_name == "given" else replace(protocol, split="given")
        if not self.holds_users_out:
            if given.strong:
                raise UserError(f"{self.given} has no fold_in.*: its users are trained on; leave users=held-out out.")
            return given
        if (valid := given.split_options["valid"]) != "auto":
            raise UserError(
                f"valid={valid} would take validation from train, and {self.given} holds users out, for it has "
                "fold_in.*; leave it out, or add valid.*."
            )
        return replace(given, split="given:users=held-out")


@dataclass(frozen=True)
class Catalogued(Source):
    """A data set of the catalogue. Where checksums are known, no file is needed to know its content."""

    entry: Entry

    @property
    def comes_split(self) -> bool:  # type: ignore[override]
        """Whether the catalogue has train and test files."""
        return self.entry.given_split

    @property
    def order(self) -> str:  # type: ignore[override]
        """What the catalogue says of it."""
        return self.entry.order

    def content(self, consent: Consent = Consent()) -> Content:
        """By the published checksums; by the files' own with `unverified`, or where nobody published one."""
        from datasets.fetch import cached, obtain

        entry = catalog.one(self.given)
        found = [cached(entry, file, consent) for file in entry.files]
        if not all(found) and (consent.unverified or not entry.pinned):  # only the file tells which content it is
            found = [obtain(entry, file, consent) for file in entry.files]
        here = [kept_file for kept_file in found if kept_file]
        official = entry.pinned and all(kept_file.verified for kept_file in here)
        sources = list(dict.fromkeys(kept_file.source for kept_file in here))
        served = " and ".join(sources) or "not fetched yet"
        if official and entry.identity:
            return Content(entry.id, entry.identity, True, served)
        lines = [f"sha256:{k.sha256}  {f.stored.name}\n" for k, f in zip(here, entry.files, strict=True)]
        digest = here[0].sha256 if len(here) == 1 else hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
        return Content(entry.id, digest, False, served)

    def training_rows(self, content: Content, protocol: Protocol) -> tuple[int, int] | None:
        """By the catalogue's counts, where somebody counted the official content."""
        entry = self.entry
        if entry.counts != "recounted" or entry.interactions is None or entry.users is None or not content.verified:
            return None
        whole = protocol.split_name.startswith("leave-") and protocol.min_rating is None and not protocol.prepares
        return (entry.interactions - 2 * entry.users if whole else 0), entry.interactions

    def here(self, consent: Consent) -> bool:
        """Whether all its files are in the data folder."""
        from datasets.fetch import cached

        return all(cached(self.entry, file, consent) for file in self.entry.files)

    def served(self, content: Content, consent: Consent) -> Content:
        """The content again, now that its files are in the data folder."""
        return self.content(consent)

    def reading(self, content: Content) -> tuple[JSON, ...]:
        """The content, and the reader that the catalogue names."""
        from datasets import readers

        entry = self.entry
        return (readers.VERSION, content.sha256, entry.reader, json.dumps(dict(entry.options), sort_keys=True))

    def table(self, consent: Consent = Consent(), progress: Progress = silent) -> Table:
        """Fetched if need be, and read by the catalogue's reader."""
        from datasets.fetch import obtain
        from datasets.published import check_readable, read_entry

        check_readable(self.entry)
        files = [obtain(self.entry, file, consent, progress) for file in self.entry.files]
        progress(f"Reading {self.given}.", 0, 0)
        return read_entry(self.entry, [file.path for file in files])


@dataclass(frozen=True)
class Generated(Source):
    """Interactions drawn from a known law, `synthetic:users=…`."""

    def content(self, consent: Consent = Consent()) -> Content:
        """The sha256 of the full specification."""
        from datasets import synthetic

        return synthetic.content(self.given)

    def table(self, consent: Consent = Consent(), progress: Progress = silent) -> Table:
        """Drawn anew each time."""
        from datasets import synthetic

        return synthetic.generate(self.given)


@dataclass(frozen=True)
class OwnFile(Source):
    """A file of the user's own."""

    path: Path
    columns: Columns

    def content(self, consent: Consent = Consent()) -> Content:
        """The file's sha256, and how it will be read.

        Raises:
            UserError: what its first lines already show to be wrong.
        """
        from datasets.digests import sha256_of
        from datasets.reading import look

        name, read = self.path.name, look(self.path, self.columns)
        return Content(name, sha256_of(self.path), None, f"file {name}", read.spelled, read.told)

    def reading(self, content: Content) -> tuple[JSON, ...]:
        """The content and how it is read; catalogued files are none of its versions' business."""
        from datasets import reading

        return (reading.VERSION, content.sha256, content.columns, Path(content.name).suffix)

    def table(self, consent: Consent = Consent(), progress: Progress = silent) -> Table:
        """Read from the path."""
        from datasets import readers

        progress(f"Reading {self.path.name}.", 0, 0)
        return readers.read_path(self.path, self.columns)


@dataclass(frozen=True)
class OwnSplit(OwnFile):
    """A folder of the user's own with train, test and perhaps valid, fold_in and candidates."""

    comes_split = True

    @property
    def holds_users_out(self) -> bool:  # type: ignore[override]
        """Whether it has a file of what is folded in."""
        from datasets.parts import split_files

        return "fold_in" in split_files(self.path)

    def content(self, consent: Consent = Consent()) -> Content:
        """The sha256 of the lines `sha256:digest  name` of its files, and how they will be read.

        Raises:
            UserError: what their names and first lines already show to be wrong.
        """
        from datasets.digests import sha256_of
        from datasets.parts import split_files
        from datasets.reading import look

        read = look(self.path, self.columns)
        lines = [f"sha256:{sha256_of(file)}  {name}\n" for name, file in sorted(split_files(self.path).items())]
        digest = hashlib.sha256("".join(lines).encode()).hexdigest()
        name = self.path.resolve().name
        return Content(name, digest, None, f"folder {name}", read.spelled, read.told)
