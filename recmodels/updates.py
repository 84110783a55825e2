"""What happens to parameters after the gradient of the loss is there: L2 by role, the optimiser, its schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from recmodels.compiled import compiles, run
from recmodels.gradients import add_count, add_rows, add_shares, leave_zeros, places, row_gradient
from recmodels.settings import Settings
from recmodels.types import Batch, Candidates

LARGE = 2  # a table of so many times the batch's ids is not updated as a whole, where the optimiser allows
EPSILON, ADAGRAD_EPSILON, CLIP_EPSILON = 1e-8, 1e-10, 1e-6


class Updates:
    """The optimiser of `settings` and what it remembers of each parameter, by PyTorch's formulas and constants.

    `lazy_adam` updates the vectors of the batch alone: the moments of the other rows stand still, so that a row's
    update does not depend on how many steps it was absent for. `adam` moves every row at every step, and so do momentum
    and weight decay. For plain `sgd` and `adagrad` both are the same numbers, so that a sparse gradient costs its rows
    and not the table.

    `torch.optim` would do, but its classes load a compiler at their first step, which takes longer than many runs.
    """

    def __init__(self, parameters: list[nn.Parameter], settings: Settings) -> None:
        self._parameters, self._settings = parameters, settings
        self._betas = settings.beta1, settings.beta2
        moments = {"sgd": int(settings.momentum > 0), "adagrad": 1}.get(settings.optimizer, 2)
        self._moments = [[torch.zeros_like(parameter) for _ in range(moments)] for parameter in parameters]
        self._steps = [torch.zeros((), device=parameter.device) for parameter in parameters]

    @property
    def memory(self) -> list[Tensor]:
        """What it remembers; whoever writes there in place changes it."""
        return [*chain.from_iterable(self._moments), *self._steps]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move every parameter that has a gradient, at this learning rate, and drop the gradient."""
        if self._settings.clip is not None:
            _clip([parameter.grad for parameter in self._parameters if parameter.grad is not None], self._settings.clip)
        whole, decay = [], self._settings.weight_decay  # the parameters of one call of Adam
        for at, (parameter, moments) in enumerate(zip(self._parameters, self._moments, strict=True)):
            gradient, parameter.grad = parameter.grad, None
            if gradient is None:
                continue
            if gradient.is_sparse and self._settings.every_row:
                gradient = gradient.to_dense()
            if gradient.is_sparse:
                self._steps[at] += 1
                rows, values = row_gradient(gradient)
                parts = [moment.index_select(0, rows) for moment in moments]
                change = self._change(values, parts, int(self._steps[at]))
                parameter.index_add_(0, rows, change.mul_(-rate))  # `alpha=-rate` takes four times as long
                for moment, part in zip(moments, parts, strict=True):
                    moment.index_copy_(0, rows, part)
            elif len(moments) == 2:
                whole.append((parameter, gradient, *moments, self._steps[at]))
            else:
                if decay:
                    gradient = gradient.add(parameter, alpha=decay)
                parameter.add_(self._change(gradient, moments, 0), alpha=-rate)
        if whole:
            self._adam(whole, rate)

    def _adam(self, whole: list[tuple[Tensor, ...]], rate: float) -> None:
        """One step of Adam for parameters, each with its gradient, both moments and count of steps."""
        (beta1, beta2), decay = self._betas, self._settings.weight_decay
        rest = []
        for parameter, gradient, mean, square, steps in whole:
            if not compiles(parameter) or not gradient.is_contiguous():
                rest.append((parameter, gradient, mean, square, steps))
                continue
            steps += 1
            step = int(steps)
            scaled, root = rate / (1 - beta1**step), 1 / math.sqrt(1 - beta2**step)
            numbers = scaled, root, float(beta1), float(beta2), EPSILON, float(decay)
            run("adam", parameter, gradient, mean, square, *numbers, parameter.numel())
            leave_zeros(parameter, gradient)
        if rest:
            parameters, gradients, means, squares, counts = map(list, zip(*rest, strict=True))
            adam(
                parameters,
                gradients,
                means,
                squares,
                [],
                counts,
                fused=True,
                amsgrad=False,
                beta1=beta1,
                beta2=beta2,
                lr=rate,
                weight_decay=decay,
                eps=EPSILON,
                maximize=False,
            )

    def _change(self, gradient: Tensor, moments: list[Tensor], step: int) -> Tensor:
        """What is subtracted at a learning rate of 1; the `moments` become those after this step."""
        match self._settings.optimizer, moments:
            case "sgd", []:
                return gradient
            case "sgd", [mean]:
                return mean.mul_(self._settings.momentum).add_(gradient)
            case "adagrad", [squares]:
                squares.addcmul_(gradient, gradient)
                return gradient / (squares.sqrt() + ADAGRAD_EPSILON)
            case _, [mean, squares]:
                beta1, beta2 = self._betas
                mean.lerp_(gradient, 1 - beta1)
                squares.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
                return mean / (1 - beta1**step) / ((squares / (1 - beta2**step)).sqrt() + EPSILON)
        raise AssertionError(moments)


def _clip(gradients: list[Tensor], largest: float) -> None:
    """Scale the gradients down, by one factor, so that the norm of all together is `largest` at most."""
    parts = [row_gradient(gradient)[1] if gradient.is_sparse else gradient for gradient in gradients]
    norm = torch.stack([part.norm() for part in parts]).norm()
    factor = (largest / (norm + CLIP_EPSILON)).clamp(max=1.0)
    for part in parts:
        part.mul_(factor)


def by_row_of(settings: Settings, table: Tensor, *ids: Tensor) -> bool:
    """Whether the gradient of a table is to hold the rows of a batch alone, whose ids these are."""
    if not isinstance(table, nn.Parameter) or settings.every_row:
        return False
    return settings.optimizer == "lazy_adam" or max(part.numel() for part in ids) * LARGE < len(table)


def learning_rate_factor(settings: Settings, epoch: int) -> float:
    """By what the learning rate of this epoch (from 1) is multiplied."""
    done = (epoch - 1) / settings.epochs
    return {"constant": 1.0, "linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2}[settings.schedule]


@torch.no_grad()
def add_l2(module: nn.Module, batch: Batch, candidates: Candidates, settings: Settings, step: int) -> None:
    """Add the gradient of 1/2 · mean over rows of (a ‖u‖² + b ‖v⁺‖² + c · mean over negatives of ‖v⁻‖²).

    It reaches the model's parameters `users` and `items`, where it has these, before any encoding, and by counting ids;
    `bias`, where there is one, has a weight of its own. Vectors that stand in place of an item's own are constants. The
    mean is over the rows of the `step`, of which `batch` may be a part; under reduction=sum rows are summed.
    """
    for name, shares in _l2_terms(module, batch, candidates, settings, step):
        _add(getattr(module, name), shares)


@torch.no_grad()
def l2_pull(
    module: nn.Module,
    batch: Batch,
    candidates: Candidates,
    settings: Settings,
    step: int,
    gradient: Callable[[list[Tensor]], list[Tensor | None]],
    included: bool = False,
) -> dict[str, float]:
    """‖gradient of L2‖ / ‖gradient of the loss‖ over the rows that L2 reaches: `l2_pull_users` and `l2_pull_items`.

    Args:
        module: with parameters `users` and `items`, where it has these.
        batch: the rows, as for `add_l2`, which is yet to come; so are the next three.
        candidates: see batch.
        settings: see batch.
        step: see batch.
        gradient: gives that of the loss by these rows for some parameters.
        included: whether it holds that of L2 already.
    """
    names = [name for name in ("users", "items") if isinstance(getattr(module, name, None), Tensor)]
    found = {f"l2_pull_{name}": 0.0 for name in names}
    of_loss = dict(zip(names, gradient([getattr(module, name) for name in names]), strict=True))
    for name, shares in _l2_terms(module, batch, candidates, settings, step):
        loss = of_loss.get(name)
        if loss is None:
            continue
        own = getattr(module, name)
        if loss.is_sparse:
            rows, loss = row_gradient(loss)
            own = own.index_select(0, rows)
        shares = shares.to(own.dtype).unsqueeze(1)
        pull = own * shares
        reached = float(((loss - pull if included else loss) * (shares > 0)).norm())
        found[f"l2_pull_{name}"] = float(pull.norm()) / reached if reached else math.inf
    return found


def _l2_terms(
    module: nn.Module, batch: Batch, candidates: Candidates, settings: Settings, step: int
) -> Iterator[tuple[str, Tensor]]:
    """Name of a parameter, and how many times each row of it is added to its row of the gradient."""
    rows = step if settings.reduction == "mean" else 1
    user, positive, negative = (weight / rows for weight in settings.l2_roles)
    users, items, bias = (getattr(module, name, None) for name in ("users", "items", "bias"))
    if user and isinstance(users, Tensor):
        at, size = _places(users, batch.users)
        shares = torch.zeros(size, device=at.device)
        add_count(at, user, shares)
        yield "users", shares
    if (positive or negative) and isinstance(items, Tensor):
        yield "items", _item_shares(items, batch, candidates, positive, negative)
    if settings.l2_bias and isinstance(bias, Tensor):
        weight = settings.l2_bias / rows
        yield "bias", _item_shares(bias, batch, replace(candidates, vectors=None), weight, weight)


def _item_shares(table: Tensor, batch: Batch, candidates: Candidates, positive: float, negative: float) -> Tensor:
    """How much each row of the gradient of `table` counts, as a positive and as a negative."""
    ids, rows = candidates.embedded, len(batch.users)
    own, size = _places(table, batch.positives)
    shares = torch.zeros(size, device=own.device)
    if positive:
        add_count(own, positive, shares)
    if not ids.numel() or not negative:
        return shares
    others, _ = _places(table, ids)
    if candidates.valid is None:
        n = candidates.items.shape[-1]
        add_count(others, negative * (rows / n if candidates.shared else 1 / n), shares)
    else:
        each = _each(candidates, rows)[..., : ids.shape[-1]] * negative
        add_rows(each.reshape(-1), others.reshape(-1), shares)
    return shares


def _each(candidates: Candidates, rows: int) -> Tensor:
    """How much each candidate counts, (N,) if shared, else (B, N): a row counts the mean over its valid negatives."""
    assert candidates.valid is not None
    valid = candidates.valid.float()  # (B, N), or what broadcasts to it
    if candidates.shared:
        each = 1 / valid.sum(dim=1).clamp(min=1)  # (B,), or (1,) where all rows are alike
        return each.expand(rows) @ valid.expand(rows, -1)
    valid = valid.expand(rows, candidates.items.shape[-1])
    return valid / valid.sum(dim=1, keepdim=True).clamp(min=1)


def _places(table: Tensor, ids: Tensor) -> tuple[Tensor, int]:
    """Where `ids` are among the rows of a table's gradient, and how many rows it has."""
    if table.grad is None or not table.grad.is_sparse:
        return ids, table.shape[0]
    rows, _ = row_gradient(table.grad)
    return places(rows, ids, len(table)), len(rows)


def _add(parameter: Tensor, shares: Tensor) -> None:
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    if parameter.grad.is_sparse:
        rows, values = row_gradient(parameter.grad)
        add_shares(parameter.index_select(0, rows), shares, values)
    else:
        add_shares(parameter, shares, parameter.grad)
