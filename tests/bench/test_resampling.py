"""Sign flips and bootstraps, against scipy and against all that is possible."""

import numpy as np
import pytest
from scipy import stats

from bench.statistics.crossed import users_t
from bench.statistics.moments import moments
from bench.statistics.resampling import _crossed_means, bca_interval, bootstrap, sign_flip
from tests.bench.test_statistics import CLOSE, table


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_sign_flips_equal_scipy_where_exact(alternative):
    x = np.append(table()[0, :11], [0.0, 0.0])
    expected = stats.permutation_test(
        (x,), np.mean, permutation_type="samples", alternative=alternative, n_resamples=10**6
    )
    np.testing.assert_allclose(sign_flip(x, alternative=alternative).p, expected.pvalue, **CLOSE)


def test_sign_flips_count_every_tie_whatever_the_order_of_summation():
    x = np.array([0.1, 0.2, 0.3, -0.6, 0.7])
    patterns = np.array(np.meshgrid(*[[-1, 1]] * 5)).reshape(5, -1).T
    tenths = np.rint(x * 10).astype(int)
    expected = (np.abs(patterns @ tenths) >= abs(tenths.sum())).mean()
    assert sign_flip(x).p == expected


def test_sign_flip_p_is_never_zero_and_repeats():
    """A published library divides by the number of permutations and prints p = 0."""
    x = np.abs(table()[0]) + 1
    assert sign_flip(x).p == 1 / 10_000
    y = table(shift=0.0)[1]
    assert sign_flip(y).p == sign_flip(y).p
    np.testing.assert_allclose(sign_flip(y).p, stats.ttest_1samp(y, 0).pvalue, atol=0.02)
    assert sign_flip(np.zeros(9)).p == 1.0


def test_bca_interval_equals_scipy_on_the_same_resamples():
    x = np.exp(table()[0])
    result = stats.bootstrap((x,), np.mean, n_resamples=999, method="BCa", rng=np.random.default_rng(0))
    ours = bca_interval(result.bootstrap_distribution, x, 0.05)
    np.testing.assert_allclose(ours, result.confidence_interval, rtol=1e-10)


def test_bootstrap_deviations_are_those_of_their_levels():
    d = table(seeds=6, users=50, seed=4)
    for values in (d.mean(0), d.mean(1)):
        spread = _crossed_means(values[None], 20_000, np.random.default_rng(0)).std()
        np.testing.assert_allclose(spread, values.std() / np.sqrt(len(values)), rtol=0.03)
    s, u = d.shape
    r = d - d.mean(0) - d.mean(1)[:, None] + d.mean()
    # Owen (2007): with rows and columns drawn at once the residual counts, too.
    exact = d.mean(1).var() / s + d.mean(0).var() / u + r.var() / (s * u)
    np.testing.assert_allclose(_crossed_means(d, 20_000, np.random.default_rng(1)).var(), exact, rtol=0.04)


def test_bootstrap_outcomes():
    d = table(shift=1.0)
    for level in ("users", "seeds", "both"):
        far = bootstrap(d, level)
        assert 0 < far.p < 0.05
        assert far.lo < d.mean() < far.hi
        assert bootstrap(d, level) == far
        assert bootstrap(np.zeros((3, 4)), level).p == 1.0
        assert bootstrap(np.full((3, 4), 0.2), level).p == 1e-4  # the smallest of 9,999 resamples
    assert bootstrap(d[:1], "seeds").p is None
    assert bootstrap(d[:1], "both").note == "one seed"
    np.testing.assert_allclose(bootstrap(d, "users").p, users_t(moments(d)).p, atol=0.01)


def test_sign_flips_of_many_users_have_the_law_of_random_signs():
    """More users than a float has exponents; the sum of random signs is normal with variance Σ x²."""
    x = np.random.default_rng(0).normal(0.02, 1, 5003)
    expected = stats.norm.sf(x.sum() / np.sqrt(np.square(x).sum()))
    np.testing.assert_allclose(sign_flip(x, alternative="greater").p, expected, atol=0.015)
    assert sign_flip(x, alternative="less").p > 0.5 > expected > 0.02
