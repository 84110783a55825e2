"""Every split is a partition, reproducible, and keeps what it promises about time; leakage equals brute force."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets import Protocol, load
from datasets.candidates import candidate_lists
from datasets.errors import UserError
from datasets.prepare import prepare
from datasets.split import assign, leakage
from datasets.table import FOLD_IN, TEST, TRAIN, VALID, Table

SPLITS = [
    "leave-last-one-out",
    "leave-random-one-out",
    "ratio",
    "ratio:order=time,test=0.3,valid=0.2",
    "ratio:test=0.5,valid=0",
    "global-time",
    "global-time:cold=keep,test=0.3,valid=0.3",
    "ratio:rounding=down",
    "global-time:target=first,test=0.3,valid=0.2",
    "global-time:target=last,test=0.3,valid=0.2",
    "global-time:target=random,test=0.3,valid=0.2",
]


def table_from(rows) -> Table:
    users, items, times = (np.array(column) for column in zip(*rows, strict=True))
    user_ids, users = np.unique(users, return_inverse=True)
    item_ids, items = np.unique(items, return_inverse=True)
    return Table(users.astype(np.int32), items.astype(np.int32), user_ids, item_ids, times.astype(np.int64))


def random_table(seed: int, n: int = 600, users: int = 25, items: int = 40, times: int = 50) -> Table:
    rng = np.random.default_rng(seed)
    rows = {(int(u), int(i)) for u, i in zip(rng.integers(0, users, n), rng.integers(0, items, n), strict=True)}
    return table_from([(u, i, int(rng.integers(0, times))) for u, i in rows])


rows_strategy = st.dictionaries(
    st.tuples(st.integers(0, 6), st.integers(0, 8)), st.integers(0, 12), min_size=4, max_size=45
).map(lambda d: [(u, i, t) for (u, i), t in d.items()])


@pytest.mark.parametrize("split", SPLITS)
@settings(max_examples=60, deadline=None)
@given(rows=rows_strategy, seed=st.integers(0, 3))
def test_a_split_is_a_partition_that_leaves_every_user_something_to_train_on(split, rows, seed):
    table = table_from(rows)
    try:
        part, facts = assign(table, Protocol(split, split_seed=seed))
    except UserError:
        return
    dropped = facts.get("held_out_rows_of_users_without_training", 0)
    dropped += facts.get("held_out_rows_that_are_no_target", 0)
    assert (part == -1).sum() == dropped
    assert set(np.unique(part)) <= {-1, TRAIN, VALID, TEST}
    if not split.startswith("global-time"):
        assert set(table.users[part == TRAIN]) == set(table.users)
    if split.startswith("leave"):
        for user in range(len(table.user_ids)):
            own = part[table.users == user]
            assert (own == TEST).sum() == (own == VALID).sum() == (len(own) >= 3)
    if split == "global-time:cold=keep,test=0.3,valid=0.3":
        assert (part != -1).all()
    else:
        trained = set(table.users[part == TRAIN])
        assert set(table.users[part == TEST]) <= trained


@settings(max_examples=60, deadline=None)
@given(rows=rows_strategy)
def test_later_parts_are_later_where_that_is_promised(rows):
    table = table_from(rows)
    for split, strictly, per_user in (
        ("global-time:test=0.3,valid=0.3,cold=keep", True, False),
        ("leave-last-one-out", False, True),
        ("ratio:order=time,test=0.3,valid=0.3", False, True),
    ):
        try:
            part, _ = assign(table, Protocol(split))
        except UserError:
            continue
        for user in range(len(table.user_ids)) if per_user else [None]:
            mine = np.ones(len(table), bool) if user is None else table.users == user
            for early, late in ((TRAIN, VALID), (VALID, TEST), (TRAIN, TEST)):
                before, after = table.times[mine & (part == early)], table.times[mine & (part == late)]
                if len(before) and len(after):
                    assert before.max() < after.min() if strictly else before.max() <= after.min()
        if strictly:
            assert leakage(table, part)["test_rows_with_later_training"] == 0


@settings(max_examples=60, deadline=None)
@given(rows=rows_strategy, seed=st.integers(0, 3))
def test_a_target_is_one_row_of_each_user_and_part(rows, seed):
    table, shares = table_from(rows), "test=0.3,valid=0.2"
    try:
        everything, _ = assign(table, Protocol(f"global-time:{shares}", split_seed=seed))
    except UserError:
        return
    for target, wanted in (("first", min), ("last", max), ("random", None)):
        part, facts = assign(table, Protocol(f"global-time:{shares},target={target}", split_seed=seed))
        kept = part != -1
        assert (part[kept] == everything[kept]).all()
        assert facts["held_out_rows_that_are_no_target"] == (part != everything).sum()
        for held in (VALID, TEST):
            for user in set(table.users[everything == held]):
                mine = table.users == user
                (chosen,) = table.times[mine & (part == held)]
                if wanted is not None:
                    assert chosen == wanted(table.times[mine & (everything == held)])
        assert (part == TRAIN).sum() == (everything == TRAIN).sum()


@pytest.mark.parametrize("split", ["leave-random-one-out", "ratio", "ratio:order=time", "global-time:target=random"])
def test_a_split_depends_on_the_pairs_not_on_their_order(split):
    table = random_table(0, times=10**9)
    shuffled = table.take(np.random.default_rng(1).permutation(len(table)))

    def held_out(t):
        part, _ = assign(t, Protocol(split, split_seed=7))
        return {(u, i) for u, i in zip(t.users[part == TEST], t.items[part == TEST], strict=True)}

    assert held_out(table) == held_out(shuffled)
    other, _ = assign(table, Protocol(split, split_seed=8))
    same, _ = assign(table, Protocol(split, split_seed=7))
    assert np.array_equal(other, same) == ("order=time" in split)


def test_random_splits_are_uniform_over_a_users_items():
    table = table_from([(u, i, 0) for u in range(4000) for i in range(5)])
    part, _ = assign(table, Protocol("leave-random-one-out", split_seed=3))
    counts = np.bincount(table.items[part == TEST], minlength=5)
    assert np.abs(counts - 800).max() < 5 * np.sqrt(800 * 0.8)


@pytest.mark.parametrize("n", range(1, 12))
def test_the_shares_of_a_ratio_split_are_rounded_half_up(n):
    table = table_from([(0, i, i) for i in range(n)] + [(1, i, i) for i in range(10)])
    part, _ = assign(table, Protocol("ratio:test=0.25,valid=0.25,order=time"))
    own = part[table.users == 0]
    expected = int(n * 0.25 + 0.5)
    assert (own == TEST).sum() == min(expected, n - 1)
    assert (own == VALID).sum() == min(expected, n - 1 - (own == TEST).sum())
    assert own[-1] == (TEST if expected and n > 1 else TRAIN)


STRONG = ["strong", "strong:test=0.3,valid=0.3", "strong:fold_in=0.5,order=time", "strong:fold_in=0.01,valid=0"]


@pytest.mark.parametrize("split", STRONG)
@settings(max_examples=80, deadline=None)
@given(rows=rows_strategy, seed=st.integers(0, 3))
def test_users_of_a_strong_split_train_or_are_known_in_part(split, rows, seed):
    """No held-out user is trained on, all that is held out is in one part, and something is known of each."""
    table = table_from(rows)
    try:
        part, _ = assign(table, Protocol(split, split_seed=seed))
    except UserError as error:
        assert "leaves n" in str(error)  # noqa: PT017
        return
    assert set(np.unique(part)) <= {TRAIN, VALID, TEST, FOLD_IN}
    parts = [set(part[table.users == user]) for user in range(len(table.user_ids))]
    assert all(mine in ({TRAIN}, {FOLD_IN, VALID}, {FOLD_IN, TEST}) for mine in parts)
    options = Protocol(split).split_options
    n_test, n_valid = (int(len(parts) * options[name] + 0.5) for name in ("test", "valid"))
    able = sum((table.users == user).sum() > 1 for user in range(len(parts)))
    assert sum(TEST in mine for mine in parts) == min(able, n_test)
    assert sum(VALID in mine for mine in parts) == min(max(0, able - n_test), n_valid)
    for user, mine in enumerate(parts):
        own, times = part[table.users == user], table.times[table.users == user]
        if mine == {TRAIN}:
            continue
        wanted = np.floor(len(own) * options["fold_in"] + 0.5)
        assert (own == FOLD_IN).sum() == min(max(1, wanted), len(own) - 1)
        if options["order"] == "time":
            assert times[own == FOLD_IN].max() <= times[own != FOLD_IN].min()


def test_who_is_held_out_is_drawn_uniformly_and_by_the_seed_alone():
    table = table_from([(u, i, 0) for u in range(300) for i in range(2)])
    held_out = np.zeros(300)
    for seed in range(200):
        part, _ = assign(table, Protocol("strong:test=0.2,valid=0.1", split_seed=seed))
        held_out[np.unique(table.users[part == TEST])] += 1
    assert held_out.sum() == 200 * 60
    assert np.abs(held_out - 40).max() < 5 * np.sqrt(200 * 0.2 * 0.8)
    for other in ("strong:test=0.2,valid=0", "strong:test=0.2,fold_in=0.5,order=time"):
        again, _ = assign(table, Protocol(other, split_seed=199))
        assert set(table.users[again == TEST]) == set(table.users[part == TEST])


def test_a_strong_split_is_loaded_with_what_is_folded_in(ratings_csv):
    split = load(str(ratings_csv), Protocol("strong:test=0.25,valid=0.1"))
    known = split.fold_in
    assert {len(np.unique(part.users)) for part in (split.test,)} == {10}
    assert set(known.users) == set(split.test.users) | set(split.valid.users)
    assert not set(known.users) & set(split.train.users)
    assert len(split.train) + len(split.valid) + len(split.test) + len(known) == 480
    assert (len(split.test), len(split.valid), len(known)) == (20, 8, 140)  # 12 interactions each: 9.6 are 10
    assert split.facts["users_trained_on"] == 26
    assert split.facts["folded_in"] == 140
    assert not [warning for warning in split.warnings if "no test item" in warning]
    assert load(str(ratings_csv)).fold_in is None


def test_leakage_equals_brute_force():
    table = random_table(2)
    part, _ = assign(table, Protocol())
    facts = leakage(table, part)
    train, test = table.times[part == TRAIN], np.flatnonzero(part == TEST)
    later = [(train > table.times[row]).sum() for row in test]
    assert facts["test_rows_with_later_training"] == sum(count > 0 for count in later)
    assert facts["share_of_training_later"] == pytest.approx(np.mean(later) / len(train))
    born = 0
    for row in test:
        own = table.times[(part == TRAIN) & (table.items == table.items[row])]
        born += bool(len(own)) and own.min() > table.times[row]
    assert facts["test_rows_before_items_training"] == born


def test_reproducible_across_processes(tmp_path):
    """The same bytes whatever the hash seed and the thread count; golden digests hold across platforms."""
    path = tmp_path / "a.csv"
    path.write_text(
        "user,item,time\n" + "".join(f"{u},{i},{(u * 7 + i * 13) % 31}\n" for u in range(30) for i in range(9))
    )
    code = (
        "import sys, json; from datasets import load, Protocol;"
        "splits = json.loads(sys.argv[2]);"
        "print(json.dumps([load(sys.argv[1], Protocol(s, split_seed=5)).test.sha256() for s in splits]))"
    )
    found = set()
    for seed in ("0", "1"):
        env = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "OMP_NUM_THREADS": str(int(seed) + 1),
            "BENCH_DATA": str(tmp_path / seed),
        }
        done = subprocess.run(
            [sys.executable, "-c", code, str(path), json.dumps(SPLITS[: len(GOLDEN)])],
            capture_output=True, text=True, env=env, check=True, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        found.add(done.stdout)
    assert len(found) == 1
    assert [digest[:12] for digest in json.loads(found.pop())] == GOLDEN


GOLDEN = [
    "8244c43634ee",
    "332aa9a0d332",
    "e06647e4ca1a",
    "5c13cc7689fa",
    "b191d6b84541",
    "3f8ce5ab298b",
    "79799c72bea4",
]


def ready(tmp_path, train, test, valid=None, candidates=None):
    folder = tmp_path / "ready"
    folder.mkdir()
    for name, rows in (("train", train), ("valid", valid), ("test", test), ("candidates", candidates)):
        if rows is not None:
            header = "user,item,timestamp" if len(rows[0]) == 3 else "user,item"
            (folder / f"{name}.csv").write_text(header + "\n" + "".join(",".join(map(str, r)) + "\n" for r in rows))
    return str(folder)


def pairs(split, part):
    return {(split.user_ids[u], split.item_ids[i]) for u, i in zip(part.users, part.items, strict=True)}


def test_validation_is_carved_from_train_only(tmp_path):
    train = [(u, i, 10 * i) for u in range(5) for i in range(10)]
    test = [(u, 20, 500) for u in range(5)]
    path = ready(tmp_path, train, test)
    last = load(path)
    assert pairs(last, last.valid) == {(u, 9) for u in range(5)}
    assert pairs(last, last.test) == {(u, 20) for u in range(5)}
    share = load(path, Protocol("given:valid=0.3"))
    assert len(share.valid) == 15
    assert share.facts["validation_carved_from_train"] == 15
    assert pairs(share, share.train) | pairs(share, share.valid) == {(u, i) for u, i, _ in train}


def test_without_times_validation_is_a_random_tenth(tmp_path):
    path = ready(tmp_path, [(u, i) for u in range(30) for i in range(20)], [(u, 20) for u in range(30)])
    split = load(path)
    assert len(split.valid) == 60
    assert {i for _, i in pairs(split, split.valid)} > {18, 3}  # not the last ones of the file


def test_overlap_of_train_and_test_is_left_out_of_test_and_said(tmp_path):
    path = ready(tmp_path, [(0, 1), (0, 2), (0, 2), (1, 1)], [(0, 1), (0, 3), (1, 2)], valid=[(0, 4), (0, 3)])
    split = load(path)
    assert pairs(split, split.test) == {(1, 2)}
    assert pairs(split, split.valid) == {(0, 4), (0, 3)}
    assert split.facts["held_out_pairs_also_trained_on"] == 2
    assert split.facts["duplicates_dropped"] == 1
    assert "also in its train part" in split.warnings[0]


def test_a_given_split_is_not_prepared_or_split_again(tmp_path):
    path = ready(tmp_path, [(0, 1), (0, 2)], [(0, 3)])
    with pytest.raises(UserError, match="comes with its own split"):
        load(path, Protocol("ratio"))
    with pytest.raises(UserError, match="leave k_core"):
        load(path, Protocol(k_core=2))
    (tmp_path / "flat.csv").write_text("user,item\n1,2\n")
    with pytest.raises(UserError, match="no ready split"):
        load(str(tmp_path / "flat.csv"), Protocol("given"))
    with pytest.raises(UserError, match="needs times"):
        load(str(tmp_path / "flat.csv"), Protocol("global-time"))


def test_given_candidates_lose_the_users_own_test_item(tmp_path):
    train, test = [(0, 1), (0, 2), (1, 1), (1, 3)], [(0, 3), (1, 2)]
    path = ready(tmp_path, train, test, candidates=[(0, 3), (0, 4), (0, 5), (1, 5), (2, 4)])
    split = load(path, Protocol(candidates="given"))
    lists = split.candidates
    got = {
        split.user_ids[u]: split.item_ids[lists.items[lists.offsets[u] : lists.offsets[u + 1]]].tolist()
        for u in range(len(split.user_ids))
    }
    assert got == {0: [4, 5], 1: [5], 2: []}
    assert split.facts["users_with_own_test_item_among_candidates"] == 1
    assert any("Krichene" in warning for warning in split.warnings)
    assert load(path).candidates is None


@pytest.mark.parametrize("number", [1, 5, 12])
def test_sampled_candidates_are_unseen_distinct_and_uniform(number):
    table = random_table(3, n=300)
    prepared, _ = prepare(table, Protocol())
    part, _ = assign(prepared, Protocol())
    lists = candidate_lists(prepared, part, Protocol(candidates=f"sampled:{number}"), {})
    drawn = np.zeros(len(prepared.item_ids))
    for user in range(len(prepared.user_ids)):
        own = lists.items[lists.offsets[user] : lists.offsets[user + 1]]
        assert len(own) == (number if (part[prepared.users == user] == TEST).any() else 0)
        assert len(set(own)) == len(own)
        assert not set(own) & set(prepared.items[prepared.users == user])
        drawn[own] += 1
    again = candidate_lists(prepared, part, Protocol(candidates=f"sampled:{number}"), {})
    assert np.array_equal(again.items, lists.items)
    with pytest.raises(UserError, match="has not seen"):
        candidate_lists(prepared, part, Protocol(candidates="sampled:40"), {})


def test_sampled_candidates_are_uniform():
    table = table_from([(u, i, i) for u in range(3000) for i in range(3)] + [(3000 + i, i, 0) for i in range(3, 23)])
    part, _ = assign(table, Protocol())
    lists = candidate_lists(table, part, Protocol(candidates="sampled:4"), {})
    counts = np.bincount(lists.items, minlength=23)
    assert not counts[:3].any()
    expected = 3000 * 4 / 20
    assert np.abs(counts[3:] - expected).max() < 5 * np.sqrt(expected)
