"""Writes the list of files in docs/architecture.md, by what the head of each says: `python -m bench.pages.files`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from bench import ROOT
from bench.pages.samplers import replaced

PAGE = ROOT / "docs" / "architecture.md"
ROOMS = ("bench", "datasets", "recmodels")


def files_part() -> str:
    """A heading for each folder of code, and a line for each of its files."""
    folders = sorted({path.parent for room in ROOMS for path in (ROOT / room).rglob("*.py")})
    return "\n\n".join(f"### {folder.relative_to(ROOT)}/\n\n" + "\n".join(_lines(folder)) for folder in folders)


def _lines(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("*.py")):
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        yield f"- `{path.name}`: " + " ".join(said.partition("\n\n")[0].split())


def main() -> None:
    """Write the list."""
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), "files", files_part()), encoding="utf-8")


if __name__ == "__main__":
    main()
