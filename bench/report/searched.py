"""`Search`: how the settings of a row were searched, from a published table or from a file that `bench tune` wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bench.files import JSONObject
from bench.runs.spec import Cell
from bench.tuning.tuned import Tuned, TunedCell


class Search(NamedTuple):
    """The trials of one cell, in order, and what its finalists came to over their seeds."""

    scores: tuple[float | None, ...]
    given_up: tuple[bool, ...]
    finalists: tuple[tuple[float, ...], ...]


def search_of(cell: JSONObject) -> Search:
    """The search that the record of a published cell keeps."""
    trials = cell["trials"]
    return Search(
        tuple(trial["score"] for trial in trials),
        tuple(trial["given_up"] is not None for trial in trials),
        tuple(tuple(one["scores"]) for one in cell["finalists"]),
    )


def searches_of(tuned: Tuned, cells: Sequence[Cell], names: Sequence[str]) -> tuple[Mapping[str, Search], str]:
    """The searches of the cells by the `names` of their rows, and a sentence where the file does not have them."""
    found = {name: tuned.cell(cell.name) for cell, name in zip(cells, names, strict=True)}
    searches = {name: search for name, cell in found.items() if cell is not None and (search := _search(cell))}
    if len(searches) == len(found):
        return searches, ""
    lacking = ", ".join(name for name in found if name not in searches)
    return searches, (
        f"No tuning curve of {lacking}: {tuned.name} was written without its trials. The command in it writes it "
        "again, and trains nothing that the store has."
    )


def _search(cell: TunedCell) -> Search | None:
    if "scores" not in cell.facts:
        return None
    scores = tuple(None if score == "none" else float(score) for score in cell.facts["scores"])
    stopped = set(cell.facts["stopped"])
    return Search(scores, tuple(at in stopped for at in range(len(scores))), tuple(map(tuple, cell.facts["finalists"])))
