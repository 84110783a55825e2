"""Samplers that choose by score from a pool of draws, each against its definition written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recmodels.sampling import Scorer
from recmodels.scoring import batch_scores
from tests.loss_cases import (
    changed,
    example,
    value,
)
from tests.sampler_cases import (
    DATA,
    N_ITEMS,
    N,
    batch_of,
    draw,
    make,
    of_epochs,
    pooled,
    same,
    scorer,
    training,
)


def test_dns_takes_the_highest_of_each_group():
    batch, drawn, chosen, model = pooled("dns", pool=5)
    scores = model.all(batch.users)
    for row in np.flatnonzero(batch.users > 1):
        for column in range(N):
            group = drawn.items[row, 5 * column : 5 * column + 5]
            assert chosen.items[row, column] == max(group.tolist(), key=lambda i: scores[row, i])


def test_dns_gives_ids_of_the_highest_scores_to_the_loss() -> None:
    """RecStudio subtracts what torch.max(scores, dim) returns, a pair of values and places, and cannot run."""
    data, model = training(), scorer()
    sampler, batch = make("dns", data, pool=5), batch_of(data, rows=np.flatnonzero(data.interactions.users > 1)[:16])
    drawn = sampler.propose(batch, N, np.random.default_rng(1), model)
    chosen = sampler.choose(batch, drawn, N, np.random.default_rng(1), model)
    assert chosen.items.dtype == torch.int64
    assert chosen.items.shape == (16, N)
    positive, negative = batch_scores(model.tables, batch, chosen)
    highest = model.scores(batch.users, drawn.items).view(16, N, 5).amax(dim=2)
    torch.testing.assert_close(negative, highest)
    _, x = example("bpr", 16, N, dtype=torch.float32)
    expected = torch.nn.functional.softplus(highest - positive[:, None]).mean(dim=1)
    torch.testing.assert_close(value("bpr", changed(x, positive=positive, negative=negative)), expected)


@pytest.mark.parametrize("keep", [None, 12])
def test_dns_mn_readings(keep):
    batch, drawn, chosen, model = pooled("dns-mn", pool=24, keep=keep)
    scores = model.all(batch.users)
    for row in np.flatnonzero(batch.users > 1):
        ranked = sorted(drawn.items[row].tolist(), key=lambda i: -scores[row, i])
        if keep is None:
            assert sorted(chosen.items[row].tolist()) == sorted(ranked[:N])
        else:
            rest = list(ranked[:keep])
            for item in chosen.items[row].tolist():
                rest.remove(item)  # each from the top 12, none more often than it is there
    if keep is not None:
        assert not torch.equal(chosen.items.sort(dim=1).values, draw("dns-mn", pool=24)[1].items.sort(dim=1).values)


@pytest.mark.parametrize("wrong", [{"pool": 4}, {"pool": 20, "keep": 4}, {"pool": 20, "keep": 21}])
def test_dns_mn_refuses_what_it_cannot_keep(wrong):
    with pytest.raises(ValueError, match="dns-mn: negatives=8 <= keep"):
        draw("dns-mn", **wrong)


def test_curriculum_starts_as_dns():
    assert same(draw("curriculum", epoch=1, pool=6), draw("dns", pool=6))


@pytest.mark.parametrize(("epochs", "last"), [(100, 20), (50, 10), (400, 80), (3, 1)])
def test_curriculum_is_uniform_from_a_share_of_the_epochs(epochs, last):
    """The pool falls from 16 at epoch 1 to 1 at epoch `last`, and stays there."""
    sampler = make("curriculum", of_epochs(epochs))
    sizes = []
    for epoch in range(1, last + 3):
        sampler.before_epoch(epoch, scorer(), np.random.default_rng(0))
        sizes.append(sampler.pool(1))
    assert sizes[-3:] == [1, 1, 1]
    assert sizes == [round(16 - 15 * min(1, step / (last - 1) if last > 1 else 1)) for step in range(last + 2)]
    assert sampler.settles == 0.2


def test_ahns_by_hand():
    batch, drawn, chosen, model = pooled("ahns", pool=4, alpha=0.5, beta=0.9)
    positive = model.positives(batch)
    scores = model.all(batch.users)
    for row in np.flatnonzero(batch.users > 1):
        target = 0.9 * max(float(positive[row]) + 0.5, 1e-6) ** -1
        for column in range(N):
            group = drawn.items[row, 4 * column : 4 * column + 4].tolist()
            gaps = [abs(float(scores[row, i]) - target) for i in group]
            best = abs(float(scores[row, chosen.items[row, column]]) - target)
            assert best == pytest.approx(min(gaps), rel=1e-5)
    batch, drawn, chosen, model = pooled("ahns", pool=4, beta=0.0)
    smallest = model.scores(batch.users, drawn.items).abs().view(64, N, 4).amin(dim=2)
    rows = batch.users > 1
    torch.testing.assert_close(model.scores(batch.users, chosen.items).abs()[rows], smallest[rows])


def test_bns_by_hand():
    batch, drawn, chosen, model = pooled("bns", pool=4, reference="all", weight=2.0)
    prior = DATA.counts / DATA.counts.sum()
    scores, positive = model.all(batch.users).double().numpy(), model.positives(batch).double().numpy()
    for row in np.flatnonzero(batch.users > 1):
        unseen = scores[row][~DATA.seen.contains(batch.users.numpy()[row], np.arange(N_ITEMS))]

        def risk(item, row=row, unseen=unseen):
            below, p = (unseen <= scores[row, item]).mean(), prior[item]
            unbias = (1 - below) * (1 - p) / (1 - below - p + 2 * below * p)
            info = 1 / (1 + np.exp(positive[row] - scores[row, item]))
            return info * (1 - 3.0 * unbias)

        for column in range(N):
            group = drawn.items[row, 4 * column : 4 * column + 4].tolist()
            assert risk(int(chosen.items[row, column])) == pytest.approx(min(map(risk, group)), rel=1e-4)


def test_bns_estimates_the_distribution_from_a_sample():
    exact, sampled = draw("bns", reference="all"), draw("bns", reference=30)
    assert 0.5 < (exact[1].items == sampled[1].items).double().mean() < 1


@pytest.mark.parametrize("space", ["dot", "cosine", "half-cosine", "distance"])
def test_mixgcf_mixes_and_chooses_by_the_mixed_vector(space):
    model = Scorer(scorer().tables, space)
    batch, rng = batch_of(DATA, size=64), np.random.Generator(np.random.SFC64(4))
    sampler = make("mixgcf", DATA, pool=6)
    drawn = sampler.propose(batch, N, rng, model)
    chosen = sampler.choose(batch, drawn, N, rng, model)
    assert chosen.mix.shape == chosen.items.shape
    assert 0 <= float(chosen.mix.min()) < float(chosen.mix.max()) < 1
    rng = np.random.Generator(np.random.SFC64(4))
    sampler.propose(batch, N, rng, model)
    share = torch.from_numpy(rng.random((64, N * 6), dtype=np.float32))
    users, items, _ = model.tables
    vectors = share[..., None] * items[batch.positives][:, None] + (1 - share[..., None]) * items[drawn.items]
    mine = users[batch.users][:, None]
    scores = {
        "dot": lambda: (vectors * mine).sum(dim=2),
        "cosine": lambda: torch.cosine_similarity(vectors, mine, dim=2),
        "half-cosine": lambda: torch.cosine_similarity(vectors, mine, dim=2),
        "distance": lambda: -(vectors - mine).square().sum(dim=2),
    }[space]()
    best = scores.view(64, N, 6).argmax(dim=2, keepdim=True)
    rows = batch.users > 1
    assert torch.equal(chosen.items[rows], drawn.items.view(64, N, 6).gather(2, best).squeeze(2)[rows])
    assert torch.equal(chosen.mix[rows], share.view(64, N, 6).gather(2, best).squeeze(2)[rows])
