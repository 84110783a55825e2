"""`bench data`: what there is, where it is, and how to carry it to a machine without a network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from inspect import getdoc
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.command import Command, Group, RequestCommand, examples
from bench.cli.complete import data
from bench.cli.exporting import Export
from bench.cli.hints import check_dataset
from bench.cli.output import as_json
from bench.files import JSONObject
from datasets import catalog
from datasets.catalog import Entry
from datasets.columns import with_format
from datasets.consent import Consent
from datasets.errors import UserError

app = typer.Typer(
    cls=Group,
    help="Data sets: list, info, fetch, add, export, verify, gc.",
    no_args_is_help=True,
    add_completion=False,
)

Name = Annotated[
    str, typer.Argument(metavar="NAME", autocompletion=data, help="a name of `bench data list`, or a path")
]
Names = Annotated[list[str], typer.Argument(metavar="NAME...", autocompletion=data, help="names of `bench data list`")]
Unverified = Annotated[bool, typer.Option("--unverified", help="accept content that is not the official one")]
AcceptUnpinned = Annotated[
    bool, typer.Option("--accept-unpinned", help="accept content nobody has published a checksum of")
]
Offline = Annotated[bool, typer.Option("--offline", help="never open a connection")]
Format = Annotated[str, typer.Option("--format", help="table or json")]


@app.command("list", cls=Command)
def list_(
    format: Format = "table", families: Annotated[bool, typer.Option(help="list every category")] = False
) -> None:
    """Every data set that can be asked for by name."""
    rows = [_row(name) for name in _every(families=families)]
    if as_json(format):
        typer.echo(json.dumps(rows, indent=2))
        return
    from tabulate import tabulate

    columns = ("name", "users", "items", "interactions", "status", "size", "title")
    rows = [{**row, "size": _size(row["bytes"]) if row["bytes"] else ""} for row in rows]
    typer.echo(tabulate([[_cell(row[c]) for c in columns] for row in rows], columns, disable_numparse=True))
    from datasets.cache import home
    from datasets.sweep import sizes

    held = ", ".join(f"{_size(size)} {what}" for what, size in sizes().items())
    typer.echo(f"{home()}: {held}; `bench data gc` frees what can be made again.", err=True)


@app.command(cls=Command)
def info(
    name: Name,
    split: Annotated[str, typer.Option("--split", help="the split whose leakage is measured")] = "leave-last-one-out",
    columns: Annotated[str | None, typer.Option("--columns", help="columns of a file without header")] = None,
    time_format: Annotated[str | None, typer.Option("--time-format", help="how a file writes times: %d.%m.%Y")] = None,
    unverified: Unverified = False,
    accept_unpinned: AcceptUnpinned = False,
    format: Format = "table",
) -> None:
    """One data set: files, checksums, licence, citation, traps; and, once it is here, its split and leakage."""
    from bench.cli.progress import fetching
    from datasets.loading import load
    from datasets.protocol import Protocol
    from datasets.source import resolve

    wants_json = as_json(format)
    protocol = Protocol(split)
    check_dataset(name)
    resolve(name, with_format(columns, time_format))
    facts: JSONObject = _description(catalog.entry(name)) if catalog.known(name) else {"name": name}
    try:
        with fetching() as progress:
            loaded = load(
                name,
                protocol,
                columns=with_format(columns, time_format),
                consent=Consent(unverified, accept_unpinned, offline=True),
                progress=progress,
            )
    except UserError as error:
        if not catalog.known(name):
            raise
        facts["split"] = None
        typer.echo(f"Not measured: {error}", err=True)
    else:
        source = loaded.source
        facts |= {"sha256": source.sha256, "verified": source.verified, "source": source.source}
        facts["read as"] = source.reading.removeprefix(f"Read {source.name}: ") or None
        facts["split"] = {"protocol": loaded.protocol.split, **loaded.facts}
        for warning in loaded.warnings:
            typer.echo(f"Warning: {warning}", err=True)
    typer.echo(json.dumps(facts, indent=2) if wants_json else _readable(facts))


@app.command(cls=Command)
def fetch(
    names: Names, unverified: Unverified = False, accept_unpinned: AcceptUnpinned = False, offline: Offline = False
) -> None:
    """Bring data sets into the data folder, every byte checked."""
    from bench.cli.progress import fetching
    from datasets.fetch import obtain

    consent = Consent(unverified, accept_unpinned, offline or None)
    for entry in [catalog.one(name) for name in names]:
        with fetching() as progress:
            kept = [obtain(entry, file, consent, progress) for file in entry.files]
        for one in kept:
            typer.echo(f"{entry.id}\t{one.path}\tsha256:{one.sha256}\t{_word(one.verified)}\t{one.source}")


@app.command(cls=Command)
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="a name of `bench data list`")],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="its files or archives, downloaded by hand")],
    unverified: Unverified = False,
    accept_unpinned: AcceptUnpinned = False,
) -> None:
    """Take files that were downloaded by hand into the data folder."""
    from datasets.fetch import add as add_file

    entry = catalog.one(name)
    for path in files:
        kept = add_file(entry, path, Consent(unverified, accept_unpinned))
        typer.echo(f"{entry.id}\t{kept.path}\tsha256:{kept.sha256}\t{_word(kept.verified)}")


app.command("export", cls=RequestCommand, help=getdoc(Export), epilog=examples(*Export.examples))(Export)


@app.command(cls=Command)
def verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="all that are here, if left out")] = None,
) -> None:
    """Read every file in the data folder again and compare its checksum; exit code 1 if one is wrong."""
    from datasets.digests import digest_of, sha256_of
    from datasets.fetch import cached

    wrong = 0
    found = False
    for entry in [catalog.entry(name) for name in names or _every(families=True)]:
        for file in entry.files:
            kept = cached(entry, file, Consent(unverified=True))
            if kept is None:
                if names:
                    typer.echo(f"{entry.id}\t{file.stored.name}\tnot here")
                continue
            found = True
            pin = file.stored.pin
            good = sha256_of(kept.path) == kept.sha256
            good &= not (kept.verified and pin) or digest_of(kept.path, pin.kind) == pin.digest
            wrong += not good
            typer.echo(f"{entry.id}\t{kept.path.name}\t{_word(kept.verified) if good else 'DAMAGED'}")
    if not found and not names:
        typer.echo("The data folder is empty.", err=True)
    if wrong:
        typer.echo(f"{wrong} damaged; `bench data fetch` replaces them.", err=True)
        raise typer.Exit(1)


@app.command(cls=Command)
def gc(
    days: Annotated[float, typer.Option("--days", min=0, help="for how long nobody has used it; 0 takes all")] = 30,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print what would go; remove nothing")] = False,
) -> None:
    """Remove what interrupted commands left, and unused tables and splits, which are made again when needed."""
    from datasets.sweep import sweep

    swept = sweep(days, dry_run=dry_run)
    for path, size in swept:
        typer.echo(f"{path}\t{_size(size)}")
    freed = _size(sum(size for _, size in swept))
    typer.echo(f"{'Would free' if dry_run else 'Freed'} {freed}; files as they were fetched stay.", err=True)


def _every(*, families: bool) -> Iterator[str]:
    for name in catalog.names():
        family, colon, _ = name.partition(":")
        if colon and families:
            yield from (f"{family}:{category}" for category in catalog.categories(family))
        else:
            yield name


def _row(name: str) -> JSONObject:
    entry = catalog.entry(name)
    return {
        "name": name,
        "title": entry.title,
        "users": entry.users,
        "items": entry.items,
        "interactions": entry.interactions,
        "feedback": entry.feedback,
        "status": _status(entry),
        "bytes": _bytes(entry),
        "licence": entry.licence,
        "paper": entry.citation,
        "categories": catalog.categories(name.partition(":")[0]) if name.endswith(catalog.ANY) else [],
    }


def _status(entry: Entry) -> str:
    from datasets.fetch import cached
    from datasets.published import READERS

    if not entry.files:
        return "by category"
    if all(cached(entry, file, Consent(unverified=True)) for file in entry.files):
        return "here"
    if entry.reader not in READERS:
        return "to be converted by hand"
    if entry.manual:
        return "to be downloaded by hand"
    return "can be fetched" if entry.pinned else "unpinned"


def _bytes(entry: Entry) -> int | None:
    """Bytes of the entry's files in the data folder; None where none is here."""
    from datasets.fetch import cached

    found = [cached(entry, file, Consent(unverified=True)) for file in entry.files]
    return sum(kept.path.stat().st_size for kept in found if kept) or None


def _size(count: int) -> str:
    """Bytes in the largest unit that leaves a whole part."""
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"


def _description(entry: Entry) -> JSONObject:
    return {
        "name": entry.id,
        "title": entry.title,
        "feedback": entry.feedback,
        "users": entry.users,
        "items": entry.items,
        "interactions": entry.interactions,
        "counts": entry.counts,
        "status": _status(entry),
        "licence": entry.licence,
        "citation": entry.citation,
        "by hand": entry.manual or None,
        "traps": list(entry.traps),
        "files": [
            {
                "name": remote.name,
                "role": file.role,
                "checksum": str(remote.pin) if remote.pin else None,
                "bytes": remote.bytes,
                "addresses": list(remote.urls),
            }
            for file in entry.files
            for remote in (file.remote, file.archive)
            if remote
        ],
    }


def _readable(facts: JSONObject, indent: str = "") -> str:
    lines = []
    for key, value in facts.items():
        word = key.replace("_", " ")
        if isinstance(value, dict):
            lines += [f"{indent}{word}:", _readable(value, indent + "  ")]
        elif isinstance(value, list):
            lines += [f"{indent}{word}:"] if value else []
            for one in value:
                lines.append(_readable(one, indent + "  ") if isinstance(one, dict) else f"{indent}  - {one}")
        elif value is not None:
            lines.append(f"{indent}{word}: {_cell(value)}")
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value or "")


def _word(verified: bool) -> str:
    return "verified" if verified else "NOT verified"
