"""The one trainer: every model, sampler and loss goes through this loop. It never receives the test part."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from datasets import Interactions
from recmodels.evaluation import Diverged, FullRanking
from recmodels.metrics import user_metrics
from recmodels.sampling import Sampler, Scorer, Training
from recmodels.scoring import batch_scores
from recmodels.seeds import derive, generator
from recmodels.settings import Settings
from recmodels.types import Batch, Candidates, LossInput, Tables

SELECTION_METRIC = "ndcg@10"
DRAWS_AHEAD = 1 << 20  # static samplers draw about this many negatives at a time

Loss = Callable[[LossInput], Tensor]
ModelFactory = Callable[[Training, Settings, np.random.Generator], nn.Module]


class Epoch(NamedTuple):
    """One line of the training history."""

    epoch: int  # from 1
    loss: float  # mean over rows, without the L2 term
    valid: float  # validation NDCG@10; NaN where nobody has a validation item
    seconds: float  # spent training, validation excluded


class Trained(NamedTuple):
    """The best epoch's tables, and how training went."""

    tables: Tables
    history: list[Epoch]
    best_epoch: int


def train(
    training: Training,
    valid: Interactions,
    *,
    model: ModelFactory,
    sampler: Sampler,
    loss: Loss,
    needs: frozenset[str],
    settings: Settings,
    seed: int,
    device: torch.device,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Trained:
    """Train until validation NDCG@10 has not improved for `patience` epochs, and restore the best epoch.

    Initial vectors, order of positives and negatives come from three independent streams of `seed`, so that runs
    which differ in sampler or loss start from the same vectors and see the positives in the same order.

    Args:
        training: the training interactions.
        valid: held-out interactions that choose the epoch; the last epoch is kept where there are none.
        model: gives the module whose `forward()` returns `Tables`.
        sampler: gives the negatives.
        loss: one value per row.
        needs: what the loss needs beyond scores: `log_q`.
        settings: everything else that may move results.
        seed: of this run.
        device: where the tables live.
        on_epoch: called after every epoch.

    Raises:
        Diverged: the loss or a score stopped being finite.
    """
    torch.manual_seed(derive(seed, "torch") >> 1)  # only what a model itself draws while training, such as dropout
    module = model(training, settings, generator(seed, "init")).to(device)
    optimizer = torch.optim.Adam(module.parameters(), lr=settings.learning_rate, fused=True)
    order, negatives = generator(seed, "order"), generator(seed, "sampler")
    ranking = FullRanking(valid, [training.interactions])
    history: list[Epoch] = []
    best, best_epoch = -math.inf, 0
    best_tables = _snapshot(module)
    for number in range(1, settings.epochs + 1):
        started = time.perf_counter()
        if sampler.before_epoch is not None:
            sampler.before_epoch(number, Scorer(_tables(module)), negatives)
        total, rows = torch.zeros((), dtype=torch.float64, device=device), 0
        for batch, candidates in _steps(training, sampler, module, settings, order, negatives, "log_q" in needs):
            batch, candidates = Batch(*(ids.to(device) for ids in batch)), candidates.to(device)
            values = _step(module, optimizer, loss, batch, candidates, settings, training.n_items)
            total += values.double().sum()
            rows += len(values)
            if sampler.after_step is not None:
                sampler.after_step(batch, candidates, Scorer(_tables(module)))
        seconds = time.perf_counter() - started
        mean_loss = float(total) / rows
        if not math.isfinite(mean_loss):
            raise Diverged(f"the loss became {mean_loss} in epoch {number}")
        metric = _validate(ranking, module)
        history.append(Epoch(number, mean_loss, metric, seconds))
        on_epoch(history[-1])
        if not metric <= best:  # better, or NaN because there is nothing to validate on
            best, best_epoch, best_tables = metric, number, _snapshot(module)
        elif number - best_epoch >= settings.patience:
            break
    return Trained(best_tables, history, best_epoch)


def _steps(
    training: Training,
    sampler: Sampler,
    module: nn.Module,
    settings: Settings,
    order: np.random.Generator,
    rng: np.random.Generator,
    law: bool,
) -> Iterator[tuple[Batch, Candidates]]:
    """The batches of one epoch, of nearly equal size, each with its candidates, and their law where it is wanted."""
    interactions, n = training.interactions, settings.n
    permutation = order.permutation(len(interactions))
    users = torch.from_numpy(interactions.users[permutation].astype(np.int64))
    positives = torch.from_numpy(interactions.items[permutation].astype(np.int64))
    steps = math.ceil(len(interactions) / settings.batch_size)
    edges = [len(interactions) * step // steps for step in range(steps + 1)]
    ahead = max(1, DRAWS_AHEAD // (settings.batch_size * (n or training.n_items))) if sampler.static else 1
    for first in range(0, steps, ahead):
        chunk = edges[first : first + ahead + 1]
        block = slice(chunk[0], chunk[-1])
        pool = sampler.propose(Batch(users[block], positives[block]), n, rng, Scorer(_tables(module)))
        for start, stop in pairwise(chunk):
            batch = Batch(users[start:stop], positives[start:stop])
            mine = pool.rows(start - chunk[0], stop - chunk[0])
            mine = sampler.choose(batch, mine, n, rng, Scorer(_tables(module)))
            if law:
                mine = sampler.with_law(batch, mine)
            yield batch, mine


def _step(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Loss,
    batch: Batch,
    candidates: Candidates,
    settings: Settings,
    n_items: int,
) -> Tensor:
    """One update of the model; the loss of each row (B,), detached."""
    positive, negative = batch_scores(module(), batch, candidates)
    values = loss(
        LossInput(
            positive=positive,
            negative=negative,
            valid=candidates.valid,
            log_q=candidates.log_q,
            log_q_positive=candidates.log_q_positive,
            weight=candidates.weight,
            n_items=n_items,
            batch=batch,
            items=candidates.items,
        )
    )
    optimizer.zero_grad(set_to_none=True)
    values.mean().backward()  # type: ignore[no-untyped-call]
    _add_l2(module, batch, candidates, settings.l2)
    optimizer.step()
    return values.detach()


def _add_l2(module: nn.Module, batch: Batch, candidates: Candidates, l2: float) -> None:
    """Add the gradient of l2/2 · mean over rows of (‖u‖² + ‖v⁺‖² + mean over negatives of ‖v⁻‖²), by counting ids."""
    if not l2:
        return
    users, items = module.users, module.items
    assert isinstance(users, Tensor)
    assert isinstance(items, Tensor)
    rows, ids = len(batch.users), candidates.items
    per_negative = 1.0 / ids.shape[-1] if not candidates.shared else rows / len(ids)
    item_share = torch.bincount(batch.positives, minlength=len(items)) + per_negative * torch.bincount(
        ids.reshape(-1), minlength=len(items)
    )
    user_share = torch.bincount(batch.users, minlength=len(users))
    for parameter, share in ((users, user_share), (items, item_share)):
        assert parameter.grad is not None
        parameter.grad.addcmul_(parameter.detach(), share.to(parameter.dtype).unsqueeze(1), value=l2 / rows)


@torch.no_grad()
def _tables(module: nn.Module) -> Tables:
    tables: Tables = module()
    return tables


def _snapshot(module: nn.Module) -> Tables:
    users, items, bias = _tables(module)
    return Tables(users.detach().clone(), items.detach().clone(), None if bias is None else bias.detach().clone())


@torch.no_grad()
def _validate(ranking: FullRanking, module: nn.Module) -> float:
    if not len(ranking.users):
        return math.nan
    _, values = user_metrics(ranking.ranks(module()), [10])
    return float(values[SELECTION_METRIC].mean())
