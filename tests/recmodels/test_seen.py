import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets import Interactions
from recmodels import seen as module
from recmodels.sampling import Training
from recmodels.seen import Seen


def interactions(pairs, n_users, n_items):
    users, items = np.array(sorted(pairs), np.int32).reshape(-1, 2).T
    return Interactions(users, items, n_users, n_items)


@st.composite
def cases(draw):
    n_users, n_items = draw(st.integers(1, 6)), draw(st.integers(1, 20))
    pairs = st.tuples(st.integers(0, n_users - 1), st.integers(0, n_items - 1))
    return interactions(draw(st.sets(pairs, min_size=1)), n_users, n_items)


@pytest.mark.parametrize("hashed", [False, True])
@settings(max_examples=60, deadline=None)
@given(train=cases())
def test_agrees_with_a_matrix(hashed, train):
    limit = module.BITMAP_BYTES
    try:
        module.BITMAP_BYTES = 0 if hashed else limit
        seen = Seen(train)
    finally:
        module.BITMAP_BYTES = limit
    assert seen.exact != hashed
    matrix = np.zeros((train.n_users, train.n_items), bool)
    matrix[train.users, train.items] = True
    users, items = np.arange(train.n_users)[:, None], np.arange(train.n_items)
    assert np.array_equal(seen.contains(users, items), matrix)
    assert not seen.contains(users, np.array([-1, train.n_items])).any()
    assert np.array_equal(seen.counts, matrix.sum(axis=1))
    order = np.random.default_rng(0).integers(train.n_users, size=5)
    assert np.array_equal(np.stack(seen.of(order)), np.stack(np.nonzero(matrix[order])))
    columns = np.random.default_rng(1).integers(train.n_items, size=7)
    assert np.array_equal(seen.cells(order, columns), matrix[order][:, columns])
    for user in range(train.n_users):
        unseen = np.flatnonzero(~matrix[user])
        found = seen.unseen(np.full(len(unseen), user), np.arange(len(unseen)))
        assert np.array_equal(found, unseen)


def test_memory_grows_with_interactions_not_with_users_times_items():
    """100 000 × 1 000 000 pairs would take 12.5 GB as bits."""
    rng = np.random.default_rng(0)
    n_users, n_items, n = 100_000, 1_000_000, 200_000
    keys = np.unique(rng.integers(n_users * n_items, size=n))
    train = Interactions((keys // n_items).astype(np.int32), (keys % n_items).astype(np.int32), n_users, n_items)
    seen = Seen(train)
    size = sum(value.nbytes for value in vars(seen).values() if isinstance(value, np.ndarray))
    assert size < 60 * n
    assert seen.contains(train.users.astype(np.int64), train.items.astype(np.int64)).all()
    users, items = rng.integers(n_users, size=n), rng.integers(n_items, size=n)
    assert np.array_equal(seen.contains(users, items), np.isin(users * n_items + items, keys))


def test_training_holds_train_and_nothing_else():
    train = interactions({(0, 0), (0, 1), (1, 1)}, 2, 3)
    training = Training(train)
    assert training.counts.tolist() == [1, 2, 0]
    held = {id(value) for value in vars(training).values() if isinstance(value, Interactions)}
    assert held == {id(train)}
