"""Selectors on the draws of other samplers: how a proposal is written, and what each does with it."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from bench.runs.spec import parse_cell
from datasets import Interactions
from datasets.errors import UserError
from recmodels.contracts.small import N_ITEMS, N, U, batch_of, make, run, scorer, training
from recmodels.proposals import known_proposal, proposals
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Law, Scorer, Training
from recmodels.selection import HighestLaw
from recmodels.types import Batch, Tables

DATA = training()
SELECTORS = [name for name in SAMPLERS if "proposal" in SAMPLERS.entry(name).parameters]
LISTED = ["uniform", "popularity:alpha=0.5", "inbatch", "mixed:uniform=0.3", "given", "memory:capacity=64", "cohort"]


def test_every_selector_takes_a_proposal():
    assert {
        "adasir", "ahns", "bns", "curriculum", "dens", "dns", "dns-mn", "mixgcf", "pris", "self-adversarial",
        "softmax-rho", "srns",
    } == set(SELECTORS)  # fmt: skip
    assert {text.partition(":")[0] for text in LISTED} <= set(proposals())
    assert not {*SELECTORS, "full", "hard-inbatch"} & set(proposals())


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("popularity:alpha=0.75", "popularity"),
        ("popularity:reject=false:alpha=1", "popularity:alpha=1.0:reject=false"),
        ("mixed:mask=same-item", "mixed:mask=same-item"),
        ("uniform", "uniform"),
    ],
)
def test_a_proposal_is_spelled_in_one_way(text, spelled):
    assert known_proposal(text) == spelled
    cell = parse_cell(f"dns:pool=4,proposal={text},negatives=2+bpr", {})
    assert cell.sampler.parameters == {"pool": 4, "proposal": spelled}
    assert cell.settings["negatives"] == 2
    again = parse_cell(f"{cell.labels()['sampler']}+bpr", {})
    assert again.sampler == cell.sampler


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("popularty", "Did you mean 'popularity'"),
        ("MNS", "'MNS' is called mixed here"),
        ("dns", "dns draws by no law of its own, so it proposes nothing; give"),
        ("full", "proposes nothing"),
        ("popularity:alfa=1", "Did you mean 'alpha'"),
        ("popularity:alpha", "write popularity:name=value"),
        ("popularity:alpha=1:alpha=2", "given twice"),
        ("popularity:alpha=9", "alpha must be a number >= -4, <= 4, not '9'"),
    ],
)
def test_what_proposes_nothing_is_refused_with_what_may(text, words):
    with pytest.raises(UserError, match=words):
        parse_cell(f"dns:proposal={text}", {})


def options(name, text):
    return {"proposal": text, **({"memory": 12, "draws": 24} if name == "srns" else {})}


@pytest.mark.parametrize("text", LISTED)
@pytest.mark.parametrize("name", SELECTORS)
def test_each_selector_on_each_proposal_gives_only_what_is_unseen(name, text):
    sampler = make(name, DATA, **options(name, text))
    left = False
    for batch, chosen in run(sampler, DATA, np.random.default_rng(1), scorer(), steps=3):
        assert chosen.items.shape == (32, N)
        valid = np.ones((32, N), bool) if chosen.valid is None else chosen.valid.expand(32, N).numpy()
        assert not DATA.seen.contains(batch.users.numpy()[:, None], chosen.items.numpy())[valid].any()
        left |= bool(valid.any())
        if chosen.weight is not None:
            torch.testing.assert_close(chosen.weight.sum(dim=1), torch.from_numpy(valid.any(axis=1)).float())
            assert not chosen.weight.numpy()[~valid].any()
    assert left


@pytest.mark.parametrize("text", ["popularity:alpha=2.0", "inbatch"])
@pytest.mark.parametrize("name", [name for name in SELECTORS if name not in ("srns", "adasir")])
def test_each_selector_chooses_among_what_is_proposed(name, text):
    """The items are more popular than those chosen among uniform draws; AdaSIR corrects for that, as tested by hand."""

    def popularity(proposal):
        found = run(make(name, DATA, **options(name, proposal)), DATA, np.random.default_rng(1), scorer(), steps=8)
        items = np.concatenate([chosen.items[batch.users > 1].numpy().ravel() for batch, chosen in found])
        return DATA.counts[items].mean()

    assert popularity(text) > 1.1 * popularity("uniform")


def test_srns_remembers_what_is_proposed():
    means = []
    for proposal in ("uniform", "popularity:alpha=2.0"):
        sampler = make("srns", DATA, memory=8, draws=8, proposal=proposal)
        sampler.before_epoch(1, scorer(), np.random.default_rng(0))
        means.append(DATA.counts[np.asarray(sampler.state["lists"])[2:]].mean())
    assert means[1] > 1.1 * means[0]


@pytest.mark.parametrize("name", SELECTORS)
def test_a_selector_and_its_proposal_share_a_state_without_sharing_a_name(name):
    def kept(sampler):
        run(sampler, DATA, np.random.default_rng(1), scorer(), epochs=1)
        return set(sampler.state)

    own = kept(make(name, DATA, **options(name, "uniform")))
    for text in (*proposals(), "memory:mode=frozen"):
        entry, _, option = text.partition(":")
        theirs = kept(make(entry, DATA, **({"mode": "frozen"} if option else {})))
        assert not own & theirs, text


@dataclass(frozen=True)
class Known(Law):
    """A law over five items, as given."""

    q: tuple[float, ...]

    def log_prob(self, users, items, scorer):
        return torch.tensor(self.q).log()[items].expand(len(users), -1)


TINY = Training(Interactions(np.zeros(1, np.int32), np.zeros(1, np.int32), 1, 5))
SCORES = Scorer(Tables(torch.ones(1, 1), torch.tensor([[2.0], [0.5], [1.0], [-1.0], [0.0]])))
UNIFORM = (0, 0.25, 0.25, 0.25, 0.25)
MIXED = (0, 0.346154, 0.25, 0.201923, 0.201923)  # half in-batch, half uniform, among the unseen


@pytest.mark.parametrize(
    ("q", "k", "copies"),
    [
        (UNIFORM, 1, [0, 0.296875, 0.578125, 0.015625, 0.109375]),
        (UNIFORM, 2, [0, 0.640625, 0.734375, 0.171875, 0.453125]),
        (MIXED, 1, [0, 0.356011, 0.578125, 0.008233, 0.057631]),  # adaptive mixed sampling
        (MIXED, 2, [0, 0.842214, 0.734375, 0.114086, 0.309325]),
        (MIXED, 3, [3 * share for share in MIXED]),
    ],
)
def test_copies_among_the_highest_of_three_draws(q, k, copies):
    law = HighestLaw(TINY, Known(q), lambda: (k, 3))
    batch = Batch(torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64))
    found = law.law(batch, torch.arange(5), SCORES)[0].double().exp().numpy()[0]
    np.testing.assert_allclose(k * found, copies, atol=3e-6)


def test_items_of_one_score_share_their_rank_by_their_own_law():
    tied = Scorer(Tables(torch.ones(1, 1), torch.tensor([[2.0], [1.0], [1.0], [-1.0], [-1.0]])))
    batch = Batch(torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64))
    for k, high in ((1, 1 - 0.403846**3), (2, None)):
        found = HighestLaw(TINY, Known(MIXED), lambda k=k: (k, 3)).law(batch, torch.arange(5), tied)[0].exp()[0]
        assert float(found.sum()) == pytest.approx(1, abs=1e-5)
        assert float(found[1] / found[2]) == pytest.approx(0.346154 / 0.25, rel=1e-5)
        if high is not None:
            assert float(found[1] + found[2]) == pytest.approx(high, rel=1e-5)


def test_the_law_of_what_is_hardly_ever_chosen_is_finite():
    batch = Batch(torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64))
    found = HighestLaw(TINY, Known(UNIFORM), lambda: (1, 5000)).law(batch, torch.arange(1, 5), SCORES)[0]
    assert torch.isfinite(found).all()
    assert float(found[0, 1]) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("text", ["mixed:uniform=0.5", "inbatch", "memory:capacity=64"])
def test_each_negative_is_the_highest_of_a_group_with_its_share_of_the_mixture(text):
    sampler, model, rng = make("dns", DATA, pool=4, proposal=text), scorer(), np.random.default_rng(2)
    if sampler.after_step is not None:
        sampler.after_step(batch_of(DATA, seed=5, size=64), None, model)
    batch = batch_of(DATA, size=64)
    drawn = sampler.propose(batch, N, rng, model)
    chosen = sampler.choose(batch, drawn, N, rng, model)
    scores = model.all(batch.users).gather(1, drawn.items).masked_fill(~drawn.valid, -torch.inf)
    for column in range(N):
        group = slice(column, None, N)  # columns of both origins, which stand one after the other
        best = scores[:, group].max(dim=1).values
        some = best > -torch.inf
        assert torch.equal(model.all(batch.users).gather(1, chosen.items)[some, column], best[some])
        assert torch.equal(chosen.valid[:, column], some)


def test_adaptive_mixed_sampling_by_its_composition():
    """Of four draws two are the batch's and two uniform: the highest is below x with probability F_in² F_uni²."""
    sizes, owners = [8, 4, 2, 1, 1], np.arange(16).astype(np.int32)
    items = np.repeat(np.arange(5), sizes).astype(np.int32)
    data = Training(Interactions(owners, items, 16, 5))
    scores = Scorer(Tables(torch.ones(16, 1), SCORES.tables.items))
    sampler, rng, kept = make("dns", data, pool=4, proposal="mixed:mask=none"), np.random.default_rng(3), []
    for _ in range(300):
        rows = rng.integers(16, size=500)
        batch = Batch(torch.from_numpy(rows), torch.from_numpy(items[rows].astype(np.int64)))
        kept.append(sampler.choose(batch, sampler.propose(batch, 1, rng, scores), 1, rng, scores).items)
    found = np.bincount(torch.cat(kept).numpy().ravel(), minlength=5) / 150_000
    ascending = [3, 4, 1, 2, 0]
    below = np.cumsum(np.array(sizes)[ascending] / 16) ** 2 * np.cumsum(np.full(5, 0.2)) ** 2
    law = np.empty(5)
    law[ascending] = np.diff(below, prepend=0)
    np.testing.assert_allclose(found, law, atol=0.006)


@pytest.mark.parametrize("text", ["mixed", "cohort", "given"])
def test_importance_weights_are_by_the_law_of_the_proposal(text):
    sampler, model = make("pris", DATA, proposal=text), scorer()
    batch, drawn = run(sampler, DATA, np.random.default_rng(1), model, epochs=1)[-1]
    law = make(text, DATA).proposal.law(batch, drawn.items, model)[0]
    logits = model.scores(batch.users, drawn.items) - law
    if drawn.valid is not None:
        logits = logits.masked_fill(~drawn.valid, -torch.inf)
    rows = batch.users > 1
    torch.testing.assert_close(drawn.weight[rows], logits.softmax(dim=1)[rows])


def test_weights_over_the_whole_batch():
    sampler, model, rng = make("self-adversarial", DATA, proposal="inbatch"), scorer(), np.random.default_rng(1)
    batch = batch_of(DATA, size=40)
    chosen = sampler.choose(batch, sampler.propose(batch, None, rng, model), None, rng, model)
    assert chosen.shared
    expected = model.all(batch.users)[:, batch.positives].masked_fill(~chosen.valid, -torch.inf).softmax(dim=1)
    rows = chosen.valid.any(dim=1)
    torch.testing.assert_close(chosen.weight[rows], expected[rows])


def test_lists_of_adasir_are_unseen_whatever_proposes():
    for text in ("inbatch:mask=none", "uniform:reject=false", "memory"):
        sampler = make("adasir", DATA, proposal=text)
        sampler.before_epoch(1, scorer(), np.random.default_rng(0))
        lists = np.asarray(sampler.state["lists"])[2:]
        assert not DATA.seen.contains(np.arange(2, U)[:, None], lists).any()
        assert len(np.unique(lists)) > N_ITEMS / 2
