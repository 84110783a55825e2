"""Samplers that reuse the positives of other rows, or of earlier batches, each against its definition written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recmodels.samplers import SAMPLERS
from recmodels.sampling import Scorer
from recmodels.scoring import batch_scores
from recmodels.types import Batch, Candidates, Tables
from tests.recmodels.test_sequences import ITEMS as CATALOGUE
from tests.recmodels.test_sequences import USERS as PEOPLE
from tests.recmodels.test_sequences import built
from tests.recmodels.test_sequences import data as sequence_data
from tests.sampler_cases import (
    DATA,
    N_ITEMS,
    batch_of,
    draw,
    make,
    same,
    scorer,
)


def test_mixed_without_uniform_part_is_in_batch():
    mixed, inbatch = draw("mixed", uniform=0.0), draw("inbatch")
    assert same(mixed, inbatch)
    assert torch.equal(mixed[1].valid, inbatch[1].valid)


def test_in_batch_masks_and_duplicates():
    batch, drawn = draw("inbatch", n=None, mask="none", dedup=False, size=200)
    assert torch.equal(drawn.valid, ~torch.eye(200, dtype=torch.bool))
    _, same_item = draw("inbatch", n=None, mask="same-item", size=200)
    assert torch.equal(same_item.valid, drawn.items != batch.positives[:, None])
    _, seen = draw("inbatch", n=None, size=200)
    other = ~DATA.seen.contains(batch.users.numpy()[:, None], batch.positives.numpy())
    assert torch.equal(seen.valid, torch.from_numpy(other))
    assert int(seen.valid.sum()) < int(same_item.valid.sum()) < int(drawn.valid.sum())
    _, once = draw("inbatch", n=None, dedup=True, size=200)
    for row in range(200):
        kept = once.items[once.valid[row]].tolist()
        assert sorted(kept) == sorted(set(seen.items[seen.valid[row]].tolist()))


def test_in_batch_takes_each_other_row_once():
    batch, drawn = draw("inbatch", n=63, mask="none", size=64)
    for row in range(64):
        others = torch.cat([batch.positives[:row], batch.positives[row + 1 :]])
        assert torch.equal(drawn.items[row].sort().values, others.sort().values)


@pytest.mark.parametrize("pool", ["all", 63, 200])
def test_hard_in_batch_takes_the_top_of_the_batch(pool):
    batch, drawn = draw("hard-inbatch", n=3, pool=pool)
    scores = scorer().all(batch.users)
    for row in np.flatnonzero(batch.users > 1):
        allowed = {i for i in batch.positives.tolist() if not DATA.seen.contains(batch.users.numpy()[row], np.array(i))}
        top = sorted(allowed, key=lambda i: -scores[row, i])[:3]
        assert drawn.items[row][drawn.valid[row]].tolist() == top


def test_mixed_shares():
    batch, drawn = draw("mixed", n=None, uniform=0.5, size=100)
    assert drawn.items.shape == (200,)
    assert torch.equal(drawn.items[:100], batch.positives)
    _, drawn = draw("mixed", n=8, uniform=0.25, mask="none")
    assert set(drawn.items[:, :6].ravel().tolist()) <= set(batch_of(DATA, size=64).positives.tolist())
    odd = [
        int((~torch.isin(draw("mixed", n=5, seed=s, size=2)[1].items[0, 2:4], torch.tensor([]))).sum()) for s in (1, 2)
    ]
    assert odd == [2, 2]


@pytest.mark.parametrize("mode", ["ids", "frozen"])
def test_memory_is_first_in_first_out(mode):
    parameters = {"mode": mode, "capacity": 80, "mask": "none", "warm_up": 0.0}
    sampler, rng = make("memory", DATA, **parameters), np.random.default_rng(0)
    batches = [batch_of(DATA, seed=s, size=32) for s in range(4)]
    for age, batch in enumerate(batches):
        sampler.after_step(batch, None, scorer(age))
    expected = torch.cat([b.positives for b in reversed(batches)])[:80]
    assert sampler.state["items"].tolist() == expected.tolist()
    batch = batch_of(DATA, seed=9, size=16)
    drawn = sampler.propose(batch, None, rng, scorer(7))
    assert drawn.items.tolist() == torch.cat([batch.positives, expected]).tolist()
    if mode == "ids":
        assert drawn.vectors is None
        return
    stale = torch.cat([scorer(age).tables.items[b.positives] for age, b in reversed(list(enumerate(batches)))])[:80]
    assert torch.equal(drawn.vectors, stale)
    some = sampler.propose(batch, 12, rng, scorer(7))
    assert some.items.shape == (16, 12)
    assert some.vectors.shape == (16, 10, stale.shape[1])  # 12 · 80 / (16 + 80)
    known = {(i, tuple(v.tolist())) for i, v in zip(expected.tolist(), stale, strict=True)}
    stood = zip(some.items[:, 2:].ravel(), some.vectors.flatten(0, 1), strict=True)
    assert {(int(i), tuple(v.tolist())) for i, v in stood} <= known
    assert set(some.items[:, :2].ravel().tolist()) <= set(batch.positives.tolist())


def test_memory_columns_of_four_steps():
    """Batches 01, 21, 34, 02 and five places: the batch first, then the memory from the newest on."""
    sampler, columns = make("memory", DATA, mode="frozen", capacity=5, mask="none", warm_up=0.0), []
    for items in ([0, 1], [2, 1], [3, 4], [0, 2]):
        batch = Batch(torch.tensor([3, 4]), torch.tensor(items))
        columns.append(sampler.propose(batch, None, np.random.default_rng(0), scorer()).items.tolist())
        sampler.after_step(batch, None, scorer())
    assert columns == [[0, 1], [2, 1, 0, 1], [3, 4, 2, 1, 0, 1], [0, 2, 3, 4, 2, 1, 0]]


@pytest.mark.parametrize("n", [None, 7])
def test_memory_without_a_memory_is_in_batch(n):
    def steps(name, **parameters):
        sampler, rng = make(name, DATA, **parameters), np.random.Generator(np.random.SFC64(3))
        found = []
        for epoch in (1, 5, 6):
            if sampler.before_epoch is not None:
                sampler.before_epoch(epoch, scorer(), rng)
            batch = batch_of(DATA, seed=epoch)
            found.append(sampler.propose(batch, n, rng, scorer()))
            if sampler.after_step is not None:
                sampler.after_step(batch, None, scorer())
        return found

    plain = steps("inbatch")
    for parameters in ({"capacity": 0}, {"mode": "frozen", "capacity": 0}, {"mode": "frozen"}):
        for epoch, (a, b) in enumerate(zip(plain, steps("memory", **parameters), strict=True)):
            if parameters == {"mode": "frozen"} and epoch == 2:  # 5 of 100 epochs are over
                assert b.vectors is not None
                continue
            assert torch.equal(a.items, b.items)
            assert torch.equal(a.valid, b.valid)
            assert b.vectors is None
    assert (make("memory", DATA, mode="frozen").settles, make("memory", DATA).settles) == (0.05, 0.0)


@pytest.mark.parametrize("n", [None, 12])
def test_frozen_memory_is_ids_while_vectors_stand_still_and_learns_from_the_batch_alone(n):
    gradients, scores = [], []
    batch, model = batch_of(DATA, seed=1, size=16), scorer()
    for mode in ("ids", "frozen"):
        sampler, rng = make("memory", DATA, mode=mode, capacity=80, warm_up=0.0), np.random.default_rng(0)
        for seed in range(5):
            sampler.after_step(batch_of(DATA, seed=seed), None, model)
        drawn = sampler.propose(batch, n, rng, model)
        items = model.tables.items.clone().requires_grad_()
        _, negative = batch_scores(Tables(model.tables.users, items), batch, drawn)
        negative.sum().backward()
        gradients.append(items.grad)
        scores.append(negative.detach())
    torch.testing.assert_close(scores[0], scores[1])
    ids, users = drawn.items.expand(16, -1), model.tables.users[batch.users]
    expected = torch.zeros(N_ITEMS, users.shape[1])
    for row in range(16):
        for item in ids[row, : 16 if n is None else 2].tolist():  # 12 · 16 / 96
            expected[item] += users[row]
    torch.testing.assert_close(gradients[1], expected)
    assert not torch.allclose(gradients[0], gradients[1])


def test_memory_never_takes_the_row_itself():
    batch, drawn = draw("memory", n=4000, mask="none", size=3)
    for row in range(3):
        assert set(drawn.items[row].tolist()) == set(batch.positives.tolist()) - (
            set() if (batch.positives == batch.positives[row]).sum() > 1 else {int(batch.positives[row])}
        )
    assert drawn.valid.all()


@pytest.mark.parametrize("name", ["inbatch", "mixed:uniform=0.25", "memory:capacity=6"])
def test_the_law_of_a_batch_leaves_out_the_rows_of_the_own_sequence(name: str) -> None:
    """Of B - 1 other rows B - L are of other sequences; a mixture draws from them, a memory adds what it remembers."""
    training = sequence_data()
    built("sasrec", training)
    entry, _, option = name.partition(":")
    sampler = SAMPLERS[entry](training, **SAMPLERS.parameters(entry, dict([option.split("=")]) if option else {}))
    users, items = torch.tensor([5, 5, 5, 2, 2, 6]), torch.tensor([[3, 8]]).expand(6, 2)
    batch = Batch(users, torch.tensor([1, 2, 3, 4, 5, 6]), torch.arange(6))
    share = np.array([(6 - users.tolist().count(user)) / 5 for user in users.tolist()])[:, None]
    if entry == "memory":
        sampler.state["items"] = np.array([1, 2, 3, 4])
        share = (5 * share + 4) / 9
    scorer = Scorer(Tables(torch.zeros(PEOPLE, 1), torch.zeros(CATALOGUE, 1)))
    law = training.positive_law[[3, 8]] * share
    if entry == "mixed":
        law = 0.75 * law + 0.25 / CATALOGUE
    found = sampler.with_law(batch, Candidates(items), scorer)
    assert found.log_q is not None
    assert found.log_q_positive is not None
    np.testing.assert_allclose(found.log_q.exp(), law, rtol=1e-5)
    own = training.positive_law[[1, 2, 3, 4, 5, 6]] * share[:, 0]
    own = 0.75 * own + 0.25 / CATALOGUE if entry == "mixed" else own
    np.testing.assert_allclose(found.log_q_positive.exp(), own, rtol=1e-5)
