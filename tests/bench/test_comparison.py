import json
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from bench.comparison.compare import by_group, compare
from bench.comparison.nouns import Context, Row
from bench.statistics.crossed import crossed
from bench.statistics.moments import moments
from bench.statistics.named import TESTS
from bench.tables.caption import caption
from datasets.errors import UserError

CONTEXT = Context("toy", {"split": "leave-last-out"}, {"sha256": "ab" * 32, "verified": True, "source": "file"})


def row(name, shift=0.0, *, seeds=(0, 1, 2, 3, 4), n=60, seed=None, **changes):
    rng = np.random.default_rng(sum(map(ord, name)) if seed is None else seed)
    base = np.random.default_rng(99).random(n)
    ndcg = base + shift + 0.1 * rng.random((len(seeds), n))
    sampler, _, loss = name.partition("+")
    made = Row(
        name=name,
        sampler=sampler,
        loss=loss or "bpr",
        model="mf",
        seeds=tuple(seeds),
        users=np.arange(n) * 3,
        metrics={"ndcg@10": ndcg, "hr@10": (ndcg > 0.5).astype(float)},
        diagnostics={"coverage": 0.5},
        train_seconds=1.5,
        epochs=12.0,
        runs=tuple(f"{name}-{s}" for s in seeds),
    )
    return replace(made, **changes)


def rows(**given):
    return [row("a", seed=1, **given), row("b", 0.2, seed=2, **given), row("c", 0.005, seed=3, **given)]


def test_a_metric_that_did_not_choose_the_epochs_is_said_with_the_setting_that_would():
    cells = [
        row(name, seed=seed, settings={"trainer": {"select_on": chosen} if chosen else {}})
        for seed, (name, chosen) in enumerate([("a", "ndcg@10"), ("b", "recall@5"), ("c", "ndcg@10"), ("toppop", None)])
    ]
    said = "Epochs were chosen by ndcg@10 and recall@5 on validation; --set select_on=hr@10 changes that."
    assert said in compare(cells, context=CONTEXT, metric="hr@10").warnings
    told = compare(cells[::2], context=CONTEXT, metric="ndcg@10").warnings
    assert not [warning for warning in told if "select_on" in warning]


def test_json_is_the_contract():
    d = compare(rows(), context=CONTEXT).as_dict()
    top = "dataset protocol metric seeds users test correction alpha alternative baseline data rows pairs"
    last = "skipped failed warnings facts command version commit manifest digest"
    assert list(d) == [*top.split(), *last.split()]
    assert list(d["data"]) == ["sha256", "verified", "source"]
    keys = "name sampler loss model metrics diagnostics train_seconds epochs peak_bytes runs results settings letters"
    assert all(list(r) == keys.split() for r in d["rows"])
    assert list(d["rows"][0]["metrics"]) == ["hr@10", "ndcg@10"]
    assert list(d["rows"][0]["metrics"]["hr@10"]) == ["mean", "ci", "std_seeds"]
    keys = "a b metric difference ci ci_family p p_adjusted effect_size"
    keys += " users_a_better users_b_better users_tied equal_by_identity"
    assert all(list(p) == keys.split() for p in d["pairs"])
    assert [(p["a"], p["b"], p["metric"]) for p in d["pairs"]] == [
        (a, b, m) for m in ("hr@10", "ndcg@10") for a, b in (("a", "b"), ("a", "c"), ("b", "c"))
    ]
    assert d["seeds"] == [0, 1, 2, 3, 4]
    assert d["users"] == 60
    assert json.loads(json.dumps(d, allow_nan=False)) == d


def test_every_number_is_what_the_arrays_say():
    given = rows()
    c = compare(given, context=CONTEXT)
    p = []
    for pair in c.pairs[3:]:
        a, b = (next(r for r in given if r.name == n).metrics["ndcg@10"] for n in (pair.a, pair.b))
        d = a - b
        np.testing.assert_allclose(pair.difference, d.mean(), rtol=1e-10)
        s, n = d.shape
        rest = ((d - d.mean(0) - d.mean(1)[:, None] + d.mean()) ** 2).sum() / ((s - 1) * (n - 1))
        single = d.mean(0).var(ddof=1) + d.mean(1).var(ddof=1) + rest * (1 - 1 / s - 1 / n)
        np.testing.assert_allclose(pair.effect_size, d.mean() / single**0.5, rtol=1e-10)
        wins = (d.mean(0) > 1e-12).sum(), (d.mean(0) < -1e-12).sum()
        assert (pair.users_a_better, pair.users_b_better) == wins
        assert pair.users_tied == 60 - sum(wins)
        p.append(pair.p)
    adjusted = [pair.p_adjusted for pair in c.pairs[3:]]
    np.testing.assert_allclose(adjusted, multipletests(p, method="holm")[1], rtol=1e-10)
    value, x = c.values[0]["ndcg@10"], given[0].metrics["ndcg@10"]
    np.testing.assert_allclose(value.mean, x.mean(), rtol=1e-12)
    np.testing.assert_allclose(value.std_seeds, x.mean(1).std(ddof=1), rtol=1e-10)
    assert (value.lo, value.hi) == (crossed(moments(x)).lo, crossed(moments(x)).hi)


@pytest.mark.parametrize(("baseline", "pairs"), [(None, 3), ("a", 2)])
def test_intervals_of_a_family_are_bonferroni_over_its_pairs(baseline, pairs):
    given = {r.name: r for r in rows()}
    c = compare(list(given.values()), context=CONTEXT, test="t", baseline=baseline)
    family = [pair for pair in c.pairs if pair.metric == "ndcg@10"]
    assert len(family) == pairs
    for pair in family:
        d = (given[pair.a].metrics["ndcg@10"] - given[pair.b].metrics["ndcg@10"]).mean(0)
        expected = stats.ttest_1samp(d, 0).confidence_interval(1 - 0.05 / pairs)
        np.testing.assert_allclose((pair.lo_family, pair.hi_family), expected, rtol=1e-9)
        assert pair.as_dict()["ci_family"] == [pair.lo_family, pair.hi_family]
    lone = compare(list(given.values())[:2], context=CONTEXT).pairs[0]
    assert (lone.lo_family, lone.hi_family) == (lone.lo, lone.hi)
    ranks = compare(list(given.values()), context=CONTEXT, test="wilcoxon").pairs[0]
    assert (ranks.lo_family, ranks.hi_family) == (None, None)


def test_users_are_paired_by_id_not_by_position():
    """Two evaluation libraries paired vectors by position; a shuffled row must give the same p values."""
    given = rows()
    shuffled = np.random.default_rng(0).permutation(60)
    mixed = replace(
        given[1],
        users=given[1].users[shuffled],
        metrics={k: v[:, shuffled] for k, v in given[1].metrics.items()},
    )
    straight = compare(given, context=CONTEXT).as_dict()
    assert compare([given[0], mixed, given[2]], context=CONTEXT).as_dict() == straight


def test_seeds_are_paired_by_number():
    given = rows()[:2]
    back = replace(
        given[1],
        seeds=given[1].seeds[::-1],
        runs=given[1].runs[::-1],
        metrics={k: v[::-1] for k, v in given[1].metrics.items()},
    )
    straight, mixed = (compare([given[0], b], context=CONTEXT).pairs for b in (given[1], back))
    assert straight == mixed


def test_unequal_seeds_pair_on_the_shared_ones_and_say_so():
    a, b = row("a"), row("b", 0.1, seeds=(1, 2, 9))
    c = compare([a, b], context=CONTEXT)
    d = a.metrics["ndcg@10"][1:3] - b.metrics["ndcg@10"][:2]
    np.testing.assert_allclose(c.pairs[1].difference, d.mean(), rtol=1e-12)
    assert any("paired on the 2 seeds" in w for w in c.warnings)
    with pytest.raises(UserError, match="no seed in common"):
        compare([a, row("b", seeds=(7, 8))], context=CONTEXT)


def test_one_seed_is_the_users_t_test_with_a_warning():
    a, b = row("a", seeds=(0,)), row("b", 0.01, seeds=(0,))
    c = compare([a, b], context=CONTEXT)
    expected = stats.ttest_rel(a.metrics["ndcg@10"][0], b.metrics["ndcg@10"][0])
    np.testing.assert_allclose(c.pairs[1].p, expected.pvalue, rtol=1e-10)
    assert "One seed: training noise is not covered." in c.warnings
    assert c.values[0]["ndcg@10"].std_seeds is None


def test_a_baseline_replaces_all_pairs():
    c = compare(rows(), context=CONTEXT, baseline="b")
    assert [(p.a, p.b) for p in c.pairs] == [("a", "b"), ("c", "b")] * 2
    assert c.groups("ndcg@10") == ["", "", ""]
    assert c.differ("b", "a", "ndcg@10") is True
    assert c.differ("a", "c", "ndcg@10") is None


def test_letters_separate_what_differs():
    assert compare(rows(), context=CONTEXT).groups("ndcg@10") == ["b", "a", "b"]


def test_a_failed_row_is_shown_and_enters_no_pair():
    given = [*rows(), row("d", failed=("2 of 5 failed",))]
    c = compare(given, context=CONTEXT)
    assert {p.a for p in c.pairs} | {p.b for p in c.pairs} == {"a", "b", "c"}
    assert c.values[3]["ndcg@10"].lo is None
    assert c.as_dict()["rows"][3]["metrics"]["ndcg@10"]["mean"] is not None
    assert "d: 2 of 5 failed; it enters no pair." in c.warnings
    lost = row("e", seeds=(), metrics={}, failed=("5 of 5 failed",), users=np.array([], dtype=np.int64))
    d = compare([*rows(), lost], context=CONTEXT).as_dict()
    assert d["rows"][3]["metrics"]["hr@10"] == {"mean": None, "ci": [None, None], "std_seeds": None}
    assert compare([lost, *rows()], context=CONTEXT).users == 60
    with_lost_base = compare([*rows(), lost], context=CONTEXT, baseline="e")
    assert with_lost_base.pairs == ()
    assert any("no pair was tested" in w for w in with_lost_base.warnings)


def test_a_difference_that_does_not_vary_is_found_and_says_so():
    a = row("a")
    b = row("b", metrics={k: v + 0.25 for k, v in a.metrics.items()})
    same = row("c", metrics=a.metrics)
    c = compare([a, b, same], context=CONTEXT)
    ab, ac, _ = c.pairs[3:]
    assert (ab.p, ab.p_adjusted, ab.effect_size) == (0.0, 0.0, None)
    np.testing.assert_allclose((ab.lo, ab.hi), -0.25)
    assert c.groups("ndcg@10") == ["b", "a", "b"]
    assert (ac.p, ac.lo, ac.hi, ac.effect_size, ac.users_tied) == (1.0, 0.0, 0.0, 0.0, 60)
    assert "a − b in ndcg@10 has p = 0: the difference does not vary, so that its variance is 0." in c.warnings
    assert compare([a, same], context=CONTEXT, margin=0.01).pairs[1].p_equivalent == 0.0
    json.dumps(c.as_dict(), allow_nan=False)


def test_warnings_of_the_context_and_of_marks():
    given = rows()
    given[0] = replace(given[0], marks=("best epoch was the last",))
    context = replace(CONTEXT, data={"verified": False}, warnings=("something else",))
    said = compare(given, context=context).warnings
    assert said[0] == "something else"
    assert any("Unverified data" in w for w in said)
    assert "best epoch was the last: a." in said
    assert compare(given, context=context).as_dict()["data"] == {
        "sha256": None,
        "verified": False,
        "source": None,
    }


def test_equivalence_is_a_family_of_its_own():
    c = compare(rows(), context=CONTEXT, margin=0.05)
    ab, ac, _ = c.pairs[3:]
    assert ab.p_equivalent > 0.9
    assert ac.p_equivalent < 0.05
    p = [pair.equivalence.p for pair in c.pairs[3:]]
    np.testing.assert_allclose([x.p_equivalent for x in c.pairs[3:]], multipletests(p, method="holm")[1])
    d = c.as_dict()["pairs"][4]["equivalence"]
    assert list(d) == ["margin", "p", "below", "inside", "above", "p_adjusted"]
    json.dumps(c.as_dict(), allow_nan=False)
    assert "equivalence" not in compare(rows(), context=CONTEXT).as_dict()["pairs"][0]


def test_effects_of_a_pair_are_on_its_shared_seeds():
    a, b = row("a"), row("b", 0.1, seeds=(1, 2, 9))
    c = compare([a, b], context=CONTEXT)
    np.testing.assert_allclose(c.effects(c.pairs[1]).difference.value, c.pairs[1].difference, rtol=1e-12)


def test_groups_of_users_are_compared_apart():
    given = rows()
    whole = compare(given, context=CONTEXT, metric="hr@10")
    parts = by_group(whole, {"few": [0, 3, 6, 9], "many": range(30, 180, 3)})
    assert [c.users for c in parts.values()] == [4, 50]
    expected = given[0].metrics["ndcg@10"][:, :4].mean()
    np.testing.assert_allclose(parts["few"].values[0]["ndcg@10"].mean, expected, rtol=1e-12)
    assert parts["many"].metric == "hr@10"
    with pytest.raises(UserError, match="'none' has no test user"):
        by_group(whole, {"none": [1, 2]})


@pytest.mark.parametrize("test", TESTS)
def test_every_test_makes_a_table(test):
    c = compare(rows(seeds=range(11)), context=CONTEXT, test=test, correction="bh")
    assert all(0 <= p.p <= p.p_adjusted <= 1 for p in c.pairs)
    assert all((p.lo is None) == (test in ("wilcoxon", "permutation")) for p in c.pairs)
    json.dumps(c.as_dict(), allow_nan=False)


SCIPY_ONE_SIDED = {
    "t": lambda d, side: stats.ttest_1samp(d.mean(0), 0, alternative=side),
    "seeds-t": lambda d, side: stats.ttest_1samp(d.mean(1), 0, alternative=side),
    "wilcoxon": lambda d, side: stats.wilcoxon(d.mean(0), alternative=side),
}


@pytest.mark.parametrize("side", ["greater", "less"])
@pytest.mark.parametrize("test", SCIPY_ONE_SIDED)
def test_one_sided_pairs_equal_scipy_in_the_direction_stated(test, side):
    """`greater` asks whether a > b: the first named row of all pairs, the row beside its baseline."""
    given = {r.name: r for r in rows()}
    for baseline, names in ((None, ("a", "b")), ("a", ("b", "a"))):
        c = compare(rows(), context=CONTEXT, test=test, alternative=side, baseline=baseline, correction="none")
        pair = next(p for p in c.pairs if p.metric == "ndcg@10" and {p.a, p.b} == {"a", "b"})
        assert (pair.a, pair.b) == names
        d = given[pair.a].metrics["ndcg@10"] - given[pair.b].metrics["ndcg@10"]
        np.testing.assert_allclose(pair.p, SCIPY_ONE_SIDED[test](d, side).pvalue, rtol=1e-10)
        assert c.as_dict()["alternative"] == side


@pytest.mark.parametrize("test", TESTS)
def test_every_test_has_sides_and_a_two_sided_interval(test):
    sides = ("two-sided", "greater", "less")
    given = rows(seeds=range(11))
    both, greater, less = (compare(given, context=CONTEXT, test=test, alternative=side).pairs[3] for side in sides)
    assert (both.lo, both.hi) == (greater.lo, greater.hi) == (less.lo, less.hi)
    assert less.p < 0.05 < 0.95 < greater.p  # a is 0.2 below b
    if "bootstrap" not in test and test != "permutation":
        np.testing.assert_allclose(both.p, 2 * less.p, rtol=1e-10)


def test_a_one_sided_table_has_no_letters_and_does_not_say_what_it_did_not_test():
    c = compare(rows(), context=CONTEXT, alternative="greater")
    assert c.groups("ndcg@10") == ["", "", ""]
    assert c.differ("a", "b", "ndcg@10") is None


def _shukla(given):
    x = np.array([one.metrics["ndcg@10"].mean(1) for one in given])
    e = x - x.mean(1, keepdims=True) - x.mean(0) + x.mean()
    k = len(x)
    return k * (k - 1) * (e**2).sum(1) - (e**2).sum()


def test_crossed_pooled_takes_the_seeds_variance_from_all_rows():
    """Shukla's variances and the test written out: Welch over seeds, the crossed sum with it, and users."""
    given = [row(name, 0.02 * i, seed=i) for i, name in enumerate("abcde")]
    for i, one in enumerate(given):
        moved = np.random.default_rng(9).normal(0, 0.05, (5, 1)) + np.random.default_rng(i).normal(0, 0.01, (5, 1))
        one.metrics["ndcg@10"] += moved + np.random.default_rng(50 + i).normal(0, 0.05, 60)
    c = compare(given, context=CONTEXT, test="crossed-pooled", metrics=("ndcg@10",))
    x = np.array([one.metrics["ndcg@10"].mean(1) for one in given])
    e = x - x.mean(1, keepdims=True) - x.mean(0) + x.mean()
    v = (5 * 4 * (e**2).sum(1) - (e**2).sum()) / (4 * 4 * 3)
    pair = c.pairs[0]
    d = given[0].metrics["ndcg@10"] - given[1].metrics["ndcg@10"]
    m, noise = moments(d), v[0] + v[1]
    df = noise**2 / (v[0] ** 2 + v[1] ** 2) * 4 * 2 / ((10**2 + 18**2 + 8) / 12**2)
    p = [2 * stats.t.sf(abs(m.mean) / np.sqrt(noise / 5), df), stats.ttest_1samp(d.mean(0), 0).pvalue]
    both = m.ms_users + 60 * noise - m.ms_error
    whole = both**2 / (m.ms_users**2 / 59 + (60 * noise) ** 2 / df + m.ms_error**2 / (59 * 4))
    p.append(2 * stats.t.sf(abs(m.mean) / np.sqrt(both / 300), whole))
    assert both > max(m.ms_users, 60 * noise)
    np.testing.assert_allclose(pair.p, max(p), rtol=1e-9)
    assert any("depends on the other rows" in w for w in c.warnings)
    for few in (given[:4], rows(seeds=(0, 1, 2, 3))):
        pooled, plain = (compare(few, context=CONTEXT, test=test) for test in ("crossed-pooled", "crossed"))
        assert [x.p for x in pooled.pairs] == [x.p for x in plain.pairs]
        assert any("fewer than 5 rows that share 5 seeds" in w for w in pooled.warnings)
    still = replace(
        given[0], name="f", runs=tuple("fghij"), metrics={k: v * 0 + 0.5 for k, v in given[0].metrics.items()}
    )
    said = compare([*given, still], context=CONTEXT, test="crossed-pooled").warnings
    assert v.min() > 0
    assert any("a stability variance is not above 0" in w for w in said) == (_shukla([*given, still]).min() <= 0)


def test_a_hundred_thousand_users_ten_seeds_and_66_pairs_take_about_a_second():
    rng = np.random.default_rng(0)
    users = np.arange(100_000)
    given = []
    for i in range(12):
        values = rng.random((10, len(users)))
        name = f"r{i}"
        runs = tuple(f"{name}-{s}" for s in range(10))
        given.append(Row(name, "s", "l", "m", tuple(range(10)), users, {"ndcg@10": values}, {}, 1, 1, runs))
    start = time.perf_counter()
    c = compare(given, metrics=("ndcg@10",), context=CONTEXT)
    assert len(c.pairs) == 66
    assert time.perf_counter() - start < 5


def test_rows_that_are_equal_by_identity_enter_no_family():
    """Four rows, of which two are one: five pairs in the family, and Holm over those five alone."""
    given = [row("a", canonical="x"), row("b", 0.2, canonical="y"), row("c", 0.005, canonical="x"), row("d", 0.004)]
    c = compare(given, context=CONTEXT)
    pairs = [p for p in c.pairs if p.metric == "ndcg@10"]
    assert [(p.a, p.b) for p in pairs if p.equal_by_identity] == [("a", "c")]
    same = next(p for p in pairs if p.equal_by_identity)
    assert (same.p, same.p_adjusted, same.lo, same.lo_family) == (None, None, None, None)
    tested = [p for p in pairs if not p.equal_by_identity]
    expected = multipletests([p.p for p in tested], method="holm")[1]
    np.testing.assert_allclose([p.p_adjusted for p in tested], expected, rtol=1e-10)
    assert c.differ("a", "c", "ndcg@10") is False
    marks = c.groups("ndcg@10")
    assert set(marks[0].split(",")) & set(marks[2].split(","))
    said = "Equal by identity, the same training under 2 names, in no family: a, c."
    assert said in c.warnings
    assert "holm over the 5 pairs of each metric" in caption(c)
    assert compare(given, context=CONTEXT, baseline="a").pairs[-1].equal_by_identity
