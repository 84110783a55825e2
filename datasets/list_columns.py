"""Which column of a file of lists is the user, the item, the score, the rank, the seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from datasets.columns import RARER, USUAL, listed, plain
from datasets.errors import UserError, unknown
from datasets.sniff import Layout, cells_of, number

ROLES = ("user", "item", "score", "rank", "seed")
NAMES = {
    "score": "score scores prediction pred predicted predictedscore predictedrating yhat relevance similarity estimate "
    "rating value",
    "rank": "rank ranks ranking position pos place",
    "seed": "seed randomseed randomstate",
}
_ALIASES = {word: role for role, words in NAMES.items() for word in words.split()}
TREC = ("user", "", "item", "rank", "score", "tag")
"""The columns of a TREC run file: query, Q0, document, rank, score, name of the run."""
COLUMNS = "--list-columns"


def is_trec(line: str) -> bool:
    """Whether it is a line of a TREC run file."""
    fields = line.split()
    return len(fields) == len(TREC) and "," not in line and number(fields[3]) and number(fields[4])


def layout_of(name: str, lines: Sequence[str], columns: str | None) -> Layout:
    """Separator, header and roles of a text file."""
    first = lines[0]
    separator = next((s for s in ("\t", ",", ";", "|", " ") if s in first.strip()), "")
    if not separator:
        raise UserError(f"{name} has one column only ('{first[:40]}'); it needs user, item and score or rank.")
    fields = cells_of(first, separator)
    by_position = columns is not None and "=" not in columns
    header = not all(map(number, fields))
    if by_position and header:
        spoken = _spoken(columns or "")
        values = [field for field, role in zip(fields, spoken, strict=False) if role in ("score", "rank")]
        header = not all(map(number, values))
    elif columns is None and not header:
        raise UserError(
            f"{name} has no header; say what its columns are, as in {COLUMNS} user,item,score or user,item,rank."
        )
    return Layout(separator, header, roles_of(name, fields, columns), len(fields), names=tuple(fields))


def _spoken(columns: str) -> list[str]:
    """The words of `--list-columns`.

    Raises:
        UserError: an unknown role, or one given twice.
    """
    words = [word.strip() for word in columns.split(",")]
    roles = [word.partition("=")[0].strip() for word in words]
    for role in roles:
        if role != "-" and role not in ROLES:
            raise unknown("role of a list's column", role, [*ROLES, "-"])
        if role != "-" and roles.count(role) > 1:
            raise UserError(f"{COLUMNS} names '{role}' twice; give each of {', '.join(ROLES)} once.")
    return words


def roles_of(name: str, fields: Sequence[str], columns: str | None) -> dict[int, str]:
    """Column number → role; of score and rank only the score."""
    if columns is None:
        roles = _named(name, fields)
    elif "=" in columns:
        roles = {}
        for word in _spoken(columns):
            role, _, field = (part.strip() for part in word.partition("="))
            if field not in fields:
                raise unknown(f"column of {name}", field, fields)
            roles[fields.index(field)] = role
    else:
        words = _spoken(columns)
        if len(words) > len(fields):
            raise UserError(f"{name} has {len(fields)} columns, but {COLUMNS} names {len(words)}.")
        roles = {k: role for k, role in enumerate(words) if role != "-"}
    there = set(roles.values())
    for role in ("user", "item"):
        if role not in there:
            raise UserError(f"{name} has no column for the {role} among {', '.join(fields)}; name it with {COLUMNS}.")
    if not there & {"score", "rank"}:
        raise UserError(
            f"{name} has neither scores nor ranks among {', '.join(fields)}; name the column, as in {COLUMNS} "
            "user=…,item=…,score=…."
        )
    return {k: role for k, role in roles.items() if not (role == "rank" and "score" in there)}


def _named(name: str, fields: Sequence[str]) -> dict[int, str]:
    """Roles by the usual names of columns, users and items then by rarer ones."""
    roles: dict[int, str] = {}
    for role in ROLES:
        found = [k for k, field in enumerate(fields) if {**USUAL, **_ALIASES}.get(plain(field)) == role]
        exact = [k for k in found if plain(fields[k]) in (role, f"{role}id")]
        found = exact if len(exact) == 1 else found
        found = found or [k for k, field in enumerate(fields) if RARER.get(plain(field)) == role]
        if len(found) > 1:
            several = ", ".join(fields[k] for k in found)
            raise UserError(f"{name} has several columns for the {role} ({several}); choose with {COLUMNS} {role}=….")
        roles |= dict.fromkeys(found, role)
    return roles


def told_of(names: Sequence[str], roles: Mapping[int, str]) -> str:
    """What is read as what, and what is not used, in a line."""
    said = ", ".join(f"{role}={names[k]}" for k, role in sorted(roles.items(), key=lambda pair: ROLES.index(pair[1])))
    unused = [names[k] for k in range(len(names)) if k not in roles]
    return f"{said}; not used: {listed(unused)}" if unused else said
