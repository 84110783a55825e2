"""`bench runs`: what the store holds, and how to carry it from one machine to another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.command import Command, Group, examples
from bench.cli.complete import stored
from bench.cli.output import as_json
from datasets.errors import UserError, unknown

if TYPE_CHECKING:
    from bench.runs.described import Row
    from bench.runs.store import Store
    from bench.runs.stored import StoredRun

app = typer.Typer(
    cls=Group,
    help="The store of finished runs: list, show, export, rm, verify, gc, merge.",
    no_args_is_help=True,
    add_completion=False,
)

Results = Annotated[str | None, typer.Option("--results", help="folder of finished runs (also BENCH_RESULTS)")]
Dataset = Annotated[str | None, typer.Option("--dataset", help="only runs on this data set")]
Failed = Annotated[bool, typer.Option("--failed", help="only failed runs")]
Format = Annotated[str, typer.Option("--format", help="table or json")]

COLUMNS = ("run", "dataset", "cell", "conditions", "seed", "state", "ndcg@10", "seconds")
CURE = "give another --out"
SHORT = 10  # letters of a run id in a table, unless two begin alike


@app.command("list", cls=Command)
def list_(
    dataset: Dataset = None,
    cell: Annotated[
        str | None, typer.Option("--cell", help="only runs whose cell, as uniform+bpr+mf, has this text in it")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="only runs with this seed")] = None,
    failed: Failed = False,
    results: Results = None,
    format: Format = "table",
) -> None:
    """Every run: what it is, how it ended, its mean NDCG@10 by its own ranks; a damaged one is marked."""
    from bench.runs.described import DAMAGED, described

    wants_json = as_json(format)
    store = _store(results)
    rows = [described(folder) for folder in _chosen(store, dataset, failed)]
    named = [row for row in rows if cell is None or cell in str(row["cell"]) or cell in str(row["parts"])]
    rows = [row for row in named if seed in (None, row.get("seed"))]
    if wants_json:
        typer.echo(
            json.dumps([{name: row.get(name) for name in COLUMNS} for row in rows], indent=1, ensure_ascii=False)
        )
        return
    if not rows:
        such = " such" if store.folders() else ""
        typer.echo(f"There are no{such} runs in {store.root.absolute()}; `bench compare` makes some.", err=True)
        return
    typer.echo(_table(rows, get_terminal_size().columns))
    if any(row["state"] == DAMAGED for row in rows):
        typer.echo("Damaged: `bench runs verify` says what is wrong, `bench runs rm` removes.", err=True)


def _table(rows: Sequence[Row], width: int) -> str:
    """A line for each run, cut to the width; what all runs share is said once below."""
    from bench.runs.described import shared_conditions

    shared = shared_conditions(rows)
    short = SHORT if len({str(row["run"])[:SHORT] for row in rows}) == len(rows) else 99
    lines = [["run", "dataset", "seed", "ndcg@10", "cell", "state"]]
    for row in rows:
        told = [str(row["cell"]), *(word for word in str(row["conditions"]).split() if word not in shared)]
        ndcg = f"{row['ndcg@10']:.4f}" if row.get("ndcg@10") is not None else ""
        what = (str(row["run"])[:short], row["dataset"], row.get("seed", ""), ndcg, " ".join(told), row["state"])
        lines.append([*map(str, what)])
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    over = sum(widths) + 2 * (len(widths) - 1) - width
    for k, least in ((5, 7), (1, 12), (4, 12)):  # the state gives way first, then the data set, then the cell
        given = max(0, min(over, widths[k] - least))
        widths[k], over = widths[k] - given, over - given
    fitted = [[_cut(text, size) for text, size in zip(line, widths, strict=True)] for line in lines]
    text = "\n".join("  ".join(line).rstrip() for line in fitted)
    return f"{text}\nAll: {' '.join(shared)}." if shared else text


def _cut(text: str, size: int) -> str:
    return text.ljust(size) if len(text) <= size else f"{text[: size - 1]}…"


@app.command(cls=Command)
def show(
    run: Annotated[str, typer.Argument(metavar="RUN", autocompletion=stored, help="run id, or the beginning of one")],
    results: Results = None,
) -> None:
    """All that is known about one run; a failed one with its traceback, a damaged one with exit code 1."""
    folder = _one(_store(results), run)
    record, trace = folder / "run.json", folder / "traceback.txt"
    if record.is_file():
        typer.echo(record.read_text(encoding="utf-8", errors="replace").rstrip())
    typer.echo("Files: " + ", ".join(str(path) for path in sorted(folder.iterdir())), err=True)
    if trace.exists():
        typer.echo(trace.read_text(encoding="utf-8", errors="replace").rstrip(), err=True)
    if problem := _problem(folder):
        typer.echo(problem, err=True)
        raise typer.Exit(1)


@app.command(
    cls=Command,
    epilog=examples(
        "bench runs export 3a02 --out lists.csv.gz", "bench runs export 3a02 --vectors items --out items.npz"
    ),
)
def export(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...", autocompletion=stored, help="run ids, or the beginnings of some, on one data set"
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="a .csv, .tsv or .parquet, text also as .gz, .bz2 or .zst; or .npz")
    ],
    depth: Annotated[
        int | None,
        typer.Option("--depth", min=1, show_default="100", help="items of a list, and all level with the last"),
    ] = None,
    vectors: Annotated[
        str | None, typer.Option("--vectors", help="users or items: their ids and vectors, as .npz or .parquet")
    ] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="the path, where the data are a file")] = None,
    negatives_from: Annotated[
        str | None, typer.Option("--negatives-from", help="the file of negatives that the runs read, if any")
    ] = None,
    plugin: Annotated[
        list[str] | None, typer.Option("--plugin", metavar="FILE", help="that names the data set; repeatable")
    ] = None,
    results: Results = None,
) -> None:
    """What runs with kept vectors recommend to the test users: user, item, score, seed; or the vectors of one run."""
    from bench.cli.splitting import plug_in
    from bench.files import check_writable, writing
    from bench.runs.exported import lists_of_all, write_vectors
    from bench.runs.stored import read
    from datasets.writing import check_ending, write_columns

    if vectors is not None:
        given = {
            "several runs": len(runs) > 1,
            "--depth": depth,
            "--dataset": dataset,
            "--negatives-from": negatives_from,
            "--plugin": plugin,
        }
        if wrong := next((what for what, value in given.items() if value), None):
            raise UserError(f"--vectors are those of one run, whatever its data; leave {wrong} out.")
        check_writable(out, CURE)
        run = read(one_run(results, runs[0]))
        with writing(out, CURE):
            out.parent.mkdir(parents=True, exist_ok=True)
            count = write_vectors(run, vectors, out)
        typer.echo(f"Wrote {count:,} vectors of run {run.run_id} to {out}.", err=True)
        return
    check_ending(out)
    check_writable(out, CURE)
    plug_in(plugin or ())
    chosen = [read(one_run(results, run)) for run in dict.fromkeys(runs)]
    columns = lists_of_all(chosen, dataset, 100 if depth is None else depth, negatives_from)
    with writing(out, CURE):
        out.parent.mkdir(parents=True, exist_ok=True)
        write_columns(out, columns)
    typer.echo(f"Wrote {len(columns['user']):,} rows of {_runs(len(chosen))} to {out}.", err=True)


def one_run(results: str | None, run: str) -> Path:
    """The folder of the run whose id begins so, in a folder of results.

    Raises:
        UserError: no such folder or run, or several.
    """
    return _one(_store(results), run)


@app.command(cls=Command)
def rm(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN...", autocompletion=stored, help="run ids, or the beginnings of some"),
    ] = None,
    dataset: Dataset = None,
    failed: Failed = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be removed; remove nothing")] = False,
    results: Results = None,
) -> None:
    """Remove runs by id, damaged ones too, or all failed ones, or all on a data set; each is named."""
    from bench.runs.described import described, in_words

    store = _store(results)
    if not runs and not failed and dataset is None:
        raise UserError("Nothing was named to remove; give run ids, --failed or --dataset.")
    if runs and (failed or dataset is not None):
        raise UserError("Run ids say what to remove; leave --failed and --dataset out.")
    chosen = list(dict.fromkeys(_one(store, run) for run in runs)) if runs else _chosen(store, dataset, failed)
    for folder in chosen:
        typer.echo(in_words(described(folder)))
        if not dry_run:
            hidden = folder.with_name(f".writing-removed-{folder.name}")  # a rename: never half a run
            folder.rename(hidden)
            shutil.rmtree(hidden)
    typer.echo(f"{'Would remove' if dry_run else 'Removed'} {_runs(len(chosen))}.")


@app.command(cls=Command)
def verify(dataset: Dataset = None, results: Results = None) -> None:
    """Read every run and compare it with its hashes; each damaged one is a line, and the exit code is 1."""
    folders = _chosen(_store(results), dataset, failed=False)
    problems = [problem for folder in folders if (problem := _problem(folder))]
    for problem in problems:
        typer.echo(problem)
    bad = f", {len(problems)} of them damaged" if problems else ": all are as they were written"
    typer.echo(f"{_runs(len(folders))} read{bad}.", err=bool(problems))
    if problems:
        raise typer.Exit(1)


@app.command(cls=Command)
def gc(
    given_up: Annotated[
        bool, typer.Option("--given-up", help="trials too that bench tune gave up; the same search runs them again")
    ] = False,
    results: Results = None,
) -> None:
    """Remove what commands that were killed left half-written or half-trained; no finished run is touched."""
    from bench.runs.claims import alone
    from bench.runs.store import UNFINISHED
    from bench.tuning.kept import FOLDER, trials

    store = _store(results)
    with alone(store):
        folders = sorted([*store.root.glob("*/.writing-*"), *store.root.glob(f"*/{UNFINISHED}/*")])
        files = sorted(store.root.glob(f"*/{FOLDER}/*.writing"))
        found = trials(store)
        removed = [*files, *(found if given_up else ())]
        inside = [file for path in folders for file in path.rglob("*") if file.is_file()]
        size = sum(file.stat().st_size for file in (*inside, *removed))
        for path in folders:
            shutil.rmtree(path)
        for path in removed:
            path.unlink()
    halves = _counted(len(folders) + len(files), "half-written run")
    told = f" and {_counted(len(found), 'given-up trial')}" if given_up else ""
    typer.echo(f"Removed {halves}{told}, {size:,} bytes.")
    if found and not given_up:
        typer.echo(f"{_counted(len(found), 'given-up trial')} of bench tune kept; --given-up removes them.", err=True)


@app.command(cls=Command)
def merge(
    sources: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="results folders of other machines")],
    results: Results = None,
) -> None:
    """Copy the runs of other stores into this one; the same run with other numbers is refused, before any is copied."""
    from bench.runs.store import Store, store_at

    store = store_at(results)
    new: dict[tuple[str, str], StoredRun] = {}
    for source in sources:
        if not source.is_dir():
            raise UserError(f"There is no results folder {source}; give one that holds <dataset>/<run_id>/run.json.")
        if store.root.is_dir() and source.samefile(store.root):
            raise UserError(f"{source} is this store itself; name the results folder of another machine.")
        if not Store(source).folders():
            raise UserError(f"There are no runs in {source}; give a folder that holds <dataset>/<run_id>/run.json.")
        for run in Store(source).runs():
            key = (run.path.parent.name, run.path.name)
            here = new.get(key) or store.at(*key)
            run.check()
            ours, theirs = (each and each.record["result_sha256"] for each in (here, run))
            if here is not None and ours and theirs and ours != theirs:
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
    from bench.runs.store import store_at

    store = store_at(results)
    if results is not None and not store.root.is_dir():
        raise UserError(f"There is no results folder {results}; give one that holds runs with --results.")
    return store


def _chosen(store: Store, dataset: str | None, failed: bool) -> list[Path]:
    folders = store.folders()
    names = {folder.parent.name for folder in folders}
    if dataset is not None and not names:
        raise UserError(f"There are no runs in {store.root.absolute()}, so there are none on {dataset}.")
    if dataset is not None and dataset not in names:
        raise unknown("data set with runs", dataset, names)
    chosen = [folder for folder in folders if dataset in (None, folder.parent.name)]
    return [folder for folder in chosen if _has_failed(folder)] if failed else chosen


def _has_failed(folder: Path) -> bool:
    from bench.runs.stored import Damaged, read

    try:
        return read(folder).failure is not None
    except Damaged:
        return False


def _problem(folder: Path) -> str | None:
    """What is wrong with a run, in a sentence; None if it is as it was written."""
    from bench.runs.stored import Damaged, read

    try:
        read(folder).check()
    except Damaged as error:
        return str(error)
    return None


def _one(store: Store, run: str) -> Path:
    if not run:
        raise UserError("The run id is empty; give one of `bench runs list`, or the beginning of one.")
    found = [folder for folder in store.folders() if folder.name.startswith(run)]
    if not found:
        raise UserError(f"No run in {store.root} begins with {run}; see `bench runs list`.")
    exact = [folder for folder in found if folder.name == run]
    if len(exact or found) > 1:
        raise UserError(
            f"{len(found)} runs begin with {run}; give more of the id: {found[0].name}, {found[1].name}, …."
        )
    return (exact or found)[0]


def _runs(count: int) -> str:
    return _counted(count, "run")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
