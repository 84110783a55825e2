"""Seeds derived by name, so that one part of a run can change without moving the others."""

from __future__ import annotations

import hashlib
import json

import numpy as np


def derive(seed: int, *names: str | int) -> int:
    """A 64-bit seed for the part called `names` of the run with this `seed`: SHA-256 of their JSON list."""
    digest = hashlib.sha256(json.dumps([seed, *names]).encode()).digest()
    return int.from_bytes(digest[:8], "little")


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """The random stream of the part called `names`; the same numbers on every device."""
    return np.random.Generator(np.random.SFC64(derive(seed, *names)))
