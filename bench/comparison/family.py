"""The family of one metric: its pairs of rows, each tested, with p adjusted and intervals over all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations

import numpy as np

from bench.comparison.guards import check_seeds
from bench.comparison.nouns import Pair, Row, paired
from bench.statistics.corrections import adjust
from bench.statistics.crossed import CONSTANT, Alternative
from bench.statistics.equivalence import equivalence
from bench.statistics.expected import FEW_SEEDS, blindness, low_power
from bench.statistics.moments import Moments, moments
from bench.statistics.named import run_test
from bench.statistics.pooled import Stability, stability_variances


@dataclass(frozen=True)
class Options:
    """How pairs are tested, in the words of `compare`; `whole` is the size of a family of which a part is asked."""

    test: str
    correction: str
    alpha: float
    alternative: Alternative
    margin: float | None
    whole: int = 0


def wanted(rows: Sequence[Row], baseline: str | None) -> tuple[list[tuple[Row, Row]], list[tuple[Row, Row]]]:
    """The pairs to test, and those that are the same training by identity, of which there is nothing to find."""
    pairs = list(combinations(rows, 2))
    if baseline is not None:
        pairs = [(row, base) for base in rows if base.name == baseline for row in rows if row is not base]
    same = [(a, b) for a, b in pairs if a.canonical and a.canonical == b.canonical]
    return [pair for pair in pairs if pair not in same], same


def untested(a: Row, b: Row, metric: str) -> Pair:
    """A pair that is not tested: what was measured, which is training noise alone."""
    x, y, _ = paired(a, b, metric)
    m = moments(x, y)
    counts = (m.positive, m.negative, m.users - m.positive - m.negative)
    return Pair(a.name, b.name, metric, m.mean, None, None, None, None, None, *counts, equal_by_identity=True)


def family(
    asked: Sequence[tuple[Row, Row]], rows: Sequence[Row], metric: str, options: Options
) -> tuple[list[Pair], list[str]]:
    """The pairs of one metric with adjusted p, and what the reader must know of them."""
    tested, notes = [], []
    pooled = _stability(rows, metric) if options.test == "crossed-pooled" else {}
    alone: dict[str, list[str]] = defaultdict(list)
    fewest, size = FEW_SEEDS, max(len(asked), options.whole)
    for a, b in asked:
        x, y, shared = paired(a, b, metric)
        check_seeds(options.test, shared)
        fewest = min(fewest, shared)
        m = moments(x, y)
        known = Stability(pooled[a.name], pooled[b.name], len(rows)) if pooled else None
        test = partial(run_test, options.test, x, y, m, stability=known)
        outcome = test(alpha=options.alpha, alternative=options.alternative)
        wider = outcome
        if outcome.lo is not None and size > 1:
            wider = test(alpha=options.alpha / size)
        if options.test == "crossed-pooled" and outcome.note:
            alone[outcome.note].append(f"{a.name} − {b.name}")
        tested.append((a, b, m, outcome, wider))
        if shared < max(len(a.seeds), len(b.seeds)):
            notes.append(f"{a.name} and {b.name} are paired on the {shared} seed{'s' * (shared > 1)} both have.")
        if outcome.note == CONSTANT:
            notes.append(f"{a.name} − {b.name} in {metric} has p = {outcome.p:.2g}: {outcome.note}.")
        if outcome.p is None:
            notes.append(f"No p value for {a.name} and {b.name} in {metric}: {outcome.note}.")
    if options.test == "crossed-pooled" and asked:
        notes.append("A p of crossed-pooled depends on the other rows of the table.")
    for reason, names in alone.items():
        which = f"all {len(names)} pairs" if len(names) == len(asked) else ", ".join(names)
        notes.append(f"crossed in place of crossed-pooled in {metric} for {which}: {reason}.")
    if fewest < FEW_SEEDS:
        notes.append(
            low_power(options.test, fewest, size, options.alpha, 2 if options.alternative == "two-sided" else 1)
        )
    notes.append(blindness(options.test, [m for _, _, m, *_ in tested], metric, options.alpha))
    margin = options.margin
    equal = [equivalence(m, margin) if margin else None for _, _, m, *_ in tested]
    untested_rest: list[float | None] = [None] * (size - len(asked))
    adjusted = adjust([*(outcome.p for *_, outcome, _ in tested), *untested_rest], options.correction)[: len(asked)]
    equal_adjusted = adjust([e.p if e else None for e in equal], options.correction)
    pairs = []
    for (a, b, m, outcome, wider), e, p, q in zip(tested, equal, adjusted, equal_adjusted, strict=True):
        counts = (m.positive, m.negative, m.users - m.positive - m.negative)
        ends = (outcome.lo, outcome.hi, outcome.p)
        pair = Pair(a.name, b.name, metric, m.mean, *ends, p, standardised(m), *counts)
        pair = replace(pair, lo_family=wider.lo, hi_family=wider.hi)
        pairs.append(replace(pair, equivalence=e, p_equivalent=q) if e else pair)
    return pairs, [note for note in notes if note]


def _stability(rows: Sequence[Row], metric: str) -> dict[str, float]:
    """Name → stability variance, where the rows are three or more and have the same seeds; else nothing."""
    if len(rows) < 3 or any(set(row.seeds) != set(rows[0].seeds) for row in rows):
        return {}
    by_seed = [row.metrics[metric].mean(axis=1)[np.argsort(row.seeds)] for row in rows]
    return {row.name: float(v) for row, v in zip(rows, stability_variances(np.array(by_seed)), strict=True)}


def standardised(m: Moments) -> float | None:
    """Mean difference over the standard deviation of a single one, d_su; None where nothing varies."""
    if m.mean == 0:
        return 0.0
    return m.mean / m.sd_single if m.sd_single > 0 else None
