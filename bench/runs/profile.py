"""Where the time of a run goes: `bench run … --profile`.

Every few milliseconds of processor time a signal looks at the Python stack of the running run. All processor time since
the last look counts for what is found there, so that a long call into a library is counted whole. The run itself is not
changed, and its numbers are the same bits.
"""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType

from tabulate import tabulate

from bench import ROOT
from bench.files import JSONObject
from bench.runs.runner import Task, execute
from datasets.split import Split

INTERVAL = 0.001  # seconds of processor time between two looks; the system may round it up to its tick
FUNCTIONS = 12

PHASES = ("draw negatives", "score and loss", "backward", "update", "diagnostics", "validation", "test ranking")
IMPORTS, OTHER = "imports", "other"
# (file, or folder ending in /; function, or "" for all) -> phase; the outermost call that is listed decides
RULES: dict[tuple[str, str], str] = {
    ("recmodels/sampling.py", ""): "draw negatives",
    ("recmodels/seen.py", ""): "draw negatives",
    ("recmodels/samplers/", ""): "draw negatives",
    ("recmodels/scoring.py", ""): "score and loss",
    ("recmodels/objective.py", ""): "score and loss",
    ("recmodels/losses/", ""): "score and loss",
    ("recmodels/models/", ""): "score and loss",
    ("torch/_tensor.py", "Tensor.backward"): "backward",
    ("torch/autograd/__init__.py", ""): "backward",
    ("recmodels/updates.py", ""): "update",
    ("torch/optim/", ""): "update",
    ("recmodels/diagnostics.py", "Diagnostics.observe"): "diagnostics",
    ("recmodels/evaluation.py", ""): "validation",
    ("recmodels/metrics.py", ""): "validation",
    ("<frozen importlib._bootstrap>", ""): IMPORTS,
}


Place = tuple[str, str]
"""The file and the qualified name of a function."""


@dataclass
class Profile:
    """Seconds of processor time by Python stack, innermost function first."""

    stacks: dict[tuple[Place, ...], float] = field(default_factory=dict)
    samples: int = 0

    @property
    def seconds(self) -> float:
        """All of them."""
        return math.fsum(self.stacks.values())

    def phases(self) -> dict[str, float]:
        """Seconds of each phase, those that took none too."""
        found = dict.fromkeys((*PHASES, IMPORTS, OTHER), 0.0)
        for stack, seconds in self.stacks.items():
            found[phase(stack)] += seconds
        return found

    def functions(self) -> list[tuple[str, str, float]]:
        """Function, phase and seconds in it and the libraries it calls, but not in other functions of this project."""
        found: dict[tuple[str, str], float] = {}
        for stack, seconds in self.stacks.items():
            file, name = next((place for place in map(_place, stack) if _is_ours(place[0])), _place(stack[-1]))
            at = f"{file}: {name}", phase(stack)
            found[at] = found.get(at, 0.0) + seconds
        return [(name, of, seconds) for (name, of), seconds in sorted(found.items(), key=lambda line: -line[1])]


def phase(stack: Sequence[Place]) -> str:
    """The phase of a stack, innermost function first; ranking that is not called by the trainer is the test's."""
    training = False
    for file, function in map(_place, reversed(stack)):
        training = training or file == "recmodels/trainer.py"
        if found := _listed(file, function):
            return "test ranking" if found == "validation" and not training else found
    return OTHER


@cache
def _place(place: Place) -> Place:
    """The same, with the file as seen from the project's folder or from that of the installed packages."""
    path = Path(place[0])
    ours = path.is_relative_to(ROOT) and ".venv" not in path.parts
    return path.relative_to(ROOT).as_posix() if ours else place[0].rpartition("site-packages/")[2], place[1]


def _is_ours(file: str) -> bool:
    return file.startswith(("bench/", "recmodels/", "datasets/"))


@cache
def _listed(file: str, function: str) -> str:
    for (where, which), found in RULES.items():
        if (file == where or (where.endswith("/") and file.startswith(where))) and which in ("", function):
            return found
    return ""


@contextmanager
def profiled() -> Iterator[Profile]:
    """Profile what runs inside, in the main thread."""
    found, last, looking = Profile(), time.process_time(), False

    def look(_signal: int, frame: FrameType | None) -> None:
        nonlocal last, looking
        if looking:  # one look at a time; the next one counts what this one leaves
            return
        looking = True
        now, stack = time.process_time(), []
        while frame is not None and frame.f_code is look.__code__:  # a look that this one came before
            frame = frame.f_back
        while frame is not None:
            stack.append((frame.f_code.co_filename, frame.f_code.co_qualname))
            frame = frame.f_back
        found.stacks[tuple(stack)] = found.stacks.get(tuple(stack), 0.0) + now - last
        found.samples += 1
        last, looking = now, False

    before = signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
    try:
        yield found
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def profile_runs(tasks: Sequence[Task], split: Split) -> list[JSONObject]:
    """Train and test each task here, one after the other; what it is, how it ended, and where its time went."""
    import recmodels.trainer  # noqa: F401 - so that the first run is not charged with importing torch

    found = []
    for task in tasks:
        with profiled() as profile:
            result = execute(task, split=split)
        found.append(
            {
                "name": task.spec.cell.name,
                "seed": task.spec.seed,
                "run": task.spec.run_id,
                "epochs": len(result.history),
                "failure": result.failure["reason"] if result.failure else None,
                "cpu_seconds": profile.seconds,
                "samples": profile.samples,
                "phases": profile.phases(),
                "functions": [
                    {"function": name, "phase": of, "seconds": seconds}
                    for name, of, seconds in profile.functions()[:FUNCTIONS]
                ],
            }
        )
    return found


def render(profiles: Sequence[JSONObject], format: str) -> str:
    """The profiles as text, or as JSON."""
    return json.dumps(profiles, indent=1) if format == "json" else "\n\n".join(map(_text, profiles))


def _text(found: JSONObject) -> str:
    total, samples = found["cpu_seconds"], max(1, found["samples"])
    ended = f"failed: {found['failure']}" if found["failure"] else f"{found['epochs']} epochs"
    phases = [[name, *_shares(seconds, total)] for name, seconds in found["phases"].items() if seconds]
    functions = [[f["function"], f["phase"], *_shares(f["seconds"], total)] for f in found["functions"]]
    return "\n\n".join(
        [
            f"{found['name']}, seed {found['seed']}, {ended}: {total:.2f} s of processor time, seen at {samples:,} "
            f"moments, which leaves a share uncertain by at most {100 / math.sqrt(samples):.1f} points.",
            tabulate(phases, ["phase", "seconds", "share"], colalign=("left", "right", "right"), disable_numparse=True),
            tabulate(
                functions,
                ["function, with the libraries it calls", "phase", "seconds", "share"],
                colalign=("left", "left", "right", "right"),
                disable_numparse=True,
            ),
        ]
    )


def _shares(seconds: float, total: float) -> tuple[str, str]:
    return f"{seconds:.2f}", f"{seconds / total:.1%}"
