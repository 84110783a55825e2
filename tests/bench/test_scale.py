"""The cost model finds coefficients that are there, and the simulation agrees with arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from bench.pages.scale import fit, predict, simulate


def test_the_fit_finds_the_coefficients_of_exact_data() -> None:
    rng = np.random.default_rng(0)
    counts = [{"a": 1.0, "b": 10 ** rng.uniform(2, 6), "c": 10 ** rng.uniform(3, 8)} for _ in range(30)]
    truth = np.array([0.5, 2e-4, 3e-7])
    found = fit(counts, predict(counts, truth))
    np.testing.assert_allclose(found, truth, rtol=1e-6)


@pytest.mark.parametrize("workers", [1, 3, 50])
def test_equal_cells_take_whole_rounds(workers: int) -> None:
    assert simulate([2.0] * 100, workers, 0.0) == pytest.approx(2.0 * np.ceil(100 / workers))


def test_a_client_that_is_always_asked_decides() -> None:
    assert simulate([0.001] * 1000, 256, 0.02) == pytest.approx(1000 * 0.02 + 0.001)


def test_no_schedule_beats_the_work_or_the_longest_cell() -> None:
    cells = np.random.default_rng(1).exponential(5, 500)
    wall = simulate(cells.tolist(), 16, 0.01)
    assert max(cells.sum() / 16, cells.max()) <= wall <= cells.sum() / 16 + cells.max() + 500 * 0.01
