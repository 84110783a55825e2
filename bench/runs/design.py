"""`design`: from cells, data and seeds to an `Experiment`, whose runs the store has or lacks."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest

from bench.runs.imported import Imported, chosen, own_names
from bench.runs.item_features import described, undescribed
from bench.runs.spec import (
    REGISTRIES,
    Cell,
    Data,
    RunSpec,
    check_distinct,
    check_used,
    expand,
    incompatibility,
    parse_cell,
    unrankable,
)
from bench.runs.store import Store
from datasets import negatives
from datasets.consent import Consent
from datasets.errors import UserError
from datasets.grammar import named, with_option
from datasets.protocol import Protocol
from datasets.source import resolve
from datasets.split import Split
from recmodels.models import BASELINES
from recmodels.recommended import Advise
from recmodels.sizes import batch_for

Settings = Sequence[tuple[str, str]]
"""Trainer settings as (name, value); a name that comes with several values multiplies the cells."""


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
    advise: Advise | None = None  # where settings came from that nobody gave
    imported: tuple[Imported, ...] = ()  # rows of another program
    rows: int = 0  # of the training part, as far as `batch_size=auto` must know
    unread: str = ""  # a sentence on what was given and no cell reads

    def spec(self, cell: Cell, seed: int) -> RunSpec:
        """The run of a cell with a seed; a deterministic one has the same run for all."""
        return RunSpec(self.data, cell, 0 if cell.deterministic else seed, self.refit)

    def of(self, cell: Cell) -> list[RunSpec]:
        """The runs of a cell, one for each seed or, of a deterministic one, for all."""
        return [self.spec(cell, seed) for seed in (self.seeds[:1] if cell.deterministic else self.seeds)]

    def specs(self) -> list[RunSpec]:
        """Every run, seed by seed, so that a grid cut short has whole rounds."""
        return [spec for round in zip_longest(*map(self.of, self.cells)) for spec in round if spec is not None]

    def missing(self, retry_failed: bool = False, embeddings: bool = False) -> list[RunSpec]:
        """The runs the store lacks; with `embeddings` also finished ones that were stored without theirs.

        Raises:
            UserError: some are lacking and a run that is there is damaged, which is better known before training.
        """
        found = [(spec, self.store.find(spec, self.device)) for spec in self.specs()]
        lacking = [
            spec
            for spec, run in found
            if run is None
            or (retry_failed and run.failure is not None)
            or (embeddings and run.failure is None and not run.has_embeddings and not spec.cell.is_baseline)
        ]
        for _, run in found if lacking else ():
            if run is not None:
                run.check()
        return lacking


def design(
    names: Sequence[str] = (),
    *,
    dataset: str,
    protocol: Protocol,
    columns: str | None = None,
    negatives_from: str | None = None,
    item_features: str | None = None,
    consent: Consent = Consent(),
    samplers: Sequence[str] = (),
    losses: Sequence[str] = (),
    models: Sequence[str] = (),
    settings: Settings = (),
    seeds: Sequence[int] = tuple(range(5)),
    store: Store,
    device: str = "cpu",
    expect_sampled: int | None = None,
    refit: bool = False,
    advise: Advise | None = None,
    opened: Callable[[Data, Protocol], Split] | None = None,
) -> Experiment:
    """The experiment on one data set.

    `names` are completed by each of `samplers`, `losses` and `models`; without names, these multiply by themselves.
    A cell that was named as it is and cannot run is refused; one that came from multiplying is skipped with its reason.
    The name of an imported row stands for that row. `opened` opens the split where the size of a batch depends on it.

    Raises:
        UserError: anything that means nothing, before anything is trained.
    """
    own = own_names(names, dataset, store)
    names = [name for name in names if name not in own]
    if not names and not own and not (samplers or losses or models):
        raise UserError("Nothing to run: name cells, as in `bench compare uniform popularity`, or give a sampler.")
    for kind, given in (("sampler", samplers), ("loss", losses), ("model", models)):
        for text in given:
            REGISTRIES[kind].entry(named(text)[0])
    check_used(names, {"sampler": samplers, "loss": losses, "model": models})
    texts = expand(names or list(samplers or losses or models), list(samplers), list(losses), list(models))
    common, varied = shared_and_varied(settings)
    cells = [parse_cell(text, common, advise) for text in vary(texts, varied)]
    check_distinct(cells)
    kept = partial(_runnable, cells, names, item_features, bool(own))
    runnable, skipped = kept(protocol.strong)
    strong = protocol.strong
    data, protocol = data_of(dataset, protocol, columns, negatives_from, consent)
    if protocol.strong and not strong:  # a ready split that holds users out
        runnable, skipped = kept(True)
    data, unread = described(data, item_features, runnable)
    rows = training_rows(data, protocol, consent, store, opened) if _sized_by_rows(runnable) else 0
    runnable = tuple(parse_cell(cell.name, common, advise, rows) for cell in runnable) if rows else runnable
    if expect_sampled is not None and protocol.candidates != "full":
        raise UserError("Metrics expected over sampled candidates are computed from full ranks; leave candidates out.")
    return Experiment(
        data,
        protocol,
        runnable,
        tuple(seeds),
        store,
        skipped,
        device=device,
        expect_sampled=expect_sampled,
        refit=refit,
        advise=advise,
        imported=chosen(own, data, len(seeds)),
        rows=rows,
        unread=unread,
    )


def _runnable(
    cells: Sequence[Cell], names: Sequence[str], item_features: str | None, imported: bool, strong: bool
) -> tuple[tuple[Cell, ...], tuple[dict[str, str], ...]]:
    """The cells that can be trained and, where users are held out, rank them; and what is skipped, with its reason.

    Raises:
        UserError: a cell that was named as it is cannot, or none can and nothing is imported.
    """
    reasons = {
        cell.name: incompatibility(cell) or (unrankable(cell) if strong else None) or undescribed(cell, item_features)
        for cell in cells
    }
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
    if not runnable and not imported:
        raise UserError(f"None of the cells can be trained: {skipped[0]['reason']}.")
    return runnable, tuple(skipped)


def _sized_by_rows(cells: Sequence[Cell]) -> bool:
    """Whether the size of any cell's batch follows from the data."""
    return any(not cell.is_baseline and "batch_size" not in cell.given for cell in cells)


def training_rows(
    data: Data,
    protocol: Protocol,
    consent: Consent,
    store: Store,
    opened: Callable[[Data, Protocol], Split] | None = None,
) -> int:
    """About how many rows the training part has: by the catalogue where all counts give one batch, else exactly, by
    a finished run or by opening the split.

    Raises:
        UserError: the data cannot be had.
    """
    source = resolve(data.dataset, data.columns)
    bounds = source.training_rows(source.content(consent), protocol)
    if bounds is not None and batch_for(bounds[0]) == batch_for(bounds[1]):
        return bounds[0]
    known = store.training_rows(data)
    if known is not None:
        return known
    if opened is None:
        from bench.runs.runner import load_split

        return len(load_split(data, protocol, consent).train)
    return len(opened(data, protocol).train)


def data_of(
    dataset: str, protocol: Protocol, columns: str | None, negatives_from: str | None, consent: Consent
) -> tuple[Data, Protocol]:
    """Which data these are, and the protocol in force on them.

    Raises:
        UserError: the data cannot be had, or come split and the protocol asks for another split.
    """
    source = resolve(dataset, columns)
    content, protocol = source.content(consent), source.in_force(protocol)
    sha256 = content.sha256 if negatives_from is None else negatives.identity(content.sha256, negatives_from)
    return Data(dataset, sha256, protocol.as_dict(), content.columns or None, negatives_from, content.reading), protocol


def shared_and_varied(settings: Settings) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Settings with one value, and those with several, which multiply."""
    given: dict[str, list[str]] = {}
    for key, value in settings:
        values = given.setdefault(key, [])
        if value in values:
            raise UserError(f"The setting {key} is {value} twice; give each of its values once.")
        values.append(value)
    common = {key: values[0] for key, values in given.items() if len(values) == 1}
    return common, {key: values for key, values in given.items() if len(values) > 1}


def vary(texts: Sequence[str], varied: dict[str, list[str]]) -> list[str]:
    """Each cell once per combination of settings with several values; baselines, and cells with their own, once."""
    for key, values in varied.items():
        texts = [
            grown
            for text in texts
            for grown in (
                [text]
                if named(text)[0] in BASELINES or key in _options_of(text)
                else [with_option(text, key, value) for value in values]
            )
        ]
    return list(texts)


def _options_of(text: str) -> set[str]:
    return {key for piece in text.split("+") for key, _ in named(piece)[1]}


def default_jobs() -> int:
    """One worker per core this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
