"""Progress on stderr: a live bar in a terminal, a plain line per finished run elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from bench.experiment import duration
from bench.runner import Task
from bench.store import Result


class RunProgress:
    """Shows runs done, running cells with epoch and validation metric, and the time left."""

    def __init__(self, total: int, jobs: int, quiet: bool = False) -> None:
        self.total, self.jobs, self.quiet = total, jobs, quiet
        self.done = self.failed = 0
        self.began = time.monotonic()
        self.console = Console(stderr=True)
        self.live = self.console.is_terminal and not quiet
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

    def __enter__(self) -> RunProgress:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.bar.stop()

    def started(self, task: Task) -> None:
        """Show the run as running."""
        label = f"  {task.spec.cell.name} seed {task.spec.seed}"
        limit = task.spec.cell.settings.get("epochs", 1)
        self.rows[task.spec.run_id] = self.bar.add_task(label, total=float(limit or 1), status="loading")

    def epoch(self, task: Task, epoch: int, loss: float, valid: float) -> None:
        """Show the epoch and its validation metric."""
        status = f"epoch {epoch}, loss {loss:.4f}, valid NDCG@10 {valid:.4f}"
        self.bar.update(self.rows[task.spec.run_id], completed=epoch, status=status)

    def finished(self, task: Task, result: Result) -> None:
        """Count the run and estimate the time left."""
        self.done += 1
        self.failed += result.failure is not None
        self.bar.remove_task(self.rows.pop(task.spec.run_id))
        elapsed = time.monotonic() - self.began
        left = duration(elapsed / self.done * (self.total - self.done))
        failed = f", {self.failed} failed" if self.failed else ""
        self.bar.update(self.overall, completed=self.done, status=f"{left} left{failed}")
        if not self.live and not self.quiet:
            how = f"failed: {result.failure['reason']}" if result.failure else f"{len(result.history)} epochs"
            name = f"{task.spec.cell.name} seed {task.spec.seed}"
            print(f"[{self.done}/{self.total}] {name}: {how}, {left} left", file=sys.stderr, flush=True)  # noqa: T201

    def stopping(self) -> None:
        """Say what Ctrl-C does."""
        self.say(f"Finishing {len(self.rows)} running runs; press Ctrl-C again to stop now.")

    def say(self, sentence: str) -> None:
        """Print a sentence above the bar."""
        self.console.print(sentence, soft_wrap=True, highlight=False, markup=False)
