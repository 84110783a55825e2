"""SLIM: sparse weights between items, by an elastic net for each."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from scipy import sparse

from datasets.errors import UserError
from recmodels.baselines.product import Product, check_memory, gram, histories, matrix, transposed
from recmodels.models import BASELINES
from recmodels.sampling import Training
from recmodels.search import Search

TOLERANCE, SWEEPS = 1e-6, 10_000  # of coordinate descent: duality gap relative to the norm of the target, passes


@BASELINES.register("slim", paper="Ning, Karypis, ICDM 2011")
def slim(
    training: Training,
    *,
    alpha: Annotated[float, "> 0", Search(1e-3, 1, log=True)] = 0.01,
    l1_ratio: Annotated[float, "> 0, <= 1", Search(1e-5, 1, log=True)] = 0.1,
) -> Product:
    """Few positive weights from other items for each item, by the elastic net of scikit-learn.

    s_uj = Σ over i in P_u of W_ij, whose column j minimises 1/(2U) ‖X_j - X W_j‖² + alpha · l1_ratio ‖W_j‖₁ +
    alpha · (1 - l1_ratio) / 2 ‖W_j‖² with W ≥ 0 and W_jj = 0.

    Memory is that of one I × I matrix of 8 bytes a cell.

    Args:
        training: the training interactions.
        alpha: strength of both penalties.
        l1_ratio: share of the first, which makes weights 0.

    Raises:
        UserError: scikit-learn is not installed.
        MemoryError: the matrix is larger than the machine's memory.
    """
    try:
        from sklearn.linear_model import enet_path
    except ImportError as error:
        raise UserError("slim needs scikit-learn; install it with `pip install scikit-learn`.") from error
    check_memory("slim", training.n_items)
    interactions, n_items = matrix(training), training.n_items
    together = gram(interactions)
    # All that coordinate descent reads of X is XᵀX, XᵀX_j and ‖X_j‖. One row stands for its U, at U times the penalty.
    row, penalty = np.zeros((1, n_items)), [alpha * training.n_trained]
    found = []
    for j in range(n_items):
        shared = together[j].copy()
        together[j] = together[:, j] = 0.0  # so that j has no weight of its own
        _, weights, _ = enet_path(
            row,
            np.sqrt(shared[[j]]),
            alphas=penalty,
            l1_ratio=l1_ratio,
            precompute=together,
            Xy=np.where(np.arange(n_items) == j, 0.0, shared),
            positive=True,
            check_input=False,
            tol=TOLERANCE,
            max_iter=SWEEPS,
        )
        together[j] = together[:, j] = shared
        found.append(sparse.csr_array(weights.T))
    return Product(histories(training, interactions), transposed(sparse.vstack(found, format="csr")))
