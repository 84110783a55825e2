"""The store of finished runs: `<results>/<dataset>/<run_id>/`, written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.files import RESULTS, JSONObject, writing
from bench.runs.hashes import record_sha256, result_sha256
from bench.runs.stored import EMBEDDINGS, HISTORY, SCHEMA, Damaged, StoredRun, read
from bench.runs.users import user_table
from datasets.errors import UserError
from datasets.table import Labels
from recmodels.metrics import Ranks

if TYPE_CHECKING:
    from bench.runs.imported import ImportedSpec
    from bench.runs.spec import Data, RunSpec

_ID = re.compile(r"[0-9a-f]{16}(-[a-z]+)?").fullmatch
LAST_EPOCH = "the best epoch was the last allowed; more epochs may help"


@dataclass(frozen=True)
class Result:
    """A finished run, before it is written.

    Attributes:
        users: (T,) labels of the test users, in the order of `ranks`.
        ranks: where each held-out item stands; `None` for a run that failed.
        history: one line per epoch, see `HISTORY`.
        seconds: {"train", "evaluate", "total"}.
        provenance: code, versions, machine and data.
        warnings: sentences for whoever reads a table made of this run.
        failure: {"reason", "traceback"} of a run that failed; the traceback becomes `traceback.txt`.
        peak_bytes: most memory the process held while it ran; None where the system does not say.
        imported: what file of another program the ranks come from, and what of it was used; None for a run of ours.
        settled: the epoch in which the last schedule of the training ends.
        given_up: the epoch in which a trial was given up; such a result is no run.
        embeddings: arrays to keep, where they were asked for.
    """

    users: Labels
    ranks: Ranks | None
    history: list[tuple[int, float, float, float]]
    best_epoch: int
    seconds: dict[str, float]
    provenance: JSONObject
    diagnostics: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    settled: int = 0
    given_up: int | None = None
    failure: dict[str, str] | None = None
    embeddings: Mapping[str, Labels] | None = None
    peak_bytes: int | None = None
    imported: JSONObject | None = None


UNFINISHED = ".unfinished"


def failed(reason: str, traceback: str = "") -> Result:
    """The result of a run of which nothing is known but why it failed."""
    return Result(np.empty(0), None, [], 0, {}, {}, failure={"reason": reason, "traceback": traceback})


def store_at(folder: str | None) -> Store:
    """The store in `folder`, in `BENCH_RESULTS`, or in results/runs.

    Raises:
        UserError: the name of the folder is empty.
    """
    if folder == "":
        raise UserError("The name of the results folder is empty; give a folder, or leave it out.")
    return Store(Path(folder or os.environ.get("BENCH_RESULTS") or "results/runs"))


class Store:
    """Runs under one folder. Reading never changes it; writing is a rename, so a killed run leaves nothing behind."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, spec: RunSpec | ImportedSpec, device: str = "cpu") -> Path:
        """Where the run of `spec` is kept; another kind of device has its own place, for its numbers differ."""
        kind = device.partition(":")[0]
        return self.root / spec.data.folder / (spec.run_id if kind == "cpu" else f"{spec.run_id}-{kind}")

    def unfinished(self, spec: RunSpec, device: str = "cpu") -> Path:
        """A folder for what a training is kept by until its run is saved; it is there only where that takes long."""
        path = self.path(spec, device)
        return path.parent / UNFINISHED / path.name

    def find(self, spec: RunSpec | ImportedSpec, device: str = "cpu") -> StoredRun | None:
        """The finished run of `spec` on this kind of device, or None."""
        path = self.path(spec, device)
        return self.at(path.parent.name, path.name)

    def at(self, dataset: str, name: str) -> StoredRun | None:
        """The finished run in the folder `<dataset>/<name>`, or None."""
        path = self.root / dataset / name
        return read(path) if (path / "run.json").exists() else None

    def folders(self) -> list[Path]:
        """The folder of every run, by path, also of those whose `run.json` is lost."""
        found = self.root.glob("*/[!.]*")  # a leading dot is a run that was never finished
        return sorted(path for path in found if (path / "run.json").exists() or (path.is_dir() and _ID(path.name)))

    def runs(self) -> Iterator[StoredRun]:
        """Every finished run, by path.

        Raises:
            Damaged: a `run.json` is not as it was written.
        """
        yield from map(read, self.folders())

    def training_rows(self, data: Data) -> int | None:
        """How many rows the training part of these data has, as a finished run on them tells; None without one."""
        for path in sorted((self.root / data.folder).glob("[!.]*/run.json")):
            with suppress(Damaged):
                record = read(path.parent).record
                if (record["spec"]["data_sha256"], record["spec"]["protocol"]) == (data.sha256, dict(data.protocol)):
                    rows = record["provenance"].get("facts", {}).get("train")
                    if isinstance(rows, int):
                        return rows
        return None

    def save(self, spec: RunSpec | ImportedSpec, result: Result, cutoffs: list[int], device: str = "cpu") -> StoredRun:
        """Write a run; if another process was first, keep what it wrote.

        Raises:
            UserError: the folder cannot be written.
        """
        target = self.path(spec, device)
        if result.embeddings is not None:
            stored = self.find(spec, device)
            if stored is not None and stored.failure is None:
                return _with_embeddings(stored, result)
        with _writing(target.parent) as temporary:
            record = _record(spec, result)
            if result.ranks is not None:
                table, means = user_table(result.users, result.ranks, cutoffs)
                record["metrics"] = means
                import pyarrow.parquet as pq

                pq.write_table(table, temporary / "users.parquet", compression="zstd")
            lines = [",".join(HISTORY), *(f"{e},{loss!r},{valid!r},{s:.4f}" for e, loss, valid, s in result.history)]
            history = ("\n".join(lines) + "\n").encode()
            (temporary / "history.csv").write_bytes(history)
            record["history_sha256"] = hashlib.sha256(history).hexdigest()
            record["record_sha256"] = record_sha256(record)
            if result.embeddings is not None:
                np.savez_compressed(temporary / EMBEDDINGS, **result.embeddings)  # type: ignore[arg-type]
            text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
            if result.failure is not None and result.failure.get("traceback"):
                (temporary / "traceback.txt").write_text(result.failure["traceback"], encoding="utf-8")
            (temporary / "run.json").write_text(text, encoding="utf-8")
            _put(temporary, target)
        return read(target)

    def copy(self, run: StoredRun) -> None:
        """Copy a run of another store into this one; a finished run that is here stays.

        Raises:
            UserError: the folder cannot be written.
        """
        target = self.root / run.path.parent.name / run.path.name
        with _writing(target.parent) as temporary:
            for file in run.path.iterdir():
                shutil.copyfile(file, temporary / file.name)
            _put(temporary, target)


def _with_embeddings(run: StoredRun, result: Result) -> StoredRun:
    """The stored run with the vectors of the same run, trained again for them.

    Raises:
        UserError: it came out otherwise, or the folder cannot be written.
    """
    assert result.embeddings is not None
    if result.ranks is None or result_sha256(result.users, result.ranks) != run.record["result_sha256"]:
        raise UserError(
            f"Run {run.run_id} came out otherwise than it is stored, by other code or on another processor, so that "
            f"its vectors would not fit; remove it with `bench runs rm {run.path.name}` and run it again."
        )
    with _writing(run.path.parent) as temporary:
        file = temporary / EMBEDDINGS
        np.savez_compressed(file, **result.embeddings)  # type: ignore[arg-type]
        _flush(file)
        file.rename(run.path / EMBEDDINGS)
        temporary.rmdir()
    return run


def _put(temporary: Path, target: Path) -> None:
    """Move a whole run to its place: what is there stays if it is finished and gives way if it failed.

    The content reaches the disk before the name does, so that not even a power cut leaves a name without content.
    """
    for path in (*temporary.iterdir(), temporary):
        _flush(path)
    while True:
        try:
            temporary.rename(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            _flush(target.parent)
            return
        if _finished(target):
            shutil.rmtree(temporary)
            return
        with suppress(FileNotFoundError):  # another process may have moved it first
            target.rename(temporary.with_name(f"{temporary.name}-replaced"))
        shutil.rmtree(temporary.with_name(f"{temporary.name}-replaced"), ignore_errors=True)


def _finished(folder: Path) -> bool:
    try:
        return read(folder).failure is None
    except Damaged:
        return False


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _writing(folder: Path) -> Iterator[Path]:
    """A temporary folder beside the final one, removed if anything goes wrong."""
    with writing(folder, RESULTS):
        folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder))
        temporary.chmod(0o777 & ~_umask())
    try:
        yield temporary
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise UserError(
            f"Writing to {folder} failed ({error.strerror or error}); nothing half-written was left, and the "
            "same command goes on from there once there is room."
        ) from error
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _record(spec: RunSpec | ImportedSpec, result: Result) -> JSONObject:
    return {
        "schema": SCHEMA,
        "run_id": spec.run_id,
        "spec": spec.as_dict(),
        "result_sha256": None if result.ranks is None else result_sha256(result.users, result.ranks),
        "metrics": {},
        "epochs": result.history[-1][0] if result.history else 0,
        "best_epoch": result.best_epoch,
        "settled": result.settled,
        "seconds": {key: round(value, 4) for key, value in result.seconds.items()},
        "diagnostics": result.diagnostics,
        "provenance": result.provenance,
        "warnings": list(result.warnings),
        "peak_bytes": result.peak_bytes,
        "failure": None if result.failure is None else {"reason": result.failure["reason"]},
        **({} if result.imported is None else {"imported": result.imported}),
    }
