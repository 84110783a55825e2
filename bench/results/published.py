"""A published table: a folder from whose manifest and ranks the whole table follows, without a store and without data.

    table.md table.tex table.csv table.json    the table; times and memory are null in JSON
    ranks.parquet                              where the held-out items stand in every run (`bench.results.ranks`)
    manifest.json                              what was asked, and what is known of every run (`bench.results.records`)
    tuned.toml                                 the settings that a search chose, where one did

`manifest.json` comes last and has the SHA-256 of the others and of itself, so that a folder is published whole or not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.comparison.compare import compare
from bench.comparison.nouns import Comparison, Context, Row
from bench.comparison.rows import Head, row_of
from bench.files import JSONObject, writing
from bench.results.ranks import Measured, read_ranks, write_ranks
from bench.results.records import TIMED, PublishedRun, runs_of
from bench.runs.hashes import canonical
from bench.runs.provenance import manifest as made_with
from bench.runs.spec import CODE_PROTOCOL
from bench.tables.render import render
from datasets.errors import UserError

SCHEMA = 1
MANIFEST, RANKS, TUNED, TABLE = "manifest.json", "ranks.parquet", "tuned.toml", "table.json"
DOCUMENTS = {"table.md": "markdown", "table.tex": "latex", "table.csv": "csv"}
CURE = "give a folder that can be written"


class OtherSchema(UserError):
    """A manifest that another version wrote."""


@dataclass(frozen=True)
class Published:
    """A published table as it was read.

    Attributes:
        folder: where it is.
        manifest: the content of `manifest.json`.
        ranks: what each run measured, by run id.
    """

    folder: Path
    manifest: JSONObject
    ranks: Mapping[str, Measured]

    @property
    def name(self) -> str:
        """Data set, table and version, as in `ml-100k/loo v1`."""
        return f"{self.manifest['table']} v{self.manifest['version']}"

    @property
    def code_protocol(self) -> int:
        """Of the code that made the runs."""
        return int(self.manifest["code_protocol"])

    @property
    def cells(self) -> list[JSONObject]:
        """What is kept of each cell, in the order of the rows."""
        found: list[JSONObject] = self.manifest["cells"]
        return found

    def check_current(self) -> None:
        """Refuse to set rows beside those of this table that other code would make.

        Raises:
            UserError: its code protocol is another one than this code's.
        """
        if self.code_protocol != CODE_PROTOCOL:
            raise UserError(
                f"{self.name} was made by code protocol {self.code_protocol} and this code has {CODE_PROTOCOL}, which "
                f"gives other numbers; compare within contrarec {', '.join(self.context.manifest['versions'])}, or "
                "with a newer version of the table."
            )

    def runs(self, cell: JSONObject) -> list[PublishedRun]:
        """The runs of a cell."""
        return runs_of(cell, self.ranks, self.folder)

    def rows(self, cutoffs: Sequence[int]) -> list[Row]:
        """The rows with their metrics at these cut-offs, and with the seconds and memory of the day.

        Raises:
            UserError: a run has other ranks than it was published with.
        """
        sampled = self.manifest["asked"]["sampled"]
        return [row_of(head_of_cell(cell), self.runs(cell), list(cutoffs), sampled) for cell in self.cells]

    @cached_property
    def context(self) -> Context:
        """What the table says beside its rows."""
        told: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in self.manifest["context"].items()
        }
        made = [cell["made"][run["made"]] for cell in self.cells for run in cell["runs"] if run["failure"] is None]
        return replace(
            Context(**told), manifest=made_with(made), command=self.manifest["commands"][-1], table=self.name
        )

    def comparison(self) -> Comparison:
        """The table, computed from the ranks.

        Raises:
            UserError: a run has other ranks than it was published with.
        """
        asked = dict(self.manifest["asked"])
        cutoffs, _ = asked.pop("cutoffs"), asked.pop("sampled")
        return compare(self.rows(cutoffs), **asked, context=self.context)


def head_of_cell(cell: JSONObject) -> Head:
    """The head of a cell's row, as its record keeps it."""
    row = cell["row"]
    return Head(name=cell["name"], **{**row, "seeds": tuple(row["seeds"])})


def head_record(head: Head) -> JSONObject:
    """A row's head as a cell's record keeps it, under `row`."""
    return {key: value for key, value in asdict(head).items() if key != "name"}


def read(place: Path) -> Published:
    """The published table in a folder, which is named by itself or by the `table.json` in it.

    Raises:
        UserError: there is none, or a file of it cannot be read.
    """
    folder = folder_of(place)
    return Published(folder, read_manifest(folder), _ranks(folder))


def folder_of(place: Path) -> Path:
    """The folder of the published table that is meant.

    Raises:
        UserError: there is none.
    """
    folder = place.parent if place.name == TABLE else place
    if not place.exists():
        raise UserError(f"{place} does not exist; name a published table, as in results/ml-100k/{TABLE}.")
    if not folder.is_dir() or not any((folder / name).exists() for name in (MANIFEST, TABLE)):
        raise UserError(f"{place} is no published table, which is a folder with {TABLE} and {MANIFEST} in it.")
    return folder


def read_manifest(folder: Path) -> JSONObject:
    """The manifest of a published table.

    Raises:
        OtherSchema: another version wrote it.
        UserError: it is missing, or cannot be read.
    """
    file = folder / MANIFEST
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        schema = found["schema"]
    except FileNotFoundError:
        raise UserError(f"{file} is missing, without which a table is not published.") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{file} cannot be read ({error}).") from error
    if schema != SCHEMA:
        raise OtherSchema(f"{file} has schema {schema} and this version reads {SCHEMA}; use the version that wrote it.")
    manifest: JSONObject = found
    return manifest


def _ranks(folder: Path) -> dict[str, Measured]:
    file = folder / RANKS
    try:
        return read_ranks(file)
    except FileNotFoundError:
        raise UserError(f"{file} is missing.") from None
    except Exception as error:  # pyarrow tells of bad bytes in many ways
        raise UserError(f"{file} cannot be read ({str(error).splitlines()[0].rstrip('.')}).") from error


def texts(comparison: Comparison) -> dict[str, str]:
    """The files of a table by name; the same comparison gives the same bytes."""
    found = {name: render(comparison, form) + "\n" for name, form in DOCUMENTS.items()}
    table = comparison.as_dict()
    for row in table["rows"]:
        row |= {"train_seconds": None, "peak_bytes": None}
        row["diagnostics"] = {name: None if name in TIMED else v for name, v in row["diagnostics"].items()}
    return {**found, TABLE: json.dumps(table, indent=1, ensure_ascii=False, allow_nan=False) + "\n"}


def write(folder: Path, manifest: JSONObject, ranks: Mapping[str, Measured], tuned: str | None) -> Published:
    """Write a published table; `manifest` has all but the hashes.

    Raises:
        UserError: the folder cannot be written.
    """
    manifest = json.loads(json.dumps(manifest, allow_nan=False))  # as it will be read
    with writing(folder, CURE):
        folder.mkdir(parents=True, exist_ok=True)
        write_ranks(folder / RANKS, ranks)
        contents = texts(Published(folder, manifest, ranks).comparison())
        contents |= {TUNED: tuned} if tuned is not None else {}
        for name, text in contents.items():
            _replace(folder / name, text)
        files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (RANKS, *contents)}
        whole = {**manifest, "files": files}
        whole["manifest_sha256"] = manifest_sha256(whole)
        _replace(folder / MANIFEST, json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
    return Published(folder, whole, ranks)


def manifest_sha256(manifest: JSONObject) -> str:
    """Hex digest of a manifest without its own: its JSON with sorted keys and no spaces, in UTF-8."""
    content = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".writing-{path.name}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def asked(comparison: Comparison, cutoffs: Sequence[int], sampled: int | None) -> JSONObject:
    """How a comparison was asked for, as a manifest keeps it."""
    names = ("metric", "metrics", "test", "correction", "alpha", "alternative", "baseline", "margin")
    found: dict[str, Any] = {name: getattr(comparison, name) for name in names}
    return {**found, "metrics": list(comparison.metrics), "cutoffs": list(cutoffs), "sampled": sampled}


def context_record(context: Context) -> JSONObject:
    """What a table says beside its rows, but for what follows from the runs."""
    names = ("dataset", "protocol", "data", "facts", "skipped", "failed", "warnings")
    return {name: getattr(context, name) for name in names}
