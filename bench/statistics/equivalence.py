"""Is the difference too small to matter? Two one-sided tests, and the probability of the region that does not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bench.statistics.crossed import crossed, crossed_tests, users_t
from bench.statistics.moments import Moments


@dataclass(frozen=True)
class Equivalence:
    """What the data say of |difference| < margin.

    Attributes:
        margin: half width of the region of practical equivalence.
        p: p value of the two one-sided tests; small means shown to be equivalent, 0 for methods that are identical.
            None where the crossed test has none.
        below: posterior probability of a difference under −margin.
        inside: of one within the region.
        above: of one over +margin.
    """

    margin: float
    p: float | None
    below: float | None
    inside: float | None
    above: float | None


def equivalence(m: Moments, margin: float) -> Equivalence:
    """TOST and region of practical equivalence of the mean difference in `m`, by the crossed test.

    p is the larger of the one-sided p of "mean > −margin" and "mean < margin". The probabilities are those of a
    flat prior, where (mean − difference)/√V is t distributed: of the three tests the one with the widest interval.

    Paper: D. Schuirmann, J. Pharmacokinetics and Biopharmaceutics, 1987; J. Kruschke, AMPPS, 2018.
    """
    over = crossed(replace(m, mean=m.mean + margin), alternative="greater").p
    under = crossed(replace(m, mean=m.mean - margin), alternative="less").p
    if over is None or under is None:
        return Equivalence(margin, None, None, None, None)
    below, above = 1 - _posterior(m, -margin), _posterior(m, margin)
    return Equivalence(margin, max(over, under), below, 1 - below - above, above)


def _posterior(m: Moments, bound: float) -> float:
    """Probability that the difference exceeds `bound`."""
    shifted = replace(m, mean=m.mean - bound)
    if m.ms_users + m.ms_seeds == 0:
        return float(np.heaviside(shifted.mean, 0.5))
    if m.seeds == 1:
        p = users_t(shifted, alternative="less").p
        return 0.5 if p is None else p
    tests = crossed_tests(shifted.mean, m.ms_users, m.ms_seeds, m.ms_error, m.users, m.seeds, alternative="less")
    return float(max(tests.values(), key=lambda test: float(np.asarray(test[1])))[0])
