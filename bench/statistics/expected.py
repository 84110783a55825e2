"""What a test is blind to, how often it then rejects true nulls, and how few seeds are too few."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.statistics.moments import Moments
from bench.statistics.student import below, quantile

BLIND = {
    **dict.fromkeys(("t", "wilcoxon", "permutation", "bootstrap-users"), "training noise"),
    **dict.fromkeys(("seeds-t", "bootstrap-seeds"), "the choice of users"),
}
# The fewest seeds with which a bootstrap rejects at most 10 % of true nulls at α = 5 % where it is blind to nothing
# that varies (docs/statistics.md, table of bootstraps).
LEAST_SEEDS = {"bootstrap": 8, "bootstrap-seeds": 10}
FEW_SEEDS = 5


def expected_level(test: str, found: Sequence[Moments], alpha: float) -> float | None:
    """How often a blind test rejects a true null where variances are as in `found`; None where they cannot be told.

    A t over users divides the mean by √(MS_U/US), but the mean varies by √((MS_U + MS_S − MS_E)/US). With ρ the ratio
    of the two variances, each summed over the pairs, it rejects with probability 2·P(t_{U−1} < −t_{1−α/2}/√ρ): exact
    for normal effects. Seeds in place of users for `seeds-t`; ranks, signs and bootstraps go as the t of their level.
    """
    known = [m for m in found if m.seeds > 1 and m.users > 1]
    over_users = BLIND[test] == "training noise"
    own = sum(m.ms_users if over_users else m.ms_seeds for m in known)
    if not own > 0:
        return None
    ratio = max(1.0, sum(m.ms_users + m.ms_seeds - m.ms_error for m in known) / own)
    df = min(m.users if over_users else m.seeds for m in known) - 1
    return float(2 * below(df, -quantile(df, 1 - alpha / 2) / np.sqrt(ratio)))


def blindness(test: str, found: Sequence[Moments], metric: str, alpha: float) -> str:
    """A sentence on what `test` does not see in these pairs of one metric, or "" for a test that sees both factors."""
    if test not in BLIND or not found:
        return ""
    level = expected_level(test, found, alpha)
    at = "how much, one seed cannot tell" if level is None else f"{100 * level:.2g} % of true nulls at α = {alpha:g}"
    rejects = "" if level is None else "at the variances of this table it rejects about "
    return f"The test {test} is blind to {BLIND[test]}: {rejects}{at} ({metric}); crossed sees users and seeds."


def low_power(test: str, seeds: int, pairs: int, alpha: float, sides: int = 2) -> str:
    """A sentence where two to four seeds leave a test over seeds little power, else ""."""
    if test not in ("crossed", "crossed-pooled", "seeds-t") or not 1 < seeds < FEW_SEEDS or not pairs:
        return ""
    alone, family = (float(quantile(seeds - 1, 1 - alpha / sides / m)) for m in (1, pairs))
    after = f", {family:.1f} for the smallest p of {pairs} pairs" if pairs > 1 else ""
    t = "|t|" if sides == 2 else "t"
    return (
        f"The power is low with {seeds} seeds: over them {t} must exceed {alone:.1f} at α = {alpha:g}{after}; "
        "give 5 seeds, better 10."
    )
