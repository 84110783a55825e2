"""What no comparison is made of, and what a comparison says that finds little or errs often."""

import numpy as np
import pytest
from scipy import stats

from bench.comparison.compare import compare
from bench.statistics.moments import moments
from datasets.errors import UserError
from tests.bench.test_comparison import CONTEXT, row, rows


@pytest.mark.parametrize(("test", "least"), [("bootstrap", 8), ("bootstrap-seeds", 10)])
def test_a_bootstrap_with_too_few_seeds_is_refused(test, least):
    with pytest.raises(UserError, match=f"with {least - 1} seeds .* more than 10 % .* give it {least} seeds or more"):
        compare(rows(seeds=range(least - 1)), context=CONTEXT, test=test)
    assert compare(rows(seeds=range(least)), context=CONTEXT, test=test).pairs
    shared = [row("a", seeds=range(20)), row("b", seeds=range(15, 35))]
    with pytest.raises(UserError, match="with 5 seeds"):
        compare(shared, context=CONTEXT, test=test)


def test_a_blind_test_says_how_often_it_errs_with_these_variances():
    noisy = [row(name, seed=i) for i, name in enumerate("ab")]
    for i, one in enumerate(noisy):
        moved = np.random.default_rng(i).normal(0, 0.05, (5, 1))
        one.metrics["ndcg@10"] += moved
    d = noisy[0].metrics["ndcg@10"] - noisy[1].metrics["ndcg@10"]
    m = moments(d)
    ratio = (m.ms_users + m.ms_seeds - m.ms_error) / m.ms_users
    expected = 2 * stats.t.sf(stats.t.ppf(0.975, 59) / ratio**0.5, 59)
    for test in ("t", "wilcoxon", "permutation", "bootstrap-users"):
        said = compare(noisy, context=CONTEXT, test=test).warnings
        assert any(f"{test} is blind to training noise" in w and f"{100 * expected:.2g} % of" in w for w in said), said
    assert any("blind to the choice of users" in w for w in compare(noisy, context=CONTEXT, test="seeds-t").warnings)
    assert not any("blind" in w for w in compare(noisy, context=CONTEXT).warnings)
    alone = compare(rows(seeds=(0,)), context=CONTEXT, test="t").warnings
    assert any("how much, one seed cannot tell" in w for w in alone)


def test_few_seeds_say_that_they_find_little():
    said = compare(rows(seeds=(0, 1, 2)), context=CONTEXT).warnings
    alone, family = stats.t.ppf(1 - 0.025, 2), stats.t.ppf(1 - 0.025 / 3, 2)
    assert any(f"low with 3 seeds: over them |t| must exceed {alone:.1f}" in w and f"{family:.1f}" in w for w in said)
    assert not any("power is low" in w for w in compare(rows(), context=CONTEXT).warnings)
    said = compare(rows(seeds=(0, 1, 2)), context=CONTEXT, alternative="greater").warnings
    assert any(f"over them t must exceed {stats.t.ppf(1 - 0.05, 2):.1f}" in w for w in said), said


def nan_row():
    bad = row("b")
    bad.metrics["ndcg@10"][2, 7] = np.nan
    return bad


@pytest.mark.parametrize(
    ("others", "options", "sentence"),
    [
        ([], {}, None),
        ([row("a")], {}, "Two rows are called 'a'"),
        ([row("b", runs=row("a").runs)], {}, "'a' and 'b' are the same run a-0"),
        ([row("b", runs=("r",) * 5)], {}, "same run or seed twice"),
        ([row("b", seeds=(0, 0, 1))], {}, "same run or seed twice"),
        ([row("b", n=61)], {}, "1 test users are in one only"),
        ([row("b", users=np.arange(60))], {}, "test users are in one only"),
        ([row("b", users=np.zeros(60, dtype=np.int64))], {}, "same user twice"),
        ([nan_row()], {}, "ndcg@10 that is not a number"),
        ([row("b", metrics={"ndcg@10": np.ones((5, 60))})], {}, "No metric is called 'hr@10'"),
        (
            [row("b", metrics=dict.fromkeys(("ndcg@10", "hr@10"), np.ones((4, 60))))],
            {},
            r"\(4, 60\) values .* not \(5, 60\)",
        ),
        ([row("b", identity={"split": "x"})], {}, "their split differs"),
        ([], {"metric": "ndcg@11"}, "Did you mean 'ndcg@10'"),
        ([], {"test": "crosed"}, "Did you mean 'crossed'"),
        ([], {"correction": "holms"}, "Did you mean 'holm'"),
        ([], {"baseline": "z"}, "No row is called 'z'"),
        ([], {"alpha": 5}, "between 0 and 1"),
        ([], {"margin": 0.0}, "must be above 0"),
        ([], {"alternative": "more"}, "No alternative is called 'more'"),
    ],
)
def test_refusals_are_one_sentence(others, options, sentence):
    if sentence is None:
        assert compare([row("a")], context=CONTEXT).pairs == ()
        return
    with pytest.raises(UserError, match=sentence) as error:
        compare([row("a"), *others], context=CONTEXT, **options)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(".")


def test_nothing_to_compare_is_refused():
    with pytest.raises(UserError, match="nothing to compare"):
        compare([], context=CONTEXT)
