"""The nouns of a table: `Row`, `Pair`, and the `Comparison` of rows that every format renders."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.runs.hashes import list_sha256
from bench.statistics.crossed import Alternative
from bench.statistics.effects import Effects, effects
from bench.statistics.equivalence import Equivalence
from bench.statistics.letters import letters
from bench.statistics.moments import FloatArray
from datasets.errors import UserError


@dataclass(frozen=True, eq=False)
class Row:
    """One line of a table: one cell (sampler, loss, model) with all its seeds.

    Attributes:
        name: what the reader calls it; unique in a table.
        sampler: sampler with its options.
        loss: loss with its options.
        model: encoder.
        seeds: (S,) seeds of the runs.
        users: (U,) ids of the test users.
        metrics: "ndcg@10" → (S, U), larger is better.
        diagnostics: means over seeds of what the evaluation reports beside the metrics.
        train_seconds: mean over seeds.
        epochs: mean over seeds.
        runs: (S,) run ids.
        marks: what a footnote must say of this row, e.g. "best epoch was the last".
        failed: e.g. "2 of 5 failed"; such a row is shown and enters no pair.
        identity: what must agree between rows of one table, e.g. {"data": sha256, "split": hash}.
        peak_bytes: most memory that any of the runs held; None where no run says.
        results: (S,) sha256 of what each run measured.
        settings: all parameters: {"sampler", "loss", "model", "trainer"}, each name → value.
        canonical: a text that rows share which are the same training by identity; "" where nothing is known.
        imported: of a row that another program trained, {"files", "depth", "seeds"}.

    Example:
        >>> row = found.rows[0]
        >>> row.name, row.seeds, row.metrics["ndcg@10"].shape == (2, len(row.users))
        ('toppop', (0, 1), True)
    """

    name: str
    sampler: str
    loss: str
    model: str
    seeds: tuple[int, ...]
    users: NDArray[np.int64]
    metrics: dict[str, FloatArray]
    diagnostics: dict[str, float]
    train_seconds: float
    epochs: float
    runs: tuple[str, ...]
    marks: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    identity: Mapping[str, str] = field(default_factory=dict)
    peak_bytes: float | None = None
    results: tuple[str, ...] = ()
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    canonical: str = ""
    imported: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """What a table must say beside its rows.

    Attributes:
        dataset: name of the data set.
        protocol: how it was split and ranked, in words a caption can print.
        data: {"sha256", "verified", "source"}.
        facts: further caption facts, e.g. {"negatives": 16, "batch size": 1024, "budget": "100 epochs"}.
        skipped: cells that cannot run, each {"sampler", "loss", "reason"}.
        failed: runs that failed, each {"run", "reason"}.
        warnings: sentences for the reader.
        manifest: what the runs were made with, as `bench.runs.provenance.manifest` says it.
        command: the command as typed, or "".
        table: name and version of a published table, as in "ml-100k/loo v1", or "".
    """

    dataset: str
    protocol: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    skipped: tuple[Mapping[str, str], ...] = ()
    failed: tuple[Mapping[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    manifest: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    table: str = ""


@dataclass(frozen=True)
class Value:
    """One metric of one row: mean over seeds and users, its interval, and the deviation over seeds.

    Example:
        >>> value = found.values[0]["ndcg@10"]
        >>> value.lo < value.mean < value.hi
        True
    """

    mean: float
    lo: float | None
    hi: float | None
    std_seeds: float | None


@dataclass(frozen=True)
class Pair:
    """One paired difference a − b and what the test says of it.

    `lo` to `hi` is the interval of the test at level 1 − α, `lo_family` to `hi_family` the one at 1 − α/m for the m
    pairs of one metric (Bonferroni), so that all m hold together with probability 1 − α at least. A pair that is
    `equal_by_identity` was not tested and is none of the m.

    Example:
        >>> pair = found.pairs[0]
        >>> pair.a, pair.b, pair.metric
        ('toppop', 'random', 'hr@10')
    """

    a: str
    b: str
    metric: str
    difference: float
    lo: float | None
    hi: float | None
    p: float | None
    p_adjusted: float | None
    effect_size: float | None
    users_a_better: int
    users_b_better: int
    users_tied: int
    equivalence: Equivalence | None = None
    p_equivalent: float | None = None
    lo_family: float | None = None
    hi_family: float | None = None
    equal_by_identity: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The object of one pair in the JSON output; `equivalence` only where a margin was given.

        Example:
            >>> pair.as_dict()["ci"] == [pair.lo, pair.hi]
            True
        """
        names = ("a", "b", "metric", "difference", "ci", "ci_family", "p", "p_adjusted", "effect_size")
        counts = ("users_a_better", "users_b_better", "users_tied", "equal_by_identity")
        intervals = {"ci": [self.lo, self.hi], "ci_family": [self.lo_family, self.hi_family]}
        pair = {n: intervals[n] if n in intervals else getattr(self, n) for n in (*names, *counts)}
        if self.equivalence:
            pair["equivalence"] = {**vars(self.equivalence), "p_adjusted": self.p_equivalent}
        return pair


@dataclass(frozen=True, eq=False)
class Comparison:
    """Rows, paired differences, intervals and adjusted p: what every format renders.

    Attributes:
        rows: in the order given.
        values: one dict per row, metric → `Value`; failed rows keep the mean of the seeds they have.
        pairs: all pairs of one metric, then of the next; each a − b with a before b, or row − baseline.
        metric: the metric the table is about.
        metrics: the metrics it shows.
        test: name of the test.
        correction: name of the correction, applied within the pairs of one metric.
        alpha: level.
        alternative: "two-sided", or the side asked for: "greater" is a > b, "less" a < b. Intervals stay two-sided.
        baseline: name of the row all others are compared with, or None for all pairs.
        context: what the table says beside its rows.
        warnings: of the context and of the comparison.
        margin: differences below this are too small to matter, or None where equivalence was not asked for.
        family: number of pairs of a metric that p and intervals hold for, where `pairs` are but those with the best.

    Example:
        >>> found.metric, found.test, found.correction
        ('ndcg@10', 'crossed', 'holm')
    """

    rows: tuple[Row, ...]
    values: tuple[dict[str, Value], ...]
    pairs: tuple[Pair, ...]
    metric: str
    metrics: tuple[str, ...]
    test: str
    correction: str
    alpha: float
    alternative: Alternative
    baseline: str | None
    context: Context
    warnings: tuple[str, ...]
    margin: float | None = None
    family: int | None = None

    @property
    def seeds(self) -> tuple[int, ...]:
        """Every seed that any row has.

        Example:
            >>> found.seeds
            (0, 1)
        """
        return tuple(sorted({seed for row in self.rows for seed in row.seeds}))

    @property
    def users(self) -> int:
        """Number of test users.

        Example:
            >>> found.users == len(found.rows[0].users)
            True
        """
        return max(len(row.users) for row in self.rows)

    @property
    def code_protocol(self) -> str | None:
        """Of the code that made the runs, which all rows share; None where nobody said.

        Example:
            >>> found.code_protocol.isdigit()
            True
        """
        return next((row.identity.get("code protocol") for row in self.rows), None)

    @property
    def digest(self) -> str:
        """SHA-256 of run ids and result hashes in the table's order; "" where the hashes are not known.

        Example:
            >>> len(found.digest)
            64
        """
        return list_sha256(self.evidence) if self.evidence else ""

    @property
    def evidence(self) -> list[tuple[str, str]]:
        """Run id and result hash of every run, row by row.

        Example:
            >>> [run for run, result in found.evidence] == [run for row in found.rows for run in row.runs]
            True
        """
        return [pair for row in self.rows for pair in zip(row.runs, row.results, strict=False)]

    def differ(self, a: str, b: str, metric: str) -> bool | None:
        """Whether rows a and b were found to differ; None where no test looked at both sides of a − b.

        Example:
            >>> found.differ("toppop", "random", "ndcg@10") in (True, False)
            True
        """
        if self.alternative != "two-sided":
            return None
        for pair in self.pairs:
            if pair.metric == metric and {pair.a, pair.b} == {a, b}:
                return pair.p_adjusted is not None and pair.p_adjusted < self.alpha
        return None

    def groups(self, metric: str) -> list[str]:
        """Letters per row, empty for failed rows, one-sided tests and where a baseline replaces all pairs.

        Example:
            >>> len(found.groups("ndcg@10"))
            2
        """
        shown = ["" for _ in self.rows]
        if self.baseline is not None or self.alternative != "two-sided":
            return shown
        tested = [i for i, row in enumerate(self.rows) if not row.failed]
        index = {self.rows[i].name: k for k, i in enumerate(tested)}
        differing = [
            (index[p.a], index[p.b])
            for p in self.pairs
            if p.metric == metric and p.p_adjusted is not None and p.p_adjusted < self.alpha
        ]
        means = [self.values[i][metric].mean for i in tested]
        for i, name in zip(tested, letters(means, differing), strict=True):
            shown[i] = name
        return shown

    def effects(self, pair: Pair) -> Effects:
        """How large the difference of one pair is, with intervals.

        Example:
            >>> found.effects(found.pairs[0]).difference.value == found.pairs[0].difference
            True
        """
        rows = {row.name: row for row in self.rows}
        a, b, _ = paired(rows[pair.a], rows[pair.b], pair.metric)
        return effects(a, b, alpha=self.alpha)

    def as_dict(self) -> dict[str, Any]:
        """The one object of `--format json`; what is missing or not finite is None.

        Example:
            >>> [row["name"] for row in found.as_dict()["rows"]]
            ['toppop', 'random']
        """
        context, letters = self.context, {metric: self.groups(metric) for metric in self.metrics}
        result = {
            "dataset": context.dataset,
            "protocol": dict(context.protocol),
            "metric": self.metric,
            "seeds": list(self.seeds),
            "users": self.users,
            "test": self.test,
            "correction": self.correction,
            "alpha": self.alpha,
            "alternative": self.alternative,
            "baseline": self.baseline,
            "data": {key: context.data.get(key) for key in ("sha256", "verified", "source")},
            "rows": [
                {**_row_dict(row, v), "letters": {metric: marks[i] or None for metric, marks in letters.items()}}
                for i, (row, v) in enumerate(zip(self.rows, self.values, strict=True))
            ],
            "pairs": [pair.as_dict() for pair in self.pairs],
            "skipped": [{key: cell.get(key) for key in ("sampler", "loss", "reason")} for cell in context.skipped],
            "failed": [{key: run.get(key) for key in ("run", "reason")} for run in context.failed],
            "warnings": list(self.warnings),
            "facts": dict(context.facts),
            "command": context.command or None,
            **{key: ", ".join(context.manifest.get(f"{key}s", ())) or None for key in ("version", "commit")},
            "manifest": dict(context.manifest),
            "digest": self.digest or None,
        }
        if context.table:
            result |= {"table": context.table, "code_protocol": self.code_protocol}
        return _finite(result)  # type: ignore[no-any-return]


def _row_dict(row: Row, values: Mapping[str, Value]) -> dict[str, Any]:
    return {
        "name": row.name,
        "sampler": row.sampler or None,
        "loss": row.loss or None,
        "model": row.model,
        "metrics": {name: {"mean": v.mean, "ci": [v.lo, v.hi], "std_seeds": v.std_seeds} for name, v in values.items()},
        "diagnostics": dict(row.diagnostics),
        "train_seconds": row.train_seconds,
        "epochs": row.epochs,
        "peak_bytes": row.peak_bytes,
        "runs": list(row.runs),
        "results": list(row.results),
        "settings": {kind: dict(values) for kind, values in row.settings.items()},
        **({"imported": dict(row.imported)} if row.imported else {}),
    }


def _finite(value: Any) -> Any:
    """The same with plain Python numbers, and None for what JSON has no word for."""
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def paired(a: Row, b: Row, metric: str) -> tuple[FloatArray, FloatArray, int]:
    """The values of both rows on the seeds they share, rows paired by seed."""
    x, y = a.metrics[metric], b.metrics[metric]
    if a.seeds == b.seeds:
        return x, y, len(a.seeds)
    common = [seed for seed in a.seeds if seed in set(b.seeds)]
    if not common:
        raise UserError(f"'{a.name}' and '{b.name}' have no seed in common; run both with the same seeds.")
    return x[[a.seeds.index(s) for s in common]], y[[b.seeds.index(s) for s in common]], len(common)
