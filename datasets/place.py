"""`Place`: where in a file a row is, for messages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """Whose rows these are.

    Attributes:
        file: the name that messages call it by.
        text: the text file itself, whose lines are counted; None where rows have no lines (Parquet).
        header: whether its first line names the columns.
    """

    file: str
    text: Path | None = None
    header: bool = False

    def row(self, number: int) -> str:
        """`line 7` of a text file, empty lines counted, or `row 7`; the first row has number 0."""
        if self.text is None:
            return f"row {number + 1}"
        seen = -1 - self.header
        with self.text.open("rb") as lines:
            for line, content in enumerate(lines, 1):
                seen += bool(content.strip(b"\r\n"))
                if seen == number:
                    return f"line {line}"
        return f"row {number + 1}"
