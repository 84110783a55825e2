"""Which runs a command has yet to do, each taken under a lock: two commands on one store never train the same run."""

from __future__ import annotations

import fcntl
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from bench.files import RESULTS, writing
from bench.runs.runner import Task
from bench.runs.store import Store
from datasets.errors import UserError


class Stopped(KeyboardInterrupt):
    """The user asked to stop; runs in flight were finished and kept."""


class Claims:
    """The runs still to do.

    A claim is one locked byte of `<results>/.lock`. The system frees it when its owner dies, however it dies, so no
    claim outlives its command and nothing is left to clean up. It also holds between machines that share the folder
    through a file system with POSIX locks (docs/scale.md).

    Attributes:
        stopped: whether nothing more is to be begun.
    """

    def __init__(
        self, store: Store, tasks: Sequence[Task], on_elsewhere: Callable[[Task], None] = lambda task: None
    ) -> None:
        self.stopped = False
        self._store, self._tasks, self._on_elsewhere = store, deque(tasks), on_elsewhere
        self._file = _open(store)
        self._failed_before = {task.spec.run_id: self._stamp(task) for task in tasks}

    def __len__(self) -> int:
        return len(self._tasks)

    def take(self) -> Task | None:
        """A run that nobody else is at; None where none is left, or others are at all that are left.

        A run that another command finished meanwhile is left out and told to `on_elsewhere`.
        """
        for _ in range(len(self._tasks)):
            task = self._tasks.popleft()
            if not _lock(self._file, *_byte(task)):
                self._tasks.append(task)
            elif self._stamp(task) != self._failed_before[task.spec.run_id]:
                self.release(task)
                self._on_elsewhere(task)
            else:
                return task
        return None

    def release(self, task: Task) -> None:
        """Say that the run is done, or given up."""
        fcntl.lockf(self._file, fcntl.LOCK_UN, *_byte(task))

    def stop(self) -> None:
        """Begin nothing more."""
        self.stopped = True
        self._tasks.clear()

    def close(self) -> None:
        """Release everything."""
        self._file.close()

    def _stamp(self, task: Task) -> int | None:
        """When the store's run was written; a failed one that is tried again has an old stamp."""
        try:
            return (self._store.path(task.spec, task.device) / "run.json").stat().st_mtime_ns
        except FileNotFoundError:
            return None


@contextmanager
def interruptible(claims: Claims, stopping: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM begins nothing more and calls `stopping`; the second stops at once.

    Raises:
        Stopped: at the end, after either.
    """
    signals = 0

    def interrupt(*_: object) -> None:
        nonlocal signals
        signals += 1
        if signals == 1:
            claims.stop()
            stopping()
        elif signals == 2:  # a third must not disturb the cleaning up after the second
            raise Stopped

    previous = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        claims.close()
    if claims.stopped:
        raise Stopped


@contextmanager
def alone(store: Store) -> Iterator[None]:
    """Hold the whole store, for what must not happen while somebody writes to it.

    Raises:
        UserError: a command is training into the store.
    """
    with _open(store) as file:
        if not _lock(file, 0, 0):
            raise UserError(f"A command is training into {store.root}; wait for it, or stop it, and try again.")
        yield


def _open(store: Store) -> IO[bytes]:
    with writing(store.root, RESULTS):
        store.root.mkdir(parents=True, exist_ok=True)
        return (store.root / ".lock").open("ab")


def _byte(task: Task) -> tuple[int, int]:
    """Length and start of the run's claim: 60 bits of its address."""
    return 1, int(task.spec.run_id[:15], 16)


def _lock(file: IO[bytes], length: int, start: int) -> bool:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        raise UserError(
            f"{file.name} cannot be locked ({error.strerror or error}), so that two commands might train the same run; "
            "mount its file system with POSIX locks, or give a folder elsewhere with --results DIR or BENCH_RESULTS."
        ) from error
    return True
