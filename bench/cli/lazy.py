"""Commands that are known by name and built when they are invoked: typer reads every option of what it builds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from bench.cli.command import Group, alone

if TYPE_CHECKING:
    from bench.cli.splitting import Splitting

Command = TyperCommand | TyperGroup


class Known(NamedTuple):
    """Where a command is, and the line that the list of commands has on it."""

    module: str
    attribute: str  # a `typer.Typer`, or a class of requests
    help: str

    def load(self) -> typer.Typer | type[Splitting]:
        """What the command is made of; imports its module."""
        found: typer.Typer | type[Splitting] = getattr(import_module(self.module), self.attribute)
        return found


class Commands(dict[str, Command]):
    """Commands by name: all that are known, each built when it is asked for."""

    def __init__(self, known: Mapping[str, Known], built: Mapping[str, Command]) -> None:
        super().__init__(built)
        self.known = known

    def __missing__(self, name: str) -> Command:
        found = self.known[name].load()
        built = typer.main.get_command(found if isinstance(found, typer.Typer) else alone(name, found))
        assert isinstance(built, Command)
        built.name = name
        self[name] = built
        return built

    def __contains__(self, name: object) -> bool:
        return name in self.known or super().__contains__(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self.known, *super().__iter__())))

    def items(self):  # type: ignore[no-untyped-def]  # a view of what is built would leave the others out
        """Every command, all of them built."""
        return [(name, self[name]) for name in self]


class LazyGroup(Group):
    """A group whose list of commands needs none of their modules."""

    known: ClassVar[Mapping[str, Known]]

    def __init__(self, **attributes):  # type: ignore[no-untyped-def]  # typer's
        super().__init__(**attributes)
        self.commands: Commands = Commands(self.known, self.commands)  # type: ignore[assignment]

    def list_commands(self, ctx):  # type: ignore[no-untyped-def]  # typer's types of these are private
        """The names."""
        return list(self.commands)

    def get_command(self, ctx, cmd_name):  # type: ignore[no-untyped-def]  # typer's types of these are private
        """What a list shows of a command: its name and line."""
        if cmd_name in self.known:
            return TyperCommand(cmd_name, help=self.known[cmd_name].help)
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx, args):  # type: ignore[no-untyped-def]  # typer's types of these are private
        """The command that the first word names, with its options."""
        name, _, rest = super().resolve_command(ctx, args)  # type: ignore[no-untyped-call]
        return name, self.commands[name] if name else None, rest
