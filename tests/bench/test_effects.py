"""Effect sizes with their intervals, and equivalence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.statistics.crossed import crossed
from bench.statistics.effects import effects
from bench.statistics.equivalence import equivalence
from bench.statistics.moments import moments
from tests.bench.test_statistics import CLOSE, table


def test_effects_written_out():
    a, b = np.abs(table(shift=0.6, seed=1)), np.abs(table(shift=0.0, seed=2))
    e, m = effects(a, b), moments(a, b)
    assert (e.difference.value, e.difference.lo) == (m.mean, crossed(m).lo)
    np.testing.assert_allclose(e.relative.value, a.mean() / b.mean() - 1, rtol=1e-12)
    np.testing.assert_allclose(e.standardised.value, (a - b).mean() / m.sd_single, rtol=1e-10)
    np.testing.assert_allclose(e.superiority.value, (a > b).mean(), rtol=1e-12)
    for estimate in (e.difference, e.relative, e.standardised, e.superiority):
        assert estimate.lo < estimate.value < estimate.hi
    same = effects(a, a)
    assert (same.difference.value, same.standardised.value, same.superiority.value) == (0.0, None, 0.5)
    assert effects(a, a * 0).relative.value is None
    always = effects(a + 1, a).superiority
    assert (always.value, always.lo, always.hi) == (1.0, None, None)
    assert e.users_a_better + e.users_b_better + e.users_tied == 40


@pytest.mark.parametrize("seeds", [1, 3, 20])
def test_the_standardised_effect_does_not_depend_on_the_number_of_seeds(seeds):
    """Components 0.25, 0.04 and 1: the variance of a single difference is 1.29; one seed cannot show the 0.04."""
    rng, found = np.random.default_rng(seeds), []
    for _ in range(400):
        d = 0.3 + rng.normal(0, 0.5, (1, 300)) + rng.normal(0, 0.2, (seeds, 1)) + rng.normal(0, 1, (seeds, 300))
        found.append(moments(d).sd_single ** 2)
    expected = 0.25 + 1 + (0.04 if seeds > 1 else 0)
    np.testing.assert_allclose(np.mean(found), expected, atol=4 * np.std(found) / 20)
    np.testing.assert_allclose(np.mean(found), expected, rtol=0.02)


def test_the_relative_interval_is_fiellers():
    """One seed is a paired t over users, where Fieller's limits are the roots of a quadratic in mean(a)/mean(b)."""
    rng = np.random.default_rng(0)
    b = rng.random((1, 50)) + 0.2
    a = 1.3 * b + rng.normal(0, 0.4, (1, 50))
    (va, vab), (_, vb) = np.cov(a[0], b[0]) / 50
    t, ma, mb = stats.t.ppf(0.975, 49), a.mean(), b.mean()
    lo, hi = sorted(np.roots([mb**2 - t**2 * vb, 2 * (t**2 * vab - ma * mb), ma**2 - t**2 * va]) - 1)
    e = effects(a, b).relative
    np.testing.assert_allclose((e.value, e.lo, e.hi), (ma / mb - 1, lo, hi), rtol=1e-9)


def test_the_ends_of_the_relative_interval_are_where_the_default_test_turns():
    a, b = np.abs(table(shift=1.5, seed=1)), np.abs(table(shift=1.0, seed=2))
    e = effects(a, b, alpha=0.1).relative
    for end in (e.lo, e.hi):
        np.testing.assert_allclose(crossed(moments(a - (1 + end) * b)).p, 0.1, rtol=1e-6)
    multiple = effects(1.1 * b, b).relative
    np.testing.assert_allclose((multiple.value, multiple.lo, multiple.hi), 0.1, rtol=1e-9)
    assert effects(a, b - b.mean() + 0.01).relative.lo is None  # a base that may be 0 bounds no ratio


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(0, 10**6), st.floats(-0.3, 0.3))
def test_the_relative_interval_never_contradicts_the_difference(seeds, seed, shift):
    rng = np.random.default_rng(seed)
    b = rng.random((seeds, 30)) + 0.5
    e = effects(b * rng.random((1, 30)) + 0.25 + shift + rng.normal(0, 0.2, (seeds, 1)), b)
    if e.relative.lo is not None:
        assert (e.difference.lo <= 0) == (e.relative.lo <= 0)
        assert (e.difference.hi >= 0) == (e.relative.hi >= 0)


@pytest.mark.slow
def test_relative_interval_covers_the_true_ratio():
    rng, covered = np.random.default_rng(0), 0
    for _ in range(1000):
        b = rng.random((1, 200)) + 0.5 + rng.normal(0, 0.1, (6, 200))
        a = 1.1 * b + rng.normal(0, 0.05, (6, 1)) + rng.normal(0, 0.3, (1, 200))
        relative = effects(a, b).relative
        covered += relative.lo < 0.1 < relative.hi
    assert 930 <= covered <= 975


def test_tost_equals_statsmodels_with_one_seed():
    from statsmodels.stats.weightstats import DescrStatsW

    d = table(seeds=1, shift=0.02)
    result = equivalence(moments(d), 0.4)
    np.testing.assert_allclose(result.p, DescrStatsW(d[0]).ttost_mean(-0.4, 0.4)[0], **CLOSE)
    np.testing.assert_allclose(result.below + result.inside + result.above, 1, rtol=1e-12)
    se = d.std(ddof=1) / np.sqrt(d.size)
    np.testing.assert_allclose(result.above, stats.t.sf((0.4 - d.mean()) / se, d.size - 1), rtol=1e-9)


def test_equivalence_with_seeds():
    d = table(shift=0.0)
    wide, narrow = equivalence(moments(d), 5.0), equivalence(moments(d), 0.001)
    assert wide.p < 0.01
    assert wide.inside > 0.95
    assert narrow.p > 0.3
    assert narrow.inside < 0.1
    identical = equivalence(moments(d * 0), 0.1)
    assert (identical.p, identical.below, identical.inside, identical.above) == (0.0, 0.0, 1.0, 0.0)
    apart = equivalence(moments(d * 0 + 0.3), 0.1)
    assert (apart.p, apart.below, apart.inside, apart.above) == (1.0, 0.0, 0.0, 1.0)
    # TOST rejects exactly where the interval at twice the level lies within the margin.
    for margin in np.linspace(0.1, 2, 30):
        outcome = crossed(moments(d), alpha=0.10)
        inside = -margin < outcome.lo and outcome.hi < margin
        assert (equivalence(moments(d), margin).p < 0.05) == inside
