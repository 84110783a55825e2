"""`--figures DIR`: every figure that a comparison allows, as vector and as PNG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.comparison.across import Across
from bench.comparison.nouns import Comparison
from bench.files import writing
from bench.runs.design import Experiment
from bench.runs.stored import Damaged
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
        "curves": lambda: curves(_histories(experiment), _selected_by(experiment)),
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


def _selected_by(experiment: Experiment) -> str:
    """The metric of validation that chose the epoch; several where rows differ."""
    return " or ".join(
        dict.fromkeys(str(cell.settings["select_on"]) for cell in experiment.cells if not cell.is_baseline)
    )


def _histories(experiment: Experiment) -> dict[str, list[np.ndarray[tuple[int], np.dtype[np.float64]]]]:
    """The validation metric after each epoch, by row and seed."""
    found: dict[str, list[np.ndarray[tuple[int], np.dtype[np.float64]]]] = {}
    for cell in experiment.cells:
        for seed in experiment.seeds:
            run = experiment.store.find(experiment.spec(cell, seed), experiment.device)
            if run is not None and run.record["epochs"] and (history := run.history()):
                found.setdefault(cell.name, []).append(np.array([epoch["valid"] for epoch in history]))
    if not found:
        raise UserError("no row was trained, so there is nothing to draw over epochs.")
    return found
