"""A registry of plain functions, readable without importing them.

`@SAMPLERS.register("name", …)` above a function is all it takes to add an entry. Names, parameters, defaults and
papers are read from the source text, so that `bench list` and completion need neither torch nor the functions
themselves; `SAMPLERS["name"]` imports the one module that holds it.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from datasets.errors import UserError, plain, unknown
from recmodels.search import Search, literal

F = TypeVar("F", bound=Callable[..., Any])
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


class Registry:
    """The functions registered under `kind` in the modules of one package."""

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._functions: dict[str, Callable[..., Any]] = {}
        self._parsed: dict[str, Entry] = {}

    def register(self, name: str, **_facts: Any) -> Callable[[F], F]:
        """Add the decorated function under `name`; `_facts` must be literals, they are read from the source.

        Raises:
            ValueError: the name is taken.
        """

        def add(function: F) -> F:
            holder = self._functions.get(name)
            if holder is not None and holder.__qualname__ != function.__qualname__:
                raise ValueError(f"The {self.kind} name '{name}' is taken by {holder.__module__}.{holder.__name__}.")
            self._functions[name] = function
            return function

        return add

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """Every entry by name, sorted, from the source text alone."""
        return {name: self.entry(name) for name in self._files}

    @cached_property
    def _files(self) -> dict[str, tuple[Path, str]]:
        """File and module of every name, sorted by name; of the files only those of entries asked for are parsed."""
        folder = Path(__file__).parent.parent.joinpath(*self.package.split("."))
        paths = sorted(folder.glob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
        above = re.compile(rf'^@{self._variable}\.register\(\s*"([^"]+)"', re.MULTILINE)
        found: dict[str, tuple[Path, str]] = {}
        for path in paths:
            for name in above.findall(path.read_text(encoding="utf-8")):
                if name in found:
                    raise ValueError(f"The {self.kind} name '{name}' is registered twice.")
                found[name] = path, f"{self.package}.{path.stem}" if folder.is_dir() else self.package
        return dict(sorted(found.items()))

    @property
    def _variable(self) -> str:
        return {"loss": "LOSSES"}.get(self.kind, f"{self.kind.upper()}S")

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def entry(self, name: str) -> Entry:
        """What is known about `name`.

        Raises:
            UserError: nothing is registered under it; the closest name is suggested.
        """
        if name not in self._files:
            raise not_registered(self.kind, name, [self])
        if name not in self._parsed:
            path, module = self._files[name]
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.FunctionDef):
                    self._parsed |= {entry.name: entry for entry in _registered(node, self._variable, module)}
        return self._parsed[name]

    def __getitem__(self, name: str) -> Callable[..., Any]:
        entry = self.entry(name)
        import_module(entry.module)
        return self._functions[name]

    def parameters(self, name: str, given: dict[str, str]) -> dict[str, Value]:
        """All parameters of `name`, the defaults replaced by what is `given` as text.

        Raises:
            UserError: an unknown parameter, or a value it cannot take.
        """
        return fill(f"{self.kind} {name}", self.entry(name).parameters, given)


def not_registered(kind: str, given: str, registries: Iterable[Registry], also: Iterable[str] = ()) -> UserError:
    """The error for a name that none of the `registries` has: what it is called here, or the closest name.

    Args:
        kind: what was asked for, in words.
        given: the name; of an alias, capitals, spaces and signs do not matter.
        registries: where it was looked for.
        also: other words that were allowed.
    """
    entries = [entry for registry in registries for entry in registry.entries.values()]
    aliases = {alias: entry.name for entry in entries for alias in entry.aliases}
    meant = {plain(entry.name): entry.name for entry in entries}
    meant |= {plain(alias): entry.called_here(alias) for entry in entries for alias in entry.aliases}
    if plain(given) in meant:
        return UserError(f"'{given}' is called {meant[plain(given)]} here.")
    return unknown(kind, given, [*also, *(entry.name for entry in entries)], aliases)


def fill(
    owner: str, known: dict[str, Parameter], given: dict[str, str], aliases: Mapping[str, str] | None = None
) -> dict[str, Value]:
    """The defaults of the `known` parameters of `owner`, replaced by what is `given` as text.

    `aliases` are what others call them, for hints.

    Raises:
        UserError: an unknown parameter, or a value it cannot take.
    """
    values = {key: parameter.default for key, parameter in known.items()}
    for key, text in given.items():
        if key not in known:
            raise unknown(f"parameter of {owner}", key, known or ["(it has none)"], aliases)
        try:
            values[key] = known[key].parse(text)
        except UserError as error:
            raise UserError(f"{owner}: {key}: {error}") from error
        except (ValueError, KeyError):
            raise UserError(
                f"{owner}: {key} must be {known[key].allowed}, not '{text}' (default {values[key]})."
            ) from None
    return values


def _registered(node: ast.FunctionDef, variable: str, module: str) -> Iterator[Entry]:
    for decorator in node.decorator_list:
        match decorator:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=owner), attr="register"), args=[ast.Constant(value=str(name))]
            ) if owner == variable:
                facts = {k.arg: literal(k.value) for k in decorator.keywords if k.arg}
                parameters = {
                    argument.arg: _parameter(argument.arg, argument.annotation, default)
                    for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
                }
                takes = tuple(argument.arg for argument in node.args.args)
                yield Entry(name, module, node.name, ast.get_docstring(node) or "", parameters, facts, takes)


def _parameter(name: str, annotation: ast.expr | None, default: ast.expr | None) -> Parameter:
    """Read `alpha: Annotated[float, "> 0"] = 0.75`, `logq: Literal["none", "neg"] = "neg"` and unions of these.

    After the type, `Annotated` may have the bounds, and a `Search`.
    """
    if default is None:
        raise ValueError(f"parameter {name} needs a default")
    kind, choices, bounds, optional, search = "str", (), "", False, None
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
                raise ValueError(f"parameter {name} has a type that the command line cannot read")
    return Parameter(name, ast.literal_eval(default), kind, choices, bounds, optional, search)


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
            return {t: _parameter(t, f.annotation, f.value) for t, f in zip(targets, fields, strict=True)}
    raise LookupError(f"{path} has no class {name}")
