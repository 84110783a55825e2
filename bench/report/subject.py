"""`Subject`: one comparison with all that the page says beside it, made of a published table or elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from bench.comparison.compare import by_group, compare
from bench.comparison.nouns import Comparison
from bench.comparison.user_groups import GROUPS, user_groups
from bench.report.searched import Search, search_of
from bench.results.published import Published
from bench.runs.spec import Data
from bench.runs.store import Store
from bench.runs.stored import StoredRun
from datasets.consent import Consent
from datasets.errors import UserError
from datasets.loading import load
from datasets.protocol import Protocol
from datasets.source import resolve

MOST = 60
"""Rows up to which every pair is tested and the baseline can be any row."""


Groups = Mapping[str, Mapping[str, Comparison]]


@dataclass(frozen=True)
class Subject:
    """What one part of the page is about.

    Attributes:
        comparison: of the rows; of more than `MOST` with pairs of one row only.
        commands: that make it again or look into it, a line each.
        runs: row → its runs of the store, for learning curves.
        no_histories: why there are no `runs`.
        searches: row → how its settings were searched.
        data: on which it is, for groups of users; None leaves them out.
        consent: what may be done to have the data; nothing is fetched for the page.
        waiting: a sentence on runs that are not there yet.
        remarks: what was left out of the comparison, a sentence each.
    """

    comparison: Comparison
    commands: tuple[str, ...]
    runs: Mapping[str, Sequence[StoredRun]] = field(default_factory=dict)
    no_histories: str = "There are no runs of the store behind these rows."
    searches: Mapping[str, Search] = field(default_factory=dict)
    data: Data | None = None
    consent: Consent = Consent(offline=True)
    waiting: str = ""
    remarks: tuple[str, ...] = ()

    @cached_property
    def all_pairs(self) -> Comparison | None:
        """The comparison with all pairs tested, whichever was asked for; None of too many rows, or on one side."""
        c = self.comparison
        if len(c.rows) > MOST or c.alternative != "two-sided":
            return None
        if c.baseline is None:
            return c
        return compare(
            c.rows,
            metric=c.metric,
            metrics=c.metrics,
            test=c.test,
            correction=c.correction,
            alpha=c.alpha,
            context=c.context,
        )

    def groups(self) -> Groups:
        """The comparison in thirds of the test users, by each way of grouping them.

        Raises:
            UserError: the data are not here, are others, or there are too many rows.
        """
        if self.data is None:
            raise UserError("The page was made without the data, which alone say who is active.")
        if len(self.comparison.rows) > MOST:
            raise UserError(f"More than {MOST} rows are not tested in groups; report fewer rows.")
        name, source = self.data.name, resolve(self.data.dataset, self.data.columns)
        if not source.here(self.consent) or source.content(self.consent).sha256 != self.data.sha256:
            raise UserError(f"{name} is not here, or with other content; bench data fetch {name} brings it.")
        split = load(
            self.data.dataset,
            Protocol.of(self.data.protocol),
            columns=self.data.columns,
            consent=self.consent,
            negatives_from=self.data.negatives_from,
        )
        return {by: by_group(self.comparison, user_groups(split, by)) for by in GROUPS}


def best_only(rows: Sequence[object]) -> bool:
    """Whether these are too many rows to test every pair of them."""
    return len(rows) > MOST


def of_published(published: Published, consent: Consent, store: Store) -> Subject:
    """A published table: its comparison from its ranks, its trials, and the commands that made and verify it.

    Histories of its runs are taken from the store, where it has all of them.

    Raises:
        UserError: a run has other ranks than it was published with.
    """
    spec, folder = published.cells[0]["spec"], published.folder
    made: Sequence[str] = published.manifest["commands"]
    runs, no_histories = histories_of(published, store)
    return Subject(
        published.comparison(),
        (*made, f"bench verify {folder}", f"bench verify {folder} --rerun 3", f"bench cite {folder}"),
        runs=runs,
        no_histories=no_histories,
        searches={cell["name"]: search_of(cell) for cell in published.cells if cell.get("trials")},
        data=Data(spec["dataset"], spec["data_sha256"], spec["protocol"], spec["columns"]),
        consent=replace(consent, offline=True),
    )


def histories_of(published: Published, store: Store) -> tuple[dict[str, list[StoredRun]], str]:
    """The runs of the store that are those of the table, by row, and where there are not all a sentence instead."""
    runs: dict[str, list[StoredRun]] = {}
    for cell in published.cells:
        spec = cell["spec"]
        folder = Data(spec["dataset"], spec["data_sha256"], spec["protocol"], spec["columns"]).folder
        found = [(store.at(folder, run["run"]), run["result_sha256"]) for run in cell["runs"]]
        runs[cell["name"]] = [run for run, result in found if run and run.record.get("result_sha256") == result]
    there, total = sum(map(len, runs.values())), sum(len(cell["runs"]) for cell in published.cells)
    if there == total:
        return runs, ""
    return {}, (
        "A published table keeps ranks and settings, not the history of each run; they are drawn from the store where "
        f"it has all of these runs, and {store.root} has {there} of {total}."
    )


def is_published(word: str) -> bool:
    """Whether the word names a published table: its folder, or the table.json in it."""
    path = Path(word)
    folder = path.parent if path.name == "table.json" else path
    return (folder / "manifest.json").is_file()
