"""SHA-256 of what a run measured and of what is written about it, so that a changed run is found out.

What was measured is hashed as these bytes, which any language can write, whatever the machine and the file format:

    contrarec result 1\\n
    user int64 T\\n        T user labels          (or: user text T\\n, T lengths in bytes, then the labels as UTF-8)
    items int64 T\\n       held-out items of each user
    better int64 R\\n      for each held-out item, user by user: candidates with a higher score
    tied int64 R\\n        the others with the same score
    candidates int64 T\\n  items ranked for each user

All numbers are little-endian signed integers of 64 bits; nothing stands between or after the parts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from datasets.table import Labels
from recmodels.metrics import Ranks


def result_sha256(users: Labels, ranks: Ranks) -> str:
    """Hex digest of the labels (T,) of the test users and of where their held-out items stand."""
    _, starts, items = np.unique(ranks.users, return_index=True, return_counts=True)
    digest = hashlib.sha256(b"contrarec result 1\n")
    if users.dtype.kind in "iu":
        _add(digest.update, "user int64", users)
    else:
        labels = [str(label).encode() for label in users.tolist()]
        _add(digest.update, "user text", np.array([len(label) for label in labels], np.int64))
        digest.update(b"".join(labels))
    per_user = (("items", items), ("better", ranks.better), ("tied", ranks.tied))
    for name, values in (*per_user, ("candidates", ranks.candidates[starts])):
        _add(digest.update, f"{name} int64", values)
    return digest.hexdigest()


def record_sha256(record: Mapping[str, object]) -> str:
    """Hex digest of a `run.json` without its own `record_sha256`: its JSON with sorted keys and no spaces, in UTF-8."""
    content = {key: value for key, value in record.items() if key != "record_sha256"}
    return hashlib.sha256(canonical(content).encode("utf-8", "surrogatepass")).hexdigest()


def list_sha256(runs: Iterable[tuple[str, str]]) -> str:
    """Hex digest of a table's runs in its order: lines `<run id> <result sha256>`, no newline after the last."""
    return hashlib.sha256("\n".join(f"{run} {result}" for run, result in runs).encode()).hexdigest()


def canonical(value: object) -> str:
    """JSON that is the same for the same content: sorted keys, no spaces, no escapes beyond what JSON needs."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _add(update: Callable[[bytes], None], name: str, values: Labels) -> None:
    update(f"{name} {len(values)}\n".encode())
    update(np.ascontiguousarray(values, "<i8").tobytes())
