"""A user's mistake, said in one sentence."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """What was given, what is allowed and what to do next; the command line prints it and exits with 2."""


def unknown(kind: str, given: str, known: Iterable[str]) -> UserError:
    """The error for a name nobody has registered, with the closest known name where there is one."""
    known = sorted(known)
    close = get_close_matches(given, known, n=1, cutoff=0.5)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return UserError(f"No {kind} is called '{given}'.{hint} Known: {', '.join(known)}.")
