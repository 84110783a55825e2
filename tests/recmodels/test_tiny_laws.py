"""Five items, one user: laws worked out by hand from the papers and the authors' code, met by many draws."""

import numpy as np
import pytest
import torch

from datasets import Interactions
from recmodels.contracts.small import law_of, make
from recmodels.samplers.static import Uniform, Weighted
from recmodels.sampling import Scorer, Training
from recmodels.types import Batch, Candidates, Tables

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


PROPOSED = torch.tensor([1, 2, 3, 2])


@pytest.mark.parametrize(
    ("proposal", "law"),
    [
        ("uniform", [0, 0.221211, 0.364715 + 0.364715, 0.049359, 0]),
        ("popularity:alpha=1.0", [0, 0.117822, 2 * 0.38851, 0.105158, 0]),
    ],
)
def test_adasir_resamples_what_was_drawn_with_replacement(proposal, law, monkeypatch):
    for source in (Uniform, Weighted):
        monkeypatch.setattr(
            source, "draw", lambda self, batch, *rest: Candidates(PROPOSED.expand(len(batch.users), -1).clone())
        )
    sampler = make("adasir", DATA, proposal=proposal, pool=200_000, draws=4)
    sampler.before_epoch(1, model(), np.random.default_rng(3))
    np.testing.assert_allclose(shares(torch.from_numpy(sampler.state["lists"][0])), law, atol=CLOSE)


def test_adasir_from_popularity_is_uniform_where_scores_are_equal():
    sampler = make("adasir", DATA, proposal="popularity:alpha=1.0", pool=50, draws=20_000)
    sampler.before_epoch(1, model([0.0] * 5), np.random.default_rng(3))
    pools = np.asarray(sampler.state["lists"])[0]
    many = [pools]
    for seed in range(200):
        sampler.before_epoch(1, model([0.0] * 5), np.random.default_rng(seed))
        many.append(np.asarray(sampler.state["lists"])[0])
    np.testing.assert_allclose(shares(torch.from_numpy(np.stack(many))), [0, 0.25, 0.25, 0.25, 0.25], atol=0.02)


def test_adasir_later_pools_are_drawn_from_the_old_and_the_new(monkeypatch):
    """Uniformly and with replacement: of 50, a binomial number is old, and not 25 for certain."""
    users = 4000
    data = Training(Interactions(np.arange(users, dtype=np.int32), np.zeros(users, np.int32), users, 3))
    scorer, sampler = Scorer(Tables(torch.ones(users, 1), torch.zeros(3, 1))), make("adasir", data)
    for epoch, item in ((1, 1), (2, 2)):
        monkeypatch.setattr(
            Uniform, "draw", lambda self, b, n, *rest, item=item: Candidates(torch.full((len(b.users), n), item))
        )
        sampler.before_epoch(epoch, scorer, np.random.default_rng(epoch))
    assert sampler.state["lists"].shape == (users, 50)  # published: 50 of 200
    old = (np.asarray(sampler.state["lists"]) == 1).sum(axis=1)
    assert old.mean() == pytest.approx(25, abs=0.25)
    assert old.var() == pytest.approx(12.5, rel=0.1)


@pytest.mark.parametrize(
    ("temperature", "inclusion"), [(1.0, [0.946615, 0.755272, 0.298114]), (10.0, [0.707648, 0.667775, 0.624577])]
)
def test_srns_memory_keeps_different_items_by_their_score(temperature, inclusion):
    """Two of three unseen items, without replacement by exp(s / τ), however often each was drawn."""
    users = 20_000
    data = Training(Interactions(np.arange(users, dtype=np.int32), np.zeros(users, np.int32), users, 4))
    scorer = Scorer(Tables(torch.ones(users, 1), torch.tensor([[5.0], [2.0], [1.0], [0.0]])))
    sampler = make("srns", data, memory=2, draws=60, temperature=temperature)
    for epoch in (1, 2):
        sampler.before_epoch(epoch, scorer, np.random.default_rng(epoch))
        kept = np.asarray(sampler.state["lists"])
        assert (kept[:, 0] != kept[:, 1]).all()
        np.testing.assert_allclose(2 * np.bincount(kept.ravel())[1:] / kept.size, inclusion, atol=0.015)


def test_srns_picks_by_likelihood_and_by_its_spread():
    """A positive of score 1 and three items in the memory; the model of five earlier epochs is remembered."""
    past = [[-2.0, 2.0, -1.0], [3.0, 1.0, -1.0], [0.0, 0.0, -1.0], [2.0, 1.0, 1.0], [-1.0, 2.0, -3.0]]
    positives, now = [0.0, 1.0, 1.0, 0.0, 1.0], torch.tensor([[1.0], [1.3], [1.5], [-0.5]])
    data = Training(Interactions(np.zeros(1, np.int32), np.zeros(1, np.int32), 1, 4))
    batch = Batch(torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64))
    for alpha, best in ((0.0, 2), (5.0, 1)):
        sampler = make("srns", data, memory=3, draws=60, alpha=alpha)
        for epoch, (own, others) in enumerate(zip(positives, past, strict=True), start=21):
            table = torch.tensor([own, *others]).unsqueeze(1)
            sampler.state.setdefault("lists", np.array([[1, 2, 3]]))
            sampler.before_epoch(epoch, Scorer(Tables(torch.ones(1, 1), table)), np.random.default_rng(0))
        assert float(sampler.state["weight"]) == pytest.approx(alpha / 2)  # epoch 25 of 50
        scorer = Scorer(Tables(torch.ones(1, 1), now))
        pool = sampler.propose(batch, 1, np.random.default_rng(0), scorer)
        assert sorted(pool.items[0].tolist()) == [1, 2, 3]
        assert sampler.choose(batch, pool, 1, np.random.default_rng(0), scorer).items.tolist() == [[best]]


FOUR = [3.0, 0.5, 1.0, -1.0, 0.0]  # of which the negatives 1, 2, 3 are looked at


def weights_of(name, scorer, valid=None, **parameters):
    """The weights (3,) of the negatives 1, 2, 3 of user 0, whose positive is item 0."""
    batch = Batch(torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64))
    pool = Candidates(torch.tensor([[1, 2, 3]]), valid=valid)
    return make(name, DATA, **parameters).choose(batch, pool, 3, np.random.default_rng(0), scorer).weight[0].numpy()


@pytest.mark.parametrize(
    ("scale", "weights"),
    [
        (0.0, [0.333333, 0.333333, 0.333333]),
        (1.0, [0.348207, 0.574097, 0.077696]),
        (None, [0.348207, 0.574097, 0.077696]),
        (2.0, [0.265388, 0.721399, 0.013213]),
    ],
)
def test_self_adversarial_weights(scale, weights):
    np.testing.assert_allclose(weights_of("self-adversarial", model(FOUR), scale=scale), weights, atol=1e-6)
    masked = weights_of("self-adversarial", model(FOUR), valid=torch.tensor([[True, True, False]]), scale=scale)
    kept = np.array(weights[:2]) / sum(weights[:2])  # what is masked has no part in the sum either
    np.testing.assert_allclose(masked, [*kept, 0], atol=2e-6)


def in_plane(cosines, space):
    """A model whose cosines with user 0 are as given; all vectors have a length of 3."""
    angles = torch.arccos(torch.tensor(cosines))
    items = 3 * torch.stack([angles.cos(), angles.sin()], dim=1)
    return Scorer(Tables(torch.tensor([[3.0, 0.0]]).expand(16, 2), items), space)


@pytest.mark.parametrize("space", ["cosine", "half-cosine"])
def test_weights_on_cosines_are_those_of_a_temperature_of_a_fifth(space):
    """And not nearly equal, as those of cosines at a scale of 1 are."""
    cosines = np.array([0.5, 1.0, -1.0])
    expected = np.exp(cosines / 0.2) / np.exp(cosines / 0.2).sum()
    scorer = in_plane([0.9, 0.5, 1.0, -1.0, 0.0], space)
    np.testing.assert_allclose(weights_of("self-adversarial", scorer), expected, atol=1e-5)
    z = np.log1p(np.exp((cosines - 0.9) / 0.2))
    expected = np.exp(z / np.sqrt(z.var() / 2))
    np.testing.assert_allclose(weights_of("softmax-rho", scorer), expected / expected.sum(), atol=1e-4)


def test_softmax_rho_on_dot_products():
    z = np.log1p(np.exp(np.array([0.5, 1.0, -1.0]) - 3))
    expected = np.exp(z / np.sqrt(z.var() / 2))
    np.testing.assert_allclose(weights_of("softmax-rho", model(FOUR)), expected / expected.sum(), atol=1e-4)
