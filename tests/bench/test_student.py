"""Student's t equals scipy's, one number at a time."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import stdtr, stdtrit

from bench.statistics.student import below, quantile

DEGREES = (1, 1.7, 2, 3.5, 4, 9, 29.5, 59, 61, 200, 942.3, 6039, 1e5, 3e6)


@pytest.mark.parametrize("df", DEGREES)
def test_probabilities_equal_scipys(df: float) -> None:
    for t in (-40, -12.7, -4.3, -1.96, -1.2, -0.3, -1e-6, 0, 1e-3, 0.7, 2.1, 8):
        np.testing.assert_allclose(below(df, t), stdtr(df, t), rtol=1e-10, atol=1e-300)


@pytest.mark.parametrize("df", DEGREES)
def test_quantiles_equal_scipys(df: float) -> None:
    for p in (1e-4, 0.025, 0.3, 0.5, 0.6, 0.9, 0.975, 0.995, 1 - 0.05 / 72, 1 - 1e-7):
        np.testing.assert_allclose(quantile(df, p), stdtrit(df, p), rtol=1e-10, atol=1e-15)


def test_what_has_no_number_has_none() -> None:
    assert np.isnan(below(5, np.nan))
    assert (below(5, np.inf), below(5, -np.inf)) == (1, 0)
    assert np.isnan(quantile(5, 2))
    assert quantile(np.array([3.0, 4.0]), 0.975).tolist() == stdtrit([3.0, 4.0], 0.975).tolist()
