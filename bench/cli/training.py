"""The options of a command that trains, and how it goes about it."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from bench.cli.option import RUNNING, option
from bench.cli.request import Request
from datasets.errors import UserError

if TYPE_CHECKING:
    from bench.runs.design import Experiment
    from bench.runs.executor import Executor
    from bench.runs.runner import Task
    from bench.runs.spec import RunSpec
    from bench.runs.store import Result
    from datasets.split import Split


class Conditions(TypedDict, total=False):
    """Options of a request that decide how runs are made, and not which."""

    jobs: int | None
    cluster: str | None
    offline: bool
    retry_failed: bool
    quiet: bool
    results: str | None


CUTOFFS = (5, 10, 20)
"""Every run is stored with the means at these, whatever its command shows."""


@dataclass(frozen=True, kw_only=True)
class Training(Request):
    """A request that may train: how many runs at a time, where, and what is done about failed ones."""

    jobs: Annotated[
        int | None, option("--jobs", RUNNING, "runs at the same time; one per core unless given", min=1)
    ] = None
    cluster: Annotated[
        str | None,
        option("--cluster", RUNNING, "Dask scheduler tcp://HOST:PORT, or a TOML file that starts one", more=True),
    ] = None
    cell_timeout: Annotated[
        float | None, option("--cell-timeout", RUNNING, "seconds after which a run is failed", more=True, min=0)
    ] = None
    dry_run: Annotated[
        bool,
        option(
            "--dry-run",
            RUNNING,
            "print what is done, and what the rest takes by a few steps of it; run nothing",
        ),
    ] = False
    quiet: Annotated[bool, option("--quiet", RUNNING, "no progress", more=True)] = False
    retry_failed: Annotated[bool, option("--retry-failed", RUNNING, "run failed runs again")] = False

    @property
    def silent(self) -> bool:
        """With --quiet."""
        return self.quiet

    @property
    def stores(self) -> bool:
        """Not where nothing is run."""
        return not self.dry_run

    def experiments(self) -> "list[Experiment]":
        """The experiments, of which a run may last some time at least."""
        if self.cell_timeout is not None and not self.cell_timeout > 0:
            raise UserError(f"--cell-timeout {self.cell_timeout:g} leaves no time for a run; give seconds above 0.")
        return super().experiments()

    def carry_out(
        self,
        experiment: "Experiment",
        tasks: "Sequence[Task]",
        keep: "Callable[[Task, Result], None]",
        total: int | None = None,
    ) -> None:
        """Run the tasks, of `total` in all, in workers, and `keep` each result as soon as it is there."""
        from bench.cli.progress import RunProgress
        from bench.runs.claims import Claims, Stopped, interruptible
        from bench.runs.design import default_jobs
        from bench.runs.estimate import Paces, estimate, finished

        if self.cluster is None:
            self._check_device()
        split = self.opened(experiment.data, experiment.protocol)  # once, before the workers open it
        self.say_features(split)
        jobs = min(self.jobs or default_jobs(), len(tasks))
        specs = [task.spec for task in tasks]
        done = finished(experiment)
        guess = estimate(specs, done, jobs)
        if not self.quiet and self.cluster is None:
            tasks = _first_measured(tasks, done)
        with RunProgress(len(tasks), quiet=self.quiet, paces=Paces(specs, jobs, done)) as progress:
            if not self.quiet:
                workers = f"{jobs} {'worker' if jobs == 1 else 'workers'}"
                count = f"{len(tasks)} of {total}" if total else str(len(tasks))
                progress.say(
                    f"{count} {'run' if count == '1' else 'runs'} to do on {self.cluster or f'{workers}{guess}'}."
                )
            claims = Claims(experiment.store, tasks, progress.elsewhere)
            run = self._executor(jobs, split)
            try:
                with interruptible(claims, progress.stopping), closing(run(claims, progress)) as results:
                    for task, result in results:
                        keep(task, result)
                        if task.unfinished is not None and (result.failure is None or result.failure["traceback"]):
                            shutil.rmtree(task.unfinished, ignore_errors=True)
                        claims.release(task)
            except Stopped:
                progress.say("Stopped; finished runs are kept, and the same command goes on from there.")
                raise

    def say_other_code(self, experiment: "Experiment", missing: "Sequence[RunSpec]") -> bool:
        """Why runs that one remembers are trained again; whether there was something to say."""
        from bench.runs.other_code import other_code

        if self.quiet or not (said := other_code(experiment.store, missing, experiment.device)):
            return False
        typer.echo(said, err=True)
        return True

    def say_features(self, split: "Split") -> None:
        """What a file of item features is read as, and what it lacks or has beyond the data."""
        if split.features is None or self.quiet:
            return
        found = split.features
        more = (
            f"; {others:,} of the file are not in the data"
            if (others := found.facts["features_of_other_items"])
            else ""
        )
        of = f"{found.facts['items_with_features']:,} of {len(found.values):,} items{more}"
        typer.echo(f"{found.file}: {found.told}; {of}.", err=True)

    def tasks(self, experiment: "Experiment", specs: "Sequence[RunSpec]") -> "list[Task]":
        """These runs, ready for workers."""
        from bench.runs.runner import Task
        from recmodels.plugins import in_use

        return [
            Task(
                spec,
                experiment.protocol,
                self.consent,
                device=experiment.device,
                plugins=in_use(),
                # machines of a cluster need not have this folder
                unfinished=None if self.cluster else experiment.store.unfinished(spec, experiment.device).absolute(),
            )
            for spec in specs
        ]

    def _check_device(self) -> None:
        """Refuse a GPU that is not there, before every run fails for it."""
        if self.device != "cpu":
            import torch

            if not torch.cuda.is_available() or (torch.device(self.device).index or 0) >= torch.cuda.device_count():
                raise UserError(
                    f"--device {self.device}: torch sees {torch.cuda.device_count()} GPUs; use --device cpu."
                )

    def _executor(self, jobs: int, split: "Split") -> "Executor":
        """What runs the tasks: processes of this machine, or a cluster; both take the same and give the same."""
        if self.cluster is None:
            from bench.runs.executor import run_local

            return partial(run_local, jobs=jobs, timeout=self.cell_timeout)
        from bench.runs.cluster import run_on_cluster

        gpu = not self.device.startswith("cpu")
        return partial(run_on_cluster, cluster=self.cluster, split=split, gpu=gpu, timeout=self.cell_timeout)


def _first_measured(tasks: "Sequence[Task]", done: "Mapping[str, object]") -> "list[Task]":
    """The same, where the first of each cell without a finished run tells its pace before it trains."""
    first = {task.spec.cell.name: task.spec.run_id for task in reversed(tasks) if task.spec.cell.name not in done}
    return [replace(task, measured=first.get(task.spec.cell.name) == task.spec.run_id) for task in tasks]
