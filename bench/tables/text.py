"""The terminal table and Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from bench.tables.fit import GAP, fit, mark_widths, plain, widths
from bench.tables.layout import Cell, Grid, Sheet, left

WIDTH = 100


def as_terminal(sheet: Sheet, *, color: bool = False, full: bool = False, width: int = WIDTH) -> str:
    """Plain aligned text within `width` characters; bold and underline only where the terminal can show them.

    Unless `full`, at most four lines stand around the table, and warnings below. A table that is too wide loses
    columns in the order of its `optional`; one without such comes in parts; names are shortened last.
    """
    grids, gone = fit(sheet.grids, width)
    blocks = [(f"{grid.title}\n" if grid.title else "") + _terminal(grid, color) for grid in grids]
    left_out = [f"Left out to fit {width} columns: {', '.join(gone)}."] if gone else []
    short = sheet.head and not full
    said = [*sheet.foot[:-1], *left_out, *sheet.foot[-1:]] if short else [sheet.caption, *sheet.notes, *left_out]
    below = [_wrapped(lines, width) for lines in (said, sheet.warnings) if lines]
    above = _wrapped([sheet.head], width) + "\n" if short else ""
    return above + "\n\n".join(blocks) + ("\n" if short else "\n\n") + "\n\n".join(below)


def _wrapped(lines: Iterable[str], width: int) -> str:
    return "\n".join(textwrap.fill(line, width, subsequent_indent="  ") for line in lines)


def _terminal(grid: Grid, color: bool) -> str:
    """Header, rule and rows; words to the left of their column, numbers to the right."""
    columns, marks = widths(grid), mark_widths(grid)

    def line(words: Iterable[str]) -> str:
        sides = (
            w.ljust(n) if left(grid, j) else w.rjust(n) for j, (w, n) in enumerate(zip(words, columns, strict=True))
        )
        return (" " * GAP).join(sides).rstrip()

    lines = [line(grid.header), line("-" * n for n in columns)]
    for row in grid.rows:
        text = line(plain(cell, marks[j]) for j, cell in enumerate(row))
        lines.append(_styled(text, row) if color else text)
    return "\n".join(lines)


def _styled(line: str, row: Sequence[Cell]) -> str:
    """The line with what is bold or underlined set so, found from the left."""
    done, rest = "", line
    for cell in filter(lambda cell: cell.text, row):
        before, text, rest = rest.partition(cell.text)
        code = 1 if cell.bold else 4 if cell.underline else 0
        done += before + (f"\x1b[{code}m{text}\x1b[0m" if code else text)
    return done + rest


def as_markdown(sheet: Sheet) -> str:
    """GitHub's Markdown: caption, tables, notes as a list."""
    from tabulate import tabulate

    blocks = [f"**{_escape(sheet.caption)}**"]
    for grid in sheet.grids:
        body = [[_markdown(cell) for cell in row] for row in grid.rows]
        if grid.title:
            blocks.append(_escape(grid.title) + ":")
        sides = ["left" if left(grid, j) else "right" for j in range(len(grid.header))]
        head = [_escape(h) for h in grid.header]
        blocks.append(tabulate(body, head, "pipe", colalign=sides if body else None, disable_numparse=True))
    blocks.append("\n".join(f"- {_escape(note)}" for note in (*sheet.notes, *sheet.warnings)))
    return "\n\n".join(block for block in blocks if block)


def _markdown(cell: Cell) -> str:
    text = _escape(cell.text)
    if cell.bold:
        text = f"**{text}**"
    if cell.underline:
        text = f"<ins>{text}</ins>"
    if cell.spread:
        text += f" {cell.spread}"
    return f"{text} <sup>{_escape(cell.mark)}</sup>" if cell.mark else text


def _escape(text: str) -> str:
    for special in "\\|*_<>":
        text = text.replace(special, "\\" + special)
    return text
