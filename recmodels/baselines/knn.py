"""Nearest neighbours by the cosine of binary vectors, of items and of users."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from recmodels.baselines.product import Float, Int, Product, Rows, histories, matrix, nearest, transposed
from recmodels.models import BASELINES
from recmodels.sampling import Training
from recmodels.search import Search


@BASELINES.register("itemknn", paper="Sarwar, Karypis, Konstan, Riedl, WWW 2001", aliases=["ItemCF"])
def itemknn(
    training: Training,
    *,
    neighbours: Annotated[int, ">= 1", Search(5, 1000)] = 100,
    shrink: Annotated[float, ">= 0", Search(0, 1000)] = 0.0,
) -> Product:
    """A user gets the items that are similar to theirs.

    s_uj = Σ over i in P_u of S_ij, with S_ij = n_ij / (√(n_i n_j) + shrink), where n_ij users have both. Of each item j
    the `neighbours` most similar other items are kept; of equally similar ones those with the lower id.

    Args:
        training: the training interactions.
        neighbours: how many similar items each item is scored by.
        shrink: lowers similarities that rest on few users (Bell and Koren, ICDM 2007).
    """
    interactions = matrix(training)
    similar = _cosines(transposed(interactions), interactions, neighbours, shrink)
    return Product(histories(training, interactions), transposed(similar))


@BASELINES.register("userknn", paper="Sarwar, Karypis, Konstan, Riedl, EC 2000", aliases=["UserCF"])
def userknn(
    training: Training,
    *,
    neighbours: Annotated[int, ">= 1", Search(5, 1000)] = 100,
    shrink: Annotated[float, ">= 0", Search(0, 1000)] = 0.0,
) -> Product:
    """A user gets the items of similar users.

    s_uj = Σ over the nearest v that have j of S_uv, with S_uv = |P_u ∩ P_v| / (√(|P_u| |P_v|) + shrink). The nearest
    are the `neighbours` other users of train most similar to u; of equally similar ones those with the lower id.

    Args:
        training: the training interactions.
        neighbours: how many similar users each user is scored by.
        shrink: lowers similarities that rest on few items.
    """
    interactions = matrix(training)
    owners = histories(training, interactions)
    return Product(_cosines(owners, transposed(interactions), neighbours, shrink), interactions)


def _cosines(rows: Rows, columns: Rows, k: int, shrink: float) -> Rows:
    """(M, M) the `k` largest shrunk cosines of each of `rows` (M, N) with each of the others in `columns` (N, M)."""
    norms, its = np.sqrt(np.diff(rows.indptr)), np.sqrt(np.bincount(columns.indices, minlength=columns.shape[1]))

    def similarity(owners: Int, overlap: Rows) -> Float:
        shared: Float = overlap.data / (norms[owners] * its[overlap.indices] + shrink)
        return shared

    return nearest(rows, columns, k, similarity)
