"""The data folder: what it holds, what may go, and what an interrupted or full disk leaves."""

import errno
import os
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bench.cli.data import app
from datasets import cache, load
from datasets.errors import UserError
from datasets.sweep import size_of, sizes, sweep

DAY = 86_400


@pytest.fixture(autouse=True)
def data_home(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "home"))
    monkeypatch.delenv("BENCH_DATA_MIRROR", raising=False)
    return tmp_path / "home"


@pytest.fixture
def ratings(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text("user,item\n" + "".join(f"{u},{i}\n" for u in range(5) for i in range(5)))
    return str(path)


def age(path, days):
    then = time.time() - days * DAY
    os.utime(path, (then, then))


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and "locks" not in path.parts}


def test_what_nobody_used_goes_and_is_made_again(ratings, data_home):
    expected = load(ratings).train.sha256()
    before = files(data_home)
    for kind in ("tables", "splits"):
        age(next((data_home / kind).glob("*/meta.json")), 31)
    load(ratings)  # uses the split, and not the table
    held = sizes()["prepared"]
    swept = sweep(30, dry_run=True)
    assert [path.parent.name for path, _ in swept] == ["tables"]
    assert files(data_home) == before
    assert sweep(30) == swept
    assert sizes()["prepared"] == held - swept[0][1] > 0
    sweep(0)
    assert sizes()["prepared"] == 0
    assert load(ratings).train.sha256() == expected
    assert files(data_home) == before


def test_leftovers_go_once_nobody_can_be_writing_them_and_fetched_files_stay(data_home):
    left = [
        "partial/set-file/a.part",
        "tables/.abc.tmp/users.npy",
        "raw/digest/.unpacked-x/u.data",
        "raw/d/.u.json.tmp",
    ]
    for name in [*left, "raw/digest/u.data"]:
        (data_home / name).parent.mkdir(parents=True, exist_ok=True)
        (data_home / name).write_text("x" * 100)
    assert sweep(0) == []
    for path in data_home.rglob("*"):
        age(path, 1)
    assert sum(size for _, size in sweep(30)) == 400
    assert files(data_home) == {"raw/digest/u.data"}


@given(st.lists(st.integers(0, 5000), max_size=5))
def test_the_size_of_a_folder_is_that_of_its_files(tmp_path_factory, counts):
    folder = tmp_path_factory.mktemp("sizes")
    for k, count in enumerate(counts):
        (folder / str(k)).mkdir()
        (folder / str(k) / "file").write_bytes(b"x" * count)
    assert size_of(folder) == sum(counts)


@pytest.mark.parametrize("call", ["save", "write_text", "replace"])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(ratings, data_home, monkeypatch, call):
    def full(*_args, **_keywords):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    owner = {"save": np, "write_text": cache.Path, "replace": cache.os}[call]
    with monkeypatch.context() as patch:
        patch.setattr(owner, call, full)
        with pytest.raises(UserError, match="No space left on device"):
            load(ratings)
    assert files(data_home) == set()
    assert len(load(ratings).test) == 5


def test_few_file_handles_are_no_damage(ratings, monkeypatch):
    load(ratings)

    def none_left(*_args, **_keywords):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(np, "load", none_left)
    with pytest.raises(UserError, match="ulimit -n"):
        load(ratings)


def run(*words):
    return CliRunner().invoke(app, list(words), catch_exceptions=False)


def test_the_commands_say_sizes_and_what_they_freed(ratings, data_home):
    load(ratings)
    listed = run("list")
    assert "`bench data gc` frees" in listed.stderr
    assert str(data_home) in listed.stderr
    would = run("gc", "--days", "0", "--dry-run")
    assert would.stderr.startswith("Would free")
    assert len(would.stdout.splitlines()) == 2
    freed = run("gc", "--days", "0")
    assert freed.stdout == would.stdout
    assert freed.stderr == would.stderr.replace("Would free", "Freed")
    assert sizes()["prepared"] == 0
