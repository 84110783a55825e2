"""`Request`: what was asked, the same object from the command line, an experiment file and Python.

A command is a class that adds its own options to this one. Typer reads the types and the help of the fields, so that
this file and those of the commands do without `from __future__ import annotations`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from bench.cli.complete import VALUES, cells
from bench.cli.grammar import Seeds, Setting, said
from bench.cli.option import CELLS, DATA, RUNNING, option, setting
from bench.cli.splitting import Splitting
from datasets.columns import with_format
from datasets.errors import UserError

if TYPE_CHECKING:
    from bench.runs.design import Experiment
    from bench.runs.spec import Data
    from datasets.protocol import Protocol
    from datasets.split import Split
    from recmodels.recommended import Advise


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class Cells:
    """Which cells, with which seeds and settings, on which data sets.

    `names`, `sampler`, `loss`, `model` and `settings` with several values multiply.
    """

    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CELL... | FILE.toml",
            autocompletion=cells,
            help="samplers, losses, baselines, or cells as in uniform+softmax:temperature=0.5; or an experiment file",
        ),
    ] = None
    sampler: Annotated[list[str] | None, option("--sampler", CELLS, "samplers, repeatable; the lists multiply")] = None
    loss: Annotated[list[str] | None, option("--loss", CELLS, "losses, repeatable; the lists multiply")] = None
    model: Annotated[list[str] | None, option("--model", CELLS, "models, repeatable; the lists multiply")] = None
    seeds: Annotated[
        Seeds,
        typer.Option(
            "--seeds",
            parser=said(Seeds.of),
            metavar="SEEDS",
            show_default="5",
            rich_help_panel=CELLS,
            help="a count (5 means 0 to 4), a range 10-14 or a list 3,7",
        ),
    ] = Seeds(range(5))
    settings: Annotated[list[Setting] | None, setting("; several values of one multiply")] = None

    dataset: Annotated[
        list[str] | None,
        typer.Option(
            "--dataset",
            autocompletion=VALUES["--dataset"],
            show_default="ml-100k",
            rich_help_panel=DATA,
            help="name of a data set, or path of a file or of a ready split; repeatable: a table each",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class Request(Splitting, Cells):
    """Which cells on which data with which seeds: all that decides which runs are meant, and where they are kept.

    Every field is an option of the same name on the command line (`settings` is `--set`) and a key of an experiment
    file; its help there says what it means. A field that is None was not asked for.
    """

    results: Annotated[str | None, option("--results", RUNNING, "folder of finished runs (also BENCH_RESULTS)")] = None
    device: Annotated[str, option("--device", RUNNING, "cpu or cuda", more=True)] = "cpu"

    imports: ClassVar[bool] = False
    """Whether its rows may be imported ones, which nothing can train."""

    @property
    def stores(self) -> bool:
        """Whether runs may come into the store; then an experiment file is kept beside them."""
        return False

    @property
    def datasets(self) -> list[str]:
        """The data sets, ml-100k if none was named."""
        return self.dataset or ["ml-100k"]

    def experiments(self) -> "list[Experiment]":
        """The experiment on each data set; every mistake in any of them is found before anything starts.

        Raises:
            UserError: anything that means nothing.
        """
        return [self.experiment(dataset) for dataset in self.datasets]

    def experiment(self, dataset: str) -> "Experiment":
        """The experiment on one of them.

        Raises:
            UserError: anything that means nothing.
        """
        return self._design(dataset)

    @property
    def silent(self) -> bool:
        """Whether nothing is said of what goes on."""
        return False

    def opened(self, data: "Data", protocol: "Protocol") -> "Split":
        """The split, fetched and prepared where it is not yet; lines and bars on stderr say so.

        Raises:
            UserError: the data cannot be had, read or split.
        """
        from bench.cli.progress import fetching
        from bench.runs.runner import load_split

        with fetching(self.silent) as told:
            return load_split(data, protocol, self.consent, told)

    def checked(self) -> "list[Experiment]":
        """The experiments, once every mistake in what is to be done with their runs is found too.

        Raises:
            UserError: anything that means nothing.
        """
        return self.experiments()

    def _design(
        self,
        dataset: str,
        *,
        expect_sampled: int | None = None,
        refit: bool = False,
        advise: "Advise | None" = None,
    ) -> "Experiment":
        """The experiment that the fields mean, with what only some requests may ask for."""
        import re

        from bench.cli.hints import check_words
        from bench.runs.design import design
        from bench.runs.imported import names_on
        from bench.runs.store import store_at

        store = store_at(self.results)
        imported = names_on(store, dataset, self.names or ())
        check_words(self, imported)
        if not self.imports and (own := [name for name in self.names or () if name in imported]):
            raise UserError(f"'{own[0]}' was imported from another program, so that it has no training; leave it out.")
        if not re.fullmatch(r"cpu|cuda(:\d+)?", self.device):
            raise UserError(f"--device {self.device} is not a device; give cpu, cuda, or cuda:1 for the second GPU.")
        return design(
            self.names or (),
            dataset=dataset,
            protocol=self.protocol,
            columns=with_format(self.columns, self.time_format),
            negatives_from=self.negatives_from,
            item_features=self.item_features,
            consent=self.consent,
            samplers=self.sampler or (),
            losses=self.loss or (),
            models=self.model or (),
            settings=self.settings or (),
            seeds=self.seeds,
            store=store,
            device=self.device,
            expect_sampled=expect_sampled,
            refit=refit,
            advise=advise,
            opened=self.opened,
        )
