"""Which column is the user, the item, the rating, the time: from `--columns`, a header, or the first line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets.errors import UserError, unknown

ROLES = ("user", "item", "rating", "timestamp")

_ALIASES = {
    "user": "user userid uid useridx username userno usersession customer customerid reviewerid reviewer member "
    "memberid session sessionid visitorid person",
    "item": "item itemid iid itemidx itemno movie movieid asin parentasin product productid business businessid "
    "book bookid isbn artist artistid song songid track trackid video videoid anime animeid article articleid "
    "game gameid app appid location locationid poi sku",
    "rating": "rating ratings score stars value weight count counts plays overall bookrating preference watchratio "
    "star starrating",
    "timestamp": "timestamp timestamps time times ts date datetime unixreviewtime unixtime createdat created "
    "reviewtime epoch",
}
ROLE_OF = {alias: role for role, words in _ALIASES.items() for alias in words.split()}


@dataclass(frozen=True)
class Layout:
    """How a text file is laid out.

    Attributes:
        separator: one character, or `::`.
        header: whether the first line names the columns.
        roles: column number → role, for the columns that are read.
        width: number of columns.
        encoding: of the text.
    """

    separator: str
    header: bool
    roles: dict[int, str]
    width: int
    encoding: str = "utf-8"

    def column(self, role: str) -> int | None:
        """The number of the column with this role, or None."""
        return next((k for k, v in self.roles.items() if v == role), None)


def parse_columns(text: str | Sequence[str]) -> list[str] | dict[str, str]:
    """`--columns`: roles by position (`user,item,-,timestamp`), or header names by role (`user=uid,item=sku`).

    Raises:
        UserError: an unknown role, one given twice, or no user or item.
    """
    parts = [part.strip() for part in (text.split(",") if isinstance(text, str) else text)]
    named = any("=" in part for part in parts)
    pairs = [part.partition("=") if named else (part, "", part) for part in parts]
    roles = [role for role, _, _ in pairs if role != "-"]
    for role in roles:
        if role not in ROLES:
            raise unknown("column role", role, [*ROLES, "-"])
        if roles.count(role) > 1:
            raise UserError(f"--columns names '{role}' twice; each of {', '.join(ROLES)} may be given once.")
    for role in ("user", "item"):
        if role not in roles:
            raise UserError(f"--columns names no '{role}'; give at least user and item, as in user,item,rating.")
    return {role: name for role, _, name in pairs} if named else parts


def sniff(path: Path, columns: str | Sequence[str] | None = None) -> Layout:
    """The layout of a text file, from its first line and `--columns`.

    A first line of numbers only has no header and reads user, item[, rating[, timestamp]].

    Raises:
        UserError: an empty or binary file, one column only, or no column for users or items.
    """
    with path.open("rb") as stream:
        head = stream.read(1 << 16)
    if not head.strip():
        raise UserError(f"{path.name} is empty; give a file with one interaction a line.")
    if b"\0" in head:
        raise UserError(f"{path.name} is not a text file; give CSV or TSV, or Parquet under the name *.parquet.")
    encoding = "utf-8"
    try:
        head[: head.rfind(b"\n") + 1].decode("utf-8")
    except UnicodeDecodeError:
        encoding = "latin-1"
    first = head.decode(encoding, errors="replace").removeprefix("\ufeff").splitlines()[0]
    separator = next((s for s in ("::", "\t", ",", ";", "|", " ") if s in first.strip()), "")
    if not separator:
        raise UserError(
            f"{path.name} has one column only ('{first[:40]}'); separate user and item by a comma or a tab."
        )
    fields = [field.strip().strip('"') for field in first.split(separator)]
    wanted = parse_columns(columns) if columns else None
    if isinstance(wanted, list):
        if len(wanted) > len(fields):
            raise UserError(
                f"{path.name} has {len(fields)} columns, but --columns names {len(wanted)}: {','.join(wanted)}."
            )
        roles = {k: role for k, role in enumerate(wanted) if role != "-"}
        header = any(roles.get(k) in ("rating",) and not _number(f) for k, f in enumerate(fields))
        return Layout(separator, header, roles, len(fields), encoding)
    if wanted is None and all(_number(field) for field in fields):
        return Layout(separator, False, dict(enumerate(ROLES[: len(fields)])), len(fields), encoding)
    return Layout(separator, True, header_roles(path.name, fields, wanted), len(fields), encoding)


def header_roles(file: str, fields: Sequence[str], wanted: dict[str, str] | None) -> dict[int, str]:
    """Column number → role for a header.

    Raises:
        UserError: a role without a column, or with two.
    """
    roles: dict[int, str] = {}
    for role in ROLES:
        if wanted is not None:
            found = [k for k, field in enumerate(fields) if field == wanted.get(role)]
            if role in wanted and not found:
                raise unknown(f"column of {file}", wanted[role], fields)
        else:
            found = [k for k, field in enumerate(fields) if ROLE_OF.get(_plain(field)) == role]
            exact = [k for k in found if _plain(fields[k]) in (role, f"{role}id")]
            found = exact if len(exact) == 1 else found
        if len(found) > 1:
            several = ", ".join(fields[k] for k in found)
            raise UserError(f"{file} has several columns for the {role} ({several}); choose with --columns {role}=….")
        if not found and role in ("user", "item"):
            raise UserError(
                f"{file} has no column for the {role} among {', '.join(fields)}; name it with --columns "
                f"user=NAME,item=NAME, or where there is no header --columns user,item,rating,timestamp."
            )
        roles |= {k: role for k in found}
    return roles


def _plain(field: str) -> str:
    """A header name without case, blanks, underscores and RecBole's `:type`."""
    return re.sub(r"[^a-z]", "", field.partition(":")[0].lower())


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
