"""LightGCN that contrasts perturbed views of itself: SimGCL and XSimGCL."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn

from recmodels import contrastive
from recmodels.models import MODELS
from recmodels.models.lightgcn import LightGCN, spread
from recmodels.sampling import Training
from recmodels.search import Search
from recmodels.settings import Settings
from recmodels.types import Batch, Tables


@MODELS.register(
    "simgcl",
    paper="Yu, Yin, Xia, Chen, Cui, Nguyen, SIGIR 2022",
    gives=["dot", "cosine", "half-cosine", "distance"],
    recommended={"learning_rate": 0.03, "l2": 1e-4, "weight": 0.1},
    recommended_from="validation on ml-100k; l2 as its authors",
    aliases=["SimGCL"],
    needs=["batch"],
    ignores={"l2_bias": ""},
)
def simgcl(
    training: Training,
    settings: Settings,
    rng: np.random.Generator,
    *,
    layers: Annotated[int, ">= 1, <= 4", Search(1, 3)] = 2,  # authors
    weight: Annotated[float, ">= 0", Search(0.01, 1, log=True)] = 0.5,  # authors
    contrast: Annotated[float, "> 0", Search(0.1, 0.5, log=True)] = 0.2,  # authors
    noise: Annotated[float, ">= 0", Search(0.01, 0.3, log=True)] = 0.1,  # authors
) -> nn.Module:
    """`lightgcn` without layer 0, whose loss has the contrast of two views beside it, both made by noise.

    The vectors are the mean of e⁽¹⁾ … e⁽ᴸ⁾. For a view every step along the interactions is followed by a move of
    length ε within the orthant. `weight` times the contrast of users and of positives is added to whatever loss it is
    trained with; views are for training alone. With `weight=0` it is `lightgcn` without layer 0.

    Args:
        training: gives the interactions.
        settings: gives the size and the scale of e⁽⁰⁾.
        rng: draws e⁽⁰⁾, users first, and then the noise.
        layers: L.
        weight: λ of the contrast.
        contrast: τ of the contrast; 0.2 in the paper.
        noise: ε.
    """
    return _SimGCL(training, settings, rng, layers, weight, contrast, noise)


@MODELS.register(
    "xsimgcl",
    paper="Yu, Xia, Chen, Cui, Hung, Yin, TKDE 2024",
    gives=["dot", "cosine", "half-cosine", "distance"],
    limits=["layer <= layers"],
    recommended={"learning_rate": 0.03, "l2": 1e-4, "weight": 0.1},
    recommended_from="validation on ml-100k; l2 as its authors",
    aliases=["XSimGCL"],
    needs=["batch"],
    ignores={"l2_bias": ""},
)
def xsimgcl(
    training: Training,
    settings: Settings,
    rng: np.random.Generator,
    *,
    layers: Annotated[int, ">= 1, <= 4", Search(1, 3)] = 2,  # authors
    layer: Annotated[int, ">= 1, <= 4", Search(among=(1, 2))] = 1,  # authors
    weight: Annotated[float, ">= 0", Search(0.01, 1, log=True)] = 0.2,  # authors
    contrast: Annotated[float, "> 0", Search(0.1, 0.5, log=True)] = 0.15,  # authors
    noise: Annotated[float, ">= 0", Search(0.01, 0.3, log=True)] = 0.2,  # authors
) -> nn.Module:
    """`simgcl` in one pass: the perturbed vectors are trained themselves, and contrasted with one of their layers.

    The vectors are the mean of e⁽¹⁾ … e⁽ᴸ⁾ with noise after every step while it is trained, and without it in rankings.

    Args:
        training: gives the interactions.
        settings: gives the size and the scale of e⁽⁰⁾.
        rng: draws e⁽⁰⁾, users first, and then the noise.
        layers: L.
        layer: l*, the layer that is the second view.
        weight: λ of the contrast.
        contrast: τ of the contrast.
        noise: ε.
    """
    return _XSimGCL(training, settings, rng, layers, weight, contrast, noise, layer)


class _Perturbed(LightGCN):
    def __init__(
        self,
        training: Training,
        settings: Settings,
        rng: np.random.Generator,
        layers: int,
        weight: float,
        contrast: float,
        noise: float,
    ) -> None:
        super().__init__(training, settings, rng, layers)
        self.rng, self.weight, self.contrast, self.noise = rng, weight, contrast, noise

    def propagated(self, noise: float) -> list[Tensor]:
        """e⁽¹⁾ … e⁽ᴸ⁾."""
        vectors, found = torch.cat([self.users, self.items]), []
        for _ in range(self.layers):
            vectors = spread(vectors, self.neighbours, self.starts, self.weights)
            if noise:
                vectors = contrastive.perturbed(vectors, noise, self.rng)
            found.append(vectors)
        return found

    def tables(self, nodes: Tensor) -> Tables:
        """Those of the nodes, users first."""
        return Tables(nodes[: len(self.users)], nodes[len(self.users) :])


class _SimGCL(_Perturbed):
    def forward(self) -> Tables:
        return self.tables(torch.stack(self.propagated(0.0)).mean(dim=0))

    def auxiliary(self, batch: Batch) -> Tensor:
        one, other = (self.tables(torch.stack(self.propagated(self.noise)).mean(dim=0)) for _ in range(2))
        return self.weight * contrastive.auxiliary(one, other, batch, self.contrast)


class _XSimGCL(_Perturbed):
    perturbed = True  # ranked without noise

    def __init__(self, *given: Any) -> None:
        super().__init__(*given[:-1])
        self.layer = given[-1]
        self.views: tuple[Tables, Tables] | None = None

    def forward(self) -> Tables:
        layers = self.propagated(self.noise if self.training else 0.0)
        tables = self.tables(torch.stack(layers).mean(dim=0))
        if self.training:
            self.views = tables, self.tables(layers[self.layer - 1])
        return tables

    def auxiliary(self, batch: Batch) -> Tensor:
        assert self.views is not None
        return self.weight * contrastive.auxiliary(*self.views, batch, self.contrast)
