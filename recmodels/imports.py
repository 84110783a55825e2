"""What a file of Python imports from outside installed packages, and what nobody can tell without running it."""

from __future__ import annotations

import ast
import site
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import resolve_name
from pathlib import Path

from datasets.errors import UserError
from recmodels.code import Misread, Source

ROOMS = ("bench", "datasets", "recmodels")
RUNS = {"exec", "eval", "compile", "runpy.run_path", "runpy.run_module"}
LOADS = {"spec_from_file_location", "exec_module", "load_inline", "load_library"}
READS = {"open", "read_text", "read_bytes", "loadtxt", "genfromtxt", "read_csv", "read_parquet", "fromfile", "memmap"}
IMPORTS = {"import_module", "__import__"}


@dataclass(frozen=True)
class Imported:
    """A module as text.

    Attributes:
        file: its path, for messages; of a folder without `__init__.py` the folder.
        text: what is in it.
        is_package: whether modules are in it.
    """

    file: str
    text: str
    is_package: bool = False


def modules_of(file: Path, shown: str) -> dict[str, Imported]:
    """The file, under an empty name, and every module that it imports from outside installed packages, transitively.

    Raises:
        UserError: one of them cannot be read, or is no Python.
    """
    folders = [file.absolute().parent, *_own_folders()]
    found = {"": _module(file, shown)}
    pending = [""]
    while pending:
        name = pending.pop()
        module = found[name]
        for wanted in _imports(Source(module.file, module.text), name, module.is_package):
            for called, path in _located(wanted, folders):
                if called not in found and path != file.absolute():
                    found[called] = _module(path, _shown(path, file, shown))
                    pending.append(called)
    return found


def not_followed(source: Source) -> Iterator[str]:
    """A sentence on each call that runs or reads what the source does not name."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            last = called.rpartition(".")[2]
            if last in IMPORTS and not _named(node):
                yield f"{source.shown}:{node.lineno} imports what only running it tells, {UNCOVERED}"
            elif called in RUNS or last in LOADS:
                yield f"{source.shown}:{node.lineno} runs code by {called}, {UNCOVERED}"
            elif last in READS or called in ("np.load", "numpy.load", "torch.load", "json.load", "pickle.load"):
                yield f"{source.shown}:{node.lineno} reads a file by {called}, {UNCOVERED}"


UNCOVERED = "which is no part of the run id: an edit of it is answered with old numbers."


def _own_folders() -> list[Path]:
    """Where Python looks for modules, without what is installed, its own library, and this project."""
    installed = {*sysconfig.get_paths().values(), *site.getsitepackages(), site.getusersitepackages()}
    root = Path(__file__).parents[1]
    found = [Path(entry or ".").absolute() for entry in sys.path if not entry.endswith(".zip")]
    inside = [Path(path) for path in installed]
    return [
        folder
        for folder in dict.fromkeys(found)
        if folder.is_dir() and folder != root and not any(folder == path or path in folder.parents for path in inside)
    ]


def _module(path: Path, shown: str) -> Imported:
    is_package = path.is_dir() or path.name == "__init__.py"
    if path.is_dir():
        return Imported(shown, "", True)
    try:
        return Imported(shown, path.read_text(encoding="utf-8-sig"), is_package)
    except UnicodeDecodeError as error:
        raise UserError(f"{shown} is not text in UTF-8 (byte {error.start}); save it in UTF-8.") from None
    except OSError as error:
        raise UserError(f"{shown} cannot be read ({error.strerror}); see to that and try again.") from error


def _shown(path: Path, file: Path, shown: str) -> str:
    """The path of an imported module beside the one of its plug-in, as that was given."""
    folder = file.absolute().parent
    return str(Path(shown).parent / path.relative_to(folder)) if folder in path.parents else str(path)


def _imports(source: Source, name: str, is_package: bool) -> Iterator[str]:
    """The absolute names of what a module imports, with those that are modules only if the former are packages."""
    package = name if is_package else name.rpartition(".")[0]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level and not package:
                raise Misread(
                    source.shown,
                    node.lineno,
                    "imports with a leading dot, which a file that is in no package cannot; write `import helper` for "
                    "a helper.py beside it.",
                )
            base = resolve_name("." * node.level + (node.module or ""), package or None)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in IMPORTS and _named(node):
            yield node.args[0].value  # type: ignore[attr-defined]


def _named(call: ast.Call) -> bool:
    """Whether the first argument is written out, and is no relative name."""
    first = call.args[0] if call.args else None
    return isinstance(first, ast.Constant) and isinstance(first.value, str) and not first.value.startswith(".")


def _located(name: str, folders: list[Path]) -> Iterator[tuple[str, Path]]:
    """The files of a module and of the packages that it is in; none where it is not in these folders."""
    top, *rest = name.split(".")
    if top in sys.stdlib_module_names or top in ROOMS:
        return
    for folder in folders:
        here = _file(folder / top)
        if here is None:
            continue
        yield top, here
        called, place = top, folder / top
        for word in rest:
            called, place = f"{called}.{word}", place / word
            if (inner := _file(place)) is None:
                return
            yield called, inner
        return


def _file(place: Path) -> Path | None:
    """What Python would import there: a package, a module, or a folder of modules."""
    if (place / "__init__.py").is_file():
        return place / "__init__.py"
    if place.with_suffix(".py").is_file():
        return place.with_suffix(".py")
    return place if place.is_dir() and any(place.glob("*.py")) else None
