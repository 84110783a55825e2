"""How a request becomes a command: its fields are the options, an experiment file fills in what was not given."""

from __future__ import annotations

import inspect
from itertools import pairwise
from typing import TYPE_CHECKING

import typer
from typer.core import TyperCommand, TyperGroup

from bench.cli.parameters import ours
from datasets.errors import UserError

if TYPE_CHECKING:
    from bench.cli.request import Request
    from bench.cli.splitting import Splitting


def alone(name: str, kind: type[Splitting]) -> typer.Typer:
    """The command `name` of a kind of request, for a group to take in."""
    app = typer.Typer(add_completion=False)
    app.command(name, cls=RequestCommand, help=inspect.getdoc(kind), epilog=examples(*kind.examples))(kind)
    return app


def examples(*commands: str) -> str:
    """Commands under a help text, a line each."""
    return "\n\n".join(("Examples:", *commands))


class Command(TyperCommand):
    """A command whose help is in words."""

    def get_params(self, ctx):  # type: ignore[no-untyped-def]  # typer's types of these are private
        """Its options and --help."""
        return ours(super().get_params(ctx))


class Group(TyperGroup):
    """A group of commands that knows what others call them, and shows its help where none is named."""

    def get_params(self, ctx):  # type: ignore[no-untyped-def]  # typer's types of these are private
        """Its options and --help."""
        return ours(super().get_params(ctx))

    def parse_args(self, ctx, args):  # type: ignore[no-untyped-def]  # typer's types of these are private
        """The words after the group's name."""
        if not args and self.no_args_is_help and not ctx.resilient_parsing:
            typer.echo(ctx.get_help())
            raise typer.Exit
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx, args):  # type: ignore[no-untyped-def]  # typer's types of these are private
        """The command that the first word names.

        Raises:
            UserError: there is none.
        """
        if not args[0].startswith("-") and args[0] not in self.commands:
            from bench.cli.hints import unknown_command

            raise unknown_command(args[0], self.commands, ctx.command_path)
        return super().resolve_command(ctx, args)


class RequestCommand(Command):
    """A command whose callback is a class of requests: typer fills in the fields, and the request is run."""

    def __init__(self, *args, **attributes) -> None:  # type: ignore[no-untyped-def]  # typer's
        from bench.cli.option import PANELS

        super().__init__(*args, **attributes)
        self.params.sort(key=lambda one: [None, *PANELS].index(getattr(one, "rich_help_panel", None)))

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Let --help-all show the options that --help leaves out."""
        hidden = [parameter for parameter in self.params if getattr(parameter, "hidden", False)]
        if ctx.resilient_parsing:  # a shell asks what may follow
            return super().parse_args(ctx, args)
        if "--help-all" in args:
            self.show_all()
            args = ["--help"]
        elif hidden and not {"-h", "--help"}.isdisjoint(args) and "--help-all" not in str(self.epilog):
            self.epilog = f"{self.epilog}\n\n{len(hidden)} more options: {ctx.command_path} --help-all"
        if not {"-h", "--help"}.intersection(args):
            self._check_once(ctx, args)
        return super().parse_args(ctx, args)

    def show_all(self) -> None:
        """Let its help have every option."""
        for parameter in self.params:
            if hasattr(parameter, "hidden"):
                parameter.hidden = False

    def shell_complete(self, ctx, incomplete):  # type: ignore[no-untyped-def]  # typer's types of these are private
        """What may follow, with the options that --help leaves out."""
        hidden = [parameter for parameter in self.params if getattr(parameter, "hidden", False)]
        try:
            for parameter in hidden:
                parameter.hidden = False  # type: ignore[attr-defined]
            return super().shell_complete(ctx, incomplete)
        finally:
            for parameter in hidden:
                parameter.hidden = True  # type: ignore[attr-defined]

    def _check_once(self, ctx: typer.Context, args: list[str]) -> None:
        """Refuse an option without its value, and one given twice that takes one: the first would be ignored."""
        valued = {opt for parameter in self.params for opt in parameter.opts if not getattr(parameter, "is_flag", True)}
        for word, after in pairwise(args):
            if word in valued and after.startswith("--"):
                raise UserError(f"{word} is followed by {after} in place of a value; give it one.")
        parsed = self.make_parser(ctx).parse_args(list(args))[2]
        order = [parameter.opts[0] for parameter in parsed if not getattr(parameter, "multiple", False)]
        if twice := next((name for name in order if name.startswith("-") and order.count(name) > 1), None):
            raise UserError(f"{twice} is given twice; give it once.")

    def invoke(self, ctx: typer.Context) -> None:  # type: ignore[override]
        """Build the request and run it."""
        from bench.cli.request import Request

        request: Splitting = super().invoke(ctx)
        if isinstance(request, Request):
            request = self._prepared(request, [name for name in ctx.params if _was_given(ctx, name)])
        else:
            request.plug_in()
        if code := request.run():
            raise typer.Exit(code)

    def _prepared(self, request: Request, given: list[str]) -> Request:
        """The request with its plug-ins known: itself, or what its experiment file means, which is kept."""
        names = request.names or []
        if not any(name.lower().endswith(".toml") for name in names):
            request.plug_in()
            return request
        from pathlib import Path

        from bench.cli.experiment_file import from_file, keep

        request = from_file(request, given)
        request.plug_in()
        if request.stores:
            store = request.checked()[0].store  # every mistake is found before anything is written
            keep(store.root, Path(names[0]).stem, request)
        return request


def _was_given(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
