"""`bench recommend`: the items that a trained model puts first for users, without those they have."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from bench.cli.complete import VALUES, stored
from bench.cli.grammar import Seeds, Setting
from bench.cli.option import CELLS, DATA, RUNNING, TABLE, option, setting
from bench.cli.output import as_json
from bench.cli.splitting import Splitting
from bench.files import check_writable, writing
from datasets.errors import UserError

if TYPE_CHECKING:
    from bench.cli.compare import Compare
    from recmodels.recommender import Lists, Recommender

CELL, DATASET = "uniform+softmax", "ml-100k"
CURE = "give another --out"


@dataclass(frozen=True, kw_only=True)
class Recommend(Splitting):
    """The items that a trained model puts first for users, without those they have.

    The model is a run of the store with its vectors, or one that is trained now and kept. Without --refit it has
    learned from the train part alone.
    """

    users: Annotated[list[str], typer.Argument(metavar="USER...", help="users, as the data call them")]
    k: Annotated[int, typer.Option("-k", min=1, rich_help_panel=TABLE, help="items for each user")] = 10
    cell: Annotated[
        str | None,
        typer.Option(
            "--cell",
            autocompletion=VALUES["--baseline"],
            show_default=CELL,
            rich_help_panel=CELLS,
            help="a cell or a baseline, as in inbatch+softmax:temperature=0.2",
        ),
    ] = None
    run_id: Annotated[
        str | None,
        typer.Option(
            "--run",
            autocompletion=stored,
            rich_help_panel=CELLS,
            help="in place of a cell a run of the store (bench runs list), with its vectors",
        ),
    ] = None
    seed: Annotated[int, option("--seed", CELLS, "of the training", min=0)] = 0
    settings: Annotated[list[Setting] | None, setting("")] = None
    refit: Annotated[
        bool, option("--refit", CELLS, "train again on train and validation, for the chosen epochs", more=True)
    ] = False
    dataset: Annotated[str | None, option("--dataset", DATA, "the data set; ml-100k, or that of the run")] = None
    held_out: Annotated[
        bool, option("--held-out", DATA, "recommend items of the test part too, as the ranking of a table does")
    ] = False
    results: Annotated[str | None, option("--results", RUNNING, "folder of finished runs (also BENCH_RESULTS)")] = None
    quiet: Annotated[bool, option("--quiet", RUNNING, "no progress", more=True)] = False
    format: Annotated[str, option("--format", TABLE, "table or json")] = "table"
    out: Annotated[Path | None, option("--out", TABLE, "write user, item and score to a .csv, .tsv or .parquet")] = None

    examples: ClassVar[tuple[str, ...]] = (
        "bench recommend 196 186 -k 5 --cell inbatch+softmax --refit",
        "bench recommend 42 --dataset ratings.csv --cell ease --format json",
    )

    def run(self) -> int:
        """Find or train the model, and print or write the lists."""
        from datasets.writing import check_ending, write_columns

        wants_json = as_json(self.format)
        if self.out is not None:
            check_ending(self.out)
            check_writable(self.out, CURE)
        found = self._trained() if self.run_id is None else self._of_run(self.run_id)
        if found is None:
            return 1
        name, model = found
        lists = model.recommend(dict.fromkeys(self.users), self.k, held_out=self.held_out)
        if not self.quiet:
            typer.echo(name, err=True)
        if self.out is not None:
            with writing(self.out, CURE):
                self.out.parent.mkdir(parents=True, exist_ok=True)
                write_columns(self.out, {"user": lists.users, "item": lists.items, "score": lists.scores})
            typer.echo(f"Wrote {self.out}.", err=True)
            return 0
        typer.echo(_as_json(lists) if wants_json else _as_table(lists))
        return 0

    def _of_run(self, run: str) -> "tuple[str, Recommender]":
        """What the model is, and the model, of a stored run.

        Raises:
            UserError: no such run, one without vectors, or options that it answers itself.
        """
        from bench.cli.runs import one_run
        from bench.runs.exported import recommender, split_of
        from bench.runs.stored import read

        own = ("cell", "seed", "settings", "refit")
        answered = [*fields(Splitting), *(field for field in fields(self) if field.name in own)]
        for field in answered:
            if field.name in ("plugin", "negatives_from"):  # they may name the data
                continue
            if getattr(self, field.name) != field.default:
                word = {"settings": "set"}.get(field.name, field.name.replace("_", "-"))
                raise UserError(f"--run {run} says how it was made; leave --{word} out.")
        found = read(one_run(self.results, run))
        return f"Run {found.run_id}.", recommender(found, split_of(found, self.dataset, self.negatives_from))

    def _trained(self) -> "tuple[str, Recommender] | None":
        """The same of a cell, whose run is trained where the store lacks it; None where that fails.

        Raises:
            UserError: anything that means nothing, or several cells.
        """
        from bench.cli.outcome import outcome
        from bench.runs.exported import recommender
        from bench.runs.runner import Task, load_split, refitted
        from recmodels.plugins import in_use
        from recmodels.recommender import Recommender, check_users

        request = self._request()
        (experiment,) = request.checked()
        if len(experiment.specs()) != 1:
            raise UserError(
                f"{self.cell or CELL} makes {len(experiment.specs())} runs, and one recommends; name one cell."
            )
        (spec,) = experiment.specs()
        split = load_split(experiment.data, experiment.protocol, self.consent)
        check_users(split, [*map(str, split.user_ids.tolist())], self.users)  # before anything is trained for them
        request.train(experiment)
        if outcome([experiment]):
            return None
        run = experiment.store.find(spec)
        assert run is not None
        name = f"{spec.cell.name} seed {spec.seed} on {experiment.data.name}, run {run.run_id}."
        if not spec.cell.is_baseline:
            return name, recommender(run, split)
        task = Task(spec, experiment.protocol, self.consent, plugins=in_use())
        return name, Recommender(refitted(task, split), split)

    def _request(self) -> "Compare":
        """What `bench compare` would be asked for the one run."""
        from bench.cli.compare import Compare

        split = {field.name: getattr(self, field.name) for field in fields(Splitting)}
        return Compare(
            names=[self.cell or CELL],
            dataset=[self.dataset or DATASET],
            seeds=Seeds((self.seed,)),
            settings=self.settings,
            refit=self.refit,
            results=self.results,
            quiet=self.quiet,
            keep_embeddings=True,
            jobs=1,
            **split,
        )


def _by_user(lists: "Lists") -> Iterator[tuple[object, list[tuple[object, float]]]]:
    rows = [*zip(lists.users.tolist(), lists.items.tolist(), lists.scores.tolist(), strict=True)]
    for user in dict.fromkeys(user for user, _, _ in rows):
        yield user, [(item, score) for owner, item, score in rows if owner == user]


def _as_table(lists: "Lists") -> str:
    from tabulate import tabulate

    rows = [
        (user if place == 1 else "", place, item, f"{score:.4f}")
        for user, found in _by_user(lists)
        for place, (item, score) in enumerate(found, start=1)
    ]
    return tabulate(rows, ("user", "place", "item", "score"), disable_numparse=True)


def _as_json(lists: "Lists") -> str:
    found = [
        {"user": user, "items": [{"item": item, "score": score} for item, score in items]}
        for user, items in _by_user(lists)
    ]
    return json.dumps(found, indent=1, ensure_ascii=False)
