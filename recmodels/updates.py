"""What happens to parameters after the gradient of the loss is there: L2 by role, the optimiser, its schedule."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from recmodels.settings import Settings
from recmodels.types import Batch, Candidates


def optimizers(module: nn.Module, extra: list[nn.Parameter], settings: Settings) -> list[torch.optim.Optimizer]:
    """The optimiser of `settings` for a model's parameters and a loss's own; `lazy_adam` takes two.

    `lazy_adam` updates the vectors of the batch alone: the moments of the other rows stand still, so that a row's
    update does not depend on how many steps it was absent for. `adam` moves every row at every step.
    """
    parameters = [*module.parameters(), *extra]
    rate = settings.learning_rate
    match settings.optimizer:
        case "sgd":
            return [torch.optim.SGD(parameters, lr=rate, fused=True)]
        case "adagrad":
            return [torch.optim.Adagrad(parameters, lr=rate, fused=parameters[0].device.type == "cpu")]
        case "adam":
            return [torch.optim.Adam(parameters, lr=rate, fused=True)]
    tables = [module.users, module.items]
    others = [parameter for parameter in parameters if all(parameter is not table for table in tables)]
    lazy: list[torch.optim.Optimizer] = [torch.optim.SparseAdam(tables, lr=rate)]  # type: ignore[arg-type]
    return [*lazy, torch.optim.Adam(others, lr=rate, fused=True)] if others else lazy


def learning_rate_factor(settings: Settings, epoch: int) -> float:
    """By what the learning rate of this epoch (from 1) is multiplied."""
    done = (epoch - 1) / settings.epochs
    return {"constant": 1.0, "linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2}[settings.schedule]


@torch.no_grad()
def add_l2(module: nn.Module, batch: Batch, candidates: Candidates, settings: Settings) -> None:
    """Add the gradient of 1/2 · mean over rows of (a ‖u‖² + b ‖v⁺‖² + c · mean over negatives of ‖v⁻‖²).

    It reaches the model's parameters `users` and `items`, before any encoding, and by counting ids; `bias`, where
    there is one, has a weight of its own. Under reduction=sum rows are summed.
    """
    user, positive, negative = settings.l2_roles
    rows = len(batch.users) if settings.reduction == "mean" else 1
    users, items, bias = module.users, module.items, getattr(module, "bias", None)
    assert isinstance(users, Tensor)
    assert isinstance(items, Tensor)
    if user:
        _add(users, torch.bincount(batch.users, minlength=len(users)), user / rows)
    if largest := max(positive, negative):
        _add(items, _item_share(batch, candidates, positive / largest, negative / largest, len(items)), largest / rows)
    if settings.l2_bias and isinstance(bias, Tensor):
        _add(bias, _item_share(batch, candidates, 1.0, 1.0, len(items)), settings.l2_bias / rows)


def _item_share(batch: Batch, candidates: Candidates, positive: float, negative: float, n_items: int) -> Tensor:
    """(I,) how much each item counts, as a positive and as a negative."""
    ids, rows = candidates.items, len(batch.users)
    share = torch.bincount(batch.positives, minlength=n_items) * positive
    if not ids.numel():
        return share
    if candidates.valid is None:
        per_negative = rows / len(ids) if candidates.shared else 1.0 / ids.shape[-1]
        return share + negative * per_negative * torch.bincount(ids.reshape(-1), minlength=n_items)
    valid = candidates.valid.expand(rows, ids.shape[-1]).to(share.dtype if share.is_floating_point() else torch.float32)
    weights = valid / valid.sum(dim=1, keepdim=True).clamp(min=1)  # (B, N): the mean over a row's valid negatives
    counted = weights.sum(dim=0) if candidates.shared else weights.reshape(-1)
    return share + negative * torch.bincount(ids.reshape(-1), weights=counted, minlength=n_items)


def _add(parameter: Tensor, share: Tensor, weight: float) -> None:
    share = share.to(parameter.dtype).reshape(-1, *[1] * (parameter.dim() - 1))
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    if parameter.grad.is_sparse:
        gradient = parameter.grad.coalesce()
        rows = gradient.indices()[0]
        gradient.values().addcmul_(parameter[rows], share[rows], value=weight)
        parameter.grad = gradient
    else:
        parameter.grad.addcmul_(parameter, share, value=weight)
