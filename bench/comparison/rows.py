"""Rows of a table from the store: one per cell, with what the table must say beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.comparison import advice, imported
from bench.comparison.nouns import Context, Row
from bench.comparison.told import by_value, comparable, facts, settings_of
from bench.files import JSONObject
from bench.runs.design import Experiment
from bench.runs.other_code import other_code
from bench.runs.provenance import manifest, mixed
from bench.runs.spec import Cell, same_training
from bench.runs.store import LAST_EPOCH
from bench.runs.stored import Damaged, StoredRun, read
from datasets.errors import UserError


@dataclass(frozen=True)
class Head:
    """A row before its runs are read: what `Row` says of the same names, and whether one run stands for all seeds."""

    name: str
    sampler: str
    loss: str
    model: str
    seeds: tuple[int, ...]
    once: bool
    settings: Mapping[str, Mapping[str, Any]]
    canonical: str
    identity: Mapping[str, str]


def rows(experiment: Experiment, cutoffs: list[int]) -> tuple[list[Row], Context]:
    """One row per cell and per imported row, from the store, and what a table must say beside them.

    Raises:
        UserError: a run is missing.
    """
    return rows_of(experiment, [stored_runs(experiment, cell) for cell in experiment.cells], cutoffs)


def stored_runs(experiment: Experiment, cell: Cell) -> list[StoredRun]:
    """The runs of a cell.

    Raises:
        UserError: the store lacks one.
    """
    stored = [experiment.store.find(spec, experiment.device) for spec in experiment.of(cell)]
    runs = [run for run in stored if run is not None]
    if len(runs) < len(stored):
        lacking = [spec for spec, run in zip(experiment.of(cell), stored, strict=True) if run is None]
        others = other_code(experiment.store, lacking, experiment.device)
        raise UserError(
            f"{len(lacking)} of {len(stored)} runs of '{cell.name}' are not in {experiment.store.root}; make them "
            "with `bench compare`, or name the results folder that has them."
            f"{f' {others}' if others else _changed(experiment)}"
        )
    return runs


def rows_of(
    experiment: Experiment, each: Sequence[Sequence[StoredRun]], cutoffs: list[int]
) -> tuple[list[Row], Context]:
    """One row per cell from its runs, wherever they are kept, and what a table must say beside them."""
    failures: list[dict[str, str]] = []
    found: list[Row] = []
    provenances: list[JSONObject] = []
    warnings = dict.fromkeys(advice.warnings(experiment.cells))
    for cell, runs in zip(experiment.cells, each, strict=True):
        good = [run for run in runs if run.failure is None]
        failures += [{"run": run.run_id, "reason": str(run.failure)} for run in runs if run.failure is not None]
        found.append(row_of(head_of(experiment, cell), runs, cutoffs, experiment.expect_sampled))
        provenances += [run.record["provenance"] for run in good]
        for run in good:
            warnings |= dict.fromkeys(w for w in run.record["warnings"] if w != LAST_EPOCH)
    for row in experiment.imported:
        found.append(imported.row_of(row, experiment, cutoffs, comparable(experiment)))
        warnings |= dict.fromkeys([*row.runs[0].record["warnings"], *imported.remarks(row, cutoffs)])
    if experiment.expect_sampled is not None:
        warnings[SAMPLED] = None
    if experiment.unread:
        warnings[experiment.unread] = None
    origin = manifest(provenances)
    warnings |= dict.fromkeys(mixed(origin))
    provenances += [run.record["provenance"] for row in experiment.imported for run in row.runs]
    provenance = provenances[0] if provenances else {}
    context = Context(
        dataset=experiment.data.name,
        protocol=_protocol(experiment, provenance.get("facts", {})),
        data=provenance.get("data", {"sha256": experiment.data.sha256, "verified": None, "source": None}),
        facts=_facts(experiment, found),
        skipped=experiment.skipped,
        failed=tuple(failures),
        warnings=tuple(warnings),
        manifest=origin,
    )
    return found, context


def caption_facts(cells: Sequence[Cell], rows: Sequence[Row]) -> dict[str, Any]:
    """What a caption says of the settings of rows and where they come from, and of what their samplers scored."""
    told = facts(cells)
    if recommended := advice.recommended(cells):
        told["recommended"] = recommended
    if searched := advice.searched(cells):
        told["tuned"] = searched
    scored = [(row.name, n) for row in rows if (n := row.diagnostics.get("candidates_per_positive")) is not None]
    if scored:
        told["candidates scored per positive"] = by_value((name, f"{n:.6g}") for name, n in scored)
    return told


def _facts(experiment: Experiment, rows: Sequence[Row]) -> dict[str, Any]:
    told = caption_facts(experiment.cells, rows)
    if experiment.data.item_features is not None:
        told["item features"] = f"{Path(experiment.data.item_features).name} {experiment.data.features_sha256[:12]}"
    if experiment.imported:
        told["imported"] = imported.origin(experiment.imported)
    return told


SAMPLED = "metrics over sampled candidates do not order models as full ranking does (Krichene and Rendle, KDD 2020)"


def head_of(experiment: Experiment, cell: Cell) -> Head:
    """What is known of the row of a cell without its runs."""
    labels = cell.labels()
    return Head(
        name=cell.name,
        sampler=labels["sampler"] or "",
        loss=labels["loss"] or "",
        model=str(labels["model"]),
        seeds=experiment.seeds,
        once=cell.deterministic,
        settings=settings_of(cell),
        canonical="" if cell.is_baseline else same_training(cell),
        identity=comparable(experiment),
    )


def row_of(head: Head, runs: Sequence[StoredRun], cutoffs: list[int], sampled: int | None = None) -> Row:
    """The row of a cell from its runs, of which some may have failed."""
    good = [run for run in runs if run.failure is None]
    per_run = [run.user_metrics(cutoffs, sampled) for run in good]
    seeds = tuple(run.record["spec"]["seed"] for run in good)
    if head.once and good:  # what it gives with every seed, so that it pairs with the others
        seeds, per_run = head.seeds, per_run * len(head.seeds)
    last = sum(LAST_EPOCH in run.record["warnings"] for run in good)
    return Row(
        name=head.name,
        sampler=head.sampler,
        loss=head.loss,
        model=head.model,
        seeds=seeds,
        users=per_run[0][0] if good else np.empty(0, np.int64),
        metrics={name: np.stack([values[name] for _, values in per_run]) for name in per_run[0][1]} if good else {},
        diagnostics=_mean_diagnostics(good),
        train_seconds=float(np.mean([run.record["seconds"]["train"] for run in good])) if good else float("nan"),
        epochs=float(np.mean([run.record["epochs"] for run in good])) if good else float("nan"),
        runs=tuple(run.run_id for run in good),
        results=tuple(run.record["result_sha256"] for run in good),
        settings=head.settings,
        canonical=head.canonical,
        marks=(f"best epoch was the last allowed in {last} of {len(good)} runs",) if last else (),
        failed=(f"{len(runs) - len(good)} of {len(runs)} failed",) if len(good) < len(runs) else (),
        identity=head.identity,
        peak_bytes=max((p for run in good if (p := run.record.get("peak_bytes")) is not None), default=None),
    )


def _mean_diagnostics(runs: list[StoredRun]) -> dict[str, float]:
    names = dict.fromkeys(name for run in runs for name in run.record["diagnostics"])
    return {
        name: float(np.mean([run.record["diagnostics"][name] for run in runs if name in run.record["diagnostics"]]))
        for name in names
    }


def _protocol(experiment: Experiment, split: dict[str, Any]) -> dict[str, Any]:
    """The protocol as it was applied, with the facts of the split that a caption needs."""
    wanted = ("users_without_test", "users_with_tied_last_time")
    if experiment.protocol.strong:
        wanted = ("users_trained_on", "folded_in")
    told = {**experiment.protocol.as_dict(), **{name: split[name] for name in wanted if name in split}}
    if experiment.expect_sampled is not None:
        told["expected_over_sampled_candidates"] = experiment.expect_sampled
    if experiment.refit:
        told["refit"] = "on train and validation"
    return told


def _changed(experiment: Experiment) -> str:
    """A sentence where the store has runs on data of this name with another content."""
    shas = set()
    for path in (experiment.store.root / experiment.data.folder).glob("*/run.json"):
        with suppress(Damaged):
            shas.add(read(path.parent).record["spec"]["data_sha256"])
    if not shas or experiment.data.sha256 in shas:
        return ""
    return f" It has runs on another content of {experiment.data.name}, which has changed since or is another file."
