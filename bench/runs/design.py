"""From cells and seeds to a `Comparison`: what the store has is read, what it lacks is run."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.comparison import advice
from bench.comparison.nouns import Context, Row
from bench.comparison.told import by_value, facts, settings_of
from bench.runs.provenance import manifest, mixed
from bench.runs.spec import REGISTRIES, Cell, Data, RunSpec, check_distinct, expand, incompatibility, parse_cell
from bench.runs.store import LAST_EPOCH, Store, StoredRun
from datasets.errors import UserError
from datasets.load import in_force, resolve
from datasets.protocol import Protocol
from recmodels.identities import canonical
from recmodels.models import BASELINES

if TYPE_CHECKING:
    from bench.runs.runner import DataOptions, Task

CUTOFFS = [5, 10, 20]


@dataclass(frozen=True)
class Experiment:
    """Cells to compare on one data set, each with the same seeds."""

    data: Data
    protocol: Protocol
    cells: tuple[Cell, ...]
    seeds: tuple[int, ...]
    store: Store
    skipped: tuple[dict[str, str], ...] = ()
    device: str = "cpu"
    expect_sampled: int | None = None  # report metrics as expected over so many sampled candidates
    refit: bool = False  # train again on train and validation before the test

    def spec(self, cell: Cell, seed: int) -> RunSpec:
        """The run of a cell with a seed."""
        return RunSpec(self.data, cell, seed, self.refit)

    def specs(self) -> list[RunSpec]:
        """Every run, seed by seed, so that a grid cut short has whole rounds."""
        return [self.spec(cell, seed) for seed in self.seeds for cell in self.cells]

    def missing(self, retry_failed: bool = False) -> list[RunSpec]:
        """The runs the store lacks.

        Raises:
            UserError: some are lacking and a run that is there is damaged, which is better known before training.
        """
        found = [(spec, self.store.find(spec, self.device)) for spec in self.specs()]
        lacking = [spec for spec, run in found if run is None or (retry_failed and run.failure is not None)]
        for _, run in found if lacking else ():
            if run is not None:
                run.check()
        return lacking


def design(
    names: Sequence[str],
    *,
    dataset: str,
    protocol: Protocol,
    options: DataOptions,
    samplers: Sequence[str] = (),
    losses: Sequence[str] = (),
    models: Sequence[str] = (),
    settings: Sequence[str] = (),
    seeds: str = "5",
    store: Store,
    device: str = "cpu",
    expect_sampled: int | None = None,
    refit: bool = False,
    recommended: bool = False,
) -> Experiment:
    """The experiment that the words of the command line mean.

    `names` are completed by each of `samplers`, `losses` and `models`; without names, these multiply by themselves.
    A cell that was named as it is and cannot run is refused; one that came from multiplying is skipped with its reason.

    Raises:
        UserError: anything that means nothing, before anything is trained.
    """
    if not names and not (samplers or losses or models):
        raise UserError("Nothing to run: name cells, as in `bench compare uniform popularity`, or give --sampler.")
    _check_device(device)
    for kind, given in (("sampler", samplers), ("loss", losses), ("model", models)):
        for text in given:
            REGISTRIES[kind].entry(text.partition(":")[0].strip())
    texts = expand(names or list(samplers or losses or models), list(samplers), list(losses), list(models))
    common, varied = _settings(settings)
    cells = [parse_cell(text, common, recommended) for text in vary(texts, varied)]
    check_distinct(cells)
    reasons = {cell.name: incompatibility(cell) for cell in cells}
    for cell in cells:
        reason = reasons[cell.name]
        if reason is not None and (cell.name in names or len(cells) == 1):
            raise UserError(f"'{cell.name}' cannot be trained: {reason}.")
    skipped = [
        {**{key: label or "" for key, label in cell.labels().items()}, "reason": str(reasons[cell.name])}
        for cell in cells
        if reasons[cell.name] is not None
    ]
    runnable = tuple(cell for cell in cells if reasons[cell.name] is None)
    if not runnable:
        raise UserError(f"None of the cells can be trained: {skipped[0]['reason']}.")
    source = resolve(
        dataset,
        columns=options.columns,
        unverified=options.unverified,
        accept_unpinned=options.accept_unpinned,
        offline=options.offline,
    )
    protocol = in_force(dataset, protocol)
    data = Data(dataset, source.sha256, protocol.as_dict(), source.columns or None)
    if expect_sampled is not None and protocol.candidates != "full":
        raise UserError("--expect-sampled is computed from full ranks; leave --candidates out.")
    return Experiment(
        data,
        protocol,
        runnable,
        parse_seeds(seeds),
        store,
        tuple(skipped),
        device=device,
        expect_sampled=expect_sampled,
        refit=refit,
    )


def _check_device(device: str) -> None:
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise UserError(f"--device {device} is not a device; give cpu, cuda, or cuda:1 for the second GPU.")


def parse_seeds(text: str) -> tuple[int, ...]:
    """`5` is 0 … 4, `10-14` is 10 … 14, `3,7` is those two.

    Raises:
        UserError: none of these.
    """
    try:
        if "," in text:
            seeds = [int(part) for part in text.split(",")]
        elif "-" in text:
            first, last = map(int, text.split("-"))
            seeds = list(range(first, last + 1))
        else:
            seeds = list(range(int(text)))
    except ValueError:
        seeds = []
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise UserError(
            f"--seeds {text} names no seeds; give a count as in 5, a range as in 10-14, or a list as in 3,7."
        )
    return tuple(seeds)


def tasks(experiment: Experiment, specs: Sequence[RunSpec], options: DataOptions, keep_embeddings: bool) -> list[Task]:
    """The missing runs, ready for workers."""
    from bench.runs.runner import Task

    return [
        Task(spec, experiment.protocol, options, device=experiment.device, keep_embeddings=keep_embeddings)
        for spec in specs
    ]


def default_jobs() -> int:
    """One worker per core this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


SECONDS_PER_SCORE, TYPICAL_EPOCHS = 2e-7, 18
"""One training score and its gradient on one core, and how long training tends to be; only for a first guess."""


def estimate(experiment: Experiment, missing: Sequence[RunSpec], jobs: int, interactions: int) -> str:
    """How long the missing runs will take, in words: from finished runs on the same data, or a guess without any."""
    seconds, known = expected(experiment, missing)
    if known:
        return f"about {duration(seconds / jobs)}, judging by the {known} done"
    negatives = [spec.cell.settings.get("negatives", 0) for spec in missing]
    scores = sum(1 + (n if isinstance(n, int) else 1000) for n in negatives) * interactions * TYPICAL_EPOCHS
    return f"about {duration(scores * SECONDS_PER_SCORE / jobs + 5)}, a guess until the first are done"


def expected(experiment: Experiment, missing: Sequence[RunSpec]) -> tuple[float, int]:
    """Seconds of work in the missing runs, and the number of finished ones that this is judged by.

    A run takes as long as the mean of the same cell's other seeds, or of all finished runs where its cell has none.
    """
    per_cell: dict[str, list[float]] = {}
    for spec in experiment.specs():
        run = experiment.store.find(spec, experiment.device)
        if run is not None and run.failure is None:
            per_cell.setdefault(spec.cell.name, []).append(run.record["seconds"]["total"])
    every = [seconds for cell in per_cell.values() for seconds in cell]
    return sum(float(np.mean(per_cell.get(spec.cell.name, every))) for spec in missing if every), len(every)


def duration(seconds: float) -> str:
    """Seconds in words: `40 s`, `3 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def rows(experiment: Experiment, cutoffs: list[int]) -> tuple[list[Row], Context]:
    """One row per cell from the store, and what a table must say beside them.

    Raises:
        UserError: a run is missing.
    """
    failures: list[dict[str, str]] = []
    found: list[Row] = []
    provenances: list[Mapping[str, Any]] = []
    warnings = dict.fromkeys(advice.warnings(experiment.cells))
    for cell in experiment.cells:
        stored = [experiment.store.find(experiment.spec(cell, seed), experiment.device) for seed in experiment.seeds]
        runs = [run for run in stored if run is not None]
        if len(runs) < len(stored):
            raise UserError(
                f"{len(stored) - len(runs)} of {len(stored)} runs of '{cell.name}' are not in {experiment.store.root}; "
                "make them with `bench compare`, or point --results to where they are."
            )
        good = [run for run in runs if run.failure is None]
        failures += [{"run": run.run_id, "reason": str(run.failure)} for run in runs if run.failure is not None]
        found.append(_row(cell, good, len(runs), experiment, cutoffs))
        provenances += [run.record["provenance"] for run in good]
        for run in good:
            warnings |= dict.fromkeys(w for w in run.record["warnings"] if w != LAST_EPOCH)
    if experiment.expect_sampled is not None:
        warnings[SAMPLED] = None
    origin = manifest(provenances)
    warnings |= dict.fromkeys(mixed(origin))
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


def _facts(experiment: Experiment, rows: Sequence[Row]) -> dict[str, Any]:
    told = facts(experiment.cells)
    if recommended := advice.recommended(experiment.cells):
        told["recommended"] = recommended
    scored = [(row.name, n) for row in rows if (n := row.diagnostics.get("candidates_per_positive")) is not None]
    if scored:
        told["candidates scored per positive"] = by_value((name, f"{n:.6g}") for name, n in scored)
    return told


SAMPLED = "metrics over sampled candidates do not order models as full ranking does (Krichene and Rendle, KDD 2020)"


def _row(cell: Cell, runs: list[StoredRun], total: int, experiment: Experiment, cutoffs: list[int]) -> Row:
    per_run = [run.user_metrics(cutoffs, experiment.expect_sampled) for run in runs]
    labels = cell.labels()
    last = sum(LAST_EPOCH in run.record["warnings"] for run in runs)
    return Row(
        name=cell.name,
        sampler=labels["sampler"] or "",
        loss=labels["loss"] or "",
        model=str(labels["model"]),
        seeds=tuple(run.record["spec"]["seed"] for run in runs),
        users=per_run[0][0] if runs else np.empty(0, np.int64),
        metrics={name: np.stack([values[name] for _, values in per_run]) for name in per_run[0][1]} if runs else {},
        diagnostics=_mean_diagnostics(runs),
        train_seconds=float(np.mean([run.record["seconds"]["train"] for run in runs])) if runs else float("nan"),
        epochs=float(np.mean([run.record["epochs"] for run in runs])) if runs else float("nan"),
        runs=tuple(run.run_id for run in runs),
        results=tuple(run.record["result_sha256"] for run in runs),
        settings=settings_of(cell),
        canonical=_canonical(cell),
        marks=(f"best epoch was the last allowed in {last} of {len(runs)} runs",) if last else (),
        failed=(f"{total - len(runs)} of {total} failed",) if len(runs) < total else (),
        identity={"data": experiment.data.sha256},
        peak_bytes=max((p for run in runs if (p := run.record.get("peak_bytes")) is not None), default=None),
    )


def _canonical(cell: Cell) -> str:
    if cell.sampler is None or cell.loss is None:
        return ""
    sampler, loss, model = ((part.name, part.parameters) for part in (cell.sampler, cell.loss, cell.model))
    return canonical(sampler, loss, model, cell.settings)


def _mean_diagnostics(runs: list[StoredRun]) -> dict[str, float]:
    names = dict.fromkeys(name for run in runs for name in run.record["diagnostics"])
    return {
        name: float(np.mean([run.record["diagnostics"][name] for run in runs if name in run.record["diagnostics"]]))
        for name in names
    }


def _protocol(experiment: Experiment, split: dict[str, Any]) -> dict[str, Any]:
    """The protocol as it was applied, with the facts of the split that a caption needs."""
    wanted = ("users_without_test", "users_with_tied_last_time")
    told = {**experiment.protocol.as_dict(), **{name: split[name] for name in wanted if name in split}}
    if experiment.expect_sampled is not None:
        told["expected_over_sampled_candidates"] = experiment.expect_sampled
    if experiment.refit:
        told["refit"] = "on train and validation"
    return told


def vary(texts: Sequence[str], varied: dict[str, list[str]]) -> list[str]:
    """Each cell once per combination of trainer settings that were given several values; baselines have none."""
    for key, values in varied.items():
        texts = [
            grown
            for text in texts
            for grown in (
                [text]
                if text.partition(":")[0] in BASELINES or f":{key}=" in text or f",{key}=" in text
                else [f"{text}{',' if ':' in text.rpartition('+')[2] else ':'}{key}={value}" for value in values]
            )
        ]
    return list(texts)


def _settings(pairs: Sequence[str]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Settings with one value, and those with several, which multiply."""
    given: dict[str, list[str]] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UserError(f"--set {pair} is not a setting; write name=value, as in --set epochs=20.")
        given.setdefault(key.strip(), []).append(value)
    common = {key: values[0] for key, values in given.items() if len(values) == 1}
    return common, {key: values for key, values in given.items() if len(values) > 1}


def store_at(folder: str | None) -> Store:
    """The store in `folder`, in `BENCH_RESULTS`, or in results/runs."""
    return Store(Path(folder or os.environ.get("BENCH_RESULTS") or "results/runs"))


def row_called(experiment: Experiment, text: str, settings: Sequence[str], recommended: bool) -> str:
    """The name that the table gives the row called `text`: as it is shown, in full, or in other words for its cell."""
    rows = list(zip(short_names(experiment).cells, experiment.cells, strict=True))
    for shown, full in rows:
        if text in (shown.name, full.name):
            return shown.name
    try:
        meant = parse_cell(text, _settings(settings)[0], recommended)
    except UserError:
        return text  # nobody's name, which the comparison says
    return next((shown.name for shown, _ in rows if replace(shown, name=text) == meant), text)


def short_names(experiment: Experiment) -> Experiment:
    """The same with the loss or sampler left out of row names where all rows share it."""
    names = [cell.name.split("+") for cell in experiment.cells]
    if len(names) < 2 or any(len(name) != 2 for name in names):
        return experiment
    for shared, kept in ((1, 0), (0, 1)):
        if len({name[shared] for name in names}) == 1:
            cells = [replace(cell, name=name[kept]) for cell, name in zip(experiment.cells, names, strict=True)]
            return replace(experiment, cells=tuple(cells))
    return experiment
