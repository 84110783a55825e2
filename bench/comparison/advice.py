"""What a table says of how its rows were chosen: laws that a loss cannot use, recommended and tuned settings."""

from __future__ import annotations

from collections.abc import Sequence

from bench.runs.spec import Cell
from recmodels.compatibility import asks, chooses, held, reason, text_of
from recmodels.losses import LOSSES
from recmodels.samplers import SAMPLERS

LAWFUL = "softmax"  # the loss to name where another one cannot use a sampler's law


def warnings(cells: Sequence[Cell]) -> list[str]:
    """Sentences on laws that are not corrected for, one per loss, on where settings come from, on unequal chances."""
    unused: dict[str, dict[str, None]] = {}
    for cell in cells:
        if cell.sampler is not None and cell.loss is not None and law_is_lost(cell):
            searched = bool(cell.trials)  # what was chosen for a row stands in the caption
            loss = cell.loss.name if searched else cell.loss.label(LOSSES)
            unused.setdefault(loss, {})[cell.sampler.name if searched else cell.sampler.label(SAMPLERS)] = None
    said = []
    for loss, samplers in unused.items():
        said.append(
            f"{loss} does not correct for how often {_and(list(samplers))} {'draws' if len(samplers) == 1 else 'draw'} "
            f"each item; {LAWFUL} does, as in {next(iter(samplers))}+{LAWFUL}"
        )
    said += [f"{cell.name}: {remark}" for cell in cells for remark in cell.remarks]
    return said + _unequal(cells)


def _unequal(cells: Sequence[Cell]) -> list[str]:
    """That rows had unequal chances; one that tried all there is to try had its chance."""
    rows: dict[int | None, list[str]] = {}
    for cell in cells:
        if not cell.exhausted:
            rows.setdefault(cell.trials, []).append(cell.name)
    told = [
        f"{_and(names)} {'was' if len(names) == 1 else 'were'} {f'tuned with {n} trials' if n else 'not tuned'}"
        for n, names in sorted(rows.items(), key=lambda item: -(item[0] or 0))
    ]
    return [f"unequal chances: {', '.join(told)}"] if len(told) > 1 else []


def law_is_lost(cell: Cell) -> bool:
    """Whether the sampler states a law that is not the same for all items, and the loss as it is set needs none.

    Both are facts of the registry: `log_q` without `uniform_q` in what the sampler gives, no `log_q` in what the loss
    needs. Nothing is lost where no loss could have used the law, nor where negatives are meant to be those: chosen by
    score, or given by the data.
    """
    if cell.sampler is None or cell.loss is None or chooses(cell.sampler.name) or asks(cell.sampler.name):
        return False
    given = held("gives", SAMPLERS.entry(cell.sampler.name), cell.sampler.parameters)
    needs = held("needs", LOSSES.entry(cell.loss.name), cell.loss.parameters)
    if "log_q" not in given or "uniform_q" in given or needs & {"log_q", "no_negatives"}:
        return False
    other = (LAWFUL, LOSSES.parameters(LAWFUL, {}))
    sampler, model = ((part.name, part.parameters) for part in (cell.sampler, cell.model))
    return reason(sampler, other, model, {**cell.settings, "space": "loss"}) is None


def searched(cells: Sequence[Cell]) -> str:
    """What was searched for each row, and what came of it, in one line; empty where nothing was."""
    return "; ".join(f"{cell.name} {cell.search}" for cell in cells if cell.search)


def recommended(cells: Sequence[Cell]) -> str:
    """The recommended settings of each row with their sources, in one line; empty where there are none."""
    rows = []
    for cell in (cell for cell in cells if not cell.trials):
        told = [f"{key}={text_of(value)} ({source})" for key, (value, source) in cell.recommended.items()]
        rows += [f"{cell.name} {', '.join(told)}"] if told else []
    return "; ".join(rows)


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
