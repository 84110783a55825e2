"""False-positive rates of the tests: in simulation, and by A/A comparisons of real runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from bench.statistics.crossed import crossed_tests
from bench.statistics.moments import Moments, moments
from bench.statistics.named import run_test
from datasets.errors import UserError

FloatArray = NDArray[np.float64]

USERS, SEEDS = (200, 943, 6040), (2, 3, 5, 10)
# Share of a component in the variance of the mean difference, in units of the residual's share: S·σ_u²/σ_e² of
# the users, U·σ_s²/σ_e² of the seeds.
USER_SHARES, SEED_SHARES = (0.0, 1.0, 10.0), (0.0, 0.3, 1.0, 3.0, 10.0)


@dataclass(frozen=True)
class Level:
    """How often each test rejected a true null in one corner of the grid.

    Attributes:
        outcome: "normal" or "binary".
        users: U.
        seeds: S.
        user_share: S·σ_u²/σ_e².
        seed_share: U·σ_s²/σ_e².
        crossed: the default test, the largest p of the three.
        satterthwaite: the crossed test before it is bounded by the other two.
        users_t: paired t over users.
        seeds_t: paired t over seeds.
    """

    outcome: str
    users: int
    seeds: int
    user_share: float
    seed_share: float
    crossed: float
    satterthwaite: float
    users_t: float
    seeds_t: float


def simulate_normal(
    users: int,
    seeds: int,
    user_share: float,
    seed_share: float,
    rng: np.random.Generator,
    *,
    replications: int = 20_000,
    alpha: float = 0.05,
) -> Level:
    """The level under normal effects, drawing the mean squares from their exact laws (independent χ² and normal)."""
    over_users, over_seeds, rest = users - 1, seeds - 1, (users - 1) * (seeds - 1)
    ms_users = (1 + user_share) * rng.chisquare(over_users, replications) / over_users
    ms_seeds = (1 + seed_share) * rng.chisquare(over_seeds, replications) / over_seeds
    ms_error = rng.chisquare(rest, replications) / rest
    mean = rng.normal(0, np.sqrt((1 + user_share + seed_share) / (users * seeds)), replications)
    rates = _rates(mean, ms_users, ms_seeds, ms_error, users, seeds, alpha)
    return Level("normal", users, seeds, user_share, seed_share, *rates)


def simulate_binary(
    users: int,
    seeds: int,
    user_share: float,
    seed_share: float,
    rng: np.random.Generator,
    *,
    replications: int = 1000,
    alpha: float = 0.05,
    rate: float = 0.12,
) -> Level:
    """The level under hits and misses: two variants of one law, a user hit with a probability of its own.

    A user's probability is `rate` at the median and spreads over users as logit-normal; each variant moves it by
    effects of the user and of the seed, sized to give the shares asked for.
    """
    logit = np.log(rate / (1 - rate)) + rng.normal(0, 1.5, users)
    slope = float(np.mean(1 / (2 + np.exp(logit) + np.exp(-logit))))  # d rate / d logit, mean over users
    variance = slope  # of one hit given its probability p: p(1 − p), which is that derivative
    over_users = np.sqrt(user_share * variance / seeds) / slope
    over_seeds = np.sqrt(seed_share * variance / users) / slope
    found = []
    for _ in range(replications):
        shift = rng.normal(0, over_users, (2, 1, users)) + rng.normal(0, over_seeds, (2, seeds, 1))
        hits = rng.random((2, seeds, users)) < 1 / (1 + np.exp(-(logit + shift)))
        found.append(moments(hits[0].astype(float), hits[1].astype(float)))
    rates = _rates(*_stack(found), users, seeds, alpha)
    return Level("binary", users, seeds, user_share, seed_share, *rates)


def _stack(found: Sequence[Moments]) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    table = np.array([(m.mean, m.ms_users, m.ms_seeds, m.ms_error) for m in found])
    return table[:, 0], table[:, 1], table[:, 2], table[:, 3]


def _rates(
    mean: FloatArray,
    ms_users: FloatArray,
    ms_seeds: FloatArray,
    ms_error: FloatArray,
    users: int,
    seeds: int,
    alpha: float,
) -> tuple[float, float, float, float]:
    tests = crossed_tests(mean, ms_users, ms_seeds, ms_error, users, seeds, alpha=alpha)
    each = [p for p, _ in tests.values()]
    return tuple(float((p < alpha).mean()) for p in (np.maximum.reduce(each), *each))  # type: ignore[return-value]


def grid(
    users: Sequence[int] = USERS,
    seeds: Sequence[int] = SEEDS,
    user_shares: Sequence[float] = USER_SHARES,
    seed_shares: Sequence[float] = SEED_SHARES,
    *,
    normal: int = 20_000,
    binary: int = 1000,
) -> Iterator[Level]:
    """The level in every corner, with that many replications of normal and of binary outcomes."""
    rng = np.random.default_rng(0)
    for corner in product(users, seeds, user_shares, seed_shares):
        yield simulate_normal(*corner, rng, replications=normal)
        if binary:
            yield simulate_binary(*corner, rng, replications=binary)


@dataclass(frozen=True)
class FalsePositives:
    """How often one test called a variant different from itself.

    Attributes:
        test: name of the test.
        alpha: level.
        rate: share of the splits with p < alpha; a split without a p value is no rejection.
        lo: lower end of the 95 % interval of the rate, given these runs.
        hi: upper end.
        splits: A/A comparisons made.
        without_p: comparisons for which the test had no p value.
    """

    test: str
    alpha: float
    rate: float
    lo: float
    hi: float
    splits: int
    without_p: int


def same_against_same(
    values: FloatArray,
    seeds: int,
    *,
    tests: Sequence[str] = ("crossed", "t", "seeds-t"),
    alphas: Sequence[float] = (0.01, 0.05, 0.10),
    splits: int = 1000,
    seed: int = 0,
) -> list[FalsePositives]:
    """False-positive rates on real runs of one variant, where every difference is training noise.

    Each split draws two disjoint sets of `seeds` runs from `values` (N, U) and compares them as if they were two
    variants. Splits share runs: the interval is Wilson's at the number of independent splits that a
    jackknife over runs says these are worth, which lies between N // (2·seeds) and `splits`.

    Raises:
        UserError: fewer than 2·seeds runs, or an unknown test.
    """
    runs = len(values)
    if seeds < 2 or runs < 2 * seeds:
        raise UserError(
            f"{runs} runs do not make two disjoint sets of {seeds} seeds; give at least two seeds a side and "
            f"{2 * max(seeds, 2)} runs, better 40."
        )
    rng = np.random.default_rng(seed)
    chosen = np.zeros((splits, runs), dtype=bool)
    p = np.ones((len(tests), splits))
    missing = np.zeros(len(tests), dtype=int)
    for i in range(splits):
        drawn = rng.permutation(runs)[: 2 * seeds]
        chosen[i, drawn] = True
        a, b = values[drawn[:seeds]], values[drawn[seeds:]]
        m = moments(a, b)
        for j, test in enumerate(tests):
            found = run_test(test, a, b, m).p
            missing[j] += found is None
            p[j, i] = 1.0 if found is None else found
    table = []
    for j, test in enumerate(tests):
        for alpha in alphas:
            rejected = p[j] < alpha
            rate = float(rejected.mean())
            worth = min(max(_worth(rejected, chosen), runs // (2 * seeds)), splits)
            table.append(FalsePositives(test, alpha, rate, *_wilson(rate, worth), splits, int(missing[j])))
    return table


def _worth(rejected: NDArray[np.bool_], chosen: NDArray[np.bool_]) -> float:
    """Independent splits with the jackknife variance that leaving out one run after the other gives the rate."""
    rate, runs = float(rejected.mean()), chosen.shape[1]
    without = [rejected[~chosen[:, run]] for run in range(runs)]
    rates = np.array([x.mean() for x in without if len(x)])
    if len(rates) < runs:  # every split holds every run: nothing can be left out
        return 0.0
    variance = float((runs - 1) / runs * np.square(rates - rates.mean()).sum())
    return rate * (1 - rate) / variance if variance > 0 else 0.0


def _wilson(rate: float, n: float, z: float = 1.959963984540054) -> tuple[float, float]:
    """Wilson's score interval of a rate seen in n trials (E. B. Wilson, JASA, 1927)."""
    centre, spread = rate + z * z / (2 * n), z * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return max(0.0, float((centre - spread) / (1 + z * z / n))), float((centre + spread) / (1 + z * z / n))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the simulated level of every corner as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m bench.calibrate", description=main.__doc__)
    parser.add_argument("--simulate", action="store_true", required=True, help="simulate, as there is no data")
    parser.add_argument("--users", type=int, nargs="+", default=USERS)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--user-shares", type=float, nargs="+", default=USER_SHARES, help="S·σ_u²/σ_e²")
    parser.add_argument("--seed-shares", type=float, nargs="+", default=SEED_SHARES, help="U·σ_s²/σ_e²")
    parser.add_argument("--normal", type=int, default=20_000, help="replications with normal outcomes")
    parser.add_argument("--binary", type=int, default=1000, help="replications with binary outcomes")
    options = vars(parser.parse_args(arguments))
    options.pop("simulate")
    write = sys.stdout.write
    write("| outcome | users | seeds | user share | seed share | crossed | Satterthwaite | t | seeds-t |\n")
    write("|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
    for x in grid(**options):
        rates = " | ".join(f"{100 * r:.1f} %" for r in (x.crossed, x.satterthwaite, x.users_t, x.seeds_t))
        write(f"| {x.outcome} | {x.users} | {x.seeds} | {x.user_share:g} | {x.seed_share:g} | {rates} |\n")


if __name__ == "__main__":
    main()
