"""Samplers that keep a list of candidate items for every user, each against its definition written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.sampler_cases import (
    DATA,
    N_ITEMS,
    U,
    batch_of,
    make,
    of_epochs,
    scorer,
)


def test_ance_lists_the_top_of_the_unseen():
    sampler, model = make("ance", DATA, depth=5, share=1.0, every=2), scorer()
    sampler.before_epoch(1, model, np.random.default_rng(0))
    scores = model.all(torch.arange(U)).masked_fill(
        torch.from_numpy(DATA.seen.contains(np.arange(U)[:, None], np.arange(N_ITEMS))), -torch.inf
    )
    top = scores.topk(5, dim=1).indices
    batch = batch_of(DATA, size=64)
    drawn = sampler.propose(batch, 50, np.random.default_rng(0), model)
    for row in np.flatnonzero(batch.users > 1):
        assert set(drawn.items[row].tolist()) == set(top[batch.users[row]].tolist())
    stale = sampler.state["top"]
    sampler.before_epoch(2, scorer(5), np.random.default_rng(0))
    assert sampler.state["top"] is stale
    sampler.before_epoch(3, scorer(5), np.random.default_rng(0))
    assert not np.array_equal(sampler.state["top"], stale)


def test_adasir_pools_lean_towards_high_scores():
    sampler, rng, model = make("adasir", DATA, pool=20), np.random.default_rng(0), scorer(scale=1.5)
    sampler.before_epoch(1, model, rng)
    sampler.before_epoch(2, model, rng)
    lists, scores = np.asarray(sampler.state["lists"]), model.all(torch.arange(U)).numpy()
    unseen = ~DATA.seen.contains(np.arange(U)[:, None], np.arange(N_ITEMS))
    assert np.mean([scores[u, lists[u]].mean() - scores[u, unseen[u]].mean() for u in range(2, U)]) > 1
    drawn = sampler.propose(batch_of(DATA), 500, rng, model)
    for row, user in enumerate(batch_of(DATA).users.tolist()):
        assert set(drawn.items[row].tolist()) == set(lists[user].tolist())


def test_srns_takes_high_and_unsteady_scores():
    parameters = {"memory": 12, "draws": 24, "alpha": 3.0, "warm_up": 0.01}
    sampler, rng = make("srns", DATA, **parameters), np.random.default_rng(0)
    models = [scorer(s) for s in range(7)]
    for epoch, model in enumerate(models, start=1):
        sampler.before_epoch(epoch, model, rng)
    assert sampler.state["past_users"].shape[0] == 5
    batch = batch_of(DATA, size=40)
    pool = sampler.propose(batch, 3, rng, models[-1])
    assert torch.equal(pool.items, torch.from_numpy(sampler.state["lists"].astype(np.int64))[batch.users])
    chosen = sampler.choose(batch, pool, 3, rng, models[-1])

    def chance(model):
        scores = model.all(batch.users)
        return torch.sigmoid(scores.gather(1, pool.items) - scores.gather(1, batch.positives[:, None]))

    value = chance(models[-1]) + 3.0 * torch.stack([chance(m) for m in models[-5:]]).std(dim=0, correction=0)
    expected = pool.items.gather(1, value.topk(3, dim=1).indices)
    rows = batch.users > 1
    assert torch.equal(chosen.items[rows], expected[rows])


@pytest.mark.parametrize(("epochs", "at"), [(100, (1, 25, 50, 80)), (20, (1, 5, 10, 16))])
def test_srns_variance_counts_from_epoch_to_epoch(epochs, at):
    """50 epochs of warm-up are published; they are half of the default 100, whatever `epochs` says."""
    sampler = make("srns", of_epochs(epochs))
    weights = []
    for epoch in at:
        sampler.before_epoch(epoch, scorer(), np.random.default_rng(0))
        weights.append(float(sampler.state["weight"]))
    assert weights == pytest.approx([5 / (epochs / 2), 2.5, 5.0, 5.0])
    assert sampler.settles == 0.5
