"""`render`: one `Comparison` as a terminal table, Markdown, LaTeX, HTML, CSV or JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.comparison.nouns import Comparison
from bench.tables import FORMATS, data
from bench.tables.caption import caption, runs_line
from bench.tables.layout import Sheet, metric_name, without
from bench.tables.notes import foot, head, warnings_of
from bench.tables.view import VIEWS
from bench.tables.views import group_sheet
from datasets.errors import UserError, unknown

if TYPE_CHECKING:
    from bench.comparison.across import Across


def render(
    comparison: Comparison,
    format: str = "table",
    *,
    view: str = "rows",
    color: bool = False,
    full: bool = False,
    width: int = 100,
) -> str:
    """The comparison as text that ends without a newline.

    Args:
        comparison: what `compare` returned.
        format: one of `FORMATS`; JSON holds everything whatever the view.
        view: one of `VIEWS`.
        color: bold and underline on a terminal, by ANSI codes.
        full: the whole caption in a terminal too; every other format has it always.
        width: characters of the terminal.

    Raises:
        UserError: an unknown format or view, or equivalence without a margin.
    """
    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    if view not in VIEWS:
        raise unknown("view", view, VIEWS)
    if view == "equivalence" and comparison.margin is None:
        raise UserError("Equivalence needs a margin: the largest difference that does not matter.")
    if format == "json":
        return data.as_json(comparison)
    if format == "csv":
        return data.write_csv(VIEWS[view].lines(comparison))
    shown, dataset, metric = VIEWS[view], comparison.context.dataset, comparison.metric
    sheet = Sheet(
        shown.grids(comparison),
        caption(comparison),
        tuple(filter(None, shown.notes(comparison, color or format != "table"))),
        warnings_of(comparison),
        title=f"{metric_name(metric)} on {dataset}" + ("" if view == "rows" else f" ({view})"),
        label=f"{dataset}-{metric}" + ("" if view == "rows" else f"-{view}"),
        head=head(comparison),
        foot=foot(comparison, shown.foot(comparison), view),
    )
    return _text(sheet, format, [comparison], color=color, full=full, width=width)


def render_groups(
    groups: Mapping[str, Comparison],
    format: str = "table",
    *,
    color: bool = False,
    full: bool = False,
    width: int = 100,
) -> str:
    """What `by_group` returned, rows down and groups across, as text.

    JSON is {"groups": {name: the object of one comparison}}, CSV the rows of each with the group in front.

    Raises:
        UserError: an unknown format.
    """
    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    if format in ("json", "csv"):
        return data.groups_as_json(groups) if format == "json" else data.groups_as_csv(groups)
    first = next(iter(groups.values()))  # every group has the same runs
    sheet = group_sheet(groups, styled=color or format != "table")
    return _text(sheet, format, [first], color=color, full=full, width=width)


def render_across(
    across: Across, format: str = "table", *, color: bool = False, full: bool = False, width: int = 100
) -> str:
    """What `bench across` found, as text; JSON holds everything, CSV a line per method.

    Raises:
        UserError: an unknown format.
    """
    from bench.tables import across as shown

    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    if format in ("json", "csv"):
        return shown.across_as_json(across) if format == "json" else shown.across_as_csv(across)
    return _text(shown.across_sheet(across), format, across.comparisons, color=color, full=full, width=width)


def _text(sheet: Sheet, format: str, comparisons: Sequence[Comparison], *, color: bool, full: bool, width: int) -> str:
    """The sheet as text; documents say which runs they rest on and leave out what another day measures otherwise."""
    if format == "table":  # each text format is imported where it is asked for: a cached table waits for no other
        from bench.tables.text import as_terminal

        return as_terminal(sheet, color=color, full=full, width=width)
    grids = tuple(without(grid, grid.timed) for grid in sheet.grids)
    sheet = replace(sheet, grids=grids, caption=f"{sheet.caption} {runs_line(comparisons)}".rstrip())
    if format == "latex":
        from bench.tables.latex import as_latex

        return as_latex(sheet)
    if format == "html":
        from bench.tables.html import as_html

        return as_html(sheet)
    from bench.tables.text import as_markdown

    return as_markdown(sheet)
