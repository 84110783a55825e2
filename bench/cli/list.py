"""`bench list`: what there is."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli.command import Command, examples
from bench.cli.complete import listed
from bench.cli.hints import check_listed
from bench.cli.output import as_json
from bench.cli.splitting import plug_in
from datasets.errors import UserError

app = typer.Typer(add_completion=False)


@app.command("list", cls=Command, epilog=examples("bench list samplers", "bench list dns"))
def list_(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            autocompletion=listed,
            help="samplers, losses, models, baselines, settings, metrics, datasets, all; or a method",
        ),
    ] = "all",
    format: Annotated[str, typer.Option("--format", help="table | json")] = "table",
    plugin: Annotated[
        list[str] | None, typer.Option("--plugin", metavar="FILE", help="of methods of your own; repeatable")
    ] = None,
    compatibility: Annotated[
        bool, typer.Option("--compatibility", help="which sampler, loss and model go together, and why others do not")
    ] = False,
) -> None:
    """What there is: name, one line, parameters, paper."""
    wants_json = as_json(format)
    if compatibility and kind != "all":
        raise UserError(f"--compatibility shows every sampler, loss and model; leave {kind} out.")
    plug_in(plugin or ())
    check_listed(kind)
    from bench.tables.listing import compatible, listing
    from recmodels.plugins import complaints

    for said in complaints():
        typer.echo(f"Warning: {said}", err=True)
    typer.echo(compatible(wants_json) if compatibility else listing(kind, wants_json))
