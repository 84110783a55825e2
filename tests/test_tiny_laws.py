"""Five items, one user: laws worked out by hand from the papers and the authors' code, met by many draws."""

import numpy as np
import pytest
import torch

from datasets import Interactions
from recmodels.sampling import Scorer, Training
from recmodels.types import Batch, Tables
from tests.sampler_cases import law_of, make

# 16 users; items have 8, 4, 2, 1 and 1 interactions; user 0 has item 0, whose scores are below
OWNERS = np.repeat(np.arange(16), 1).astype(np.int32)
ITEMS = np.repeat(np.arange(5), [8, 4, 2, 1, 1]).astype(np.int32)
SCORES = [2.0, 0.5, 1.0, -1.0, 0.0]
DATA = Training(Interactions(OWNERS, ITEMS, 16, 5))
ROWS, N = 4000, 100  # 400,000 draws, whose shares have a standard error of at most 0.0008
CLOSE = 0.004


def model(scores=SCORES):
    return Scorer(Tables(torch.ones(16, 1), torch.tensor(scores).unsqueeze(1)))


def drawn(name, data=DATA, n=N, scorer=None, **parameters):
    """Draws (ROWS, n) for user 0, the law of each position alone."""
    sampler, scorer, rng = make(name, data, **parameters), scorer or model(), np.random.default_rng(1)
    if sampler.before_epoch is not None:
        sampler.before_epoch(1, scorer, rng)
    users = torch.zeros(ROWS, dtype=torch.int64)
    batch = Batch(users, users)
    return sampler.choose(batch, sampler.propose(batch, n, rng, scorer), n, rng, scorer)


def shares(items):
    return np.bincount(items.numpy().ravel(), minlength=5) / items.numel()


@pytest.mark.parametrize(
    ("name", "parameters", "law"),
    [
        ("uniform", {}, [0, 0.25, 0.25, 0.25, 0.25]),
        ("popularity", {"alpha": 0.75}, [0, 0.43446, 0.258331, 0.153605, 0.153605]),
        ("popularity", {"alpha": -0.5}, [0, 0.155904, 0.220481, 0.311808, 0.311808]),
    ],
)
def test_laws_with_rejection(name, parameters, law):
    np.testing.assert_allclose(
        law_of(make(name, DATA, **parameters), DATA, torch.tensor([0]), model())[0], law, atol=2e-6
    )
    np.testing.assert_allclose(shares(drawn(name, **parameters).items), law, atol=CLOSE)


def test_mixed_law_before_and_after_masking():
    stated = law_of(make("mixed", DATA, uniform=0.5), DATA, torch.tensor([0]), model())[0]
    np.testing.assert_allclose(stated, [0.35, 0.225, 0.1625, 0.13125, 0.13125], rtol=1e-5)
    sampler, rng = make("mixed", DATA, uniform=0.5), np.random.default_rng(0)
    kept = []
    for _ in range(400):
        rows = rng.integers(16, size=500)
        batch = Batch(torch.from_numpy(rows), torch.from_numpy(ITEMS[rows].astype(np.int64)))
        found = sampler.propose(batch, 2, rng, model())
        kept.append(found.items[batch.users == 0][found.valid[batch.users == 0]])
    np.testing.assert_allclose(shares(torch.cat(kept)), [0, 0.346154, 0.25, 0.201923, 0.201923], atol=0.02)


@pytest.mark.parametrize(
    ("pool", "law"), [(1, [0, 0.25, 0.25, 0.25, 0.25]), (3, [0, 0.296875, 0.578125, 0.015625, 0.109375])]
)
def test_dns_law_of_the_highest_of_three(pool, law):
    np.testing.assert_allclose(shares(drawn("dns", pool=pool).items), law, atol=CLOSE)


def test_dns_mn_copies_among_the_two_highest_of_three():
    sampler, rng, users = make("dns-mn", DATA, pool=3), np.random.default_rng(2), torch.zeros(400_000, dtype=int)
    batch = Batch(users, users)
    kept = sampler.choose(batch, sampler.propose(batch, 2, rng, model()), 2, rng, model()).items
    np.testing.assert_allclose(2 * shares(kept), [0, 0.640625, 0.734375, 0.171875, 0.453125], atol=CLOSE)


AOBPR_ITEMS = torch.tensor([[1.0, 0.0], [0.2, 1.0], [0.8, -1.0], [-0.5, 0.5], [0.0, -0.4]])
AOBPR = Scorer(Tables(torch.tensor([[1.0, -0.5]]).expand(16, 2), AOBPR_ITEMS))


@pytest.mark.parametrize(
    ("rank", "law", "close"),
    [
        (0.5, [0, 0.207015, 0.459559, 0.125035, 0.208391], 2e-6),  # p = 0.4: a mean rank of 2.5 of 5 items
        (1e-9, [0, 0, 1, 0, 0], 1e-5),
    ],
)
def test_aobpr_ranks_among_the_unseen_and_ends_with_the_last(rank, law, close):
    sampler = make("aobpr", DATA, rank=rank)
    sampler.before_epoch(1, AOBPR, np.random.default_rng(0))
    np.testing.assert_allclose(law_of(sampler, DATA, torch.tensor([0]), AOBPR)[0], law, atol=close)
    np.testing.assert_allclose(shares(drawn("aobpr", scorer=AOBPR, rank=rank).items), law, atol=CLOSE)


def test_aobpr_rank_is_a_share_of_the_catalogue():
    """The law of the first of many unseen items is p = 1 / (rank · I), whatever I is."""
    for size in (200, 1000):
        none = Training(Interactions(np.zeros(1, np.int32), np.full(1, size - 1, np.int32), 2, size))
        scorer = Scorer(Tables(torch.ones(2, 1), torch.arange(size, 0.0, -1.0).unsqueeze(1)))
        sampler = make("aobpr", none, rank=0.05)
        sampler.before_epoch(1, scorer, np.random.default_rng(0))
        law = law_of(sampler, none, torch.tensor([1]), scorer)[0]
        assert law[0] == pytest.approx(1 / (0.05 * size), rel=1e-3)
        assert law @ np.arange(1, size + 1) == pytest.approx(0.05 * size, rel=1e-3)
