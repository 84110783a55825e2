"""Self-attention over the items of a history."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, layer_norm, linear, scaled_dot_product_attention

from datasets.errors import UserError
from recmodels.models import MODELS
from recmodels.models.sequences import Linear, SequenceModel, normal
from recmodels.sampling import Training
from recmodels.search import Search
from recmodels.settings import Settings

STD = 0.02  # of the initial weights and positions


@MODELS.register(
    "sasrec",
    paper="Kang, McAuley, ICDM 2018",
    gives=["dot", "cosine", "half-cosine", "distance", "unseen_users", "queries"],
    refuses=["user_tables", "user_rows"],
    ignores={"l2_user": "", "l2_bias": ""},
    recommended={"l2": 0.0, "learning_rate": 1e-3},
    recommended_from="Kang, McAuley, ICDM 2018, for ml-1m",
)
def sasrec(
    training: Training,
    settings: Settings,
    rng: np.random.Generator,
    *,
    length: Annotated[int, ">= 1", Search(50, 200, log=True)] = 200,  # authors, for ml-1m
    blocks: Annotated[int, ">= 0, <= 16", Search(1, 4)] = 2,  # authors
    heads: Annotated[int, ">= 1", Search(among=(1, 2, 4))] = 1,  # authors
    drop: Annotated[float, ">= 0, < 1", Search(among=(0.0, 0.1, 0.2, 0.5))] = 0.2,  # authors, for ml-1m
    block: Literal["paper", "code"] = "paper",
    shown: Literal["valid", "train"] = "valid",
) -> nn.Module:
    """Self-attention over the last items of the history, each position asked for the item that comes next.

    x_t = √D v_t + p_t; in each block x ← x + drop(attention(LN(x))), which looks back alone, and then x ← x + drop(W₂
    relu(W₁ LN(x) + b₁) + b₂); the query is LN(x_t). Vectors are those that are scored. Weights and positions start
    normal with a standard deviation of 0.02, v as the settings say; chance in dropout is torch's.

    Args:
        training: gives the interactions.
        settings: gives the size and the scale of the vectors.
        rng: draws the initial vectors, items first.
        length: how many items of a history are read, the last ones; positions count from the first of them.
        blocks: of attention and a layer of ReLU as wide as the vectors.
        heads: of the attention; they divide the size of the vectors.
        drop: the share of numbers dropped from x_0, from attention weights and from what a block adds.
        block: `paper`, as above; `code`, as in its authors' code and in its ports: y ← LN(x) + attention(LN(x)), with
            keys and values of x, then x ← LN(y) + drop(W₂ relu(drop(W₁ LN(y) + b₁)) + b₂).
        shown: whether the histories that are ranked at test hold what validates too: `valid`, or `train` for not.
    """
    if settings.embedding_size % heads:
        raise UserError(f"sasrec needs heads that divide embedding_size, not {heads} and {settings.embedding_size}.")
    kind = _Block if block == "paper" else _BlockOfCode
    return _SASRec(training, settings, rng, length, blocks, partial(kind, heads=heads, drop=drop), drop, shown)


class _SASRec(SequenceModel):
    def __init__(
        self,
        training: Training,
        settings: Settings,
        rng: np.random.Generator,
        length: int,
        blocks: int,
        block: Callable[..., nn.Module],
        drop: float,
        shown: str,
    ) -> None:
        super().__init__(training, settings, rng, length, shown)
        size = settings.embedding_size
        self.positions = normal(rng, length, size, std=STD)  # (L, D)
        self.blocks = nn.ModuleList(block(size, rng=rng) for _ in range(blocks))
        self.norm = _Norm(size)
        self.drop = drop

    def encode(self, inputs: Tensor) -> Tensor:
        x = inputs * math.sqrt(inputs.shape[-1]) + self.positions[: inputs.shape[1]]
        x = dropout(x, self.drop, self.training)
        for block in self.blocks:
            x = block(x)
        normed: Tensor = self.norm(x)
        return normed


class _Block(nn.Module):
    def __init__(self, size: int, *, heads: int, drop: float, rng: np.random.Generator) -> None:
        super().__init__()
        self.heads, self.drop = heads, drop
        self.before_attention, self.before_layers = _Norm(size), _Norm(size)
        self.mixing, self.joining = Linear(size, 3 * size, rng, STD), Linear(size, size, rng, STD)
        self.first, self.second = Linear(size, size, rng, STD), Linear(size, size, rng, STD)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.mixing(self.before_attention(x)).chunk(3, dim=-1)
        x = x + dropout(self._attended(query, key, value), self.drop, self.training)
        return x + dropout(self.second(self.first(self.before_layers(x)).relu()), self.drop, self.training)

    def _attended(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """(S, T, D) of three such: what each position finds among those up to it."""
        s, t, d = query.shape
        q, k, v = (part.view(s, t, self.heads, d // self.heads).transpose(1, 2) for part in (query, key, value))
        share = self.drop if self.training else 0.0
        mixed = scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=share)  # (S, H, T, D / H)
        joined: Tensor = self.joining(mixed.transpose(1, 2).reshape(s, t, d))
        return joined


class _BlockOfCode(_Block):
    def forward(self, x: Tensor) -> Tensor:
        y, size = self.before_attention(x), x.shape[-1]
        weight, bias = self.mixing.weight, self.mixing.bias
        key, value = linear(x, weight[size:], bias[size:]).chunk(2, dim=-1)
        x = self.before_layers(y + self._attended(linear(y, weight[:size], bias[:size]), key, value))
        inner = dropout(self.first(x), self.drop, self.training).relu()
        return x + dropout(self.second(inner), self.drop, self.training)


class _Norm(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(size)), nn.Parameter(torch.zeros(size))

    def forward(self, x: Tensor) -> Tensor:
        return layer_norm(x, x.shape[-1:], self.weight, self.bias)
