"""A table in the making: what is kept of each finished cell, in `cells/`, so that the next command goes on from there.

Of a cell there are `<name>.json` (its record), `<name>.parquet` (the ranks of its runs) and, where its settings were
searched, `<name>.toml` (what was found). Publishing joins them; a newer version of a table begins with the older one's.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import NamedTuple

from bench.files import JSONObject, writing
from bench.results.published import CURE, MANIFEST, Published
from bench.results.ranks import Measured, read_ranks, write_ranks
from bench.results.records import PublishedRun, faults, runs_of
from bench.runs.design import Experiment
from bench.runs.spec import Cell
from datasets.errors import UserError


class Part(NamedTuple):
    """A finished cell: its record, and what its runs measured."""

    record: JSONObject
    ranks: dict[str, Measured]

    def runs(self, place: Path) -> list[PublishedRun]:
        """Its runs, as the store would give them."""
        return runs_of(self.record, self.ranks, place)


class Parts:
    """The finished cells of the table in a folder."""

    def __init__(self, folder: Path) -> None:
        self.place = folder / "cells"

    def file(self, name: str, ending: str) -> Path:
        """Where something of the cell called `name` is kept."""
        return self.place / ("".join(c if c.isalnum() or c in "-_.+=" else "-" for c in name) + ending)

    def read(self, name: str) -> Part | None:
        """The finished cell, or None.

        Raises:
            UserError: its files are not as they were written.
        """
        file = self.file(name, ".json")
        if not file.exists():
            return None
        try:
            part = Part(json.loads(file.read_text(encoding="utf-8")), read_ranks(self.file(name, ".parquet")))
            wrong = next(faults(*part), None)
        except Exception as error:  # pyarrow tells of bad bytes in many ways
            raise UserError(f"{file} cannot be read ({error}); delete it, and the cell is made again.") from error
        if wrong is not None or part.record["name"] != name:
            raise UserError(f"{file} was changed since it was written; delete it, and the cell is made again.")
        return part

    def write(self, part: Part) -> None:
        """Keep a finished cell; its record comes last, without which it is not finished.

        Raises:
            UserError: the folder cannot be written.
        """
        name = str(part.record["name"])
        with writing(self.place, CURE):
            self.place.mkdir(parents=True, exist_ok=True)
            write_ranks(self.file(name, ".parquet"), part.ranks)
            file = self.file(name, ".json")
            temporary = file.with_name(f".writing-{file.name}")
            temporary.write_text(json.dumps(part.record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            temporary.replace(file)

    def remove(self) -> None:
        """Forget the cells, once they are published."""
        shutil.rmtree(self.place, ignore_errors=True)


def is_made(part: Part, experiment: Experiment, cell: Cell) -> bool:
    """Whether a finished cell has the runs that are asked for now, and none of them failed."""
    asked = [spec.run_id for spec in experiment.of(cell)]
    runs = part.record["runs"]
    return [run["run"] for run in runs] == asked and all(run["failure"] is None for run in runs)


def parts_of(published: Published) -> list[Part]:
    """The cells of a published table, each by itself."""
    found = []
    for cell in published.cells:
        ranks = {run["run"]: published.ranks[run["run"]] for run in cell["runs"] if run["run"] in published.ranks}
        found.append(Part({key: value for key, value in cell.items() if key != "row"}, ranks))
    return found


def put_aside(published: Published) -> Path:
    """Move a published table into a folder named by its version, where it can be read and verified as before.

    Raises:
        UserError: there is one already, or the folder cannot be written.
    """
    aside = published.folder / f"v{published.manifest['version']}"
    if aside.exists():
        raise UserError(f"{aside} is there already; move it away, and the same command goes on.")
    names = [*published.manifest["files"], MANIFEST]
    with writing(published.folder, CURE):
        aside.mkdir()
        for name in reversed(names):  # the manifest first: without it the rest is no published table
            (published.folder / name).rename(aside / name)
    return aside
