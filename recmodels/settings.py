"""The trainer's settings: everything that may move results apart from model, sampler, loss and seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from recmodels.registry import Parameter, class_parameters


@dataclass(frozen=True)
class Settings:
    """How a model is trained; `--set name=value` on the command line.

    Attributes:
        epochs: passes over the training interactions, at most.
        patience: epochs without a better validation metric before training stops.
        batch_size: B, positive pairs per step.
        negatives: N, negatives per positive; `all` for samplers that offer a whole batch or catalogue.
        embedding_size: D, numbers per user and per item.
        optimizer: `adam` updates every row at every step (Kingma and Ba, ICLR 2015).
        learning_rate: of the optimiser.
        l2: weight of (‖u‖² + ‖v⁺‖² + mean over negatives of ‖v⁻‖²) / 2, averaged over the batch.
        init_std: standard deviation of the normal initial embeddings.
    """

    epochs: Annotated[int, ">= 1"] = 100
    patience: Annotated[int, ">= 1"] = 5
    batch_size: Annotated[int, ">= 1"] = 1024
    negatives: Annotated[int, ">= 1"] | Literal["all"] = 16
    embedding_size: Annotated[int, ">= 1"] = 64
    optimizer: Literal["adam"] = "adam"
    learning_rate: Annotated[float, "> 0"] = 0.003
    l2: Annotated[float, ">= 0"] = 0.001
    init_std: Annotated[float, "> 0"] = 0.1

    @property
    def n(self) -> int | None:
        """N, or None where a sampler is to give all it has."""
        return None if self.negatives == "all" else self.negatives


def setting_parameters() -> dict[str, Parameter]:
    """The fields of `Settings`, as the command line reads them."""
    return class_parameters(Path(__file__), "Settings")
