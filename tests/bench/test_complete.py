"""What a shell is told when it asks how a word may go on."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.inputs.asking import ask

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "scipy", "pyarrow", "pandas", "matplotlib", "rich.console")


def asks(typed: str) -> dict[str, str]:
    """What bash sets to be told how the last of these words may go on."""
    words = typed.split(" ")
    return {"_BENCH_COMPLETE": "complete_bash", "COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("bench comp", {"compare"}),
        ("bench compare uniform+soft", {"uniform+softmax"}),
        ("bench compare popularity : al", {"alpha=0.75"}),
        ("bench compare popularity :", {"alpha=0.75"}),
        ("bench compare toppop --sampler popularity : alpha = 0.5 --loss bp", {"bpr"}),
        ("bench compare --dataset ml-100", {"ml-100k"}),
        ("bench compare --dataset = ml-100", {"ml-100k"}),
        ("bench run --set epo", {"epochs=100"}),
        ("bench run --k-", {"--k-core"}),
        ("bench data info ml-100", {"ml-100k"}),
        ("bench list sett", {"settings"}),
        ("bench runs sho", {"show"}),
        ("bench compare --metric ndcg@1", {"ndcg@10"}),
        ("bench nonsense --dataset", set()),
        ("bench compare --seeds x --", None),
    ],
)
def test_a_shell_is_told_how_a_word_may_go_on_and_nothing_else(
    typed: str, found: set[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No sentence stands in what is typed, whatever is wrong with it."""
    for name, value in asks(typed).items():
        monkeypatch.setenv(name, value)
    answer = ask([])
    assert answer.err == ""
    told = set(answer.out.split())
    if found is None:
        assert {"--dataset", "--cell-timeout"} <= told
    else:
        assert found <= told
        assert len(told) <= len(found) + 5
        assert all(word.startswith(typed.split(" ")[-1].lstrip(":")) for word in told)


@pytest.mark.parametrize("typed", ["bench compare uniform+softm", "bench compare --dataset ml-1"])
def test_completing_imports_nothing_that_takes_long(typed: str) -> None:
    script = (
        "import sys; from bench.__main__ import main; sys.argv = ['bench']\n"
        f"try: main()\nfinally: sys.stderr.write(' '.join({{*sys.modules}} & {set(HEAVY)!r}))"
    )
    env = {**os.environ, **asks(typed)}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.stdout.split()
    assert done.stderr == ""


@pytest.mark.skipif(shutil.which("bash") is None, reason="asks bash")
def test_bash_itself_completes_an_option_of_a_sampler(tmp_path: Path) -> None:
    """In a real terminal, where bash breaks words at a colon."""
    (tmp_path / "bench").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bench "$@"\n', encoding="utf-8")
    (tmp_path / "bench").chmod(0o755)
    shows = [sys.executable, "-m", "bench", "--show-completion", "bash"]
    shell = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # the one above may be none
    script = subprocess.run(shows, cwd=ROOT, env=shell, capture_output=True, text=True, check=True).stdout
    (tmp_path / "complete.sh").write_text(script, encoding="utf-8")
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "TERM": "dumb"}
    ours, theirs = pty.openpty()
    bash = subprocess.Popen(["bash", "--norc", "-i"], stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    try:
        os.write(ours, f". {tmp_path}/complete.sh\nbench compare popularity:al\t".encode())
        seen, until = b"", time.monotonic() + 200
        while b"popularity:alpha=0.75" not in seen:
            assert time.monotonic() < until, seen.decode()
            if select.select([ours], [], [], 0.2)[0]:
                seen += os.read(ours, 4096)
    finally:
        bash.kill()
        bash.wait()
        os.close(ours)
