"""What is in examples/ runs as it is."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[1] / "examples" / "first-look.ipynb"


def executed(source: str, names: dict[str, Any]) -> object:
    """Run a cell as a kernel does: the value of its last line, where that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, NOTEBOOK.name, "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval"), names)  # type: ignore[attr-defined]


@pytest.mark.slow
def test_every_cell_of_the_notebook_runs_and_shows_something(capsys: pytest.CaptureFixture[str]) -> None:
    """Cell by cell in one namespace; a kernel and what shows its output would be some thirty packages more."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") for cell in cells)
    names: dict[str, Any] = {"__name__": "__main__"}
    shown = [executed("".join(cell["source"]), names) for cell in cells if cell["cell_type"] == "code"]
    table, frame, pairs, figure, latex, shapes, lists = shown
    assert "<table>" in table._repr_html_()
    assert "toppop" in table._repr_html_()
    assert frame["name"].tolist() == ["uniform+softmax", "popularity+softmax", "toppop"]
    assert len(pairs) == 6
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert latex is None
    assert r"\toprule" in capsys.readouterr().out
    assert shapes == ((len(names["split"].user_ids), 16), (len(names["split"].item_ids), 16))
    assert len(lists) == 6
