"""`Objective`: a loss with its parameters, its score space, and what it keeps between steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from recmodels.compatibility import held
from recmodels.entries import Value
from recmodels.losses import LOSSES
from recmodels.sampling import Scorer, Training
from recmodels.slopes import SLOPES, Sloped
from recmodels.types import LossInput

LOWEST_TEMPERATURE = 0.01  # of a learned one; CLIP's bound (Radford et al., ICML 2021)


@dataclass(frozen=True)
class Apart:
    """Parameters of a loss that Adam moves by themselves, not with the model's.

    Attributes:
        names: of tensors in the `LossState`.
        rate: learning rate; a negative one climbs, as an adversary does.
        relative: whether the trainer's learning rate is multiplied with it.
        passes: tells for an epoch (from 1) how many passes over the data, in which nothing else moves, go before it;
            these parameters then stand still outside of them. None moves them at every step.
    """

    names: tuple[str, ...]
    rate: float
    relative: bool = False
    passes: Callable[[int], int] | None = None


@dataclass(frozen=True)
class LossState:
    """What a loss keeps between steps.

    Attributes:
        tensors: reach the loss as `LossInput.state`; those that are `nn.Parameter` join the optimiser.
        before_epoch: told the epoch (from 1) and shown the model; refreshes `tensors`.
        after_step: told the model after every update; projects its parameters or `tensors`.
        apart: which of the parameters do not join the optimiser, but have one of their own.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    before_epoch: Callable[[int, Scorer], None] | None = None
    after_step: Callable[[nn.Module], None] | None = None
    apart: tuple[Apart, ...] = ()

    def to(self, device: torch.device) -> LossState:
        """The same, its tensors on another device; hooks see them there, because the dictionary stays the same."""
        for name, tensor in self.tensors.items():
            moved = tensor.detach().to(device)
            self.tensors[name] = nn.Parameter(moved) if isinstance(tensor, nn.Parameter) else moved
        return self

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The tensors that the model's optimiser is to update."""
        elsewhere = {name for group in self.apart for name in group.names}
        return [
            tensor
            for name, tensor in self.tensors.items()
            if isinstance(tensor, nn.Parameter) and name not in elsewhere
        ]


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
        sloped: the loss with its gradient by the scores, where that has a closed form.
    """

    loss: Callable[[LossInput], Tensor]
    needs: frozenset[str] = frozenset()
    space: str = "dot"
    rank_space: str = "dot"
    initial_state: Callable[[Training], LossState] = lambda training: LossState()
    sloped: Callable[[LossInput], Sloped] | None = None


def objective(
    name: str,
    parameters: Mapping[str, Value],
    space: str = "loss",
    rank_space: str = "loss",
    learn_temperature: bool = False,
) -> Objective:
    """The loss `name` with these parameters.

    Args:
        name: as registered.
        parameters: all of them.
        space: the score space, or `loss` for the one that the loss declares.
        rank_space: the score space of the ranking, or `loss`: what the loss declares, else the training space.
        learn_temperature: whether the loss's `temperature` is where a learned one starts.
    """
    loss: Callable[..., Any] = LOSSES[name]
    entry = LOSSES.entry(name)
    trained = entry.facts["space"] if space == "loss" else space
    declared = entry.facts.get("rank_space", trained)
    factory, sloped = STATES.get(name), SLOPES.get(name)
    initial = (lambda training: LossState()) if factory is None else partial(factory, **parameters)
    return Objective(
        partial(_at_learned_temperature, loss, parameters) if learn_temperature else partial(loss, **parameters),
        frozenset(held("needs", entry, parameters)),
        trained,
        declared if rank_space == "loss" else rank_space,
        partial(_learning, initial, float(parameters["temperature"] or 0)) if learn_temperature else initial,
        None if sloped is None or learn_temperature else partial(sloped, **parameters),
    )


def _at_learned_temperature(loss: Callable[..., Any], parameters: Mapping[str, Value], x: LossInput) -> Any:
    return loss(x, **{**parameters, "temperature": x.state["log_temperature"].exp()})


def _learning(initial: Callable[[Training], LossState], temperature: float, training: Training) -> LossState:
    """The state with the logarithm of the temperature in it, which does not fall below that of `LOWEST_TEMPERATURE`."""
    state = initial(training)
    state.tensors["log_temperature"] = nn.Parameter(torch.tensor(temperature).log())

    @torch.no_grad()
    def after_step(module: nn.Module) -> None:
        state.tensors["log_temperature"].clamp_(min=math.log(LOWEST_TEMPERATURE))
        if state.after_step is not None:
            state.after_step(module)

    return replace(state, after_step=after_step)
