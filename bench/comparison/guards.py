"""What a comparison refuses, and what it warns of."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

import numpy as np

from bench.comparison.nouns import Context, Row
from bench.runs.stored import SEVERAL
from bench.statistics.corrections import CORRECTIONS, SYNONYMS
from bench.statistics.crossed import Alternative
from bench.statistics.expected import LEAST_SEEDS
from bench.statistics.named import OTHER_NAMES, TESTS
from datasets.errors import UserError, unknown
from recmodels.sampled_metrics import EXPECTED

if TYPE_CHECKING:
    from datasets.split import Split


def check_options(
    names: Collection[str],
    test: str,
    correction: str,
    alpha: float,
    alternative: str,
    baseline: str | None,
    margin: float | None,
) -> None:
    """Refuse options that name nothing."""
    if not names:
        raise UserError("There is nothing to compare: no rows were given; name at least one cell.")
    if test not in TESTS:
        raise unknown("test", test, TESTS, OTHER_NAMES)
    if correction not in CORRECTIONS:
        raise unknown("correction", correction, CORRECTIONS, SYNONYMS)
    if alternative not in get_args(Alternative):
        raise unknown("alternative", alternative, get_args(Alternative))
    if not 0 < alpha < 1:
        raise UserError(f"alpha is {alpha}; it must lie between 0 and 1, usually 0.05.")
    if margin is not None and not margin > 0:
        raise UserError(f"The margin is {margin}; it must be above 0: the largest difference that does not matter.")
    if baseline is not None and baseline not in names:
        raise unknown("row", baseline, names)


def check_sampled(split: Split, sampled: int, metric: str) -> None:
    """Refuse a metric that is not known over sampled candidates, or more of them than some user has left to rank."""
    from bench.runs.runner import masked

    if metric not in EXPECTED:
        raise UserError(f"{metric} has no expectation over sampled candidates; use {', '.join(EXPECTED)}.")
    users, held = np.unique(split.test.users, return_counts=True)
    if (held > 1).any():
        raise UserError(SEVERAL)
    left_out = masked(split, split.protocol.mask)
    pairs = [part.users.astype(np.int64) * part.n_items + part.items for part in left_out]
    known = np.unique(np.concatenate(pairs)) // split.test.n_items if pairs else np.empty(0, np.int64)
    counts = np.bincount(known, minlength=split.test.n_users)[users]
    rivals = split.test.n_items - 1 - int(counts.max(initial=0))
    if sampled > rivals:
        raise UserError(f"{sampled} sampled candidates are too many: a user has {rivals} to draw from; give fewer.")


def check_seeds(test: str, seeds: int) -> None:
    """Refuse a bootstrap with so few seeds that it calls too many equal rows different."""
    least = LEAST_SEEDS.get(test, 0)
    if seeds < least:
        raise UserError(
            f"The test {test} with {seeds} {'seed' if seeds == 1 else 'seeds'} would reject more than 10 % of true "
            f"nulls at 5 %; give it {least} seeds or more, or use crossed."
        )


def checked(row: Row, metrics: Sequence[str]) -> Row:
    """The row with its users in order of id; refuses what cannot be compared."""
    if row.failed and not row.seeds:
        return row
    for metric in metrics:
        if metric not in row.metrics:
            raise unknown("metric", metric, row.metrics)
        shape, expected = row.metrics[metric].shape, (len(row.seeds), len(row.users))
        if shape != expected:
            raise UserError(f"Row '{row.name}' has {shape} values of {metric}, not {expected}: seeds × users.")
        if not np.isfinite(row.metrics[metric]).all():
            raise UserError(
                f"Row '{row.name}' has a {metric} that is not a number; delete its runs and run them again."
            )
    if len(set(row.seeds)) < len(row.seeds) or len(set(row.runs)) < len(row.runs):
        raise UserError(f"Row '{row.name}' has the same run or seed twice; give each seed once.")
    order = np.argsort(row.users, kind="stable")
    users = row.users[order]
    if (users[1:] == users[:-1]).any():
        raise UserError(f"Row '{row.name}' has the same user twice; a run stores one line per test user.")
    # One memory layout, because the order of summation decides the last bit.
    in_order = bool((order[1:] > order[:-1]).all())
    values = {
        name: np.ascontiguousarray(v if in_order else np.take(v, order, axis=1)) for name, v in row.metrics.items()
    }
    return replace(row, users=users, metrics=values)


def check_together(rows: Sequence[Row]) -> None:
    """Refuse rows that share a name or a run, or whose users, data or protocol differ."""
    runs: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        for run in row.runs:
            runs[run].append(row.name)
    for name, count in Counter(row.name for row in rows).items():
        if count > 1:
            raise UserError(f"Two rows are called '{name}'; name each cell once.")
    for run, owners in runs.items():
        if len(owners) > 1:
            raise UserError(f"'{owners[0]}' and '{owners[1]}' are the same run {run}; leave one of them out.")
    shown = [row for row in rows if row.seeds]
    for row in shown[1:]:
        first = shown[0]
        for key in sorted({*first.identity, *row.identity}):
            mine, theirs = first.identity.get(key), row.identity.get(key)
            if mine != theirs:
                raise UserError(
                    f"'{first.name}' and '{row.name}' cannot share a table: their {key} differs "
                    f"({mine} and {theirs}); run both on the same {key}."
                )
        if not np.array_equal(first.users, row.users):
            extra = len(np.setxor1d(first.users, row.users))
            raise UserError(
                f"'{first.name}' and '{row.name}' cannot share a table: {extra} test users are in one only; "
                "run both on the same split."
            )


def warnings(rows: Sequence[Row], context: Context, baseline: str | None, metric: str) -> Iterable[str]:
    """Sentences the reader must see beside the table."""
    if context.data.get("verified") is False:
        yield "Unverified data: no published checksum says that they are the official ones."
    if any(len(row.seeds) == 1 and not row.failed for row in rows):
        yield "One seed: training noise is not covered."
    chosen = dict.fromkeys(str(row.settings["trainer"]["select_on"]) for row in rows if row.settings.get("trainer"))
    if others := [name for name in chosen if name != metric]:
        yield f"Epochs were chosen by {' and '.join(others)} on validation; --set select_on={metric} changes that."
    for row in rows:
        for reason in row.failed:
            yield f"{row.name}: {reason}; it enters no pair."
        if row.failed and row.name == baseline:
            yield f"The baseline {row.name} failed, so that no pair was tested."
    same: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.canonical:
            same[row.canonical].append(row.name)
    for names in same.values():
        if len(names) > 1:
            yield f"Equal by identity, the same training under {len(names)} names, in no family: {', '.join(names)}."
    for mark in dict.fromkeys(mark for row in rows for mark in row.marks):
        yield f"{mark}: {', '.join(row.name for row in rows if mark in row.marks)}."
