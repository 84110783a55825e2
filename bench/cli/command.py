"""How a request becomes a command: its fields are the options, an experiment file fills in what was not given."""

from __future__ import annotations

import inspect

import typer
from typer.core import TyperCommand

from bench.cli.request import Request


def add(app: typer.Typer, name: str, kind: type[Request]) -> None:
    """Make the command `name` of a kind of request."""
    app.command(name, cls=RequestCommand, help=inspect.getdoc(kind), epilog=examples(*kind.examples))(kind)


def examples(*commands: str) -> str:
    """Commands under a help text, a line each."""
    return "\n\n".join(("Examples:", *commands))


class RequestCommand(TyperCommand):
    """A command whose callback is a class of requests: typer fills in the fields, and the request is run."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Let --help-all show the options that --help leaves out."""
        hidden = [parameter for parameter in self.params if getattr(parameter, "hidden", False)]
        if "--help-all" in args:
            for parameter in hidden:
                parameter.hidden = False  # type: ignore[attr-defined]
            args = ["--help"]
        elif hidden and not {"-h", "--help"}.isdisjoint(args):
            self.epilog = f"{self.epilog}\n\n{len(hidden)} more options: {ctx.command_path} --help-all"
        return super().parse_args(ctx, args)

    def invoke(self, ctx: typer.Context) -> None:  # type: ignore[override]
        """Build the request, from its experiment file where there is one, and run it."""
        request: Request = super().invoke(ctx)
        given = [name for name in ctx.params if _was_given(ctx, name)]
        names = request.names or []
        if names and names[0].endswith(".toml"):
            from pathlib import Path

            from bench.cli.experiment_file import from_file, keep, resolved

            request = from_file(request, given)
            if request.stores:
                store = request.experiments()[0].store  # every mistake is found before anything is written
                keep(store.root, Path(names[0]).stem, resolved(request))
        if code := request.run():
            raise typer.Exit(code)


def _was_given(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
