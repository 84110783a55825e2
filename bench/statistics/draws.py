"""Tables of paired differences whose true mean is known, many at once, and their mean squares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.statistics.moments import FloatArray
from bench.statistics.named import wilcoxon
from bench.statistics.pooled import stability_variances
from bench.statistics.resampling import draw_counts

CELLS = 4_000_000  # of hits held at once


@dataclass(frozen=True)
class Corner:
    """Users, seeds and the variance of the differences, in which a single one has residual variance 1.

    Attributes:
        users: U.
        seeds: S.
        user_share: S·σ_u²/σ_e², the users' part of the variance of the mean where the residual's is 1.
        seed_share: U·σ_s²/σ_e², the seeds' part.
    """

    users: int
    seeds: int
    user_share: float
    seed_share: float

    @property
    def error(self) -> float:
        """Standard error of the mean difference."""
        return float(np.sqrt((1 + self.user_share + self.seed_share) / (self.users * self.seeds)))


@dataclass(frozen=True)
class Squares:
    """Mean and mean squares of n tables, each (n,)."""

    mean: FloatArray
    users: FloatArray
    seeds: FloatArray
    error: FloatArray


def normal_squares(c: Corner, rng: np.random.Generator, n: int) -> Squares:
    """The mean squares of n tables of normal effects, from their exact laws: independent χ² and a normal mean."""
    df_u, df_s = c.users - 1, c.seeds - 1
    return Squares(
        mean=rng.normal(0, c.error, n),
        users=(1 + c.user_share) * rng.chisquare(df_u, n) / df_u,
        seeds=(1 + c.seed_share) * rng.chisquare(df_s, n) / df_s,
        error=rng.chisquare(df_u * df_s, n) / (df_u * df_s),
    )


def normal_tables(c: Corner, rng: np.random.Generator, n: int) -> FloatArray:
    """(n, S, U) differences of normal effects with mean 0."""
    users = rng.normal(0, np.sqrt(c.user_share / c.seeds), (n, 1, c.users))
    seeds = rng.normal(0, np.sqrt(c.seed_share / c.users), (n, c.seeds, 1))
    return np.asarray(rng.standard_normal((n, c.seeds, c.users)) + users + seeds)


def hits(
    c: Corner, rng: np.random.Generator, n: int, spread: FloatArray | None = None, rate: float = 0.12
) -> FloatArray:
    """(n, rows, S, U) hits and misses of variants of one law, a user hit with a probability of its own.

    A user's probability is `rate` at the median and spreads over users as logit-normal; each variant moves it by
    effects of the user and of the seed, sized so that the difference of two variants has about the shares asked for.
    With a `spread` (rows,) there are so many variants, whose seeds' effects have that times the variance.
    """
    spread = np.ones(2) if spread is None else spread
    rows = len(spread)
    logit = np.log(rate / (1 - rate)) + rng.normal(0, 1.5, c.users)
    slope = float(np.mean(1 / (2 + np.exp(logit) + np.exp(-logit))))  # d rate / d logit, and the variance p(1 − p)
    over_users = np.sqrt(c.user_share * slope / c.seeds) / slope
    over_seeds = np.sqrt(c.seed_share * slope / c.users) / slope
    shift = logit + rng.normal(0, over_users, (n, rows, 1, c.users))
    by_seed = rng.normal(0, over_seeds, (n, rows, c.seeds, 1)) * np.sqrt(spread)[:, None, None]
    odds = np.exp(-(shift + by_seed))
    return np.asarray((rng.random(odds.shape) * (1 + odds) < 1).astype(np.float64))


def squares_of(d: FloatArray) -> Squares:
    """The mean squares of tables (n, S, U)."""
    _, seeds, users = d.shape
    by_user, by_seed = d.mean(axis=1), d.mean(axis=2)
    mean = by_seed.mean(axis=1)
    over_users = seeds * np.square(by_user - mean[:, None]).sum(axis=1)
    over_seeds = users * np.square(by_seed - mean[:, None]).sum(axis=1)
    rest = np.einsum("nsu,nsu->n", d, d) - users * seeds * mean**2 - over_users - over_seeds
    return Squares(
        mean, over_users / (users - 1), over_seeds / (seeds - 1), np.maximum(rest, 0) / ((users - 1) * (seeds - 1))
    )


@dataclass(frozen=True)
class Rows:
    """What `crossed` and `crossed-pooled` see of one pair in each of n tables of K rows.

    Attributes:
        pair: the pair's mean and mean squares.
        of_a: (n,) stability variance of the one row.
        of_b: of the other.
        rows: K.
    """

    pair: Squares
    of_a: FloatArray
    of_b: FloatArray
    rows: int


def normal_rows(c: Corner, spread: FloatArray, a: int, b: int, rng: np.random.Generator, n: int) -> Rows:
    """Tables whose K rows have seed and residual variances in proportion to `spread`, which is 1 where all are equal.

    What a seed does to all rows alike is three times as large as the rest. Means over users of every row and seed are
    drawn, and the pair's mean squares of users and residual from their exact laws.
    """
    rows, df_u = len(spread), c.users - 1
    own = 0.5 * spread * (1 + c.seed_share) / c.users
    alike = rng.normal(0, 3 * np.sqrt(0.5 / c.users), (n, 1, c.seeds))
    means = alike + rng.standard_normal((n, rows, c.seeds)) * np.sqrt(own)[:, None]
    d, rest = means[:, a] - means[:, b], 0.5 * (spread[a] + spread[b])
    pair = Squares(
        mean=d.mean(axis=1) + rng.normal(0, np.sqrt(c.user_share / (c.users * c.seeds)), n),
        users=(rest + c.user_share) * rng.chisquare(df_u, n) / df_u,
        seeds=c.users * d.var(axis=1, ddof=1),
        error=rest * rng.chisquare(df_u * (c.seeds - 1), n) / (df_u * (c.seeds - 1)),
    )
    variances = stability_variances(means)
    return Rows(pair, variances[:, a], variances[:, b], rows)


def binary_rows(c: Corner, spread: FloatArray, a: int, b: int, rng: np.random.Generator, n: int) -> Rows:
    """The same of hits and misses, some tables at a time."""
    found, step = [], max(1, CELLS // (len(spread) * c.users * c.seeds))
    for i in range(0, n, step):
        x = hits(c, rng, min(step, n - i), spread)
        variances = stability_variances(x.mean(axis=3))[:, [a, b]].T
        s = squares_of(x[:, a] - x[:, b])
        found.append(np.array([s.mean, s.users, s.seeds, s.error, *variances]))
    mean, users, seeds, error, of_a, of_b = np.concatenate(found, axis=1)
    return Rows(Squares(mean, users, seeds, error), of_a, of_b, len(spread))


def resampled_p(
    d: FloatArray, rng: np.random.Generator, resamples: int = 499, ranks: bool = True
) -> dict[str, FloatArray]:
    """p of `permutation` and the bootstraps on n tables (n, S, U), which share one set of draws, and of `wilcoxon`."""
    n, seeds, users = d.shape
    d = d.astype(np.float32)
    by_user, by_seed = d.mean(axis=1), d.mean(axis=2)
    mean = by_seed.mean(axis=1)
    signs = rng.choice(np.array([-1, 1], dtype=np.float32), (resamples, users))
    of_users, of_seeds = (draw_counts(m, resamples, rng).astype(np.float32) for m in (users, seeds))
    both = (of_users @ d.reshape(n * seeds, users).T).reshape(resamples, n, seeds)
    drawn = {
        "permutation": signs @ by_user.T / users,
        "bootstrap-users": of_users @ by_user.T / users - mean,
        "bootstrap-seeds": of_seeds @ by_seed.T / seeds - mean,
        "bootstrap": np.einsum("rns,rs->rn", both, of_seeds) / (users * seeds) - mean,
    }
    p = {name: (1 + (np.abs(x) >= np.abs(mean) - 1e-9).sum(axis=0)) / (1 + resamples) for name, x in drawn.items()}
    return p | ({"wilcoxon": np.array([wilcoxon(x.astype(np.float64)).p for x in by_user[:500]])} if ranks else {})
