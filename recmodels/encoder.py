"""The tables of a model between two updates, and the way of their gradient back to its parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from recmodels.scoring import ranking_tables
from recmodels.types import Batch, Tables


class Asked:
    """What ranks users by queries that are made when they are asked for.

    Args:
        module: with `queries`.
        space: the score space of the ranking.
    """

    def __init__(self, module: nn.Module, space: str) -> None:
        self._module, self._space = module, space

    @torch.no_grad()
    def scores(self, users: Tensor) -> Tensor:
        """(B, I) scores of all items for `users` (B,), a new tensor."""
        tables = ranking_tables(self._module.queries(Batch(users, users)), self._space)  # type: ignore[operator]
        return tables.scores(torch.arange(len(users)))


class Encoder:
    """What a model encodes to, computed once between two updates.

    Parts of a step leave their gradient at the tables; `backward` sends the sum through the model, once for the step.
    Tables that are the parameters themselves need no sending. A model with `queries(batch)` makes the users of the rows
    alone, for less than all tables cost. A model with `sequences` makes them for a whole step in one go, to be told by
    `begin`, and all tables only for samplers and losses that look at whole histories, without a gradient.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._encoded: list[tuple[Tables, Tables]] = []  # as the model gave them, and where a gradient stops
        self._tables: Tables | None = None
        self._terms: list[Tensor] = []
        self._began: Batch | None = None
        self._step: Tables | None = None

    @property
    def of_rows(self) -> Encoder | None:
        """Itself, where the rows have queries of their own."""
        return self if hasattr(self._module, "sequences") else None

    def __call__(self) -> Tables:
        """The tables."""
        if self._tables is None and self.of_rows is not None:
            with torch.no_grad():
                self._tables = self._module()
        if self._tables is None:
            with torch.enable_grad():  # whoever asks first, the update needs the gradient
                self._tables = self._stopped(self._module())
        return self._tables

    def begin(self, step: Batch) -> None:
        """To be told the rows of a step before it, where they have queries of their own."""
        self.forget()
        self._began = step

    def rows(self, batch: Batch) -> tuple[Tables, Tensor]:
        """Tables with the users of the rows, and (B,) where among them each row's stands."""
        if batch.rows is not None:
            return self._whole_step(), self._places(batch.rows)
        if not hasattr(self._module, "queries"):
            return self(), batch.users
        tables = self._stopped(self._module.queries(batch))  # type: ignore[operator]
        return tables, torch.arange(len(batch.users), device=batch.users.device)

    def catalogue(self) -> tuple[Tensor, Tensor | None]:
        """The vectors of the items of a model whose rows have queries of their own."""
        items: Tensor = self._module.items  # type: ignore[assignment]
        return items, None

    def vectors(self, rows: Tensor) -> Tensor:
        """(B, D) vectors of the queries of these rows of the step."""
        tables = self._whole_step()
        return tables.users.index_select(0, self._places(rows).to(tables.users.device))

    def _whole_step(self) -> Tables:
        if self._step is None:
            assert self._began is not None
            with torch.enable_grad():
                self._step = self._stopped(self._module.queries(self._began))  # type: ignore[operator]
        return self._step

    def _places(self, rows: Tensor) -> Tensor:
        """Where in the step rows are."""
        assert self._began is not None
        assert self._began.rows is not None
        ordered, order = self._began.rows.to(rows.device).sort()
        return order[torch.searchsorted(ordered, rows)]

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
        return [_both(parameter.grad, sent) for parameter, sent in zip(parameters, found, strict=True)]

    def forget(self) -> None:
        """To be called after every update."""
        self._tables, self._step = None, None
        self._encoded, self._terms = [], []

    def _stopped(self, encoded: Tables) -> Tables:
        """The same tables for a part of the step to leave its gradient at."""
        tables = Tables(*map(_leaf, encoded))
        self._encoded.append((encoded, tables))
        return tables

    def _gathered(self) -> tuple[list[Tensor], list[Tensor]]:
        """The tables that are no parameters, and their gradients."""
        pairs = [pair for encoded, tables in self._encoded for pair in zip(encoded, tables, strict=True)]
        found = [(of, at.grad) for of, at in pairs if of is not None and at is not None and of is not at]
        reached = [(table, gradient) for table, gradient in found if gradient is not None]
        return [table for table, _ in reached], [gradient for _, gradient in reached]


def _both(direct: Tensor | None, sent: Tensor | None) -> Tensor | None:
    """The sum of two gradients, of which either may be missing."""
    if direct is None or sent is None:
        return sent if direct is None else direct
    return sent + direct if direct.is_sparse else direct + sent  # a sparse one cannot come before a dense one


def _leaf(table: Tensor | None) -> Any:
    return table if table is None or table.is_leaf else table.detach().requires_grad_()
