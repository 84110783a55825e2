import numpy as np
import pytest
from scipy import stats

from bench.cli.power import Power
from bench.statistics.calibrate import _wilson, same_against_same
from bench.statistics.crossed import crossed_tests
from bench.statistics.moments import moments
from bench.statistics.named import TESTS
from bench.statistics.power import Components, components, detectable, seeds_needed, upper_seeds
from datasets.errors import UserError


def test_components_and_detectable_difference():
    c = Components(users=0.3, seeds=0.02, rest=1.0)
    rng = np.random.default_rng(0)
    d = 0.1 + rng.normal(0, 0.3**0.5, (1, 1000)) + rng.normal(0, 0.02**0.5, (400, 1))
    found = components(moments(d + rng.normal(0, 1, (400, 1000))))
    np.testing.assert_allclose((found.users, found.seeds, found.rest), (0.3, 0.02, 1.0), rtol=0.2)
    assert detectable(c, 900, 5) > detectable(c, 900, 10) > detectable(c, 1800, 10)
    assert detectable(c, 900, 5, power=0.9) > detectable(c, 900, 5) > detectable(c, 900, 5, alpha=0.1)
    with pytest.raises(UserError, match="run it with 5 seeds"):
        components(moments(d[:1]))


@pytest.mark.parametrize(("seeds", "users_share", "seeds_share"), [(3, 1, 1), (5, 0, 1), (5, 10, 1), (10, 1, 3)])
def test_the_detectable_difference_is_found_as_often_as_promised(seeds, users_share, seeds_share):
    users, n, rng = 900, 20_000, np.random.default_rng(0)
    c = Components(users_share / seeds, seeds_share / users, 1.0)
    d = detectable(c, users, seeds)
    df = np.array([users - 1, seeds - 1, (users - 1) * (seeds - 1)])
    squares = np.array(c.mean_squares(users, seeds)) * rng.chisquare(df, (n, 3)) / df
    mean = rng.normal(d, np.sqrt((1 + users_share + seeds_share) / (users * seeds)), n)
    p = np.maximum.reduce([x for x, _ in crossed_tests(mean, *squares.T, users, seeds).values()])
    assert 0.73 < (p < 0.05).mean() < 0.82


def test_seeds_needed_and_when_seeds_cannot_help():
    c = Components(users=0.09, seeds=0.0004, rest=0.04)
    wished = 0.06
    plan = seeds_needed(c, 900, wished)
    assert detectable(c, 900, plan.seeds) <= wished < detectable(c, 900, plan.seeds - 1)
    lost = seeds_needed(c, 900, 0.01)
    assert lost.seeds is None
    assert "the users alone hide" in lost.sentence
    np.testing.assert_allclose(lost.floor, (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * 0.01, rtol=1e-12)
    users = int(lost.sentence.split("about ")[1].split()[0])
    np.testing.assert_allclose(users, 900 * (lost.floor / 0.01) ** 2, atol=1)
    assert "even 5 seeds do not" in seeds_needed(c, 900, 0.0285, most=5).sentence
    with pytest.raises(UserError, match="above 0"):
        seeds_needed(c, 900, 0.0)


@pytest.mark.slow
def test_same_against_same_finds_the_tests_that_ignore_seeds():
    rng = np.random.default_rng(0)
    runs = rng.random((1, 300)) + rng.normal(0, 0.03, (40, 1)) + rng.normal(0, 0.3, (40, 300))
    rates = {(x.test, x.alpha): x for x in same_against_same(runs, 5, splits=400)}
    assert rates["t", 0.05].rate > 0.15
    assert rates["t", 0.05].lo > 0.05
    assert rates["crossed", 0.05].lo <= 0.05
    assert rates["crossed", 0.05].rate < 0.10
    for x in rates.values():
        assert x.lo <= x.rate <= x.hi
    assert rates["crossed", 0.01].rate <= rates["crossed", 0.10].rate
    with pytest.raises(UserError, match="40 runs do not make two disjoint sets of 21"):
        same_against_same(runs, 21)


def test_every_test_is_calibrated():
    rng = np.random.default_rng(1)
    runs = rng.random((1, 60)) + rng.normal(0, 0.3, (30, 60))
    found = same_against_same(runs, 5, splits=30)
    assert [x.test for x in found[::3]] == list(TESTS)
    assert all(x.without_p == 0 for x in found)
    rates = {(x.test, x.alpha): x.rate for x in found}
    assert rates["crossed-pooled", 0.10] <= 0.3
    assert rates["bootstrap-seeds", 0.10] >= rates["seeds-t", 0.10]  # too few seeds for a percentile


def test_the_upper_limit_holds_as_often_as_it_says_and_is_the_chi_square_one():
    rng, users, seeds, true = np.random.default_rng(0), 500, 4, 0.01
    d = rng.normal(0, true**0.5, (3000, seeds, 1)) + rng.normal(0, 1, (3000, seeds, users))
    pilots = [moments(x) for x in d]
    held = np.mean([upper_seeds(m) >= true for m in pilots])
    np.testing.assert_allclose(held, 0.8, atol=0.025)
    assert np.mean([components(m).seeds >= true for m in pilots]) < 0.5
    m = pilots[0]
    expected = (m.ms_seeds * 3 / stats.chi2.ppf(0.05, 3) - m.ms_error) / users
    np.testing.assert_allclose(upper_seeds(m, 0.95), expected, rtol=1e-10)


@pytest.mark.parametrize("family", [3, 36])
def test_a_plan_of_a_family_keeps_its_promise(family):
    users, seeds, n, rng = 900, 5, 20_000, np.random.default_rng(1)
    c = Components(1.0 / seeds, 1.0 / users, 1.0)
    d = detectable(c, users, seeds, alpha=0.05 / family)
    df = np.array([users - 1, seeds - 1, (users - 1) * (seeds - 1)])
    squares = np.array(c.mean_squares(users, seeds)) * rng.chisquare(df, (n, 3)) / df
    mean = rng.normal(d, np.sqrt(3 / (users * seeds)), n)
    p = np.maximum.reduce([x for x, _ in crossed_tests(mean, *squares.T, users, seeds).values()])
    assert 0.74 < (p < 0.05 / family).mean() < 0.83


def test_wishes_that_mean_nothing_are_refused():
    for difference, power in ((0.0, 0.8), (-0.1, 0.8), (0.1, 0.0), (0.1, 1.0), (None, 2.0)):
        with pytest.raises(UserError, match=r"^--(power|difference) "):
            Power(names=["uniform", "popularity"], difference=difference, power=power).run()


def test_wilson_interval_equals_statsmodels():
    from statsmodels.stats.proportion import proportion_confint

    np.testing.assert_allclose(_wilson(0.07, 100), proportion_confint(7, 100, method="wilson"), rtol=1e-10)
