"""Rows that were imported, beside those that were trained here: what a table shows and says of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from bench.comparison.nouns import Row
from bench.runs.design import Experiment
from bench.runs.imported import IMPORTED, Imported
from datasets.errors import UserError
from recmodels.metrics import METRICS


def row_of(imported: Imported, experiment: Experiment, cutoffs: list[int], identity: Mapping[str, str]) -> Row:
    """The row of a table; metrics that lists do not tell which are cut off are nan.

    The k-th seed of the lists stands for the k-th of the table: seeds of two programs have nothing in common but that.
    """
    runs = imported.runs
    per_run = [run.user_metrics(cutoffs, experiment.expect_sampled) for run in runs]
    unknown = np.full(len(per_run[0][0]), np.nan)
    sampled = experiment.expect_sampled is not None
    metrics = list(per_run[0][1]) if sampled else [f"{name}@{k}" for name in METRICS for k in cutoffs]
    return Row(
        name=imported.name,
        sampler="",
        loss="",
        model=IMPORTED,
        seeds=experiment.seeds[: len(runs)],
        users=per_run[0][0],
        metrics={name: np.stack([values.get(name, unknown) for _, values in per_run]) for name in metrics},
        diagnostics={"test_tie_rate": float(np.mean([run.record["diagnostics"]["test_tie_rate"] for run in runs]))},
        train_seconds=float("nan"),
        epochs=float("nan"),
        runs=tuple(run.run_id for run in runs),
        results=tuple(run.record["result_sha256"] for run in runs),
        identity=identity,
        imported={
            "files": imported.files,
            "depth": imported.depth,
            "seeds": [run.record["spec"]["seed"] for run in runs],
        },
    )


def origin(rows: Iterable[Imported]) -> str:
    """Which rows come from which files, for a caption."""
    files = {row.name: [f"{file['file']} (sha256 {file['sha256'][:12]})" for file in row.files] for row in rows}
    return ", ".join(f"{name} from {' and '.join(each)}" for name, each in files.items())


def remarks(row: Imported, cutoffs: Iterable[int]) -> list[str]:
    """What a reader must know of the lists: what was dropped, who has none, what they are too short to tell."""
    told = [run.record["imported"] for run in row.runs]
    dropped, without, shorter = (
        sum(each[key] for each in told)
        for key in ("seen_items_dropped", "users_without_list", "users_with_shorter_list")
    )
    over = "" if len(told) == 1 else f" over {len(told)} seeds"
    said = []
    if dropped:
        said.append(f"{row.name}: {dropped:,} listed items that their users have seen were dropped{over}")
    if without:
        said.append(f"{row.name}: {without:,} test users have no list, which counts as an empty one{over}")
    if shorter:
        said.append(
            f"{row.name}: {shorter:,} test users have a list shorter than the longest, which counts as all that is "
            f"recommended{over}"
        )
    if row.depth is not None and any(k > row.depth for k in cutoffs):
        said.append(f"{row.name}: its lists tell metrics for K up to {row.depth}; beyond, they are left empty")
    return said


def check_depth(rows: Iterable[Imported], metric: str) -> None:
    """Refuse a table about a metric that lists are too short to tell.

    Raises:
        UserError: naming the row and what its lists tell.
    """
    for row in rows:
        if row.depth is not None and int(metric.partition("@")[2]) > row.depth:
            raise UserError(
                f"The {metric} of '{row.name}' is not known, for its lists tell metrics for K up to {row.depth}; "
                "choose such a --metric, or import longer lists."
            )
