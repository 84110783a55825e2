"""What the source of a registered function says about it: name, parameters, bounds and facts, read with `ast`."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recmodels.code import Source
from recmodels.search import Search, literal

Value = bool | int | float | str | None

METRIC = "metric@K"  # the bounds of a parameter whose values are metrics
PROPOSAL = "proposal"  # and of one whose values are samplers that draw by a law; see `recmodels.proposals`
_COMPARE = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


@dataclass(frozen=True)
class Parameter:
    """A keyword-only argument of a registered function: its default, its type, and the values it may take."""

    name: str
    default: Value
    kind: str  # "int", "float", "bool", or "str" for one of `choices` only
    choices: tuple[str, ...] = ()
    bounds: str = ""  # e.g. "> 0, <= 1"
    optional: bool = False  # may be none
    search: Search | None = None  # what a tuner tries; None where it leaves the default

    @property
    def allowed(self) -> str:
        """What the parameter accepts, in words."""
        if self.bounds == PROPOSAL:
            return "a sampler that draws by a law, with its options as in popularity:alpha=0.5"
        words = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": ""}
        options = [
            f"{words[self.kind]} {self.bounds}".strip(),
            *self.choices,
            *(["none"] if self.optional else []),
        ]
        return " or ".join(filter(None, options))

    def parse(self, text: str) -> Value:
        """The value written as `text`.

        Raises:
            UserError: it is not one of the metrics, or not a proposal.
            ValueError: it is not of the parameter's type, or outside what it may be.
        """
        lowered = text.strip().lower()
        if self.optional and lowered in ("none", "null"):
            return None
        if lowered in self.choices:
            return lowered
        if self.bounds == METRIC:
            from recmodels.metrics import known_metric

            return "{}@{}".format(*known_metric(lowered))
        if self.bounds == PROPOSAL:
            from recmodels.proposals import known_proposal

            return known_proposal(text.strip())
        value: Value
        if self.kind == "bool":
            value = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[lowered]
        elif self.kind == "int":
            value = int(text)
        elif self.kind == "float":
            value = float(text)
            if value != value or value in (float("inf"), float("-inf")):
                raise ValueError(text)
        else:
            raise ValueError(text)
        for bound in filter(None, (part.strip() for part in self.bounds.split(","))):
            symbol, limit = bound.split()
            if not _COMPARE[symbol](value, float(limit)):
                raise ValueError(text)
        return value


@dataclass(frozen=True)
class Entry:
    """What the source of a registered function says about it."""

    name: str
    module: str
    function: str
    doc: str
    parameters: dict[str, Parameter]
    facts: dict[str, Any] = field(default_factory=dict)  # literal keywords of `register`: paper, needs, search, …
    takes: tuple[str, ...] = ()  # what the function is called with beside its parameters
    file: str = ""
    line: int = 0
    plugin: str = ""  # that it is of, as it was given

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return self.doc.partition("\n")[0].rstrip(".")

    @property
    def aliases(self) -> list[str]:
        """What others call it; none of these is a name here."""
        return list(self.facts.get("aliases", []))

    @property
    def draws(self) -> bool:
        """Whether it is given random numbers."""
        return "rng" in self.takes

    def called_here(self, alias: str) -> str:
        """What an alias is here: the name, with the options that a dictionary of aliases gives."""
        aliases = self.facts["aliases"]
        return f"{self.name}:{aliases[alias]}" if isinstance(aliases, dict) and aliases[alias] else self.name


@dataclass(frozen=True)
class Place:
    """Where a method is.

    Attributes:
        source: its file.
        module: what Python imports for it.
        plugin: the plug-in that it is of: its path as it was given, or the name of an installed package.
        code: tells the code of that plug-in; of other methods it follows from what they use.
        installed: whether the plug-in is there unasked, so that what is wrong with it must hurt nobody else.
    """

    source: Source
    module: str
    plugin: str = ""
    code: Callable[[], str] | None = None
    installed: bool = False


class Unreadable(ValueError):
    """What an entry says of itself cannot be told from its source."""

    def __init__(self, node: ast.AST, said: str) -> None:
        super().__init__(said)
        self.line: int = getattr(node, "lineno", 1)


def registered(place: Place, variable: str) -> Iterator[Entry]:
    """What the functions of a file say that are registered in `variable`.

    Raises:
        Unreadable: something that only running it would tell.
    """
    for node in place.source.tree.body:
        for decorator in node.decorator_list if isinstance(node, ast.FunctionDef) else ():
            match decorator:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id=owner), attr="register"), args=[ast.Constant(value=str(name))]
                ) if owner == variable:
                    assert isinstance(node, ast.FunctionDef)
                    yield Entry(
                        name,
                        place.module,
                        node.name,
                        ast.get_docstring(node) or "",
                        {
                            argument.arg: parameter(argument.arg, argument.annotation, default, argument)
                            for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
                        },
                        {fact.arg: _fact(fact) for fact in decorator.keywords if fact.arg},
                        tuple(argument.arg for argument in node.args.args),
                        place.source.shown,
                        node.lineno,
                        place.plugin,
                    )


def _fact(fact: ast.keyword) -> Any:
    try:
        return literal(fact.value)
    except (ValueError, TypeError) as error:
        said = str(error) if "Search" in str(error) else "write out a text, a number, or a list or dictionary of them"
        raise Unreadable(fact.value, f"has a fact {fact.arg} that only running it tells: {said}") from None


def parameter(name: str, annotation: ast.expr | None, default: ast.expr | None, at: ast.AST) -> Parameter:
    """Read `alpha: Annotated[float, "> 0"] = 0.75`, `logq: Literal["none", "neg"] = "neg"` and unions of these.

    After the type, `Annotated` may have the bounds, and a `Search`.

    Raises:
        Unreadable: it is something else.
    """
    if default is None:
        raise Unreadable(at, f"has a parameter {name} without a default; give it the published value")
    kind, choices, bounds, optional, search = "str", (), "", False, None
    try:
        value = ast.literal_eval(default)
        for part in _union(annotation):
            match part:
                case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[part, *notes])):
                    for note in map(literal, notes):
                        bounds, search = (bounds, note) if isinstance(note, Search) else (note, search)
            match part:
                case ast.Constant(value=None):
                    optional = True
                case ast.Subscript(value=ast.Name(id="Literal"), slice=choice):
                    elements = choice.elts if isinstance(choice, ast.Tuple) else [choice]
                    choices = tuple(ast.literal_eval(element) for element in elements)
                case ast.Name(id=("int" | "float" | "bool" | "str") as kind):
                    pass
                case _:
                    raise ValueError(f"{ast.unparse(part) if part else 'nothing'} is no type for it")
    except (ValueError, TypeError) as error:
        said = (
            str(error)
            if "Search" in str(error) or " is no type" in str(error)
            else "its default or range is no literal"
        )
        raise Unreadable(
            at,
            f"has a parameter {name} that the command line cannot read ({said}); write it as in "
            '`alpha: Annotated[float, "> 0"] = 0.75`, with int, float, bool or Literal["a", "b"]',
        ) from None
    return Parameter(name, value, kind, choices, bounds, optional, search)


def _union(annotation: ast.expr | None) -> Iterator[ast.expr | None]:
    if isinstance(annotation, ast.BinOp):
        yield from _union(annotation.left)
        yield from _union(annotation.right)
    else:
        yield annotation


def class_parameters(path: Path, name: str) -> dict[str, Parameter]:
    """The fields of the dataclass `name` in the file at `path`, read like the parameters of a registered function."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            fields = [field for field in node.body if isinstance(field, ast.AnnAssign)]
            targets = [ast.unparse(field.target) for field in fields]
            return {t: parameter(t, f.annotation, f.value, f) for t, f in zip(targets, fields, strict=True)}
    raise LookupError(f"{path} has no class {name}")
