"""The one trainer: every model, sampler and loss goes through this loop. It never receives the test part."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from datasets import Interactions
from recmodels.apart import OwnUpdates
from recmodels.checkpoint import Checkpoint, Moving
from recmodels.compiled import compiles
from recmodels.diagnostics import Diagnostics
from recmodels.encoder import Asked, Encoder
from recmodels.epochs import epoch_rows
from recmodels.evaluation import Diverged, FullRanking
from recmodels.gradients import merge_rows
from recmodels.objective import LossState, Objective
from recmodels.sampling import Sampler, Scorer, Training
from recmodels.scoring import NO_L2, PairL2, batch_scores, batch_vectors, ranking_tables, vector_scores
from recmodels.seeds import derive, generator
from recmodels.settings import Settings
from recmodels.slopes import send_back
from recmodels.types import Batch, Candidates, LossInput, Part, Scores, Tables
from recmodels.updates import Updates, add_l2, by_row_of, l2_pull, learning_rate_factor
from recmodels.validation import settled as settled
from recmodels.validation import some_users as some_users
from recmodels.validation import validate as validate

DRAWS_AHEAD = 1 << 20  # static samplers draw about this many negatives at a time
CELLS = 1 << 20  # scores with shared negatives that are worked on at a time: 4 MB for each of a few copies

ModelFactory = Callable[[Training, Settings, np.random.Generator], nn.Module]


class Epoch(NamedTuple):
    """One line of the training history."""

    epoch: int  # from 1
    loss: float  # mean over rows, without the L2 term and without what the model adds
    valid: float  # the validation metric that chooses the epoch; NaN where nobody has a validation item
    seconds: float  # spent training, validation excluded


class Trained(NamedTuple):
    """The best epoch's tables, whose dot products rank, and how training went."""

    tables: Tables
    history: list[Epoch]
    best_epoch: int


def train(
    training: Training,
    valid: Interactions,
    *,
    model: ModelFactory,
    sampler: Sampler,
    objective: Objective,
    settings: Settings,
    seed: int,
    device: torch.device,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    observer: Diagnostics | None = None,
    mask: bool = True,
    stop_at: int | None = None,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Train until the metric `select_on` of validation has not improved for `patience` epochs; restore the best epoch.

    Patience counts from the best epoch, or from where the sampler's schedule stands still if that is later; a learning
    rate with a schedule runs to the last epoch.

    Initial vectors, order of positives, negatives and the setting `dropout` have independent streams of `seed`, so that
    runs which differ in sampler or loss start from the same vectors and see the positives in the same order. What torch
    draws has one more for all: dropout within models of sequences, directions of `sce` and `rece`, parts of losses.

    Args:
        training: the training interactions.
        valid: held-out interactions that choose the epoch, those of `settings.valid_users` users; the last epoch is
            kept where there are none.
        model: gives the module whose `forward()` returns `Tables`.
        sampler: gives the negatives.
        objective: the loss, its score spaces and its state.
        settings: everything else that may move results.
        seed: of this run.
        device: where the tables live.
        on_epoch: called after every epoch.
        observer: shown a sample of the steps.
        mask: whether validation ranks without the user's training items.
        stop_at: the epoch to end with, where it is known; schedules stay those of `settings.epochs`.
        checkpoint: where the state is kept at the end of epochs, and from where training goes on to the same bits.

    Raises:
        Diverged: the loss or a score stopped being finite.
    """
    torch.manual_seed(derive(seed, "torch") >> 1)  # only what a model itself draws while training
    init = generator(seed, "init")  # which a model may keep
    module = model(training, settings, init).to(device)
    state = objective.initial_state(training).to(device)
    fit = _Fit(training, module, sampler, objective, settings, state, Encoder(module))
    updates, own = Updates([*module.parameters(), *state.parameters], settings), OwnUpdates(state, settings)
    order, negatives, dropout = (generator(seed, name) for name in ("order", "sampler", "dropout"))
    own_streams = {"init": init, "order": order, "sampler": negatives, "dropout": dropout}
    moving = Moving(module, state, sampler, (updates, own), own_streams, observer)
    ranking = FullRanking(some_users(valid, settings.valid_users), [training.histories] if mask else [])
    history: list[Epoch] = []
    best, best_epoch = -math.inf, 0
    kept = fit.snapshot()
    if checkpoint is not None and (found := checkpoint.resume(moving)) is not None:
        fit.encode.forget()
        best, best_epoch, before, lines = found
        kept = before if isinstance(before, dict) else Tables(*before)
        for line in lines:
            history.append(Epoch(*line))
            on_epoch(history[-1])
    for number in range(len(history) + 1, (stop_at or settings.epochs) + 1):
        if number - 1 - max(best_epoch, settled(sampler, settings)) >= settings.patience:
            break
        started = time.perf_counter()
        rate = settings.rate * learning_rate_factor(settings, number)
        if state.before_epoch is not None:
            state.before_epoch(number, fit.scorer())
        scored = _told(fit, number, negatives)
        for alone in own.before(number):
            streams = (generator(seed, f"{name} {number} of a loss") for name in ("order", "sampler", "dropout"))
            _pass_alone(fit, alone, rate, *streams)
        total, rows, fresh = torch.zeros((), dtype=torch.float64, device=device), 0, True
        steps = _steps(fit, order, negatives, scored)
        for part in steps if observer is None else observer.timed(steps):
            batch, candidates = part.batch.to(device), part.candidates.to(device)
            seen_by = observer if fresh else None  # of a step in parts, the first
            values = _gradient(fit, part._replace(batch=batch, candidates=candidates), dropout, seen_by)
            total += values.double().sum()
            rows, fresh = rows + len(values), part.last
            if not part.last:
                continue
            updates.step(rate)
            own.step(rate)
            if state.after_step is not None:
                state.after_step(module)
            fit.encode.forget()
            if sampler.after_step is not None:
                sampler.after_step(batch, candidates, fit.scorer())
        seconds = time.perf_counter() - started
        mean_loss = float(total) / rows
        if not math.isfinite(mean_loss):
            raise Diverged(f"the loss became {mean_loss} in epoch {number}")
        metric = validate(ranking, fit.ranked(), settings.select_on)
        history.append(Epoch(number, mean_loss, metric, seconds))
        on_epoch(history[-1])
        if not metric <= best:  # better, or NaN because there is nothing to validate on
            best, best_epoch, kept = metric, number, fit.snapshot()
        if checkpoint is not None and checkpoint.due:
            checkpoint.write(moving, (best, best_epoch, kept, history))
    return Trained(fit.tables_of(kept, valid), history, best_epoch)


@dataclass(frozen=True)
class _Fit:
    """What stays the same during one training."""

    training: Training
    module: nn.Module
    sampler: Sampler
    objective: Objective
    settings: Settings
    state: LossState
    encode: Encoder

    @property
    def mean(self) -> bool:
        """Whether rows are averaged, else summed."""
        return self.settings.reduction == "mean"

    @property
    def device(self) -> torch.device:
        return next(self.module.parameters()).device

    def scorer(self) -> Scorer:
        return Scorer(self.encode, self.objective.space, self.encode.of_rows)

    def ranked(self) -> Scores:
        """What validation ranks by."""
        if self.encode.of_rows is None:
            return self._tables()
        return Asked(self.module, self.objective.rank_space)

    def _tables(self) -> Tables:
        with torch.no_grad():
            return ranking_tables(self.encode.ranked(), self.objective.rank_space)

    def snapshot(self) -> Tables | dict[str, Tensor]:
        """What the tables of this moment can be made of later: the tables or, where they cost much, the parameters."""
        if self.encode.of_rows is not None:
            return {name: tensor.clone() for name, tensor in self.module.state_dict().items()}
        users, items, bias = self._tables()
        return Tables(users.clone(), items.clone(), None if bias is None else bias.clone())

    def tables_of(self, kept: Tables | dict[str, Tensor], valid: Interactions) -> Tables:
        """The tables that rank at test; histories hold what validates too, where the model says so."""
        if isinstance(kept, Tables):
            return kept
        self.encode.forget()
        self.module.load_state_dict(kept)
        if self.module.shows_valid:
            self.module.show(valid)  # type: ignore[operator]
        return self._tables()


def _pass_alone(
    fit: _Fit,
    step: Callable[[float], None],
    rate: float,
    order: np.random.Generator,
    negatives: np.random.Generator,
    dropout: np.random.Generator,
) -> None:
    """One pass over the data in which some parameters of the loss move and nothing else."""
    others = [*fit.module.parameters(), *fit.state.parameters]
    for part in _steps(fit, order, negatives):
        batch, candidates = part.batch.to(fit.device), part.candidates.to(fit.device)
        _gradient(fit, part._replace(batch=batch, candidates=candidates), dropout, None)
        for parameter in others:
            parameter.grad = None
        if part.last:
            step(rate)
            fit.encode.forget()


def _told(fit: _Fit, epoch: int, rng: np.random.Generator) -> int:
    """Tell the sampler the epoch; how many pairs it scored for that."""
    scorer = fit.scorer()
    if fit.sampler.before_epoch is not None and "no_negatives" not in fit.objective.needs:
        fit.sampler.before_epoch(epoch, scorer, rng)
    return scorer.scored


def _steps(fit: _Fit, order: np.random.Generator, rng: np.random.Generator, scored: int = 0) -> Iterator[Part]:
    """The batches of one epoch, of nearly equal size, each with its candidates, and their law where it is wanted.

    Where rows share the whole batch or catalogue as negatives, a batch comes in parts of at most `CELLS` scores. The
    pairs that were `scored` before count with the first.
    """
    sampler, settings, n = fit.sampler, fit.settings, fit.settings.n
    negatives = "no_negatives" not in fit.objective.needs
    rows, edges = epoch_rows(fit.module, fit.training, settings.rows, order)
    sizes = [stop - start for start, stop in pairwise(edges)]
    drawn = (n and sampler.pool(n)) or fit.training.n_items
    ahead = max(1, DRAWS_AHEAD // (settings.rows * drawn)) if sampler.static else 1
    parts = 1
    # whether a row's loss needs no other row
    apart = not fit.objective.needs & {"batch", "no_negatives"} and not hasattr(fit.module, "auxiliary")
    if sampler.divisible and apart:
        parts = math.ceil(max(settings.rows, *sizes) * drawn / CELLS)
        edges = [edge + size * part // parts for edge, size in zip(edges, sizes, strict=False) for part in range(parts)]
        edges.append(len(rows.users))

    def begin(at: int) -> None:
        if rows.rows is not None and at % parts == 0:
            fit.encode.begin(rows.at(slice(edges[at], edges[at + parts])).to(fit.device))

    for first in range(0, len(edges) - 1, ahead):
        chunk = edges[first : first + ahead + 1]
        block = rows.at(slice(chunk[0], chunk[-1]))
        begin(first)
        scorer = fit.scorer()
        pool = sampler.propose(block, n, rng, scorer) if negatives else _NOTHING
        for at, (start, stop) in enumerate(pairwise(chunk), start=first):
            batch = rows.at(slice(start, stop))
            if at != first:
                begin(at)
            mine = pool.rows(start - chunk[0], stop - chunk[0])
            columns = mine.items.shape[-1]
            if negatives:
                scorer = scorer if at == first else fit.scorer()
                mine = sampler.choose(batch, mine, n, rng, scorer)
            scored += max(scorer.scored, len(batch.users) * columns)
            if "log_q" in fit.objective.needs:
                mine = sampler.with_law(batch, mine, fit.scorer())
            part = Part(batch, mine, sizes[at // parts], (at + 1) % parts == 0, scored)
            scored = 0
            yield from _cut(part) if mine.shared and apart and sampler.after_step is None else [part]


def _cut(part: Part) -> Iterator[Part]:
    """The same rows in parts of at most `CELLS` scores with the negatives that they share."""
    batch, candidates, rows, last, scored = part
    size, step = len(batch.users), max(1, CELLS // max(1, len(candidates.items)))
    for start in range(0, size, step):
        mine = batch.at(slice(start, start + step))
        ends = last and start + step >= size
        yield Part(mine, candidates.rows(start, start + step), rows, ends, 0 if start else scored)


_NOTHING = Candidates(torch.empty(0, dtype=torch.int64))


def _keep(fit: _Fit, tables: Tables, batch: Batch, rng: np.random.Generator) -> Tensor | None:
    """(B, D) factors that drop a share of the users' numbers and scale up the others."""
    share = fit.settings.dropout
    if not share:
        return None
    shape = (len(batch.users), tables.users.shape[1])
    kept = torch.from_numpy(rng.random(shape, dtype=np.float32) >= np.float32(share))
    return kept.to(batch.users.device) / (1 - share)


def _gradient(fit: _Fit, part: Part, dropout: np.random.Generator, observer: Diagnostics | None) -> Tensor:
    """Add the gradient of a part of a step to that of the parameters; the loss of each row (B,), detached."""
    batch, candidates, rows, last, _ = part
    l2 = _pair_l2(fit, candidates, rows)
    x = _loss_input(fit, batch, candidates, dropout, l2)
    sloped = fit.objective.sloped
    due = observer is not None and observer.due()
    shown = due and x.negative.requires_grad and x.negative.numel() > 0
    if shown:
        x.negative.retain_grad()
    shares = rows if fit.mean else 1
    if sloped is None:
        values = fit.objective.loss(x)
        (values.sum() / shares).backward()  # type: ignore[no-untyped-call]
    else:
        with torch.no_grad():
            values, *slopes = sloped(x)
        send_back(x.positive, x.negative, *(slope.div_(shares) for slope in slopes))
    if observer is not None and shown:
        gradient = x.negative.grad
        if gradient is not None:  # of the mean over these rows
            gradient = gradient * (shares / len(values))
        observer.observe(batch, candidates, x.positive.detach(), x.negative.detach(), gradient, fit.scorer())
    if observer is not None and due:
        observer.measure(
            lambda: l2_pull(fit.module, batch, candidates, fit.settings, rows, fit.encode.gradient, l2 is not None)
        )
    if last:
        if hasattr(fit.module, "auxiliary"):
            fit.encode.add(fit.module.auxiliary(batch) * (1 if fit.mean else rows))  # type: ignore[operator]
        fit.encode.backward()
    if fit.device.type != "cpu":
        merge_rows(fit.module.parameters())
    if l2 is None:
        add_l2(fit.module, batch, candidates, fit.settings, rows)
    return values.detach()


def _pair_l2(fit: _Fit, candidates: Candidates, rows: int) -> PairL2 | None:
    """L2 for the loop over pairs to add, where it scores the parameters themselves and every pair counts alike."""
    settings, tables = fit.settings, fit.encode() if not hasattr(fit.module, "queries") else None
    alike = all(part is None for part in (candidates.valid, candidates.vectors, candidates.mix))
    if tables is None or not compiles(tables.users):
        return None
    if any(getattr(tables, name) is not getattr(fit.module, name, None) for name in ("users", "items")):
        return None
    if not alike or candidates.shared or settings.dropout or settings.l2_bias or "vectors" in fit.objective.needs:
        return None
    user, positive, negative = (weight / rows if fit.mean else weight for weight in settings.l2_roles)
    return PairL2(user, positive, negative / candidates.items.shape[1])


def _loss_input(
    fit: _Fit, batch: Batch, candidates: Candidates, dropout: np.random.Generator, l2: PairL2 | None
) -> LossInput:
    (tables, at), space, needs = fit.encode.rows(batch), fit.objective.space, fit.objective.needs
    tables_at = (tables.users, at), (tables.items, batch.positives, candidates.items)
    by_row = by_row_of(fit.settings, *tables_at[0]), by_row_of(fit.settings, *tables_at[1])
    keep, pairs = _keep(fit, tables, batch, dropout), Batch(at, batch.positives)
    own = batch.rows is not None
    scored, vectors = _NOTHING if "catalogue" in needs else candidates, None
    if "vectors" in needs:
        vectors = batch_vectors(tables, pairs, scored, keep, by_row)
        positive, negative = vector_scores(vectors, space)
    else:
        positive, negative = batch_scores(tables, pairs, scored, space, keep, by_row, l2 or NO_L2)
    return LossInput(
        positive=positive,
        negative=negative,
        valid=candidates.valid,
        log_q=candidates.log_q,
        log_q_positive=candidates.log_q_positive,
        weight=candidates.weight,
        n_items=fit.training.n_items,
        batch=batch,
        items=candidates.items,
        vectors=vectors,
        tables=None if "tables" not in needs else tables if own else fit.encode(),
        at=at if own else None,
        state=fit.state.tensors,
        space=space,
    )
