"""`bench publish`: a table with the ranks from which anybody recomputes it, made cell by cell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.command import Command, examples

app = typer.Typer(add_completion=False)


@app.command(
    "publish",
    cls=Command,
    epilog=examples("bench publish results/ml-100k", "bench publish results/ml-100k --fresh again"),
)
def publish(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="folder of the table, with a table.toml that says what is in it")
    ],
    fresh: Annotated[
        Path | None,
        typer.Option("--fresh", help="make all of it again in this folder, and compare with what is published"),
    ] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="runs at the same time; one per core")] = None,
    cluster: Annotated[
        str | None, typer.Option("--cluster", help="Dask scheduler tcp://HOST:PORT, or a TOML file that starts one")
    ] = None,
    results: Annotated[str | None, typer.Option("--results", help="folder of finished runs (or BENCH_RESULTS)")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="never open a connection (or BENCH_OFFLINE=1)")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="run failed runs again")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="no progress")] = False,
) -> None:
    """Make the table of a folder, with the ranks from which anybody recomputes it.

    Cells are tuned and run one after the other and kept as they are finished; once all are, the table is published.
    What is published is never overwritten: the command compares, and a newer version has its own number.
    """
    from bench.cli.publishing import Making
    from bench.cli.training import Conditions

    conditions: Conditions = {
        "jobs": jobs,
        "cluster": cluster,
        "offline": offline,
        "retry_failed": retry_failed,
        "quiet": quiet,
        "results": results,
    }
    making = Making.of(folder, conditions)
    code = making.again(fresh) if fresh is not None else making.make()
    if code:
        raise typer.Exit(code)
