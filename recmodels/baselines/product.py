"""What baselines over sparse matrices share: the interactions as one, products by blocks, the largest of a row."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from datasets import Interactions
from recmodels.sampling import Training

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Rows = Any  # scipy.sparse.csr_array of float64; its stubs ask for more than can be said here
CELLS = 1 << 22  # cells of a product computed at a time, were it dense


@dataclass(frozen=True)
class Product:
    """Scores `left[users] @ right`, computed for the users that are asked for.

    Attributes:
        left: sparse (U, M).
        right: (M, I), sparse or dense.
    """

    left: Rows
    right: Any

    def scores(self, users: Tensor) -> Tensor:
        """(B, I) scores for `users` (B,), a new tensor."""
        block = self.left[users.numpy()] @ self.right
        return torch.from_numpy(block if isinstance(block, np.ndarray) else block.toarray())


def matrix(training: Training) -> Rows:
    """(U, I) 1 where a user has an item in train, however often."""
    return _binary(training.interactions)


def histories(training: Training, interactions: Rows) -> Rows:
    """(U, I) the `interactions` of train and what is folded in: by which users are ranked, trained on or not."""
    return interactions if training.fold_in is None else interactions + _binary(training.fold_in)


def _binary(interactions: Interactions) -> Rows:
    offsets, items = interactions.by_user()
    shape = (interactions.n_users, interactions.n_items)
    return sparse.csr_array((np.ones(len(items)), items, offsets), shape=shape)


def transposed(rows: Rows) -> Rows:
    """The transposed matrix, by rows again."""
    return rows.T.tocsr()


def entries_of_rows(rows: Rows) -> Int:
    """The row of each entry."""
    return np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))


def blocks(left: Rows, right: Rows) -> Iterator[tuple[int, Rows]]:
    """The product of two sparse matrices a few rows at a time: the number of the first row, and the rows."""
    step = max(1, CELLS // right.shape[1])
    for start in range(0, left.shape[0], step):
        block = left[start : start + step] @ right
        block.sort_indices()
        yield start, block


def nearest(left: Rows, right: Rows, k: int, change: Callable[[Int, Rows], Float]) -> Rows:
    """(M, M) of the product of `left` and `right`, the `k` largest of each row but the diagonal.

    Args:
        left: sparse (M, N).
        right: sparse (N, M).
        k: how many of a row are kept; of equal ones those with the lower column.
        change: (rows of the entries, some rows of the product) → the value of each entry in its place.
    """
    found = []
    for start, block in blocks(left, right):
        owners = entries_of_rows(block) + start
        block.data = np.where(owners == block.indices, 0.0, change(owners, block))
        found.append(largest(block, k))
    return sparse.vstack(found, format="csr")


def largest(rows: Rows, k: int) -> Rows:
    """The `k` largest entries above 0 of each row; of equal ones those with the lower column."""
    rows.eliminate_zeros()
    order = np.lexsort((rows.indices, -rows.data, entries_of_rows(rows)))
    place = np.arange(rows.nnz) - np.repeat(rows.indptr[:-1], np.diff(rows.indptr))
    kept = np.sort(order[place < k])
    offsets = np.concatenate([[0], np.cumsum(np.minimum(np.diff(rows.indptr), k))])
    return sparse.csr_array((rows.data[kept], rows.indices[kept], offsets), shape=rows.shape)


def gram(interactions: Rows) -> Float:
    """(I, I) how many users have both items, dense."""
    items = transposed(interactions)
    counts = np.empty((items.shape[0], items.shape[0]))
    for start, block in blocks(items, interactions):
        counts[start : start + block.shape[0]] = block.toarray()
    return counts


def check_memory(name: str, n_items: int) -> None:
    """Refuse a catalogue whose `gram` this machine cannot hold.

    Raises:
        MemoryError: saying how much `name` needs.
    """
    needed, there = 8 * n_items**2, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > there:
        raise MemoryError(
            f"{name} needs {needed / 1e9:,.1f} GB for a matrix of {n_items:,} × {n_items:,} items, and there are "
            f"{there / 1e9:,.1f} GB here; leave out rare items (--k-core), or use itemknn or rp3beta, which have "
            "sparse ones"
        )
