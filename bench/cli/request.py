"""`Request`: what was asked, the same object from the command line, an experiment file and Python.

A command is a class that adds its own options to this one. Typer reads the types and the help of the fields, so that
this file and those of the commands do without `from __future__ import annotations`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer
from typer.models import OptionInfo

from bench.cli.grammar import Core, Seeds, Setting, said
from datasets.columns import with_format
from datasets.consent import Consent
from datasets.errors import UserError

if TYPE_CHECKING:
    from bench.runs.design import Experiment
    from datasets.protocol import Protocol
    from recmodels.recommended import Advise

CELLS, DATA, SIGNIFICANCE, TABLE, RUNNING = "What is compared", "Data", "Significance", "Table", "Running"
SEARCH = "Search"
PANELS = (CELLS, SEARCH, DATA, SIGNIFICANCE, RUNNING, TABLE)
"""In the order of the help, whichever class of requests adds to which."""


def option(flag: str, panel: str, help: str, *, more: bool = False, min: float | None = None) -> OptionInfo:
    """An option in a panel of the help; with `more` it is shown by --help-all alone."""
    info: OptionInfo = typer.Option(flag, help=help, rich_help_panel=panel, hidden=more, min=min)
    return info


@dataclass(frozen=True, kw_only=True)
class Request:
    """Which cells on which data with which seeds: all that decides which runs are meant, and where they are kept.

    Every field is an option of the same name on the command line (`settings` is `--set`) and a key of an experiment
    file; its help there says what it means. `names`, `sampler`, `loss`, `model` and `settings` with several values
    multiply. A field that is None was not asked for.
    """

    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CELL]... | FILE.toml",
            help="samplers, losses, baselines, or cells as in uniform+softmax:temperature=0.5; or an experiment file",
        ),
    ] = None
    sampler: Annotated[list[str] | None, option("--sampler", CELLS, "repeatable; the lists multiply")] = None
    loss: Annotated[list[str] | None, option("--loss", CELLS, "repeatable; the lists multiply")] = None
    model: Annotated[list[str] | None, option("--model", CELLS, "repeatable; the lists multiply")] = None
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
    settings: Annotated[
        list[Setting] | None,
        typer.Option(
            "--set",
            parser=said(Setting.of),
            metavar="NAME=VALUE",
            rich_help_panel=CELLS,
            help="trainer setting (bench list settings), repeatable; several values of one multiply",
        ),
    ] = None

    dataset: Annotated[
        list[str] | None,
        typer.Option(
            "--dataset",
            show_default="ml-100k",
            rich_help_panel=DATA,
            help="name of a data set, or path of a file or of a ready split; repeatable: a table each",
        ),
    ] = None
    columns: Annotated[
        str | None, option("--columns", DATA, "column names of a file, e.g. user,item,rating,timestamp")
    ] = None
    time_format: Annotated[
        str | None, option("--time-format", DATA, "how a file writes its times, e.g. '%d.%m.%Y %H:%M'", more=True)
    ] = None
    negatives_from: Annotated[
        str | None,
        option("--negatives-from", DATA, "file of pairs that users do not want, for the sampler given", more=True),
    ] = None
    split: Annotated[str, option("--split", DATA, "how interactions are held out, e.g. ratio:test=0.2,order=time")] = (
        "leave-last-one-out"
    )
    split_seed: Annotated[
        int, option("--split-seed", DATA, "seed of random splits; never the run's seed", more=True)
    ] = 0
    min_rating: Annotated[float | None, option("--min-rating", DATA, "leave out interactions rated lower")] = None
    k_core: Annotated[
        Core,
        typer.Option(
            "--k-core",
            parser=said(Core.of),
            metavar="K",
            show_default="0",
            hidden=True,
            rich_help_panel=DATA,
            help="keep users and items with at least K interactions; K or users,items",
        ),
    ] = Core(0, 0)
    min_user_count: Annotated[
        int, option("--min-user-count", DATA, "leave out users with fewer interactions, once", more=True, min=0)
    ] = 0
    min_item_count: Annotated[
        int, option("--min-item-count", DATA, "leave out items with fewer interactions, once", more=True, min=0)
    ] = 0
    sample_users: Annotated[
        int, option("--sample-users", DATA, "keep so many users, drawn at random; 0 keeps all", more=True, min=0)
    ] = 0
    duplicates: Annotated[
        str, option("--duplicates", DATA, "of a repeated pair keep the last, the first or the sum", more=True)
    ] = "last"
    candidates: Annotated[
        str, option("--candidates", DATA, "what is ranked: full, sampled:N, or given lists", more=True)
    ] = "full"
    mask: Annotated[
        str,
        option(
            "--mask",
            DATA,
            "what rankings leave out: known (train, and at test validation), train (at test too), none",
            more=True,
        ),
    ] = "known"
    unverified: Annotated[
        bool, option("--unverified", DATA, "accept data whose checksum is not the official one", more=True)
    ] = False
    accept_unpinned: Annotated[
        bool, option("--accept-unpinned", DATA, "accept data for which no checksum is known", more=True)
    ] = False
    offline: Annotated[bool, option("--offline", DATA, "never open a connection (or BENCH_OFFLINE=1)", more=True)] = (
        False
    )

    results: Annotated[str | None, option("--results", RUNNING, "folder of finished runs (also BENCH_RESULTS)")] = None
    device: Annotated[str, option("--device", RUNNING, "cpu or cuda", more=True)] = "cpu"

    examples: ClassVar[tuple[str, ...]] = ()
    """Two commands that show what it is for."""

    def run(self) -> int:
        """Do what was asked; the exit code."""
        raise NotImplementedError

    @property
    def stores(self) -> bool:
        """Whether runs may come into the store; then an experiment file is kept beside them."""
        return False

    @property
    def datasets(self) -> list[str]:
        """The data sets, ml-100k if none was named."""
        return self.dataset or ["ml-100k"]

    @property
    def consent(self) -> Consent:
        """What is allowed where data are fetched."""
        return Consent(self.unverified, self.accept_unpinned, True if self.offline else None)

    @property
    def protocol(self) -> "Protocol":
        """How interactions are held out and ranked.

        Raises:
            UserError: an unknown split, rule, mask or kind of candidates.
        """
        from datasets.protocol import Protocol

        return Protocol(
            split=self.split,
            split_seed=self.split_seed,
            min_rating=self.min_rating,
            k_core=(self.k_core.users, self.k_core.items),
            min_user_count=self.min_user_count,
            min_item_count=self.min_item_count,
            sample_users=self.sample_users,
            duplicates=self.duplicates,
            candidates=self.candidates,
            mask=self.mask,
        )

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
        from bench.runs.store import store_at

        check_words(self)
        if not re.fullmatch(r"cpu|cuda(:\d+)?", self.device):
            raise UserError(f"--device {self.device} is not a device; give cpu, cuda, or cuda:1 for the second GPU.")
        return design(
            self.names or (),
            dataset=dataset,
            protocol=self.protocol,
            columns=with_format(self.columns, self.time_format),
            negatives_from=self.negatives_from,
            consent=self.consent,
            samplers=self.sampler or (),
            losses=self.loss or (),
            models=self.model or (),
            settings=self.settings or (),
            seeds=self.seeds,
            store=store_at(self.results),
            device=self.device,
            expect_sampled=expect_sampled,
            refit=refit,
            advise=advise,
        )
