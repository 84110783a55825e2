"""How large a difference must be to be found, and how many seeds finding it takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.statistics.moments import Moments
from datasets.errors import UserError


@dataclass(frozen=True)
class Components:
    """Variance components of the paired differences d_su = μ + seed_s + user_u + rest_su.

    Attributes:
        users: variance of the users' effect: who prefers which of the two whatever the seed.
        seeds: variance of the seeds' effect: how much training alone moves the mean.
        rest: variance of everything else.
    """

    users: float
    seeds: float
    rest: float

    def mean_squares(self, users: int, seeds: int) -> tuple[float, float, float]:
        """Expected mean squares of users, seeds and rest for U users and S seeds."""
        return self.rest + seeds * self.users, self.rest + users * self.seeds, self.rest


def components(m: Moments) -> Components:
    """The components of a pilot by the method of moments; a negative estimate is zero.

    Raises:
        UserError: fewer than two seeds or users, which leaves the components mixed.
    """
    if m.seeds < 2 or m.users < 2:
        raise UserError(
            f"The pilot has {m.seeds} seed(s) and {m.users} user(s); two of each are the least that tell "
            "training noise from users; run it with 5 seeds."
        )
    return Components(
        users=max((m.ms_users - m.ms_error) / m.seeds, 0.0),
        seeds=max((m.ms_seeds - m.ms_error) / m.users, 0.0),
        rest=m.ms_error,
    )


def upper_seeds(m: Moments, confidence: float = 0.8) -> float:
    """An upper confidence limit of the seeds' variance: (MS_S·(S − 1)/χ²_{1−confidence, S−1} − MS_E)/U, or 0.

    The estimate of a pilot with few seeds is often far too low, and often 0; a plan on it would miss its power half
    the time or more, one on this limit in a share 1 − confidence of the pilots.

    Paper: R. H. Browne, Statistics in Medicine, 1995.
    """
    from scipy.special import chdtri

    largest = m.ms_seeds * (m.seeds - 1) / float(chdtri(m.seeds - 1, confidence))
    return max((largest - m.ms_error) / m.users, 0.0)


def detectable(c: Components, users: int, seeds: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest true difference that the default test finds with probability `power`.

    Each of its three tests rejects with the probability of a non-central t above t_{1−α/2}, scaled by the test's own
    standard error over the true one, at the expected mean squares and their degrees of freedom. The default test
    rejects only where all three do: the largest counts, as if they rejected together, which is an approximation.
    """
    from scipy.special import nctdtrinc, stdtrit

    ms_users, ms_seeds, ms_rest = c.mean_squares(users, seeds)
    n = users * seeds
    both = ms_users + ms_seeds - ms_rest
    parts = ms_users**2 / (users - 1) + ms_seeds**2 / (seeds - 1) + ms_rest**2 / ((users - 1) * (seeds - 1))
    if both == 0:
        return 0.0
    # Each test has its own estimate of the variance, but the mean varies as it does.
    true = float(np.sqrt(both / n))
    tests = ((both, both**2 / parts), (ms_users, users - 1), (ms_seeds, seeds - 1))
    bounds = ((stdtrit(df, 1 - alpha / 2) * np.sqrt(v / both), df) for v, df in tests)
    return max(float(nctdtrinc(df, 1 - power, bound)) * true for bound, df in bounds)


@dataclass(frozen=True)
class Plan:
    """What a wished difference needs.

    Attributes:
        difference: the wished difference.
        users: test users.
        seeds: fewest seeds that find it, or None where none do.
        floor: the smallest difference found with ever more seeds.
        sentence: the same in words.
    """

    difference: float
    users: int
    seeds: int | None
    floor: float
    sentence: str


def seeds_needed(
    c: Components,
    users: int,
    difference: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    most: int = 1000,
) -> Plan:
    """The fewest seeds, up to `most`, whose smallest detectable difference is at most the wished one.

    More seeds average out training noise and the rest, never the users: the test users are as many as they are.

    Raises:
        UserError: a wished difference that is not above 0.
    """
    if not difference > 0:
        raise UserError(f"The wished difference is {difference}; it must be above 0, e.g. 0.002.")
    from scipy.special import ndtri

    floor = float((ndtri(1 - alpha / 2) + ndtri(power)) * np.sqrt(c.users / users))
    wished = f"a difference of {difference:.4g} over {users} users with probability {power:.0%}"
    for seeds in range(2, most + 1):
        if detectable(c, users, seeds, alpha=alpha, power=power) <= difference:
            return Plan(difference, users, seeds, floor, f"{seeds} seeds find {wished}.")
    if difference <= floor:
        needed = int(np.ceil(users * (floor / difference) ** 2))
        reason = f"the users alone hide what is below {floor:.4g}; it takes about {needed} users or more"
    else:
        reason = f"even {most} seeds do not, though nothing forbids it from {floor:.4g} on"
    return Plan(difference, users, None, floor, f"No number of seeds finds {wished}: {reason}.")
