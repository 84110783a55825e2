"""The options that say how data are read, prepared, split and ranked, for every command that takes a split."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from bench.cli.grammar import Core, said
from bench.cli.option import CELLS, DATA, option
from datasets.columns import with_format
from datasets.consent import Consent
from datasets.errors import UserError

if TYPE_CHECKING:
    from bench.runs.spec import Data
    from datasets.protocol import Protocol


def plug_in(paths: Sequence[str]) -> None:
    """Make the methods of these plug-ins known, and tell what of them no run id can be of.

    Raises:
        UserError: one of them is no plug-in, or means nothing.
    """
    from pathlib import Path

    from recmodels import plugins

    files = [Path(path).expanduser().resolve() for path in paths]
    if twice := next((path for at, path in enumerate(paths) if files[at] in files[:at]), None):
        raise UserError(f"--plugin {twice} is given twice; give each once.")
    found = [plugins.read(path) for path in paths]
    plugins.use(found)
    for plugin in found:
        for sentence in plugin.warnings():
            typer.echo(f"Warning: {sentence}", err=True)


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class Splitting:
    """How the interactions of a data set are read, prepared, held out and ranked, and what may be fetched for it."""

    plugin: Annotated[
        list[str] | None,
        option(
            "--plugin",
            CELLS,
            "file of samplers, losses, models or data of your own; repeatable",
            more=True,
            metavar="FILE",
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
    item_features: Annotated[
        str | None,
        option("--item-features", DATA, "file of what describes items, for the model two-tower", more=True),
    ] = None
    split: Annotated[str, option("--split", DATA, "how interactions are held out, e.g. ratio:test=0.2,order=time")] = (
        "leave-last-one-out"
    )
    split_seed: Annotated[
        int, option("--split-seed", DATA, "seed of random splits; never the run's seed", more=True)
    ] = 0
    target: Annotated[
        str,
        option(
            "--target",
            DATA,
            "which of a user's later interactions global-time holds out: all, first, last or random",
            more=True,
        ),
    ] = "all"
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

    examples: ClassVar[tuple[str, ...]] = ()
    """Two commands that show what it is for."""

    def run(self) -> int:
        """Do what was asked; the exit code."""
        raise NotImplementedError

    def plug_in(self) -> None:
        """Make the methods of the plug-ins known, and read all sources as they are now.

        Raises:
            UserError: one of them is no plug-in, or means nothing.
        """
        plug_in(self.plugin or ())

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
        from datasets.protocol import Protocol, with_target

        return Protocol(
            split=with_target(self.split, self.target),
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

    def data(self, dataset: str) -> "tuple[Data, Protocol]":
        """Which data these are, and the protocol in force on them, where no model is trained.

        Raises:
            UserError: no such data set, or options that mean nothing for it.
        """
        from bench.cli.hints import check_dataset
        from bench.runs.design import data_of

        check_dataset(dataset)
        if self.item_features is not None:
            raise UserError("--item-features is read by models that are trained and is in no split; leave it out.")
        columns = with_format(self.columns, self.time_format)
        return data_of(dataset, self.protocol, columns, self.negatives_from, self.consent)
