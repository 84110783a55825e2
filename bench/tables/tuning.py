"""What a search found: a line per cell, and the best so far against the number of trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tabulate import tabulate

from bench.tables.figures import COLORS, multiples
from bench.tables.layout import plural
from recmodels.compatibility import text_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench.tuning.study import Plan, Study
    from bench.tuning.tuned import TunedCell


def render_tuning(dataset: str, cells: Sequence[TunedCell], plan: Plan) -> str:
    """Validation of each cell with its defaults and, over the seeds of finalists, as tuned; and what was chosen."""
    lines = [
        [
            cell.name,
            _number(cell.facts["validation_default"]),
            f"{cell.facts['validation']:.4f}",
            _number(cell.facts["validation_std"]),
            f"{cell.facts['trials']}",
            f"{cell.facts['enough']}",
            f"{cell.facts['given_up']}",
            f"{cell.facts['failed']}",
            " ".join(f"{key}={text_of(value)}" for key, value in cell.values.items()) or "nothing to search",
        ]
        for cell in sorted(cells, key=lambda one: -one.facts["validation"])
    ]
    header = ["cell", "default, 1 seed", "tuned", "± seeds", "trials", "to 1 %", "given up", "failed", "settings"]
    size = f"{plan.trials} trials" if plan.budget is None else f"{plan.budget:g} s a cell (not reproducible)"
    chosen = f"{plural(plan.finalists, 'finalist')} × {plural(len(plan.seeds) - 1, 'seed')}"
    title = f"{dataset} · validation · {size}, {chosen}"
    return f"{title}\n{tabulate(lines, header, disable_numparse=True)}"


def tuning_curve(studies: Mapping[str, Study]) -> Figure:
    """The best validation metric so far against trials, a panel per cell, in which grey lines are the other cells.

    Dots are trials, hollow where they were given up. Around the line stands the spread of the finalists over their
    seeds, one standard deviation to either side: what a lucky seed can feign. The title says how many trials the cell
    needs to be within 1 % of its best. A cell none of whose trials ended well has no panel.
    """
    from bench.tuning.study import best_so_far, enough

    best = {name: best_so_far(study.scores) for name, study in studies.items()}
    drawn = {name: line for name, line in best.items() if line and not math.isnan(line[-1])}
    figure, panels = multiples(
        [f"{name}\nwithin 1 % after {enough(line)} of {len(line)}" for name, line in drawn.items()]
    )
    for panel, (name, line) in zip(panels, drawn.items(), strict=True):
        for other in drawn.keys() - {name}:
            panel.step(
                range(1, len(drawn[other]) + 1), drawn[other], where="post", color="0.85", linewidth=0.6, zorder=1
            )
        numbers, wide = range(1, len(line) + 1), spread([one.scores for one in studies[name].finalists])
        low, high = [value - wide for value in line], [value + wide for value in line]
        panel.fill_between(numbers, low, high, step="post", color=COLORS[0], alpha=0.25, linewidth=0)
        panel.step(numbers, line, where="post", color=COLORS[0], linewidth=1.4)
        for trial in studies[name].trials:
            face = COLORS[1] if trial.answer.given_up is None else "white"
            panel.plot(trial.number + 1, trial.answer.score or math.nan, "o", mfc=face, mec=COLORS[1], ms=3)
    figure.supxlabel("trials (band: ± one standard deviation over the finalists' seeds; hollow: given up)", fontsize=9)
    figure.supylabel("validation metric, best so far", fontsize=9)
    return figure


def spread(finalists: Sequence[Sequence[float]]) -> float:
    """The pooled standard deviation of finalists over their seeds; 0 where they have one each."""
    deviations = [(score - math.fsum(one) / len(one)) ** 2 for one in finalists for score in one]
    freedom = len(deviations) - len(finalists)
    return math.sqrt(math.fsum(deviations) / freedom) if freedom > 0 else 0.0


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
