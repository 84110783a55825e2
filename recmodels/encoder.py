"""The tables of a model between two updates, and the way of their gradient back to its parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from recmodels.types import Tables


class Encoder:
    """What a model encodes to, computed once between two updates.

    Parts of a step leave their gradient at the tables; `backward` sends the sum through the model, once for the step.
    Tables that are the parameters themselves need no sending.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._encoded: Tables | None = None  # as the model gave them
        self._tables: Tables | None = None  # the same, where a gradient stops
        self._terms: list[Tensor] = []

    def __call__(self) -> Tables:
        """The tables."""
        if self._tables is None:
            with torch.enable_grad():  # whoever asks first, the update needs the gradient
                self._encoded = self._module()
            self._tables = Tables(*map(_leaf, self._encoded))
        return self._tables

    def ranked(self) -> Tables:
        """The tables that rank: those of a model that is perturbed while it is trained, unperturbed."""
        if not getattr(self._module, "perturbed", False):
            return self()
        self._module.eval()
        tables: Tables = self._module()
        self._module.train()
        return tables

    def add(self, term: Tensor) -> None:
        """A term of the loss that the model computed itself, to be sent back with the rest."""
        self._terms.append(term)

    def backward(self) -> None:
        """Send what has come together at the tables to the parameters; to be called before every update."""
        tables, gradients = self._gathered()
        if tables or self._terms:
            torch.autograd.backward([*tables, *self._terms], [*gradients, *[None] * len(self._terms)])

    def gradient(self, parameters: list[Tensor]) -> list[Tensor | None]:
        """The gradient of `parameters` by what has come together until now, which stays where it is."""
        tables, gradients = self._gathered()
        if not tables:
            return [parameter.grad for parameter in parameters]
        found = torch.autograd.grad(tables, parameters, gradients, retain_graph=True, allow_unused=True)
        return [parameter.grad if sent is None else sent for parameter, sent in zip(parameters, found, strict=True)]

    def forget(self) -> None:
        """To be called after every update."""
        self._encoded = self._tables = None
        self._terms = []

    def _gathered(self) -> tuple[list[Tensor], list[Tensor]]:
        """The tables that are no parameters, and their gradients."""
        assert self._encoded is not None
        assert self._tables is not None
        pairs = zip(self._encoded, self._tables, strict=True)
        found = [(of, at.grad) for of, at in pairs if of is not None and at is not None and of is not at]
        reached = [(table, gradient) for table, gradient in found if gradient is not None]
        return [table for table, _ in reached], [gradient for _, gradient in reached]


def _leaf(table: Tensor | None) -> Any:
    return table if table is None or table.is_leaf else table.detach().requires_grad_()
