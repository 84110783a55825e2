"""`bench across` as text: scores with average ranks, every pair, and the aggregate."""

from __future__ import annotations

import json

from bench.comparison.across import Across
from bench.tables.caption import own, sentences, shared
from bench.tables.data import write_csv
from bench.tables.layout import Cell, Grid, Sheet, level_of, metric_name, number, p_value, plural, signed


def across_as_json(a: Across) -> str:
    """Everything as one JSON object."""
    return json.dumps(a.as_dict(), indent=2, ensure_ascii=False, allow_nan=False)


def across_as_csv(a: Across) -> str:
    """One line per method: its score on every data set, average rank and aggregate."""
    lines = []
    for row in a.as_dict()["rows"]:
        scores = dict(zip(a.datasets, row["scores"], strict=True))
        lo, hi = row["iqm"]["ci"]
        iqm = {"iqm": row["iqm"]["mean"], "iqm_lo": lo, "iqm_hi": hi}
        lines.append({"name": row["name"], **scores, "average_rank": row["average_rank"], **iqm})
    return write_csv(lines)


def across_sheet(a: Across) -> Sheet:
    """Methods × data sets, then pairs; the tests are in the caption and what columns mean in the notes."""
    first = a.comparisons[0]
    size = f"{len(a.names)} methods on {len(a.datasets)} data sets × {plural(len(first.seeds), 'seed')}"
    friedman = f" · Friedman p = {p_value(a.ranks.p)}" if a.ranks else ""
    return Sheet(
        (_scores(a), _pairs(a)),
        _caption(a),
        _notes(a),
        warnings=tuple(f"Warning: {w}" for w in a.warnings),
        title=f"{metric_name(first.metric)} over {len(a.datasets)} data sets",
        label=f"across-{first.metric}",
        head=f"{metric_name(first.metric)} · {size}{friedman}",
        foot=(
            f"IQM: of scores divided by {a.unit}; last columns: Bayesian signed ranks, equivalent within ±{a.rope:g}.",
            "Next: --caption full | --margin 0.005 | --format latex",
        ),
    )


def _scores(a: Across) -> Grid:
    best = a.scores.max(axis=1)
    body = []
    for i, name in enumerate(a.names):
        cells = [Cell(number(x), bold=number(x) == number(top)) for x, top in zip(a.scores[:, i], best, strict=True)]
        value, lo, hi = a.aggregate[i]
        shown = f"{number(value, 3)} [{number(lo, 3)}, {number(hi, 3)}]"
        rank = Cell(number(a.average[i], 2), bold=a.average[i] == min(a.average))
        body.append((Cell(name), *cells, rank, Cell(shown)))
    title = f"{metric_name(a.comparisons[0].metric)} by data set"
    return Grid(("", *a.datasets, "average rank", "IQM"), tuple(body), title=title)


def _pairs(a: Across) -> Grid:
    alpha, correction = a.comparisons[0].alpha, a.comparisons[0].correction
    body = []
    for pair in a.pairs:
        nemenyi = {None: "–", True: "differ", False: "not found"}[pair.nemenyi]
        p = (Cell(p_value(pair.p)), Cell(p_value(pair.p_adjusted), bold=pair.p_adjusted < alpha))
        bayes = (Cell(number(x, 3)) for x in (pair.a_better, pair.equivalent, pair.b_better))
        body.append((Cell(pair.a), Cell(pair.b), Cell(signed(pair.ranks, 2)), Cell(nemenyi), *p, *bayes))
    header = (
        "a",
        "b",
        "ranks a − b",
        "Nemenyi",
        "Wilcoxon p",
        f"p ({correction})",
        "a better",
        "equivalent",
        "b better",
    )
    return Grid(header, tuple(body), left=2, title="Pairs over data sets")


def _caption(a: Across) -> str:
    first, r = a.comparisons[0], a.ranks
    parts = [
        f"{len(a.names)} methods on {len(a.datasets)} data sets, {len(first.seeds)} seeds each, α = {first.alpha:g}"
    ]
    if r:
        parts.append(
            f"Friedman χ² = {r.chi2:.3f}, p = {p_value(r.p)}; Iman–Davenport F = {r.f:.3f}, p = {p_value(r.p_f)}; "
            f"Nemenyi's critical difference of ranks {r.critical:.3f}"
        )
    against = "" if first.baseline is None else f", against {first.baseline}"
    side = "" if first.alternative == "two-sided" else f", one-sided ({first.alternative})"
    family = "no correction" if first.correction == "none" else f"{first.correction} over {len(a.pairs)} pairs"
    parts.append(f"signed-rank test over data sets{side}, {family}{against}")
    parts += shared(a.comparisons)
    return f"{sentences(parts)} {'. '.join(own(c, a.comparisons) for c in a.comparisons)}."


def _notes(a: Across) -> tuple[str, ...]:
    level = level_of(a.comparisons[0].alpha)
    return (
        "A data set counts once, whatever its number of users; rank 1 is best, ties share.",
        f"IQM: interquartile mean over runs and data sets of scores divided by {a.unit} on the same data set, with its "
        f"{level} interval from runs drawn anew within each data set.",
        f"Last three columns: posterior probabilities of the Bayesian signed-rank test, equivalent within ±{a.rope:g} "
        "(--margin).",
    )
