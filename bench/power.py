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
            "training noise from users; run it with --seeds 5."
        )
    return Components(
        users=max((m.ms_users - m.ms_error) / m.seeds, 0.0),
        seeds=max((m.ms_seeds - m.ms_error) / m.users, 0.0),
        rest=m.ms_error,
    )


def detectable(c: Components, users: int, seeds: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest true difference that the default test finds with probability `power`.

    For each of its three tests (t_{1−α/2} + t_{power})·√V at the expected mean squares and their degrees of
    freedom; the default test rejects only where all three do, so that the largest counts. An approximation: the
    central t stands for the non-central one, and the three tests are taken to reject together.
    """
    from scipy.special import stdtrit

    ms_users, ms_seeds, ms_rest = c.mean_squares(users, seeds)
    n = users * seeds
    both = ms_users + ms_seeds - ms_rest
    parts = ms_users**2 / (users - 1) + ms_seeds**2 / (seeds - 1) + ms_rest**2 / ((users - 1) * (seeds - 1))
    # Each test has its own estimate of the variance, but the mean varies as it does.
    true = np.sqrt(both / n)
    tests = ((both, both**2 / parts if parts else 1.0), (ms_users, users - 1), (ms_seeds, seeds - 1))
    return max(float(stdtrit(df, 1 - alpha / 2) * np.sqrt(v / n) + stdtrit(df, power) * true) for v, df in tests)


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
