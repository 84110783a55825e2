"""A recurrent network over the items of a history."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from recmodels.models import MODELS
from recmodels.models.sequences import Linear, SequenceModel
from recmodels.sampling import Training
from recmodels.search import Search
from recmodels.settings import Settings


@MODELS.register(
    "gru4rec",
    paper="Hidasi, Karatzoglou, Baltrunas, Tikk, ICLR 2016; Hidasi, Karatzoglou, CIKM 2018",
    gives=["dot", "cosine", "half-cosine", "distance", "unseen_users", "queries"],
    refuses=["user_tables", "user_rows"],
    ignores={"l2_user": "", "l2_bias": ""},
    recommended={"l2": 0.0, "learning_rate": 1e-3},
    recommended_from="RecBole",
)
def gru4rec(
    training: Training,
    settings: Settings,
    rng: np.random.Generator,
    *,
    length: Annotated[int, ">= 1", Search(50, 200, log=True)] = 200,  # as sasrec
    layers: Annotated[int, ">= 1, <= 4", Search(among=(1, 2))] = 1,  # authors
    hidden: Annotated[int, ">= 1", Search(64, 256, log=True)] = 128,  # RecBole
    drop: Annotated[float, ">= 0, < 1", Search(among=(0.0, 0.1, 0.3, 0.5))] = 0.3,  # RecBole
    shown: Literal["valid", "train"] = "valid",
) -> nn.Module:
    """A gated recurrent unit over the last items of the history, each position asked for the item that comes next.

    h_t = GRU(drop(v_t), h_{t-1}), and the query is W h_t + b, of the size of the vectors that are scored, which are its
    inputs too. Whole histories are sequences, where the papers have sessions. The numbers of the unit start uniform
    within 1 / √hidden, W normal with that over 2 as deviation; chance in dropout is torch's.

    Args:
        training: gives the interactions.
        settings: gives the size and the scale of the vectors.
        rng: draws the initial vectors, items first.
        length: how many items of a history are read, the last ones.
        layers: of the recurrent unit, one above the other.
        hidden: numbers of h.
        drop: the share of numbers dropped from each input.
        shown: whether the histories that are ranked at test hold what validates too: `valid`, or `train` for not.
    """
    return _GRU4Rec(training, settings, rng, length, layers, hidden, drop, shown)


class _GRU4Rec(SequenceModel):
    def __init__(
        self,
        training: Training,
        settings: Settings,
        rng: np.random.Generator,
        length: int,
        layers: int,
        hidden: int,
        drop: float,
        shown: str,
    ) -> None:
        super().__init__(training, settings, rng, length, shown)
        size, limit = settings.embedding_size, hidden**-0.5
        with torch.random.fork_rng(devices=[]):  # what torch draws is drawn anew below
            self.unit = nn.GRU(size, hidden, layers, batch_first=True)
        for parameter in self.unit.parameters():
            numbers = rng.uniform(-limit, limit, tuple(parameter.shape)).astype(np.float32)
            parameter.data.copy_(torch.from_numpy(numbers))
        self.map = Linear(hidden, size, rng, limit / 2)
        self.drop = drop

    def encode(self, inputs: Tensor) -> Tensor:
        states: Tensor = self.unit(dropout(inputs, self.drop, self.training))[0]
        query: Tensor = self.map(states)
        return query
