"""Negatives by popularity cohort, against laws worked out by hand."""

import numpy as np
import pytest
import torch

from datasets import Interactions
from recmodels.contracts.small import make, scorer
from recmodels.samplers.cohorts import cohorts
from recmodels.sampling import Training
from recmodels.types import Batch

HEAD, MID, TAIL = 0, 1, 2
COUNTS = [3, 3, 2, 1, 1]


def data(counts, seen=()):
    """Items with so many interactions, of one user each; the user 0 has `seen`, the last user nothing."""
    items = np.repeat(np.arange(len(counts)), counts)
    owners = np.arange(1, len(items) + 1)
    for item in seen:
        owners[np.flatnonzero(items == item)[0]] = 0
    return Training(Interactions(owners.astype(np.int32), items.astype(np.int32), len(items) + 2, len(counts)))


def stated(sampler, known, user, positive):
    """What the law says of each item that the user has not seen."""
    batch = Batch(torch.tensor([user]), torch.tensor([positive]))
    law = sampler.law.law(batch, torch.arange(5), scorer())[0].exp()[0].numpy()
    return np.where(known.seen.contains(np.array([user]), np.arange(5)), 0, law)


def test_cohorts_hold_a_third_of_the_interactions_each():
    assert cohorts(np.array(COUNTS)).tolist() == [HEAD, MID, TAIL, TAIL, TAIL]
    assert cohorts(np.array([8, 4, 2, 1, 1])).tolist() == [MID, TAIL, TAIL, TAIL, TAIL]  # one has more than a third
    assert cohorts(np.array([1, 1, 2, 3, 3])).tolist() == [TAIL, TAIL, TAIL, HEAD, MID]


@pytest.mark.parametrize(
    ("positive", "free", "law"),
    [
        (0, [0.8, 0.1, 0.033333, 0.033333, 0.033333], [0, 0.5, 0.166667, 0.166667, 0.166667]),
        (1, [0.1, 0.8, 0.033333, 0.033333, 0.033333], [0, 0.888889, 0.037037, 0.037037, 0.037037]),
        (4, [0.1, 0.1, 0.266667, 0.266667, 0.266667], [0, 0.111111, 0.296296, 0.296296, 0.296296]),
    ],
)
def test_law_by_the_cohort_of_the_positive(positive, free, law):
    """Of a user who has seen nothing, and of one who has seen the head; draws follow the latter."""
    known = data(COUNTS, seen=[0])
    sampler, users = make("cohort", known), torch.zeros(20_000, dtype=torch.int64)
    np.testing.assert_allclose(stated(sampler, known, known.n_users - 1, positive), free, atol=2e-6)
    np.testing.assert_allclose(stated(sampler, known, 0, positive), law, atol=2e-6)
    drawn = sampler.propose(Batch(users, torch.full_like(users, positive)), 20, np.random.default_rng(0), scorer())
    np.testing.assert_allclose(np.bincount(drawn.items.ravel(), minlength=5) / 400_000, law, atol=0.004)


def test_a_cohort_without_items_has_no_share():
    known = data([8, 4, 2, 1, 1])
    law = stated(make("cohort", known), known, known.n_users - 1, 0)
    np.testing.assert_allclose(law, [0.8 / 0.9] + [0.1 / 0.9 / 4] * 4, rtol=1e-5)


def test_equal_shares_of_cohorts_are_the_same_for_every_positive():
    known = data(COUNTS, seen=[0])
    for positive in range(5):
        law = stated(make("cohort", known, own=1 / 3), known, 0, positive)
        np.testing.assert_allclose(law, [0, 0.5, 1 / 6, 1 / 6, 1 / 6], rtol=1e-5)
