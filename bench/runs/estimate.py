"""What `--dry-run` prints: the cells, what of them is done, and what the rest will take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tabulate import tabulate

from bench.runs.design import Experiment, duration, expected
from bench.runs.spec import RunSpec


def plan(experiment: Experiment, missing: Sequence[RunSpec], jobs: int) -> str:
    """A line per cell, a line per combination that cannot be trained, and the estimate; nothing is started."""
    todo = {spec.run_id for spec in missing}
    lines, peaks, failures, done = [], [0], 0, 0
    for cell in experiment.cells:
        specs = [experiment.spec(cell, seed) for seed in experiment.seeds]
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
    text = [
        f"{len(experiment.cells)} cells × {len(experiment.seeds)} seeds = {total} runs on {experiment.data.name}: "
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
