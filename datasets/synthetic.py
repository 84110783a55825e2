"""Generated interactions whose truth is known: who would like what, seen or not.

Item i is shown with probability proportional to rank(i)^-skew (a power law); user u has a log-normal number of
showings. Every pair (u, i) either is relevant or is not, once and for all: a Bernoulli draw with probability
sigmoid(scale · p_u·q_i + bias), p and q uniform of dimension `rank`. An interaction is a showing of a relevant
item. A relevant item that was never shown is a true false negative.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UserError, unknown
from datasets.grammar import named
from datasets.interactions import distinct
from datasets.prepare import random_keys
from datasets.split import Content
from datasets.table import Table

VERSION = 1
"""Raised whenever the same specification generates something else."""

CHUNK = 1 << 20
SCALE = 6.0
BIAS = -1.0
START, SPAN = 1_500_000_000, 3 * 365 * 86_400
_LIMITS: dict[str, tuple[float, float]] = {
    "users": (3, 50_000_000),
    "items": (3, 10_000_000),
    "density": (1e-9, 0.5),
    "seed": (0, 2**31),
    "rank": (1, 64),
    "skew": (0.0, 3.0),
}


@dataclass(frozen=True)
class Truth:
    """The law behind a generated data set.

    Attributes:
        users, items: how many of each are drawn; the data hold those that interact.
        density: interactions over users × items that are aimed at.
        seed: of everything.
        rank: dimension of the preferences.
        skew: exponent of the power law of showings; 0 shows all items alike.
    """

    users: int = 1000
    items: int = 1000
    density: float = 0.02
    seed: int = 0
    rank: int = 4
    skew: float = 0.8

    def factors(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(users, rank) and (items, rank) preferences, uniform in [-1, 1]."""
        return self._uniform("users", self.users), self._uniform("items", self.items)

    def probability(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.float64]:
        """Chance that a pair is relevant, for ids that broadcast; ids are the labels of the data."""
        p, q = self.factors()
        return self._probability(np.sum(p[users] * q[items], axis=-1))

    def relevant(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each pair is relevant: the fixed outcome of that chance."""
        shape = np.broadcast_shapes(users.shape, items.shape)
        u, i = np.broadcast_to(users, shape).ravel(), np.broadcast_to(items, shape).ravel()
        chance = self.probability(u, i)
        return (self._draw("relevance", u, i) < chance).reshape(shape)

    def _uniform(self, what: str, number: int) -> NDArray[np.float64]:
        rows, columns = np.arange(number)[:, None], np.arange(self.rank)[None, :]
        cells = np.broadcast_arrays(rows, columns)
        return 2 * self._draw(what, *(c.ravel() for c in cells)).reshape(number, self.rank) - 1

    def _probability(self, product: NDArray[np.float64]) -> NDArray[np.float64]:
        scaled = product * (SCALE / self.rank**0.5) + BIAS
        return np.asarray(1 / (1 + np.exp(-scaled)))

    def _draw(self, purpose: str, *codes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Uniform in [0, 1), a fixed function of the seed, the purpose and the codes."""
        return np.asarray((random_keys(self.seed, purpose, *codes) >> np.uint64(11)) * 2.0**-53, np.float64)


def parse(text: str) -> Truth:
    """The law of `synthetic:users=…,items=…,density=…,seed=…`; what is left out has its default.

    Raises:
        UserError: an unknown option, or a number out of range.
    """
    defaults = asdict(Truth())
    given: dict[str, float] = {}
    for key, written in named(text)[1]:
        value = written or ""
        if key not in defaults:
            raise unknown("option of synthetic", key, defaults)
        low, high = _LIMITS[key]
        whole = isinstance(defaults[key], int)
        try:
            number = int(value) if whole else float(value)
        except ValueError:
            number = float("nan")
        if not low <= number <= high:
            kind = "a whole number" if whole else "a number"
            raise UserError(f"synthetic:{key} is '{value}'; give {kind} from {low:,} to {high:,}.")
        given[key] = number
    return Truth(**{**defaults, **given})


def content(text: str) -> Content:
    """Name and identity of a generated data set: the sha256 of its full specification, not of bytes."""
    truth = parse(text)
    spelled = "synthetic:" + ",".join(f"{k}={v}" for k, v in asdict(truth).items())
    digest = hashlib.sha256(f"{spelled} version {VERSION}".encode()).hexdigest()
    return Content(spelled, digest, True, "generated")


def generate(text: str) -> Table:
    """The interactions of a specification, by user and item, each with a random time.

    Showings go on, chunk after chunk, until the density is reached; repeats of a pair are dropped.

    Raises:
        UserError: the density asks for more relevant pairs than the showings reach.
    """
    truth = parse(text)
    target = max(1, round(truth.users * truth.items * truth.density))
    users, items = _interactions(truth, target)
    row = np.arange(len(users))
    times = START + (truth._draw("times", row) * SPAN).astype(np.int64)
    return Table(users.astype(np.int32), items.astype(np.int32), np.arange(truth.users), np.arange(truth.items), times)


def _interactions(truth: Truth, target: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    p, q = (factor.astype(np.float32) for factor in truth.factors())
    activity = np.cumsum(_log_normal(truth))
    activity /= activity[-1]
    shuffle = np.argsort(random_keys(truth.seed, "popularity", np.arange(truth.items)), kind="stable")
    chunk = min(CHUNK, max(1 << 12, 2 * target))
    found, start, limit = np.empty(0, np.int64), 0, 100 * target + 20 * chunk
    while len(found) < target:
        if start > limit:
            raise UserError(
                f"Only {len(found):,} of {target:,} interactions came out of {start:,} showings; lower the density."
            )
        batch, wanted = [found], 1.15 * (target - len(found))
        while wanted > 0 and start <= limit:
            showing = np.arange(start, start + chunk)
            start += chunk
            strata = (
                np.arange(chunk) + truth._draw("shown user", showing)
            ) / chunk  # ascending, so that the search is fast
            u = np.searchsorted(activity, strata, side="right")
            i = shuffle[_power_law(truth, truth._draw("shown item", showing))]
            chance = truth._probability(np.einsum("nd,nd->n", p[u], q[i]).astype(np.float64))
            liked = truth._draw("relevance", u, i) < chance
            batch.append(u[liked] * truth.items + i[liked])
            wanted -= len(batch[-1])
        found = distinct(np.concatenate(batch))
    keys = random_keys(truth.seed, "rows", found)
    found = found[keys <= np.partition(keys, target - 1)[target - 1]]
    return found // truth.items, found % truth.items


def _log_normal(truth: Truth) -> NDArray[np.float64]:
    """(users,) activity, exp of a sum of 12 uniforms: nearly normal, and the same with every library."""
    user = np.arange(truth.users)
    total = sum(truth._draw(f"activity {k}", user) for k in range(12))
    return np.exp(np.asarray(total) - 6.0)


def _power_law(truth: Truth, uniform: NDArray[np.float64]) -> NDArray[np.int64]:
    """Ranks 0…items-1 with density proportional to (rank + 1)^-skew, by the inverse of the continuous law."""
    top, power = truth.items + 1.0, 1.0 - truth.skew
    drawn = top**uniform if abs(power) < 1e-9 else (1 + uniform * (top**power - 1)) ** (1 / power)
    return np.minimum(drawn.astype(np.int64) - 1, truth.items - 1)
