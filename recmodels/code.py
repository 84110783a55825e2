"""The code of a method as a text that changes when what it computes may change, and not otherwise.

It is read from the source, of which comments, formatting, docstrings, ranges in annotations and what is said about a
method (its paper, its aliases, what is searched and recommended) are no part. Nor is where a definition stands, in
which file and in which order. The text does not depend on the version of Python.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

from datasets.errors import UserError

ABOUT = ("paper", "aliases", "search", "recommended", "recommended_from", "spaces_why", "ignores")
"""What `register` is told of a method that no run reads."""
_UNREAD = ("ctx", "kind", "type_comment", "type_ignores")

Find = Callable[[str], "Source | None"]
"""The source of a module by its name; None where its code is covered otherwise, or is not ours."""


class Misread(UserError):
    """A mistake at a line of a file of Python, which begins with both."""

    def __init__(self, file: str, line: int, said: str) -> None:
        super().__init__(f"{file}:{line} {said}")


Stamp = tuple[int, int]
"""Time and size of a file."""


class Source:
    """A file of Python, parsed.

    Attributes:
        shown: its path, for messages.
        text: what is in it.
    """

    def __init__(self, shown: str, text: str, stamp: Stamp | None = None) -> None:
        self.shown, self.text, self._stamp = shown, text, stamp

    @classmethod
    def of(cls, path: Path) -> Source:
        """The source in a file."""
        stamp = _stamp(path)
        return cls(str(path), path.read_text(encoding="utf-8"), stamp)

    @property
    def changed(self) -> bool:
        """Whether the file is not what it was when it was read."""
        return self._stamp is not None and _stamp(Path(self.shown)) != self._stamp

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree.

        Raises:
            Misread: it is no Python.
        """
        try:
            return _parsed(self.text, self.shown)
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None) or 1
            said = getattr(error, "msg", str(error))
            raise Misread(self.shown, line, f"is not Python ({said}); mend that line.") from None

    @cached_property
    def statements(self) -> list[ast.stmt]:
        """What stands at its top level and does anything."""
        return [node for node in self.tree.body if not _idle(node) and not _for_types(node)]

    @cached_property
    def bound(self) -> dict[str, list[ast.stmt]]:
        """The statements that give each name its value, in order."""
        found: dict[str, list[ast.stmt]] = {}
        for node in self.statements:
            for name in _names(node):
                found.setdefault(name, []).append(node)
        return found

    @cached_property
    def loose(self) -> list[ast.stmt]:
        """The statements that give no name a value and run whatever is used, such as `TABLE["a"] = 1`."""
        return [node for node in self.statements if not _names(node)]

    def under(self, name: str) -> Iterator[str]:
        """The names of the functions that are registered under `name`: the method, and what stands beside it."""
        for node in self.statements:
            if isinstance(node, ast.FunctionDef):
                calls = [call for call in node.decorator_list if isinstance(call, ast.Call) and call.args]
                if any(isinstance(c.args[0], ast.Constant) and c.args[0].value == name for c in calls):
                    yield node.name


@lru_cache(maxsize=256)
def _parsed(text: str, shown: str) -> ast.Module:
    """The tree of a text, which nobody changes; a file that is read anew is often what it was."""
    return ast.parse(text, shown)


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def code_of(source: Source, name: str, find: Find) -> str:
    """A digest of the method registered under `name` with all that it uses of its file and of those that `find` has."""
    texts: set[str] = set()
    opened: list[Source] = []
    pending, seen = [(source, function) for function in source.under(name)], set()
    while pending:
        file, wanted = pending.pop()
        if (id(file), wanted) in seen:
            continue
        seen.add((id(file), wanted))
        if file not in opened:
            opened.append(file)
            texts.add(_read(file.loose, file, find, pending))
        statements = file.bound.get(wanted, [])
        imports = [node for node in statements if isinstance(node, ast.Import | ast.ImportFrom)]
        texts.update(text for node in imports for text in _imported(node, wanted, find, pending))
        texts.add(_read([node for node in statements if node not in imports], file, find, pending))
    return digest(texts)


def whole_code(sources: Iterable[tuple[str, Source]]) -> str:
    """A digest of modules, each with its name, of which everything counts."""
    return digest(f"{name}\n{spelled(source.tree, Uses())}" for name, source in sources)


def digest(texts: Iterable[str]) -> str:
    """12 hex digits of the SHA-256 of the texts, whatever their order."""
    return hashlib.sha256("\n".join(sorted(texts)).encode()).hexdigest()[:12]


@dataclass
class Uses:
    """What a piece of code uses: names, and what it imports itself."""

    names: set[str] = field(default_factory=set)
    imports: list[ast.Import | ast.ImportFrom] = field(default_factory=list)


Pending = list[tuple[Source, str]]
"""Names of files that are still to be read."""


def _read(statements: list[ast.stmt], file: Source, find: Find, pending: Pending) -> str:
    """The statements as a text; what they use of this and other files is read next."""
    uses = Uses()
    text = "\n".join(spelled(node, uses) for node in statements)
    pending += [(file, name) for name in uses.names if name in file.bound]
    for node in uses.imports:  # inside a function
        for alias in node.names:
            list(_imported(node, bound_by(alias), find, pending))
    return text


def _imported(node: ast.Import | ast.ImportFrom, wanted: str, find: Find, pending: Pending) -> Iterator[str]:
    """What an imported name stands for, as a text; the definition itself is read next where it is one of ours."""
    for alias in (each for each in node.names if bound_by(each) == wanted):
        inside = isinstance(node, ast.ImportFrom)
        module = f"{node.module}" if isinstance(node, ast.ImportFrom) else alias.name
        whole = find(f"{module}.{alias.name}" if inside else module)
        if whole is not None:
            pending += [(whole, name) for name in whole.bound]
            yield f"{wanted} is a module"
        elif inside and (file := find(module)) is not None:
            pending.append((file, alias.name))
            yield f"{wanted} is {alias.name}"
        else:
            yield f"{wanted} is {module}.{alias.name}" if inside else f"{wanted} is {module}"


def bound_by(alias: ast.alias) -> str:
    """The name that an import binds."""
    return alias.asname or alias.name.partition(".")[0]


def spelled(node: object, uses: Uses) -> str:
    """The node as a text, the same for the same program; what it uses is added to `uses`."""
    if isinstance(node, list):
        return f"[{','.join([spelled(each, uses) for each in node if not _idle(each)])}]"
    if not isinstance(node, ast.AST):
        return ascii(node)
    kind = type(node)
    if kind is ast.Name:
        uses.names.add(node.id)  # type: ignore[attr-defined]
        return node.id  # type: ignore[attr-defined, no-any-return]
    if kind in _OTHERWISE and (instead := _OTHERWISE[kind](node)) is not None:
        return spelled(instead, uses)
    if kind in (ast.Import, ast.ImportFrom):
        uses.imports.append(node)  # type: ignore[arg-type]
    told = []
    for name in _fields(kind):  # type: ignore[arg-type]  # typeshed says that types of nodes have no hash
        value = getattr(node, name, None)
        if value is not None and value != []:
            told.append(f"{name}={spelled(value, uses)}")
    return f"{kind.__name__}({','.join(told)})"


@cache
def _fields(kind: type[ast.AST]) -> tuple[str, ...]:
    return tuple(name for name in kind._fields if name not in _UNREAD)


def _without_ranges(node: ast.Subscript) -> ast.expr | None:
    """What is annotated: of `Annotated[float, "> 0"]` the float."""
    match node:
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[kind, *_])):
            return kind
    return None


def _without_words(node: ast.Call) -> list[object] | None:
    """The parts of a call of `register` that a run reads."""
    if isinstance(node.func, ast.Attribute) and node.func.attr == "register":
        return ["Call", node.func, node.args, [fact for fact in node.keywords if fact.arg not in ABOUT]]
    return None


def _joined(node: ast.JoinedStr) -> list[object]:
    """An f-string in pieces; versions of Python cut its text in other places, or have empty ones."""
    pieces: list[object] = ["JoinedStr"]
    for part in node.values:
        if not isinstance(part, ast.Constant):
            pieces.append(part)
        elif len(pieces) > 1 and isinstance(pieces[-1], str):
            pieces[-1] += str(part.value)
        elif part.value:
            pieces.append(str(part.value))
    return pieces


_OTHERWISE: dict[type, Callable[[Any], object]] = {
    ast.Subscript: _without_ranges,
    ast.Call: _without_words,
    ast.JoinedStr: _joined,
}
"""What is read in place of a node of some kinds, unless that is None."""


def _idle(node: object) -> bool:
    """Whether a statement does nothing: a docstring, `...` or `pass`."""
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _for_types(node: ast.stmt) -> bool:
    """Whether a statement is for type checkers alone."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _names(node: ast.stmt) -> list[str]:
    """The names to which a statement gives a value and does nothing else."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Import() | ast.ImportFrom():
            return [bound_by(alias) for alias in node.names]
        case ast.Assign(targets=targets):
            return [] if any(map(_is_part, targets)) else [each.id for each in _stored(targets)]
        case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
            return [] if _is_part(target) else [each.id for each in _stored([target])]
    return []


def _is_part(target: ast.expr) -> bool:
    """Whether an assignment changes something that has another name."""
    return any(isinstance(each, ast.Subscript | ast.Attribute) for each in ast.walk(target))


def _stored(targets: Iterable[ast.expr]) -> Iterator[ast.Name]:
    for target in targets:
        yield from (each for each in ast.walk(target) if isinstance(each, ast.Name))
