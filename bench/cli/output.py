"""Where a command prints: the terminal, or a file whose ending says the format."""

from dataclasses import dataclass
from pathlib import Path
from shutil import get_terminal_size
from sys import stdout
from typing import Annotated

import typer

from bench.cli.complete import among
from bench.cli.option import TABLE, option
from bench.files import check_writable, writing
from bench.tables import FORMATS
from datasets.errors import UserError, unknown

SUFFIXES = {
    ".txt": "table",
    ".md": "markdown",
    ".markdown": "markdown",
    ".tex": "latex",
    ".html": "html",
    ".csv": "csv",
    ".json": "json",
}


def as_json(format: str) -> bool:
    """Whether a listing, which is a table or JSON, is to be JSON.

    Raises:
        UserError: another format.
    """
    if format not in ("table", "json"):
        raise unknown("format", format, ("table", "json"))
    return format == "json"


@dataclass(frozen=True, kw_only=True)
class Output:
    """The options of a command that prints a text or writes it to a file."""

    out: Annotated[Path | None, option("--out", TABLE, "write the table to this file, in the format of its ending")] = (
        None
    )

    def check_out(self, tables: int = 1) -> None:
        """Refuse a file that could not be written or would hold the last of several, before anything is trained."""
        if self.out is None:
            return
        if tables > 1:
            raise UserError(f"--out holds one table and there are {tables} data sets; choose one.")
        check_writable(self.out, "give another --out")

    def emit(self, text: str) -> None:
        """Print the text, or write it to the file."""
        if self.out is None:
            typer.echo(text)
            return
        with writing(self.out, "give another --out"):
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self.out.write_text(text + "\n", encoding="utf-8")
        typer.echo(f"Wrote {self.out}.", err=True)


@dataclass(frozen=True, kw_only=True)
class Formatted(Output):
    """The same, in a choice of formats."""

    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            autocompletion=among(FORMATS),
            show_default="by the ending of --out, or table",
            rich_help_panel=TABLE,
            help=" | ".join(FORMATS),
        ),
    ] = None

    @property
    def form(self) -> str:
        """The format: as asked for, else by the ending of `out`, else a table.

        Raises:
            UserError: an unknown format, or an ending that says none.
        """
        if self.format is not None and self.format not in FORMATS:
            raise unknown("format", self.format, FORMATS, {ending[1:]: form for ending, form in SUFFIXES.items()})
        if self.format is not None or self.out is None or not self.out.suffix:
            return self.format or "table"
        if self.out.suffix.lower() not in SUFFIXES:
            raise UserError(
                f"{self.out} has an ending that says no format; end it in {', '.join(SUFFIXES)}, or give --format."
            )
        return SUFFIXES[self.out.suffix.lower()]

    @property
    def color(self) -> bool:
        """Whether bold and underline can be seen."""
        return self.out is None and stdout.isatty()

    @property
    def width(self) -> int:
        """Characters of a line: the terminal's, or 100 in a file, so that it does not depend on who writes it."""
        return 100 if self.out is not None else get_terminal_size((100, 24)).columns
