"""`bench init`: an experiment file to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.command import Command, examples
from bench.cli.complete import cells, data
from datasets.errors import UserError

app = typer.Typer(add_completion=False)

CELLS = ("uniform+softmax", "popularity+softmax", "inbatch+softmax", "toppop")
CURE = "give another file"


@app.command(
    "init",
    cls=Command,
    epilog=examples("bench init", "bench init mine.toml --dataset ratings.csv --cell uniform+bpr --cell toppop"),
)
def init(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.toml", help="the file to write; one that exists is left as it is")
    ] = Path("experiment.toml"),
    dataset: Annotated[
        str, typer.Option("--dataset", autocompletion=data, help="name of a data set, or path of a file")
    ] = "ml-100k",
    cell: Annotated[
        list[str] | None,
        typer.Option("--cell", autocompletion=cells, show_default=", ".join(CELLS), help="what to compare; repeatable"),
    ] = None,
) -> None:
    """Write an experiment file to start from, with every key and setting in it.

    It runs as it is; what is not asked for stands in it as a comment, with its default. No file is overwritten.
    """
    from bench.cli.keys import commented
    from bench.cli.run import Run
    from bench.files import check_writable, writing

    chosen = cell or [*CELLS]
    if file.suffix.lower() != ".toml":
        raise UserError(f"{file} does not end in .toml, by which an experiment file is known; give another name.")
    if file.exists() or file.is_symlink():
        raise UserError(f"{file} exists and is left as it is; give another file, or remove it.")
    check_writable(file, CURE)
    Run(names=chosen, dataset=[dataset]).checked()
    with writing(file, CURE):
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as out:
            out.write(commented(Run, str(file), chosen, dataset))
    typer.echo(f"Wrote {file}; `bench run {file} --dry-run` says what it takes.", err=True)
