"""Answers from the store: a trial is an ordinary run; one that was given up is kept beside the runs, as no run.

A trial that was given up is `<results>/<dataset>/.given-up/<run id>-<floors>.json`: what it was held to belongs to its
name, since with other floors it might have gone on. Where a whole run is in the store, its curve says what would have
been, so that a study is the same whatever was there before.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from bench.runs.hashes import canonical, record_sha256
from bench.runs.pruning import given_up
from bench.runs.spec import RunSpec
from bench.runs.store import Result, Store
from bench.tuning.study import Answer
from datasets.errors import UserError

FOLDER = ".given-up"


def trials(store: Store) -> list[Path]:
    """The files of all trials that were given up, by path."""
    return sorted(store.root.glob(f"*/{FOLDER}/*.json"))


def answer(store: Store, spec: RunSpec, floors: tuple[float, ...], device: str = "cpu") -> Answer | None:
    """What the store knows of the trial, or None.

    Raises:
        UserError: a file is not as it was written.
    """
    run = store.find(spec, device)
    if run is not None and run.failure is not None:
        return Answer(failure=run.failure, run_id=run.run_id, seconds=run.record["seconds"].get("total", 0.0))
    if run is not None:
        curve = tuple(line["valid"] for line in run.history())
        stopped = given_up(curve, floors, run.record.get("settled", 0))
        return Answer(curve[:stopped], stopped, run_id=run.run_id, seconds=run.record["seconds"]["total"])
    return _given_up(store, spec, floors, device)


def keep(store: Store, spec: RunSpec, floors: tuple[float, ...], result: Result, device: str = "cpu") -> None:
    """Write down a trial that was given up."""
    file = _file(store, spec, floors, device)
    record = {
        "run_id": spec.run_id,
        "spec": spec.as_dict(),
        "floors": list(floors),
        "given_up": result.given_up,
        "valid": [valid for _, _, valid, _ in result.history],
        "seconds": round(result.seconds["total"], 4),
    }
    record["record_sha256"] = record_sha256(record)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".writing")
    temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    temporary.replace(file)


def _given_up(store: Store, spec: RunSpec, floors: tuple[float, ...], device: str) -> Answer | None:
    file = _file(store, spec, floors, device)
    if not file.exists():
        return None
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        known = record["record_sha256"] == record_sha256(record) and record["run_id"] == spec.run_id
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is not a readable trial ({error}); delete it, and it is run again.") from error
    if not known:
        raise UserError(f"{file} was changed since it was written; delete it, and it is run again.")
    return Answer(tuple(record["valid"]), int(record["given_up"]), run_id=spec.run_id, seconds=record["seconds"])


def _file(store: Store, spec: RunSpec, floors: tuple[float, ...], device: str) -> Path:
    digest = hashlib.sha256(canonical(list(floors)).encode()).hexdigest()[:8]
    path = store.path(spec, device)
    return path.parent / FOLDER / f"{path.name}-{digest}.json"
