"""Where machine code is kept, and that no folder at all is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from recmodels import compiled

CODE = b"machine code\n\x00 of several lines\n"


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    found = [tmp_path / "home" / "cache", tmp_path / "temporary"]
    monkeypatch.setattr(compiled, "_folders", lambda: iter(found))
    return found


def test_code_is_kept_in_a_folder_that_is_made(folders: list[Path]) -> None:
    assert compiled._kept("a.o") is None
    assert compiled._keep("a.o", CODE) == CODE
    assert compiled._kept("a.o") == CODE
    assert [path.name for path in folders[0].iterdir()] == ["a.o"]
    assert not folders[1].exists()


@pytest.mark.parametrize("left", [b"", b"0\n", b"no digest"])
def test_what_is_damaged_is_compiled_again(folders: list[Path], left: bytes) -> None:
    compiled._keep("a.o", CODE)
    (folders[0] / "a.o").write_bytes(left)
    assert compiled._kept("a.o") is None


def test_the_temporary_folder_serves_where_the_home_takes_nothing(folders: list[Path]) -> None:
    folders[0].parent.write_text("a file in the way")
    compiled._keep("a.o", CODE)
    assert compiled._kept("a.o") == CODE
    assert (folders[1] / "a.o").exists()


def test_nothing_is_kept_where_nothing_can_be_written(folders: list[Path]) -> None:
    for folder in folders:
        folder.parent.mkdir(exist_ok=True)
        folder.write_text("a file in the way")
    assert compiled._keep("a.o", CODE) == CODE
    assert compiled._kept("a.o") is None


def test_code_that_others_may_have_put_there_is_not_run(folders: list[Path]) -> None:
    compiled._keep("a.o", CODE)
    folders[0].chmod(0o777)
    assert compiled._kept("a.o") is None
    compiled._keep("a.o", CODE)
    assert (folders[1] / "a.o").exists()


@pytest.mark.parametrize("wrong", [-1, 5])
def test_an_id_that_is_no_row_is_refused(wrong: int) -> None:
    assert compiled.inside(torch.tensor([[0, 4], [4, 0]]).T, 5).is_contiguous()
    with pytest.raises(IndexError, match="1 ids are negative, or not below 5"):
        compiled.inside(torch.tensor([0, wrong, 4]), 5)


ADD = """
import numpy as np
from recmodels.compiled import run
sums = np.zeros(2, np.float32)
run("add_count", np.array([1, 1]), 0.5, sums, 2)
assert sums.tolist() == [0.0, 1.0]
"""


@pytest.mark.slow
def test_two_first_starts_at_once(tmp_path: Path) -> None:
    given = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    both = [subprocess.Popen([sys.executable, "-c", ADD], env=given) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    kept = list(tmp_path.rglob("*.o"))
    assert len(kept) == 1
    warm = f"{ADD}import sys\nassert 'numba' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", warm], env=given, check=False).returncode == 0
