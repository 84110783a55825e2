"""Pairs of rows: a line each with everything the test says, or a triangle of adjusted p."""

from __future__ import annotations

from bench.comparison.nouns import Comparison, Pair
from bench.tables.layout import SIGNS, Cell, Grid, cut, ends, interval, interval_name, metric_name, p_value, signed


def pairs_view(c: Comparison) -> tuple[Grid, ...]:
    """Every pair of every metric."""
    return tuple(pairs_grid(c, metric) for metric in c.metrics)


def pairs_grid(c: Comparison, metric: str) -> Grid:
    """One line per pair of one metric: difference with interval, p, adjusted p, effect size and users."""
    sides = f", a {SIGNS[c.alternative]} b" if c.alternative in SIGNS else ""
    adjusted = () if c.correction == "none" else (f"p ({c.correction})",)
    header = ("a", "b", "a − b", interval_name(c) or "interval", f"p{sides}", *adjusted, "effect", "users a/b/tied")
    rows = tuple(_pair_row(c, pair) for pair in c.pairs if pair.metric == metric)
    last = len(header) - 1
    optional = (last, last - 1, *((4,) if adjusted else ()))
    return Grid(header, rows, left=2, title=f"Paired differences in {metric_name(metric)}", optional=optional)


def _pair_row(c: Comparison, pair: Pair) -> tuple[Cell, ...]:
    found = pair.p_adjusted is not None and pair.p_adjusted < c.alpha
    lo, hi = ends(c, pair)
    none = "equal by identity" if pair.equal_by_identity else "–"
    shown = none if lo is None or hi is None else interval(*cut(lo, hi, pair.metric, -1.0), signed)
    p = [] if c.correction == "none" else [Cell(p_value(pair.p))]
    p.append(Cell(p_value(pair.p_adjusted), mark="*" if found else "", bold=found))
    effect = "–" if pair.effect_size is None else signed(pair.effect_size, 2)
    users = f"{pair.users_a_better}/{pair.users_b_better}/{pair.users_tied}"
    return (Cell(pair.a), Cell(pair.b), Cell(signed(pair.difference)), Cell(shown), *p, Cell(effect), Cell(users))


def triangle(c: Comparison) -> Grid:
    """Adjusted p of every pair of the metric the table is about: row i under column j, both numbered."""
    names = [row.name for row in c.rows if not row.failed]
    p = {frozenset((x.a, x.b)): x for x in c.pairs if x.metric == c.metric}
    rows = []
    for i, name in enumerate(names):
        cells = [Cell(f"{i + 1} {name}")]
        for j, other in enumerate(names[:-1]):
            pair = p.get(frozenset((name, other))) if j < i else None
            found = pair is not None and pair.p_adjusted is not None and pair.p_adjusted < c.alpha
            shown = "" if pair is None else "=" if pair.equal_by_identity else p_value(pair.p_adjusted)
            cells.append(Cell(shown, bold=found))
        rows.append(tuple(cells))
    side = f", column {SIGNS[c.alternative]} row," if c.alternative in SIGNS else ""
    title = f"p ({c.correction}){side} of the paired differences in {metric_name(c.metric)}"
    return Grid(("", *(str(j + 1) for j in range(len(names) - 1))), tuple(rows), title=title)
