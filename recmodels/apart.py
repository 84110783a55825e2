"""Updates of what a loss learns apart from the model: at a rate of its own, upwards, or in passes of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from torch import Tensor, nn

from recmodels.gradients import merge_rows
from recmodels.objective import Apart, LossState
from recmodels.settings import Settings
from recmodels.updates import Updates


class OwnUpdates:
    """Adam for each group of `state.apart`, without weight decay and clipping; rows without a gradient stand still."""

    def __init__(self, state: LossState, settings: Settings) -> None:
        plain = replace(settings, optimizer="lazy_adam", momentum=0.0, weight_decay=0.0, clip=None)
        self._groups: list[tuple[Apart, list[nn.Parameter], Updates]] = []
        for group in state.apart:
            parameters = [tensor for name in group.names if isinstance(tensor := state.tensors[name], nn.Parameter)]
            self._groups.append((group, parameters, Updates(parameters, plain)))
            for parameter in parameters:
                parameter.requires_grad_(group.passes is None)

    @property
    def memory(self) -> list[Tensor]:
        """What its updates remember."""
        return [tensor for _, _, updates in self._groups for tensor in updates.memory]

    def step(self, rate: float) -> None:
        """Move what moves at every step; `rate` is the trainer's."""
        for group, parameters, updates in self._groups:
            if group.passes is None:
                _step(group, parameters, updates, rate)

    def before(self, epoch: int) -> Iterator[Callable[[float], None]]:
        """For each pass that goes before this epoch, what to call after each of its steps."""
        for group, parameters, updates in self._groups:
            for _ in range(group.passes(epoch) if group.passes is not None else 0):
                for parameter in parameters:
                    parameter.requires_grad_(True)
                yield partial(_step, group, parameters, updates)
                for parameter in parameters:
                    parameter.requires_grad_(False)


def _step(group: Apart, parameters: list[nn.Parameter], updates: Updates, rate: float) -> None:
    merge_rows(parameters)
    updates.step(group.rate * rate if group.relative else group.rate)
