"""Which column is the user, the item, the rating, the time: the words of `--columns` and of headers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from datasets.errors import UserError, unknown

ROLES = ("user", "item", "rating", "timestamp")
SEQUENCE = ["user", "items"]
"""What `--columns` says of lines that hold a user and all its items."""

Columns = str | Sequence[str] | None
"""How a file of one's own is to be read: `--columns`, perhaps with a time format; see `with_format`."""

REVISED = "reading 2"
"""Stands in the identity of files that version 1 read otherwise: dates, rarer names, parts of which some have times."""

_FORMAT = ";time-format="

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
_RARER = {
    "user": "client clientid buyer buyerid account accountid visitor customerno profileid usersha",
    "item": "skuid content contentid news newsid recipe recipeid course courseid venue venueid place placeid stockcode "
    "titleid docid documentid",
    "rating": "playcount listencount listens overallrating reviewrating userrating itemrating",
    "timestamp": "eventtime eventtimestamp eventdate eventtimems reviewdate ratingtime ratingdate ratedat purchasetime "
    "purchasedate purchasedat ordertime orderdate invoicedate transactiontime transactiondate clicktime visittime "
    "visitdate playedat addedat datetimeutc timestampms timestampsec unixtimestamp unixts occurredat loggedat",
}
"""Names that count where a header has none of the usual ones."""

USUAL = {alias: role for role, words in _ALIASES.items() for alias in words.split()}
RARER = {alias: role for role, words in _RARER.items() for alias in words.split()}


def parse_columns(text: str | Sequence[str]) -> list[str] | dict[str, str]:
    """`--columns`: roles by position (`user,item,-,timestamp`), or header names by role (`user=uid,item=sku`).

    `user,items` says that each line holds a user and all its items.

    Raises:
        UserError: an unknown role, one given twice, or no user or item.
    """
    parts = [part.strip() for part in (text.split(",") if isinstance(text, str) else text)]
    if parts == SEQUENCE:
        return parts
    named = any("=" in part for part in parts)
    pairs = [part.partition("=") if named else (part, "", part) for part in parts]
    roles = [role.strip() for role, _, _ in pairs if role != "-"]
    for role in roles:
        if role not in ROLES:
            raise unknown("column role", role, [*ROLES, "-"])
        if roles.count(role) > 1:
            raise UserError(f"--columns names '{role}' twice; each of {', '.join(ROLES)} may be given once.")
    for role in ("user", "item"):
        if role not in roles:
            raise UserError(f"--columns names no '{role}'; give at least user and item, as in user,item,rating.")
    if not named:
        return parts
    wanted = {role.strip(): name.strip() for role, _, name in pairs}
    if len(set(wanted.values())) < len(wanted):
        raise UserError(
            f"--columns reads one column as two roles: {', '.join(parts)}; give each role a column of its own."
        )
    return wanted


def with_format(columns: Columns, time_format: str | None) -> str | None:
    """`--columns` and `--time-format` as one text, a part of the data's identity: `user,item;time-format=%d.%m.%Y`."""
    if columns is not None and not columns:
        raise UserError("--columns is empty; give roles as in user,item,rating,timestamp, or leave it out.")
    spelled = columns if isinstance(columns, str) else ",".join(columns or ())
    return (f"{spelled}{_FORMAT}{time_format}" if time_format else spelled) or None


def split_format(columns: Columns) -> tuple[str | None, str | None]:
    """The columns and the time format of such a text, and of one that an identity holds."""
    text = ((with_format(columns, None) if columns else None) or "").removesuffix(REVISED).removesuffix(";")
    spelled, _, time_format = text.partition(_FORMAT)
    return spelled or None, time_format or None


def header_roles(file: str, fields: Sequence[str], wanted: Mapping[str, str] | None) -> dict[int, str]:
    """Column number → role for a header: as `wanted` names them, else by the usual names, then by rarer ones.

    Raises:
        UserError: a role without a column, or with two.
    """
    roles: dict[int, str] = {}
    for role in ROLES:
        if wanted is not None:
            found = _named(file, fields, wanted[role]) if role in wanted else []
        else:
            found = [k for k, field in enumerate(fields) if USUAL.get(plain(field)) == role]
            exact = [k for k in found if plain(fields[k]) in (role, f"{role}id")]
            found = exact if len(exact) == 1 else found
            found = found or [k for k, field in enumerate(fields) if RARER.get(plain(field)) == role]
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


def told(roles: Mapping[int, str], names: Sequence[str], width: int) -> str:
    """What was read as what, and what was not used, in one clause."""
    called = {k: (names[k] if names else "") or f"column {k + 1}" for k in range(width)}
    read = sorted(roles.items(), key=lambda pair: ROLES.index(pair[1]))
    text = ", ".join(f"{'time' if role == 'timestamp' else role}={called[k]}" for k, role in read)
    unused = [k for k in range(width) if k not in roles]
    if not unused:
        return text
    text += f"; not used: {listed(called[k] for k in unused)}"
    if any(plain(called[k]) in ("split", "subset", "fold") for k in unused):
        text += " (for a split of your own give a folder with train.* and test.*)"
    return text


def listed(names: Iterable[str], most: int = 8) -> str:
    """The names, or the first of them and how many there are beyond."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def plain(field: str) -> str:
    """A header name without case, blanks, underscores and RecBole's `:type`."""
    return re.sub(r"[^a-z]", "", field.partition(":")[0].lower())


def _named(file: str, fields: Sequence[str], name: str) -> list[int]:
    """The column of that name; case and blanks count only where two differ in nothing else."""
    found = [k for k, field in enumerate(fields) if field == name]
    found = found or [k for k, field in enumerate(fields) if plain(field) == plain(name) and plain(name)]
    if not found:
        raise unknown(f"column of {file}", name, fields)
    return found
