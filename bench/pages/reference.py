"""Writes docs/reference.md, from what packages export and its docstrings: `python -m bench.pages.reference`.

The code is read and not run, so that signatures stand as they are written.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from importlib import import_module
from inspect import cleandoc

from bench import ROOT
from bench.pages.samplers import replaced

PAGE = ROOT / "docs" / "reference.md"
PACKAGES = ("bench", "recmodels", "datasets")
SECTIONS = ("Args", "Attributes", "Returns", "Raises", "Example")
WIDTH = 100


def reference_part(package: str) -> str:
    """The entries of all that a package exports, by name."""
    homes = import_module(package)._HOMES
    return "\n\n".join(entry for name in sorted(homes, key=str.lower) for entry in _entries(package, name, homes[name]))


def _entries(package: str, name: str, home: str) -> Iterator[str]:
    path = ROOT / package / f"{home.replace('.', '/')}.py"
    source = (path if path.exists() else ROOT / package / home / "__init__.py").read_text(encoding="utf-8")
    node = next((one for one in ast.parse(source).body if getattr(one, "name", "") == name), None)
    if isinstance(node, ast.FunctionDef):
        yield _entry(3, f"{package}.{name}", _function(node), node)
    elif isinstance(node, ast.ClassDef):
        yield _entry(3, f"{package}.{name}", _class(node, source), node)
        for one in node.body:
            if isinstance(one, ast.FunctionDef) and not one.name.startswith("_"):
                yield _entry(4, f"{name}.{one.name}", _function(one), one)
    else:  # an object
        yield f"### {package}.{name}\n\nA [`Registry`](#recmodelsregistry)."


def _class(node: ast.ClassDef, source: str) -> str:
    """The head of a class, with its fields as they stand in the source, or its `__init__`."""
    bases = f"({', '.join(map(ast.unparse, node.bases))})" if node.bases else ""
    lines, inside = source.splitlines(), list[str]()
    made = any(word in ast.unparse(one) for one in (*node.decorator_list, *node.bases) for word in ("class", "Tuple"))
    for one in node.body:
        if isinstance(one, ast.FunctionDef) and one.name == "__init__":
            inside.append(textwrap.indent(_function(one), "    "))
        elif made and isinstance(one, ast.AnnAssign) and one.end_lineno is not None:
            inside += lines[one.lineno - 1 : one.end_lineno]
    return "\n".join([f"class {node.name}{bases}:{'' if inside else ' ...'}", *inside])


def _function(node: ast.FunctionDef) -> str:
    """The head of a function, on one line or with a line for each argument."""
    marks = {word for one in node.decorator_list for word in ("property", "classmethod") if word in ast.unparse(one)}
    arguments = _arguments(node.args)
    tail = f" -> {ast.unparse(node.returns)}: ..." if node.returns is not None else ": ..."
    line = f"def {node.name}({', '.join(arguments)}){tail}"
    if len(line) > WIDTH:
        line = f"def {node.name}(\n" + "".join(f"    {one},\n" for one in arguments) + f"){tail}"
    return "".join(f"@{mark}\n" for mark in marks) + line.replace("'", '"')


def _arguments(found: ast.arguments) -> list[str]:
    """Each argument with its type and default."""
    plain = [*found.posonlyargs, *found.args]
    defaults: list[ast.expr | None] = [*[None] * (len(plain) - len(found.defaults)), *found.defaults]
    told = [_argument(one, default) for one, default in zip(plain, defaults, strict=True)]
    told += [f"*{_argument(found.vararg, None)}"] if found.vararg else ["*"] if found.kwonlyargs else []
    told += [_argument(one, default) for one, default in zip(found.kwonlyargs, found.kw_defaults, strict=True)]
    return told + ([f"**{_argument(found.kwarg, None)}"] if found.kwarg else [])


def _argument(one: ast.arg, default: ast.expr | None) -> str:
    kind = f": {ast.unparse(one.annotation)}" if one.annotation is not None else ""
    equals = " = " if kind else "="
    return f"{one.arg}{kind}" + (f"{equals}{ast.unparse(default)}" if default is not None else "")


def _entry(level: int, name: str, signature: str, node: ast.FunctionDef | ast.ClassDef) -> str:
    """Heading, signature, and the docstring with its sections as lists."""
    said = ast.get_docstring(node)
    assert said is not None, f"{name} has no docstring"
    parts = re.split(rf"^({'|'.join(SECTIONS)}):\n", said, flags=re.M)
    found = [f"{'#' * level} {name}", f"```python\n{signature}\n```", _plain(parts[0].strip())]
    for title, inside in zip(parts[1::2], parts[2::2], strict=True):
        text = textwrap.dedent(inside).strip()
        found.append(f"```text\n{text}\n```" if title == "Example" else f"{title}:\n\n{_listed(text)}")
    return "\n\n".join(found)


def _listed(text: str) -> str:
    """A point for each `name: what it is`; what is indented belongs to the line above."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith(" "):
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line)
    return "\n".join(
        f"- {', '.join(f'`{one.strip()}`' for one in names.split(','))}: {_plain(said.strip())}"
        for names, _, said in (line.partition(": ") for line in lines)
    )


def _plain(text: str) -> str:
    """Words that Markdown would take for something else, as they are."""
    return re.sub(r"(?<![`\w])\*(?=\w)", r"\\*", cleandoc(text))


def page(text: str) -> str:
    """The page with its entries written anew."""
    for package in PACKAGES:
        text = replaced(text, package, reference_part(package))
    return text


def main() -> None:
    """Write the entries."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
