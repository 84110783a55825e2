"""`--with`: rows of a published table beside new ones, recomputed from their ranks and trained by nobody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.comparison import advice
from bench.comparison.nouns import Context, Row
from bench.comparison.rows import caption_facts, row_of
from bench.comparison.told import comparable
from bench.files import JSONObject
from bench.results.heads import settled
from bench.results.published import TUNED, Published, head_of_cell, read
from bench.runs.design import Experiment
from bench.runs.imported import of_data
from bench.runs.provenance import joined, mixed
from bench.runs.provenance import manifest as manifest_of
from bench.runs.spec import Cell
from bench.tuning.tuned import read as read_tuned
from datasets.errors import UserError, unknown


@dataclass(frozen=True)
class Beside:
    """Rows of a published table that go into another one.

    Attributes:
        published: the table.
        cells: of it.
        names: of their rows there, in the same order.
        whole: whether these are all cells that it has.
    """

    published: Published
    cells: tuple[JSONObject, ...]
    names: tuple[str, ...]
    whole: bool

    def rows(self, experiment: Experiment, cutoffs: Sequence[int]) -> list[Row]:
        """The rows, on the seeds of the experiment as far as they have them.

        Raises:
            UserError: a run has other ranks than it was published with, or a row has none of the seeds.
        """
        found = []
        for name, cell in zip(self.names, self.cells, strict=True):
            head = replace(head_of_cell(cell), name=name, seeds=experiment.seeds)
            runs = self.published.runs(cell)
            if not head.once:
                runs = [run for run in runs if run.record["spec"]["seed"] in experiment.seeds]
            if not runs:
                seeds = ", ".join(str(run["seed"]) for run in cell["runs"])
                raise UserError(
                    f"'{name}' of {self.published.name} has the seeds {seeds} and none of yours; give --seeds."
                )
            found.append(row_of(head, runs, list(cutoffs), experiment.expect_sampled))
        return found

    def settled(self) -> list[Cell]:
        """The cells of the rows, with what was searched for them."""
        tuned = self.published.folder / TUNED
        searched = read_tuned(tuned).cells if any(cell["study"] is not None for cell in self.cells) else {}
        return [settled(cell, name, searched) for name, cell in zip(self.names, self.cells, strict=True)]

    def made(self) -> list[JSONObject]:
        """What each run of the rows was made with."""
        return [cell["made"][run["made"]] for cell in self.cells for run in cell["runs"] if run["failure"] is None]


def set_beside(
    experiment: Experiment, rows: Sequence[Row], context: Context, others: Sequence[Beside], cutoffs: Sequence[int]
) -> tuple[list[Row], Context]:
    """The rows of an experiment with others beside them, and what a table says beside all of these.

    Raises:
        UserError: a run of the others has other ranks than it was published with, or a row has none of the seeds.
    """
    found, cells = [*rows], [*experiment.cells]
    facts, said = caption_facts(cells, found), {*advice.warnings(cells), *mixed(context.manifest)}
    kept = {key: value for key, value in context.facts.items() if key not in facts}
    warnings = [warning for warning in context.warnings if warning not in said]
    manifest = context.manifest
    for one in others:
        mine = one.settled()
        found, cells = found + one.rows(experiment, cutoffs), cells + mine
        of = f"rows of {one.published.name}"
        names = "all rows" if one.whole else ", ".join(one.names)
        kept[of] = f"{kept[of]}, {names}" if of in kept else names
        said = {*advice.warnings(mine)}  # which is said of all rows together
        warnings += [warning for warning in one.published.context.warnings if one.whole and warning not in said]
        manifest = joined(manifest, manifest_of(one.made()))
    told = dict.fromkeys([*advice.warnings(cells), *warnings, *mixed(manifest)])
    facts = {**caption_facts(cells, found), **kept}
    return found, replace(context, facts=facts, warnings=tuple(told), manifest=manifest)


def beside(text: str, experiment: Experiment) -> Beside:
    """What `results/ml-100k`, all rows, or `results/ml-100k:uniform+bpr`, one of them, means beside an experiment.

    Raises:
        UserError: no such table or row; a table of another code protocol, on other data, or split or ranked otherwise;
            a row that the experiment has too.
    """
    place, colon, wanted = text.partition(":")
    published = read(Path(place))
    published.check_current()
    cells = published.cells
    if colon:
        cells = [cell for cell in cells if cell["name"] == wanted]
        if not cells:
            raise unknown(f"row of {published.name}", wanted, (cell["name"] for cell in published.cells))
    _check_alike(published, cells, experiment)
    return Beside(published, tuple(cells), _names(published, cells, experiment), not colon)


def _check_alike(published: Published, cells: Iterable[JSONObject], experiment: Experiment) -> None:
    """Refuse rows that another evaluation than the experiment's gave."""
    same = of_data(experiment.data)
    read = {"reading of the file": "columns", "version of reading and splitting": "data_protocol"}
    ours = {**comparable(experiment), **{words: same[key] for words, key in read.items()}}
    for cell in cells:
        theirs = {**cell["row"]["identity"], **{words: cell["spec"].get(key) for words, key in read.items()}}
        for key, here in ours.items():
            if (there := theirs.get(key)) != here:
                there, here = (str(value)[:12] if key == "data" else value for value in (there, here))
                raise UserError(
                    f"Rows of {published.name} cannot stand beside yours: their {key} is {there}, and here it is "
                    f"{here}; give the same, or leave --with out."
                )


def _names(published: Published, cells: Iterable[JSONObject], experiment: Experiment) -> tuple[str, ...]:
    """What the rows are called: as there, or with the table's name where a row of other runs is called so here."""
    mine = {spec.run_id: cell.name for cell in experiment.cells for spec in experiment.of(cell)}
    taken = {*mine.values(), *(row.name for row in experiment.imported)}
    names = []
    for cell in cells:
        if name := next((mine[run["run"]] for run in cell["runs"] if run["run"] in mine), None):
            raise UserError(
                f"'{name}' is in {published.name}, run by run; leave it out here, or name the rows that you want as in "
                f"--with {published.folder}:{cell['name']}."
            )
        names.append(f"{cell['name']} ({published.name})" if cell["name"] in taken else cell["name"])
    return tuple(names)
