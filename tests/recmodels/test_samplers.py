"""What tells each method from the others: identities, brute force, and that it is not uniform by another name."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Sampler, Scorer, Training
from recmodels.types import Batch, Candidates, LossInput, Tables
from tests.loss_cases import (
    SMALL,
    TASTES,
    trained,
)
from tests.sampler_cases import (
    DATA,
    N_ITEMS,
    N,
    draw,
    law_of,
    make,
    run,
    same,
    scorer,
)


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


def test_what_has_no_schedule_settles_at_once():
    schedules = {name for name in SAMPLERS if make(name, DATA).settles}
    assert schedules == {"curriculum", "srns", "dens"}  # and `memory:mode=frozen`


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
    "dens": "test_takes_what_is_hard_by_its_irrelevant_part",
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


def test_samplers_score_without_dropout() -> None:
    """RecBole puts the model into eval mode while DNS scores its pool; vectors with dropout would rank by chance."""
    data, seen = Training(TASTES), []
    built = MODELS["mf"](data, SMALL, np.random.default_rng(0), **MODELS.parameters("mf", {}))

    def look(batch: Batch, pool: Candidates, n: int, rng: np.random.Generator, model: Scorer) -> Candidates:
        exact = built.users.detach()[batch.users] @ built.items.detach().T
        torch.testing.assert_close(model.all(batch.users), exact)
        seen.append(len(batch.users))
        return pool

    trained(data, "bpr", Sampler(make("uniform", data).proposal, select=look), lambda *_: built, dropout=0.5)
    assert sum(seen) == 3 * len(TASTES)
