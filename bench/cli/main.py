"""The `bench` command: its commands, and what they all have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Annotated

import typer

from bench import __version__
from bench.cli import data, runs
from bench.cli.across import Across
from bench.cli.calibrate import Calibrate
from bench.cli.command import Group, add, examples
from bench.cli.compare import Compare
from bench.cli.hints import unknown_command
from bench.cli.list import EXAMPLES, list_
from bench.cli.power import Power
from bench.cli.run import Run
from bench.cli.table import Table
from bench.cli.tune import Tune

REQUESTS = {
    "compare": Compare,
    "run": Run,
    "table": Table,
    "across": Across,
    "tune": Tune,
    "calibrate": Calibrate,
    "power": Power,
}

app = typer.Typer(
    cls=Group,
    help="Compare negative samplers and losses for recommendation, reproducibly.",
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog=examples("bench compare uniform popularity inbatch", "bench run experiments/first-look.toml --dry-run"),
    context_settings={"help_option_names": ["-h", "--help"]},
)
for name, kind in REQUESTS.items():
    add(app, name, kind)
app.command("list", epilog=EXAMPLES)(list_)
app.add_typer(data.app, name="data", help="Data sets: list, info, fetch, add, export, verify.")
app.add_typer(runs.app, name="runs", help="The store of finished runs: list, show, rm, verify, gc, merge.")


@cache
def command() -> Callable[..., object]:
    """The whole command line, put together once."""
    return typer.main.get_command(app)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    if version:
        typer.echo(f"contrarec {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("help")
def help_(
    context: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(metavar="[COMMAND]", help="a command, as in data fetch")] = None,
) -> None:
    """What a command does and which options it takes; the same as COMMAND --help."""
    found = context.parent
    assert found is not None
    for word in words or ():
        known = getattr(found.command, "commands", {})
        if word not in known:
            raise unknown_command(word, known, found.command_path)
        found = typer.Context(known[word], info_name=word, parent=found)
    typer.echo(found.get_help())
