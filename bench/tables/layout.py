"""What a table shows, before any format: cells and notes of one comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.comparison import Comparison, Pair, Value

DIGITS = 4
SIGNS = {"greater": ">", "less": "<"}
_MANY_PAIRS = 10  # more than this and the adjusted p are shown as a triangle instead of a list
_MOST_COLUMNS = 20  # a wider triangle cannot be read
MOST_LETTERS = 12  # of one row; a matrix of a hundred cells has dozens
_PAIRED = "rows are compared on paired users, so that overlapping intervals can differ."
_BOLD = "bold: best, underlined: not found to differ from it."
_BOLD_ONLY = "bold: best."
_BOLD_MATRIX = "bold: best of its column, *: best of all."
_EFFECT = "effect: mean over standard deviation of single differences, of one user with one seed."
_EFFECTS = "a beats b: on the same user and seed, ties counting one half."
_EQUIVALENCE = (
    "A small p shows that the difference lies within the margin (two one-sided tests, a family of their own); the "
    "last three columns are posterior probabilities under a flat prior."
)


@dataclass(frozen=True)
class Cell:
    """One cell: text, what follows ±, the mark above the line, and how it is set."""

    text: str
    plus_minus: str = ""
    mark: str = ""
    bold: bool = False
    underline: bool = False


@dataclass(frozen=True)
class Grid:
    """A header and rows of cells; the first `left` columns hold words, the others numbers."""

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    left: int = 1
    title: str = ""


@dataclass(frozen=True)
class Sheet:
    """Grids from top to bottom, the caption of the first, and the notes below the last."""

    grids: tuple[Grid, ...]
    caption: str
    notes: tuple[str, ...]


def rows_view(c: Comparison) -> tuple[Grid, ...]:
    """Every row with its metrics, then the pairs of the metric the table is about."""
    return (rows_grid(c), *(_pair_grids(c) if c.pairs else ()))


def pairs_view(c: Comparison) -> tuple[Grid, ...]:
    """Every pair of every metric."""
    return tuple(pairs_grid(c, metric) for metric in c.metrics)


def rows_grid(c: Comparison) -> Grid:
    """One line per row: mean ± half interval of every metric with its mark, epochs and seconds."""
    columns = [metric_cells(c, metric) for metric in c.metrics]
    rows = []
    for i, row in enumerate(c.rows):
        name = f"{row.name} ({'; '.join(row.failed)})" if row.failed else row.name
        cost = (Cell(number(row.epochs, 0)), Cell(number(row.train_seconds, 1)))
        rows.append((Cell(name), *(column[i] for column in columns), *cost))
    header = ("", *(metric_name(m) for m in c.metrics), "epochs", "seconds")
    return Grid(header, tuple(rows))


def metric_cells(c: Comparison, metric: str) -> list[Cell]:
    """The cells of one metric: bold what prints like the best, underlined what was not found to differ."""
    values = [v[metric] for v in c.values]
    shown = [number(v.mean) for v in values]
    ranked = [i for i, row in enumerate(c.rows) if not row.failed]
    best = max(ranked, key=lambda i: values[i].mean, default=None)
    marks = _letters(c, metric) if c.baseline is None else _baseline_marks(c, metric)
    cells = []
    for i, value in enumerate(values):
        if best is None or i not in ranked:
            cells.append(Cell(f"({shown[i]})" if math.isfinite(value.mean) else shown[i]))
            continue
        bold = shown[i] == shown[best]
        same = not bold and c.differ(c.rows[i].name, c.rows[best].name, metric) is False
        cells.append(Cell(shown[i], _half(value), marks[i], bold, same))
    return cells


def _half(value: Value) -> str:
    return "" if value.hi is None else number(value.hi - value.mean)


def _letters(c: Comparison, metric: str) -> list[str]:
    """The letters of each row; none of any where one has more than can be read."""
    marks = c.groups(metric)
    return marks if all(mark.count(",") < MOST_LETTERS for mark in marks) else [""] * len(marks)


def _baseline_marks(c: Comparison, metric: str) -> list[str]:
    marks = {}
    for pair in c.pairs:
        if pair.metric == metric and pair.p_adjusted is not None and pair.p_adjusted < c.alpha:
            marks[pair.a] = "+" if pair.difference > 0 else "−"
    return [marks.get(row.name, "") for row in c.rows]


def _pair_grids(c: Comparison) -> tuple[Grid, ...]:
    """The pairs of the metric the table is about: a list while it is short, else a triangle of adjusted p."""
    tested = [row.name for row in c.rows if not row.failed]
    if sum(p.metric == c.metric for p in c.pairs) <= _MANY_PAIRS or c.baseline is not None:
        return (pairs_grid(c, c.metric),)
    if len(tested) > _MOST_COLUMNS:
        return ()
    return (_triangle(c, tested),)


def pairs_grid(c: Comparison, metric: str) -> Grid:
    """One line per pair of one metric: difference with interval, p, adjusted p, effect size and users."""
    sides = f", a {SIGNS[c.alternative]} b" if c.alternative in SIGNS else ""
    adjusted = () if c.correction == "none" else (f"p ({c.correction})",)
    header = ("a", "b", "a − b", "interval", f"p{sides}", *adjusted, "effect", "users a/b/tied")
    rows = tuple(_pair_row(c, pair) for pair in c.pairs if pair.metric == metric)
    return Grid(header, rows, left=2, title=f"Paired differences in {metric_name(metric)}")


def _pair_row(c: Comparison, pair: Pair) -> tuple[Cell, ...]:
    found = pair.p_adjusted is not None and pair.p_adjusted < c.alpha
    interval = "–" if pair.lo is None or pair.hi is None else f"[{signed(pair.lo)}, {signed(pair.hi)}]"
    p = [p_value(pair.p)] + ([] if c.correction == "none" else [p_value(pair.p_adjusted)])
    effect = "–" if pair.effect_size is None else signed(pair.effect_size, 2)
    counts = f"{pair.users_a_better}/{pair.users_b_better}/{pair.users_tied}"
    words = (pair.a, pair.b, signed(pair.difference), interval, *p, effect, counts)
    return tuple(Cell(word, bold=found and i == 3 + len(p)) for i, word in enumerate(words))


def _triangle(c: Comparison, names: Sequence[str]) -> Grid:
    """Adjusted p below the diagonal; columns are numbered as the rows are."""
    p = {frozenset((x.a, x.b)): x for x in c.pairs if x.metric == c.metric}
    rows = []
    for i, name in enumerate(names):
        cells = [Cell(f"{i + 1} {name}")]
        for j, other in enumerate(names[:-1]):
            pair = p.get(frozenset((name, other))) if j < i else None
            found = pair is not None and pair.p_adjusted is not None and pair.p_adjusted < c.alpha
            cells.append(Cell(p_value(pair.p_adjusted) if pair else "", bold=found))
        rows.append(tuple(cells))
    side = f", column {SIGNS[c.alternative]} row," if c.alternative in SIGNS else ""
    title = f"p ({c.correction}){side} of the paired differences in {metric_name(c.metric)}"
    return Grid(("", *(str(j + 1) for j in range(len(names) - 1))), tuple(rows), title=title)


def notes(c: Comparison, view: str) -> tuple[str, ...]:
    """What the marks mean, then what was skipped, failed and warned of."""
    level = level_of(c.alpha)
    lines = []
    if view in ("rows", "matrix", "groups"):
        lines.append(f"± half the {level} interval over users and seeds of one row; {_PAIRED}")
        bold = _BOLD_MATRIX if view == "matrix" else _BOLD
        if c.pairs and c.alternative in SIGNS:
            bold = _BOLD_MATRIX if view == "matrix" else _BOLD_ONLY
            side = {"greater": "+ better", "less": "− worse"}[c.alternative]
            lines.append(bold.capitalize() if c.baseline is None else f"{side} than {c.baseline}; {bold}")
        elif c.pairs and c.baseline is None:
            hidden = [metric_name(m) for m in c.metrics if any(c.groups(m)) and not any(_letters(c, m))]
            shared = "Rows that share a letter were not found to differ; " if len(hidden) < len(c.metrics) else ""
            lines.append(shared + bold if shared else bold.capitalize())
            if hidden:
                lines.append(
                    f"No letters for {', '.join(hidden)}, too many to read: compare fewer rows, or --baseline ROW."
                )
        elif c.pairs:
            lines.append(f"+ better, − worse than {c.baseline}; {bold}")
    if c.pairs and view in ("rows", "pairs"):
        both = "two-sided " if c.alternative in SIGNS else ""
        lines.append(f"Pairs: a − b with its unadjusted {both}{level} interval; {_EFFECT}")
    if view == "effects":
        lines.append(f"{level} intervals over users and seeds, unadjusted; {_EFFECTS}")
    if view == "equivalence":
        lines.append(_EQUIVALENCE)
    lines += [f"Skipped {s.get('sampler')}+{s.get('loss')}: {s.get('reason')}" for s in c.context.skipped]
    lines += [f"Failed {f.get('run')}: {f.get('reason')}" for f in c.context.failed]
    lines += [f"Warning: {w}" for w in c.warnings]
    return tuple(line if line.endswith(".") else f"{line}." for line in lines)


def metric_name(metric: str) -> str:
    """`ndcg@10` → `NDCG@10`."""
    return metric.upper() if "@" in metric else metric


def number(value: float | None, digits: int = DIGITS) -> str:
    """Fixed decimals, – where there is no number."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def signed(value: float, digits: int = DIGITS) -> str:
    """Fixed decimals with a sign; what prints as zero has none."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def level_of(alpha: float) -> str:
    """The level 1 − α of an interval in percent, with as many decimals as α needs: 95%, 97.5%, 99.861%."""
    decimals = max(0, 2 - math.floor(math.log10(100 * alpha)))
    return f"{100 - 100 * alpha:.{decimals}f}".rstrip("0").rstrip(".") + "%"


def p_value(p: float | None) -> str:
    """Three decimals, < 0.001 below."""
    return "–" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"
