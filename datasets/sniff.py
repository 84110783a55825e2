"""How a file is laid out, told by its first lines: separator, header, columns, encoding."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets.columns import RARER, ROLES, SEQUENCE, USUAL, header_roles, listed, parse_columns, plain, told
from datasets.compressed import head
from datasets.errors import UserError

HEAD_BYTES = 1 << 16
_NCF_LISTS = re.compile(r"\(\S+,\S+\)(\t|$)")


@dataclass(frozen=True)
class Layout:
    """How a file is laid out.

    Attributes:
        separator: one character, or `::`.
        header: whether the first line names the columns.
        roles: column number → role, for the columns that are read.
        width: number of columns.
        encoding: of the text.
        kind: `columns`; `sequences`, a user and its items in each line; `lists`, NCF's `(user,item)` and negatives.
        names: of the columns, where there is a header.
        time: the first row's time, or empty.
        revised: whether files laid out so were once read otherwise.
    """

    separator: str
    header: bool
    roles: dict[int, str]
    width: int
    encoding: str = "utf-8"
    kind: str = "columns"
    names: tuple[str, ...] = ()
    time: str = ""
    revised: bool = False

    def column(self, role: str) -> int | None:
        """The number of the column with this role, or None."""
        return next((k for k, v in self.roles.items() if v == role), None)

    @property
    def told(self) -> str:
        """What is read as what, and what is not used."""
        if self.kind == "sequences":
            return "user and its items in each line"
        if self.kind == "lists":
            return "(user,item) and candidates in each line"
        return told(self.roles, self.names, self.width)


def sniff(path: Path, columns: str | Sequence[str] | None = None) -> Layout:
    """The layout of a text file, from its first lines and `--columns`.

    A first line of numbers only has no header and reads user, item[, rating[, timestamp]]. Lines of whole numbers by
    blanks, of different lengths, are a user and its items each.

    Raises:
        UserError: an empty or binary file, one column only, or no column for users or items.
    """
    text, encoding = _text(path)
    lines = [line for line in text.splitlines() if line.strip()]
    first = lines[0]
    if first.lstrip()[0] in "{[":
        raise UserError(f"{path.name} looks like JSON; give CSV or TSV with one interaction a line, or Parquet.")
    wanted = parse_columns(columns) if columns else None
    likely = sequence_like(lines) if wanted is None else False
    if likely is None:
        sizes = sorted({len(line.split()) for line in lines})
        raise UserError(
            f"The lines of {path.name} have {listed(map(str, sizes))} numbers; say --columns user,items where each is "
            "a user and its items, or --columns user,item,rating,timestamp where each is one interaction."
        )
    if wanted == SEQUENCE or likely:
        return Layout(" ", False, {}, 0, encoding, "sequences")
    if wanted is None and _NCF_LISTS.match(first):
        return Layout("\t", False, {}, 0, encoding, "lists")
    separator = next((s for s in ("::", "\t", ",", ";", "|", " ") if s in first.strip()), "")
    if not separator:
        raise UserError(
            f"{path.name} has one column only ('{first[:40]}'); separate user and item by a comma or a tab."
        )
    fields, row = (cells_of(line, separator) for line in (first, lines[min(1, len(lines) - 1)]))
    names: tuple[str, ...] = ()
    revised = False
    if isinstance(wanted, list):
        if len(wanted) > len(fields):
            raise UserError(
                f"{path.name} has {len(fields)} columns, but --columns names {len(wanted)}: {','.join(wanted)}."
            )
        roles = {k: role for k, role in enumerate(wanted) if role != "-"}
        header = any(role == "rating" and not number(fields[k]) for k, role in roles.items())
        if not header and all(_calls(fields[k], role) for k, role in roles.items()):
            header = revised = True
    elif wanted is None and all(number(field) for field in fields):
        header, roles = False, dict(enumerate(ROLES[: len(fields)]))
    else:
        header, roles = True, header_roles(path.name, fields, wanted)
        revised = wanted is None and any(plain(fields[k]) not in USUAL for k in roles)
    if header:
        names = tuple(fields)
    at = next((k for k, role in roles.items() if role == "timestamp"), None)
    body = row if header else fields
    time = body[at] if at is not None and at < len(body) and len(lines) > header else ""
    return Layout(separator, header, roles, len(fields), encoding, "columns", names, time, revised)


def number(text: str) -> bool:
    """Whether the text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _text(path: Path) -> tuple[str, str]:
    """The beginning of the file, and its encoding."""
    beginning = head(path, HEAD_BYTES)
    if not beginning.strip():
        raise UserError(f"{path.name} is empty; give a file with one interaction a line.")
    if b"\0" in beginning:
        raise UserError(
            f"{path.name} is not a text file; give CSV or TSV, plain or as .gz, .xz, .zst or .zip, or Parquet under "
            "the name *.parquet."
        )
    whole = beginning if len(beginning) < HEAD_BYTES else beginning[: beginning.rfind(b"\n") + 1] or beginning
    try:
        return whole.decode("utf-8").removeprefix("\ufeff"), "utf-8"
    except UnicodeDecodeError:
        return whole.decode("latin-1"), "latin-1"


def cells_of(line: str, separator: str) -> list[str]:
    """The cells of a line, without blanks and quotes around them."""
    cells = line.split(separator) if len(separator) > 1 else next(csv.reader([line], delimiter=separator))
    return [cell.strip().strip('"') for cell in cells]


def _calls(field: str, role: str) -> bool:
    return plain(field) in USUAL.keys() | RARER.keys() and {**RARER, **USUAL}[plain(field)] == role


def sequence_like(lines: Sequence[str]) -> bool | None:
    """Whether each line holds a user and its items: whole numbers by blanks, and no table of at most four columns.

    None where it may be that or a table: all lines have the same number of columns, or none has more than four.
    """
    if not whole_numbers(lines):
        return False
    sizes = {len(line.split()) for line in lines}
    if len(sizes) == 1:
        return False if max(sizes) <= 4 else None
    return True if max(sizes) > 4 else None


def whole_numbers(lines: Sequence[str]) -> bool:
    """Whether the lines are whole numbers separated by blanks."""
    return all(re.fullmatch(r" *-?\d+( +-?\d+)* *", line) for line in lines)


def first_lines(path: Path) -> list[str]:
    """The lines at the beginning that are not blank.

    Raises:
        UserError: an empty or binary file.
    """
    return [line for line in _text(path)[0].splitlines() if line.strip()]
