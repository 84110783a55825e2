"""An HTML fragment: one `figure` with its tables, caption and notes."""

from __future__ import annotations

from html import escape

from bench.tables.layout import Cell, Grid, Sheet


def as_html(sheet: Sheet) -> str:
    """A fragment without styles or scripts, to stand in any page."""
    tables = [table_of(grid) for grid in sheet.grids]
    notes = "".join(f"<li>{escape(note)}</li>" for note in (*sheet.notes, *sheet.warnings))
    lines = (
        "<figure>",
        f"<figcaption>{escape(sheet.caption)}</figcaption>",
        *tables,
        f"<ul>{notes}</ul>",
        "</figure>",
    )
    return "\n".join(lines)


def table_of(grid: Grid) -> str:
    """One table, its title as caption."""
    title = f"<caption>{escape(grid.title)}</caption>" if grid.title else ""
    header = "".join(f'<th scope="col">{escape(h)}</th>' for h in grid.header)
    rows = ["<tr>" + "".join(_cell(cell, j < grid.left) for j, cell in enumerate(row)) + "</tr>" for row in grid.rows]
    return "\n".join((f"<table>{title}", f"<thead><tr>{header}</tr></thead>", "<tbody>", *rows, "</tbody>", "</table>"))


def _cell(cell: Cell, heading: bool) -> str:
    text = escape(cell.text)
    if cell.bold:
        text = f"<strong>{text}</strong>"
    if cell.underline:
        text = f"<u>{text}</u>"
    if cell.spread:
        text += f" {cell.spread}"
    if cell.mark:
        text += f" <sup>{escape(cell.mark)}</sup>"
    return f'<th scope="row">{text}</th>' if heading else f"<td>{text}</td>"
