"""Implicit ALS with regularisation scaled by frequency."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch

from recmodels.baselines.product import Float, Rows, histories, matrix, transposed
from recmodels.models import BASELINES
from recmodels.sampling import Training
from recmodels.search import Search
from recmodels.types import Tables

ROWS = 256  # systems of equations solved at a time


@BASELINES.register("ials", paper="Hu, Koren, Volinsky, ICDM 2008; Rendle, Krichene, Zhang, Koren, RecSys 2022")
def ials(
    training: Training,
    rng: np.random.Generator,
    *,
    factors: Annotated[int, ">= 1", Search(8, 256, log=True)] = 64,
    iterations: Annotated[int, ">= 1"] = 16,
    regularisation: Annotated[float, "> 0", Search(0.001, 0.02, log=True)] = 0.003,
    unobserved: Annotated[float, "> 0", Search(0.003, 1, log=True)] = 0.1,
    nu: Annotated[float, ">= 0"] = 1.0,
) -> Tables:
    """Matrix factorisation of all cells, each side in turn solved exactly.

    Minimises Σ over interactions of (1 - u·v)² + α₀ Σ over all cells of (u·v)² + λ Σ_u (|P_u| + α₀ I)^ν ‖u‖² +
    λ Σ_i (n_i + α₀ U)^ν ‖v‖², users and then items in every iteration, from N(0, 0.1 / √D). A user that is not trained
    on is solved for at the end, with the last vectors of the items.

    Args:
        training: the training interactions.
        rng: for the initial vectors.
        factors: D, numbers per user and per item.
        iterations: how often each side is solved.
        regularisation: λ.
        unobserved: α₀, the weight of a cell; an interaction has it beside its own 1.
        nu: how regularisation grows with frequency; 0 is one λ for all, 1 what the authors of 2022 recommend.
    """
    users = matrix(training)
    items = transposed(users)
    shapes = ((training.n_users, factors), (training.n_items, factors))
    # as the authors draw them, though the first step replaces those of the users
    owners, vectors = (rng.normal(0.0, 0.1 / np.sqrt(factors), shape) for shape in shapes)
    for _ in range(iterations):
        owners = _solved(users, vectors, training.n_items, regularisation, unobserved, nu)
        vectors = _solved(items, owners, training.n_trained, regularisation, unobserved, nu)
    known = histories(training, users)
    folded = np.flatnonzero(np.diff(known.indptr) - np.diff(users.indptr))
    owners[folded] = _solved(known[folded], vectors, training.n_items, regularisation, unobserved, nu)
    return Tables(torch.from_numpy(owners), torch.from_numpy(vectors))


def _solved(rows: Rows, others: Float, count: int, l2: float, unobserved: float, nu: float) -> Float:
    """(M, D) the best vector for each of `rows` (M, N), given the vectors of the `others` (N, D).

    `count` is N without users that are not trained on, whose vectors are 0.
    """
    size = others.shape[1]
    of_all = unobserved * others.T @ others
    pull = l2 * (np.diff(rows.indptr) + unobserved * count) ** nu  # (M,)
    sums = rows @ others
    found = np.empty((rows.shape[0], size))
    for start in range(0, len(found), ROWS):
        stop = min(start + ROWS, len(found))
        systems = np.empty((stop - start, size, size))
        for at, row in enumerate(range(start, stop)):
            theirs = others[rows.indices[rows.indptr[row] : rows.indptr[row + 1]]]
            systems[at] = of_all + theirs.T @ theirs
        systems[:, np.arange(size), np.arange(size)] += pull[start:stop, None]
        found[start:stop] = np.linalg.solve(systems, sums[start:stop, :, None])[:, :, 0]
    return found
