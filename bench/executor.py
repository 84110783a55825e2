"""Runs tasks in worker processes, one run at a time in each, and says which run a dying worker took with it."""

from __future__ import annotations

import multiprocessing as mp
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

import numpy as np

from bench.runner import Task, execute
from bench.store import Result

STARTUP = mp.get_context("spawn")  # fork would share torch's and numpy's thread pools


class Listener(Protocol):
    """Whoever wants to know how the runs go."""

    def started(self, task: Task) -> None:
        """A worker took the task."""

    def epoch(self, task: Task, epoch: int, loss: float, valid: float) -> None:
        """An epoch ended."""

    def finished(self, task: Task, result: Result) -> None:
        """The run ended, well or not."""


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    task: Task | None = None


class Stopped(KeyboardInterrupt):
    """The user asked to stop; runs in flight were finished and kept."""


def run_all(
    tasks: Sequence[Task], jobs: int, listener: Listener, stopping: Callable[[], None] = lambda: None
) -> Iterator[tuple[Task, Result]]:
    """Results in the order in which they finish.

    The first Ctrl-C calls `stopping`, lets running cells finish and yields their results; a second one stops at once.
    A worker that dies takes its one run with it: the run is failed, the rest goes on in a new worker.

    Raises:
        Stopped: after Ctrl-C.
    """
    queue = list(reversed(tasks))
    workers: list[_Worker] = []
    interrupts = 0

    def interrupt(*_: Any) -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts > 1:
            raise Stopped
        queue.clear()
        stopping()

    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        workers = [_start() for _ in range(min(jobs, len(tasks)))]
        while True:
            for worker in workers:
                if worker.task is None and queue:
                    worker.task = queue.pop()
                    worker.pipe.send(worker.task)
                    listener.started(worker.task)
            busy = {worker.pipe: worker for worker in workers if worker.task is not None}
            if not busy:
                break
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                assert worker.task is not None
                task = worker.task
                result = _receive(worker, listener)
                if result is not None:
                    listener.finished(task, result)
                    yield task, result
        if interrupts:
            raise Stopped
    finally:
        signal.signal(signal.SIGINT, previous)
        for worker in workers:
            worker.process.kill() if worker.task else worker.pipe.close()
            worker.process.join()


def _receive(worker: _Worker, listener: Listener) -> Result | None:
    """Handle one message of a worker; its result if that was the last of the run."""
    assert worker.task is not None
    try:
        kind, content = worker.pipe.recv()
    except (EOFError, OSError):
        worker.process.join()
        code = worker.process.exitcode
        how = f"signal {signal.Signals(-code).name}" if code and code < 0 else f"exit code {code}"
        fresh = _start()
        worker.process, worker.pipe, worker.task = fresh.process, fresh.pipe, None
        reason = f"the worker process died ({how}); out of memory is the usual cause of SIGKILL"
        return Result(np.empty(0), None, [], 0, {}, {}, failure={"reason": reason, "traceback": ""})
    if kind == "epoch":
        listener.epoch(worker.task, *content)
        return None
    worker.task = None
    result: Result = content
    return result


def _start() -> _Worker:
    ours, theirs = STARTUP.Pipe()
    process = STARTUP.Process(target=_work, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _work(pipe: Connection) -> None:
    """The life of a worker: tasks in, epochs and results out, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    while True:
        try:
            task: Task = pipe.recv()
        except EOFError:
            return
        try:
            result = execute(task, lambda *content: pipe.send(("epoch", content)))
        except Exception as error:  # the data could not be opened: still this run's failure
            reason = f"{type(error).__name__}: {error}"
            failure = {"reason": reason, "traceback": traceback.format_exc()}
            result = Result(np.empty(0), None, [], 0, {}, {}, failure=failure)
        pipe.send(("result", result))
