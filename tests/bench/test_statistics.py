import re
import subprocess
import sys
from collections import Counter
from itertools import product
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.multitest import multipletests

from bench.pages.simulate import (
    SEED_SHARES,
    SEEDS,
    SPREADS,
    TABLES,
    USER_SHARES,
    USERS,
    binary_squares,
    main,
    p_values,
    pooled_p,
)
from bench.statistics.corrections import CORRECTIONS, adjust
from bench.statistics.crossed import crossed, crossed_tests, seeds_t, users_t
from bench.statistics.draws import Corner, normal_rows, normal_squares, normal_tables, squares_of
from bench.statistics.expected import LEAST_SEEDS, expected_level
from bench.statistics.letters import letters
from bench.statistics.moments import moments
from bench.statistics.named import TESTS, run_test, wilcoxon
from bench.statistics.pooled import stability_variances
from datasets.errors import UserError

ROOT = Path(__file__).parents[2]
CLOSE = {"rtol": 1e-10, "atol": 1e-14}


def table(seeds=5, users=40, shift=0.1, seed=0):
    rng = np.random.default_rng(seed)
    effects = rng.normal(0, 0.3, (seeds, 1)) + rng.normal(0, 0.5, (1, users))
    return shift + effects + rng.normal(0, 1, (seeds, users))


def test_mean_squares_equal_statsmodels_anova():
    import pandas as pd

    d = table()
    seeds, users = d.shape
    frame = pd.DataFrame(
        {"d": d.ravel(), "s": np.repeat(np.arange(seeds), users), "u": np.tile(np.arange(users), seeds)}
    )
    anova = anova_lm(ols("d ~ C(s) + C(u)", frame).fit())
    m = moments(d)
    np.testing.assert_allclose([m.ms_seeds, m.ms_users, m.ms_error], anova["sum_sq"] / anova["df"], rtol=1e-10)
    np.testing.assert_allclose(m.sd_users, d.mean(0).std(ddof=1), **CLOSE)
    np.testing.assert_allclose(m.sd_seeds, d.mean(1).std(ddof=1), **CLOSE)


def test_moments_of_a_difference_do_not_depend_on_chunks(monkeypatch):
    a, b = table(seed=1, users=1000), table(seed=2, users=1000)
    whole = moments(a - b)
    monkeypatch.setattr("bench.statistics.moments._CHUNK", 7)
    parts = moments(a, b)
    np.testing.assert_allclose(
        [parts.mean, parts.ms_users, parts.ms_seeds, parts.ms_error],
        [whole.mean, whole.ms_users, whole.ms_seeds, whole.ms_error],
        rtol=1e-11,
    )
    assert (parts.positive, parts.negative) == (whole.positive, whole.negative)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_one_way_tests_equal_scipy(alternative):
    d = table()
    for test, values in ((users_t, d.mean(0)), (seeds_t, d.mean(1))):
        ours = test(moments(d), alternative=alternative)
        theirs = stats.ttest_1samp(values, 0, alternative=alternative)
        np.testing.assert_allclose(ours.p, theirs.pvalue, **CLOSE)
        interval = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        np.testing.assert_allclose((ours.lo, ours.hi), interval, **CLOSE)


def test_crossed_equals_the_formula_written_out():
    d = table(seeds=4, users=30, seed=3)
    s, u = d.shape
    g, mu, ms = d.mean(), d.mean(0), d.mean(1)
    MU, MS = s * ((mu - g) ** 2).sum() / (u - 1), u * ((ms - g) ** 2).sum() / (s - 1)
    ME = ((d - mu - ms[:, None] + g) ** 2).sum() / ((u - 1) * (s - 1))
    V = MU + MS - ME
    assert max(MU, MS) < V
    df = V**2 / (MU**2 / (u - 1) + MS**2 / (s - 1) + ME**2 / ((u - 1) * (s - 1)))
    p = 2 * stats.t.sf(abs(g) / np.sqrt(V / (s * u)), df)
    half = stats.t.ppf(0.975, df) * np.sqrt(V / (s * u))
    got = crossed_tests(g, MU, MS, ME, u, s)
    np.testing.assert_allclose(got["crossed"], (p, half), **CLOSE)
    outcome = crossed(moments(d))
    np.testing.assert_allclose(outcome.p, max(x for x, _ in got.values()), rtol=1e-9)
    np.testing.assert_allclose(outcome.hi - g, max(h for _, h in got.values()), rtol=1e-9)


def test_without_surplus_the_larger_mean_square_and_its_degrees_are_used():
    got = crossed_tests(0.1, [2.0, 1.0], [1.0, 2.0], [3.0, 3.0], 50, 4)
    expected = [
        2 * stats.t.sf(0.1 / np.sqrt(2 / 200), 49),
        2 * stats.t.sf(0.1 / np.sqrt(2 / 200), 3),
    ]
    np.testing.assert_allclose(got["crossed"][0], expected, **CLOSE)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 6), st.integers(2, 30), st.integers(0, 10**6), st.floats(-1, 1))
def test_crossed_is_never_bolder_than_its_parts_and_is_antisymmetric(seeds, users, seed, shift):
    d = table(seeds, users, shift, seed)
    m, back = moments(d), moments(-d)
    outcome = crossed(m)
    for part in (users_t(m), seeds_t(m)):
        assert outcome.p >= part.p - 1e-12
        assert outcome.lo <= part.lo + 1e-12
        assert outcome.hi >= part.hi - 1e-12
    np.testing.assert_allclose(crossed(back).p, outcome.p, rtol=1e-9)
    np.testing.assert_allclose(crossed(back).hi, -outcome.lo, rtol=1e-9)
    greater, less = crossed(m, alternative="greater").p, crossed(m, alternative="less").p
    np.testing.assert_allclose(2 * min(greater, less), outcome.p, rtol=1e-9)


def test_degenerate_tables():
    nothing = crossed(moments(np.zeros((3, 9))))
    assert (nothing.p, nothing.lo, nothing.hi) == (1.0, 0.0, 0.0)
    a = np.random.default_rng(0).random((3, 9))
    for constant in (moments(a + 0.1, a), moments(np.full((3, 9), 0.3)), moments(np.full((1, 9), 0.3))):
        stuck = crossed(constant)
        assert stuck.p == 0.0
        np.testing.assert_allclose((stuck.lo, stuck.hi), constant.mean, rtol=1e-12)
        assert "not vary" in stuck.note
        assert crossed(constant, alternative="greater").p == 0.0
        assert crossed(constant, alternative="less").p == 1.0
        # The limit of ever smaller variances.
        almost = constant.mean + 1e-6 * table(constant.seeds, constant.users, 0.0)
        assert crossed(moments(almost)).p < 1e-4
    assert crossed(moments(a[:, :1])).p is None
    assert crossed(moments(a, a[:, ::-1][:, ::-1])).p == 1.0


def test_one_seed_is_the_users_t_test_and_says_so():
    d = table(seeds=1)
    outcome = crossed(moments(d))
    np.testing.assert_allclose(outcome.p, stats.ttest_1samp(d[0], 0).pvalue, **CLOSE)
    assert outcome.note == "one seed"
    assert seeds_t(moments(d)).p is None


def test_direction_a_better_row_has_a_small_p_for_greater():
    """A published tool asks `less` of larger-is-better metrics and finds p ≈ 1 where its own model is better."""
    d = np.abs(table()) + 0.2
    assert crossed(moments(d), alternative="greater").p < 0.01
    assert crossed(moments(d), alternative="less").p > 0.99


def test_holm_stops_at_the_first_p_that_is_not_rejected():
    """Comparing each p with α/(m − rank + 1) alone would reject two of these; Holm rejects none."""
    assert all(q > 0.05 for q in adjust([0.02, 0.024, 0.03], "holm"))


def test_bh_steps_up():
    """Comparing each p with its own threshold alone would reject one of these; Benjamini–Hochberg rejects all."""
    assert all(q < 0.05 for q in adjust([0.04, 0.045, 0.0499], "bh"))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
@settings(max_examples=40, deadline=None)
def test_corrections_equal_statsmodels(p):
    for ours, theirs in (("holm", "holm"), ("bonferroni", "bonferroni"), ("bh", "fdr_bh"), ("by", "fdr_by")):
        with patch("gc.collect"):  # which takes statsmodels longer than all else
            expected = multipletests(p, method=theirs)[1]
        np.testing.assert_allclose(adjust(p, ours), expected, **CLOSE)
    assert adjust(p, "none") == p


def test_a_test_without_a_p_value_stays_in_the_family():
    assert adjust([0.01, None, 0.02]) == [pytest.approx(0.03), None, pytest.approx(0.04)]
    assert adjust([]) == []
    with pytest.raises(UserError, match="Did you mean 'holm'"):
        adjust([0.1], "hulm")
    assert set(CORRECTIONS) == {"holm", "bonferroni", "bh", "by", "none"}


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 9), st.data())
def test_letters_are_shared_exactly_by_pairs_that_do_not_differ(n, data):
    every = [(i, j) for i in range(n) for j in range(i + 1, n)]
    differ = set(data.draw(st.lists(st.sampled_from(every), unique=True))) if every else set()
    means = data.draw(st.lists(st.floats(0, 1), min_size=n, max_size=n))
    shown = letters(means, differ)
    for i, j in every:
        assert bool(set(shown[i]) & set(shown[j])) != ((i, j) in differ)
    assert all(shown)
    assert "a" in shown[max(range(n), key=lambda i: means[i])]


def test_letters_go_on_after_z():
    n = 30
    shown = letters([-float(i) for i in range(n)], [(i, j) for i in range(n) for j in range(i)])
    assert shown[0] == "a"
    assert shown[25:28] == ["z", "aa", "ab"]
    assert len(set(shown)) == n
    assert letters([], []) == []


@pytest.mark.slow
def test_level_holds_under_normal_effects_over_the_whole_grid():
    rng = np.random.default_rng(1)
    for corner in product(USERS, SEEDS, USER_SHARES, SEED_SHARES):
        c = Corner(*corner)
        assert (p_values(normal_squares(c, rng, 20_000), c)["crossed"] < 0.05).mean() < 0.07, c


def test_level_holds_under_hits_and_misses():
    rng = np.random.default_rng(2)
    for seeds, user_share, seed_share in ((2, 0.0, 3.0), (3, 1.0, 1.0), (5, 1.0, 3.0), (5, 0.0, 0.0)):
        c = Corner(200, seeds, user_share, seed_share)
        assert (p_values(binary_squares(c, rng, 600), c)["crossed"] < 0.05).mean() < 0.07, c


def test_level_of_users_alone_is_far_above_where_seeds_vary():
    rng = np.random.default_rng(3)
    for seed_share, low, high in ((0.5, 0.10, 0.13), (1.0, 0.15, 0.18), (3.0, 0.31, 0.35)):
        c = Corner(943, 5, 0.0, seed_share)
        p = p_values(normal_squares(c, rng, 20_000), c)
        assert low < (p["t"] < 0.05).mean() < high, c
        assert (p["crossed"] < 0.05).mean() < 0.06, c


def test_drawn_tables_have_the_mean_squares_that_they_say():
    """σ_e² + S·σ_u², σ_e² + U·σ_s² and σ_e² over σ_e²; of hits about, as effects on the logit are not linear."""
    c, rng = Corner(300, 4, 1.0, 1.0), np.random.default_rng(0)
    for draw in (normal_squares(c, rng, 3000), squares_of(normal_tables(c, rng, 3000)), binary_squares(c, rng, 3000)):
        found = np.array([draw.users.mean(), draw.seeds.mean(), draw.error.mean()]) / draw.error.mean()
        np.testing.assert_allclose(found, [2, 2, 1], rtol=0.15)
        np.testing.assert_allclose(draw.mean.var(), 3 / 1200 * draw.error.mean(), rtol=0.15)
    d = table(4, 30)
    one, m = squares_of(d[None]), moments(d)
    np.testing.assert_allclose(
        (one.users[0], one.seeds[0], one.error[0]), (m.ms_users, m.ms_seeds, m.ms_error), rtol=1e-9
    )


def test_pooled_level_holds_where_rows_differ():
    rng = np.random.default_rng(4)
    for name, shape in product(("equal", "one of 9", "half of 4"), ((0.0, 10.0), (1.5, 1.0))):
        c = Corner(943, 5, *shape)
        p, _, _ = pooled_p(normal_rows(c, SPREADS[name](5), 0, 4, rng, 10_000), c)
        assert (p < 0.05).mean() < 0.065, (name, c)


@pytest.mark.slow
def test_the_page_of_statistics_is_written_by_one_command(tmp_path):
    page = tmp_path / "statistics.md"
    page.write_text("".join(f"{name}\n<!-- {name} -->\nold\n<!-- /{name} -->\n" for name in TABLES))
    main(["--quick", "--out", str(page), "levels", "corners", "bootstraps", "pooled", "power", "planning"])
    text = page.read_text()
    assert text.count("\nold\n") == len(TABLES) - 6
    assert "| normal | 200 | 2 | " in text
    for block in text.split("<!-- /")[:-1]:
        rows = [line.count("|") for line in block.splitlines() if line.startswith("|")]
        assert len(set(rows)) <= 1
    before = text
    main(["--quick", "--out", str(page), "power"])
    assert page.read_text() == before  # seeded
    marks = (ROOT / "docs" / "statistics.md").read_text()
    assert all(f"<!-- {name} -->" in marks and f"<!-- /{name} -->" in marks for name in TABLES)
    for name, least in LEAST_SEEDS.items():
        assert f"from {least} seeds on for `{name}`" in marks
    assert float(re.search(r"The worst corner of `crossed` rejects ([0-9.]+) %", marks)[1]) <= 7


@pytest.mark.parametrize("values", [[1, 1, 2, -2, 3, 3, -1, 2, 5], [-1, -1, -1], [4], [1, -1], [1, 2, -3, 4, 5, 6, 7]])
def test_signed_ranks_with_ties_are_those_of_all_sign_patterns(values):
    """The sum of positive ranks under every one of the 2^n patterns, as scipy counts them for up to 13 differences."""
    x = np.array(values) / 10
    ranks = stats.rankdata(np.abs(x))
    sums = np.array([ranks[np.array(signs) > 0].sum() for signs in product((1, -1), repeat=len(x))])
    less, greater = np.mean(sums <= ranks[x > 0].sum()), np.mean(sums >= ranks[x > 0].sum())
    np.testing.assert_allclose(wilcoxon(x, "less").p, less, rtol=1e-12)
    np.testing.assert_allclose(wilcoxon(x, "greater").p, greater, rtol=1e-12)
    np.testing.assert_allclose(wilcoxon(x).p, min(1, 2 * min(less, greater)), rtol=1e-12)
    np.testing.assert_allclose(wilcoxon(x).p, stats.wilcoxon(x).pvalue, rtol=1e-12)


def test_signed_ranks_are_exact_for_fifty_with_ties_and_normal_beyond():
    """Sums of ranks counted in a dictionary of whole numbers."""
    x = np.round(np.random.default_rng(3).normal(0.3, 1, 51), 1) + 0.01
    ranks, sums = stats.rankdata(np.abs(x[:50])), Counter({0.0: 1})
    assert len(set(ranks)) < 40
    for rank in ranks:
        sums = sums + Counter({total + rank: ways for total, ways in sums.items()})
    above = sum(ways for total, ways in sums.items() if total >= ranks[x[:50] > 0].sum())
    np.testing.assert_allclose(wilcoxon(x[:50], "greater").p, above / 2**50, rtol=1e-12)
    np.testing.assert_allclose(wilcoxon(x).p, stats.wilcoxon(x, method="asymptotic").pvalue, **CLOSE)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_wilcoxon_equals_scipy_without_the_users_that_tie(alternative):
    x = np.concatenate([table()[0], np.zeros(5), [1e-17]])
    expected = stats.wilcoxon(x[:40], alternative=alternative).pvalue
    np.testing.assert_allclose(wilcoxon(x, alternative).p, expected, **CLOSE)
    assert wilcoxon(np.zeros(5)).p == 1.0


def test_tests_by_name():
    a, b = table(shift=0.6, seed=1), table(shift=0.0, seed=2)
    p = {name: run_test(name, a, b, moments(a, b)).p for name in TESTS}
    np.testing.assert_allclose(p["t"], stats.ttest_rel(a.mean(0), b.mean(0)).pvalue, **CLOSE)
    np.testing.assert_allclose(p["seeds-t"], stats.ttest_rel(a.mean(1), b.mean(1)).pvalue, **CLOSE)
    np.testing.assert_allclose(p["wilcoxon"], stats.wilcoxon(a.mean(0), b.mean(0)).pvalue, **CLOSE)
    for name in TESTS:
        greater, less = (run_test(name, a, b, moments(a, b), alternative=x).p for x in ("greater", "less"))
        assert greater < 0.5 < less, name
    with pytest.raises(UserError, match="Did you mean 'bootstrap'"):
        run_test("bootstrop", a, b, moments(a, b))


def test_default_path_imports_nothing_heavy():
    code = (
        "import sys; from bench.comparison.compare import compare; from bench.tables.render import render; "
        "heavy = {'torch', 'pandas', 'scipy', 'statsmodels', 'matplotlib'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_stability_variances_are_unbiased_where_rows_differ_and_lose_the_degrees_of_freedom_said():
    rng, deviations = np.random.default_rng(0), np.array([0.5, 1.0, 1.0, 2.0, 3.0])
    means = 5 * rng.normal(0, 1, (40_000, 1, 5)) + rng.normal(0, 1, (40_000, 5, 5)) * deviations[:, None]
    found = stability_variances(means)
    np.testing.assert_allclose(found.mean(axis=0), deviations**2, rtol=0.03, atol=0.06)
    for rows, cost in ((5, 432 / 144), (9, 7840 / 3136)):
        equal = stability_variances(rng.normal(0, 1, (40_000, rows, 5)))[:, :2].sum(axis=1)
        np.testing.assert_allclose(2 * equal.mean() ** 2 / equal.var(), 4 * 4 / cost, rtol=0.04)


@pytest.mark.slow
@pytest.mark.parametrize(("user_share", "seed_share"), [(0, 1), (1, 3), (1, 0)])
def test_the_expected_level_of_a_blind_test_is_the_simulated_one(user_share, seed_share):
    corner = Corner(60, 5, user_share, seed_share)
    tables = normal_tables(corner, np.random.default_rng(0), 1500)
    known = [moments(d) for d in tables[:400]]
    for test in ("t", "wilcoxon", "permutation", "seeds-t"):
        p = [run_test(test, d, d * 0, moments(d), resamples=499).p for d in tables]
        np.testing.assert_allclose(np.mean(np.array(p) < 0.05), expected_level(test, known, 0.05), atol=0.035)
