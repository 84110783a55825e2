"""What missing runs will take: in words before they start, and as the table of `--dry-run`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat

import numpy as np
from tabulate import tabulate

from bench.runs.design import Experiment
from bench.runs.pace import Pace
from bench.runs.spec import RunSpec
from bench.runs.stored import StoredRun

Span = tuple[float, float]
"""Seconds at least and at most."""


def finished(experiment: Experiment) -> dict[str, list[StoredRun]]:
    """The finished runs of each cell that has some."""
    return _good(_stored(experiment))


def mean_seconds(runs: Sequence[StoredRun]) -> float:
    """What a run took on average."""
    return float(np.mean([run.record["seconds"]["total"] for run in runs]))


def estimate(missing: Sequence[RunSpec], done: Mapping[str, Sequence[StoredRun]], jobs: int) -> str:
    """How long the missing runs will take, in words, from other seeds of the same cells; empty where one has none."""
    if any(spec.cell.name not in done for spec in missing):
        return ""
    seconds = sum(mean_seconds(done[spec.cell.name]) for spec in missing)
    return f": about {duration(seconds / jobs)}, judging by the {_count(done)} done"


class Paces:
    """What the pace of cells tells of their runs, and of all runs once something is known of every cell."""

    def __init__(self, specs: Sequence[RunSpec], jobs: int, done: Mapping[str, Sequence[StoredRun]]) -> None:
        self.known: dict[str, Span] = {name: (mean_seconds(runs),) * 2 for name, runs in done.items()}
        self.specs = [spec for spec in specs if not spec.cell.is_baseline or spec.cell.name in done]
        self.jobs = jobs

    def sentence(self, spec: RunSpec, pace: Pace) -> str:
        """How long a run of this cell takes, by where patience may end it and where `epochs` does."""
        self.known[spec.cell.name] = span(spec, pace)
        least, most = epochs(spec)
        text = (
            f"{spec.cell.name}: an epoch takes {_fine(pace.training)} and ranking after it {_fine(pace.ranking)}, "
            f"a run {_range(span(spec, pace))} (epochs {least if least == most else f'{least} to {most}'})"
        )
        if len({spec.cell.name for spec in self.specs} - self.known.keys()):
            return f"{text}."
        return f"{text}; all runs {_range(_total(self.specs, self.known, self.jobs))}."


def epochs(spec: RunSpec) -> tuple[int, int]:
    """After how many epochs patience may end a run, and `epochs` does."""
    settings = spec.cell.settings
    most, patience = settings["epochs"], settings["patience"]
    assert isinstance(most, int)
    assert isinstance(patience, int)
    return most if settings["schedule"] != "constant" else min(most, patience + 1), most


def span(spec: RunSpec, pace: Pace) -> Span:
    """Seconds of a run; a baseline is fitted once, and ranks validation and test."""
    if spec.cell.is_baseline:
        return (pace.training + 2 * pace.ranking,) * 2
    least, most = epochs(spec)
    times = 2 if spec.refit else 1
    return least * times * pace.epoch, most * times * pace.epoch


def dry_run(experiment: Experiment, missing: Sequence[RunSpec], jobs: int, paces: Mapping[str, Pace | str]) -> str:
    """A line per cell, a line per combination that cannot be trained, and the estimate; nothing is started.

    `paces` has what was measured of cells without a finished run, or a clause on why that told nothing.
    """
    stored = _stored(experiment)
    done = _good(stored)
    todo = {spec.run_id: spec for spec in missing}
    known: dict[str, Span] = {name: (mean_seconds(runs),) * 2 for name, runs in done.items()}
    for spec in missing:
        if isinstance(pace := paces.get(spec.cell.name), Pace):
            known[spec.cell.name] = span(spec, pace)
    lines, failures = [], 0
    for cell in experiment.cells:
        good, failed = done.get(cell.name, []), len(stored[cell.name]) - len(done.get(cell.name, []))
        pace, failures = paces.get(cell.name), failures + failed
        memory = _memory(good)
        lines.append(
            [
                cell.name,
                len(good),
                failed,
                sum(spec.run_id in todo for spec in experiment.of(cell)),
                _fine(pace.training) if isinstance(pace, Pace) else "",
                _fine(pace.ranking) if isinstance(pace, Pace) else "",
                _range(known[cell.name]) if cell.name in known else "",
                _bytes(memory) if memory else "",
            ]
        )
    total, once = len(experiment.specs()), sum(cell.deterministic for cell in experiment.cells)
    titles = ["cell", "done", "failed", "to do", "epoch or fit", "ranking", "a run", "memory"]
    shown = [k for k, title in enumerate(titles) if k < 4 or any(line[k] for line in lines)]
    text = [
        f"{len(experiment.cells)} cells × {len(experiment.seeds)} seeds"
        f"{f', {once} of them once,' if once else ''} = {total} runs on {experiment.data.name}: "
        f"{_count(done)} done, {failures} failed, {len(missing)} to do.",
        tabulate([[line[k] for k in shown] for line in lines], [titles[k] for k in shown], disable_numparse=True),
        *(
            f"Not trained: {skip['sampler']} + {skip['loss']} + {skip['model']}: {skip['reason']}."
            for skip in experiment.skipped
        ),
        *(f"Not measured: {name}: {pace.rstrip('.')}." for name, pace in paces.items() if isinstance(pace, str)),
    ]
    return "\n".join([*text, _rest(missing, known, done, jobs)] if missing else text)


def _rest(
    missing: Sequence[RunSpec], known: dict[str, Span], done: Mapping[str, Sequence[StoredRun]], jobs: int
) -> str:
    """How long the missing runs take, and by what that is judged."""
    if not known:
        return "No run of these is finished and none was measured, so there is nothing to judge time by."
    wanted = {spec.cell.name for spec in missing}
    measured, unknown = len(wanted & known.keys() - done.keys()), len(wanted - known.keys())
    be = "is" if unknown == 1 else "are"
    workers = f"{jobs} {'worker' if jobs == 1 else 'workers'}"
    by = [f"the {_count(done)} done"] if done else []
    by += [f"a few steps of {measured} {'cell' if measured == 1 else 'cells'}"] if measured else []
    memory = max((_memory(runs) for runs in done.values()), default=0)
    low, high = _total(missing, known, jobs)
    return (
        f"The rest takes about {_range((low, high))} on {workers}"
        f"{f' and {_bytes(memory)} of memory per worker' if memory else ''}, judging by {' and '.join(by)}"
        f"{': patience ends a run at the earliest, `epochs` at the latest' if _fine(low) != _fine(high) else ''}"
        f"{f'; {unknown} more {be} taken to be as these on average' if unknown else ''}."
    )


def _total(specs: Sequence[RunSpec], known: Mapping[str, Span], jobs: int) -> Span:
    """Seconds of all; a cell of which nothing is known takes what the others take on average."""
    average = np.mean([*known.values()], axis=0)
    low, high = (
        sum(known.get(spec.cell.name, average)[side] for spec in specs) / min(jobs, max(1, len(specs)))
        for side in (0, 1)
    )
    return float(low), float(high)


def _stored(experiment: Experiment) -> dict[str, list[StoredRun]]:
    """The runs of each cell that the store has, failed ones too."""
    found = {
        cell.name: map(experiment.store.find, experiment.of(cell), repeat(experiment.device))
        for cell in experiment.cells
    }
    return {name: [run for run in runs if run is not None] for name, runs in found.items()}


def _good(stored: Mapping[str, Sequence[StoredRun]]) -> dict[str, list[StoredRun]]:
    good = {name: [run for run in runs if run.failure is None] for name, runs in stored.items()}
    return {name: runs for name, runs in good.items() if runs}


def _count(done: Mapping[str, Sequence[StoredRun]]) -> int:
    return sum(map(len, done.values()))


def _memory(runs: Sequence[StoredRun]) -> int:
    return max((run.record.get("peak_bytes") or 0 for run in runs), default=0)


def _range(seconds: Span) -> str:
    low, high = map(_fine, seconds)
    return high if low == high else f"{low} to {high}"


def _fine(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 10 else duration(seconds)


def duration(seconds: float) -> str:
    """Seconds in words: `40 s`, `3 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _bytes(count: int) -> str:
    return f"{count / 2**20:.0f} MiB" if count < 2**30 else f"{count / 2**30:.1f} GiB"
