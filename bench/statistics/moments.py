"""Mean squares of a seeds × users table, the only pass the default test makes over the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Per-user metrics are sums of a few terms in [0, 1]: what is below this is rounding, not a difference.
ROUNDING = 1e-12
_CHUNK = 8192  # users per step: ten seeds of a chunk stay in the cache of one core


@dataclass(frozen=True)
class Moments:
    """What the two-way analysis of variance of x (S, U), seeds × users, leaves behind.

    Attributes:
        mean: grand mean.
        ms_users: S·Σ_u (x̄_u − x̄)² / (U − 1); 0 with one user.
        ms_seeds: U·Σ_s (x̄_s − x̄)² / (S − 1); 0 with one seed.
        ms_error: Σ (x_su − x̄_u − x̄_s + x̄)² / ((U − 1)(S − 1)); 0 with one user or one seed.
        users: U.
        seeds: S.
        positive: users whose mean over seeds is above zero.
        negative: users whose mean over seeds is below zero.
    """

    mean: float
    ms_users: float
    ms_seeds: float
    ms_error: float
    users: int
    seeds: int
    positive: int
    negative: int

    @property
    def sd_users(self) -> float:
        """Standard deviation over users of the users' means over seeds."""
        return float(np.sqrt(self.ms_users / self.seeds))

    @property
    def sd_single(self) -> float:
        """Standard deviation of a single x_su, √(σ_u² + σ_s² + σ_e²) of the variance components, whatever S and U are.

        The estimate under the root, MS_U/S + MS_S/U + MS_E·(1 − 1/S − 1/U), is unbiased; with one seed σ_s² is missing.
        """
        rest = self.ms_error * (1 - 1 / self.seeds - 1 / self.users)
        return float(np.sqrt(self.ms_users / self.seeds + self.ms_seeds / self.users + rest))

    @property
    def sd_seeds(self) -> float:
        """Standard deviation over seeds of the seeds' means over users."""
        return float(np.sqrt(self.ms_seeds / self.users))


def moments(a: FloatArray, b: FloatArray | None = None) -> Moments:
    """The moments of a − b, both (S, U), or of a alone, in one pass that never holds all differences."""
    seeds, users = a.shape
    user_means = np.empty(users)
    seed_sums, squares = np.zeros(seeds), 0.0
    for start in range(0, users, _CHUNK):
        x = a[:, start : start + _CHUNK]
        if b is not None:
            x = x - b[:, start : start + _CHUNK]
        np.mean(x, axis=0, out=user_means[start : start + _CHUNK])
        seed_sums += x.sum(axis=1)
        squares += float(np.einsum("su,su->", x, x))
    mean = float(seed_sums.sum()) / (seeds * users)
    total = squares - seeds * users * mean**2
    between_users = seeds * float(np.square(user_means - mean).sum())
    between_seeds = users * float(np.square(seed_sums / users - mean).sum())
    # What is left of a constant table after rounding must come out as zero, or it would look significant.
    floor = seeds * users * ROUNDING**2 * max(1.0, mean**2)
    rest = _zero_below(total - between_users - between_seeds, max(floor, 1e-14 * squares))
    return Moments(
        mean=mean if abs(mean) > ROUNDING else 0.0,
        ms_users=_zero_below(between_users, floor) / max(users - 1, 1),
        ms_seeds=_zero_below(between_seeds, floor) / max(seeds - 1, 1),
        ms_error=rest / max((users - 1) * (seeds - 1), 1) if users > 1 and seeds > 1 else 0.0,
        users=users,
        seeds=seeds,
        positive=int((user_means > ROUNDING).sum()),
        negative=int((user_means < -ROUNDING).sum()),
    )


def _zero_below(value: float, floor: float) -> float:
    return value if value > floor else 0.0
