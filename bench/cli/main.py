"""The `bench` command: its commands, and what they all have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Annotated

import typer

from bench import __version__
from bench.cli.command import Command, RequestCommand, examples
from bench.cli.lazy import Known, LazyGroup

REQUESTS = {
    "compare": Known(
        "bench.cli.compare", "Compare", "Run what the store lacks of these cells and print the table with significance."
    ),
    "run": Known(
        "bench.cli.run",
        "Run",
        "Run a cell, a grid or an experiment file: the lists of --sampler, --loss and --model multiply.",
    ),
    "table": Known("bench.cli.table", "Table", "Print the same comparison from the store alone; trains nothing."),
    "across": Known(
        "bench.cli.across", "Across", "The same cells on several data sets: ranks, tests over data sets, an aggregate."
    ),
    "tune": Known(
        "bench.cli.tune",
        "Tune",
        "Search the settings of each cell on the validation part, with the same number of trials for every cell.",
    ),
    "calibrate": Known(
        "bench.cli.calibrate",
        "Calibrate",
        "How often each test calls a cell different from itself, over disjoint sets of its own seeds.",
    ),
    "power": Known(
        "bench.cli.power",
        "Power",
        "From the runs of two cells: the difference that seeds and users can find, and the seeds one needs.",
    ),
    "report": Known(
        "bench.cli.report",
        "Report",
        "Write one self-contained page of stored runs, which opens from the disk; trains nothing.",
    ),
    "cite": Known(
        "bench.cli.cite",
        "Cite",
        "BibTeX, a methods paragraph and the manifest of a table, or of cells yet to be run.",
    ),
}
"""Commands that are requests: their options are keys of experiment files too."""

COMMANDS = {
    **REQUESTS,
    "import": Known(
        "bench.cli.importing", "Import", "Put another program's lists, for the same split, beside our rows."
    ),
    "publish": Known(
        "bench.cli.publish",
        "app",
        "Make the table of a folder, with the ranks from which anybody recomputes it.",
    ),
    "verify": Known(
        "bench.cli.verify",
        "app",
        "Recompute every number of a published table from its ranks; train runs of it again.",
    ),
    "list": Known("bench.cli.list", "app", "What there is: name, one line, parameters, paper."),
    "recommend": Known(
        "bench.cli.recommend",
        "Recommend",
        "The items that a trained model puts first for users, without those they have.",
    ),
    "init": Known("bench.cli.init", "app", "Write an experiment file to start from, with every key and setting in it."),
    "doctor": Known("bench.cli.doctor", "app", "What is wrong here, a line a check, with the fix for each."),
    "check": Known("bench.cli.check", "app", "Hold what a plug-in registers to what every method promises."),
    "data": Known("bench.cli.data", "app", "Data sets: list, info, fetch, add, export, verify, gc."),
    "runs": Known("bench.cli.runs", "app", "The store of finished runs: list, show, export, rm, verify, gc, merge."),
}


class Root(LazyGroup):
    """The commands of `bench`."""

    known = COMMANDS


app = typer.Typer(
    cls=Root,
    help="Compare negative samplers and losses for recommendation, reproducibly.",
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog=examples("bench compare uniform popularity inbatch", "bench run experiments/first-look.toml --dry-run"),
    context_settings={"help_option_names": ["-h", "--help"]},
)


@cache
def command() -> Callable[..., object]:
    """The whole command line, put together once."""
    return typer.main.get_command(app)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="print the version and the commit of the code")] = False,
) -> None:
    if version:
        from bench.runs.provenance import committed

        found = committed()
        commit = f", commit {found['commit'][:12]}" if found["commit"] else ""
        typer.echo(f"contrarec {__version__}{commit}{' with uncommitted changes' if found['dirty'] else ''}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("help", cls=Command)
def help_(
    context: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(metavar="COMMAND...", help="a command, as in data fetch")] = None,
) -> None:
    """What a command does, and every option that it takes: --help-all where there is that, else --help."""
    found = context.parent
    assert found is not None
    for word in words or ():
        known = getattr(found.command, "commands", {})
        if word not in known:
            from bench.cli.hints import unknown_command

            raise unknown_command(word, known, found.command_path)
        found = typer.Context(known[word], info_name=word, parent=found)
    if isinstance(found.command, RequestCommand):
        found.command.show_all()
    typer.echo(found.get_help())
