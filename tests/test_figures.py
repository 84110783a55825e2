import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bench import figures
from bench.comparison import Context, Row, compare
from bench.statistics.across import average_ranks, cliques
from datasets.errors import UserError


def row(sampler, loss, shift, seed, **changes):
    rng = np.random.default_rng(seed)
    values = shift + np.random.default_rng(9).random((1, 40)) + 0.3 * rng.random((5, 40))
    name = f"{sampler}+{loss}"
    runs = tuple(f"{name}-{s}" for s in range(5))
    metrics = {"ndcg@10": values, "hr@10": values / 2}
    made = Row(name, sampler, loss, "mf", tuple(range(5)), np.arange(40), metrics, {}, 1.0 + seed, 9, runs)
    return replace(made, **changes)


def comparison(**options):
    rows = [row("u", "bpr", 0, 1), row("u", "bce", 0.01, 2), row("p", "bpr", 0.4, 3), row("p", "bce", 0.1, 4)]
    rows[3] = replace(rows[3], failed=("1 of 5 failed",))
    return compare(rows, context=Context("toy"), **options)


def ranks():
    scores = np.random.default_rng(0).random((8, 5)) + np.array([0, 0.1, 0.5, 0.9, 0.95])
    return average_ranks(["a", "b", "c", "d", "e"], scores)


def all_figures():
    rng = np.random.default_rng(0)
    histories = {name: [np.cumsum(rng.random(n)) for n in (5, 9, 7)] for name in ("u+bpr", "p+bpr")}
    return {
        "forest": figures.forest(comparison()),
        "curves": figures.curves(histories),
        "heat_map": figures.heat_map(comparison()),
        "seconds": figures.accuracy_against_seconds(comparison()),
        "critical": figures.critical_difference(ranks()),
    }


@pytest.mark.parametrize("name", ["forest", "curves", "heat_map", "seconds", "critical"])
@pytest.mark.parametrize("suffix", [".svg", ".pdf", ".png"])
def test_every_figure_is_written_and_repeats_byte_for_byte(tmp_path, name, suffix):
    first = figures.save(all_figures()[name], tmp_path / f"a{suffix}").read_bytes()
    again = figures.save(all_figures()[name], tmp_path / f"b{suffix}").read_bytes()
    assert first == again
    assert len(first) > 1000
    assert first.startswith({".svg": b"<?xml", ".pdf": b"%PDF", ".png": b"\x89PNG"}[suffix])


def test_forest_draws_the_intervals_and_fills_what_differs():
    c = comparison()
    axes = figures.forest(c).axes[0]
    pairs = [p for p in c.pairs if p.metric == "ndcg@10"][::-1]
    lines = axes.lines[1:]
    for pair, interval, point in zip(pairs, lines[::2], lines[1::2], strict=True):
        np.testing.assert_allclose(interval.get_xdata(), [pair.lo, pair.hi])
        np.testing.assert_allclose(point.get_xdata(), [pair.difference])
        assert (point.get_markerfacecolor() == figures.COLORS[0]) == (pair.p_adjusted < 0.05)
    assert {point.get_markerfacecolor() for point in lines[1::2]} == {figures.COLORS[0], "white"}
    assert axes.get_yticklabels()[-1].get_text() == "u+bpr − u+bce"


def test_forest_without_intervals_says_so():
    with pytest.raises(UserError, match="no paired difference with an interval"):
        figures.forest(comparison(test="wilcoxon"))


def test_curves_keep_the_last_value_of_a_seed_that_stopped():
    axes = figures.curves({"u": [np.array([1.0, 2.0]), np.array([3.0, 4.0, 8.0])]}).axes[0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [2.0, 3.0, 5.0])


def test_heat_map_shows_means_and_gaps():
    c = comparison()
    axes = figures.heat_map(c).axes[0]
    image = np.asarray(axes.images[0].get_array().filled(np.nan))
    means = [v["ndcg@10"].mean for v in c.values]
    np.testing.assert_allclose(image, [[means[0], means[1]], [means[2], np.nan]])
    assert sorted(t.get_text() for t in axes.texts) == sorted([*(f"{m:.4f}" for m in means[:3]), "–"])
    two = compare([row("u", "bpr", 0, 1), row("u", "bce", 0, 2, model="gmf")], context=Context("toy"))
    with pytest.raises(UserError, match="one --model"):
        figures.heat_map(two)


def test_critical_difference_joins_what_does_not_differ():
    r = ranks()
    axes = figures.critical_difference(r).axes[0]
    bars = [line for line in axes.lines if line.get_label() == "clique"]
    assert len(bars) == len(cliques(r)) > 0
    for bar, members in zip(bars, cliques(r), strict=True):
        lo, hi = bar.get_xdata()
        np.testing.assert_allclose((lo + 0.03, hi - 0.03), (r.ranks[members[0]], r.ranks[members[-1]]))
    assert all(any(name in t.get_text() for t in axes.texts) for name in r.names)


def test_profile_falls_from_all_runs_to_none_through_the_share_above_each_score():
    runs = [np.random.default_rng(seed).random((5, 4)) for seed in (0, 1)]
    axes = figures.profile(("a", "b"), runs, "the mean of a").axes[0]
    assert [line.get_label() for line in axes.lines] == ["a", "b"]
    for line, scores in zip(axes.lines, runs, strict=True):
        x, y = line.get_data()
        assert (y[0], y[-1]) == (1, 0)
        np.testing.assert_allclose(y, [(scores > threshold).mean() for threshold in x])


def test_colors_differ_in_grey_between_neighbours():
    grey = [np.dot([int(c[i : i + 2], 16) for i in (1, 3, 5)], (0.299, 0.587, 0.114)) for c in figures.COLORS]
    assert min(abs(a - b) for a, b in pairwise(grey)) > 15
    assert len(set(figures.COLORS)) == 7


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"not '\.gif'"):
        figures.save(all_figures()["forest"], tmp_path / "a.gif")


def test_importing_figures_does_not_import_matplotlib():
    code = "import sys, bench.figures; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], check=True)
