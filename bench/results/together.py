"""Published tables of several data sets as `bench across` takes them: the rows that all have, from their ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.comparison.compare import compare
from bench.comparison.nouns import Comparison, Row
from bench.comparison.rows import row_of
from bench.results.published import Published, head_of_cell, read
from bench.statistics.crossed import Alternative
from bench.tables.caption import masked_words, seeds_words
from datasets.errors import UserError, unknown


def comparisons(
    places: Sequence[Path],
    *,
    metric: str,
    correction: str,
    alpha: float,
    alternative: Alternative,
    baseline: str | None,
    command: str,
) -> tuple[list[Comparison], list[str]]:
    """One comparison per published table, of the rows that are called the same in all of them, in the first's order,
    on the seeds that all have; and what a reader must know of how the tables differ.

    Raises:
        UserError: fewer than two tables, one that cannot be read or is of another code protocol, fewer than two rows in
            common, or no such row to be the baseline.
    """
    if len(places) < 2:
        raise UserError(f"{places[0]} is one published table and bench across needs two at least; name another.")
    tables = [read(place) for place in places]
    check_alike(tables)
    each = [[cell["name"] for cell in table.cells] for table in tables]
    shared = [name for name in each[0] if all(name in names for names in each)]
    if len(shared) < 2:
        told = ", ".join(table.name for table in tables)
        raise UserError(f"{told} have {len(shared)} rows of the same name and two are needed; name other tables.")
    if baseline is not None and baseline not in shared:
        raise unknown("row of all these tables", baseline, shared)
    seeds = seeds_of(tables)
    found = []
    for table in tables:
        rows = rows_called(table, shared, seeds, int(metric.partition("@")[2]))
        context = replace(table.context, command=command)
        options = {"correction": correction, "alpha": alpha, "alternative": alternative, "baseline": baseline}
        found.append(compare(rows, metric=metric, metrics=(metric,), **options, context=context))  # type: ignore[arg-type]
    return found, told_apart(tables, each, shared, seeds)


def seeds_of(tables: Sequence[Published]) -> tuple[int, ...]:
    """The seeds that every row of every table has.

    Raises:
        UserError: there are none.
    """
    rows = [cell["row"]["seeds"] for table in tables for cell in table.cells]
    if not (seeds := tuple(seed for seed in rows[0] if all(seed in others for others in rows))):
        raise UserError(f"{', '.join(table.name for table in tables)} have no seed in common; name other tables.")
    return seeds


def rows_called(table: Published, names: Sequence[str], seeds: Sequence[int], cutoff: int) -> list[Row]:
    """The rows of a table that have these names, in their order, on these seeds.

    Raises:
        UserError: a run has other ranks than it was published with.
    """
    cells, found = {cell["name"]: cell for cell in table.cells}, []
    for name in names:
        head = replace(head_of_cell(cells[name]), seeds=tuple(seeds))
        runs = [run for run in table.runs(cells[name]) if head.once or run.record["spec"]["seed"] in seeds]
        found.append(row_of(head, runs, [cutoff], table.manifest["asked"]["sampled"]))
    return found


def check_alike(tables: Sequence[Published]) -> None:
    """Refuse tables whose numbers other code would give.

    Raises:
        UserError: their code protocols differ.
    """
    first = tables[0]
    for table in tables[1:]:
        if table.code_protocol != first.code_protocol:
            raise UserError(
                f"{first.name} was made by code protocol {first.code_protocol} and {table.name} by "
                f"{table.code_protocol}, which gives other numbers; name tables of one code protocol."
            )


def told_apart(
    tables: Sequence[Published], each: Sequence[Sequence[str]], shared: Sequence[str], seeds: Sequence[int]
) -> list[str]:
    """What a reader must know of tables that are not alike: what is left out, and where protocol or settings differ."""
    said = []
    for table, names in zip(tables, each, strict=True):
        if alone := [name for name in names if name not in shared]:
            said.append(f"Rows of {table.name} that not every table has are left out: {', '.join(alone)}.")
    if any(len(cell["row"]["seeds"]) > len(seeds) for table in tables for cell in table.cells):
        said.append(f"Seeds that not every table has are left out; {seeds_words(seeds)} stay.")
    for what, values in (
        ("Splits", [str(table.context.protocol["split"]) for table in tables]),
        ("Rankings", [masked_words(table.context.protocol) or "of given candidates" for table in tables]),
        ("Candidates", [_candidates(table) for table in tables]),
        ("Settings", ["tuned" if any(c["study"] for c in table.cells) else "not tuned" for table in tables]),
    ):
        if len(set(values)) > 1:
            pairs = (f"{table.name}: {value}" for table, value in zip(tables, values, strict=True))
            said.append(f"{what} differ: {'; '.join(pairs)}.")
    return said


def _candidates(table: Published) -> str:
    """Which items its rankings are among."""
    sampled = table.manifest["asked"]["sampled"]
    return str(table.context.protocol["candidates"]) if sampled is None else f"expected over {sampled} sampled"
