"""`bench doctor`: what is wrong here, and the fix."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli.command import Command, examples
from bench.cli.complete import data
from bench.cli.output import as_json
from bench.doctor.report import code, counted, examine, shown

app = typer.Typer(add_completion=False)


@app.command("doctor", cls=Command, epilog=examples("bench doctor", "bench doctor --dataset ml-1m --format json"))
def doctor(
    dataset: Annotated[
        str, typer.Option("--dataset", autocompletion=data, help="the data set that is to be had")
    ] = "ml-100k",
    results: Annotated[
        str | None, typer.Option("--results", help="folder of finished runs (also BENCH_RESULTS)")
    ] = None,
    format: Annotated[str, typer.Option("--format", help="table or json")] = "table",
) -> None:
    """What is wrong here, a line a check, with the fix for each.

    Exit code 1 where something is a problem. Nothing is changed.
    """
    wants_json = as_json(format)
    lines = examine(dataset, results)
    typer.echo(shown(lines, wants_json))
    typer.echo(counted(lines), err=True)
    if code(lines):
        raise typer.Exit(1)
