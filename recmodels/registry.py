"""A registry of plain functions, readable without importing them.

`@SAMPLERS.register("name", …)` above a function is all it takes to add an entry. Names, parameters, defaults and
papers are read from the source text, so that `bench list` and completion need neither torch nor the functions
themselves; `SAMPLERS["name"]` imports the one module that holds it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from datasets.errors import UserError, plain, unknown
from recmodels.code import Misread, Source, code_of
from recmodels.entries import Entry, Parameter, Place, Unreadable, Value, registered

F = TypeVar("F", bound=Callable[..., Any])

KINDS = ("samplers", "losses", "models", "baselines")  # folders of methods


@cache
def methods() -> dict[str, Source]:
    """The files of this package that hold methods, by module; read once, until `forget`."""
    folder = Path(__file__).parent
    files = [path for kind in KINDS for path in sorted((folder / kind).glob("*.py")) if path.stem != "__init__"]
    return {f"recmodels.{path.parent.name}.{path.stem}": Source.of(path) for path in files}


class Registry:
    """The functions registered under `kind` in the modules of one package.

    Example:
        >>> import recmodels
        >>> "popularity" in recmodels.SAMPLERS, len(recmodels.LOSSES) > 20
        (True, True)
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._functions: dict[str, Callable[..., Any]] = {}
        self._parsed: dict[str, Entry] = {}
        self._codes: dict[str, str] = {}
        self._plugged: dict[str, Place] = {}

    def register(self, name: str, **_facts: Any) -> Callable[[F], F]:
        """Add the decorated function under `name`; `_facts` must be literals, they are read from the source.

        Raises:
            ValueError: the name is taken.

        Example:
            >>> registry = Registry("sampler", "nowhere")
            >>> @registry.register("mine", paper="none: an example")
            ... def mine(training): ...
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
        """Every entry by name, sorted, from the source text alone; of installed plug-ins those that are right.

        Example:
            >>> recmodels.MODELS.entries["lightgcn"].file.endswith("models/lightgcn.py")
            True
        """
        found = {}
        for name, place in self.places.items():
            try:
                found[name] = self.entry(name)
            except UserError:
                if not place.installed:
                    raise
        return found

    @cached_property
    def places(self) -> dict[str, Place]:
        """Where every name is, sorted by name; of the files only those of entries asked for are parsed.

        Example:
            >>> recmodels.SAMPLERS.places["popularity"].module
            'recmodels.samplers.static'
        """
        found = dict(self._plugged)
        for module, source in methods().items():
            for name in self.named_in(source) if module.startswith(f"{self.package}.") else ():
                if name in found:
                    raise ValueError(f"The {self.kind} name '{name}' is registered twice.")
                found[name] = Place(source, module)
        return dict(sorted(found.items()))

    def plug(self, places: dict[str, Place]) -> None:
        """Know these names too, which are no names of this package.

        Example:
            >>> registry = Registry("sampler", "nowhere")
            >>> registry.plug({"mine": recmodels.SAMPLERS.places["uniform"]})
            >>> [*registry]
            ['mine']
        """
        self._plugged = places
        self._read_anew()

    def named_in(self, source: Source) -> list[str]:
        """The names that a file registers here, also where it is no Python.

        Example:
            >>> recmodels.SAMPLERS.named_in(recmodels.SAMPLERS.places["uniform"].source)[:2]
            ['uniform', 'popularity']
        """
        return [found[2] for found in self.above(source)]

    def above(self, source: Source) -> Iterator[re.Match[str]]:
        """What stands above the functions that a file registers here; the second group is the name.

        Example:
            >>> next(recmodels.SAMPLERS.above(recmodels.SAMPLERS.places["uniform"].source))[2]
            'uniform'
        """
        return re.finditer(rf"""^@{self.variable}\.register\(\s*(["'])([^"']+)\1""", source.text, re.MULTILINE)

    @property
    def variable(self) -> str:
        """What the registry is called in code.

        Example:
            >>> recmodels.SAMPLERS.variable
            'SAMPLERS'
        """
        return {"loss": "LOSSES"}.get(self.kind, f"{self.kind.upper()}S")

    def forget(self) -> None:
        """Know nothing of the sources any more, nor of plug-ins, so that all is read as it is now.

        Example:
            >>> registry = Registry("sampler", "nowhere")
            >>> registry.plug({"mine": recmodels.SAMPLERS.places["uniform"]})
            >>> registry.forget()
            >>> [*registry]
            []
        """
        for name in self._plugged:
            self._functions.pop(name, None)
        self._plugged = {}
        self._read_anew()

    def _read_anew(self) -> None:
        self._parsed, self._codes = {}, {}
        for name in ("entries", "places"):
            self.__dict__.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

    def __contains__(self, name: object) -> bool:
        return name in self.places

    def entry(self, name: str) -> Entry:
        """What is known about `name`.

        Raises:
            UserError: nothing is registered under it; the closest name is suggested. Or what a plug-in says of it
                cannot be read or means nothing.

        Example:
            >>> recmodels.SAMPLERS.entry("popularity").parameters["alpha"].default
            0.75
        """
        if name not in self.places:
            raise not_registered(self.kind, name, [self])
        if name not in self._parsed:
            place = self.places[name]
            try:
                found = [*registered(place, self.variable)]
            except Unreadable as error:
                raise Misread(place.source.shown, error.line, f"{error}.") from None
            for entry in found if place.plugin else ():
                from recmodels.declared import mistakes

                for said in mistakes(self.kind, entry):
                    raise Misread(entry.file, entry.line, said)
            self._parsed |= {entry.name: entry for entry in found}
        return self._parsed[name]

    def __getitem__(self, name: str) -> Callable[..., Any]:
        """The function registered under `name`.

        Raises:
            UserError: there is none, or its code was edited since it was read.
        """
        place = self.places[self.entry(name).name]
        known = {*sys.modules}
        import_module(place.module)
        for module in {*sys.modules} - known:
            if module in methods() and methods()[module].changed:
                raise edited(name)
        return self._functions[name]

    def code(self, name: str) -> str:
        """A digest of the code of `name`, with what it uses of the files of methods; see `recmodels.code`.

        Example:
            >>> recmodels.SAMPLERS.code("uniform") != recmodels.SAMPLERS.code("popularity")
            True
        """
        if name not in self._codes:
            place = self.places[self.entry(name).name]
            self._codes[name] = place.code() if place.code else code_of(place.source, name, methods().get)
        return self._codes[name]

    def parameters(self, name: str, given: dict[str, str]) -> dict[str, Value]:
        """All parameters of `name`, the defaults replaced by what is `given` as text.

        Raises:
            UserError: an unknown parameter, or a value it cannot take.

        Example:
            >>> recmodels.SAMPLERS.parameters("popularity", {"alpha": "0.5"})["alpha"]
            0.5
        """
        return fill(f"{self.kind} {name}", self.entry(name).parameters, given)


def forget(registries: Iterable[Registry]) -> None:
    """Let all sources be read anew, without the plug-ins of before."""
    methods.cache_clear()
    for registry in registries:
        registry.forget()


def edited(name: str) -> UserError:
    """A run cannot be of the code that it was asked for."""
    return UserError(
        f"The code of '{name}' is not what it was when the command began: it was edited since, or this worker has "
        "another version; give the command again."
    )


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
            raise unknown(
                "trainer setting" if owner == "trainer" else f"parameter of {owner}",
                key,
                known or ["(it has none)"],
                aliases,
            )
        try:
            values[key] = known[key].parse(text)
        except UserError as error:
            raise UserError(f"{owner}: {key}: {error}") from error
        except (ValueError, KeyError):
            raise UserError(
                f"{owner}: {key} must be {known[key].allowed}, not '{text}' (default {values[key]})."
            ) from None
    return values
