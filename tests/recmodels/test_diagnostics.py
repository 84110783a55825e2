import inspect
from functools import partial

import numpy as np
import pytest
import torch

from datasets import Interactions
from recmodels.compatibility import held
from recmodels.contracts.small import N_ITEMS, N, U, batch_of, make, scorer, training
from recmodels.diagnostics import COLUMNS, ROWS, Diagnostics
from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Training
from recmodels.seeds import generator
from recmodels.settings import Settings
from recmodels.types import Batch, Candidates, Part
from recmodels.updates import l2_pull
from tests.recmodels.test_trainer import ITEMS, data, run

DATA = training()


def observed(name, batches=40, model=None, size=16, every=1, loss=None, **parameters):
    """Diagnostics of some batches under a model that stands still."""
    model = model or scorer()
    sampler, rng = make(name, DATA, **parameters), np.random.default_rng(0)
    lawful = "log_q" in held("gives", SAMPLERS.entry(name), SAMPLERS.parameters(name, {}))
    diagnostics = Diagnostics(DATA, sampler.law if lawful else None, every=every)
    if sampler.before_epoch is not None:
        sampler.before_epoch(1, model, rng)
    shown = []

    def steps():
        for seed in range(batches):
            batch = batch_of(DATA, seed=seed, size=size)
            drawn = sampler.choose(batch, sampler.propose(batch, N, rng, model), N, rng, model)
            yield Part(batch, drawn, len(batch.users), True)

    for batch, drawn, *_ in diagnostics.timed(steps()):
        negative = model.scores(batch.users, drawn.items).requires_grad_()
        positive = model.positives(batch)
        if loss is not None:
            loss(positive, negative).backward()
        if diagnostics.due():
            diagnostics.observe(batch, drawn, positive, negative.detach(), negative.grad, model)
            shown.append((batch, drawn))
    return diagnostics, shown, model


def test_numbers_by_hand():
    held = Interactions(np.array([3, 9, 9], np.int32), np.array([30, 31, 39], np.int32), U, N_ITEMS)
    truth = lambda users, items: (users + items) % 3 == 0  # noqa: E731
    loss = lambda positive, negative: torch.nn.functional.softplus(negative - positive[:, None]).mean()  # noqa: E731
    diagnostics, shown, model = observed("uniform", loss=loss)
    found = diagnostics.summary([held], truth)
    users = np.concatenate([np.repeat(batch.users.numpy(), N) for batch, _ in shown])
    items = np.concatenate([drawn.items.numpy().ravel() for _, drawn in shown])
    valid = users != 0
    scores = model.all(torch.arange(U)).numpy()
    own = scores[users, items]
    below = ((scores[users] < own[:, None]).mean(axis=1) + (scores[users] <= own[:, None]).mean(axis=1)) / 2
    gap = np.concatenate(
        [(model.positives(b)[:, None] - model.scores(b.users, d.items)).numpy().ravel() for b, d in shown]
    )

    def over_batches(values):  # a mean of the means of observations
        weights = np.concatenate(
            [np.full(16 * N, 1 / valid[k : k + 16 * N].sum()) for k in range(0, len(users), 16 * N)]
        )
        return (values * weights)[valid].sum() / len(shown)

    assert found["hardness"] == pytest.approx(over_batches(below))
    assert found["score_gap"] == pytest.approx(over_batches(gap), rel=1e-5)
    assert found["zero_gradient"] == pytest.approx(over_batches(1 / (1 + np.exp(gap)) < 0.01))
    assert 0 < found["zero_gradient"] < 1
    pairs = {(3, 30), (9, 31), (9, 39)}
    hit = np.array([(u, i) in pairs for u, i in zip(users[valid].tolist(), items[valid].tolist(), strict=True)])
    assert found["false_negatives"] == pytest.approx(hit.mean())
    assert found["false_negatives"] > 0
    assert found["false_negatives_true"] == pytest.approx(((users + items) % 3 == 0)[valid].mean())
    counts = np.bincount(items[valid], minlength=N_ITEMS)
    assert found["popularity"] == pytest.approx((counts @ DATA.counts) / counts.sum() / DATA.counts.mean())
    assert found["coverage"] == (counts > 0).mean()
    p = counts / counts.sum()
    assert found["effective_items"] == pytest.approx(np.exp(-(p[p > 0] * np.log(p[p > 0])).sum()) / N_ITEMS)
    rows = np.stack([np.sort(row) for _, drawn in shown for row in drawn.items.numpy()])
    again = (rows[:, 1:] == rows[:, :-1]).sum(axis=1)
    by_row = valid.reshape(-1, N)[:, 0]
    per = [again[k : k + 16][by_row[k : k + 16]].mean() / N for k in range(0, len(again), 16)]
    assert found["duplicates"] == pytest.approx(np.mean(per))
    assert found["invalid"] == pytest.approx(1 - valid.mean())


@pytest.mark.slow
def test_uniform_negatives_find_as_many_false_ones_as_expected():
    rng = np.random.default_rng(0)
    unseen = ~DATA.seen.contains(np.arange(U)[:, None], np.arange(N_ITEMS))
    users, items = np.nonzero(unseen & (rng.random((U, N_ITEMS)) < 0.2))
    held = Interactions(users.astype(np.int32), items.astype(np.int32), U, N_ITEMS)
    found = observed("uniform", batches=200)[0].summary([held])
    assert found["false_negatives"] == pytest.approx(found["false_negatives_uniform"], rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["uniform", "popularity", "softmax-by-score", "aobpr", "midx", "ance", "log-uniform", "kernel"]
)
def test_draws_that_follow_their_law_differ_from_it_by_chance_alone(name):
    found = observed(name, batches=150)[0].summary()
    assert 0 <= found["kl_to_law"] < 4 * found["kl_by_chance"]


@pytest.mark.slow
def test_draws_that_do_not_follow_the_stated_law_are_found_out():
    diagnostics, _, _ = observed("uniform", batches=0)
    rng, model = np.random.default_rng(0), scorer()
    diagnostics = Diagnostics(DATA, make("popularity", DATA).proposal, every=1)
    sampler = make("log-uniform", DATA)
    for seed in range(150):
        batch = batch_of(DATA, seed=seed, size=16)
        drawn = sampler.propose(batch, N, rng, model)
        diagnostics.observe(batch, drawn, model.positives(batch), model.scores(batch.users, drawn.items), None, model)
    found = diagnostics.summary()
    assert found["kl_to_law"] > 4 * found["kl_by_chance"]


def test_hard_samplers_are_seen_to_be_hard_and_over_time():
    easy, hard = observed("uniform")[0].summary(), observed("dns", pool=8)[0].summary()
    assert hard["hardness"] > easy["hardness"] + 0.2
    assert hard["score_gap"] < easy["score_gap"]
    assert hard["hardness_first"] == pytest.approx(hard["hardness_last"], abs=0.05)
    assert hard["kl_to_law"] < 2 * hard["kl_by_chance"]
    assert "kl_to_law" not in observed("bns")[0].summary()
    assert observed("popularity")[0].summary()["popularity"] > easy["popularity"]


def test_only_every_kth_step_and_a_part_of_it_is_looked_at():
    diagnostics, shown, model = observed("uniform", batches=65, every=32)
    assert len(shown) == 3
    batch = batch_of(DATA, size=400)
    drawn = make("full", DATA).propose(batch, None, np.random.default_rng(0), model)
    diagnostics = Diagnostics(DATA, every=1)
    diagnostics.observe(batch, drawn, model.positives(batch), model.all(batch.users), None, model)
    users, _ = diagnostics._pairs[0]
    assert len(np.unique(users)) <= ROWS
    assert len(users) <= ROWS * COLUMNS
    assert diagnostics.summary()["coverage"] == 1


def test_nothing_valid_is_no_crash():
    batch, model = batch_of(DATA, size=4), scorer()
    diagnostics = Diagnostics(DATA, make("uniform", DATA).proposal, every=1)
    nothing = Candidates(torch.zeros(4, N, dtype=torch.int64), valid=torch.zeros(4, N, dtype=torch.bool))
    diagnostics.observe(batch, nothing, model.positives(batch), torch.zeros(4, N), None, model)
    assert diagnostics.summary([DATA.interactions]) == {"invalid": 1.0}
    assert Diagnostics(DATA).summary() == {}


def test_held_out_interactions_can_only_come_afterwards():
    assert not {"valid", "test", "held_out", "split"} & set(inspect.signature(Diagnostics.__init__).parameters)
    assert "held_out" in inspect.signature(Diagnostics.summary).parameters
    diagnostics = observed("uniform")[0]
    before = {name: repr(value) for name, value in vars(diagnostics).items()}
    diagnostics.summary([DATA.interactions])
    assert {name: repr(value) for name, value in vars(diagnostics).items()} == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["uniform", "dns", "mixgcf", "memory", "self-adversarial", "full"])
def test_being_watched_changes_no_bit_of_training(name):
    from recmodels.objective import objective
    from recmodels.settings import Settings
    from recmodels.trainer import train

    valid = Interactions(np.array([3, 9], np.int32), np.array([30, 31], np.int32), U, N_ITEMS)
    tables = []
    for watch in (False, True):
        sampler = make(name, DATA, **({"mode": "frozen", "warm_up": 0.0} if name == "memory" else {}))
        observer = Diagnostics(DATA, every=2) if watch else None
        done = train(
            DATA,
            valid,
            model=partial(MODELS["mf"], **MODELS.parameters("mf", {})),
            sampler=sampler,
            objective=objective("bpr", LOSSES.parameters("bpr", {})),
            settings=Settings(epochs=3, batch_size=64, negatives=4, embedding_size=8),
            seed=1,
            device=torch.device("cpu"),
            observer=observer,
        )
        tables.append(done.tables)
        if observer is not None:
            found = observer.summary([valid])
            assert {"zero_gradient", "draws_per_second", "sampling_share", "diagnostics_share"} <= set(found)
            assert all(isinstance(value, float) for value in found.values())
    assert torch.equal(tables[0].users, tables[1].users)
    assert torch.equal(tables[0].items, tables[1].items)


def test_all_samplers_can_be_watched():
    for name in SAMPLERS:
        found = observed(name, batches=2)[0].summary([DATA.interactions])
        assert found["false_negatives"] == 0.0, name  # none of them draws what was seen
        assert 0 < found["hardness"] < 1, name


@pytest.mark.parametrize("sparse", [False, True])
def test_the_pull_of_l2_beside_the_loss_by_hand(sparse):
    module = torch.nn.Module()
    module.users = torch.nn.Parameter(torch.tensor([[3.0, 4.0], [0.0, 0.0], [9.0, 9.0]]))
    module.items = torch.nn.Parameter(torch.tensor([[1.0, 0.0], [0.0, 2.0], [2.0, 0.0], [9.0, 9.0]]))
    of_loss = {"users": torch.tensor([[1.0, 0.0]]), "items": torch.ones(3, 2)}
    for name, gradient in of_loss.items():
        table, rows = getattr(module, name), torch.arange(len(gradient))[None]
        table.grad = torch.sparse_coo_tensor(rows, gradient, table.shape, check_invariants=True)
        if not sparse:
            table.grad = table.grad.to_dense()
            table.grad[-1] = 7.0  # a row that L2 does not reach: it does not count
    batch, drawn = Batch(torch.tensor([0, 0]), torch.tensor([0, 1])), Candidates(torch.tensor([[2], [2]]))
    gradients = lambda parameters: [parameter.grad for parameter in parameters]  # noqa: E731
    found = l2_pull(module, batch, drawn, Settings(l2=0.1), 2, gradients)
    assert found["l2_pull_users"] == pytest.approx(0.1 * 5)  # twice half of u, over (1, 0)
    assert found["l2_pull_items"] == pytest.approx(0.1 / 2 * (1 + 2**2 + 4**2) ** 0.5 / 6**0.5)
    assert l2_pull(module, batch, drawn, Settings(l2=0), 2, gradients) == {"l2_pull_users": 0, "l2_pull_items": 0}


@pytest.mark.parametrize("parts", [1, 7])
@pytest.mark.parametrize("model", ["mf", "lightgcn", "gmf"])
def test_the_pull_of_l2_is_on_parameters_before_encoding(model, parts, monkeypatch):
    """One step on the whole data, so that its rows need no order; of a step in parts, the first part is looked at."""
    shown = []
    monkeypatch.setattr("recmodels.trainer.CELLS", -(-320 // parts) * ITEMS)
    watched = lambda training: shown.append(Diagnostics(training)) or shown[0]  # noqa: E731
    run("bpr", "full", model, watched, epochs=1, batch_size=320, l2=0.3, l2_negative=0.0)
    found = shown[0].summary()
    known, _ = data()
    learnt = Training(known)
    module = MODELS[model](learnt, Settings(embedding_size=8), generator(0, "init"), **MODELS.parameters(model, {}))
    order = generator(0, "order").permutation(len(known))[: 320 // parts]
    users, positives = (torch.from_numpy(ids[order].astype(np.int64)) for ids in (known.users, known.items))
    tables = module()
    scores = tables.users[users] @ tables.items.T
    other = torch.from_numpy(~learnt.seen.contains(users.numpy()[:, None], np.arange(ITEMS)))
    losses = torch.nn.functional.softplus(scores - scores.gather(1, positives[:, None])) * other
    (losses.sum(dim=1) / other.sum(dim=1)).sum().backward()
    for table, ids, name in ((module.users, users, "users"), (module.items, positives, "items")):
        counts = ids.bincount(minlength=len(table))[:, None]
        expected = 0.3 * (counts * table.detach()).norm() / (table.grad * (counts > 0)).norm()
        assert found[f"l2_pull_{name}"] == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize(
    ("sampler", "changes", "expected"),
    [
        ("uniform", {}, 4),
        ("popularity", {"negatives": 9}, 9),
        ("inbatch", {}, 4),
        ("inbatch", {"negatives": "all"}, 64),
        ("full", {}, ITEMS),
        ("dns:pool=3", {}, 12),
        ("dns-mn:pool=20", {}, 20),
        ("mixgcf:pool=5", {}, 20),
        ("self-adversarial", {}, 4),
        ("hard-inbatch:pool=32", {}, 32),
        ("bns:pool=5,reference=10", {}, 4 * 5 + 10),
        ("softmax-by-score", {}, ITEMS),
        ("ance:every=2", {}, 4 + 40 * ITEMS / 320 / 2),  # all users and items once in two epochs
    ],
)
def test_candidates_that_are_scored_per_positive(sampler, changes, expected):
    shown = []
    run("bpr", sampler, "mf", lambda training: shown.append(Diagnostics(training)) or shown[0], epochs=2, **changes)
    assert shown[0].summary()["candidates_per_positive"] == pytest.approx(expected)
    if sampler == "uniform":
        run("directau", sampler, "mf", lambda training: shown.append(Diagnostics(training)) or shown[1], epochs=1)
        assert "candidates_per_positive" not in shown[1].summary()
        assert shown[1].summary()["l2_pull_users"] > 0
