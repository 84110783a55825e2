"""`bench cite`: what a table is cited with."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from bench.cli.option import SIGNIFICANCE, TABLE, option
from bench.cli.output import Output
from bench.cli.shown import Tested
from datasets.errors import UserError, unknown

if TYPE_CHECKING:
    from bench.runs.design import Experiment

FORMS = {".txt": "text", ".bib": "bibtex", ".tex": "latex"}
"""What an ending of --out means."""

NEEDED = ("dataset", "protocol", "data", "rows", "pairs", "facts", "manifest", "test", "correction", "seeds", "users")


@dataclass(frozen=True, kw_only=True)
class Cite(Tested, Output):
    """BibTeX, a methods paragraph and the manifest of a table, or of cells yet to be run.

    A table is a published one (its folder, or the table.json in it) or any that --format json wrote. Cells are named as
    for bench compare; nothing is trained. Without names it is the software alone.
    """

    test: Annotated[
        str, option("--test", SIGNIFICANCE, "significance test; crossed treats users and seeds as random")
    ] = "crossed"
    format: Annotated[
        str | None,
        option("--format", TABLE, "text (paragraph and BibTeX) | bibtex | latex (manifest and paragraph)"),
    ] = None

    examples: ClassVar[tuple[str, ...]] = (
        "bench cite results/ml-100k/table.json --out references.bib",
        "bench cite uniform+bpr inbatch+softmax --dataset ml-1m --format latex",
    )

    @property
    def by(self) -> str:
        """The test that was asked for."""
        return self.test

    @property
    def form(self) -> str:
        """The format: as asked for, else by the ending of `out`, else text.

        Raises:
            UserError: there is no such format, or the ending says none.
        """
        if self.format is None and self.out is not None and self.out.suffix.lower() not in FORMS:
            raise UserError(f"{self.out} has an ending that says no format; end it in {', '.join(FORMS)}.")
        form = self.format or (FORMS[self.out.suffix.lower()] if self.out is not None else "text")
        if form not in FORMS.values():
            raise unknown("format", form, FORMS.values(), {"bib": "bibtex", "tex": "latex", "table": "text"})
        return form

    def run(self) -> int:
        """Print what was asked for."""
        from bench.results.citing import bibtex, comments, paragraph

        form = self.form
        self.check_out()
        if not (self.names or self.sampler or self.loss or self.model):
            return self._software(form)
        table, manifest = self._table()
        if form == "bibtex":
            self.emit(bibtex(table))
        elif form == "latex":
            self.emit(f"{comments(table, manifest)}\n\n{paragraph(table, latex=True)}")
        else:
            self.emit(f"{paragraph(table)}\n\n{bibtex(table)}")
        return 0

    def _software(self, form: str) -> int:
        """Print what the software alone is cited with."""
        from bench.results import bibliography

        if form == "latex":
            raise UserError("--format latex is of a table or of cells; name some, as in `bench cite results/ml-100k`.")
        self.emit(bibliography.software((), (), None).bibtex())
        typer.echo(
            "This is the software alone. Name a published table or cells, as in `bench cite results/ml-100k`, for the "
            "papers of its data and methods and a paragraph on how it was made.",
            err=True,
        )
        return 0

    def _table(self) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """The object of `--format json` of what was named, and the manifest of a published table."""
        place = next((Path(name) for name in self.names or () if _is_table(name)), None)
        if place is None:
            (experiment,) = self._one()
            return (self._planned(experiment) if experiment.missing() else self.compared(experiment).as_dict()), None
        if len(self.names or ()) > 1:
            raise UserError(f"{place} is a table and stands alone; leave the other names out.")
        if place.is_dir() or (place.name == "table.json" and place.with_name("manifest.json").exists()):
            from bench.results.published import folder_of, read_manifest

            folder = folder_of(place)
            return _read(folder / "table.json"), read_manifest(folder)
        return _read(place), None

    def _one(self) -> "list[Experiment]":
        if len(self.datasets) > 1:
            raise UserError(f"A table has one data set and there are {len(self.datasets)}; choose one.")
        return self.checked()

    def _planned(self, experiment: "Experiment") -> dict[str, Any]:
        """What the object of `--format json` would say of cells that are not run."""
        from bench.comparison.rows import caption_facts
        from bench.comparison.told import settings_of

        rows = [{**cell.labels(), "name": cell.name, "settings": settings_of(cell)} for cell in experiment.cells]
        several = len(rows) - 1 if self.baseline is not None else len(rows) * (len(rows) - 1) // 2
        sampled = {} if self.expect_sampled is None else {"expected_over_sampled_candidates": self.expect_sampled}
        refit = {"refit": "on train and validation"} if experiment.refit else {}
        return {
            "dataset": experiment.data.name,
            "protocol": {**experiment.protocol.as_dict(), **sampled, **refit},
            "metric": self.metric,
            "seeds": list(experiment.seeds),
            "users": None,
            "test": self.test,
            "correction": self.correction,
            "alpha": self.alpha,
            "baseline": self.row(experiment),
            "data": {"sha256": experiment.data.sha256},
            "rows": rows,
            "pairs": [],
            "family": several,
            "facts": caption_facts(experiment.cells, ()),
            "manifest": {},
        }


def _is_table(name: str) -> bool:
    path = Path(name)
    return path.suffix.lower() == ".json" or (path.is_dir() and (path / "manifest.json").exists())


def _read(path: Path) -> dict[str, Any]:
    try:
        table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        missing = [key for key in NEEDED if key not in table]
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; name a published table, or cells as for `bench compare`.") from None
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path} is no table in JSON ({error}); make one with --format json.") from error
    if missing:
        raise UserError(f"{path} is no table that --format json wrote: it has no {missing[0]}.")
    return table
