"""An observer of training that takes the time of a few steps; see `bench.runs.pace`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from recmodels.diagnostics import Diagnostics

if TYPE_CHECKING:
    from recmodels.types import Part

STEPS, SECONDS = 4, 0.5  # so many steps, and more of them until so much time has passed


class Stopwatch(Diagnostics):
    """An observer that lets the first steps of an epoch pass and takes their time; it observes nothing else."""

    before = 0.0  # seconds from the beginning of the epoch until its first step was drawn
    step = 0.0  # seconds of a step; the first, which may build and load things, counts only where there is no other
    ended = 0.0  # when the last of them ended

    def timed(self, steps: Iterator[Part]) -> Iterator[Part]:
        """The first steps of an epoch."""
        began = last = time.perf_counter()
        taken: list[float] = []  # seconds of each step
        for part in steps:
            if last == began:
                last = time.perf_counter()
                self.before = last - began
            yield part
            if part.last:
                now = time.perf_counter()
                taken.append(now - last)
                last = now
                if len(taken) > STEPS and sum(taken[1:]) > SECONDS:
                    break
        self.ended = time.perf_counter()
        counted = taken[1:] or taken
        self.step = sum(counted) / max(1, len(counted))

    def due(self) -> bool:
        """Never."""
        return False
