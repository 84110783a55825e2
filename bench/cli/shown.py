"""The options of a command that tests the rows of a table and shows them, and what it prints."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from sys import argv
from typing import TYPE_CHECKING, Annotated, ClassVar, get_args

import typer

from bench.cli.grammar import Cutoffs, said
from bench.cli.option import CELLS, SIGNIFICANCE, TABLE, option
from bench.cli.output import Formatted
from bench.cli.reported import Reported
from bench.files import check_writable
from datasets.errors import UserError, unknown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bench.comparison.nouns import Comparison, Context, Row
    from bench.results.beside import Beside
    from bench.runs.design import Experiment
    from bench.statistics.crossed import Alternative

CAPTIONS = ("short", "full")


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class Tested(Reported):
    """A request whose rows are compared: against what, on which side, corrected how, at which level."""

    cutoffs: Annotated[
        Cutoffs,
        typer.Option(
            "--cutoffs",
            parser=said(Cutoffs.of),
            metavar="K,…",
            show_default="5,10,20",
            rich_help_panel=SIGNIFICANCE,
            help="K of the metrics, separated by commas",
        ),
    ] = Cutoffs((5, 10, 20))
    alternative: Annotated[
        str,
        option(
            "--alternative",
            SIGNIFICANCE,
            "two-sided, greater (a > b) or less (a < b); with --baseline a is the row, b the baseline",
            more=True,
        ),
    ] = "two-sided"
    correction: Annotated[
        str, option("--correction", SIGNIFICANCE, "for several comparisons: holm, bonferroni, bh, by, none")
    ] = "holm"
    alpha: Annotated[float, option("--alpha", SIGNIFICANCE, "significance level", more=True)] = 0.05
    baseline: Annotated[
        str | None, option("--baseline", SIGNIFICANCE, "compare every row with this one instead of all pairs")
    ] = None

    beside: Annotated[
        list[str] | None,
        option(
            "--with",
            CELLS,
            "published rows beside these, untrained: results/ml-100k, or results/ml-100k:ROW; repeatable",
            more=True,
        ),
    ] = None

    imports: ClassVar[bool] = True

    @property
    def by(self) -> str:
        """The test on one data set."""
        return "crossed"

    @property
    def side(self) -> "Alternative":
        """The alternative.

        Raises:
            UserError: an unknown one.
        """
        from bench.statistics.crossed import Alternative

        known: tuple[Alternative, ...] = get_args(Alternative)
        for one in known:
            if one == self.alternative:
                return one
        raise unknown("alternative", self.alternative, known)

    def row(self, experiment: "Experiment") -> str | None:
        """The name of the baseline's row in the table."""
        from bench.comparison.names import row_called

        if self.baseline is None:
            return None
        return row_called(experiment, self.baseline, self.settings or (), full=bool(self.beside))

    def titled(self, experiment: "Experiment") -> "Experiment":
        """The experiment with the names that the table shows, in full beside published ones."""
        from bench.comparison.names import short_names

        return experiment if self.beside else short_names(experiment)

    def published(self, experiment: "Experiment") -> "list[Beside]":
        """The published rows that stand beside those of the experiment.

        Raises:
            UserError: there are none such, or they cannot stand there.
        """
        if not self.beside:
            return []
        from bench.results.beside import beside

        return [beside(text, experiment) for text in self.beside]

    def checked(self) -> "list[Experiment]":
        """The experiments, once every mistake in how they are to be tested is found too.

        Raises:
            UserError: an unknown test, correction, side or row, or a level or number of seeds that means nothing.
        """
        from bench.comparison.guards import check_options, check_seeds
        from bench.comparison.imported import check_depth

        self.metrics(self.cutoffs)
        found = self.experiments()
        if self.beside and len(found) > 1:
            raise UserError(f"--with names rows on one data set, and there are {len(found)}; give one --dataset.")
        for experiment in found:
            named = [cell.name for cell in self.titled(experiment).cells]
            named += [row.name for row in experiment.imported]
            named += [name for one in self.published(experiment) for name in one.names]
            check_depth(experiment.imported, self.metric)
            check_options(named, self.by, self.correction, self.alpha, self.side, self.row(experiment), None)
            check_seeds(self.by, len(experiment.seeds))
        return found

    def compared(self, experiment: "Experiment", margin: float | None = None) -> "Comparison":
        """The comparison of the stored runs.

        Raises:
            UserError: a run is missing or damaged.
        """
        from bench.comparison.rows import rows

        found, context = rows(self.titled(experiment), self.metrics(self.cutoffs))
        return self.comparison_of(experiment, found, context, margin=margin, baseline=self.row(experiment))

    def comparison_of(
        self,
        experiment: "Experiment",
        found: "Sequence[Row]",
        context: "Context",
        *,
        baseline: str | None,
        margin: float | None = None,
        best_only: bool = False,
    ) -> "Comparison":
        """The comparison of these rows of the experiment, with the published ones that stand beside them."""
        from bench.comparison.compare import compare
        from bench.runs.provenance import command_line

        cutoffs = self.metrics(self.cutoffs)
        if others := self.published(experiment):
            from bench.results.beside import set_beside

            found, context = set_beside(self.titled(experiment), found, context, others, cutoffs)
        return compare(
            found,
            metric=self.metric,
            metrics=(f"hr@{self.metric.partition('@')[2]}", self.metric),
            test=self.by,
            correction=self.correction,
            alpha=self.alpha,
            alternative=self.side,
            baseline=baseline,
            margin=margin,
            best_only=best_only,
            context=replace(context, command=command_line(argv[1:])),
        )


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class Captioned(Formatted):
    """A text with a caption, and figures beside it."""

    caption: Annotated[
        str,
        option("--caption", TABLE, "short | full: what a terminal says of a table; documents say all", more=True),
    ] = "short"
    figures: Annotated[Path | None, option("--figures", TABLE, "folder to draw the comparison's figures into")] = None

    def check_caption(self) -> None:
        """Refuse another caption or format, before anything is trained for it."""
        if self.caption not in CAPTIONS:
            raise unknown("caption", self.caption, CAPTIONS)
        _ = self.form
        self.check_out()
        if self.figures is not None:
            check_writable(self.figures, "give another --figures", folder=True)


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class Shown(Captioned, Tested):
    """A request whose comparison is shown in one of several views."""

    test: Annotated[
        str, option("--test", SIGNIFICANCE, "significance test; crossed treats users and seeds as random")
    ] = "crossed"
    view: Annotated[
        str,
        option(
            "--view",
            TABLE,
            "rows | letters | pairs | matrix | effects | equivalence | diagnostics | groups: what is shown",
        ),
    ] = "rows"
    diagnostics: Annotated[
        bool, option("--diagnostics", TABLE, "show what the samplers drew; same as --view diagnostics", more=True)
    ] = False
    groups: Annotated[
        str | None,
        option(
            "--groups",
            TABLE,
            "thirds of users for --view groups: by activity (default) or popularity of targets",
            more=True,
        ),
    ] = None
    margin: Annotated[
        float | None,
        option("--margin", SIGNIFICANCE, "largest difference that does not matter (equivalence)", more=True),
    ] = None

    @property
    def by(self) -> str:
        """The test that was asked for."""
        return self.test

    @property
    def seen(self) -> str:
        """The view."""
        return "diagnostics" if self.diagnostics else self.view

    def check_view(self) -> None:
        """Refuse before anything is trained what could not be printed after."""
        from bench.comparison.user_groups import GROUPS
        from bench.tables.view import VIEWS

        self.check_caption()
        if self.diagnostics and self.view not in ("rows", "diagnostics"):
            raise UserError(f"--diagnostics is --view diagnostics, and --view says {self.view}; leave one of them out.")
        if self.margin is not None and not 0 < self.margin < math.inf:
            raise UserError(
                f"--margin {self.margin:g} must be a number above 0: the largest difference that does not matter."
            )
        if self.margin is not None and self.seen != "equivalence" and self.form != "json":
            raise UserError("--margin is for --view equivalence and for JSON; add one of them, or leave --margin out.")
        if self.seen not in (*VIEWS, "groups"):
            raise unknown("view", self.seen, (*VIEWS, "groups"))
        if self.groups is not None and self.groups not in GROUPS:
            raise unknown("grouping", self.groups, GROUPS)
        if self.groups is not None and self.seen != "groups":
            raise UserError(f"--groups {self.groups} is for --view groups; add it, or leave --groups out.")
        if self.seen == "equivalence" and self.margin is None:
            raise UserError("--view equivalence needs --margin, the largest difference that does not matter.")
        self.check_out(len(self.datasets))

    def checked(self) -> "list[Experiment]":
        """The experiments, once what could not be printed is refused too."""
        self.check_view()
        return super().checked()

    def show(self, experiment: "Experiment") -> "Comparison":
        """Print the comparison of the stored runs."""
        from bench.tables.render import render, render_groups

        comparison = self.compared(experiment, self.margin)
        full = self.caption == "full"
        if self.seen == "groups":
            from bench.comparison.compare import by_group

            groups = by_group(comparison, self._user_groups(experiment))
            text = render_groups(groups, self.form, color=self.color, full=full, width=self.width)
        else:
            text = render(comparison, self.form, view=self.seen, color=self.color, full=full, width=self.width)
        if self.figures is not None:
            from bench.tables.gallery import draw

            told(*draw(self.titled(experiment), comparison, self.figures))
        self.emit(text)
        return comparison

    def _user_groups(self, experiment: "Experiment") -> "dict[str, NDArray[np.int64]]":
        """The test users in thirds; the split is opened for nothing else once all runs are stored."""
        from bench.comparison.user_groups import user_groups

        return user_groups(self.opened(experiment.data, experiment.protocol), self.groups or "activity")


def told(written: list[Path], left_out: list[str]) -> None:
    """Say which figures were drawn, and why others were not."""
    typer.echo(f"Wrote {', '.join(map(str, written))}.", err=True)
    for reason in left_out:
        typer.echo(f"Not drawn: {reason}", err=True)
