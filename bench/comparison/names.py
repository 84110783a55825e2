"""What rows are called: as short as the table allows, and found again by any words for the same cell."""

from __future__ import annotations

from dataclasses import replace

from bench.runs.design import Experiment, Settings, shared_and_varied
from bench.runs.spec import parse_cell
from datasets.errors import UserError


def short_names(experiment: Experiment) -> Experiment:
    """The same with the loss or sampler left out of row names where all rows share it."""
    names = [cell.name.split("+") for cell in experiment.cells]
    if len(names) < 2 or any(len(name) != 2 for name in names):
        return experiment
    for shared, kept in ((1, 0), (0, 1)):
        if len({name[shared] for name in names}) == 1:
            cells = [replace(cell, name=name[kept]) for cell, name in zip(experiment.cells, names, strict=True)]
            return replace(experiment, cells=tuple(cells))
    return experiment


def row_called(experiment: Experiment, text: str, settings: Settings, *, full: bool = False) -> str:
    """The name that the table gives the row called `text`: as it is shown, in full, or in other words for its cell.

    With `full`, the table shows every name in full.
    """
    titled = experiment if full else short_names(experiment)
    rows = list(zip(titled.cells, experiment.cells, strict=True))
    for shown, whole in rows:
        if text in (shown.name, whole.name):
            return shown.name
    try:
        meant = parse_cell(text, shared_and_varied(settings)[0], experiment.advise, experiment.rows)
    except UserError:
        return text  # nobody's name, which the comparison says
    return next((shown.name for shown, _ in rows if replace(shown, name=text) == meant), text)
