"""`Objective`: a loss with its parameters, its score space, and what it keeps between steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from recmodels.compatibility import held
from recmodels.losses import LOSSES
from recmodels.registry import Value
from recmodels.sampling import Scorer, Training
from recmodels.types import LossInput


@dataclass(frozen=True)
class LossState:
    """What a loss keeps between steps.

    Attributes:
        tensors: reach the loss as `LossInput.state`; those that are `nn.Parameter` join the optimiser.
        before_epoch: told the epoch (from 1) and shown the model; refreshes `tensors`.
        after_step: told the model after every update; projects its parameters or `tensors`.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    before_epoch: Callable[[int, Scorer], None] | None = None
    after_step: Callable[[nn.Module], None] | None = None

    def to(self, device: torch.device) -> LossState:
        """The same, its tensors on another device; hooks see them there, because the dictionary stays the same."""
        for name, tensor in self.tensors.items():
            moved = tensor.detach().to(device)
            self.tensors[name] = nn.Parameter(moved) if isinstance(tensor, nn.Parameter) else moved
        return self

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The tensors that the optimiser is to update."""
        return [tensor for tensor in self.tensors.values() if isinstance(tensor, nn.Parameter)]


# (training interactions, the loss's parameters by name) -> its state at the start
StateFactory = Callable[..., LossState]
STATES: dict[str, StateFactory] = {}


def state(name: str) -> Callable[[StateFactory], StateFactory]:
    """Mark a function as what makes the state of the loss `name`; it stands beside the loss."""

    def add(factory: StateFactory) -> StateFactory:
        STATES[name] = factory
        return factory

    return add


@dataclass(frozen=True)
class Objective:
    """What the trainer minimises.

    Attributes:
        loss: one value per row.
        needs: what it needs beyond scores, as registered.
        space: the score space it is trained in.
        rank_space: the score space of the ranking.
        initial_state: makes what it keeps between steps.
    """

    loss: Callable[[LossInput], Tensor]
    needs: frozenset[str] = frozenset()
    space: str = "dot"
    rank_space: str = "dot"
    initial_state: Callable[[Training], LossState] = lambda training: LossState()


def objective(name: str, parameters: Mapping[str, Value], space: str = "loss", rank_space: str = "loss") -> Objective:
    """The loss `name` with these parameters.

    Args:
        name: as registered.
        parameters: all of them.
        space: the score space, or `loss` for the one that the loss declares.
        rank_space: the score space of the ranking, or `loss`: what the loss declares, else the training space.
    """
    loss: Callable[..., Any] = LOSSES[name]
    entry = LOSSES.entry(name)
    trained = entry.facts["space"] if space == "loss" else space
    declared = entry.facts.get("rank_space", trained)
    factory = STATES.get(name)
    return Objective(
        partial(loss, **parameters),
        frozenset(held("needs", entry, parameters)),
        trained,
        declared if rank_space == "loss" else rank_space,
        (lambda training: LossState()) if factory is None else partial(factory, **parameters),
    )
