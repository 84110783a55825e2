"""A command that trains what the store lacks of its runs, or says what that would take."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.option import RUNNING, option
from bench.cli.reported import Reported
from bench.cli.training import CUTOFFS, Training

if TYPE_CHECKING:
    from bench.runs.design import Experiment
    from bench.runs.pace import Pace
    from bench.runs.runner import Task
    from bench.runs.spec import RunSpec
    from bench.runs.store import Result

EACH, TOGETHER = 10.0, 60.0
"""Seconds that --dry-run spends on measuring a cell, and on measuring at all."""


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class Completing(Training, Reported):
    """A request that trains what the store lacks of what it reports."""

    keep_embeddings: Annotated[
        bool, option("--keep-embeddings", RUNNING, "keep the trained vectors beside each run", more=True)
    ] = False

    def plan(self, experiments: "Sequence[Experiment]") -> int:
        """Print what would be run, whatever is to come of it, and where; 0."""
        for experiment in experiments:
            typer.echo(self._planned(experiment))
        return 0

    def _planned(self, experiment: "Experiment") -> str:
        """What `--dry-run` prints; of cells without a finished run, a few steps are done to tell how long they take."""
        from bench.runs.design import default_jobs
        from bench.runs.estimate import dry_run
        from datasets.source import resolve

        self._say_reading(experiment)
        here = resolve(experiment.data.dataset, experiment.data.columns).here(self.consent)
        if here:  # what is wrong further down in data shows when they are read and split
            self._load(experiment)
        missing = experiment.missing(self.retry_failed, self.keep_embeddings)
        self.say_other_code(experiment, missing)
        paces = self._paces(experiment, missing) if here else {}
        text = dry_run(experiment, missing, min(self.jobs or default_jobs(), max(1, len(missing))), paces)
        name = experiment.data.dataset
        return text if here else f"{text}\n{name} is not here yet: `bench data fetch {name}` brings it."

    def _paces(self, experiment: "Experiment", missing: "Sequence[RunSpec]") -> "dict[str, Pace | str]":
        """The pace of every cell to train that has no finished run; none where others will train them."""
        from bench.runs.estimate import finished
        from bench.runs.executor import paces

        done = finished(experiment)
        first = {spec.cell.name: spec for spec in reversed(missing) if spec.cell.name not in done}
        if self.cluster is not None or not first:
            return {}
        self._check_device()
        if not self.quiet:
            count = f"{len(first)} {'cell' if len(first) == 1 else 'cells'}"
            typer.echo(f"Measuring a few steps of {count}, for {TOGETHER:g} s at most.", err=True)
        tasks = self.tasks(experiment, list(reversed(first.values())))
        return {task.spec.cell.name: pace for task, pace in paces(tasks, EACH, TOGETHER)}

    def train(self, experiment: "Experiment", cutoffs: Sequence[int] = ()) -> None:
        """Train what the store lacks; what is there costs nothing and imports nothing."""
        missing = experiment.missing(self.retry_failed, self.keep_embeddings)

        def keep(task: "Task", result: "Result") -> None:
            experiment.store.save(task.spec, result, sorted({*CUTOFFS, *cutoffs}), experiment.device)

        if missing:
            self._say_reading(experiment)
            self.say_other_code(experiment, missing)
            if self.expect_sampled is not None:
                self._load(experiment)
            self.carry_out(experiment, self.tasks(experiment, missing), keep, len(experiment.specs()))

    def _load(self, experiment: "Experiment") -> None:
        """Have the split ready, and refuse what it cannot be tested on."""
        from bench.cli.progress import fetching
        from bench.comparison.guards import check_sampled
        from bench.runs.runner import load_split
        from recmodels.metrics import known_metric

        with fetching(self.quiet) as told:
            split = load_split(experiment.data, experiment.protocol, self.consent, told)
        self.say_features(split)
        if self.expect_sampled is not None:
            check_sampled(split, self.expect_sampled, known_metric(self.metric)[0])

    def _say_reading(self, experiment: "Experiment") -> None:
        """What a file of the user's own is read as."""
        if experiment.data.reading and not self.quiet:
            typer.echo(experiment.data.reading, err=True)
        if experiment.unread:
            typer.echo(f"Warning: {experiment.unread}", err=True)

    def tasks(self, experiment: "Experiment", specs: "Sequence[RunSpec]") -> "list[Task]":
        """These runs, ready for workers, with what is to be kept of each."""
        tasks = super().tasks(experiment, specs)
        return [replace(task, keep_embeddings=self.keep_embeddings) for task in tasks]
