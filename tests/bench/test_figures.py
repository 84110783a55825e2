import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text

from bench.comparison.compare import compare
from bench.comparison.nouns import Context, Row
from bench.statistics.across import average_ranks, cliques
from bench.tables import figures
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


def histories():
    rng = np.random.default_rng(0)
    return {name: [np.cumsum(rng.random(n)) for n in (5, 9, 7)] for name in ("u+bpr", "p+bpr")}


FIGURES = {
    "forest": lambda: figures.forest(comparison()),
    "curves": lambda: figures.curves(histories()),
    "heat_map": lambda: figures.heat_map(comparison()),
    "seconds": lambda: figures.accuracy_against_seconds(comparison()),
    "critical": lambda: figures.critical_difference(ranks()),
}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("suffix", [".svg", ".pdf", ".png"])
def test_every_figure_is_written_and_repeats_byte_for_byte(tmp_path, name, suffix):
    first = figures.save(FIGURES[name](), tmp_path / f"a{suffix}").read_bytes()
    again = figures.save(FIGURES[name](), tmp_path / f"b{suffix}").read_bytes()
    assert first == again
    assert len(first) > 1000
    assert first.startswith({".svg": b"<?xml", ".pdf": b"%PDF", ".png": b"\x89PNG"}[suffix])


def drawn_forest(c):
    """Label → (lo, hi, difference, filled), from the top down."""
    axes = figures.forest(c).axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    lines = axes.lines[1:]
    found = {}
    for label, interval, point in zip(labels, lines[::2], lines[1::2], strict=True):
        filled = point.get_markerfacecolor() == figures.COLORS[0]
        found[label] = (*interval.get_xdata(), point.get_xdata()[0], filled)
    return dict(reversed(found.items()))


def test_forest_sorts_pairs_and_fills_the_point_of_an_interval_that_leaves_zero_out():
    c = comparison()
    drawn = drawn_forest(c)
    differences = [difference for _, _, difference, _ in drawn.values()]
    assert differences == sorted(differences, reverse=True)
    assert min(differences) >= 0  # better − worse
    for pair in (p for p in c.pairs if p.metric == "ndcg@10"):
        side = 1 if pair.difference >= 0 else -1
        a, b = (pair.a, pair.b)[::side]
        lo, hi, difference, filled = drawn[f"{a} − {b}"]
        np.testing.assert_allclose((lo, hi), sorted((side * pair.lo_family, side * pair.hi_family)))
        np.testing.assert_allclose(difference, side * pair.difference)
        assert filled == (lo > 0 or hi < 0)
    assert {filled for *_, filled in drawn.values()} == {True, False}


def test_forest_keeps_the_sign_beside_a_baseline_and_stars_what_holm_finds_beyond_the_intervals():
    c = comparison(baseline="u+bce")
    assert all(label.endswith(" − u+bce") for label in drawn_forest(c))
    pair = next(p for p in c.pairs if p.metric == "ndcg@10")
    beyond = replace(pair, lo_family=-0.1, hi_family=0.2, p_adjusted=0.04)
    shown = replace(c, pairs=(beyond, *(p for p in c.pairs if p is not pair)))
    assert drawn_forest(shown)[f"{pair.a} − {pair.b} *"][3] is False


def test_forest_of_many_rows_has_the_pairs_with_the_best():
    rows = [row(f"s{i}", "bpr", 0.01 * i, i + 1) for i in range(12)]
    c = compare(rows, context=Context("toy"))
    drawn = drawn_forest(c)
    best = max(c.rows, key=lambda r: r.metrics["ndcg@10"].mean()).name
    assert len(drawn) == 11
    assert all(label.startswith(f"{best} − ") for label in drawn)
    assert "over 66 pairs together" in figures.forest(c).axes[0].get_xlabel()


def test_forest_without_intervals_says_so():
    with pytest.raises(UserError, match="no paired difference with an interval"):
        figures.forest(comparison(test="wilcoxon"))


def test_curves_keep_the_last_value_of_a_seed_that_stopped():
    figure = figures.curves({"u": [np.array([1.0, 2.0]), np.array([3.0, 4.0, 8.0])]})
    all_seeds, stopped = figure.axes[0].lines
    np.testing.assert_allclose(all_seeds.get_xydata(), [[1, 2.0], [2, 3.0]])
    np.testing.assert_allclose(stopped.get_xydata(), [[2, 3.0], [3, 5.0]])
    assert stopped.get_linestyle() != all_seeds.get_linestyle() == "-"
    assert "stopped seeds keep their last value" in figure._supxlabel.get_text()
    same = figures.curves({"u": [np.array([1.0, 2.0]), np.array([3.0, 4.0])]})
    assert "stopped" not in same._supxlabel.get_text()


def test_curves_have_a_panel_per_row_with_the_others_behind():
    figure = figures.curves({f"r{i}": [np.array([1.0, 2.0, 3.0]) + i] for i in range(9)})
    shown = [panel for panel in figure.axes if panel.get_visible()]
    assert [panel.get_title() for panel in shown] == [f"r{i}" for i in range(9)]
    assert all(len(panel.lines) == 8 + 2 for panel in shown)


def test_names_of_the_cost_figure_do_not_overlap():
    rows = [row(f"s{i}", "bpr", 0.001 * i, 1, train_seconds=10 + 0.01 * i) for i in range(30)]
    figure = figures.accuracy_against_seconds(compare(rows, context=Context("toy")))
    figure.draw_without_rendering()
    boxes = sorted((Text.get_window_extent(t) for t in figure.axes[0].texts), key=lambda box: box.y0)
    assert len(boxes) == 30
    assert all(below.y1 <= above.y0 + 1 for below, above in pairwise(boxes))
    assert figure.axes[0].get_xscale() == "linear"


def test_seconds_far_apart_have_ticks_that_can_be_read():
    rows = [row(f"s{i}", "bpr", 0.001 * i, 1, train_seconds=4.0 * 3**i) for i in range(4)]
    axes = figures.accuracy_against_seconds(compare(rows, context=Context("toy"))).axes[0]
    lo, hi = axes.get_xlim()
    ticks = [t.get_text() for x, t in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True) if lo <= x <= hi]
    assert ticks == ["5", "10", "20", "50", "100"]


def test_rows_beyond_the_colours_differ_in_line_and_marker():
    styles = [figures.style(i) for i in range(35)]
    assert len({(color, str(line)) for color, _, line in styles}) == 35
    assert len({(color, marker) for color, marker, _ in styles}) == 35


def test_heat_map_shows_means_and_gaps():
    c = comparison()
    axes = figures.heat_map(c).axes[0]
    image = np.asarray(axes.images[0].get_array().filled(np.nan))
    means = [v["ndcg@10"].mean for v in c.values]
    words = [f"{v['ndcg@10'].mean:.4f}\n±{v['ndcg@10'].hi - v['ndcg@10'].mean:.4f}" for v in c.values[:3]]
    np.testing.assert_allclose(image, [[means[0], means[1]], [means[2], np.nan]])
    assert sorted(t.get_text() for t in axes.texts) == sorted([*words, "–"])
    two = compare([row("u", "bpr", 0, 1), row("u", "bce", 0, 2, model="gmf")], context=Context("toy"))
    with pytest.raises(UserError, match="rows of one model"):
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
        assert axes.get_xlim()[0] > min(s.min() for s in runs) - 0.1
        assert (y[0], y[-1]) == (1, 0)
        np.testing.assert_allclose(y, [(scores > threshold).mean() for threshold in x])


def test_colors_differ_in_grey_between_neighbours():
    grey = [np.dot([int(c[i : i + 2], 16) for i in (1, 3, 5)], (0.299, 0.587, 0.114)) for c in figures.COLORS]
    assert min(abs(a - b) for a, b in pairwise(grey)) > 15
    assert len(set(figures.COLORS)) == 7


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"not '\.gif'"):
        figures.save(FIGURES["forest"](), tmp_path / "a.gif")


def test_importing_figures_does_not_import_matplotlib():
    code = "import sys, bench.tables.figures; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)
