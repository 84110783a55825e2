"""Expected sampled metrics against enumeration, scipy's hypergeometric law, and drawing."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from recmodels import sampled_metrics as module
from recmodels.sampled_metrics import sampled_metrics

GAIN = {"hr": lambda rank: 1.0, "ndcg": lambda rank: 1 / np.log2(rank + 1), "mrr": lambda rank: 1 / rank}


def one(better, tied, candidates, negatives, k):
    values = sampled_metrics(*(np.array([x]) for x in (better, tied, candidates)), negatives, [k])
    return {name.partition("@")[0]: value[0] for name, value in values.items()}


@pytest.mark.parametrize(("better", "tied"), [(0, 0), (2, 0), (5, 0), (1, 2), (0, 5), (4, 1)])
@pytest.mark.parametrize("k", [1, 2, 4])
def test_equals_the_mean_over_all_draws_and_all_places_among_ties(better, tied, k):
    rivals, negatives = 5, 3
    levels = [1] * better + [0] * tied + [-1] * (rivals - better - tied)
    got = one(better, tied, rivals + 1, negatives, k)
    for name, gain in GAIN.items():
        means = []
        for draw in combinations(levels, negatives):
            above, level = draw.count(1), draw.count(0)
            ranks = [1 + above + j for j in range(level + 1)]
            means.append(np.mean([gain(rank) if rank <= k else 0.0 for rank in ranks]))
        assert got[name] == pytest.approx(np.mean(means), abs=1e-12)


def test_without_ties_equals_scipys_law():
    rng = np.random.default_rng(0)
    candidates = rng.integers(1200, 1700, 50)
    better = rng.integers(0, 400, 50)
    values = sampled_metrics(better, np.zeros(50, int), candidates, 99, [10])
    law = stats.hypergeom(candidates - 1, better, 99)
    assert np.allclose(values["hr@10"], law.cdf(9), atol=1e-10)
    expected = sum(law.pmf(x) / np.log2(x + 2) for x in range(10))
    assert np.allclose(values["ndcg@10"], expected, atol=1e-10)


def test_drawing_converges_to_it():
    rng = np.random.default_rng(1)
    scores, positive, draws = rng.integers(0, 30, 300), 27, 4000
    got = one((scores > positive).sum(), (scores == positive).sum(), 301, 20, 3)
    ranks = []
    for _ in range(draws):
        drawn = rng.choice(scores, 20, replace=False)
        ranks.append(1 + (drawn > positive).sum() + rng.integers(0, (drawn == positive).sum() + 1))
    ranks = np.array(ranks)
    hits = (ranks <= 3).mean()
    assert abs(got["hr"] - hits) < 4 * np.sqrt(hits * (1 - hits) / draws)
    assert abs(got["mrr"] - np.where(ranks <= 3, 1 / ranks, 0).mean()) < 0.02


def test_drawing_every_rival_is_full_ranking():
    got = one(7, 0, 101, 100, 10)
    assert got["hr"] == pytest.approx(1)
    assert got["ndcg"] == pytest.approx(1 / np.log2(9))


def test_a_constant_model_is_chance_and_blocks_change_nothing(monkeypatch):
    candidates = np.array([500, 1000, 1500])
    whole = sampled_metrics(np.zeros(3, int), candidates - 1, candidates, 99, [10])
    assert np.allclose(whole["hr@10"], 0.1)
    monkeypatch.setattr(module, "_CELLS", 6000)
    blocked = sampled_metrics(np.zeros(3, int), candidates - 1, candidates, 99, [10])
    for name, value in blocked.items():
        assert np.allclose(value, whole[name], rtol=1e-12, atol=0)


def test_impossible_draws_are_refused():
    with pytest.raises(ValueError, match="cannot be drawn"):
        one(0, 0, 50, 99, 10)
    with pytest.raises(ValueError, match="more rivals"):
        one(60, 60, 101, 99, 10)
