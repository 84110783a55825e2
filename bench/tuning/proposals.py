"""The next round of trials of a cell, from its finished rounds alone: Optuna's multivariate TPE, asked anew each time.

Bergstra, Bardenet, Bengio, Kégl, NeurIPS 2011; multivariate: Falkner, Klein, Hutter, ICML 2018. A fresh sampler with a
seed of its own is made for every round, so that a round depends on what came before and on nothing that ran meanwhile.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.runs.spec import Cell
from bench.tuning.space import Dimension, Values, with_values
from recmodels.entries import Value
from recmodels.search import Search

if TYPE_CHECKING:
    import optuna

STARTUP = 8  # trials before the model of good and bad settings is asked
RETRIES = 50  # random settings that are tried in place of a repeated one before a space counts as exhausted
DIGITS = 3  # of a searched number: enough to tell settings apart, and equal on every machine
RANGE = "in range"  # the choice between single values and the range, where a search has both


@dataclass(frozen=True)
class Told:
    """A finished trial: its values, and the best validation metric; None for one that failed."""

    values: Values
    score: float | None
    pruned: bool = False


def propose(
    cell: Cell,
    dimensions: Sequence[Dimension],
    told: Sequence[Told],
    count: int,
    *,
    name: str,
    fresh: Callable[[Values], bool],
) -> list[Values]:
    """At most `count` settings to try next; fewer where the space has no more.

    Args:
        cell: whose other values decide which dimensions something reads.
        dimensions: what is searched.
        told: the trials of all rounds before.
        count: trials of this round.
        name: of the study and the round; the seed follows from it.
        fresh: whether a setting may be tried: trainable, and not yet asked for.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=STARTUP, multivariate=True, group=True, constant_liar=True
        )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for one in told:
        study.add_trial(_finished(one, dimensions))
    found: list[Values] = []
    for _ in range(count):
        values = _suggest(study.ask(), cell, dimensions)
        another = values if fresh(values) else _another(cell, dimensions, f"{name} {len(found)}", fresh)
        if another is None:
            break
        found.append(another)
    return found


def _another(cell: Cell, dimensions: Sequence[Dimension], name: str, fresh: Callable[[Values], bool]) -> Values | None:
    """A random setting that is fresh, or None after `RETRIES`."""
    import optuna

    seed = int.from_bytes(hashlib.sha256(f"{name} again".encode()).digest()[:4], "big")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for _ in range(RETRIES):
        values = _suggest(study.ask(), cell, dimensions)
        if fresh(values):
            return values
    return None


def _suggest(trial: optuna.Trial, cell: Cell, dimensions: Sequence[Dimension]) -> dict[str, Value]:
    """Values of the dimensions that something reads, given those before; those without a condition come first."""
    values: dict[str, Value] = {}
    for one in sorted(dimensions, key=lambda dimension: (bool(dimension.search.when), dimension.key)):
        if one.used(with_values(cell, values)):
            values[one.key] = _value(trial, one)
    return dict(sorted(values.items()))


def _value(trial: optuna.Trial, one: Dimension) -> Value:
    search, options = one.search, _choices(one.search)
    if search.among:
        at = trial.suggest_categorical(f"{one.key} among", [*range(len(options))])
        if (chosen := options[int(at)]) != RANGE:
            return chosen
    low, high = search.range
    if one.parameter.kind == "int":
        return int(trial.suggest_int(one.key, int(low), int(high), log=search.log))
    value = float(f"{trial.suggest_float(one.key, low, high, log=search.log):.{DIGITS}g}")
    return min(max(value, low), high)


def _choices(search: Search) -> list[Value]:
    """The single values of a search, and `RANGE` where it has one too."""
    return [*search.among, *([RANGE] if search.low is not None else [])]


def _finished(one: Told, dimensions: Sequence[Dimension]) -> optuna.trial.FrozenTrial:
    """The trial as Optuna keeps it; a value outside its range, as a default may be, is left out."""
    import optuna
    from optuna.trial import TrialState

    known = [suggested for each in dimensions if each.key in one.values for suggested in _suggested(each, one.values)]
    usable = one.score is not None and math.isfinite(one.score)
    return optuna.trial.create_trial(
        state=TrialState.FAIL if not usable else TrialState.PRUNED if one.pruned else TrialState.COMPLETE,
        params={name: value for name, value, _ in known},
        distributions={name: distribution for name, _, distribution in known},
        value=one.score if usable else None,
        intermediate_values={0: one.score} if usable and one.score is not None else None,
    )


def _suggested(one: Dimension, values: Values) -> Iterator[tuple[str, Any, Any]]:
    """What Optuna would have suggested for the value of a dimension: names, values and distributions."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    search, value, options = one.search, values[one.key], _choices(one.search)
    single = value in search.among
    ranged = not single and search.low is not None and _is_between(value, search)
    if search.among and (single or ranged):
        at = options.index(value if single else RANGE)
        yield f"{one.key} among", at, CategoricalDistribution([*range(len(options))])
    if ranged:
        low, high = search.range
        whole = one.parameter.kind == "int"
        law = IntDistribution(int(low), int(high), search.log) if whole else FloatDistribution(low, high, search.log)
        yield one.key, value, law


def _is_between(value: Value, search: Search) -> bool:
    low, high = search.range
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
