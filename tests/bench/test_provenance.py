"""What a run says of the code that made it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench.runs import provenance


def dirty() -> object:
    return provenance.provenance.__wrapped__()["dirty"]


def test_code_that_is_changed_or_not_tracked_is_dirty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True, capture_output=True)

    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    for package in ("bench", "recmodels"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "a.py").write_text("a = 1\n")
    git("init")
    git("config", "status.showUntrackedFiles", "no")
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-m", "a")
    assert dirty() is False
    (tmp_path / "notes.txt").write_text("no code\n")
    assert dirty() is False
    (tmp_path / "recmodels" / "new.py").write_text("b = 1\n")
    assert dirty() is True
    (tmp_path / "recmodels" / "new.py").unlink()
    (tmp_path / "bench" / "a.py").write_text("a = 2\n")
    assert dirty() is True
