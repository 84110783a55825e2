"""A million draws of every proposal that states a law, against that law; closed forms; selectors' rank laws."""

import numpy as np
import pytest
import torch
from scipy import stats

from datasets import Interactions
from recmodels.compatibility import held, is_whole
from recmodels.contracts.small import ALL_BUT_ONE, EVERYTHING, N_ITEMS, N, U, batch_of, law_of, make, scorer, training
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Scorer, Training, draw_by_weight, first_occurrence
from recmodels.types import Batch, Tables

DRAWS = 1_000_000
ALPHA = 1e-4  # of each test; with some thirty of them and fixed seeds, a failure means a wrong law

LAWS = [
    ("uniform", {}),
    ("uniform", {"reject": False}),
    ("popularity", {}),
    ("popularity", {"alpha": 0.5}),
    ("popularity", {"alpha": 1.0}),
    ("popularity", {"alpha": -1.0}),
    ("popularity", {"alpha": 0.0}),
    ("popularity", {"reject": False}),
    ("log-uniform", {}),
    ("log-uniform", {"reject": False}),
    ("softmax-by-score", {}),
    ("softmax-by-score", {"temperature": 3.0}),
    ("kernel", {}),
    ("kernel", {"alpha": 0.5}),
    ("midx", {"clusters": 4}),
    ("aobpr", {"rank": 0.15}),
    ("aobpr", {"rank": 1.0}),
    ("aobpr", {}),
    ("ance", {"depth": 10}),
    ("ance", {"depth": 100, "share": 0.2}),
    ("cohort", {}),
    ("cohort", {"own": 0.3}),
    ("given", {}),
    ("given", {"share": 0.2}),
    ("dns", {"pool": 3}),
    ("dns", {"pool": 4, "proposal": "popularity:alpha=1.0"}),
    ("dns", {"pool": 3, "proposal": "cohort"}),
    ("dns", {"pool": 2, "proposal": "uniform:reject=false"}),
    ("dns-mn", {"pool": 60}),
    ("dns-mn", {"pool": 80, "keep": 70, "proposal": "popularity"}),
    ("curriculum", {"pool": 3}),
    ("ahns", {"pool": 3}),
]
OF_BATCHES = [
    ("inbatch", {}),
    ("inbatch", {"mask": "none"}),
    ("mixed", {}),
    ("mixed", {"uniform": 0.3}),
    ("memory", {}),
    ("memory", {"mode": "frozen", "warm_up": 0.0}),
]


def goodness(counts, law):
    """p of the chi-square test; cells expected below 5 are pooled, and what the law excludes must not occur."""
    assert counts[law == 0].sum() == 0
    if np.count_nonzero(law) == 1:
        return 1.0
    expected = law / law.sum() * counts.sum()
    rare = expected < 5
    if rare.any():
        counts = np.append(counts[~rare], counts[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
        if expected[-1] == 0:
            counts, expected = counts[:-1], expected[:-1]
    return stats.chisquare(counts, expected).pvalue


def started(name, parameters, data, model, rng):
    sampler = make(name, data, **parameters)
    if sampler.before_epoch is not None:
        sampler.before_epoch(1, model, rng)
    return sampler


def test_every_sampler_with_a_law_is_tested_here():
    lawful = {
        name for name in SAMPLERS if "log_q" in held("gives", SAMPLERS.entry(name), SAMPLERS.parameters(name, {}))
    }
    assert {name for name, _ in LAWS + OF_BATCHES} == {name for name in lawful if not is_whole(name)}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "parameters"), LAWS)
def test_a_million_draws_follow_the_law(name, parameters):
    data, model, rng = training(), scorer(scale=0.7), np.random.Generator(np.random.SFC64(11))
    sampler = started(name, parameters, data, model, rng)
    owners = torch.tensor([2, 9, 23, 41, ALL_BUT_ONE])
    users = owners.repeat(DRAWS // 50 // len(owners))
    batch = Batch(users, users % N_ITEMS)
    drawn = sampler.choose(batch, sampler.propose(batch, 50, rng, model), 50, rng, model)
    assert drawn.items.numel() == DRAWS
    of_users = (users[:, None] * N_ITEMS + drawn.items).flatten()
    counts = of_users.bincount(minlength=U * N_ITEMS).reshape(U, N_ITEMS).double().numpy()
    for user, own in zip(owners.tolist(), law_of(sampler, data, owners, model), strict=True):
        assert own.sum() == pytest.approx(1, abs=1e-4)
        assert goodness(counts[user], own) > ALPHA


@pytest.mark.parametrize(("name", "parameters"), OF_BATCHES)
def test_columns_of_batches_follow_the_law(name, parameters):
    """Rows are drawn from the interactions, so that one batch is one sample of columns; each brings 2048 of them."""
    data, model, rng = training(), scorer(), np.random.Generator(np.random.SFC64(12))
    sampler = started(name, parameters, data, model, rng)
    counts = np.zeros(N_ITEMS)
    columns = 10 if name == "mixed" else 1  # of which one is looked at in each row; 10 have whole shares
    for step in range(DRAWS // 2048):
        batch = batch_of(data, seed=step, size=2048)
        drawn = sampler.propose(batch, columns, rng, model).items
        counts += np.bincount(
            drawn[torch.arange(2048), torch.from_numpy(rng.integers(columns, size=2048))], minlength=N_ITEMS
        )
        if sampler.after_step is not None:
            sampler.after_step(batch, None, model)
            sampler.state["items"] = batch.positives.numpy()  # a memory of one batch, so that draws are independent
            if "vectors" in sampler.state:
                sampler.state["vectors"] = sampler.state["vectors"][: len(batch.users)]
    law = sampler.proposal.log_prob(torch.arange(3), torch.arange(N_ITEMS), model)[0].double().exp().numpy()
    assert law.sum() == pytest.approx(1, abs=1e-5)
    # but for `inbatch` some rows draw the same other row, and are then alike, which at most doubles the variance
    assert goodness(counts / (1 if name == "inbatch" else 2), law) > ALPHA


@pytest.mark.parametrize("positives", ["interaction", "user"])
def test_in_batch_law_is_that_of_the_positives(positives):
    data = Training(training().interactions, positives)
    law = make("inbatch", data).proposal.log_prob(torch.arange(2), torch.arange(N_ITEMS), scorer())[0].exp().numpy()
    users, items = data.interactions.users, data.interactions.items
    if positives == "interaction":
        expected = np.array([(items == i).sum() for i in range(N_ITEMS)]) / len(items)
    else:
        expected = np.array([sum(1 / (users == u).sum() for u in users[items == i]) for i in range(N_ITEMS)]) / U
    np.testing.assert_allclose(law, expected, rtol=1e-5)


def test_popularity_law_by_hand():
    """n^alpha of train alone, restricted to unseen items; items that were never trained on have none; so has the last
    item its own probability and not a leftover."""
    users = np.array([0, 0, 0, 1, 1, 2, 2, 2], np.int32)
    items = np.array([0, 1, 2, 0, 1, 0, 3, 4], np.int32)
    data = Training(Interactions(users, items, 4, 6))
    counts = np.array([3, 2, 1, 1, 1, 0]) ** 0.75
    log_q = make("popularity", data).proposal.log_prob(torch.tensor([1, 3]), torch.arange(6), scorer()).exp().numpy()
    np.testing.assert_allclose(log_q[0], counts / counts[[2, 3, 4]].sum(), rtol=1e-6)
    np.testing.assert_allclose(log_q[1], counts / counts.sum(), rtol=1e-6)
    nothing = make("popularity", data, alpha=0.0).proposal.log_prob(torch.tensor([3]), torch.arange(6), scorer()).exp()
    np.testing.assert_allclose(nothing[0], [0.2] * 5 + [0], rtol=1e-6)


def test_users_whose_unseen_items_were_never_trained_get_nothing_from_popularity():
    data = Training(Interactions(np.zeros(3, np.int32), np.arange(3, dtype=np.int32), 1, 5))
    batch = Batch(torch.zeros(2, dtype=torch.int64), torch.zeros(2, dtype=torch.int64))
    assert not make("popularity", data).propose(batch, 4, np.random.default_rng(0), scorer()).valid.any()
    uniform = make("uniform", data).propose(batch, 400, np.random.default_rng(0), scorer())
    assert set(uniform.items.ravel().tolist()) == {3, 4}


def aobpr_law(vector, items, unseen, mean_rank):
    """Σ_f p(f|u) · geometric(rank of the item by f among the unseen), in words as few as possible."""
    p = 1 / mean_rank
    weight = np.abs(vector) * items.std(axis=0)
    law = np.zeros(len(items))
    for factor, share in enumerate(weight / weight.sum()):
        ranked = sorted(unseen, key=lambda j: -items[j, factor] * (1 if vector[factor] > 0 else -1))
        geometric = (1 - p) ** np.arange(len(ranked)) * p / (1 - (1 - p) ** len(ranked))
        law[ranked] += share * geometric
    return law


SPACES = {
    "dot": lambda u, v, bias: (np.append(u, 1.0), np.column_stack([v, bias])),
    "cosine": lambda u, v, bias: (u / np.linalg.norm(u), v / np.linalg.norm(v, axis=1, keepdims=True)),
    "distance": lambda u, v, bias: (np.append(2 * u, 1.0), np.column_stack([v, -(v**2).sum(axis=1)])),
}


@pytest.mark.parametrize("space", SPACES)
def test_aobpr_law_is_the_sum_over_factors(space):
    """In the space of the loss; a bias is a factor of its own."""
    data, rng = training(), np.random.default_rng(0)
    users, items, _ = scorer().tables
    bias = torch.linspace(-2, 2, N_ITEMS) if space == "dot" else None
    model = Scorer(Tables(users, items, bias), space)
    sampler = started("aobpr", {"rank": 0.2}, data, model, rng)
    for user in (2, 9):
        vector, table = SPACES[space](users[user].double().numpy(), items.double().numpy(), bias)
        hidden = data.seen.contains(np.array([user]), np.arange(N_ITEMS))
        law = aobpr_law(vector, table, np.flatnonzero(~hidden), 0.2 * N_ITEMS)
        np.testing.assert_allclose(law_of(sampler, data, torch.tensor([user]), model)[0], law, rtol=1e-4)
        for positive in np.flatnonzero(hidden)[:3]:  # as if it were not seen
            law = aobpr_law(vector, table, np.flatnonzero(~hidden | (np.arange(N_ITEMS) == positive)), 0.2 * N_ITEMS)
            batch = Batch(torch.tensor([user]), torch.tensor([positive]))
            at = sampler.proposal.log_prob_positive(batch, model).exp()
            assert float(at[0]) == pytest.approx(law[positive], rel=1e-4)


@pytest.mark.parametrize("space", SPACES)
def test_midx_with_a_cluster_per_item_is_the_softmax_of_the_score(space):
    users, items, _ = scorer().tables
    bias = torch.linspace(-2, 2, N_ITEMS) if space == "dot" else None
    model, data = Scorer(Tables(users, items, bias), space), training()
    sampler = started("midx", {"clusters": N_ITEMS}, data, model, np.random.default_rng(0))
    vector, table = SPACES[space](users[9].double().numpy(), items.double().numpy(), bias)
    unseen = ~data.seen.contains(np.array([9]), np.arange(N_ITEMS))
    weights = np.exp(table @ vector) * unseen
    found = law_of(sampler, data, torch.tensor([9]), model)[0]
    np.testing.assert_allclose(found, weights / weights.sum(), rtol=1e-4)


def test_aobpr_walks_of_any_length_follow_the_law(monkeypatch):
    """After `ROUNDS` steps the rest of a walk is laid out, wherever it stands."""
    data, model, rng = training(), scorer(), np.random.default_rng(0)
    sampler, users = started("aobpr", {"rank": 0.1}, data, model, rng), torch.full((4000,), 2)
    law = law_of(sampler, data, users[:1], model)[0]
    for rounds in (0, 1, 3):
        monkeypatch.setattr("recmodels.samplers.adaptive.ROUNDS", rounds)
        drawn = sampler.proposal.draw(Batch(users, users), 50, rng, model).items
        assert goodness(np.bincount(drawn.ravel(), minlength=N_ITEMS), law) > ALPHA


def test_aobpr_order_is_refreshed_after_i_log_i_positives():
    data, rng = training(), np.random.default_rng(0)
    sampler = started("aobpr", {}, data, scorer(0), rng)
    old = sampler.state["order"].copy()
    batch, steps = batch_of(data, size=32), int(np.ceil(N_ITEMS * np.log(N_ITEMS) / 32))
    for _ in range(steps):
        sampler.propose(batch, N, rng, scorer(1))
    assert np.array_equal(sampler.state["order"], old)
    sampler.propose(batch, N, rng, scorer(1))
    assert not np.array_equal(sampler.state["order"], old)


@pytest.mark.parametrize("pool", [2, 5])
def test_dns_chooses_ranks_by_its_law(pool):
    """Rank r of n is chosen with probability ((n-r+1)/n)^M - ((n-r)/n)^M."""
    data, model, rng = training(), scorer(), np.random.Generator(np.random.SFC64(3))
    user, columns = 9, 20
    users = torch.full((DRAWS // 4 // columns,), user)
    batch, sampler = Batch(users, torch.zeros_like(users)), make("dns", data, pool=pool)
    chosen = sampler.choose(batch, sampler.propose(batch, columns, rng, model), columns, rng, model).items.numpy()
    unseen = np.flatnonzero(~data.seen.contains(np.array([user]), np.arange(N_ITEMS)))
    ranked = unseen[np.argsort(-model.all(torch.tensor([user]))[0].numpy()[unseen])]
    n, r = len(ranked), np.arange(1, len(ranked) + 1)
    law = ((n - r + 1) / n) ** pool - ((n - r) / n) ** pool
    assert law.sum() == pytest.approx(1)
    assert goodness(np.bincount(chosen.ravel(), minlength=N_ITEMS)[ranked], law) > ALPHA


def test_draw_by_weight_never_takes_what_has_no_weight():
    log_weights = torch.full((3, 5), -torch.inf)
    log_weights[0, 2] = -400.0
    log_weights[1, [1, 3]] = torch.tensor([0.0, 1.0])
    log_weights[2, 4] = 3e38
    drawn = draw_by_weight(log_weights, 20_000, np.random.default_rng(0))
    assert set(drawn[0].tolist()) == {2}
    assert set(drawn[2].tolist()) == {4}
    share = (drawn[1] == 3).double().mean()
    assert set(drawn[1].tolist()) == {1, 3}
    assert float(share) == pytest.approx(np.e / (1 + np.e), abs=0.02)


def test_first_occurrence():
    items = torch.tensor([[3, 1, 3, 1, 2], [0, 0, 0, 0, 0]])
    assert first_occurrence(items).tolist() == [[True, True, False, False, True], [True] + [False] * 4]


def test_ordered_draws_are_independent_of_their_column():
    """What WARP counts on: the law is the same in every column, and neighbours do not depend on each other."""
    data, rng, model = training(), np.random.default_rng(5), scorer()
    for name in SAMPLERS:
        if "ordered" not in held("gives", SAMPLERS.entry(name), SAMPLERS.parameters(name, {})):
            continue
        sampler = started(name, {}, data, model, rng)
        users = torch.full((20_000,), 23)  # with negatives of its own
        items = sampler.propose(Batch(users, users * 0), 3, rng, model).items.numpy()
        columns = np.stack([np.bincount(column, minlength=N_ITEMS) for column in items.T])
        assert stats.chi2_contingency(columns[:, columns.sum(axis=0) > 30]).pvalue > ALPHA, name
        middle = np.median(items)
        pairs = stats.chi2_contingency(stats.contingency.crosstab(items[:, 0] > middle, items[:, 1] > middle).count)
        assert pairs.pvalue > ALPHA, name


def test_nobody_with_everything_seen_is_drawn_for():
    data, model, rng = training(), scorer(), np.random.default_rng(5)
    users = torch.full((4,), EVERYTHING)
    for name in (
        "uniform",
        "popularity",
        "log-uniform",
        "softmax-by-score",
        "kernel",
        "aobpr",
        "midx",
        "ance",
        "cohort",
        "given",
    ):
        drawn = started(name, {}, data, model, rng).propose(Batch(users, users), N, rng, model)
        assert not drawn.valid.any(), name


# the positive's own probability, for losses that correct it too: as if it were not seen


def test_probability_of_a_positive_by_removing_it_from_what_is_seen():
    """For every law that does not look at more than counts and scores: the law of a user who has not seen it."""
    whole, model = training(), scorer(scale=0.7)
    pairs = whole.interactions
    for row in (np.flatnonzero(pairs.users == 9)[0], np.flatnonzero(pairs.users == 23)[-1]):
        user, item = int(pairs.users[row]), int(pairs.items[row])
        batch = Batch(torch.tensor([user]), torch.tensor([item]))
        unseen = ~whole.seen.contains(np.array([user]), np.arange(N_ITEMS))
        unseen[item] = True
        scores = model.all(batch.users)[0].double().numpy()
        zipf = np.empty(N_ITEMS)
        zipf[np.argsort(-whole.counts, kind="stable")] = np.diff(np.log(np.arange(1, N_ITEMS + 2)))
        for name, weights in {
            "uniform": np.ones(N_ITEMS),
            "popularity": whole.counts**0.75,
            "log-uniform": zipf,
            "softmax-by-score": np.exp(scores),
            "kernel": 100 * scores**2 + 1,
            "cohort": cohort_weights(whole.counts, item),
        }.items():
            sampler = make(name, whole)
            found = float(sampler.law.law(batch, batch.positives[:0], model)[1].exp()[0])
            assert found == pytest.approx(weights[item] / weights[unseen].sum(), rel=1e-4), name
            known = sampler.with_law(batch, sampler.propose(batch, N, np.random.default_rng(0), model), model)
            assert float(known.log_q_positive.exp()[0]) == pytest.approx(found), name


def cohort_weights(counts, positive, own=0.8):
    """The law before rejection, in words as few as possible."""
    order = sorted(range(len(counts)), key=lambda j: (-counts[j], j))
    total, running, part = sum(counts), 0, {}
    for j in order:
        running += counts[j]
        part[j] = "head" if running < total / 3 else "mid" if running < 2 * total / 3 else "tail"
    sizes = [sum(p == part[j] for p in part.values()) for j in range(len(counts))]
    return np.array([(own if part[j] == part[positive] else (1 - own) / 2) / sizes[j] for j in range(len(counts))])


@pytest.mark.parametrize("name", ["dns", "dns-mn", "ahns", "curriculum"])
def test_probability_of_a_positive_that_is_chosen_as_if_it_were_not_seen(name):
    """The law of the same item for a user who has not seen it, whose vector and other items are the same."""
    whole, model = training(), scorer(scale=0.7)
    pairs = whole.interactions
    for row in (np.flatnonzero(pairs.users == 9)[0], np.flatnonzero(pairs.users == 23)[-1]):
        batch = Batch(torch.tensor([int(pairs.users[row])]), torch.tensor([int(pairs.items[row])]))
        less = Training(pairs.take(np.arange(len(pairs)) != row))
        here, there = (make(name, data) for data in (whole, less))
        own = here.law.law(batch, batch.positives[:0], model)[1]
        assert float(own) == pytest.approx(float(there.law.law(batch, batch.positives, model)[0]), rel=1e-4)


def test_probability_of_a_positive_where_nothing_is_rejected_is_the_law():
    data, model = training(), scorer()
    batch = batch_of(data, size=16)
    for name, parameters in [*OF_BATCHES, ("uniform", {"reject": False}), ("popularity", {"reject": False})]:
        sampler = started(name, parameters, data, model, np.random.default_rng(0))
        law = law_of(sampler, data, batch.users, model)[np.arange(16), batch.positives.numpy()]
        at_positive = sampler.proposal.log_prob_positive(batch, model).exp()
        np.testing.assert_allclose(at_positive, law, rtol=1e-5)
