"""What tells each method from the others: identities, brute force, and that it is not uniform by another name."""

from functools import partial

import numpy as np
import pytest
import torch

from recmodels.losses import LOSSES
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Scorer, Training
from recmodels.scoring import batch_scores
from recmodels.types import Batch, LossInput, Tables
from tests.sampler_cases import N_ITEMS, N, U, batch_of, law_of, make, run, scorer, training

DATA = training()


def of_epochs(epochs):
    return Training(DATA.interactions, epochs=epochs)


def draw(name, seed=4, n=N, size=64, model=None, epoch=1, data=DATA, **parameters):
    sampler, rng = make(name, data, **parameters), np.random.Generator(np.random.SFC64(seed))
    model = model or scorer()
    if sampler.before_epoch is not None:
        sampler.before_epoch(epoch, model, np.random.default_rng(0))
    batch = batch_of(data, size=size)
    return batch, sampler.choose(batch, sampler.propose(batch, n, rng, model), n, rng, model)


def same(a, b):
    return torch.equal(a[1].items, b[1].items)


# identities


def test_identities_with_uniform():
    uniform = draw("uniform")
    assert same(draw("dns", pool=1), uniform)
    assert same(draw("ahns", pool=1), uniform)
    assert same(draw("bns", pool=1), uniform)
    assert same(draw("curriculum", epoch=20), uniform)
    assert same(draw("curriculum", epoch=99), uniform)
    assert same(draw("self-adversarial"), uniform)
    assert same(draw("pris", proposal="uniform"), uniform)
    assert same(draw("ance", share=0.0), uniform)
    every = draw("dns-mn", pool=N)[1].items
    assert torch.equal(every.sort(dim=1).values, uniform[1].items.sort(dim=1).values)
    assert not same(draw("curriculum", epoch=1), uniform)


def test_curriculum_starts_as_dns():
    assert same(draw("curriculum", epoch=1, pool=6), draw("dns", pool=6))


def test_mixed_without_uniform_part_is_in_batch():
    mixed, inbatch = draw("mixed", uniform=0.0), draw("inbatch")
    assert same(mixed, inbatch)
    assert torch.equal(mixed[1].valid, inbatch[1].valid)


def test_laws_that_become_uniform():
    users = torch.arange(2, 8)
    uniform = law_of(make("uniform", DATA), DATA, users, scorer())
    for name, parameters in [("kernel", {"alpha": 0.0}), ("softmax-by-score", {"temperature": 1e9})]:
        law = law_of(make(name, DATA, **parameters), DATA, users, scorer())
        np.testing.assert_allclose(law, uniform, rtol=1e-5)


def test_midx_with_few_clusters_is_not_softmax_by_score():
    coarse, users, model = make("midx", DATA, clusters=2), torch.arange(2, 8), scorer()
    coarse.before_epoch(1, model, np.random.default_rng(0))
    exact = law_of(make("softmax-by-score", DATA), DATA, users, model)
    assert np.abs(law_of(coarse, DATA, users, model) - exact).max() > 0.1


def test_weights():
    batch, drawn = draw("self-adversarial", scale=0.0)
    torch.testing.assert_close(drawn.weight[batch.users > 1], torch.full_like(drawn.weight[batch.users > 1], 1 / N))
    batch, drawn = draw("self-adversarial", scale=0.7)
    expected = (0.7 * scorer().scores(batch.users, drawn.items)).softmax(dim=1)
    torch.testing.assert_close(drawn.weight[batch.users > 1], expected[batch.users > 1])
    plain = draw("self-adversarial", scale=1.0)[1].weight
    torch.testing.assert_close(draw("pris", proposal="uniform")[1].weight, plain, rtol=1e-4, atol=1e-6)
    batch, drawn = draw("pris")
    law = make("popularity", DATA, alpha=1.0).proposal.log_prob(batch.users, drawn.items, scorer())
    expected = (scorer().scores(batch.users, drawn.items) - law).softmax(dim=1)
    torch.testing.assert_close(drawn.weight[batch.users > 1], expected[batch.users > 1])


def test_softmax_rho_by_hand():
    batch, drawn = draw("softmax-rho", rho=0.8)
    model = scorer()
    z = torch.log1p(torch.exp(model.scores(batch.users, drawn.items) - model.positives(batch)[:, None]).double())
    temperature = (z.var(dim=1, correction=0, keepdim=True) / 1.6).sqrt()
    expected = (z / temperature).softmax(dim=1)
    torch.testing.assert_close(drawn.weight[batch.users > 1].double(), expected[batch.users > 1], rtol=1e-3, atol=1e-5)


def test_full_catalogue_with_softmax_is_cross_entropy():
    model = scorer()
    batch, drawn = draw("full", mask="same-item")
    known = make("full", DATA).with_law(batch, drawn, model)
    x = LossInput(
        positive=model.positives(batch),
        negative=model.all(batch.users),
        valid=known.valid,
        log_q=known.log_q,
        log_q_positive=known.log_q_positive,
        weight=None,
        n_items=N_ITEMS,
        batch=batch,
        items=known.items,
    )
    expected = torch.nn.functional.cross_entropy(model.all(batch.users), batch.positives, reduction="none")
    torch.testing.assert_close(partial(LOSSES["softmax"], logq="neg")(x), expected)


def test_full_masks():
    batch, drawn = draw("full")
    seen = DATA.seen.contains(batch.users.numpy()[:, None], np.arange(N_ITEMS))
    assert torch.equal(drawn.valid, torch.from_numpy(~seen))
    batch, drawn = draw("full", mask="same-item")
    assert torch.equal(drawn.valid, torch.arange(N_ITEMS) != batch.positives[:, None])


# brute force


def pooled(name, n=N, pool=None, **parameters):
    """The pool that the sampler chose from, by drawing it again."""
    sampler, model = make(name, DATA, **({"pool": pool} if pool else {}), **parameters), scorer()
    batch, rng = batch_of(DATA, size=64), np.random.Generator(np.random.SFC64(4))
    drawn = sampler.propose(batch, n, rng, model)
    return batch, drawn, sampler.choose(batch, drawn, n, rng, model), model


def test_dns_takes_the_highest_of_each_group():
    batch, drawn, chosen, model = pooled("dns", pool=5)
    scores = model.all(batch.users)
    for row in np.flatnonzero(batch.users > 1):
        for column in range(N):
            group = drawn.items[row, 5 * column : 5 * column + 5]
            assert chosen.items[row, column] == max(group.tolist(), key=lambda i: scores[row, i])


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


def test_what_has_no_schedule_settles_at_once():
    schedules = {name for name in SAMPLERS if make(name, DATA).settles}
    assert schedules == {"curriculum", "srns"}  # and `memory:mode=frozen`


# not uniform by another name


def _hardness(drawn, batch):
    scores = scorer().all(batch.users)
    own = scores.gather(1, drawn.items.expand(len(batch.users), -1))
    below = (scores[:, :, None] < own[:, None, :]).double().mean(dim=1)
    valid = torch.ones_like(below, dtype=torch.bool) if drawn.valid is None else drawn.valid.expand_as(below)
    return float(below[valid].mean())


def _popularity(drawn, batch):
    counts = torch.from_numpy(DATA.counts.astype(float))[drawn.items].expand(len(batch.users), -1)
    return float(counts.mean())


HARDER = ["dns", "dns-mn", "curriculum", "hard-inbatch", "softmax-by-score", "ance", "adasir", "srns", "midx"]
POPULAR = ["popularity", "log-uniform", "inbatch", "memory", "mixed", "pris", "cohort"]
OTHERWISE = {
    "uniform": "the reference",
    "full": "test_full_masks",
    "self-adversarial": "test_weights",
    "softmax-rho": "test_softmax_rho_by_hand",
    "mixgcf": "test_mixgcf_mixes_and_chooses_by_the_mixed_vector",
    "ahns": "test_ahns_by_hand",
    "bns": "test_bns_by_hand",
    "kernel": "test_kernel_prefers_large_scores_of_either_sign",
    "aobpr": "test_aobpr_prefers_the_top_of_the_users_factors",
    "given": "test_law_of_given_and_drawn_negatives",
}


def test_every_method_is_told_from_uniform():
    assert sorted([*HARDER, *POPULAR, *OTHERWISE]) == sorted(SAMPLERS)


@pytest.mark.parametrize("name", HARDER)
def test_harder_than_uniform(name):
    reference, (batch, drawn) = draw("uniform", size=400), draw(name, size=400)
    assert _hardness(drawn, batch) - _hardness(reference[1], batch) > 0.1


@pytest.mark.parametrize("name", POPULAR)
def test_more_popular_than_uniform(name):
    reference, (batch, drawn) = draw("uniform", size=400), draw(name, size=400)
    assert _popularity(drawn, batch) > 1.05 * _popularity(reference[1], batch)


def test_kernel_prefers_large_scores_of_either_sign():
    uniform, (batch, drawn) = draw("uniform", size=400)[1], draw("kernel", size=400)
    scores = scorer().all(batch.users).abs()
    assert scores.gather(1, drawn.items).mean() > 1.3 * scores.gather(1, uniform.items).mean()


def test_aobpr_prefers_the_top_of_the_users_factors():
    reference, (batch, drawn) = draw("uniform", size=400), draw("aobpr", size=400, rank=0.1)
    assert _hardness(drawn, batch) - _hardness(reference[1], batch) > 0.1


def test_positives_drawn_ahead_do_not_share_negatives():
    """A user's rows get negatives of their own, at every step; some libraries draw them once per user."""
    sampler, rng = make("uniform", DATA), np.random.default_rng(0)
    users = torch.full((6,), 23)
    rows = sampler.propose(Batch(users, users), 12, rng, scorer()).items
    assert len({tuple(row.tolist()) for row in rows}) == 6


def test_scores_by_matrix_product_and_by_gathering_agree():
    users, items, _ = scorer().tables
    model = Scorer(Tables(users, items, torch.linspace(-1, 1, N_ITEMS)))
    who, what = torch.arange(10), torch.randint(0, N_ITEMS, (10, 1), generator=torch.Generator().manual_seed(0))
    wide = what.expand(10, N_ITEMS).contiguous()
    for space in ("dot", "cosine", "distance"):
        one = Scorer(model.tables, space)
        torch.testing.assert_close(one.scores(who, what), one.scores(who, wide)[:, :1], rtol=1e-5, atol=1e-5)


def test_frozen_memory_and_mixing_run_in_a_step():
    for name, parameters in [("memory", {"mode": "frozen", "warm_up": 0.0}), ("mixgcf", {})]:
        chosen = run(make(name, DATA, **parameters), DATA, np.random.default_rng(0), scorer())[-1][1]
        assert (chosen.vectors is not None) == (name == "memory")
        assert (chosen.mix is not None) == (name == "mixgcf")
