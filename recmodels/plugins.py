"""Plug-ins: methods from a file of one's own, or from an installed package with an entry point `contrarec`.

Nothing is imported to know what they register. A file is read with every module that it imports from outside installed
packages, and travels as text: what a worker runs is what the run id is of, wherever the worker is. An installed package
is imported where it is installed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from datasets import catalog
from datasets import source as sources_of_data
from datasets.columns import Columns
from datasets.errors import UserError, closest
from recmodels.code import Misread, Source, whole_code
from recmodels.entries import Entry, Place
from recmodels.losses import LOSSES
from recmodels.models import BASELINES, MODELS
from recmodels.registry import Registry, forget
from recmodels.samplers import SAMPLERS

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from recmodels.imports import Imported

DATASETS = Registry("dataset", "recmodels.plugins")
"""Data sets of plug-ins: functions without arguments that give the path of a file or folder."""

REGISTRIES: tuple[Registry, ...] = (SAMPLERS, LOSSES, MODELS, BASELINES, DATASETS)
GROUP = "contrarec"


@dataclass(frozen=True)
class Plugin:
    """A file of methods, as it was when it was read.

    Attributes:
        given: its path, as it was given.
        modules: name → each module that it consists of; its own name is empty.
    """

    given: str
    modules: Mapping[str, Imported]

    @cached_property
    def sources(self) -> dict[str, Source]:
        """Its modules, to be parsed."""
        return {name: Source(module.file, module.text) for name, module in self.modules.items()}

    @cached_property
    def code(self) -> str:
        """A digest of all its modules, wherever they are."""
        return whole_code(self.sources.items())

    def __reduce__(self) -> tuple[object, ...]:
        return Plugin, (self.given, self.modules)  # without what was parsed

    @property
    def module(self) -> str:
        """What Python calls the file once it is imported."""
        return f"contrarec_plugin_{self.code}"

    def names(self) -> Iterator[tuple[Registry, str, Source]]:
        """What it registers, and where."""
        for source in self.sources.values():
            for registry in REGISTRIES:
                for name in registry.named_in(source):
                    yield registry, name, source

    def methods(self) -> list[tuple[str, Entry]]:
        """What it registers, once it is in use: kind and entry."""
        return [(registry.kind, registry.entry(name)) for registry, name, _ in self.names()]

    def warnings(self) -> list[str]:
        """A sentence on everything in it that a run id cannot be of."""
        from recmodels.imports import not_followed

        return [said for source in self.sources.values() for said in not_followed(source)]


def read(path: str) -> Plugin:
    """The plug-in in a file; nothing of it is run.

    Raises:
        UserError: no file of Python, or one that registers nothing or something wrong.
    """
    from recmodels.imports import modules_of

    file = Path(path).expanduser()
    if not path.strip():
        raise UserError("The path of the plug-in is empty; give a file of Python that registers methods.")
    if file.is_dir():
        raise UserError(f"{path} is a folder; give a file of Python in it that registers methods.")
    if not file.exists():
        near = closest(file.name, (one.name for one in file.parent.glob("*.py")))
        hint = f" Did you mean {file.parent / near}?" if near else ""
        raise UserError(f"There is no file {path}; give the path of a file of Python that registers methods.{hint}")
    if file.suffix != ".py":
        raise UserError(f"{path} is not a file of Python, whose name ends in .py; give one that registers methods.")
    plugin = Plugin(path, modules_of(file, path))
    if not any(True for _ in plugin.names()):
        raise UserError(
            f'{path} registers nothing; put `@SAMPLERS.register("name", …)` or one of its kind above a function, as '
            "docs/adding-a-sampler.md says."
        )
    return plugin


_in_use: tuple[Plugin, ...] | None = None  # None until it is known what is installed


def in_use() -> tuple[Plugin, ...]:
    """The plug-ins whose methods are known, for a worker to use too."""
    return _in_use or ()


def ensure(plugins: Sequence[Plugin]) -> None:
    """Use these plug-ins, unless it is they that are in use."""
    if _in_use != tuple(plugins):
        use(plugins)


def use(plugins: Sequence[Plugin]) -> None:
    """Make the methods of these plug-ins known in place of those of others; all sources are read anew.

    Raises:
        UserError: a name is taken, or what is declared means nothing.
    """
    global _in_use
    if (objective := sys.modules.get("recmodels.objective")) is not None:
        for _, name, _ in (each for plugin in in_use() for each in plugin.names()):
            objective.STATES.pop(name, None)
            objective.SLOPES.pop(name, None)
    _in_use = None
    forget(REGISTRIES)
    _FINDER.serve(())
    holders = {name: entry for registry in REGISTRIES for name, entry in registry.places.items()}
    added: dict[str, dict[str, Place]] = {registry.kind: {} for registry in REGISTRIES}
    for plugin in plugins:
        for registry, name, source in plugin.names():
            place = Place(source, plugin.module, plugin.given, lambda plugin=plugin: plugin.code)  # type: ignore[misc]
            if name in holders or catalog.known(name):
                line = line_of(registry, name, source)
                there = holders[name].source.shown if name in holders else "the catalogue of data sets"
                raise Misread(
                    source.shown, line, f"registers '{name}', which is in {there} already; give it another name."
                )
            holders[name] = added[registry.kind][name] = place
    for registry, name, place in _installed():
        if name not in holders:
            holders[name] = added[registry.kind][name] = place
    _FINDER.serve(plugins)
    for registry in REGISTRIES:
        registry.plug(added[registry.kind])
    sources_of_data.PLUGGED.clear()
    sources_of_data.PLUGGED.update({name: partial(_data, name) for name in DATASETS})
    for registry in REGISTRIES:
        for name, place in added[registry.kind].items():
            if not place.installed:
                registry.entry(name)
    _in_use = tuple(plugins)


def _data(name: str) -> tuple[str, Columns]:
    """The path behind a data set of a plug-in, and its columns.

    Raises:
        UserError: its function gives no path that exists.
    """
    entry = DATASETS.entry(name)
    try:
        with redirect_stdout(sys.stderr):
            found = DATASETS[name]()
    except Exception as error:  # whatever the function of somebody else does
        place = where(error) or f"{entry.file}:{entry.line}"
        raise UserError(f"{place} raises {type(error).__name__}: {error}; so there is no data set {name}.") from error
    if not isinstance(found, str | Path) or not Path(found).expanduser().exists():
        raise Misread(
            entry.file, entry.line, f"gives {found} for {name}; give the path of a file or folder that exists."
        )
    return str(found), entry.facts.get("columns")


def complaints() -> list[str]:
    """A sentence on everything that makes a method of an installed plug-in unusable."""
    found = []
    for point in _points():
        try:
            sources = _sources(point.module)
        except UserError as error:
            found.append(str(error))
            continue
        for source in sources.values():
            for registry in REGISTRIES:
                for name in registry.named_in(source):
                    holder = next((each.places[name] for each in REGISTRIES if name in each.places), None)
                    if holder is None or holder.source.shown != source.shown:
                        other = holder.source.shown if holder else "another"
                        found.append(
                            f"{source.shown} registers '{name}', which is in {other} already, and is not used."
                        )
                        continue
                    try:
                        registry.entry(name)
                    except UserError as error:
                        found.append(str(error))
    return list(dict.fromkeys(found))


def _installed() -> Iterator[tuple[Registry, str, Place]]:
    """What packages with an entry point register; those that are not found are among the complaints."""
    for point in _points():
        try:
            sources = _sources(point.module)
        except UserError:
            continue
        called = point.dist.name if point.dist else point.name
        for module, source in sources.items():
            for registry in REGISTRIES:
                for name in registry.named_in(source):
                    yield registry, name, Place(source, module, called, lambda s=sources: whole_code(s.items()), True)  # type: ignore[misc]


def _points() -> Iterable[EntryPoint]:
    """The entry points of the group; to see that no package has one takes a sixth of the time."""
    for folder in sys.path:
        with suppress(OSError):
            for name in os.listdir(folder or "."):
                if name.endswith(".dist-info"):
                    with suppress(OSError), open(f"{folder}/{name}/entry_points.txt", "rb") as file:
                        if f"[{GROUP}]".encode() in file.read():
                            from importlib.metadata import entry_points

                            return entry_points(group=GROUP)
    return ()


def _sources(module: str) -> dict[str, Source]:
    """The files of the package that a module is in, by module; nothing is imported.

    Raises:
        UserError: there is no such package.
    """
    top = module.partition(".")[0]
    spec = find_spec(top)
    if spec is None or not spec.origin:
        raise UserError(f"An installed package has the entry point {GROUP} = {module}, and there is no module {top}.")
    if not spec.submodule_search_locations:
        return {top: Source.of(Path(spec.origin))}
    folder = Path(spec.origin).parent
    named = {file: [top, *file.relative_to(folder).with_suffix("").parts] for file in sorted(folder.rglob("*.py"))}
    return {".".join(parts).removesuffix(".__init__"): Source.of(file) for file, parts in named.items()}


def where(error: BaseException) -> str:
    """The last place in a file of a plug-in that an error came through, as `mine.py:12`; empty where there is none."""
    from traceback import extract_tb

    files = {place.source.shown for registry in REGISTRIES for place in registry.places.values() if place.plugin}
    files |= {module.file for module in _FINDER.modules.values()}
    passed = [frame for frame in extract_tb(error.__traceback__) if frame.filename in files]
    return f"{passed[-1].filename}:{passed[-1].lineno}" if passed else ""


def line_of(registry: Registry, name: str, source: Source) -> int:
    """The line on which a name is registered."""
    match = next(found for found in registry.above(source) if found[2] == name)
    return source.text.count("\n", 0, match.start()) + 1


class _Finder:
    """Gives Python the modules of plug-ins from their text."""

    def __init__(self) -> None:
        self.modules: dict[str, Imported] = {}

    def serve(self, plugins: Iterable[Plugin]) -> None:
        """Give these and no others; what was imported of others is forgotten.

        Raises:
            UserError: two plug-ins import different modules by one name.
        """
        modules: dict[str, Imported] = {}
        for plugin in plugins:
            for name, module in plugin.modules.items():
                called = name or plugin.module
                if modules.setdefault(called, module) != module:
                    raise UserError(
                        f"{modules[called].file} and {module.file} are different modules called {called}; rename one, "
                        "or use their plug-ins in commands of their own."
                    )
        for name in [name for name, module in sys.modules.items() if getattr(module, "__loader__", None) is self]:
            del sys.modules[name]
        self.modules = modules
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        if modules:
            sys.meta_path.insert(0, self)

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The module, if it is of a plug-in."""
        if name not in self.modules:
            return None
        module = self.modules[name]
        spec = ModuleSpec(name, self, origin=module.file, is_package=module.is_package)  # type: ignore[arg-type]
        if spec is not None:
            spec.has_location = True
        return spec

    def is_package(self, fullname: str) -> bool:
        """Whether others are in it."""
        return self.modules[fullname].is_package

    def get_source(self, fullname: str) -> str:
        """Its text."""
        return self.modules[fullname].text

    def create_module(self, spec: ModuleSpec) -> None:
        """An ordinary one."""

    def exec_module(self, module: ModuleType) -> None:
        """Run its text, compiled under the name of its file."""
        found = self.modules[module.__name__]
        exec(compile(found.text, found.file, "exec", dont_inherit=True), vars(module))


_FINDER = _Finder()
