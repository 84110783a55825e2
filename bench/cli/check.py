"""`bench check`: hold the methods of a plug-in to what every method promises."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from bench.cli.command import Command, examples
from bench.cli.splitting import plug_in

if TYPE_CHECKING:
    from recmodels.entries import Entry

app = typer.Typer(add_completion=False)


SAID = {"dataset": "data set"}


class Held(NamedTuple):
    """A promise that a method was held to, and what is wrong: file, line and a sentence; empty where it is kept."""

    promise: str
    wrong: str


@app.command("check", cls=Command, epilog=examples("bench check examples/mine.py"))
def check(
    plugin: Annotated[list[str], typer.Argument(metavar="FILE.py...", help="files of methods of your own")],
) -> None:
    """Hold what a plug-in registers to what every method promises."""
    from recmodels.code import Misread
    from recmodels.plugins import in_use

    try:
        plug_in(plugin)
    except Misread as error:
        typer.echo(str(error))
        raise typer.Exit(1) from None
    wrong = 0
    for kind, entry in [method for each in in_use() for method in each.methods()]:
        typer.echo(f"{entry.name}, a {SAID.get(kind, kind)} ({entry.file}:{entry.line})")
        for held in _held(kind, entry):
            typer.echo(f"  wrong  {held.wrong}" if held.wrong else f"  ok     {held.promise}")
            wrong += bool(held.wrong)
    if wrong:
        typer.echo(f"{wrong} {'promise is' if wrong == 1 else 'promises are'} not kept.")
        raise typer.Exit(1)


def _held(kind: str, entry: Entry) -> Iterator[Held]:
    """Each promise of the method in turn, in this process; what it prints goes to stderr."""
    from recmodels.contracts import Broken, contracts, promise
    from recmodels.plugins import where

    for contract in contracts(kind):
        try:
            with redirect_stdout(sys.stderr):
                contract(entry.name)
        except Broken as error:
            yield Held(promise(contract), f"{entry.file}:{entry.line} {error}. {promise(contract)}.")
        except Exception as error:  # whatever a method of somebody else does
            place = where(error) or f"{entry.file}:{entry.line}"
            yield Held(promise(contract), f"{place} raises {type(error).__name__}: {error}. {promise(contract)}.")
        else:
            yield Held(promise(contract), "")
