"""One run, start to end: a spec and its data in, a `Result` out. This is what a worker process executes."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.runs.item_features import read_by, recorded
from bench.runs.memory import forget_peak, peak
from bench.runs.provenance import provenance
from bench.runs.pruning import given_up
from bench.runs.spec import Data, RunSpec, check_code
from bench.runs.store import LAST_EPOCH, Result
from datasets import synthetic
from datasets.consent import Consent
from datasets.download import Progress, silent
from datasets.errors import UserError
from datasets.loading import load
from datasets.protocol import Protocol
from datasets.split import Split
from recmodels import plugins
from recmodels.compatibility import held
from recmodels.metrics import Ranks
from recmodels.models import BASELINES, MODELS
from recmodels.plugins import Plugin
from recmodels.samplers import SAMPLERS
from recmodels.settings import Settings, setting_parameters

if TYPE_CHECKING:
    from bench.runs.pace import Pace
    from datasets import Interactions
    from datasets.table import Labels
    from recmodels.diagnostics import Diagnostics
    from recmodels.sampling import Training
    from recmodels.trainer import Epoch
    from recmodels.types import Scores


@dataclass(frozen=True)
class Task:
    """A run to execute: what it is, and the conditions that must not change its numbers."""

    spec: RunSpec
    protocol: Protocol
    consent: Consent = Consent()
    device: str = "cpu"
    threads: int = 1
    keep_embeddings: bool = False
    measured: bool = False  # whether its pace is told first
    trained: bool = True  # whether it is run at all, and not its pace alone found out
    plugins: tuple[Plugin, ...] = ()  # that its methods may be of
    floors: tuple[float, ...] = ()  # of a trial: it is given up where its best so far is below them
    unfinished: Path | None = None  # where the state of a training is kept until its result is
    note: str = ""  # what progress calls it beside cell and seed


class GivenUp(Exception):
    """A trial whose validation fell behind; `history` is what it came to."""

    def __init__(self, history: list[tuple[int, float, float, float]]) -> None:
        super().__init__(f"given up in epoch {len(history)}")
        self.history = history


class ConstantScores(ArithmeticError):
    """A trained model that tells no two items apart, for nobody."""


class TimedOut(TimeoutError):
    """A run that took longer than it may."""


def execute(
    task: Task,
    on_epoch: Callable[[int, float, float], None] = lambda epoch, loss, valid: None,
    split: Split | None = None,
    on_pace: Callable[[Pace], None] | None = None,
) -> Result:
    """Train and evaluate; what goes wrong in training becomes a failed result, not an exception.

    `on_epoch` is told the epoch, its loss and its validation metric. The split is opened here unless it is given.
    `on_pace` is told before, how long an epoch will take.
    """
    started = time.perf_counter()
    plugins.ensure(task.plugins)
    forget_peak()
    settle(task.threads)
    split = split or open_split(task.spec.data, task.protocol, task.consent)
    conditions = {
        "device": _device_name(task.device),
        "threads": task.threads,
        "deterministic": True,
        "data": {
            "sha256": split.source.sha256,
            "verified": split.source.verified,
            "source": split.source.source,
        },
        "facts": split.facts,
        "plugins": {
            Path(plugin.given).name: plugin.code for plugin in task.plugins if plugin.code in task.spec.code.values()
        },
    }
    record = {**provenance(), **conditions}
    if on_pace is not None and not task.spec.cell.is_baseline:
        from bench.runs.pace import measure

        with suppress(Exception):  # the run itself will meet it, and say so
            on_pace(measure(task, split))
        forget_peak()
        started = time.perf_counter()
    seconds = {"train": 0.0, "evaluate": 0.0, "total": 0.0}
    try:
        check_code(task.spec)
        record |= recorded(read_by(task.spec, split))
        tables, history, best_epoch, observer, training, settles = _trained(task, split, on_epoch)
        evaluating = time.perf_counter()
        ranks = _test_ranks(tables, split, task.protocol.mask)
        if not task.spec.cell.is_baseline and (ranks.tied == ranks.candidates - 1).all():
            raise ConstantScores("constant scores: for every test user all items have the same score")
        seconds |= {"train": training, "evaluate": time.perf_counter() - evaluating}
    except GivenUp as stopped:
        seconds["total"] = time.perf_counter() - started
        return Result(np.empty(0), None, stopped.history, 0, seconds, record, given_up=len(stopped.history))
    except Exception as error:  # whatever a cell does wrong is a result of that cell
        failure = {"reason": reason(error), "traceback": traceback.format_exc()}
        seconds["total"] = time.perf_counter() - started
        return Result(np.empty(0), None, [], 0, seconds, record, failure=failure, peak_bytes=peak())
    seconds["total"] = time.perf_counter() - started
    owners = np.unique(ranks.users)
    return Result(
        split.user_ids[owners],
        ranks,
        history,
        best_epoch,
        seconds,
        record,
        diagnostics=_ranking_facts(ranks) | _sampling_facts(observer, split, task.spec.refit),
        warnings=_warnings(task, split, history, best_epoch),
        embeddings=_embeddings(tables, split) if task.keep_embeddings else None,
        peak_bytes=peak(),
        settled=settles,
    )


def settle(threads: int) -> None:
    """Let torch compute on so many threads, the same bits each time."""
    import torch

    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("error")  # as `use_deterministic_algorithms`, which loads a compiler first
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # nothing reads it


def reason(error: Exception) -> str:
    """What the table says of a failed run; torch tells a lack of memory in several ways."""
    said = f"{type(error).__name__}: {error}"
    lacking = ("can't allocate memory", "not enough memory", "out of memory")
    if isinstance(error, MemoryError) or any(words in said.lower() for words in lacking):
        return f"out of memory: {error}"
    if isinstance(error, ConstantScores | TimedOut | UserError):
        return str(error)
    place = plugins.where(error)
    return f"{said} ({place})" if place else said


def load_split(data: Data, protocol: Protocol, consent: Consent, progress: Progress = silent) -> Split:
    """The prepared split; fetched if need be, and memory-mapped from the cache the next time."""
    return load(
        data.dataset,
        protocol,
        columns=data.columns,
        consent=consent,
        negatives_from=data.negatives_from,
        item_features=data.item_features,
        progress=progress,
    )


@lru_cache(maxsize=1)  # a worker runs many cells on the same data
def _open(
    dataset: str, columns: str | None, unwanted: str | None, described: str | None, protocol: Protocol, consent: Consent
) -> Split:
    return load(dataset, protocol, columns=columns, consent=consent, negatives_from=unwanted, item_features=described)


def open_split(data: Data, protocol: Protocol, consent: Consent) -> Split:
    """The same, opened once per process."""
    return _open(data.dataset, data.columns, data.negatives_from, data.item_features, protocol, consent)


OnEpoch = Callable[[int, float, float], None]
SELECT_ON = str(setting_parameters()["select_on"].default)


class _Trained(NamedTuple):
    """What training gives: a refitted run has the tables of the second training and the history of the first."""

    tables: Scores
    history: list[tuple[int, float, float, float]]  # number, loss, validation metric, seconds
    best_epoch: int
    observer: Diagnostics | None  # what watched the sampler of the tables
    seconds: float
    settled: int = 0  # the epoch in which the last schedule ends


def _trained(task: Task, split: Split, on_epoch: OnEpoch) -> _Trained:
    """Train on train, and with `refit` again on train and validation for as many epochs as the first chose."""
    if not task.spec.refit or not len(split.valid):
        return fitted(task, split, on_epoch, keeping="first")
    if task.spec.cell.is_baseline:
        return fitted(task, with_validation(split), on_epoch)
    first = fitted(task, split, on_epoch, keeping="first")
    again = fitted(task, with_validation(split), on_epoch, stop_at=first.best_epoch, keeping="again")
    return first._replace(tables=again.tables, observer=again.observer, seconds=first.seconds + again.seconds)


def refitted(task: Task, split: Split) -> Scores:
    """What a run of a baseline ranks by, computed again."""
    return _trained(task, split, lambda epoch, loss, valid: None).tables


def with_validation(split: Split) -> Split:
    """The same with what validates as part of train, and with it what is folded in of its users."""
    nothing, both, known = split.valid.take(np.empty(0, np.intp)), split.train.joined(split.valid), split.fold_in
    if known is not None:
        validates = np.isin(known.users, split.valid.users)
        both, known = both.joined(known.take(validates)), known.take(~validates)
    return replace(split, train=both, valid=nothing, fold_in=known)


def fitted(
    task: Task,
    split: Split,
    on_epoch: OnEpoch,
    stop_at: int | None = None,
    observing: type[Diagnostics] | None = None,
    keeping: str | None = None,
) -> _Trained:
    """One training; what is learned from counts, seen items and laws is learned from its train part.

    Its state is kept in the task's folder `unfinished` under the name `keeping`.
    """
    import torch

    from recmodels.checkpoint import Checkpoint
    from recmodels.diagnostics import Diagnostics
    from recmodels.objective import objective
    from recmodels.sampling import Training
    from recmodels.trainer import settled, train

    cell = task.spec.cell
    if cell.sampler is None or cell.loss is None:
        return _counted(task, split)
    settings = Settings(**cell.settings)  # type: ignore[arg-type]
    training = Training.of(split, settings.positives, settings.epochs)
    sampler = SAMPLERS[cell.sampler.name](training, **cell.sampler.parameters)
    lawful = "log_q" in held("gives", SAMPLERS.entry(cell.sampler.name), cell.sampler.parameters)
    observer = (observing or Diagnostics)(training, sampler.law if lawful else None)
    done = train(
        training,
        split.valid,
        model=partial(MODELS[cell.model.name], **cell.model.parameters),
        sampler=sampler,
        objective=objective(
            cell.loss.name, cell.loss.parameters, settings.space, settings.rank_space, settings.learn_temperature
        ),
        settings=settings,
        seed=task.spec.seed,
        device=torch.device(task.device),
        on_epoch=_watched(on_epoch, task.floors, settled(sampler, settings)),
        observer=observer,
        mask=task.protocol.mask != "none",
        stop_at=stop_at,
        checkpoint=Checkpoint(task.unfinished / keeping) if task.unfinished is not None and keeping else None,
    )
    seconds = sum(epoch.seconds for epoch in done.history)
    history = [(epoch.epoch, epoch.loss, epoch.valid, epoch.seconds) for epoch in done.history]
    return _Trained(done.tables, history, done.best_epoch, observer, seconds, settled(sampler, settings))


def _counted(task: Task, split: Split) -> _Trained:
    """A baseline has no epochs: its history is one line, numbered 0, with the validation metric `SELECT_ON`."""
    from recmodels.evaluation import FullRanking
    from recmodels.sampling import Training
    from recmodels.trainer import some_users, validate

    started, training = time.perf_counter(), Training(split.train, fold_in=split.fold_in)
    tables = _baseline(task, training)
    seconds, limit = time.perf_counter() - started, setting_parameters()["valid_users"].default
    assert isinstance(limit, int)
    ranking = FullRanking(some_users(split.valid, limit), [training.histories] if task.protocol.mask != "none" else [])
    return _Trained(tables, [(0, math.nan, validate(ranking, tables, SELECT_ON), seconds)], 0, None, seconds)


def _watched(on_epoch: OnEpoch, floors: tuple[float, ...], settled: int) -> Callable[[Epoch], None]:
    """Tell of each epoch, and give up a trial that fell behind."""
    history: list[tuple[int, float, float, float]] = []

    def told(epoch: Epoch) -> None:
        history.append((epoch.epoch, epoch.loss, epoch.valid, epoch.seconds))
        on_epoch(epoch.epoch, epoch.loss, epoch.valid)
        if given_up([valid for _, _, valid, _ in history], floors, settled) is not None:
            raise GivenUp(history)

    return told


def _baseline(task: Task, training: Training) -> Scores:
    """What scores the catalogue; numpy and scipy compute it on as many threads as torch would."""
    from threadpoolctl import threadpool_limits

    from recmodels.seeds import generator

    name, parameters = task.spec.cell.model.name, task.spec.cell.model.parameters
    fit, drawn = BASELINES[name], [generator(task.spec.seed, "baseline")] if BASELINES.entry(name).draws else []
    with threadpool_limits(task.threads):  # after the import, which loads the libraries that it finds
        model: Scores = fit(training, *drawn, **parameters)
    return model


def _test_ranks(model: Scores, split: Split, mask: str) -> Ranks:
    from recmodels.evaluation import FullRanking

    return FullRanking(split.test, masked(split, mask), split.candidates).ranks(model)


def masked(split: Split, mask: str) -> list[Interactions]:
    """What of a user's own a ranking of the test part leaves out."""
    masked = {"known": [split.train, split.valid], "train": [split.train], "none": []}[mask]
    return [*masked, split.fold_in] if split.fold_in is not None and mask != "none" else masked


def _sampling_facts(observer: Diagnostics | None, split: Split, refit: bool) -> dict[str, float]:
    """What the sampler did, now that training is over and what was held out of it may be looked at."""
    if observer is None:
        return {}
    truth = None
    if split.source.source == "generated":
        law, users, items = synthetic.parse(split.source.name), split.user_ids, split.item_ids
        truth = lambda u, i: law.relevant(users[u].astype(np.int64), items[i].astype(np.int64))  # noqa: E731
    held_out = [split.test] if refit else [split.valid, split.test]
    if split.fold_in is not None:  # nothing is held out of the users that are trained on
        held_out = []
    return observer.summary(held_out, truth)


def _ranking_facts(ranks: Ranks) -> dict[str, float]:
    return {"test_tie_rate": float((ranks.tied > 0).mean())}


def _warnings(
    task: Task, split: Split, history: list[tuple[int, float, float, float]], best_epoch: int
) -> tuple[str, ...]:
    found = list(split.warnings)
    features = read_by(task.spec, split)
    found += features.warnings if features else ()
    if history and best_epoch == task.spec.cell.settings.get("epochs") and len(split.valid):
        found.append(LAST_EPOCH)
    everyone, ranked = len(np.unique(split.valid.users)), task.spec.cell.settings.get("valid_users")
    if history and isinstance(ranked, int) and ranked < everyone:
        found.append(f"epochs were chosen on a fixed sample of {ranked:,} of {everyone:,} users (setting valid_users)")
    return tuple(found)


def _embeddings(tables: Scores, split: Split) -> dict[str, Labels] | None:
    """The vectors of users and items; None where the model has none, as baselines of sparse matrices."""
    from recmodels.types import Tables

    if not isinstance(tables, Tables):
        return None
    arrays = {"users": tables.users, "items": tables.items, "bias": tables.bias}
    return {
        **{name: table.detach().cpu().numpy() for name, table in arrays.items() if table is not None},
        "user_ids": split.user_ids,
        "item_ids": split.item_ids,
        "score_space": np.array("dot"),
    }


def _device_name(device: str) -> str:
    if device == "cpu":
        return "cpu"
    import torch

    return f"cuda: {torch.cuda.get_device_name(torch.device(device))}"
