"""Whether a published table is what its runs measured: every file of it, computed again from ranks and settings.

A file that was changed is named with the place of the change where it can be computed from the others, and by its
SHA-256 where it cannot. Whoever changes ranks, settings and all hashes together has made another table, with another
digest; that such runs do not come out is what `bench.results.rerun` finds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bench.files import JSONObject
from bench.results.differences import differences, first_difference, same, same_setting
from bench.results.heads import row_faults, table_faults
from bench.results.published import (
    DOCUMENTS,
    MANIFEST,
    RANKS,
    TABLE,
    TUNED,
    OtherSchema,
    Published,
    manifest_sha256,
    read_manifest,
    texts,
)
from bench.results.ranks import read_ranks
from bench.results.records import faults
from bench.results.trials import trial_faults
from bench.runs.spec import LATER
from bench.tuning import tuned
from datasets.errors import UserError


class Finding(NamedTuple):
    """Something that is not as it was published: the file, and what is wrong in it."""

    file: str
    said: str


def verify(folder: Path) -> list[Finding]:
    """All that is wrong with a published table; nothing where it is as its runs say.

    Raises:
        OtherSchema: another version wrote the manifest.
    """
    try:
        manifest = read_manifest(folder)
    except OtherSchema:
        raise
    except UserError as error:
        return [Finding(MANIFEST, str(error).removeprefix(f"{folder / MANIFEST} ").rstrip("."))]
    try:
        found = [*_evidence(folder, manifest)]
        if not found or all(one.file == TUNED for one in found):
            found += _table(folder, manifest)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, UserError) as error:
        said = f"cannot be computed with: {type(error).__name__}: {error}".rstrip(".")
        found = [Finding(MANIFEST, said)]
    named = {one.file for one in found}
    changed = [one for one in _changed(folder, manifest) if one.file not in named]
    return [*found, *changed]


def _evidence(folder: Path, manifest: JSONObject) -> Iterator[Finding]:
    """Ranks against hashes, run ids against settings, rows against specs, settings against their search."""
    intact = _sha256(folder / RANKS) == manifest["files"][RANKS]
    try:
        ranks = read_ranks(folder / RANKS)
    except FileNotFoundError:
        yield Finding(RANKS, "is missing")
        return
    except Exception as error:  # pyarrow tells of bad bytes in many ways
        yield Finding(RANKS, f"cannot be read: {(str(error).splitlines() or [''])[0]}")
        return
    cells = manifest["cells"]
    for cell in cells:
        for what, said in faults(cell, ranks):
            yield Finding(MANIFEST if what == "ids" or (what == "results" and intact) else RANKS, said)
        for said in row_faults(cell):
            yield Finding(MANIFEST, said)
        if (protocol := cell["spec"]["code_protocol"]) != manifest["code_protocol"]:
            said = f"code_protocol is {manifest['code_protocol']}; cells[{cell['name']}] has {protocol}"
            yield Finding(MANIFEST, said)
    known = {run["run"] for cell in cells for run in cell["runs"]}
    for run in ranks.keys() - known:
        yield Finding(RANKS, f"has a run {run} that the table has not")
    searched: Mapping[str, tuned.TunedCell] = {}
    if (folder / TUNED).exists() or any(cell["study"] is not None for cell in cells):
        try:
            chosen = tuned.read(folder / TUNED)
        except UserError as error:
            yield Finding(TUNED, str(error).rstrip("."))
            return
        searched = chosen.cells
        yield from _search(chosen, manifest)
    yield from (Finding(MANIFEST, said) for said in table_faults(manifest, searched))


def _search(chosen: tuned.Tuned, manifest: JSONObject) -> Iterator[Finding]:
    """What `tuned.toml` says against the trials that were kept, and against the settings of the runs."""
    cells = [cell for cell in manifest["cells"] if cell["study"] is not None]
    yield from (Finding(TUNED, said) for said in _asked_otherwise(chosen, cells, manifest))
    for cell in cells:
        name, found = cell["study"], chosen.cells.get(cell["study"])
        if found is None:
            yield Finding(TUNED, f"has no cell {name}")
            continue
        told = [*_unused(found, cell["spec"]), *trial_faults(found, cell["trials"], cell["finalists"], chosen.study)]
        yield from (Finding(TUNED, f'cells."{name}".{said}') for said in told)


def _asked_otherwise(chosen: tuned.Tuned, cells: list[JSONObject], manifest: JSONObject) -> Iterator[str]:
    """Where `tuned.toml` is of another search than the one that the manifest keeps of each cell."""
    for name in chosen.cells.keys() - {cell["study"] for cell in cells}:
        yield f"has a cell {name} that no row was searched for"
    if chosen.command != manifest["commands"][0]:
        yield f"command is {chosen.command}, not {manifest['commands'][0]}"
    for cell in cells:
        told = {f"key.{key}": (chosen.key.get(key), cell["spec"][key]) for key in ("data_sha256", "code_protocol")}
        asked = {key: value for key, value in cell["search"].items() if key in chosen.study}
        told |= {f"study.{key}": (chosen.study[key], value) for key, value in asked.items()}
        for key, (said, known) in told.items():
            if not same(said, known):
                yield f"{key} is {said}; cells[{cell['name']}] has {known}"


def _unused(found: tuned.TunedCell, spec: JSONObject) -> Iterator[str]:
    """Values that were chosen and that the runs do not have."""
    for key, value in found.values.items():
        kind, dot, option = key.rpartition(".")
        part = spec["model" if kind == "baseline" else kind] if dot else None
        values, owner = (part["parameters"], part["name"]) if part else (spec["settings"], "settings")
        used = values.get(option, LATER.get(owner, {}).get(option))
        if not same_setting(value, used):
            yield f"values.{key} is {value}; the runs have {used}"


def _table(folder: Path, manifest: JSONObject) -> Iterator[Finding]:
    """The table computed from the ranks against its files."""
    computed = texts(Published(folder, manifest, read_ranks(folder / RANKS)).comparison())
    try:
        written: Any = json.loads((folder / TABLE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        yield Finding(TABLE, "is missing")
    except (OSError, ValueError) as error:
        yield Finding(TABLE, f"cannot be read ({error})")
    else:
        for said in differences(written, json.loads(computed[TABLE])):
            yield Finding(TABLE, f"{said}, as the ranks give it")
    for name in DOCUMENTS:
        try:
            text = (folder / name).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            yield Finding(name, f"cannot be read ({error})" if (folder / name).exists() else "is missing")
            continue
        if differs := first_difference(text, computed[name]):
            yield Finding(name, differs)


def _changed(folder: Path, manifest: JSONObject) -> Iterator[Finding]:
    """Files whose bytes are others than those that were published."""
    files = manifest.get("files")
    for name, sha256 in files.items() if isinstance(files, Mapping) else ():
        if (found := _sha256(folder / name)) != sha256:
            said = "is missing" if found is None else f"was changed: its sha256 is {found}, the manifest has {sha256}"
            yield Finding(name, said)
    if manifest_sha256(manifest) != manifest.get("manifest_sha256"):
        yield Finding(MANIFEST, "was changed: its content has another sha256 than manifest_sha256 says")


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
