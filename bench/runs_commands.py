"""`bench runs`: what the store holds, and how to carry it from one machine to another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datasets.errors import UserError, unknown

if TYPE_CHECKING:
    from bench.store import Store, StoredRun

app = typer.Typer(help="The store of finished runs: list, show, rm, gc, merge.", no_args_is_help=True)

Results = Annotated[str | None, typer.Option("--results", help="folder of finished runs (also BENCH_RESULTS)")]
Dataset = Annotated[str | None, typer.Option("--dataset", help="only runs on this data set")]
Failed = Annotated[bool, typer.Option("--failed", help="only failed runs")]
Format = Annotated[str, typer.Option("--format", help="table or json")]

COLUMNS = ("run", "dataset", "cell", "seed", "state", "ndcg@10", "seconds")


@app.command("list")
def list_(dataset: Dataset = None, failed: Failed = False, results: Results = None, format: Format = "table") -> None:
    """Every finished run: what it is, how it ended, its mean NDCG@10."""
    if format not in ("table", "json"):
        raise unknown("format", format, ["table", "json"])
    rows = [_row(run) for run in _chosen(_store(results), dataset, failed)]
    if format == "json":
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    from tabulate import tabulate

    cells = [["" if row[name] is None else row[name] for name in COLUMNS] for row in rows]
    typer.echo(tabulate(cells, COLUMNS, floatfmt=".4f", disable_numparse=[0, 1, 2, 3, 4]))


@app.command()
def show(run: Annotated[str, typer.Argument(help="run id, or the beginning of one")], results: Results = None) -> None:
    """All that is known about one run; for a failed one with its traceback."""
    found = _one(_store(results), run)
    typer.echo(json.dumps(found.record, indent=1, ensure_ascii=False))
    typer.echo("Files: " + ", ".join(str(path) for path in sorted(found.path.iterdir())), err=True)
    trace = found.path / "traceback.txt"
    if trace.exists():
        typer.echo(trace.read_text(encoding="utf-8").rstrip(), err=True)


@app.command()
def rm(
    runs: Annotated[list[str] | None, typer.Argument(help="run ids, or the beginnings of some")] = None,
    dataset: Dataset = None,
    failed: Failed = False,
    results: Results = None,
) -> None:
    """Remove runs by id, or all failed ones, or all on a data set."""
    store = _store(results)
    if not runs and not failed and dataset is None:
        raise UserError("Nothing was named to remove; give run ids, --failed or --dataset.")
    chosen = [_one(store, run) for run in runs] if runs else list(_chosen(store, dataset, failed))
    for run in chosen:
        hidden = run.path.with_name(f".writing-removed-{run.path.name}")  # a rename: never half a run
        run.path.rename(hidden)
        shutil.rmtree(hidden)
    typer.echo(f"Removed {_runs(len(chosen))}.")


@app.command()
def gc(results: Results = None) -> None:
    """Remove what commands that were killed left half-written; no finished run is touched."""
    from bench.claims import alone

    store = _store(results)
    with alone(store):
        leftovers = sorted(store.root.glob("*/.writing-*"))
        size = sum(file.stat().st_size for path in leftovers for file in path.rglob("*") if file.is_file())
        for path in leftovers:
            shutil.rmtree(path)
    typer.echo(
        f"Removed {len(leftovers)} half-written {'folder' if len(leftovers) == 1 else 'folders'}, {size:,} bytes."
    )


@app.command()
def merge(
    sources: Annotated[list[Path], typer.Argument(help="results folders of other machines")], results: Results = None
) -> None:
    """Copy the runs of other stores into this one; the same run with other numbers is refused, before any is copied."""
    from bench.store import Store

    store = _store(results)
    new: dict[tuple[str, str], StoredRun] = {}
    for source in sources:
        if not source.is_dir():
            raise UserError(f"There is no results folder {source}; give one that holds <dataset>/<run_id>/run.json.")
        for run in Store(source).runs():
            key = (run.path.parent.name, run.path.name)
            here = new.get(key) or store.at(*key)
            if here is not None and here.failure is None and run.failure is None and not _equal(here, run):
                raise UserError(
                    f"Run {run.run_id} has other numbers in {source} than in {here.path.parents[1]}: they come from "
                    "other code or another kind of processor; remove one with `bench runs rm`."
                )
            if here is None or (here.failure is not None and run.failure is None):
                new[key] = run
    for run in new.values():
        store.copy(run)
    typer.echo(f"Copied {_runs(len(new))}.")


def _store(results: str | None) -> Store:
    from bench.experiment import store_at

    return store_at(results)


def _chosen(store: Store, dataset: str | None, failed: bool) -> Iterator[StoredRun]:
    names = {run.path.parent.name for run in store.runs()}
    if dataset is not None and dataset not in names:
        raise unknown("data set with runs", dataset, names or ["(none)"])
    for run in store.runs():
        if dataset in (None, run.path.parent.name) and (run.failure is not None or not failed):
            yield run


def _one(store: Store, run: str) -> StoredRun:
    found = [each for each in store.runs() if each.path.name.startswith(run)]
    if not found:
        raise UserError(f"No run in {store.root} begins with {run}; see `bench runs list`.")
    exact = [each for each in found if each.path.name == run]
    if len(exact or found) > 1:
        raise UserError(
            f"{len(found)} runs begin with {run}; give more of the id: {found[0].run_id}, {found[1].run_id}, …."
        )
    return (exact or found)[0]


def _row(run: StoredRun) -> dict[str, Any]:
    spec = run.record["spec"]
    parts = [spec[kind]["name"] for kind in ("sampler", "loss", "model") if spec[kind]]
    return {
        "run": run.path.name,
        "dataset": run.path.parent.name,
        "cell": "+".join(parts),
        "seed": spec["seed"],
        "state": "done" if run.failure is None else f"failed: {run.failure}",
        "ndcg@10": run.record["metrics"].get("ndcg@10"),
        "seconds": run.record["seconds"].get("total"),
    }


def _equal(one: StoredRun, other: StoredRun) -> bool:
    """Whether both hold the same ranks of the same users; time and machine may differ."""
    import pyarrow.parquet as pq

    tables = [pq.ParquetFile(run.path / "users.parquet").read() for run in (one, other)]
    common = [name for name in tables[0].column_names if name in tables[1].column_names]
    return bool(tables[0].select(common).equals(tables[1].select(common)))


def _runs(count: int) -> str:
    return f"{count} {'run' if count == 1 else 'runs'}"
