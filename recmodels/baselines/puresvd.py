"""PureSVD: the interactions cut down to their largest singular values."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from scipy.sparse.linalg import svds

from datasets.errors import UserError
from recmodels.baselines.product import histories, matrix
from recmodels.models import BASELINES
from recmodels.sampling import Training
from recmodels.search import Search
from recmodels.types import Tables


@BASELINES.register("puresvd", paper="Cremonesi, Koren, Turrin, RecSys 2010", aliases=["SVD"])
def puresvd(training: Training, *, factors: Annotated[int, ">= 1", Search(1, 350)] = 64) -> Tables:
    """The interactions as a matrix of 0 and 1, whose singular values but the largest are dropped.

    s_uj = (X V Vᵀ)_uj, V (I, D) being the right singular vectors of the D largest singular values of X.

    Args:
        training: the training interactions.
        factors: D.

    Raises:
        UserError: there are no more users or items than factors.
    """
    interactions = matrix(training)
    most = min(interactions.shape) - 1
    if factors > most:
        raise UserError(
            f"puresvd has at most {most} factors on {training.n_users:,} users and {training.n_items:,} items, "
            f"not {factors}; give factors={most} or fewer."
        )
    start = np.random.Generator(np.random.SFC64(0)).random(min(interactions.shape))  # a constant: no chance in it
    _, _, vectors = svds(interactions, k=factors, v0=start)
    items = np.ascontiguousarray(vectors.T)
    return Tables(torch.from_numpy(histories(training, interactions) @ items), torch.from_numpy(items))
