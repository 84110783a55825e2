"""Options and arguments as typer makes them, whose help is in words and whose values are read without pydantic.

Typer builds a pydantic validator for every option, given or not, and pydantic takes as long to import as numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias, get_args, get_origin

from typer.core import TyperArgument, TyperOption

if TYPE_CHECKING:
    from typer._click import Context, Parameter
    from typer._coercion import RuntimeParam

Ours: TypeAlias = TyperOption | TyperArgument

KINDS = {"bool": "", "int": "N", "float": "NUMBER", "str": "TEXT", "Path": "PATH", "list[str]": "NAME"}
"""What help calls a value of a type that a program has another word for; a switch has none."""


class Value:
    """What typed words become, by the same rules as typer's own, which say what is wrong with the others."""

    def __init__(self, parameter: Ours, typers: Callable[[], RuntimeParam]) -> None:
        kind = parameter.type_descriptor.annotation
        origin: object = get_origin(kind)
        self.kind: type = get_args(kind)[0] if origin is list else kind
        self.info, self.typers = parameter.type_descriptor.parameter_info, typers

    def coerce(self, value: object, param: Ours, ctx: Context) -> object:
        """What the command is given: a list where there may be several."""
        many = param.multiple or param.nargs == -1
        if value is None:
            return () if many else None
        try:
            return [self._one(word) for word in value] if many and isinstance(value, Iterable) else self._one(value)
        except ValueError:
            return self.typers().coerce(value, param=param, ctx=ctx)

    def _one(self, word: object) -> object:
        """One of the values.

        Raises:
            ValueError: it is for typer to say.
        """
        if self.info.parser is not None:
            return self.info.parser(word)  # type: ignore[arg-type]  # typer has it as of texts
        if self.kind not in (int, float):
            if isinstance(word, self.kind):
                return word
            raise ValueError
        number: int | float = self.kind(word)  # type: ignore[call-overload, arg-type]  # a text, or its default
        if self.info.min is not None and not number >= self.info.min:
            raise ValueError
        return number


class Option(TyperOption):
    """An option."""

    def get_runtime_param(self) -> Value:  # type: ignore[override]
        """What reads its value."""
        return Value(self, super().get_runtime_param)

    def display_type_rich(self, ctx: Context) -> str | None:
        """What help calls its value."""
        return self.metavar or KINDS.get(self.bare_type(), super().display_type_rich(ctx))


class Argument(TyperArgument):
    """An argument, which is called what its `metavar` says, dots included."""

    def get_runtime_param(self) -> Value:  # type: ignore[override]
        """What reads its value."""
        return Value(self, super().get_runtime_param)

    def display_type_rich(self, ctx: Context) -> str | None:
        """Nothing: its name says what it is."""
        return None

    def get_usage_pieces(self, ctx: Context) -> list[str]:
        """Its name, in brackets if it may be left out."""
        name = self.display_name_raw
        return [name if self.required else f"[{name}]"]


def ours(parameters: list[Parameter]) -> list[Parameter]:
    """The same options and arguments, made ours."""
    for one in parameters:
        if isinstance(one, TyperOption):
            one.__class__ = Option
        elif isinstance(one, TyperArgument):
            one.__class__ = Argument
    return parameters
