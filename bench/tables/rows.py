"""The rows of a table: sorted with the difference to the best, or each with its own interval and letters."""

from __future__ import annotations

import math
from typing import NamedTuple

from bench.comparison.nouns import Comparison, Pair, Value, paired
from bench.tables.layout import (
    Cell,
    Grid,
    cut,
    ends,
    interval,
    interval_name,
    metric_name,
    number,
    p_name,
    p_value,
    percent,
    plural,
    signed,
)
from bench.tables.pairs import triangle

MOST_LETTERS = 12  # of one row; a matrix of a hundred cells has dozens
TIMED = ("seconds",)


class Difference(NamedTuple):
    """A row minus the best, or minus the baseline: the sign is the row's, whichever way the pair was tested."""

    value: float
    lo: float | None
    hi: float | None
    p: float | None
    found: bool
    same: bool


def rows_view(c: Comparison) -> tuple[Grid, ...]:
    """Rows from the best down: the metric, its difference to the best or the baseline with interval and adjusted p.

    A row whose training failed stands last; the other metrics, epochs and seconds follow on the right.
    """
    order, compared = ranked(c), len(c.rows) > 1
    others = [metric for metric in c.metrics if metric != c.metric]
    cells = {metric: metric_cells(c, metric) for metric in c.metrics}
    header = ["", metric_name(c.metric)]
    header += difference_header(c) if compared else []
    first_other = len(header)
    header += [*map(metric_name, others), "epochs", *TIMED]
    found, body = differences(c), []
    for i in order:
        row = c.rows[i]
        name = row.name if compared or not row.failed else f"{row.name} ({'; '.join(row.failed)})"
        line = [Cell(name), _plain(cells[c.metric][i])]
        line += difference_cells(c, i, found[i]) if compared else []
        line += [_plain(cells[metric][i]) for metric in others]
        body.append((*line, Cell(number(row.epochs, 0)), Cell(number(row.train_seconds, 1))))
    last = len(header) - 1
    optional = [last, last - 1, *range(last - 2, first_other - 1, -1), *([3] if compared else [])]
    return (Grid(tuple(header), tuple(body), words=(2,) if compared else (), optional=tuple(optional), timed=(last,)),)


def letters_view(c: Comparison) -> tuple[Grid, ...]:
    """Every row in the order given, mean ± half interval of every metric with letters, then all adjusted p."""
    columns = [metric_cells(c, metric) for metric in c.metrics]
    rows = []
    for i, row in enumerate(c.rows):
        name = f"{row.name} ({'; '.join(row.failed)})" if row.failed else row.name
        cost = (Cell(number(row.epochs, 0)), Cell(number(row.train_seconds, 1)))
        rows.append((Cell(name), *(column[i] for column in columns), *cost))
    header = ("", *(metric_name(m) for m in c.metrics), "epochs", *TIMED)
    last = len(header) - 1
    grid = Grid(header, tuple(rows), optional=(last, last - 1), timed=(last,))
    return (grid, *([triangle(c)] if c.pairs and c.baseline is None else []))


def ranked(c: Comparison) -> list[int]:
    """Rows from the best down by the metric the table is about, those that failed last."""
    return sorted(range(len(c.rows)), key=lambda i: (bool(c.rows[i].failed), -_mean(c, i)))


def reference(c: Comparison) -> int | None:
    """The row that the others are shown against: the baseline, or the best; None where it has no mean."""
    i = ranked(c)[0] if c.baseline is None else [row.name for row in c.rows].index(c.baseline)
    return None if c.rows[i].failed else i


def has_p(c: Comparison) -> bool:
    """Whether p says the same of every row: one-sided pairs ask a > b in the order given, whichever is the best."""
    return bool(c.pairs) and (c.alternative == "two-sided" or c.baseline is not None)


def differences(c: Comparison) -> list[Difference | None]:
    """Of every row its difference to the reference of the table; None for itself and where no pair says it."""
    j = reference(c)
    if j is None:
        return [None] * len(c.rows)
    found: dict[str, Difference] = {}
    for pair in c.pairs:
        if pair.metric == c.metric and c.rows[j].name in (pair.a, pair.b):
            turned = pair.a == c.rows[j].name
            found[pair.b if turned else pair.a] = _difference(c, pair, turned)
    return [found.get(row.name) for row in c.rows]


def _difference(c: Comparison, pair: Pair, turned: bool) -> Difference:
    lo, hi = ends(c, pair)
    differs = pair.p_adjusted is not None and pair.p_adjusted < c.alpha
    said = (pair.p_adjusted, differs, pair.equal_by_identity)
    if not turned:
        return Difference(pair.difference, lo, hi, *said)
    return Difference(-pair.difference, None if hi is None else -hi, None if lo is None else -lo, *said)


def difference_header(c: Comparison) -> list[str]:
    """What stands above `difference_cells`."""
    shown = [f"{'vs best' if c.baseline is None else 'vs base'} {interval_name(c)}".rstrip(), "rel."]
    return [*shown, p_name(c)] if has_p(c) else shown


def difference_cells(c: Comparison, i: int, d: Difference | None) -> list[Cell]:
    """Difference with interval, relative difference and, where it may be shown, p with a star.

    Both are on the seeds that the row and the reference share, which are named where they are not all.
    """
    row, j = c.rows[i], reference(c)
    nothing = [Cell("–")] * (2 if has_p(c) else 1)
    if row.failed:
        return [Cell("; ".join(row.failed)), *nothing]
    if i == j:
        return [Cell("best" if c.baseline is None else "baseline"), *nothing]
    if d is None or j is None:
        return [Cell("–"), *nothing]
    if d.same:
        return [Cell("equal by identity"), *nothing]
    shown = "" if d.lo is None or d.hi is None else " " + interval(*cut(d.lo, d.hi, c.metric, -1.0), signed)
    _, theirs, shared = paired(row, c.rows[j], c.metric)
    base = float(theirs.mean())
    relative = Cell(percent(d.value / base) if base else "–")
    if shared < max(len(row.seeds), len(c.rows[j].seeds)):
        shown += f" on {plural(shared, 'seed')}"
    p = [Cell(p_value(d.p), mark="*" if d.found else "")] if has_p(c) else []
    return [Cell(signed(d.value) + shown), relative, *p]


def metric_cells(c: Comparison, metric: str) -> list[Cell]:
    """The cells of one metric: bold what prints like the best, underlined what was tested and not found to differ.

    Beside a baseline only the baseline was tested against the best, so that nothing is underlined.
    """
    values = [v[metric] for v in c.values]
    shown = [number(v.mean) for v in values]
    tested = [i for i, row in enumerate(c.rows) if not row.failed]
    best = max(tested, key=lambda i: values[i].mean, default=None)
    marks = letters(c, metric) if c.baseline is None else _baseline_marks(c, metric)
    cells = []
    for i, value in enumerate(values):
        if best is None or i not in tested:
            cells.append(Cell(f"({shown[i]})" if math.isfinite(value.mean) else shown[i]))
            continue
        bold = shown[i] == shown[best]
        same = not bold and c.baseline is None and c.differ(c.rows[i].name, c.rows[best].name, metric) is False
        cells.append(Cell(shown[i], spread_words(value, metric), marks[i], bold, same))
    return cells


def spread_words(value: Value, metric: str) -> str:
    """± half the interval, or its ends where it leaves what the metric can be."""
    if value.lo is None or value.hi is None:
        return ""
    lo, hi = cut(value.lo, value.hi, metric, 0.0)
    if (lo, hi) == (value.lo, value.hi):
        return f"± {number(value.hi - value.mean)}"
    return interval(lo, hi, number)


def _plain(cell: Cell) -> Cell:
    return Cell(cell.text, bold=cell.bold, underline=cell.underline)


def letters(c: Comparison, metric: str) -> list[str]:
    """The letters of each row; none of any where one has more than can be read."""
    marks = c.groups(metric)
    count = [mark.count(",") + 1 if "," in mark else len(mark) for mark in marks]
    return marks if max(count, default=0) <= MOST_LETTERS else [""] * len(marks)


def _baseline_marks(c: Comparison, metric: str) -> list[str]:
    marks = {}
    for pair in c.pairs:
        if pair.metric == metric and pair.p_adjusted is not None and pair.p_adjusted < c.alpha:
            marks[pair.a] = "+" if pair.difference > 0 else "−"
    return [marks.get(row.name, "") for row in c.rows]


def _mean(c: Comparison, i: int) -> float:
    mean = c.values[i][c.metric].mean
    return mean if math.isfinite(mean) else -math.inf
