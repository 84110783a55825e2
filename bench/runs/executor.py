"""Runs tasks in worker processes, one run at a time in each, and says which run a dying worker took with it."""

from __future__ import annotations

import math
import multiprocessing as mp
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from importlib import import_module
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Protocol

from bench.runs.claims import Claims
from bench.runs.pace import Pace, pace_of
from bench.runs.runner import Task, execute
from bench.runs.store import Result, failed

STARTUP = mp.get_context("spawn")  # fork would share torch's and numpy's thread pools
POLL = 0.2  # seconds between looks at the clock, and at runs that another command has claimed


class Listener(Protocol):
    """Whoever wants to know how the runs go."""

    def started(self, task: Task) -> None:
        """A worker took the task."""

    def epoch(self, task: Task, epoch: int, loss: float, valid: float) -> None:
        """An epoch ended."""

    def pace(self, task: Task, pace: Pace) -> None:
        """So long will an epoch take; told of tasks that are `measured`."""

    def finished(self, task: Task, result: Result) -> None:
        """The run ended, well or not."""


Executor = Callable[[Claims, Listener], Generator[tuple[Task, Result], None, None]]
"""Runs what it can claim; gives results in the order in which they finish. `run_local`, or `bench.runs.cluster`'s."""


def timed_out(limit: float) -> str:
    """Why a run that took longer than it may failed."""
    return f"timed out: not done after {limit:g} s (cell-timeout)"


def run_local(
    claims: Claims, listener: Listener, *, jobs: int, timeout: float | None = None
) -> Generator[tuple[Task, Result], None, None]:
    """Run in `jobs` processes of this machine.

    A worker that dies, or is at one run for longer than `timeout` seconds, takes that run with it: the run is failed,
    the rest goes on in a new worker. The start of a worker does not count.
    """
    workers = [_Worker() for _ in range(jobs)]
    try:
        while True:
            for worker in workers:
                if worker.task is None and (task := claims.take()) is not None:
                    worker.give(task)
                    listener.started(task)
            busy = {worker.pipe: worker for worker in workers if worker.task is not None}
            if not busy and not len(claims):
                return
            if not busy:  # other commands are at all that is left
                time.sleep(POLL)
                continue
            patient = timeout is None and (not len(claims) or len(busy) == jobs)
            ready = wait(list(busy), timeout=None if patient else POLL)
            for pipe, worker in busy.items():
                task = worker.task
                assert task is not None
                result = worker.receive(listener) if pipe in ready else None
                if result is None and timeout is not None and time.monotonic() - worker.since > timeout:
                    worker.restart()
                    result = failed(timed_out(timeout))
                if result is not None:
                    listener.finished(task, result)
                    yield task, result
    finally:
        for worker in workers:
            worker.kill()


def paces(tasks: Sequence[Task], each: float, together: float) -> Iterator[tuple[Task, Pace | str]]:
    """How fast each would be, from a worker that does a few steps of it; a clause where that says nothing.

    Ends when `together` seconds are over; a task that takes longer than `each` is left.
    """
    worker, until = _Worker(), math.inf
    try:
        for task in tasks:
            if time.monotonic() > until:
                return
            worker.give(replace(task, trained=False))
            found: Pace | str | None = None
            while found is None:
                left = worker.since + each - time.monotonic()
                if wait([worker.pipe], timeout=None if math.isinf(left) else max(0.0, left)):
                    found = worker.hear_pace()
                    until = min(until, worker.since + together)
                else:
                    worker.restart()
                    found = f"its first steps take more than {each:g} s"
            yield task, found
    finally:
        worker.kill()


class _Worker:
    """A process that executes one task after another."""

    task: Task | None
    since: float  # when it began with the task; infinite until then

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self.pipe, theirs = STARTUP.Pipe()
        self.process: SpawnProcess = STARTUP.Process(target=_work, args=(theirs,), daemon=True)
        with _deaf():
            self.process.start()
        theirs.close()
        self.task = None

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()

    def restart(self) -> None:
        self.kill()
        self._start()

    def give(self, task: Task) -> None:
        try:
            self.pipe.send(task)
        except OSError:  # it died while it had nothing to do
            self.restart()
            self.pipe.send(task)
        self.task, self.since = task, math.inf

    def receive(self, listener: Listener) -> Result | None:
        """Handle one message; the result if that was the last of the run."""
        assert self.task is not None
        try:
            kind, content = self.pipe.recv()
        except (EOFError, OSError):
            return failed(self._death())
        if kind == "began":
            self.since = time.monotonic()
            return None
        if kind == "pace":
            listener.pace(self.task, content)
            return None
        if kind == "epoch":
            listener.epoch(self.task, *content)
            return None
        self.task = None
        result: Result = content
        return result

    def hear_pace(self) -> Pace | str | None:
        """Handle one message on a task that is not to be trained; its pace if that was it."""
        try:
            kind, content = self.pipe.recv()
        except (EOFError, OSError):
            return self._death()
        if kind == "began":
            self.since = time.monotonic()
            return None
        found: Pace | str = content
        return found

    def _death(self) -> str:
        """How the process died; there is a new one now."""
        self.process.join()
        code = self.process.exitcode
        how = f"signal {signal.Signals(-code).name}" if code and code < 0 else f"exit code {code}"
        self.restart()
        return f"the worker process died ({how}); out of memory is the usual cause of SIGKILL"


@contextmanager
def _deaf() -> Iterator[None]:
    """Nothing hears Ctrl-C meanwhile, and what is started not at all: the parent decides what it means."""
    resource_tracker.ensure_running()  # it would unblock Ctrl-C when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(pipe: Connection) -> None:
    """The life of a worker: tasks in, epochs and results out, until the pipe closes."""
    os.dup2(2, 1)  # what methods print is none of the results that the command writes
    threading.Thread(target=_die_with_parent, daemon=True).start()
    with suppress(EOFError, OSError):  # the parent is done, or dead
        while True:
            task: Task = pipe.recv()
            if not task.trained:
                with suppress(ImportError, OSError, MemoryError):  # `pace_of` meets it again, and says so
                    import_module("recmodels.trainer")  # and torch with it, which is not this task's time
                _send(pipe, "began", None)
                _send(pipe, "pace", pace_of(task))
                continue
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # sent to a whole group, it must not end a running run
            try:
                import_module("recmodels.trainer")  # and torch with it
                _send(pipe, "began", None)
                on_pace = partial(_send, pipe, "pace") if task.measured else None
                result = execute(task, lambda *content: pipe.send(("epoch", content)), on_pace=on_pace)
            except Exception as error:  # torch or the data could not be opened: still this run's failure
                result = failed(f"{type(error).__name__}: {error}", traceback.format_exc())
            pipe.send(("result", result))
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _send(pipe: Connection, kind: str, content: object) -> None:
    pipe.send((kind, content))


def _die_with_parent() -> None:
    """End the process when the parent is gone, in the middle of an epoch too."""
    parent = mp.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
