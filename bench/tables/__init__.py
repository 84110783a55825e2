"""`render`: one `Comparison` as a terminal table, Markdown, LaTeX, HTML, CSV or JSON."""

from __future__ import annotations

from bench.comparison import Comparison
from bench.tables.layout import VIEWS, layout
from datasets.errors import unknown

FORMATS = ("table", "markdown", "latex", "html", "csv", "json")


def render(comparison: Comparison, format: str = "table", *, view: str = "rows", color: bool = False) -> str:
    """The comparison as text that ends without a newline.

    Args:
        comparison: what `compare` returned.
        format: one of `FORMATS`.
        view: "rows" with the pairs below, or "pairs" alone; JSON always holds everything.
        color: bold and underline on a terminal, by ANSI codes.

    Raises:
        UserError: an unknown format or view.
    """
    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    if view not in VIEWS:
        raise unknown("view", view, VIEWS)
    # Each format is imported where it is asked for: a cached table must not wait for the others.
    if format == "json":
        from bench.tables.data import as_json

        return as_json(comparison)
    if format == "csv":
        from bench.tables.data import as_csv

        return as_csv(comparison, view)
    sheet = layout(comparison, view)
    if format == "latex":
        from bench.tables.latex import as_latex

        return as_latex(sheet)
    if format == "html":
        from bench.tables.html import as_html

        return as_html(sheet)
    from bench.tables.text import as_markdown, as_terminal

    return as_markdown(sheet) if format == "markdown" else as_terminal(sheet, color=color)
