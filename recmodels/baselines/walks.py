"""Random walks of three steps over the graph of users and items: from a user to an item, a user and an item."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from recmodels.baselines.product import (
    Float,
    Int,
    Product,
    Rows,
    entries_of_rows,
    histories,
    matrix,
    nearest,
    transposed,
)
from recmodels.models import BASELINES
from recmodels.sampling import Training
from recmodels.search import Search


@BASELINES.register("p3alpha", paper="Cooper, Lee, Radzik, Siantos, WWW Companion 2014", aliases=["P3a"])
def p3alpha(
    training: Training,
    *,
    alpha: Annotated[float, ">= 0", Search(0, 2)] = 1.0,
    neighbours: Annotated[int, ">= 1", Search(5, 1000)] = 100,
    cut: Annotated[Literal["source", "target"], Search(among=("source", "target"))] = "source",
    normalise: Annotated[bool, Search(among=(False, True))] = False,
) -> Product:
    """A user gets the items where a random walk of three steps ends.

    s_uj = Σ over i in P_u of W_ij, with W_ij = Σ over the users v that have both of (1/n_i)^α (1/|P_v|)^α: from item i
    to one of its n_i users, and to one of that user's items. α = 1 is the walk itself. Its first step has the same
    probability for all items of a user, and is left out.

    Args:
        training: the training interactions.
        alpha: exponent of the probability of each step.
        neighbours: how many items are kept, of equal ones those with the lower id.
        cut: for each `source` i, as is usual, or for each `target` j.
        normalise: whether what is kept of each source is divided by its sum.
    """
    return _walks(training, alpha, 0.0, neighbours, cut, normalise)


@BASELINES.register("rp3beta", paper="Paudel, Christoffel, Newell, Bernstein, TiiS 2017", aliases=["RP3b"])
def rp3beta(
    training: Training,
    *,
    alpha: Annotated[float, ">= 0", Search(0, 2)] = 1.0,
    beta: Annotated[float, ">= 0", Search(0, 2)] = 0.5,
    neighbours: Annotated[int, ">= 1", Search(5, 1000)] = 100,
    cut: Annotated[Literal["source", "target"], Search(among=("source", "target"))] = "source",
    normalise: Annotated[bool, Search(among=(False, True))] = False,
) -> Product:
    """The walk of `p3alpha`, which ends at popular items less often: W_ij is divided by n_j^β.

    Args:
        training: the training interactions.
        alpha: exponent of the probability of each step.
        beta: how much popular items are held down.
        neighbours: how many items are kept, of equal ones those with the lower id.
        cut: for each `source` i, as is usual, or for each `target` j.
        normalise: whether what is kept of each source is divided by its sum.
    """
    return _walks(training, alpha, beta, neighbours, cut, normalise)


def _walks(
    training: Training, alpha: float, beta: float, neighbours: int, cut: Literal["source", "target"], normalise: bool
) -> Product:
    users = matrix(training)  # (U, I)
    items = transposed(users)  # (I, U)
    counts = np.diff(items.indptr).clip(1)
    leaving, arriving = counts**-alpha, counts**-beta  # (I,) each
    of_row, of_column = (leaving, arriving) if cut == "source" else (arriving, leaving)
    items.data = np.diff(users.indptr)[items.indices] ** -alpha

    def weight(owners: Int, block: Rows) -> Float:
        weighed: Float = block.data * of_row[owners] * of_column[block.indices]
        return weighed

    found = nearest(items, users, neighbours, weight)
    weights = found if cut == "source" else transposed(found)
    if normalise:
        owners = entries_of_rows(weights)
        weights.data /= np.bincount(owners, weights.data, minlength=training.n_items)[owners]
    return Product(histories(training, users), weights)
