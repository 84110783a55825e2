"""`--figures DIR`: every figure that a comparison allows, as vector and as PNG."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.comparison.across import Across
from bench.comparison.nouns import Comparison
from bench.files import writing
from bench.runs.design import Experiment
from bench.runs.stored import Damaged, StoredRun
from bench.statistics.moments import FloatArray
from bench.tables.figures import accuracy_against_seconds, critical_difference, curves, forest, heat_map, profile, save
from datasets.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


FIGURES = "give another folder for figures"


def draw(experiment: Experiment, comparison: Comparison, folder: Path) -> tuple[list[Path], list[str]]:
    """Write `pairs`, `matrix`, `cost` and `curves`; the files, and why a figure was left out.

    Raises:
        UserError: the folder cannot be written, or a run's history was changed.
    """
    figures: dict[str, Callable[[], Figure]] = {
        "pairs": lambda: forest(comparison),
        "matrix": lambda: heat_map(comparison),
        "cost": lambda: accuracy_against_seconds(comparison),
        "curves": lambda: curves(histories(_runs(experiment)), selected_by(comparison)),
    }
    written: list[Path] = []
    left_out: list[str] = []
    with writing(folder, FIGURES):
        folder.mkdir(parents=True, exist_ok=True)
        for name, figure in figures.items():
            try:
                drawn = figure()
            except Damaged:
                raise
            except UserError as error:
                left_out.append(f"{name}: {error}")
                continue
            written += [save(drawn, folder / f"{name}{suffix}") for suffix in (".svg", ".png")]
    return written, left_out


def draw_across(together: Across, folder: Path) -> tuple[list[Path], list[str]]:
    """Write the performance profile and the critical-difference diagram; the files, and why one was left out.

    Raises:
        UserError: the folder cannot be written.
    """
    drawn = {"performance-profile": profile(together.names, together.runs, together.unit)}
    left_out = [] if together.ranks else ["critical-difference: ranks need three methods."]
    if together.ranks is not None:
        drawn["critical-difference"] = critical_difference(together.ranks)
    with writing(folder, FIGURES):
        folder.mkdir(parents=True, exist_ok=True)
        written = [save(figure, folder / f"{name}{end}") for name, figure in drawn.items() for end in (".svg", ".png")]
    return written, left_out


def selected_by(c: Comparison) -> str:
    """The metric of validation that chose the epoch; several where rows differ."""
    trained = (row.settings.get("trainer", {}) for row in c.rows)
    return " or ".join(dict.fromkeys(str(settings["select_on"]) for settings in trained if settings))


def _runs(experiment: Experiment) -> dict[str, list[StoredRun]]:
    """The runs there are of each row."""
    found = {
        cell.name: [experiment.store.find(spec, experiment.device) for spec in experiment.of(cell)]
        for cell in experiment.cells
    }
    return {name: [run for run in runs if run is not None] for name, runs in found.items()}


def histories(runs: Mapping[str, Sequence[StoredRun]]) -> dict[str, list[FloatArray]]:
    """The validation metric after each epoch, by row and seed.

    Raises:
        UserError: no row was trained.
        Damaged: a run's history was changed.
    """
    found: dict[str, list[FloatArray]] = {}
    for name, each in runs.items():
        for run in each:
            if run.record["epochs"] and (history := run.history()):
                found.setdefault(name, []).append(np.array([epoch["valid"] for epoch in history]))
    if not found:
        raise UserError("no row was trained, so there is nothing to draw over epochs.")
    return found
