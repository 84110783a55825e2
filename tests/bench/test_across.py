import numpy as np
import pytest
from scipy import stats

from bench.statistics.across import (
    average_ranks,
    bayesian_signed_rank,
    cliques,
    interquartile_mean,
    performance_profile,
    smallest_p,
    too_few,
    wilcoxon_pairs,
)
from datasets.errors import UserError

NAMES = ("C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf")
# The worked example of Demšar (JMLR, 2006, table 6): four decision trees on fourteen data sets. The paper ranked
# more decimals than it printed: two that print as 0.975 are ranks 2 and 3, hence the fifth decimal below.
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.97501, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)


def test_worked_example_of_demsar():
    r = average_ranks(NAMES, DEMSAR)
    np.testing.assert_allclose(r.ranks, (3.143, 2.000, 2.893, 1.964), atol=0.0005)
    # The paper's 9.28 and 3.69 come from average ranks without the correction for ties that scipy makes.
    n, k = DEMSAR.shape
    uncorrected = 12 * n / (k * (k + 1)) * (np.sum(np.square(r.ranks)) - k * (k + 1) ** 2 / 4)
    np.testing.assert_allclose(uncorrected, 9.28, atol=0.005)
    assert r.chi2 > uncorrected
    np.testing.assert_allclose(r.critical, 2.569 * np.sqrt(k * (k + 1) / (6 * n)), rtol=1e-3)
    assert r.warning == ""
    assert r.p_f < r.p < 0.05
    tight = average_ranks(NAMES, DEMSAR, alpha=0.10)
    np.testing.assert_allclose(tight.critical, 2.291 * np.sqrt(k * (k + 1) / (6 * n)), rtol=1e-3)
    # "C4.5+m+cf and C4.5+m differ from C4.5 at 0.10"; 2.893 lies within 1.12 of all.
    assert cliques(tight) == [(3, 1, 2), (2, 0)]
    assert cliques(r) == [(3, 1, 2, 0)]


def test_friedman_equals_scipy():
    r = average_ranks(NAMES, DEMSAR)
    expected = stats.friedmanchisquare(*DEMSAR.T)
    np.testing.assert_allclose((r.chi2, r.p), (expected.statistic, expected.pvalue), rtol=1e-12)


def test_wilcoxon_pairs_over_data_sets():
    few = DEMSAR[:9]  # with ties scipy goes through all 2⁹ signs
    found = wilcoxon_pairs(NAMES, few)
    assert [(a, b) for a, b, *_ in found[:2]] == [("C4.5", "C4.5+m"), ("C4.5", "C4.5+cf")]
    d = few[:, 0] - few[:, 3]
    np.testing.assert_allclose(found[2][2], stats.wilcoxon(np.round(d[d != 0], 12)).pvalue, rtol=1e-10)
    assert all(q >= p for *_, p, q in found)


def test_signed_ranks_say_when_no_score_could_be_significant():
    """All five differences on one side have p = 2/2⁵; six times that after Holm over six pairs."""
    assert smallest_p(5, 1) == stats.wilcoxon([1.0, 2, 3, 4, 5]).pvalue == 0.0625
    assert smallest_p(5, 1, alternative="greater") == 0.03125
    assert smallest_p(8, 6) == 6 * 2 / 2**8
    assert smallest_p(8, 6, "bh") == 2 / 2**8
    assert "α = 0.05 takes 6 data sets" in too_few(5, 1, 0.05)
    assert "smallest p of 6 pairs (holm) is 0.0938; α = 0.05 takes 8 data sets" in too_few(7, 6, 0.05)
    assert too_few(8, 6, 0.05) == too_few(5, 1, 0.05, "holm", "greater") == ""


def test_degenerate_and_few_data_sets():
    same = average_ranks(NAMES, np.ones((6, 4)))
    assert (same.chi2, same.p) == (0.0, 1.0)
    assert "too few" in average_ranks(NAMES, DEMSAR[:4]).warning
    for names, scores in ((NAMES, DEMSAR[:1]), (NAMES[:2], DEMSAR[:, :2]), (NAMES[:3], DEMSAR)):
        with pytest.raises(UserError, match="at least 2 data sets and 3 methods"):
            average_ranks(names, scores)
    with pytest.raises(UserError, match="no score"):
        average_ranks(NAMES, np.where(DEMSAR == 1, np.nan, DEMSAR))


def test_bayesian_signed_rank():
    d = DEMSAR[:, 3] - DEMSAR[:, 0]
    worse, same, better = bayesian_signed_rank(d, 0.01)
    np.testing.assert_allclose(worse + same + better, 1, rtol=1e-12)
    assert better > 0.9
    back = bayesian_signed_rank(-d, 0.01)
    np.testing.assert_allclose(back, (better, same, worse), atol=0.01)
    assert bayesian_signed_rank(d, 1.0) == (0.0, 1.0, 0.0)
    # Methods that are equal on every data set are equivalent, whatever the region; draws that tie are shared, as in
    # baycomp's histogram, which counts a weight of 0.5 half on either side.
    assert bayesian_signed_rank(np.zeros(5), 0.0) == bayesian_signed_rank(np.zeros(5), 0.1) == (0.0, 1.0, 0.0)
    np.testing.assert_allclose(bayesian_signed_rank(np.array([0.2, -0.2, 0, 0]), 0.0), (0.5, 0, 0.5), atol=0.01)
    # One data set with weight w ~ Beta(1, 1/2): without a region, 1 − (1 − w)²/2 > 1/2 is better whatever w is; with
    # one, the mean of (z, 0) counts as better too, and better wins where 1 − (1 − w)² > 1/2.
    assert bayesian_signed_rank(np.array([1.0]), 0.0) == (0.0, 0.0, 1.0)
    w = 1 - np.sqrt(0.5)
    np.testing.assert_allclose(bayesian_signed_rank(np.array([1.0]), 0.1)[2], stats.beta.sf(w, 1, 0.5), atol=0.006)


@pytest.mark.parametrize(
    ("a", "b", "rope", "first", "equivalent", "second"),
    [
        (3, 0, 0.0, 0.99722, 0.0, 0.00278),
        (3, 0, 0.0051, 0.99799, 0.00068, 0.00133),
        (3, 0, 0.0101, 0.96064, 0.039075, 0.000285),
        (1, 0, 0.0, 0.999065, 0.0, 0.000935),
        (1, 0, 0.0051, 0.949265, 0.05071, 0.000025),
        (1, 0, 0.0101, 0.67135, 0.32865, 0.0),
        (3, 1, 0.0, 0.785505, 0.0, 0.214495),
        (3, 1, 0.0051, 0.55587, 0.419415, 0.024715),
        (3, 1, 0.0101, 0.21067, 0.787695, 0.001635),
    ],
)
def test_bayesian_signed_rank_equals_baycomp(a, b, rope, first, equivalent, second):
    """Numbers of baycomp 1.0.3: np.argmax of SignedRankTest.sample(x, y, rope, nsamples=200000, random_state=1)."""
    found = bayesian_signed_rank(DEMSAR[:, a] - DEMSAR[:, b], rope)
    np.testing.assert_allclose(found, (second, equivalent, first), atol=0.008)


def test_interquartile_mean_and_profile():
    scores = np.random.default_rng(0).random((10, 6))
    value, lo, hi = interquartile_mean(scores)
    middle = np.sort(scores.ravel())[15:45]
    np.testing.assert_allclose(value, middle.mean(), rtol=1e-12)
    assert lo < value < hi
    assert interquartile_mean(scores) == (value, lo, hi)
    profile = performance_profile(scores, np.array([0.0, 0.5, 1.0]))
    np.testing.assert_allclose(profile, [1, (scores > 0.5).mean(), 0])
