"""A contrastive term between two views of the same users and items, which stands beside any loss."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from recmodels.types import Batch, Tables


def auxiliary(one: Tables, other: Tables, batch: Batch, temperature: float) -> Tensor:
    """`contrast` of the batch's users plus that of its positives (Yu et al., TKDE 2024)."""
    users = contrast(one.users, other.users, batch.users, temperature)
    return users + contrast(one.items, other.items, batch.positives, temperature)


def contrast(one: Tensor, other: Tensor, ids: Tensor, temperature: float) -> Tensor:
    """InfoNCE between two views (R, D): the mean over the different `ids` of -z_aa + log Σ_b exp z_ab.

    z_ab = cos(one_a, other_b) / τ, over the ids alone; each counts once, however often the batch has it.
    """
    ids = torch.unique(ids)
    mine, its = (normalize(view.index_select(0, ids)) for view in (one, other))
    z = mine @ its.T / temperature
    return (z.logsumexp(dim=1) - z.diagonal()).mean()


def perturbed(vectors: Tensor, length: float, rng: np.random.Generator) -> Tensor:
    """`vectors` (R, D), each moved by this length in a random direction of the orthant that it lies in.

    v + ε sign(v) ⊙ r / ‖r‖ with r uniform in [0, 1]ᴰ, to which no gradient flows.
    """
    drawn = torch.from_numpy(rng.random(tuple(vectors.shape), dtype=np.float32)).to(vectors)
    return vectors + length * vectors.detach().sign() * normalize(drawn)
