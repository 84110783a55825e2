"""`bench verify`: whether a published table is what its runs measured, and whether they come out again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.command import Command, examples

if TYPE_CHECKING:
    from bench.results.verify import Finding

app = typer.Typer(add_completion=False)

MOST = 5  # findings of one file that are said


@app.command(
    "verify",
    cls=Command,
    epilog=examples("bench verify results/ml-100k/table.json", "bench verify results/ml-100k/table.json --rerun 3"),
)
def verify(
    table: Annotated[
        Path, typer.Argument(metavar="TABLE", help="a published table: its folder, or the table.json in it")
    ],
    rerun: Annotated[int, typer.Option("--rerun", min=0, help="train so many runs of it again, drawn at random")] = 0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="of the draw; another one draws other runs")] = 0,
    rows: Annotated[list[str] | None, typer.Option("--row", help="draw from this row; repeatable")] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="where the data are, of a table that was made of a file")
    ] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="runs at the same time; one per core")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="never open a connection (or BENCH_OFFLINE=1)")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="no progress")] = False,
) -> None:
    """Recompute every number of a published table from its ranks; train runs of it again.

    Exit code 1 where a file was changed or a run comes out otherwise, each named in a line.
    """
    from bench.results.published import folder_of, read
    from bench.results.verify import verify

    folder = folder_of(table)
    if rerun == 0 and (rows or seed):
        from datasets.errors import UserError

        given = f"--row {rows[0]}" if rows else f"--seed {seed}"
        raise UserError(f"{given} says which runs are trained again; add --rerun N.")
    found = verify(folder)
    if found:
        raise typer.Exit(report(str(folder), 0, found))
    published, again = read(folder), None
    if rerun:
        from bench.cli.rerunning import Rerun
        from bench.cli.training import Conditions

        conditions: Conditions = {"jobs": jobs, "offline": offline, "quiet": quiet}
        again = Rerun.of(published, rerun, seed, rows or [], dataset, conditions)
    report(published.name, sum(len(cell["runs"]) for cell in published.cells), found)
    if again is not None and (code := again.run()):
        raise typer.Exit(code)


def report(name: str, runs: int, found: Sequence[Finding]) -> int:
    """Say what is wrong, file by file, or that nothing is; the exit code."""
    for file in dict.fromkeys(one.file for one in found):
        said = [one.said for one in found if one.file == file]
        for phrase in said[:MOST]:
            typer.echo(f"{file}: {phrase}.")
        if len(said) > MOST:
            typer.echo(f"{file}: and {len(said) - MOST} more of this kind.")
    if found:
        typer.echo(f"{name} is not as it was published: {len(found)} differences.", err=True)
        return 1
    typer.echo(f"{name}: {runs} runs; every number follows from the ranks, and every file is as it was published.")
    return 0
