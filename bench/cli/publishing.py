"""How `bench publish` goes about it: a `table.toml` in, cells one after the other, a published table out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bench import ROOT
from bench.cli.publication import DESCRIPTION, Publication, described
from bench.cli.training import Conditions
from datasets.errors import UserError

if TYPE_CHECKING:
    from bench.results.parts import Part, Parts
    from bench.results.published import Published
    from bench.runs.design import Experiment


@dataclass(frozen=True)
class Making:
    """The making of one table.

    Attributes:
        folder: where it is published.
        work: where it is made; another folder where it is made again.
        asked: what is to be in it.
        search: the words of the search for its settings; None where rows have what `asked` says.
    """

    folder: Path
    work: Path
    asked: Publication
    search: Mapping[str, Any] | None

    @classmethod
    def of(cls, folder: Path, conditions: Conditions) -> "Making":
        """What the `table.toml` of a folder asks for, run under these conditions.

        Raises:
            UserError: there is none, or it says what means nothing.
        """
        asked, search = described(folder)
        return cls(folder, folder, replace(asked, **conditions), search)

    def make(self) -> int:
        """Publish the table, or compare the published one with what it rests on; the exit code."""
        from bench.results.parts import Parts, parts_of, put_aside
        from bench.results.published import MANIFEST, read

        (experiment,) = self.asked.checked()
        old = read(self.folder) if (self.folder / MANIFEST).exists() else None
        if old is not None and old.manifest["version"] == self.asked.version:
            return self._compare(old, experiment)
        if old is not None and old.manifest["version"] > self.asked.version:
            raise UserError(f"{old.name} is published and {DESCRIPTION} says version {self.asked.version}; raise it.")
        parts = Parts(self.work)
        if old is not None:
            _unpack(old, parts, parts_of(old))
        made = self._cells(experiment, parts)
        if _failed(made):
            return 1
        if old is not None:
            typer.echo(f"Moved {old.name} to {put_aside(old)}.", err=True)
        self._publish(made, parts)
        parts.remove()
        return 0

    def again(self, fresh: Path) -> int:
        """Make the whole table again in another folder, and compare it with the published one; the exit code."""
        from bench.results.again import unlike
        from bench.results.parts import Parts
        from bench.results.published import read

        published = read(self.folder)
        if fresh.exists() and (not fresh.is_dir() or fresh.resolve() == self.folder.resolve()):
            raise UserError(f"--fresh {fresh} is not a folder of its own; name one that is empty or does not exist.")
        if published.manifest["version"] != self.asked.version:
            raise UserError(f"{published.name} is published and {DESCRIPTION} says version {self.asked.version}.")
        making = replace(self, work=fresh, asked=replace(self.asked, results=str(fresh / "runs")))
        (experiment,) = making.asked.checked()
        parts = Parts(fresh)
        cells = making._cells(experiment, parts)
        if _failed(cells):
            return 1
        made = making._publish(cells, parts)
        found = list(unlike(published, made))
        for said in found:
            typer.echo(said)
        runs = sum(len(cell["runs"]) for cell in made.cells)
        end = f"{len(found)} differences" if found else "all but commit, version and command is as published"
        typer.echo(f"{published.name}: {runs} runs made again in {fresh}; {end}.", err=bool(found))
        return int(bool(found))

    def _compare(self, old: "Published", experiment: "Experiment") -> int:
        """Hold the published table to its ranks, and its description to the table."""
        from bench.cli.verify import report
        from bench.results.verify import verify

        old.check_current()
        request = self.asked
        if self.search is not None:
            request = replace(request, tuned_from=str(self.folder / "tuned.toml"))
            (experiment,) = request.experiments()
        asked = {cell.name: [spec.run_id for spec in experiment.of(cell)] for cell in experiment.cells}
        known = {cell["name"]: [run["run"] for run in cell["runs"]] for cell in old.cells}
        if name := next((name for name in {**asked, **known} if asked.get(name) != known.get(name)), None):
            raise UserError(
                f"{self.folder / DESCRIPTION} asks for other runs of '{name}' than {old.name} was published with; what "
                "is published stays, so raise the version."
            )
        if said := next(self._otherwise(old, request, experiment), None):
            raise UserError(
                f"{self.folder / DESCRIPTION} asks for {said}; what is published stays, so raise the version."
            )
        return report(old.name, sum(map(len, known.values())), verify(self.folder))

    def _otherwise(self, old: "Published", request: Publication, experiment: "Experiment") -> Iterator[str]:
        """What is asked for of the comparison or of a search that a published table has otherwise, in words."""
        now = {**_comparing(request, experiment), "cutoffs": request.metrics(request.cutoffs)}
        for key, value in {**now, "sampled": request.expect_sampled}.items():
            here, there = list(value) if isinstance(value, tuple) else value, old.manifest["asked"][key]
            if here != there:
                yield f"{key} {here} and {old.name} was published with {there}"
        for cell in old.cells:
            asked = None if self.search is None else self._search_record
            if cell["search"] != asked:
                yield f"the search {asked} and '{cell['name']}' of {old.name} was searched with {cell['search']}"

    def _cells(self, experiment: "Experiment", parts: "Parts") -> "list[Part]":
        """Every cell of the table, each kept as soon as it is finished."""
        return [self.cell(cell.name, parts) for cell in experiment.cells]

    def cell(self, name: str, parts: "Parts") -> "Part":
        """One cell, searched and run as far as it is not, and kept."""
        from bench.results.parts import Part, is_made
        from bench.results.ranks import Measured
        from bench.results.records import record

        known, study, tuned = parts.read(name), None, None
        if self.search is not None:
            tuned = parts.file(name, ".toml")
            study = self._kept(known, tuned) or self._searched(name, tuned)
        asked = self.asked.alone(name, tuned)
        (experiment,) = asked.experiments()
        if known is not None and is_made(known, experiment, experiment.cells[0]):
            return known
        asked.train(experiment, asked.metrics(asked.cutoffs))
        found = [run for spec in experiment.specs() if (run := experiment.store.find(spec, experiment.device))]
        ranks = {run.run_id: Measured(*run.measured()) for run in found if run.failure is None}
        part = Part(record(name, found, study), ranks)
        parts.write(part)
        return part

    def _kept(self, known: "Part | None", file: Path) -> dict[str, Any] | None:
        """The record of the study of a finished cell, where it is the search that is asked for now."""
        from bench.results.trials import STUDY
        from bench.runs.spec import CODE_PROTOCOL
        from bench.tuning.tuned import read

        if known is None or not file.exists() or known.record["search"] != self._search_record:
            return None
        if read(file).key.get("code_protocol") != CODE_PROTOCOL:
            return None
        return {key: known.record[key] for key in STUDY}

    @property
    def _search_record(self) -> dict[str, Any]:
        """The words of the search as JSON has them."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in (self.search or {}).items()}

    def _searched(self, name: str, file: Path) -> dict[str, Any]:
        """Search the settings of a cell and write them; the record of the study."""
        from bench.results.trials import study_record
        from bench.tuning.tuned import tuned_text

        tune = self.asked.tune(self.search or {}, name)
        (experiment,) = tune.checked()
        studies, found = tune.searched(experiment)
        if not found:
            raise UserError(f"No trial of {name} ended well; `bench runs list` has the reasons.")
        file.parent.mkdir(parents=True, exist_ok=True)
        text = tuned_text(experiment, tune.search_plan, tune.command(experiment), found)
        file.write_text(text, encoding="utf-8")
        ((study, trials),) = studies.items()
        return study_record(study, self._search_record, trials)

    def _publish(self, made: "list[Part]", parts: "Parts") -> "Published":
        """Write the table of finished cells into the folder where it is made, and print it."""
        from bench.comparison.compare import compare
        from bench.comparison.rows import head_of, rows_of
        from bench.results.published import SCHEMA, TUNED, asked, context_record, head_record, write
        from bench.runs.spec import CODE_PROTOCOL
        from bench.tables.render import render

        commands, text, request = [f"bench publish {_named(self.folder)}"], None, self.asked
        if self.search is not None:
            tune, text = self._joined(made, parts)
            (self.work / TUNED).write_text(text, encoding="utf-8")
            commands, request = [tune, *commands], replace(request, tuned_from=str(self.work / TUNED))
        (experiment,) = request.experiments()
        cutoffs = request.metrics(request.cutoffs)
        rows, context = rows_of(experiment, [part.runs(self.work) for part in made], cutoffs)
        comparison = compare(rows, **_comparing(request, experiment), context=context)
        manifest = {
            "schema": SCHEMA,
            "table": f"{experiment.data.name}/{request.table}",
            "version": request.version,
            "code_protocol": CODE_PROTOCOL,
            "commands": commands,
            "lock_sha256": _lock(),
            "asked": asked(comparison, cutoffs, request.expect_sampled),
            "context": context_record(context),
            "cells": [
                {**part.record, "row": head_record(head_of(experiment, cell))}
                for cell, part in zip(experiment.cells, made, strict=True)
            ],
        }
        ranks = {run: one for part in made for run, one in part.ranks.items()}
        published = write(self.work, manifest, ranks, text)
        typer.echo(render(published.comparison(), width=100))
        return published

    def _joined(self, made: "list[Part]", parts: "Parts") -> tuple[str, str]:
        """The command of the search for all cells, and the file of what it found."""
        from bench.tuning.tuned import read, tuned_text

        names = [str(part.record["name"]) for part in made]
        tune = self.asked.tune(self.search or {}, *names)
        (experiment,) = tune.checked()
        files = (read(parts.file(name, ".toml")) for name in names)
        found = [file.cells[part.record["study"]] for file, part in zip(files, made, strict=True)]
        command = tune.command(experiment)
        return command, tuned_text(experiment, tune.search_plan, command, found)


def _unpack(old: "Published", parts: "Parts", cells: "list[Part]") -> None:
    """Keep the cells of an older version as finished ones, and what was searched for them; newer ones stay."""
    from bench.results.published import TUNED

    for part in cells:
        if parts.file(part.record["name"], ".json").exists():
            continue
        parts.write(part)
        if part.record["study"] is not None:
            text = (old.folder / TUNED).read_text(encoding="utf-8")
            parts.file(part.record["name"], ".toml").write_text(text, encoding="utf-8")


def _failed(made: "list[Part]") -> bool:
    """Whether a run failed, which is said."""
    cells = [part.record for part in made if any(run["failure"] is not None for run in part.record["runs"])]
    if cells:
        typer.echo(
            f"Nothing is published, for runs of {', '.join(cell['name'] for cell in cells)} failed; `bench runs list "
            "--failed` has the reasons, and --retry-failed runs them again.",
            err=True,
        )
    return bool(cells)


def _comparing(request: Publication, experiment: "Experiment") -> dict[str, Any]:
    """How the rows of the table are compared, as `compare` takes it."""
    return {
        "metric": request.metric,
        "metrics": (f"hr@{request.metric.partition('@')[2]}", request.metric),
        "test": request.test,
        "correction": request.correction,
        "alpha": request.alpha,
        "alternative": request.side,
        "baseline": _full(request, experiment),
        "margin": request.margin,
    }


def _full(request: Publication, experiment: "Experiment") -> str | None:
    """The full name of the baseline's row, which published tables show."""
    from bench.comparison.names import short_names

    shown = request.row(experiment)
    names = dict(zip((cell.name for cell in short_names(experiment).cells), experiment.cells, strict=True))
    return names[shown].name if shown in names else shown


def _lock() -> str:
    """SHA-256 of the file that pins what the runs were made with."""
    from hashlib import sha256

    return sha256((ROOT / "requirements.lock").read_bytes()).hexdigest()


def _named(folder: Path) -> str:
    """The folder as a command names it, without what leads to the project."""
    inside = folder.resolve()
    return str(inside.relative_to(ROOT)) if inside.is_relative_to(ROOT) else inside.name
