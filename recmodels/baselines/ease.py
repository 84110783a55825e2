"""EASE: the linear item-item model that has a closed form."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri

from recmodels.baselines.product import Float, Product, check_memory, gram, histories, matrix
from recmodels.models import BASELINES
from recmodels.sampling import Training
from recmodels.search import Search

TILE = 1024


@BASELINES.register("ease", paper="Steck, WWW 2019", aliases=["EASE^R", "EASER"])
def ease(training: Training, *, regularisation: Annotated[float, "> 0", Search(1, 1e7, log=True)] = 500.0) -> Product:
    """The weights between items that restore everybody's items best, in closed form.

    s_uj = Σ over i in P_u of B_ij, where B minimises ‖X - XB‖² + λ ‖B‖² with B_jj = 0: B_ij = -P_ij / P_jj off the
    diagonal, and P = (Xᵀ X + λ I)⁻¹. Negative weights stay. Memory is that of one I × I matrix of 8 bytes a cell, which
    is inverted in place.

    Args:
        training: the training interactions.
        regularisation: λ.

    Raises:
        MemoryError: the matrix is larger than the machine's memory.
    """
    interactions = matrix(training)
    check_memory("ease", training.n_items)
    inverse = _inverse(gram(interactions), regularisation)
    diagonal = inverse.diagonal().copy()
    inverse /= -diagonal  # each column by its own
    np.fill_diagonal(inverse, 0.0)
    return Product(histories(training, interactions), inverse)


def _inverse(square: Float, l2: float) -> Float:
    """(I, I) the inverse of `square` + `l2` · identity, in the memory of `square`.

    LAPACK leaves the triangle above the diagonal, which is copied below it tile by tile.
    """
    square[np.diag_indices_from(square)] += l2
    columns = square.T  # the same symmetric matrix, by columns, as LAPACK wants it
    factor, failed = dpotrf(columns, lower=1, overwrite_a=1)
    if failed:
        raise np.linalg.LinAlgError(
            f"regularisation={l2} is too small for the rounding of ease on these data; give a larger one"
        )
    inverse: Float = dpotri(factor, lower=1, overwrite_c=1)[0].T
    n = len(inverse)
    for start in range(0, n, TILE):
        stop = min(start + TILE, n)
        for row in range(start, stop):
            inverse[row + 1 : stop, row] = inverse[row, row + 1 : stop]
        inverse[stop:, start:stop] = inverse[start:stop, stop:].T
    return inverse
