"""`bench power`: what more seeds would find of each pair of rows, in every format."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from bench.comparison.nouns import Row
from bench.statistics.moments import moments
from bench.statistics.power import components, detectable, seeds_needed, upper_seeds
from bench.tables.layout import Cell, Grid, Sheet

COUNTS = (3, 5, 10, 20, 50)  # seeds for which a plan says what they find
CONFIDENCE = 0.8  # of the upper limit of the seeds' variance


def render_plan(
    rows: Sequence[Row],
    *,
    dataset: str,
    metric: str,
    alpha: float,
    baseline: str | None,
    correction: str,
    format: str,
    difference: float | None,
    power: float,
) -> str:
    """What more seeds would find of each pair of cells, or of each cell and the baseline, as `format`.

    Every pair is planned at α/m, m the pairs of the family, and on the upper confidence limit of the seeds' variance.

    Raises:
        UserError: fewer than two seeds.
    """
    pairs = list(combinations(rows, 2))
    if baseline is not None:
        pairs = [(row, base) for base in rows if base.name == baseline for row in rows if row is not base]
    level = alpha if correction == "none" else alpha / len(pairs)
    planned = [_planned(a, b, metric, difference, level, power) for a, b in pairs]
    seeds, users = rows[0].metrics[metric].shape
    whole = {
        "dataset": dataset,
        "metric": metric,
        "users": users,
        "seeds": seeds,
        "alpha": alpha,
        "family": len(pairs),
        "level": level,
        "power": power,
        "confidence": CONFIDENCE,
        "difference": difference,
        "pairs": planned,
    }
    if format == "json":
        return json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False)
    if format == "csv":
        from bench.tables.data import write_csv

        flat = [{**p, **p.pop("variance"), **{f"found_{n}": x for n, x in p.pop("found").items()}} for p in planned]
        return write_csv(flat)
    return _text(_sheet(whole), format)


def _planned(a: Row, b: Row, metric: str, difference: float | None, level: float, power: float) -> dict[str, Any]:
    m = moments(a.metrics[metric], b.metrics[metric])
    estimate = components(m)
    careful = replace(estimate, seeds=upper_seeds(m, CONFIDENCE))
    wished = None if difference is None else seeds_needed(careful, m.users, difference, alpha=level, power=power)
    return {
        "a": a.name,
        "b": b.name,
        "variance": {**vars(estimate), "seeds_upper": careful.seeds},
        "found": {str(n): detectable(careful, m.users, n, alpha=level, power=power) for n in COUNTS},
        "seeds_needed": wished.seeds if wished else None,
        "sentence": wished.sentence if wished else "",
    }


def _sheet(whole: dict[str, Any]) -> Sheet:
    body = []
    for p in whole["pairs"]:
        spread = (p["variance"][name] for name in ("users", "seeds", "seeds_upper", "rest"))
        last = () if whole["difference"] is None else ("none" if p["seeds_needed"] is None else str(p["seeds_needed"]),)
        words = (p["a"], p["b"], *(f"{x:.2g}" for x in spread), *(f"{x:.4f}" for x in p["found"].values()), *last)
        body.append(tuple(map(Cell, words)))
    last = () if whole["difference"] is None else (f"for {whole['difference']:g}",)
    header = ("a", "b", "σ² users", "σ² seeds", "at most", "σ² rest", *(f"{n} seeds" for n in COUNTS), *last)
    family, level = whole["family"], whole["level"]
    split = f" = {whole['alpha']:g}/{family}" if level != whole["alpha"] else ""
    caption = (
        f"{whole['dataset']}, {whole['metric']}: the difference found with probability {whole['power']:.0%} at level "
        f"{level:.3g}{split}, by the pilot of {whole['seeds']} seeds and {whole['users']} users."
    )
    notes = [
        f"At most: the {whole['confidence']:.0%} upper confidence limit of σ² seeds, on which the plan rests.",
        *(f"{p['a']} − {p['b']}: {p['sentence']}" for p in whole["pairs"] if p["sentence"]),
    ]
    if level != whole["alpha"]:
        notes.insert(0, f"The level is Bonferroni's over the {family} pairs of the family; holm finds as much or more.")
    if whole["difference"] is None:
        notes.append("For a number of seeds give --difference, the smallest difference that matters to you.")
    grid = Grid(header, tuple(body), left=2)
    return Sheet((grid,), caption, tuple(notes), title="What more seeds find", label="power")


def _text(sheet: Sheet, format: str) -> str:
    if format == "latex":
        from bench.tables.latex import as_latex

        return as_latex(sheet)
    if format == "html":
        from bench.tables.html import as_html

        return as_html(sheet)
    from bench.tables.text import as_markdown, as_terminal

    return as_markdown(sheet) if format == "markdown" else as_terminal(sheet)
