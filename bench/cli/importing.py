"""`bench import`: another program's lists, for the same split, as a row of our tables."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from bench.cli.option import CELLS, DATA, RUNNING, option
from bench.cli.splitting import Splitting
from bench.files import RESULTS, check_writable
from datasets.errors import UserError

if TYPE_CHECKING:
    from datasets.lists import Lists
    from datasets.split import Split


@dataclass(frozen=True, kw_only=True)
class Import(Splitting):
    """Put another program's lists, for the same split, beside our rows.

    A file has user, item and score or rank, and perhaps a seed, as CSV, TSV or Parquet; or it is a TREC run.
    """

    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="one file; or one for each seed, in their order")
    ]
    name: Annotated[str, option("--name", CELLS, "what the row is called, as in bench compare NAME uniform+bpr")]
    list_columns: Annotated[
        str | None,
        option("--list-columns", CELLS, "columns of the lists, as user,item,score or user=uid,item=sku,rank=pos"),
    ] = None
    dataset: Annotated[str, option("--dataset", DATA, "the data set that the lists are for")] = "ml-100k"
    results: Annotated[str | None, option("--results", RUNNING, "folder of finished runs (also BENCH_RESULTS)")] = None
    quiet: Annotated[bool, option("--quiet", RUNNING, "no progress", more=True)] = False

    examples: ClassVar[tuple[str, ...]] = (
        "bench import implicit.csv.gz --name implicit-bpr --dataset ml-100k",
        "bench import seed0.run seed1.run --name mine --dataset ratings.csv --split ratio:test=0.2",
    )

    def run(self) -> int:
        """Read, rank and keep the lists of every seed; nothing is kept where one of them cannot be."""
        from bench.cli.progress import fetching
        from bench.comparison.imported import remarks
        from bench.runs.imported import CUTOFFS, Imported, ImportedSpec, check_free, check_name, content_sha256, keep
        from bench.runs.runner import load_split
        from bench.runs.store import store_at

        check_name(self.name)
        store = store_at(self.results)
        check_writable(store.root, RESULTS, folder=True)
        data, protocol = self.data(self.dataset)
        with fetching(self.quiet) as told:
            split = load_split(data, protocol, self.consent, told)
        lists = self._lists(split)
        specs = [ImportedSpec(data, content_sha256(part), seed) for seed, _, part in lists]
        check_free(store, self.dataset, self.name, specs)
        runs = [
            keep(store, spec, self.name, part, split, file) for spec, (_, file, part) in zip(specs, lists, strict=True)
        ]
        for run in runs:
            means = ", ".join(
                f"{name} {value:.4f}" for name, value in run.record["metrics"].items() if name[:2] in ("hr", "nd")
            )
            typer.echo(f"{self.name}\tseed {run.record['spec']['seed']}\t{run.path.name}\t{means}")
        row = Imported(self.name, tuple(runs))
        read = [f"Read {file['file']} as {file['read_as']}" for file in row.files]
        for line in (*read, *remarks(row, CUTOFFS)):
            typer.echo(f"{line}.", err=True)
        return 0

    def _lists(self, split: "Split") -> "list[tuple[int, Path, Lists]]":
        """Seed, file and lists of every run that the files make.

        Raises:
            UserError: what `read_lists` refuses, or several files of which one has seeds too.
        """
        from datasets.lists import read_lists

        found = []
        for number, file in enumerate(self.files):
            lists = read_lists(file, split.user_ids, split.item_ids, self.list_columns)
            if lists.seeds is None:
                found.append((number, file, lists))
                continue
            if len(self.files) > 1:
                raise UserError(f"{file.name} has a column of seeds and several files are a seed each; give it alone.")
            for seed in sorted(set(lists.seeds.tolist())):
                mine = lists.seeds == seed
                found.append(
                    (
                        seed,
                        file,
                        replace(lists, users=lists.users[mine], items=lists.items[mine], scores=lists.scores[mine]),
                    )
                )
        return found
