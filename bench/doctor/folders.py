"""Folders for runs and data: whether they can be written and locked, what is in them, and whether data can be had."""

from __future__ import annotations

import fcntl
import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from bench.doctor import OK, PROBLEM, WARNING, Found
from bench.files import RESULTS, check_writable

LEAST, COMFORTABLE = 100 << 20, 2 << 30
"""Bytes without which a run may not end, and without which data sets may not fit."""

DATA = "free it, or set BENCH_DATA to a folder that can be written"


def runs(results: str | None) -> Found:
    """Whether runs can be kept."""
    return _kept(_root(results), RESULTS, "runs are kept in")


def data() -> Found:
    """Whether data can be kept."""
    from datasets.cache import home

    return _kept(home(), DATA, "data are kept in")


def _kept(folder: Path, cure: str, said: str) -> Found:
    """Whether a folder, or the first above it that exists, can be written, and files in it locked."""
    check_writable(folder, cure, folder=True)
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir():
        return Found(PROBLEM, f"{folder} cannot be a folder, for {there} is a file", cure)
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"1")
            file.flush()
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                mount = "mount its file system with POSIX locks, or name a folder elsewhere"
                return Found(PROBLEM, f"files in {there} cannot be locked ({error.strerror or error})", mount)
    except OSError as error:
        return Found(PROBLEM, f"{folder} cannot be written ({error.strerror or error})", cure)
    return Found(OK, f"{said} {folder.absolute()}")


def store(results: str | None) -> Found:
    """Whether every run that is kept can be read by this version."""
    from bench.runs.store import Store
    from bench.runs.stored import SCHEMA

    folders = Store(_root(results)).folders()
    schemas = {folder: _schema(folder / "run.json") for folder in folders}
    wrong = [folder.name for folder, schema in schemas.items() if schema != SCHEMA]
    if not wrong:
        return Found(OK, f"{len(folders)} {'run' if len(folders) == 1 else 'runs'}, all of schema {SCHEMA}")
    told = ", ".join(f"{count} of schema {schema}" for schema, count in Counter(map(str, schemas.values())).items())
    others = " …" if len(wrong) > 3 else ""
    fix = f"remove those that are not of schema {SCHEMA} with `bench runs rm {' '.join(wrong[:3])}{others}`"
    return Found(
        PROBLEM, f"runs that this version cannot read: {told.replace('schema None', 'no readable schema')}", fix
    )


def _schema(file: Path) -> object:
    try:
        return json.loads(file.read_text(encoding="utf-8")).get("schema")
    except (OSError, ValueError, AttributeError):
        return None


def leftovers(results: str | None) -> Found:
    """Whether killed commands left something behind."""
    halves = [*_root(results).glob("*/.writing-*")]
    if halves:
        return Found(WARNING, f"{len(halves)} half-written runs of killed commands", "remove them with `bench runs gc`")
    return Found(OK, "no half-written runs")


def disk(results: str | None, least: int = LEAST, comfortable: int = COMFORTABLE) -> Found:
    """Whether there is room for runs, for data and for what workers write meanwhile."""
    from datasets.cache import home

    free = {folder: _free(folder) for folder in (_root(results), home(), Path(tempfile.gettempdir()))}
    folder = min(free, key=lambda one: free[one])
    said = f"{free[folder] / (1 << 30):.1f} GB are free for {folder.absolute()}"
    fix = "free some with `bench data gc`, or set BENCH_RESULTS, BENCH_DATA and TMPDIR to another disk"
    if free[folder] < comfortable:
        return Found(PROBLEM if free[folder] < least else WARNING, said, fix)
    return Found(OK, said)


def _free(folder: Path) -> int:
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    return shutil.disk_usage(there).free


def sources(dataset: str) -> Found:
    """Whether the data set is here, or some source of it answers."""
    from datasets.consent import Consent
    from datasets.reach import answers
    from datasets.source import Catalogued, resolve

    source, consent = resolve(dataset), Consent()
    if source.here(consent) or not isinstance(source, Catalogued):
        return Found(OK, f"{dataset} is here")
    told = answers(source.entry, consent)
    if served := [where for where, why in told if not why]:
        return Found(OK, f"{dataset} can be had from {served[0]}")
    fix = (
        f"get it elsewhere by `bench data export FOLDER {dataset}` and set BENCH_DATA_MIRROR to the folder here, "
        "set HTTPS_PROXY where there is a proxy, or use a file of your own"
    )
    why = "; ".join(f"{where} {why}" for where, why in told) or "the network is switched off, and there is no mirror"
    return Found(PROBLEM, f"{dataset} is not here and no source answers ({why})", fix)


def _root(results: str | None) -> Path:
    from bench.runs.store import store_at

    return store_at(results).root
