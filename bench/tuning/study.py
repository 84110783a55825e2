"""A study: the trials of one cell in rounds, its finalists with seeds of their own, and the setting they choose."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from bench.runs.pruning import floors
from bench.runs.spec import Cell, incompatibility, same_training
from bench.tuning.proposals import Told, propose
from bench.tuning.space import Dimension, Values, values_of, with_values

ROUND = 5  # trials that are asked for at once, whatever the number of workers
WITHIN = 0.01  # of the best: what counts as having found it


@dataclass(frozen=True)
class Plan:
    """How every cell of a study is searched.

    Attributes:
        trials: settings that are tried for each cell.
        finalists: the best of them that are trained again with other seeds.
        seeds: of the trials, then of the finalists.
        budget: seconds of training after which a cell has no further round, in place of `trials`.
    """

    trials: int
    finalists: int
    seeds: tuple[int, ...]
    budget: float | None = None


@dataclass(frozen=True)
class Asked:
    """A training that a study asks for: the cell with its values, a seed, the floors it is held to, and which it is."""

    cell: Cell
    seed: int
    floors: tuple[float, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Answer:
    """What came of it: the validation metric after each epoch, and where it was given up, or why it failed."""

    curve: tuple[float, ...] = ()
    given_up: int | None = None
    failure: str | None = None
    run_id: str = ""
    seconds: float = 0.0

    @property
    def score(self) -> float | None:
        """The best of the curve; None for a training that failed or validated nothing."""
        known = [value for value in self.curve if math.isfinite(value)]
        return max(known) if known and self.failure is None else None


Evaluate = Callable[[Sequence[Asked]], Sequence[Answer]]
"""Trains what is asked for, or finds it in the store; the answers in the same order."""


@dataclass(frozen=True)
class Trial:
    """One setting that was tried."""

    number: int
    origin: str  # `default`, `recommended` or `searched`
    values: Values
    cell: Cell
    answer: Answer


@dataclass(frozen=True)
class Finalist:
    """A trial that was trained again: the mean of its validation metric over the seeds of finalists."""

    trial: Trial
    scores: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over seeds."""
        return math.fsum(self.scores) / len(self.scores)


@dataclass
class Study:
    """The search for one cell.

    Attributes:
        cell: with the defaults, as its row names it.
        recommended: the same cell with what its parts recommend, on which the searched values are put.
        dimensions: what is searched.
        name: of data, cell and space, from which all its randomness follows.
    """

    cell: Cell
    recommended: Cell
    dimensions: tuple[Dimension, ...]
    name: str
    trials: list[Trial] = field(default_factory=list)
    finalists: list[Finalist] = field(default_factory=list)
    exhausted: bool = False

    def round(self, plan: Plan) -> list[tuple[str, Values, Cell]]:
        """The trials of the next round: where each comes from, its values, its cell."""
        count = ROUND if plan.budget is not None else min(ROUND, plan.trials - len(self.trials))
        spent = sum(one.answer.seconds for one in self.trials)
        if count < 1 or self.exhausted or (plan.budget is not None and spent >= plan.budget):
            return []
        known = {same_training(trial.cell) for trial in self.trials}
        asked: list[tuple[str, Values, Cell]] = []
        if not self.trials:
            for origin, cell in (("default", self.cell), ("recommended", self.recommended)):
                if same_training(cell) not in known and len(asked) < count:
                    known.add(same_training(cell))
                    asked.append((origin, values_of(cell, self.dimensions), cell))

        def fresh(values: Values) -> bool:
            cell = with_values(self.recommended, values)
            key = same_training(cell)
            if incompatibility(cell) is not None or key in known:
                return False
            known.add(key)
            return True

        told = [Told(one.values, one.answer.score, one.answer.given_up is not None) for one in self.trials]
        rest = count - len(asked)
        if rest and self.dimensions:
            name = f"{self.name} round {len(self.trials) // ROUND}"
            found = propose(self.recommended, self.dimensions, told, rest, name=name, fresh=fresh)
            asked += [("searched", values, with_values(self.recommended, values)) for values in found]
        self.exhausted = len(asked) < count
        return asked

    def floors(self) -> tuple[float, ...]:
        """What the trials of the next round are held to."""
        whole = [one.answer for one in self.trials if one.answer.score is not None and one.answer.given_up is None]
        return floors([answer.curve for answer in whole])

    def best(self, count: int) -> list[Trial]:
        """The whole trials with the highest score, the earlier one of two that are equal."""
        whole = [one for one in self.trials if one.answer.score is not None and one.answer.given_up is None]
        return sorted(whole, key=lambda one: (-(one.answer.score or 0.0), one.number))[:count]

    @property
    def scores(self) -> list[float | None]:
        """Of the trials."""
        return [one.answer.score for one in self.trials]

    @property
    def chosen(self) -> Finalist | None:
        """The finalist with the highest mean; None where every trial failed."""
        return max(self.finalists, key=lambda one: (one.mean, -one.trial.number), default=None)


def search(studies: Sequence[Study], plan: Plan, evaluate: Evaluate) -> None:
    """Run all rounds of all studies, then their finalists; what is in the store already costs nothing."""
    while asked := [
        (study, number, *trial)
        for study in studies
        for number, trial in enumerate(study.round(plan), len(study.trials))
    ]:
        held_to = {id(study): study.floors() for study in studies}
        answers = evaluate(
            [Asked(cell, plan.seeds[0], held_to[id(study)], f"trial {number}") for study, number, _, _, cell in asked]
        )
        for (study, number, origin, values, cell), answer in zip(asked, answers, strict=True):
            study.trials.append(Trial(number, origin, values, cell, answer))
    chosen = [(study, trial) for study in studies for trial in study.best(plan.finalists)]
    again = [Asked(one.cell, seed, (), f"finalist {one.number}") for _, one in chosen for seed in plan.seeds[1:]]
    answers = evaluate(again)
    seeds = len(plan.seeds) - 1
    for at, (study, trial) in enumerate(chosen):
        scores = [answer.score for answer in answers[at * seeds : (at + 1) * seeds]]
        known = [score for score in scores if score is not None]
        if len(known) == seeds:
            study.finalists.append(Finalist(trial, tuple(known)))


def best_so_far(scores: Iterable[float | None]) -> list[float]:
    """The highest score up to each trial; a trial that failed, None, adds nothing."""
    found: list[float] = []
    for score in scores:
        found.append(max([*found[-1:], *([] if score is None else [score])], default=math.nan))
    return found


def enough(best: Sequence[float]) -> int:
    """The number of trials after which the best so far is within `WITHIN` of the last."""
    return next((at for at, value in enumerate(best, start=1) if value >= best[-1] * (1 - WITHIN)), len(best))
