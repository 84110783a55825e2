"""What a search found: a line per cell, and the best so far against the number of trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tabulate import tabulate

from bench.tables.figures import COLORS, LINES, save
from recmodels.compatibility import text_of

if TYPE_CHECKING:
    from bench.tuning.study import Plan, Study
    from bench.tuning.tuned import TunedCell

WITHIN = 0.01  # of the best: what counts as having found it


def render_tuning(dataset: str, cells: Sequence[TunedCell], plan: Plan) -> str:
    """Validation of each cell with its defaults and, over the seeds of finalists, as tuned; and what was chosen."""
    lines = [
        [
            cell.name,
            _number(cell.facts["validation_default"]),
            f"{cell.facts['validation']:.4f}",
            _number(cell.facts["validation_std"]),
            f"{cell.facts['trials']}",
            f"{cell.facts['given_up']}",
            f"{cell.facts['failed']}",
            " ".join(f"{key}={text_of(value)}" for key, value in cell.values.items()) or "nothing to search",
        ]
        for cell in sorted(cells, key=lambda one: -one.facts["validation"])
    ]
    header = ["cell", "default", "tuned", "± seeds", "trials", "given up", "failed", "settings"]
    size = f"{plan.trials} trials" if plan.budget is None else f"{plan.budget:g} s a cell (not reproducible)"
    title = f"{dataset} · validation · {size}, {plan.finalists} finalists × {len(plan.seeds) - 1} seeds"
    return f"{title}\n{tabulate(lines, header, disable_numparse=True)}"


def enough(best: Sequence[float]) -> int:
    """The number of trials after which the best so far is within `WITHIN` of the last."""
    return next((at for at, value in enumerate(best, start=1) if value >= best[-1] * (1 - WITHIN)), len(best))


def tuning_curve(studies: Mapping[str, Study], path: Path) -> Path:
    """Draw the best validation metric so far against trials, a line per cell.

    Around each line stands the spread of the finalists over their seeds, one standard deviation to either side: what a
    lucky seed can feign. The legend says how many trials each cell needs to be within 1 % of its best.
    """
    from matplotlib.figure import Figure

    from bench.tuning.study import best_so_far

    figure = Figure(figsize=(7, 4))
    axes = figure.subplots()
    for at, (name, study) in enumerate(studies.items()):
        best = best_so_far(study.trials)
        if not best or math.isnan(best[-1]):
            continue
        color, numbers = COLORS[at % len(COLORS)], range(1, len(best) + 1)
        label = f"{name} ({enough(best)} of {len(best)})"
        axes.step(
            numbers, best, where="post", color=color, linestyle=LINES[at // len(COLORS) % len(LINES)], label=label
        )
        spread = _spread(study)
        axes.fill_between(
            numbers, [b - spread for b in best], [b + spread for b in best], step="post", color=color, alpha=0.12
        )
    axes.set(xlabel="trials", ylabel="best validation metric so far")
    axes.legend(title="trials to within 1 %", fontsize="small", frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return save(figure, path)


def _spread(study: Study) -> float:
    """The pooled standard deviation of the finalists over their seeds."""
    deviations = [(score - one.mean) ** 2 for one in study.finalists for score in one.scores]
    freedom = len(deviations) - len(study.finalists)
    return math.sqrt(math.fsum(deviations) / freedom) if freedom > 0 else 0.0


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
