"""`bench report`: one self-contained page of cells, an experiment file, a published table, or the whole store."""

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from sys import argv
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from bench.cli.option import RUNNING, SIGNIFICANCE, TABLE, option
from bench.cli.outcome import outcome
from bench.cli.shown import Tested
from bench.files import check_writable, writing
from datasets.errors import UserError

if TYPE_CHECKING:
    from bench.report.subject import Subject
    from bench.runs.design import Experiment
    from bench.runs.store import Store
    from bench.runs.stored import StoredRun

ITS_OWN = ("out", "watch", "port")
"""What says where the page goes, and nothing of what is in it."""

OF_THE_STORE = (
    *("dataset", "results", "metric", "cutoffs", "test", "correction", "alpha", "alternative"),
    *("offline", "unverified", "accept_unpinned", "plugin"),
)
"""What may be said of the whole store; the rest is of cells."""


@dataclass(frozen=True, kw_only=True)
class Report(Tested):
    """Write one self-contained page of stored runs, which opens from the disk; trains nothing.

    Name cells as for bench compare, an experiment file, or a published table. Without names it is of the whole store.
    """

    test: Annotated[
        str, option("--test", SIGNIFICANCE, "significance test; crossed treats users and seeds as random")
    ] = "crossed"
    out: Annotated[Path, option("--out", TABLE, "the file of the page")] = Path("report.html")
    watch: Annotated[
        bool, option("--watch", RUNNING, "show the page on 127.0.0.1 while runs are made, in place of a file")
    ] = False
    port: Annotated[int, option("--port", RUNNING, "of --watch; 0 takes any that is free", more=True, min=0)] = 8321

    examples: ClassVar[tuple[str, ...]] = (
        "bench report uniform popularity inbatch --loss softmax --out softmax.html",
        "bench report results/ml-100k",
    )

    @property
    def by(self) -> str:
        """The test that was asked for."""
        return self.test

    @property
    def named(self) -> bool:
        """Whether cells are named, or a table; else it is about the whole store."""
        return bool(self.names or self.sampler or self.loss or self.model)

    def run(self) -> int:
        """Write the page, or show it until Ctrl-C."""
        self._check_place()
        table = self._published()
        if table is None and not self.named:
            self._check_given(OF_THE_STORE, "is of cells; name some, or leave it out for the whole store")
        experiments = self.checked() if table is None and self.named else []
        if self.watch:
            if table is not None:
                raise UserError(f"{table} does not change, so that there is nothing to watch; leave --watch out.")
            return self._serve(experiments)
        self._write(self._subjects(table, experiments))
        return outcome(experiments)

    def _check_place(self) -> None:
        """Refuse a file that could not be written, before anything is computed."""
        if not self.watch:
            if self.out.suffix.lower() not in (".html", ".htm"):
                raise UserError(f"--out {self.out} is no page; end it in .html.")
            check_writable(self.out, "give another --out")

    def _check_given(self, allowed: Sequence[str], why: str) -> None:
        """Refuse options that would be ignored."""
        from bench.cli.experiment_file import word

        for field in fields(self):
            default = field.default if field.default is not MISSING else None
            if field.name not in (*allowed, *ITS_OWN) and getattr(self, field.name) != default:
                raise UserError(f"--{word(field.name)} {why}.")

    def _published(self) -> Path | None:
        """The published table that is named, which stands alone."""
        from bench.report.subject import is_published

        found = next((name for name in self.names or () if is_published(name)), None)
        if found is None:
            return None
        if len(self.names or ()) > 1:
            raise UserError(f"{found} is a published table and stands alone; leave the other names out.")
        kept = ("names", "offline", "unverified", "accept_unpinned", "results", "plugin")
        self._check_given(kept, f"is of cells, and {found} is shown as it was published; leave it out")
        return Path(found)

    def _subjects(self, table: Path | None, experiments: "Sequence[Experiment]") -> "list[Subject]":
        """What the page is about."""
        from bench.report.subject import of_published

        if table is not None:
            from bench.results.published import read
            from bench.runs.store import store_at

            return [of_published(read(table), self.consent, store_at(self.results))]
        if experiments:
            return [self._subject(experiment) for experiment in experiments]
        return self._of_store()

    def _subject(self, experiment: "Experiment") -> "Subject":
        """One experiment; while it is watched, of the runs that are there."""
        from bench.comparison.rows import rows_of, stored_runs
        from bench.report.searched import searches_of
        from bench.report.subject import Subject, best_only

        titled, waiting = self.titled(experiment), ""
        tuned = self.tuned_settings(experiment.data.dataset)
        names = [cell.name for cell in titled.cells]
        searches, unsearched = searches_of(tuned, experiment.cells, names) if tuned is not None else ({}, "")
        if self.watch:
            runs = {cell.name: _there(titled, cell.name) for cell in titled.cells}
            titled = replace(titled, cells=tuple(cell for cell in titled.cells if runs[cell.name]))
            done, total = sum(map(len, runs.values())), len(experiment.specs())
            waiting = f"{done} of {total} runs are done; rows without a run are not shown." if done < total else ""
            if not titled.cells and not titled.imported:
                raise UserError(f"None of the {total} runs is done yet; this page looks again every few seconds.")
        else:
            runs = {cell.name: stored_runs(titled, cell) for cell in titled.cells}
        cutoffs = self.metrics(self.cutoffs)
        rows, context = rows_of(titled, [runs[cell.name] for cell in titled.cells], cutoffs)
        baseline = self.row(experiment)
        if self.watch and baseline not in {row.name for row in rows}:
            baseline = None
        return Subject(
            self.comparison_of(experiment, rows, context, baseline=baseline, best_only=best_only(rows)),
            commands=again(argv[2:]),
            runs=runs,
            searches=searches,
            data=None if self.watch else experiment.data,
            consent=replace(self.consent, offline=True),
            waiting=waiting,
            remarks=(unsearched,) if unsearched else (),
        )

    def _of_store(self) -> "list[Subject]":
        """Every table that the store allows."""
        from bench.comparison.compare import compare
        from bench.report.stored import tables
        from bench.report.subject import Subject, best_only
        from bench.runs.store import store_at

        store = store_at(self.results)
        found = tables(store, self.metrics(self.cutoffs), self.dataset or ())
        if not found:
            of = f" on {', '.join(self.dataset)}" if self.dataset else ""
            raise UserError(f"There are no finished runs{of} in {store.root}; `bench compare` makes some.")
        return [
            Subject(
                compare(
                    one.rows,
                    metric=self.metric,
                    metrics=(f"hr@{self.metric.partition('@')[2]}", self.metric),
                    test=self.test,
                    correction=self.correction,
                    alpha=self.alpha,
                    alternative=self.side,
                    best_only=best_only(one.rows),
                    context=one.context,
                ),
                one.commands,
                runs=one.runs,
                data=None if self.watch else one.data,
                consent=replace(self.consent, offline=True),
                remarks=one.remarks,
            )
            for one in found
        ]

    def _write(self, subjects: "Sequence[Subject]") -> None:
        from bench.report.page import page

        text = page(subjects)
        with writing(self.out, "give another --out"):
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self.out.write_text(text, encoding="utf-8")
        typer.echo(f"Wrote {self.out} ({len(text.encode()) / 1e6:.1f} MB); open it in a browser.", err=True)

    def _serve(self, experiments: "Sequence[Experiment]") -> int:
        """Show the page until Ctrl-C; the store is only read."""
        from bench.report.page import page
        from bench.report.serve import server
        from bench.runs.store import store_at

        store = store_at(self.results)
        with server(self.port, lambda: _state(store), lambda s: page(self._subjects(None, experiments), s)) as one:
            typer.echo(f"{one.url} shows the runs as they come; Ctrl-C ends it.", err=True)
            try:
                one.serve_forever()
            except KeyboardInterrupt:
                typer.echo("Ended.", err=True)
        return 0


def _there(experiment: "Experiment", name: str) -> "list[StoredRun]":
    """The runs of a cell that the store has."""
    (cell,) = (cell for cell in experiment.cells if cell.name == name)
    found = [experiment.store.find(spec, experiment.device) for spec in experiment.of(cell)]
    return [run for run in found if run is not None]


def _state(store: "Store") -> str:
    """A word that is another one after a run came or went: how many there are, and when that changed last."""
    folders = store.folders()
    return f"{len(folders)}-{max((folder.stat().st_mtime_ns for folder in folders), default=0)}"


def again(words: Sequence[str]) -> tuple[str, ...]:
    """The commands that train what these words of `bench report` name, and print it."""
    from bench.runs.provenance import command_line

    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        name, equals, _ = word.partition("=")
        if name in ("--out", "--port"):
            next(rest, None) if not equals else None
        elif name != "--watch":
            kept.append(word)
    return tuple(command_line([verb, *kept]) for verb in ("compare", "table", "report"))
