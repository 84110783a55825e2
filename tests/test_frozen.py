"""Rewriting golden files: what moved is written, what is the same stays to the byte, what is gone goes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import frozen


@pytest.fixture(autouse=True)
def golden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(frozen, "GOLDEN", tmp_path)
    monkeypatch.setenv("UPDATE_GOLDEN", "1")
    (tmp_path / "runs.json").write_text('{\n "a": {"loss": 1.0},\n "b": {"loss": 2.0}\n}\n')
    (tmp_path / "table.txt").write_text("a 1.00\n")
    return tmp_path


def near(found: dict[str, float], before: dict[str, float]) -> bool:
    return abs(found["loss"] - before["loss"]) < 0.1


def test_numbers_that_left_the_tolerance_are_written_and_no_others(golden: Path) -> None:
    assert frozen.frozen_value("runs.json", "a", {"loss": 1.01}, near) == {"loss": 1.0}
    assert frozen.frozen_value("runs.json", "b", {"loss": 3.0}, near) == {"loss": 3.0}
    assert frozen.frozen_value("runs.json", "c", {"loss": 4.0}, near) == {"loss": 4.0}
    assert (golden / "runs.json").read_text() == (
        '{\n "a": {"loss": 1.0},\n "b": {"loss": 3.0},\n "c": {"loss": 4.0}\n}\n'
    )


def test_what_no_longer_exists_is_dropped(golden: Path) -> None:
    assert frozen.frozen_keys("runs.json", {"b", "c"}) == {"b"}
    assert json.loads((golden / "runs.json").read_text()) == {"b": {"loss": 2.0}}


def test_texts_are_written_where_they_differ_or_are_new(golden: Path) -> None:
    assert frozen.frozen_text("table.txt", "A 1.00\n", lambda new, old: new.lower() == old.lower()) == "a 1.00\n"
    assert frozen.frozen_text("table.txt", "a 2.00\n", str.__eq__) == "a 2.00\n"
    assert frozen.frozen_text("new.txt", "b\n", str.__eq__) == "b\n"
    assert {path.name for path in golden.iterdir()} == {"runs.json", "table.txt", "new.txt"}


def test_nothing_is_written_unless_asked_for(golden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UPDATE_GOLDEN")
    before = {path.name: path.read_bytes() for path in golden.iterdir()}
    assert frozen.frozen_value("runs.json", "b", {"loss": 3.0}, near) == {"loss": 2.0}
    assert frozen.frozen_text("table.txt", "a 2.00\n", str.__eq__) == "a 1.00\n"
    assert frozen.frozen_keys("runs.json", {"a"}) == {"a", "b"}
    with pytest.raises(AssertionError, match=r"c is not in tests/golden/runs\.json: make golden"):
        frozen.frozen_value("runs.json", "c", {"loss": 1.0}, near)
    assert {path.name: path.read_bytes() for path in golden.iterdir()} == before
