"""Figures of a comparison: colour-blind safe, told apart by marker or line where printed in grey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.comparison.nouns import Comparison
from bench.statistics.across import Ranks, cliques, performance_profile
from bench.statistics.moments import FloatArray
from bench.tables.layout import ends, family, joint, level_of, metric_name, plural
from datasets.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# M. Okabe and K. Ito's palette without its yellow, which vanishes on white; ordered so that grey levels alternate.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
MARKERS = "osD^vPX*"
LINES = ("-", "--", "-.", ":", (0, (4, 1, 1, 1, 1, 1)))
MOST_PAIRS = 45  # more are drawn against one row only
SUFFIXES = (".svg", ".pdf", ".png")


def save(figure: Figure, path: Path | str) -> Path:
    """Write the figure as `.svg`, `.pdf` or `.png`; the same figure gives the same bytes.

    Raises:
        UserError: another ending.
    """
    import matplotlib as mpl

    path = drawable(Path(path))
    dateless = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {}}[path.suffix]
    with mpl.rc_context({"svg.hashsalt": "contrarec", "svg.fonttype": "none", "pdf.fonttype": 42}):
        figure.savefig(path, dpi=200, bbox_inches="tight", metadata=dateless)
    return path


def drawable(path: Path) -> Path:
    """The path of a figure.

    Raises:
        UserError: its ending is none that a figure is written as.
    """
    if path.suffix not in SUFFIXES:
        raise UserError(f"A figure is written as {', '.join(SUFFIXES)}, not '{path.suffix}'; name one of these.")
    return path


def forest(c: Comparison, metric: str | None = None) -> Figure:
    """Pairs of one metric from the largest difference down, with the intervals that a table shows beside them.

    Intervals hold together where the family has several pairs and is corrected; a point is filled where its interval
    leaves 0 out, and a star marks what the corrected p finds beside that. All pairs are drawn, better − worse, or rows
    − baseline; of more than `MOST_PAIRS` those with the best row, their intervals still over the whole family.

    Raises:
        UserError: the comparison has no pair with an interval.
    """
    metric = metric or c.metric
    lines = _forest_lines(c, metric)
    if not lines:
        raise UserError("There is no paired difference with an interval to draw; compare two rows by test crossed.")
    figure, axes = _figure(6.5, 1.0 + 0.2 * len(lines))
    axes.axvline(0, color="0.5", linewidth=0.8)
    for y, (_, difference, lo, hi) in enumerate(reversed(lines)):
        apart = lo > 0 or hi < 0
        axes.plot([lo, hi], [y, y], color=COLORS[0], linewidth=1.4, solid_capstyle="butt")
        axes.plot(
            [difference], [y], "o", color=COLORS[0], markerfacecolor=COLORS[0] if apart else "white", markersize=5
        )
    axes.set_ylim(-0.6, len(lines) - 0.4)
    axes.set_yticks(range(len(lines)), [name for name, *_ in reversed(lines)], fontsize=8)
    over = f", over {plural(family(c), 'pair')} together" if joint(c) else ""
    starred = f"; *: p < {c.alpha:g} ({c.correction})" if any(name.endswith(" *") for name, *_ in lines) else ""
    axes.set_xlabel(
        f"difference in {metric_name(metric)}\n{level_of(c.alpha)} interval{over} (filled: without 0{starred})"
    )
    return figure


def _forest_lines(c: Comparison, metric: str) -> list[tuple[str, float, float, float]]:
    """Name, difference and interval of every pair to draw, the largest first."""
    found = []
    pairs = [pair for pair in c.pairs if pair.metric == metric and pair.lo is not None]
    if not pairs:
        return []
    best = max((v[metric].mean, row.name) for row, v in zip(c.rows, c.values, strict=True) if not row.failed)[1]
    many = len(pairs) > MOST_PAIRS and c.baseline is None
    for pair in pairs:
        lo, hi = ends(c, pair)
        if lo is None or hi is None or (many and best not in (pair.a, pair.b)):
            continue
        difference, a, b = pair.difference, pair.a, pair.b
        if c.baseline is None and c.alternative == "two-sided" and difference < 0:
            difference, lo, hi, a, b = -difference, -hi, -lo, b, a
        beyond = pair.p_adjusted is not None and pair.p_adjusted < c.alpha and lo <= 0 <= hi
        found.append((f"{a} − {b}{' *' if beyond else ''}", difference, lo, hi))
    return sorted(found, key=lambda line: -line[1])


def curves(histories: Mapping[str, Sequence[FloatArray]], metric: str = "ndcg@10") -> Figure:
    """Validation metric over epochs, a panel per row: mean over seeds, from the lowest to the highest as a band.

    Every panel has the means of the other rows in grey. From the epoch on where the first seed has stopped, the mean is
    dashed: a seed that stopped early keeps its last value, so that the mean stays one over all seeds.

    Args:
        histories: row → one array per seed, the metric after each epoch.
        metric: what the values are.
    """
    figure, panels = multiples([*histories])
    tables = {name: padded(seeds) for name, seeds in histories.items()}
    for panel, (name, seeds) in zip(panels, histories.items(), strict=True):
        for other, table in tables.items():
            if other != name:
                panel.plot(range(1, table.shape[1] + 1), table.mean(axis=0), color="0.85", linewidth=0.6, zorder=1)
        table, epochs = tables[name], np.arange(1, tables[name].shape[1] + 1)
        mean, stop = table.mean(axis=0), min(len(values) for values in seeds)
        panel.fill_between(epochs, table.min(axis=0), table.max(axis=0), color=COLORS[0], alpha=0.25, linewidth=0)
        panel.plot(epochs[:stop], mean[:stop], color=COLORS[0], linewidth=1.4, label=name)
        panel.plot(epochs[stop - 1 :], mean[stop - 1 :], color=COLORS[0], linewidth=1.2, linestyle=(0, (2, 1)))
    uneven = any(len({len(values) for values in seeds}) > 1 for seeds in histories.values())
    band = " (band: all seeds" + ("; dashed: stopped seeds keep their last value)" if uneven else ")")
    figure.supxlabel(f"epoch{band}", fontsize=9)
    figure.supylabel(f"validation {metric_name(metric)}", fontsize=9)
    return figure


def padded(seeds: Sequence[FloatArray]) -> FloatArray:
    """(S, E): every seed over the epochs of the longest, its last value kept."""
    length = max(len(values) for values in seeds)
    return np.array([np.pad(values, (0, length - len(values)), mode="edge") for values in seeds])


def heat_map(c: Comparison, metric: str | None = None) -> Figure:
    """Samplers down, losses across: the mean ± half its interval in every cell, – where there is none.

    Raises:
        UserError: no row has a sampler and a loss, or the rows are of several models.
    """
    metric = metric or c.metric
    cells = [(row, v[metric]) for row, v in zip(c.rows, c.values, strict=True) if row.sampler and row.loss]
    if not cells or len({row.model for row, _ in cells}) > 1:
        raise UserError("A heat map shows samplers × losses of one model; choose rows of one model.")
    samplers = list(dict.fromkeys(row.sampler for row, _ in cells))
    losses = list(dict.fromkeys(row.loss for row, _ in cells))
    table, spread = (np.full((len(samplers), len(losses)), np.nan) for _ in range(2))
    for row, value in cells:
        if not row.failed:
            place = samplers.index(row.sampler), losses.index(row.loss)
            table[place] = value.mean
            spread[place] = np.nan if value.hi is None else value.hi - value.mean
    figure, axes = _figure(2.0 + 0.95 * len(losses), 1.0 + 0.5 * len(samplers))
    axes.set_facecolor("0.93")
    image = axes.imshow(table, cmap="cividis", aspect="auto")
    middle = float(np.nanmean([np.nanmin(table), np.nanmax(table)])) if np.isfinite(table).any() else 0.0
    for (i, j), value in np.ndenumerate(table):
        if np.isfinite(value):
            words = f"{value:.4f}" + (f"\n±{spread[i, j]:.4f}" if np.isfinite(spread[i, j]) else "")
            axes.text(j, i, words, ha="center", va="center", color="black" if value > middle else "white", fontsize=8)
        else:
            axes.text(j, i, "–", ha="center", va="center", color="0.4")
    axes.set_xticks(range(len(losses)), losses, rotation=30, ha="right")
    axes.set_yticks(range(len(samplers)), samplers)
    figure.colorbar(image, ax=axes, label=metric_name(metric))
    axes.set_title(f"± half the {level_of(c.alpha)} interval of each cell", fontsize=8)
    return figure


def accuracy_against_seconds(c: Comparison, metric: str | None = None) -> Figure:
    """One point per row with its interval over training seconds; names on the right, each with a line to its point.

    The axis of seconds is logarithmic where the slowest row takes more than five times as long as the fastest.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    metric = metric or c.metric
    shown = [(row, v[metric]) for row, v in zip(c.rows, c.values, strict=True) if not row.failed]
    shown.sort(key=lambda pair: pair[1].mean)
    figure, axes = _figure(6.5, max(3.6, 0.7 + 0.17 * len(shown)))
    for i, (row, value) in enumerate(shown):
        color, marker, _ = style(i)
        half = 0.0 if value.hi is None else value.hi - value.mean
        axes.errorbar([row.train_seconds], [value.mean], [half], color=color, marker=marker, capsize=2, linewidth=0.9)
    seconds = [row.train_seconds for row, _ in shown]
    if min(seconds) > 0 and max(seconds) > 5 * min(seconds):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(0.8 * min(seconds), 1.1 * (max(seconds) or 1))  # near times stay near
    bottom, top = axes.get_ylim()
    wanted = [(value.mean - bottom) / (top - bottom) for _, value in shown]
    heights = _apart(wanted, 0.17 / (0.77 * figure.get_figheight()))
    leader = {"arrowstyle": "-", "color": "0.75", "linewidth": 0.5, "relpos": (0, 0.5), "shrinkA": 2, "shrinkB": 3}
    for i, ((row, value), height) in enumerate(zip(shown, heights, strict=True)):
        axes.annotate(
            row.name,
            (row.train_seconds, value.mean),
            (1.04, height),
            textcoords="axes fraction",
            fontsize=7,
            va="center",
            color=style(i)[0],
            arrowprops=leader,
        )
    axes.set_xlabel("training seconds per run")
    axes.set_ylabel(f"{metric_name(metric)}, {level_of(c.alpha)} interval")
    return figure


def _apart(wanted: Sequence[float], gap: float) -> list[float]:
    """Ascending heights near the wanted ones, at least `gap` apart, between 0 and 1 where they have room there."""
    heights: list[float] = []
    for height in wanted:
        heights.append(max(height, heights[-1] + gap) if heights else height)
    limit = 1.0
    for i in reversed(range(len(heights))):
        heights[i] = min(heights[i], limit)
        limit = heights[i] - gap
    return heights


def critical_difference(ranks: Ranks) -> Figure:
    """Average ranks on a line, best on the left; a bar joins methods within the critical difference.

    Paper: J. Demšar, JMLR, 2006.
    """
    k = len(ranks.names)
    order = sorted(range(k), key=lambda i: ranks.ranks[i])
    half, bars = (k + 1) // 2, cliques(ranks)
    figure, axes = _figure(6.5, 1.2 + 0.25 * half + 0.12 * len(bars))
    axes.plot([1, k], [0, 0], color="black", linewidth=1)
    for rank in range(1, k + 1):
        axes.plot([rank, rank], [0, 0.15], color="black", linewidth=1)
        axes.text(rank, 0.25, str(rank), ha="center", va="bottom", fontsize=8)
    for level, bar in enumerate(bars):
        y = -0.25 - 0.2 * level
        ends = [ranks.ranks[bar[0]] - 0.03, ranks.ranks[bar[-1]] + 0.03]
        axes.plot(ends, [y, y], color="black", linewidth=3, solid_capstyle="butt", label="clique")
    below = 0.3 + 0.2 * len(bars)
    for place, i in enumerate(order):
        left = place < half
        y = -below - 0.35 * (place if left else k - 1 - place)
        edge = 0.8 if left else k + 0.2
        axes.plot([ranks.ranks[i], ranks.ranks[i], edge], [0, y, y], color="0.3", linewidth=0.8)
        words = f"{ranks.names[i]} ({ranks.ranks[i]:.2f})"
        axes.text(
            edge, y, f"{words} " if left else f" {words}", ha="right" if left else "left", va="center", fontsize=8
        )
    axes.plot([1, 1 + ranks.critical], [0.85, 0.85], color=COLORS[0], linewidth=2)
    words = f"critical difference {ranks.critical:.2f} (α = {ranks.alpha:g}, {ranks.datasets} data sets)"
    axes.text(1, 0.95, f"{words}{'; too few' if ranks.warning else ''}", fontsize=8, va="bottom")
    axes.set_axis_off()
    return figure


def profile(names: Sequence[str], runs: Sequence[FloatArray], unit: str) -> Figure:
    """One curve per method: the share of its runs, (seeds, data sets), whose score is above each threshold.

    Paper: R. Agarwal, M. Schwarzer, P. S. Castro, A. Courville, M. G. Bellemare, NeurIPS, 2021.
    """
    figure, axes = _figure(6.5, 3.8)
    thresholds = np.unique(np.concatenate([[0.0], *(scores.ravel() for scores in runs)]))
    for i, (name, scores) in enumerate(zip(names, runs, strict=True)):
        color, _, line = style(i)
        share = performance_profile(scores, thresholds)
        axes.step(thresholds, share, where="post", label=name, color=color, linestyle=line)
    least, most = min(scores.min() for scores in runs), max(scores.max() for scores in runs)
    axes.set_xlim(least - 0.05 * (most - least), most + 0.05 * (most - least))
    axes.set_xlabel(f"score, in units of {unit}")
    axes.set_ylabel("share of runs above it")
    axes.legend(fontsize=7, frameon=False)
    return figure


def style(i: int) -> tuple[str, str, Any]:
    """Colour, marker and line of row i: the first 35 differ in colour or line, the first 56 in colour or marker."""
    return COLORS[i % len(COLORS)], MARKERS[i % len(MARKERS)], LINES[i // len(COLORS) % len(LINES)]


def multiples(titles: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """A small panel under each title, in rows of three, of five where there are more than twelve; axes are shared."""
    from matplotlib.ticker import MaxNLocator

    columns = min(len(titles), 3 if len(titles) <= 12 else 5)
    rows = -(-len(titles) // columns)
    figure, panels = _figures(7.5, 0.9 + (1.5 if columns <= 3 else 1.1) * rows, rows, columns)
    figure.set_layout_engine("constrained")
    for panel, title in zip(panels, titles, strict=False):
        panel.set_title(title, fontsize=8 if columns <= 3 else 6)
        panel.tick_params(labelsize=7)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    for panel in panels[len(titles) :]:
        panel.set_visible(False)
    return figure, panels[: len(titles)]


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    """One pair of axes."""
    figure, panels = _figures(width, height, 1, 1)
    return figure, panels[0]


def _figures(width: float, height: float, rows: int, columns: int) -> tuple[Figure, list[Axes]]:
    """A figure without global state, so that drawing in a server or a thread disturbs nobody; its panels share axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel())
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
    return figure, panels
