"""What the script of the page draws from: the numbers and texts of one subject as a JSON object."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.comparison.nouns import Comparison, Value
from bench.files import JSONObject
from bench.report.searched import Search
from bench.report.subject import Subject
from bench.statistics.moments import FloatArray
from bench.tables.caption import caption, runs_line
from bench.tables.figures import padded
from bench.tables.gallery import histories, selected_by
from bench.tables.latex_text import escape
from bench.tables.layout import cut, family, level_of, metric_name, number
from bench.tables.notes import of_rows
from bench.tables.rows import (
    Difference,
    difference_cells,
    difference_header,
    differences,
    ranked,
    reference,
    spread_words,
)
from bench.tables.tuning import spread
from bench.tuning.study import best_so_far, enough
from datasets.errors import UserError

DIGITS = 6  # of a number that is drawn
POINTS = 100  # of a curve


def content(subject: Subject) -> JSONObject:
    """The object that stands in the page, with plain numbers, strings and null.

    `rows` in the order given, each metric as [mean, half an interval or null, text, spread]. `references` are the rows
    that the others may be shown against, the first one as the table has it: texts and, for drawing, numbers.
    """
    c = subject.comparison
    names = [*c.values[0]] if c.values else []
    found: JSONObject = {
        "dataset": c.context.dataset,
        "metric": c.metric,
        "metrics": {name: metric_name(name) for name in sorted(names, key=_by_kind)},
        "tested": list(c.metrics),
        "level": level_of(c.alpha),
        "order": ranked(c),
        "rows": [_row(c, i) for i in range(len(c.rows))],
        "references": _references(subject),
        "curves": _curves(subject),
        "searches": [_search(name, search) for name, search in subject.searches.items()],
        "caption": f"{caption(c)} {runs_line([c])}".rstrip(),
        "warnings": list(c.warnings),
    }
    found["caption_latex"] = escape(found["caption"])
    found["latex"] = {char: tex for char in sorted(_characters(found)) if (tex := escape(char)) != char}
    return found


def _by_kind(metric: str) -> tuple[str, int]:
    kind, _, k = metric.partition("@")
    return kind, int(k or 0)


def _row(c: Comparison, i: int) -> JSONObject:
    row = c.rows[i]
    return {
        "name": row.name,
        "sampler": row.sampler,
        "loss": row.loss,
        "model": row.model,
        "failed": "; ".join(row.failed),
        "epochs": [_plain(row.epochs), number(row.epochs, 0)],
        "seconds": [_plain(row.train_seconds), number(row.train_seconds, 1)],
        "values": {name: _value(value, name) for name, value in c.values[i].items()},
    }


def _value(value: Value, metric: str) -> list[Any]:
    half = None if value.hi is None else _plain(value.hi - value.mean)
    return [_plain(value.mean), half, number(value.mean), spread_words(value, metric)]


def _references(subject: Subject) -> list[JSONObject]:
    """Against which rows the others can be shown: as the table does, then, with all pairs tested, any other row.

    A row that is chosen in the page was not chosen before the numbers were seen, so that its family is all pairs.
    """
    c, every = subject.comparison, subject.all_pairs
    if (first := reference(c)) is None or len(c.rows) < 2:
        return []
    name = c.rows[first].name
    label = f"{name} (the best)" if c.baseline is None else f"{name} (--baseline)"
    found = [_reference(c, first, label)]
    for j, row in enumerate(c.rows if every else ()):
        if every and j != first and not row.failed:
            found.append(_reference(replace(every, baseline=row.name), j, row.name))
    return found


def _reference(c: Comparison, j: int, label: str) -> JSONObject:
    return {
        "row": j,
        "label": label,
        "header": difference_header(c),
        "family": family(c),
        "notes": of_rows(c, True),
        "metrics": {metric: _differences(_about(c, metric, j)) for metric in c.metrics if _same_row(c, metric)},
    }


def _about(c: Comparison, metric: str, j: int) -> Comparison:
    """The same with another metric in view, shown against row j still."""
    return c if metric == c.metric else replace(c, metric=metric, baseline=c.rows[j].name)


def _same_row(c: Comparison, metric: str) -> bool:
    """Whether the differences of a metric can be told against any row: one-sided pairs ask a > b in the order given."""
    return metric == c.metric or c.baseline is not None or c.alternative == "two-sided"


def _differences(c: Comparison) -> list[Any]:
    """Of every row the texts of its cells, whether it was found to differ, and what is drawn: [difference, lo, hi]."""
    lines = []
    for i, d in enumerate(differences(c)):
        cells = difference_cells(c, i, d)
        lines.append([[cell.text for cell in cells], bool(d and d.found), _drawn(c, d), d.p if d else None])
    return lines


def _drawn(c: Comparison, d: Difference | None) -> list[float | None] | None:
    if d is None or d.lo is None or d.hi is None or d.same:
        return None
    lo, hi = cut(d.lo, d.hi, c.metric, -1.0)
    return [_plain(d.value), _plain(lo), _plain(hi)]


def _curves(subject: Subject) -> JSONObject | str:
    """The validation metric over epochs by row: mean over seeds, lowest, highest; or why there is none."""
    if not subject.runs:
        return subject.no_histories
    try:
        found = histories(subject.runs)
    except UserError as error:
        return f"{str(error)[0].upper()}{str(error)[1:]}"
    return {
        "metric": metric_name(selected_by(subject.comparison)),
        "rows": {name: _curve(seeds) for name, seeds in found.items()},
    }


def _curve(seeds: Sequence[FloatArray]) -> JSONObject:
    table, stop = padded(seeds), min(len(values) for values in seeds)
    epochs = table.shape[1]
    shown = sorted({*range(0, epochs, -(-epochs // POINTS)), stop - 1, epochs - 1})
    several = len(seeds) > 1
    return {
        "x": [at + 1 for at in shown],
        "mean": [_plain(value) for value in table.mean(axis=0)[shown]],
        "lo": [_plain(value) for value in table.min(axis=0)[shown]] if several else [],
        "hi": [_plain(value) for value in table.max(axis=0)[shown]] if several else [],
        "stop": stop,
    }


def _search(name: str, search: Search) -> JSONObject:
    best = best_so_far(search.scores)
    return {
        "name": name,
        "scores": [None if score is None else _plain(score) for score in search.scores],
        "given_up": list(search.given_up),
        "best": [_plain(value) for value in best],
        "spread": _plain(spread(search.finalists)),
        "enough": enough(best),
    }


def _plain(value: float) -> float | None:
    """A number short enough to be drawn, None where it is none."""
    return round(float(value), DIGITS) if math.isfinite(value) else None


def _characters(found: Any) -> set[str]:
    """Every character of the texts within."""
    if isinstance(found, str):
        return set(found)
    inside: Iterable[Any] = ()
    if isinstance(found, Mapping):
        inside = (*found, *found.values())
    elif isinstance(found, list):
        inside = found
    return {char for one in inside for char in _characters(one)}
