"""Progress on stderr: a live bar in a terminal, a plain line per finished run elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)

if TYPE_CHECKING:
    from bench.runs.estimate import Paces
    from bench.runs.pace import Pace
    from bench.runs.runner import Task
    from bench.runs.store import Result
    from datasets.download import Progress as Told


@contextmanager
def fetching(quiet: bool = False) -> Iterator[Told]:
    """A progress for `datasets.load` that prints lines and, on a terminal, bars to stderr; `quiet` says nothing."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int | None) -> None:
            if total == 0:
                console.print(what, markup=False, highlight=False, soft_wrap=True)
                return
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield _silent if quiet else show


def _silent(what: str, done: int, total: int | None) -> None:
    """Say nothing."""


EVERY = 30.0  # seconds without a line after which one tells what is running, where there is no terminal
OFTEN = 1.0  # the same in a notebook, where one text takes the place of the other


def _notebook() -> Callable[[str], None] | None:
    """What puts a text in the place of the one before, in a notebook; None elsewhere."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if not hasattr(shell, "kernel"):
        return None
    shown = import_module("IPython.display").display({"text/plain": ""}, raw=True, display_id=True)
    return lambda text: shown.update({"text/plain": text}, raw=True)


class RunProgress:
    """Shows runs done, running, failed and waiting; of running ones the epoch and validation metric; the time left."""

    def __init__(self, total: int, quiet: bool = False, paces: Paces | None = None) -> None:
        self.total, self.quiet, self.paces = total, quiet, paces
        self.done = self.failed = self.trained = 0
        self.began = time.monotonic()
        self.console = Console(stderr=True)
        self.live = self.console.is_terminal and not quiet
        self.notebook = None if quiet else _notebook()
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            console=self.console,
            disable=not self.live,
            transient=True,
        )
        self.overall = self.bar.add_task("runs", total=total, status="starting")
        self.rows: dict[str, TaskID] = {}
        self.running: dict[str, str] = {}  # run id → what it is at, in words
        self.told = self.began
        self.over = threading.Event()
        self.teller = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self) -> RunProgress:
        self.bar.start()
        if not self.live and not self.quiet:
            self.teller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.over.set()
        self.bar.stop()

    def started(self, task: Task) -> None:
        """Show the run as running."""
        limit = task.spec.cell.settings.get("epochs", 1)
        self.rows[task.spec.run_id] = self.bar.add_task(f"  {_name(task)}", total=float(limit or 1), status="loading")
        self.running[task.spec.run_id] = f"{_name(task)} loading"
        self._show()

    def epoch(self, task: Task, epoch: int, loss: float, valid: float) -> None:
        """Show the epoch and its validation metric."""
        if task.spec.run_id in self.rows:  # a cluster's message may come late
            metric = task.spec.cell.settings["select_on"]
            status = f"epoch {epoch}, loss {loss:.4f}, validation {metric} {valid:.4f}"
            self.running[task.spec.run_id] = f"{_name(task)} {status}"
            self.bar.update(self.rows[task.spec.run_id], completed=epoch, status=status)

    def pace(self, task: Task, pace: Pace) -> None:
        """Say how long a run of this cell takes."""
        if self.paces is not None and not self.quiet:
            self.say(self.paces.sentence(task.spec, pace))

    def finished(self, task: Task, result: Result) -> None:
        """Count the run and estimate the time left."""
        self.failed += result.failure is not None
        self.trained += 1
        self.bar.remove_task(self.rows.pop(task.spec.run_id))
        self.running.pop(task.spec.run_id)
        self._count(
            task,
            f"failed: {result.failure['reason']}"
            if result.failure
            else f"{result.history[-1][0] if result.history else 0} epochs",
        )

    def elsewhere(self, task: Task) -> None:
        """Count a run that another command did."""
        self._count(task, "done by another command")

    def _count(self, task: Task, how: str) -> None:
        self.done += 1
        self._show()
        if not self.live and not self.quiet:
            line = f"[{self.done}/{self.total}] {_name(task)}: {how}, {self._left()}"
            self._line(line)

    def _tell(self) -> None:
        """Say what is running whenever nothing has been said for a while."""
        every = OFTEN if self.notebook else EVERY
        while not self.over.wait(max(0.0, self.told + every - time.monotonic())):
            if time.monotonic() - self.told >= every:
                self._line(f"[{self.done}/{self.total}] {'; '.join(self.running.copy().values()) or 'waiting'}")

    def _line(self, line: str) -> None:
        self.told = time.monotonic()
        if self.notebook is not None:
            return self.notebook(line)
        return print(line, file=sys.stderr, flush=True)  # noqa: T201

    def _show(self) -> None:
        waiting = self.total - self.done - len(self.rows)
        status = f"{len(self.rows)} running, {self.failed} failed, {waiting} waiting, {self._left()}"
        self.bar.update(self.overall, completed=self.done, status=status)

    def _left(self) -> str:
        if not self.trained:
            return "time left unknown"
        from bench.runs.estimate import duration

        each = (time.monotonic() - self.began) / self.trained
        return f"{duration(each * (self.total - self.done))} left"

    def stopping(self) -> None:
        """Say what Ctrl-C does."""
        count = len(self.rows)
        self.say(f"Finishing {count} running {'run' if count == 1 else 'runs'}; press Ctrl-C again to stop now.")

    def say(self, sentence: str) -> None:
        """Print a sentence above the bar; in a notebook as a text, which wraps where rich's would be cut off."""
        if self.notebook is not None:
            import_module("IPython.display").display({"text/plain": sentence}, raw=True)
            return
        self.console.print(sentence, soft_wrap=True, highlight=False, markup=False)


def _name(task: Task) -> str:
    return " ".join(filter(None, (task.spec.cell.name, task.note, f"seed {task.spec.seed}")))
