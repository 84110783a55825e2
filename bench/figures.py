"""Figures of a comparison: colour-blind safe, told apart by marker or line where printed in grey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.comparison import Comparison
from bench.statistics.across import Ranks, cliques, performance_profile
from bench.tables.layout import level_of, metric_name
from datasets.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = NDArray[np.float64]

# M. Okabe and K. Ito's palette without its yellow, which vanishes on white; ordered so that grey levels alternate.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
MARKERS = "osD^vPX*"
LINES = ("-", "--", "-.", ":")
SUFFIXES = (".svg", ".pdf", ".png")


def save(figure: Figure, path: Path | str) -> Path:
    """Write the figure as `.svg`, `.pdf` or `.png`; the same figure gives the same bytes.

    Raises:
        UserError: another ending.
    """
    import matplotlib as mpl

    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise UserError(f"A figure is written as {', '.join(SUFFIXES)}, not '{path.suffix}'; name one of these.")
    dateless = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {}}[path.suffix]
    with mpl.rc_context({"svg.hashsalt": "contrarec", "svg.fonttype": "none", "pdf.fonttype": 42}):
        figure.savefig(path, dpi=200, bbox_inches="tight", metadata=dateless)
    return path


def forest(c: Comparison, metric: str | None = None) -> Figure:
    """Every pair of one metric: difference with its interval; filled where found to differ, hollow where not.

    Raises:
        UserError: the comparison has no pair with an interval.
    """
    metric = metric or c.metric
    pairs = [p for p in c.pairs if p.metric == metric and p.lo is not None and p.hi is not None]
    if not pairs:
        raise UserError("There is no paired difference with an interval to draw; compare two rows by test crossed.")
    figure, axes = _figure(6.5, 0.8 + 0.28 * len(pairs))
    axes.axvline(0, color="0.5", linewidth=0.8)
    for y, pair in enumerate(reversed(pairs)):
        found = pair.p_adjusted is not None and pair.p_adjusted < c.alpha
        axes.plot([pair.lo or 0, pair.hi or 0], [y, y], color=COLORS[0], linewidth=1.4)
        face = COLORS[0] if found else "white"
        axes.plot([pair.difference], [y], "o", color=COLORS[0], markerfacecolor=face, markersize=5)
    axes.set_ylim(-0.6, len(pairs) - 0.4)
    axes.set_yticks(range(len(pairs)), [f"{p.a} − {p.b}" for p in reversed(pairs)])
    level, adjusted = level_of(c.alpha), "" if c.correction == "none" else f", {c.correction}"
    axes.set_xlabel(f"difference in {metric_name(metric)}, {level} interval (filled: p < {c.alpha:g}{adjusted})")
    return figure


def curves(histories: Mapping[str, Sequence[FloatArray]], metric: str = "ndcg@10") -> Figure:
    """Validation metric over epochs: mean over seeds with a band from the lowest to the highest.

    Args:
        histories: row → one array per seed, the metric after each epoch. A seed that stopped early keeps its last
            value, so that the mean stays one over all seeds.
        metric: what the values are.
    """
    figure, axes = _figure(6.5, 3.6)
    for i, (name, seeds) in enumerate(histories.items()):
        length = max(len(values) for values in seeds)
        table = np.array([np.pad(values, (0, length - len(values)), mode="edge") for values in seeds])
        epochs = np.arange(1, length + 1)
        color, line = COLORS[i % len(COLORS)], LINES[i // len(COLORS) % len(LINES)]
        (drawn,) = axes.plot(epochs, table.mean(axis=0), color=color, linestyle=line, markersize=4, label=name)
        drawn.set(marker=MARKERS[i % len(MARKERS)], markevery=max(1, length // 8))
        axes.fill_between(epochs, table.min(axis=0), table.max(axis=0), color=color, alpha=0.15, linewidth=0)
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"validation {metric_name(metric)}")
    axes.legend(frameon=False, fontsize=8)
    return figure


def heat_map(c: Comparison, metric: str | None = None) -> Figure:
    """Samplers down, losses across: the mean in every cell, hatched where there is none.

    Raises:
        UserError: no row has a sampler and a loss, or the rows are of several models.
    """
    metric = metric or c.metric
    cells = [(row, v[metric].mean) for row, v in zip(c.rows, c.values, strict=True) if row.sampler and row.loss]
    if not cells or len({row.model for row, _ in cells}) > 1:
        raise UserError("A heat map shows samplers × losses of one model; choose rows of one --model.")
    samplers = list(dict.fromkeys(row.sampler for row, _ in cells))
    losses = list(dict.fromkeys(row.loss for row, _ in cells))
    table = np.full((len(samplers), len(losses)), np.nan)
    for row, mean in cells:
        if not row.failed:
            table[samplers.index(row.sampler), losses.index(row.loss)] = mean
    figure, axes = _figure(1.8 + 0.9 * len(losses), 1.0 + 0.42 * len(samplers))
    axes.set_facecolor("0.93")
    image = axes.imshow(table, cmap="cividis", aspect="auto")
    middle = float(np.nanmean([np.nanmin(table), np.nanmax(table)])) if np.isfinite(table).any() else 0.0
    for (i, j), value in np.ndenumerate(table):
        if np.isfinite(value):
            shade = "black" if value > middle else "white"
            axes.text(j, i, f"{value:.4f}", ha="center", va="center", color=shade, fontsize=8)
        else:
            axes.text(j, i, "–", ha="center", va="center", color="0.4")
    axes.set_xticks(range(len(losses)), losses, rotation=30, ha="right")
    axes.set_yticks(range(len(samplers)), samplers)
    figure.colorbar(image, ax=axes, label=metric_name(metric))
    return figure


def accuracy_against_seconds(c: Comparison, metric: str | None = None) -> Figure:
    """One point per row with its interval over training seconds on a logarithmic axis."""
    metric = metric or c.metric
    figure, axes = _figure(6.5, 3.8)
    shown = [(row, v[metric]) for row, v in zip(c.rows, c.values, strict=True) if not row.failed]
    for i, (row, value) in enumerate(shown):
        color, marker = COLORS[i % len(COLORS)], MARKERS[i % len(MARKERS)]
        half = 0.0 if value.hi is None else value.hi - value.mean
        axes.errorbar([row.train_seconds], [value.mean], [half], color=color, marker=marker, capsize=2)
        axes.annotate(row.name, (row.train_seconds, value.mean), (5, 3), textcoords="offset points", fontsize=7)
    if all(row.train_seconds > 0 for row, _ in shown):
        axes.set_xscale("log")
    axes.set_xlabel("training seconds per run")
    axes.set_ylabel(f"{metric_name(metric)}, {level_of(c.alpha)} interval")
    return figure


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
        color, line = COLORS[i % len(COLORS)], LINES[i % len(LINES)]
        share = performance_profile(scores, thresholds)
        axes.step(thresholds, share, where="post", label=name, color=color, linestyle=line)
    axes.set_xlabel(f"score, in units of {unit}")
    axes.set_ylabel("share of runs above it")
    axes.legend(fontsize=7, frameon=False)
    return figure


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure without global state, so that drawing in a server or a thread disturbs nobody."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
