"""Leaving out equals brute force, and every option counts what it drops."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets import Protocol
from datasets.errors import UserError
from datasets.prepare import drop_duplicates, k_core, prepare, random_keys
from datasets.table import Table

ROW = st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 4), st.sampled_from([1.0, 2.5, 4.0]))
rows_strategy = st.lists(ROW, min_size=1, max_size=60)


def table_of(rows, timed=True) -> Table:
    users, items, times, values = (np.array(column) for column in zip(*rows, strict=True))
    return Table(
        users.astype(np.int32), items.astype(np.int32), np.arange(6), np.arange(6),
        times.astype(np.int64) if timed else None, values.astype(np.float32),
    )  # fmt: skip


def triples(table):
    return list(zip(table.users.tolist(), table.items.tolist(), table.values.tolist(), strict=True))


@settings(max_examples=100, deadline=None)
@given(rows=rows_strategy, rule=st.sampled_from(["last", "first", "sum"]), timed=st.booleans())
def test_duplicates(rows, rule, timed):
    groups: dict = {}
    for place, (u, i, t, v) in enumerate(rows):
        groups.setdefault((u, i), []).append(((t if timed else 0), place, v))
    expected = []
    for (u, i), group in groups.items():
        group.sort()
        chosen = group[0] if rule == "first" else group[-1]
        value = sum(v for _, _, v in group) if rule == "sum" else chosen[2]
        expected.append((chosen[1], (u, i, value)))
    got = drop_duplicates(table_of(rows, timed), rule)
    assert triples(got) == [row for _, row in sorted(expected)]


@settings(max_examples=100, deadline=None)
@given(rows=rows_strategy, users=st.integers(0, 4), items=st.integers(0, 4))
def test_the_k_core_equals_dropping_one_at_a_time(rows, users, items):
    left = list({(u, i): (u, i, t, v) for u, i, t, v in rows}.values())
    while True:
        per_user, per_item = Counter(r[0] for r in left), Counter(r[1] for r in left)
        drop = next((r for r in left if per_user[r[0]] < users or per_item[r[1]] < items), None)
        if drop is None:
            break
        left.remove(drop)
    start = table_of(list({(u, i): (u, i, t, v) for u, i, t, v in rows}.values()))
    got = k_core(start, users, items)
    assert sorted(triples(got)) == sorted((u, i, v) for u, i, _, v in left)
    again = k_core(got, users, items)
    assert triples(again) == triples(got)


def test_one_pass_counts_are_not_a_core():
    rows = [(0, 0, 0, 1.0), (0, 1, 0, 1.0), (1, 1, 0, 1.0)]
    once, _ = prepare(table_of(rows), Protocol(min_user_count=2, min_item_count=2))
    assert triples(once) == [(0, 0, 1.0)]
    with pytest.raises(UserError, match="leaves no interactions"):
        prepare(table_of(rows), Protocol(k_core=2))


def test_every_step_is_counted_and_renumbered():
    rows = [(u, i, u + i, 1.0 + (u + i) % 4) for u in range(6) for i in range(6)] + [(0, 0, 99, 4.0)]
    table, facts = prepare(table_of(rows), Protocol(min_rating=2, k_core=(3, 2), sample_users=4, min_user_count=2))
    assert facts["rows_read"] == 37
    assert facts["duplicates_dropped"] == 1
    dropped = [v for k, v in facts.items() if k != "rows_read"]
    assert facts["rows_read"] - sum(dropped) == len(table)
    assert len(table.user_ids) == 4
    assert set(np.unique(table.users)) == set(range(4))
    assert table.values.min() >= 2


def test_a_threshold_judges_the_last_rating():
    table, _ = prepare(table_of([(0, 0, 1, 4.0), (0, 0, 2, 1.0), (0, 1, 1, 4.0)]), Protocol(min_rating=4))
    assert triples(table) == [(0, 0, 4.0)]  # item 1, renumbered: the user changed its mind about item 0


def test_sampled_users_depend_on_the_seed_only():
    rows = [(u, i, 0, 1.0) for u in range(6) for i in range(3)]
    chosen = [set(prepare(table_of(rows), Protocol(sample_users=3, split_seed=s))[0].user_ids) for s in (0, 0, 1, 2, 3)]
    assert chosen[0] == chosen[1]
    assert len({frozenset(c) for c in chosen}) > 1
    with pytest.raises(UserError, match="only 6 users"):
        prepare(table_of(rows), Protocol(sample_users=7))
    with pytest.raises(UserError, match="needs ratings"):
        prepare(Table(*(np.zeros(1, np.int32),) * 2, np.arange(1), np.arange(1)), Protocol(min_rating=3))


def test_random_keys_are_a_fixed_function():
    """Constants: a changed key would silently change every random split ever published."""
    keys = random_keys(1, "split", np.array([0, 1, 2], np.int32), np.array([5, 6, 7], np.int32))
    assert [int(k) for k in keys] == KEYS
    uniform = random_keys(0, "x", np.arange(100_000)) / 2.0**64
    assert abs(uniform.mean() - 0.5) < 0.005
    assert abs(np.corrcoef(uniform[:-1], uniform[1:])[0, 1]) < 0.02


KEYS = [10525512715643668036, 12622158748154410183, 2683204201736323138]
