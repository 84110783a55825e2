"""What is wrong here, and the fix: small checks, which import nothing at their head that may be missing or shadowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

OK, WARNING, PROBLEM = "ok", "warning", "problem"
INSTALL = "run `make install` in the project, then use its .venv/bin/bench"


class Found(NamedTuple):
    """What a check found: a clause without a full stop, and what to do about it, empty where nothing is to be done."""

    state: str
    said: str
    fix: str = ""


Check = Callable[[], Found]
