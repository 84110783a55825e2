"""Views beside rows and pairs: samplers × losses, effect sizes, equivalence, groups of users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.comparison.nouns import Comparison
from bench.statistics.effects import Estimate
from bench.tables.caption import caption
from bench.tables.layout import Cell, Grid, Sheet, metric_name, number, p_value, signed
from bench.tables.notes import foot, groups_foot, head, of_groups, warnings_of
from bench.tables.rows import metric_cells


def matrix_view(c: Comparison) -> tuple[Grid, ...]:
    """Per model: samplers down, losses across, the metric the table is about; rows without a loss stand last."""
    models = dict.fromkeys(row.model for row in c.rows)
    return tuple(_matrix(c, [i for i, row in enumerate(c.rows) if row.model == m], m) for m in models)


def _matrix(c: Comparison, members: Sequence[int], model: str) -> Grid:
    cells = metric_cells(c, c.metric)
    best = max((i for i, r in enumerate(c.rows) if not r.failed), key=lambda i: _mean(c, i), default=None)
    skipped = {(s.get("sampler"), s.get("loss")) for s in c.context.skipped}
    place = {(c.rows[i].sampler or c.rows[i].name, c.rows[i].loss or "–"): i for i in members}
    losses = sorted(dict.fromkeys(loss for _, loss in place), key=lambda loss: loss == "–")
    top = {
        loss: max(
            (number(_mean(c, i)) for (_, x), i in place.items() if x == loss and not c.rows[i].failed), default=""
        )
        for loss in losses
    }
    body = []
    for sampler in dict.fromkeys(sampler for sampler, _ in place):
        line = [Cell(sampler)]
        for loss in losses:
            i = place.get((sampler, loss))
            if i is None:
                line.append(Cell("skipped" if (sampler, loss) in skipped else ""))
            elif c.rows[i].failed:
                line.append(Cell("; ".join(c.rows[i].failed)))
            else:
                mark = cells[i].mark + ("*" if i == best else "")
                line.append(Cell(cells[i].text, cells[i].spread, mark, cells[i].text == top[loss]))
        body.append(tuple(line))
    title = f"{metric_name(c.metric)}, {model}: samplers down, losses across"
    return Grid(("", *losses), tuple(body), title=title)


def _mean(c: Comparison, i: int) -> float:
    return c.values[i][c.metric].mean


def effects_view(c: Comparison) -> tuple[Grid, ...]:
    """Per metric, one line per pair: every effect size with its interval."""
    grids = []
    for metric in c.metrics:
        body = []
        for pair in (p for p in c.pairs if p.metric == metric):
            e = c.effects(pair)
            counts = f"{e.users_a_better}/{e.users_b_better}/{e.users_tied}"
            shown = (
                _estimate(e.difference, 4),
                _estimate(e.relative, 1, percent=True),
                _estimate(e.standardised, 2),
                _estimate(e.superiority, 1, percent=True, sign=False),
                counts,
            )
            body.append((Cell(pair.a), Cell(pair.b), *map(Cell, shown)))
        header = ("a", "b", "a − b", "relative", "standardised", "a beats b", "users a/b/tied")
        grids.append(Grid(header, tuple(body), left=2, title=f"Effect sizes in {metric_name(metric)}"))
    return tuple(grids)


def _estimate(e: Estimate, digits: int, *, percent: bool = False, sign: bool = True) -> str:
    def one(x: float | None) -> str:
        if x is None:
            return "–"
        x = 100 * x if percent else x
        return (signed(x, digits) if sign else number(x, digits)) + ("%" if percent else "")

    return f"{one(e.value)} [{one(e.lo)}, {one(e.hi)}]"


def equivalence_view(c: Comparison) -> tuple[Grid, ...]:
    """Per metric, one line per pair: two one-sided tests and the posterior of the region within the margin."""
    grids = []
    for metric in c.metrics:
        body = []
        for pair in c.pairs:
            e = pair.equivalence
            if pair.metric != metric or e is None:
                continue
            shown = tuple(number(x, 3) for x in (e.below, e.inside, e.above))
            found = pair.p_equivalent is not None and pair.p_equivalent < c.alpha
            p = (Cell(p_value(e.p)), Cell(p_value(pair.p_equivalent), bold=found))
            body.append((Cell(pair.a), Cell(pair.b), Cell(signed(pair.difference)), *p, *map(Cell, shown)))
        header = ("a", "b", "a − b", "p", f"p ({c.correction})", "b better", "equivalent", "a better")
        title = f"Equivalence within ±{c.margin:g} in {metric_name(metric)}" if c.margin else "No margin was given"
        grids.append(Grid(header, tuple(body), left=2, title=title))
    return tuple(grids)


def group_sheet(groups: Mapping[str, Comparison], styled: bool) -> Sheet:
    """Rows down, groups of users across: the metric the comparisons are about, each group tested by itself."""
    first = next(iter(groups.values()))
    columns = [metric_cells(c, c.metric) for c in groups.values()]
    body = tuple((Cell(row.name), *(col[i] for col in columns)) for i, row in enumerate(first.rows))
    header = ("", *(f"{name} ({c.users})" for name, c in groups.items()))
    title = f"{metric_name(first.metric)} by group of users (number of users)"
    tests = f" Each group is a family of its own, {len(groups)} in all."
    marks = tuple(dict.fromkeys(note for c in groups.values() for note in of_groups(c, styled)))
    users = sum(c.users for c in groups.values())
    return Sheet(
        (Grid(header, body, title=title),),
        caption(first, users) + tests,
        marks,
        warnings=tuple(dict.fromkeys(line for c in groups.values() for line in warnings_of(c))),
        title=f"{title} on {first.context.dataset}",
        label=f"{first.context.dataset}-{first.metric}-groups",
        head=head(first, users),
        foot=foot(first, groups_foot(first), "groups"),
    )
