"""Frozen run ids of catalogued data: whoever moves code must not lose the runs that people have stored."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from bench.cli.compare import Compare
from bench.cli.main import app

GOLDEN = Path(__file__).parent / "golden" / "run_ids.json"
GRID = json.loads(GOLDEN.read_text(encoding="utf-8"))


def asked(line: str) -> Compare:
    """The request of the options of `bench compare`."""
    command = get_command(app).commands["compare"]  # type: ignore[attr-defined]
    context = command.make_context("compare", shlex.split(line))
    request: Compare = context.invoke(command.callback, **context.params)
    return request


@pytest.mark.parametrize("line", GRID)
def test_a_run_keeps_its_id(line: str) -> None:
    (experiment,) = asked(line).experiments()
    assert [spec.run_id for spec in experiment.specs()] == GRID[line]


def test_the_grid_is_of_different_runs() -> None:
    ids = [run for runs in GRID.values() for run in runs]
    assert len(set(ids)) == len(ids) > 30
