"""The terminal table and Markdown."""

from __future__ import annotations

import textwrap

from tabulate import tabulate

from bench.tables.layout import Cell, Grid, Sheet

_WIDTH = 100


def as_terminal(sheet: Sheet, *, color: bool = False) -> str:
    """Plain aligned text; bold and underline only where the terminal can show them."""
    blocks = []
    for grid in sheet.grids:
        marks = _mark_widths(grid)
        body = [[_terminal(c, marks[j], color) for j, c in enumerate(row)] for row in grid.rows]
        blocks.append((f"{grid.title}\n" if grid.title else "") + _tabulate(grid, body, "simple"))
    wrapped = [textwrap.fill(line, _WIDTH, subsequent_indent="  ") for line in (sheet.caption, *sheet.notes)]
    return "\n\n".join(blocks) + "\n\n" + "\n".join(wrapped)


def _terminal(cell: Cell, mark_width: int, color: bool) -> str:
    text = cell.text
    if color and (cell.bold or cell.underline):
        text = f"\x1b[{1 if cell.bold else 4}m{text}\x1b[0m"
    if cell.plus_minus:
        text += f" ± {cell.plus_minus}"
    return f"{text} {cell.mark:<{mark_width}}" if mark_width else text


def _mark_widths(grid: Grid) -> list[int]:
    return [max((len(row[j].mark) for row in grid.rows), default=0) for j in range(len(grid.header))]


def _tabulate(grid: Grid, body: list[list[str]], style: str) -> str:
    align = ["left"] * grid.left + ["right"] * (len(grid.header) - grid.left)
    return tabulate(
        body,
        headers=list(grid.header),
        tablefmt=style,
        colalign=align if body else None,
        disable_numparse=True,
        preserve_whitespace=True,
    )


def as_markdown(sheet: Sheet) -> str:
    """GitHub's Markdown: caption, tables, notes as a list."""
    blocks = [f"**{_escape(sheet.caption)}**"]
    for grid in sheet.grids:
        body = [[_markdown(cell) for cell in row] for row in grid.rows]
        header = Grid(tuple(map(_escape, grid.header)), grid.rows, grid.left)
        if grid.title:
            blocks.append(_escape(grid.title) + ":")
        blocks.append(_tabulate(header, body, "pipe"))
    blocks.append("\n".join(f"- {_escape(note)}" for note in sheet.notes))
    return "\n\n".join(block for block in blocks if block)


def _markdown(cell: Cell) -> str:
    text = _escape(cell.text)
    if cell.bold:
        text = f"**{text}**"
    if cell.underline:
        text = f"<ins>{text}</ins>"
    if cell.plus_minus:
        text += f" ± {cell.plus_minus}"
    return f"{text} <sup>{cell.mark}</sup>" if cell.mark else text


def _escape(text: str) -> str:
    for special in "\\|*_<>":
        text = text.replace(special, "\\" + special)
    return text
