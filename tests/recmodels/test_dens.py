"""Disentangled negative sampling, against its rule and loss in words as few as possible."""

import numpy as np
import pytest
import torch

from recmodels.samplers.gates import Gates, contrast
from recmodels.sampling import Training
from recmodels.types import Candidates, Vectors
from tests.sampler_cases import D, N, batch_of, make, scorer, training

DATA = training()


def started(epoch=1, **parameters):
    sampler = make("dens", DATA, warm_up=1.0, **parameters)
    sampler.before_epoch(1, scorer(), np.random.default_rng(7))
    if epoch > 1:
        sampler.before_epoch(epoch, scorer(), np.random.default_rng(7))
    return sampler


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def weights(sampler):
    return Gates(*(sampler.state[f"gate_{name}"].double().numpy().copy() for name in Gates._fields))


def gated(u, p, n, g):
    """Relevant parts of the positive and of the negatives (N, D)."""
    p_r = p * sigmoid(g.item @ p + g.user @ u + g.bias)
    return p_r, n * sigmoid(n @ g.negative.T + g.positive @ p_r + g.bias_negative)


def loss(u, p, n, g):
    p_r, n_r = gated(u, p, n, g)
    relevant, rest, other, other_rest = u @ p_r, u @ (p - p_r), n_r @ u, (n - n_r) @ u
    gaps = [[rest - relevant], other - other_rest, other - relevant, rest - other_rest]
    return sum(np.log1p(np.exp(gap).sum()) for gap in gaps)


@pytest.mark.parametrize("epoch", [1, 31, 101])
def test_takes_what_is_hard_by_its_irrelevant_part(epoch):
    sampler, model, rng = started(epoch, pool=5), scorer(), np.random.default_rng(0)
    batch = batch_of(DATA, size=48)
    drawn = sampler.propose(batch, N, rng, model)
    chosen = sampler.choose(batch, drawn, N, rng, model)
    users, items = (table.double().numpy() for table in model.tables[:2])
    gates, kept = weights(sampler), 1 - min(1, (epoch - 1) / 100)
    for row in np.flatnonzero(batch.users > 1):
        u, group = users[batch.users[row]], drawn.items[row].numpy()
        n = items[group]
        _, n_r = gated(u, items[batch.positives[row]], n, gates)
        best = ((kept * n - n_r) @ u).reshape(N, 5).argmax(axis=1)
        assert chosen.items[row].tolist() == group.reshape(N, 5)[np.arange(N), best].tolist()


@pytest.mark.parametrize(("epoch", "sign"), [(1, 1), (41, 1), (61, -1), (101, -1)])
def test_gates_of_zero_are_dns_and_later_its_reverse(epoch, sign):
    sampler = started(epoch, pool=5)
    for name in Gates._fields:
        sampler.state[f"gate_{name}"].zero_()
    model, batch = scorer(), batch_of(DATA, size=48)
    drawn = sampler.propose(batch, N, np.random.default_rng(0), model)
    chosen = sampler.choose(batch, drawn, N, np.random.default_rng(0), model)
    best = (sign * model.scores(batch.users, drawn.items)).view(48, N, 5).argmax(dim=2, keepdim=True)
    rows = batch.users > 1
    assert torch.equal(chosen.items[rows], drawn.items.view(48, N, 5).gather(2, best).squeeze(2)[rows])


def test_the_loss_of_the_gates_by_hand_with_masked_negatives_left_out():
    sampler, model, batch = started(), scorer(), batch_of(DATA, size=8)
    rng = np.random.default_rng(1)
    items = torch.from_numpy(rng.integers(40, size=(8, 5)))
    valid = torch.from_numpy(rng.random((8, 5)) < 0.6)
    valid[0] = False
    users, table = (part.double() for part in model.tables[:2])
    gates = weights(sampler)
    found = contrast(
        Vectors(users[batch.users], table[batch.positives], table[items]), Gates(*map(torch.from_numpy, gates)), valid
    )
    for row in range(8):
        n = table[items[row][valid[row]]].numpy().reshape(-1, D)
        expected = loss(users[batch.users[row]].numpy(), table[batch.positives[row]].numpy(), n, gates)
        assert float(found[row]) == pytest.approx(expected, rel=1e-6)


def test_each_step_takes_every_gate_down_the_loss():
    """The first step of Adam moves each number by the rate, against the sign of its derivative."""
    sampler, model, batch = started(rate=1e-3), scorer(), batch_of(DATA, size=6)
    items = torch.from_numpy(np.random.default_rng(1).integers(40, size=(6, 3)))
    users, table = (part.double().numpy() for part in model.tables[:2])
    before = weights(sampler)

    def mean(gates):
        rows = zip(batch.users.tolist(), batch.positives.tolist(), items.tolist(), strict=True)
        return np.mean([loss(users[u], table[p], table[n], gates) for u, p, n in rows])

    sampler.after_step(batch, Candidates(items), model)
    after = weights(sampler)
    for name in Gates._fields:
        at = (1, 2) if getattr(before, name).ndim == 2 else (2,)
        bent = getattr(before, name).copy()
        bent[at] += 1e-5
        slope = (mean(before._replace(**{name: bent})) - mean(before)) / 1e-5
        moved = getattr(after, name)[at] - getattr(before, name)[at]
        assert moved == pytest.approx(-1e-3 * np.sign(slope), rel=1e-2), name
    for _ in range(300):
        sampler.after_step(batch, Candidates(items), model)
    assert mean(weights(sampler)) < mean(after) < mean(before)


def test_the_schedule_is_a_share_of_the_epochs():
    sampler = make("dens", Training(DATA.interactions, epochs=40), warm_up=0.5)
    shares = []
    for epoch in (1, 6, 21, 30):
        sampler.before_epoch(epoch, scorer(), np.random.default_rng(0))
        shares.append(float(sampler.state["done"]))
    assert shares == [0, 0.25, 1, 1]
    assert sampler.settles == 0.5
