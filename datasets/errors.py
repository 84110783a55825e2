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
        aliases: what others call them, and the name of each here; an alias of a name that is not known is no hint.
    """
    known = sorted(set(known))
    meant = {alias: name for alias, name in (aliases or {}).items() if name in known}
    close = closest(given, [*known, *meant])
    called = f" ({close})" if close in meant and close not in known and plain(close) != plain(given) else ""
    hint = f" Did you mean '{meant.get(close, close)}'{called}?" if close else ""
    return UserError(f"No {kind} is called '{given}'.{hint} Known: {', '.join(known)}.")


def closest(given: str, words: Iterable[str]) -> str | None:
    """The word that was meant: the same but for capitals and signs, or spelled alike, or the only one so begun."""
    spelled = {plain(word): word for word in words}
    text = plain(given)
    if text in spelled:
        return spelled[text]
    if close := get_close_matches(text, spelled, n=1, cutoff=0.6 if len(text) > 3 else 0.75):
        return spelled[close[0]]
    if swapped := [word for spelling, word in spelled.items() if sorted(spelling) == sorted(text)]:
        return swapped[0]
    begun = [word for spelling, word in spelled.items() if len(text) > 2 and spelling.startswith(text)]
    return begun[0] if len(begun) == 1 else None


def plain(name: str) -> str:
    """The letters and digits of a name, small."""
    return "".join(filter(str.isalnum, name.casefold()))
