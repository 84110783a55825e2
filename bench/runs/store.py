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
from numpy.typing import NDArray

from bench.files import RESULTS, JSONObject, writing
from bench.runs.hashes import record_sha256, result_sha256
from bench.runs.spec import run_id_of
from bench.runs.users import read_users, user_table
from datasets.errors import UserError
from datasets.table import Labels
from recmodels.metrics import Ranks, user_metrics
from recmodels.sampled_metrics import sampled_metrics

if TYPE_CHECKING:
    from bench.runs.spec import RunSpec

SCHEMA = 2  # 1 had no hashes
EMBEDDINGS = "embeddings.npz"
LAST_EPOCH = "the best epoch was the last allowed; more epochs may help"
HISTORY = ("epoch", "loss", "valid", "seconds")


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


def failed(reason: str, traceback: str = "") -> Result:
    """The result of a run of which nothing is known but why it failed."""
    return Result(np.empty(0), None, [], 0, {}, {}, failure={"reason": reason, "traceback": traceback})


class Damaged(UserError):
    """A file of a run is not as it was written: what is wrong with it, and the cure."""

    def __init__(self, file: Path, what: str) -> None:
        super().__init__(f"{file} {what}; remove the run with `bench runs rm {file.parent.name}` and run it again.")


@dataclass(frozen=True)
class StoredRun:
    """A run read back: the content of `run.json`, and the ranks behind its metrics."""

    path: Path
    record: JSONObject

    @property
    def run_id(self) -> str:
        """Its content address."""
        return str(self.record["run_id"])

    @property
    def failure(self) -> str | None:
        """Why it failed, or None."""
        failure = self.record.get("failure")
        return None if failure is None else str(failure["reason"])

    def traceback(self) -> str:
        """Where it failed, as Python tells it; empty where nothing was raised."""
        file = self.path / "traceback.txt"
        return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""

    @property
    def has_embeddings(self) -> bool:
        """Whether its trained vectors are kept."""
        return (self.path / EMBEDDINGS).exists()

    def user_metrics(
        self, cutoffs: list[int], sampled: int | None = None
    ) -> tuple[Labels, dict[str, NDArray[np.float64]]]:
        """Labels of the test users, and one value per user for each metric@K; any cut-offs, from the stored ranks.

        With `sampled`, the values are those expected if each user's rivals were so many candidates drawn at random.

        Raises:
            UserError: a damaged run, as `measured` says; `sampled` for users with several held-out items, or more than
                the candidates there are.
        """
        labels, ranks = self.measured()
        if sampled is None:
            return labels, user_metrics(ranks, cutoffs)[1]
        if len(ranks.users) != len(labels):
            raise UserError(
                "Metrics expected over samples are for splits with one test item per user; this one has several."
            )
        try:
            return labels, sampled_metrics(ranks.better, ranks.tied, ranks.candidates, sampled, cutoffs)
        except ValueError as error:
            raise UserError(f"{sampled} sampled candidates is too many: {error}") from error

    def measured(self) -> tuple[Labels, Ranks]:
        """Labels of the test users, and where their held-out items stand, as they were when the run was written.

        Raises:
            Damaged: `users.parquet` is missing, cannot be read, or holds something else.
        """
        file = self.path / "users.parquet"
        try:
            labels, ranks = read_users(file)
        except FileNotFoundError:
            raise Damaged(file, "is missing") from None
        except Exception as error:  # pyarrow tells of bad bytes in many ways
            raise Damaged(file, f"cannot be read ({_said(error)})") from error
        if result_sha256(labels, ranks) != self.record["result_sha256"]:
            raise Damaged(file, "is not what the run measured (its sha256 differs from the one in run.json)")
        return labels, ranks

    def history(self) -> list[dict[str, float]]:
        """The training history, one dict per epoch.

        Raises:
            Damaged: `history.csv` is missing or holds something else than what was written.
        """
        file = self.path / "history.csv"
        try:
            content = file.read_bytes()
        except OSError as error:
            raise Damaged(file, f"cannot be read ({error.strerror or error})") from error
        if hashlib.sha256(content).hexdigest() != self.record["history_sha256"]:
            raise Damaged(file, "was changed (its sha256 differs from the one in run.json)")
        lines = content.decode().splitlines()[1:]
        return [dict(zip(HISTORY, map(float, line.split(",")), strict=True)) for line in lines]

    def check(self) -> dict[str, float]:
        """The means of all metrics that `run.json` names, computed anew; empty for a failed run.

        Raises:
            Damaged: a file is missing or was changed, or the means in `run.json` are others.
        """
        self.history()
        if self.failure is not None:
            return {}
        written = self.record["metrics"]
        cutoffs = sorted({int(name.partition("@")[2]) for name in written})
        means = {name: float(values.mean()) for name, values in self.user_metrics(cutoffs)[1].items()}
        if means.keys() != written.keys() or not np.allclose([*means.values()], [written[m] for m in means]):
            raise Damaged(self.path / "run.json", "has other means than its own ranks")
        return means


def store_at(folder: str | None) -> Store:
    """The store in `folder`, in `BENCH_RESULTS`, or in results/runs."""
    return Store(Path(folder or os.environ.get("BENCH_RESULTS") or "results/runs"))


class Store:
    """Runs under one folder. Reading never changes it; writing is a rename, so a killed run leaves nothing behind."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, spec: RunSpec, device: str = "cpu") -> Path:
        """Where the run of `spec` is kept; another kind of device has its own place, for its numbers differ."""
        kind = device.partition(":")[0]
        return self.root / spec.data.folder / (spec.run_id if kind == "cpu" else f"{spec.run_id}-{kind}")

    def find(self, spec: RunSpec, device: str = "cpu") -> StoredRun | None:
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

    def save(self, spec: RunSpec, result: Result, cutoffs: list[int], device: str = "cpu") -> StoredRun:
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


def _record(spec: RunSpec, result: Result) -> JSONObject:
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
    }


_ID = re.compile(r"[0-9a-f]{16}(-[a-z]+)?").fullmatch


def read(folder: Path) -> StoredRun:
    """The run in a folder, its `run.json` checked; `measured` and `history` check the other files when they read them.

    Raises:
        Damaged: `run.json` is missing, cannot be read, was changed, or is of another run or version.
    """
    file = folder / "run.json"
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        schema = record["schema"]
    except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
        raise Damaged(file, f"is not a readable run ({_said(error)})") from error
    if schema != SCHEMA:
        raise Damaged(file, f"has schema {schema} and this version reads schema {SCHEMA}")
    if record.get("record_sha256") != record_sha256(record):
        raise Damaged(file, "was changed (its content has another sha256 than record_sha256 says)")
    if not record["run_id"] == run_id_of(record["spec"]) == folder.name.partition("-")[0]:
        raise Damaged(file, f"is of another run ({record['run_id']}) than its folder")
    return StoredRun(folder, record)


def _said(error: Exception) -> str:
    """The error in one line that ends without a full stop."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text.splitlines() or [type(error).__name__])[0].rstrip(".")
