"""A run of the store read back, every file of it compared with the hash of what was written."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.files import JSONObject
from bench.runs.hashes import record_sha256, result_sha256
from bench.runs.spec import run_id_of
from bench.runs.users import read_users
from datasets.errors import UserError
from datasets.table import Labels
from recmodels.metrics import Ranks, user_metrics
from recmodels.sampled_metrics import sampled_metrics

SCHEMA = 2  # 1 had no hashes
EMBEDDINGS = "embeddings.npz"
SEVERAL = "Metrics expected over samples are for splits with one test item per user; this one has several."
HISTORY = ("epoch", "loss", "valid", "seconds")


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
    def depth(self) -> int | None:
        """Metrics@K are known for K up to this, where imported lists are cut off; None for every K."""
        imported = self.record.get("imported")
        return None if imported is None else imported["depth"]

    @property
    def has_embeddings(self) -> bool:
        """Whether its trained vectors are kept."""
        return (self.path / EMBEDDINGS).exists()

    def user_metrics(
        self, cutoffs: list[int], sampled: int | None = None
    ) -> tuple[Labels, dict[str, NDArray[np.float64]]]:
        """Labels of the test users, and one value per user for each metric@K; any cut-offs, from the stored ranks.

        What imported lists are too short to know is left out. With `sampled`, the values are those expected if each
        user's rivals were so many candidates drawn at random.

        Raises:
            UserError: a damaged run, as `measured` says; `sampled` for users with several held-out items, or more than
                the candidates there are.
        """
        labels, ranks = self.measured()
        if sampled is None:
            known = [k for k in cutoffs if self.depth is None or k <= self.depth]
            return labels, user_metrics(ranks, known)[1] if known else {}
        if self.depth is not None:
            raise UserError(
                f"Run {self.run_id} was imported from lists that are cut off after {self.depth} items, of which "
                "metrics over samples cannot be computed; import scores of all items, or leave --expect-sampled out."
            )
        if len(ranks.users) != len(labels):
            raise UserError(SEVERAL)
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
