"""What missing runs will take: in words before they start, and as the table of `--dry-run`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tabulate import tabulate

from bench.runs.design import Experiment
from bench.runs.pace import Pace
from bench.runs.spec import RunSpec


def estimate(experiment: Experiment, missing: Sequence[RunSpec], jobs: int) -> str:
    """How long the missing runs will take, in words, from finished runs on the same data; empty without any."""
    seconds, known = expected(experiment, missing)
    return f": about {duration(seconds / jobs)}, judging by the {known} done" if known else ""


class Paces:
    """What the pace of cells tells of their runs, and of all runs once it is known of every cell."""

    def __init__(self, specs: Sequence[RunSpec], jobs: int) -> None:
        self.specs, self.jobs = [spec for spec in specs if not spec.cell.is_baseline], jobs
        self.known: dict[str, tuple[float, float]] = {}

    def sentence(self, spec: RunSpec, pace: Pace) -> str:
        """How long a run of this cell takes, by where patience may end it and where `epochs` does."""
        settings = spec.cell.settings
        epochs, patience = settings["epochs"], settings["patience"]
        assert isinstance(epochs, int)
        assert isinstance(patience, int)
        least = epochs if settings["schedule"] != "constant" else min(epochs, patience + 1)
        low, high = (pace.epoch * count * (2 if spec.refit else 1) for count in (least, epochs))
        self.known[spec.cell.name] = low, high
        text = (
            f"{spec.cell.name}: an epoch takes {_fine(pace.training)} and ranking after it {_fine(pace.ranking)}, "
            f"a run {_range(low, high)} (epochs {least if least == epochs else f'{least} to {epochs}'})"
        )
        if len({spec.cell.name for spec in self.specs} - self.known.keys()):
            return f"{text}."
        total = [sum(self.known[spec.cell.name][side] for spec in self.specs) / self.jobs for side in (0, 1)]
        return f"{text}; all runs {_range(*total)}."


def _range(low: float, high: float) -> str:
    return _fine(high) if _fine(low) == _fine(high) else f"{_fine(low)} to {_fine(high)}"


def _fine(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 10 else duration(seconds)


def expected(experiment: Experiment, missing: Sequence[RunSpec]) -> tuple[float, int]:
    """Seconds of work in the missing runs, and the number of finished ones that this is judged by.

    A run takes as long as the mean of the same cell's other seeds, or of all finished runs where its cell has none.
    """
    per_cell: dict[str, list[float]] = {}
    for spec in experiment.specs():
        run = experiment.store.find(spec, experiment.device)
        if run is not None and run.failure is None:
            per_cell.setdefault(spec.cell.name, []).append(run.record["seconds"]["total"])
    every = [seconds for cell in per_cell.values() for seconds in cell]
    return sum(float(np.mean(per_cell.get(spec.cell.name, every))) for spec in missing if every), len(every)


def duration(seconds: float) -> str:
    """Seconds in words: `40 s`, `3 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def dry_run(experiment: Experiment, missing: Sequence[RunSpec], jobs: int) -> str:
    """A line per cell, a line per combination that cannot be trained, and the estimate; nothing is started."""
    todo = {spec.run_id for spec in missing}
    lines, peaks, failures, done = [], [0], 0, 0
    for cell in experiment.cells:
        specs = experiment.of(cell)
        runs = [run for spec in specs if (run := experiment.store.find(spec, experiment.device)) is not None]
        good = [run for run in runs if run.failure is None]
        seconds = [run.record["seconds"]["total"] for run in good]
        memory = [run.record.get("peak_bytes") or 0 for run in good]
        peaks += memory
        done, failures = done + len(good), failures + len(runs) - len(good)
        lines.append(
            [
                cell.name,
                len(good),
                len(runs) - len(good),
                sum(spec.run_id in todo for spec in specs),
                duration(float(np.mean(seconds))) if seconds else "",
                _bytes(max(memory)) if any(memory) else "",
            ]
        )
    total = len(experiment.specs())
    once = sum(cell.deterministic for cell in experiment.cells)
    text = [
        f"{len(experiment.cells)} cells × {len(experiment.seeds)} seeds"
        f"{f', {once} of them once,' if once else ''} = {total} runs on {experiment.data.name}: "
        f"{done} done, {failures} failed, {len(missing)} to do.",
        tabulate(lines, ["cell", "done", "failed", "to do", "time per run", "memory"], disable_numparse=True),
        *(
            f"Not trained: {skip['sampler']} + {skip['loss']} + {skip['model']}: {skip['reason']}."
            for skip in experiment.skipped
        ),
    ]
    seconds_left, known = expected(experiment, missing)
    if missing and known:
        text.append(
            f"The rest takes about {duration(seconds_left / jobs)} on {jobs} {'worker' if jobs == 1 else 'workers'} "
            f"and {_bytes(max(peaks))} of memory per worker, judging by the {known} done."
        )
    elif missing:
        text.append("No run of these is finished yet, so there is nothing to judge time and memory by.")
    return "\n".join(text)


def _bytes(count: int) -> str:
    return f"{count / 2**20:.0f} MiB" if count < 2**30 else f"{count / 2**30:.1f} GiB"
