"""A user's mistake, said in one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches


class UserError(ValueError):
    """What was given, what is allowed and what to do next; the command line prints it and exits with 2."""


def unknown(kind: str, given: str, known: Iterable[str], aliases: Mapping[str, str] | None = None) -> UserError:
    """The error for a name nobody has registered, with the closest known name where there is one.

    Args:
        kind: what was asked for, in words.
        given: the name.
        known: the names there are.
        aliases: what others call them, and the name of each here.
    """
    known, meant = sorted(known), aliases or {}
    close = get_close_matches(given, [*known, *meant], n=1, cutoff=0.5)
    called = f" ({close[0]})" if close and close[0] in meant else ""
    hint = f" Did you mean '{meant.get(close[0], close[0])}'{called}?" if close else ""
    return UserError(f"No {kind} is called '{given}'.{hint} Known: {', '.join(known)}.")
