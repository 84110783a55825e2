"""Frozen ids of what runs were asked for, on catalogued data: whoever moves code must not lose what people have stored.

The code of the methods is the one part of a run id that they leave out; tests/recmodels/test_code.py is about it.
"""

from __future__ import annotations

import json
import shlex

import pytest
from typer.main import get_command

from bench.cli.compare import Compare
from bench.cli.main import app
from bench.runs.spec import asked_id_of
from tests.frozen import GOLDEN, frozen_value

GRID = json.loads((GOLDEN / "run_ids.json").read_text(encoding="utf-8"))


def asked(line: str) -> Compare:
    """The request of the options of `bench compare`."""
    command = get_command(app).commands["compare"]  # type: ignore[attr-defined]
    context = command.make_context("compare", shlex.split(line))
    request: Compare = context.invoke(command.callback, **context.params)
    return request


@pytest.mark.golden
@pytest.mark.parametrize("line", GRID)
def test_a_run_keeps_its_id(line: str) -> None:
    (experiment,) = asked(line).experiments()
    found = [asked_id_of(spec.as_dict()) for spec in experiment.specs()]
    assert found == frozen_value("run_ids.json", line, found)


def test_the_grid_is_of_different_runs() -> None:
    ids = [run for runs in GRID.values() for run in runs]
    assert len(set(ids)) == len(ids) > 30
