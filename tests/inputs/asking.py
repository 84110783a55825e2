"""Asks `bench` as a user does, in this process, and holds every answer to what a new user must be able to read.

Its runs are made and measured in this process too: a worker first imports torch, which takes seconds. Workers are met
in tests/bench/test_cli.py, test_executor.py and test_pace.py.

A case is `(words, exit code, what must be read, what must not)`; the last may be left out. The words are split as a
shell does.
"""

from __future__ import annotations

import io
import shlex
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import pytest

from bench.runs import executor, pace, runner, stopwatch
from bench.runs.claims import Claims

NEVER = ("Traceback", "Errno", "<class ", "Exception", "dtype", "pyarrow", "numpy.", "Warning: overflow")
"""What no user reads, whatever he typed."""

Case = tuple[str, int, list[str]] | tuple[str, int, list[str], list[str]]


class Answer(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


def ask(words: str | Sequence[str]) -> Answer:
    """Run `bench` with these words."""
    from bench.__main__ import main

    runner._open.cache_clear()  # a file of the same path may be another
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    before = sys.argv
    sys.argv = ["bench", *(shlex.split(words) if isinstance(words, str) else words)]
    try:
        with ExitStack() as stack:
            stack.enter_context(redirect_stdout(out))
            stack.enter_context(redirect_stderr(err))
            stack.enter_context(patch.object(executor, "run_local", run_here))
            stack.enter_context(patch.object(executor, "paces", paces_here))
            stack.enter_context(patch.object(stopwatch, "SECONDS", 0.0))
            try:
                main()
                code = 0
            except SystemExit as stopped:
                code = stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
            except BaseException:
                err.write(traceback.format_exc())
                code = 1
    finally:
        sys.argv = before
    texts = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
    return Answer(code, *texts)


def bench(*words: str | Path) -> Answer:
    """The same, word by word."""
    return ask([*map(str, words)])


def run_here(claims: Claims, listener: executor.Listener, **_: object) -> Iterator[tuple[runner.Task, runner.Result]]:
    """What `run_local` gives, one run after another in this process."""
    while (task := claims.take()) is not None:
        listener.started(task)
        on_pace = partial(listener.pace, task) if task.measured else None
        with redirect_stdout(sys.stderr):  # as in a worker
            result = runner.execute(task, partial(listener.epoch, task), on_pace=on_pace)
        listener.finished(task, result)
        yield task, result


def paces_here(tasks: Sequence[runner.Task], *_: float) -> Iterator[tuple[runner.Task, pace.Pace | str]]:
    """What `executor.paces` gives, in this process."""
    yield from ((task, pace.pace_of(task)) for task in tasks)


def check(answer: Answer, code: int, must: Sequence[str], must_not: Sequence[str] = ()) -> None:
    """Hold an answer to its case: of a mistake, the last line of stderr is the sentence and says it all."""
    said = answer.out + answer.err
    for word in (*NEVER, *must_not):
        assert word not in said, said
    assert answer.code == code, said
    if code == 2:
        assert answer.out == "", answer.out
        lines = answer.err.splitlines()
        assert 0 < len(lines) < 4, answer.err
        said = lines[-1]
        assert said.endswith((".", "?", ")")), said
    for word in must:
        assert word in said, said


def table(cases: Sequence[Case]) -> pytest.MarkDecorator:
    """The cases as parameters of a test `(words, code, must, must_not)`, named by their words."""
    rows = [(*case, []) if len(case) == 3 else case for case in cases]
    return pytest.mark.parametrize(("words", "code", "must", "must_not"), rows, ids=[case[0][:60] for case in cases])
