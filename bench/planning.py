"""`bench calibrate` and `bench power`: what the tests do on this very data, as text."""

from __future__ import annotations

from itertools import combinations

from tabulate import tabulate

from bench.calibrate import same_against_same
from bench.comparison import Row
from bench.experiment import Experiment, rows, short_names
from bench.power import components, detectable, seeds_needed
from bench.statistics.moments import moments
from datasets.errors import UserError


def calibration(experiment: Experiment, metric: str, side: int, splits: int) -> str:
    """False-positive rates of the tests over A/A comparisons of the runs of one cell.

    Raises:
        UserError: several cells, or too few seeds for two sides.
    """
    found = _rows(experiment, metric)
    if len(found) != 1:
        raise UserError("bench calibrate takes one cell, which it compares with itself; name one.")
    table = [
        (x.test, f"{x.alpha:.0%}", f"{x.rate:.1%}", f"{x.lo:.1%} to {x.hi:.1%}", x.without_p)
        for x in same_against_same(found[0].metrics[metric], side, splits=splits)
    ]
    text = tabulate(table, headers=["test", "α", "rejected", "95% interval", "without p"])
    n_seeds, n_users = found[0].metrics[metric].shape
    return (
        f"{text}\n\n{experiment.data.name}, {found[0].name}, {metric}: {splits} comparisons of {side} with {side} "
        f"seeds out of {n_seeds}, {n_users} users.\nThere is nothing to find, so a test at level α should reject at "
        "most a share α. Comparisons share runs; the interval\nallows for that."
    )


def plan(experiment: Experiment, metric: str, difference: float | None, alpha: float, power: float) -> str:
    """For each pair of cells: its variance components, and the smallest difference that more seeds would find.

    Raises:
        UserError: fewer than two cells or two seeds.
    """
    found = _rows(experiment, metric)
    if len(found) < 2:
        raise UserError("bench power takes at least two cells, whose runs are the pilot; name another.")
    sections = [_pair(a, b, metric, difference, alpha, power) for a, b in combinations(found, 2)]
    return "\n\n".join(sections)


def _pair(a: Row, b: Row, metric: str, difference: float | None, alpha: float, power: float) -> str:
    m = moments(a.metrics[metric], b.metrics[metric])
    c = components(m)
    counts = sorted({2, 3, 5, 10, 20, 50, m.seeds})
    table = [(seeds, f"{detectable(c, m.users, seeds, alpha=alpha, power=power):.4f}") for seeds in counts]
    wished = difference if difference is not None else abs(m.mean)
    last = seeds_needed(c, m.users, wished, alpha=alpha, power=power).sentence if wished else "The pilot's means agree."
    return (
        f"{a.name} − {b.name}, {metric}: {m.mean:+.4f} in the pilot of {m.seeds} seeds and {m.users} users.\n"
        f"Variance of the differences: users {c.users:.3g}, seeds {c.seeds:.3g}, rest {c.rest:.3g}.\n\n"
        f"{tabulate(table, headers=['seeds', f'found with {power:.0%}'])}\n\n{last}"
    )


def _rows(experiment: Experiment, metric: str) -> list[Row]:
    found, _ = rows(short_names(experiment), [int(metric.partition("@")[2])])
    for row in found:
        if row.failed:
            raise UserError(f"'{row.name}' has failed runs ({row.failed[0]}); retry them with --retry-failed.")
    return found
