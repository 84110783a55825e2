"""Makes a grid fit a number of characters: fewer columns, then several parts, and shorter names last."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bench.tables.layout import Cell, Grid, without

GAP = 2  # spaces between columns
_SHORTEST = 8


def fit(grids: Iterable[Grid], width: int) -> tuple[list[Grid], list[str]]:
    """The grids within `width` characters, and the headers of the columns that were left out of any."""
    fitted: list[Grid] = []
    gone: dict[str, None] = {}
    for grid in grids:
        slim = grid
        while slim.optional and columns_width(slim) > width:
            gone[slim.header[slim.optional[0]]] = None
            slim = without(slim, slim.optional[:1])
        fitted += _parts(slim, width)
    names = {cell.text for grid in fitted for row in grid.rows for cell in row[: grid.left]}
    longest = max(map(len, names), default=0)
    shown = fitted
    while longest > _SHORTEST and any(columns_width(grid) > width for grid in shown):
        longest -= 1
        shown = [_renamed(grid, shortened(names, longest)) for grid in fitted]
    return shown, list(gone)


def columns_width(grid: Grid) -> int:
    """Characters of its widest line."""
    return sum(widths(grid)) + GAP * (len(grid.header) - 1)


def widths(grid: Grid) -> list[int]:
    """Characters of every column, marks in a place of their own."""
    marks = mark_widths(grid)
    return [max([len(grid.header[j]), *(len(plain(row[j], marks[j])) for row in grid.rows)]) for j in range(len(marks))]


def mark_widths(grid: Grid) -> list[int]:
    """Characters of the longest mark of every column."""
    return [max((len(row[j].mark) for row in grid.rows), default=0) for j in range(len(grid.header))]


def plain(cell: Cell, mark_width: int) -> str:
    """The cell as characters, its mark padded to the width of the column's marks."""
    text = f"{cell.text} {cell.spread}" if cell.spread else cell.text
    return f"{text} {cell.mark:<{mark_width}}" if mark_width else text


def _parts(grid: Grid, width: int) -> list[Grid]:
    """The columns of numbers in as many grids as they need, each behind the names; later ones lose empty rows."""
    columns = widths(grid)
    front = sum(columns[: grid.left]) + GAP * (grid.left - 1)
    parts: list[list[int]] = [[]]
    used = front
    for j in range(grid.left, len(columns)):
        if parts[-1] and used + GAP + columns[j] > width:
            parts.append([])
            used = front
        parts[-1].append(j)
        used += GAP + columns[j]
    if len(parts) == 1 or grid.optional != ():
        return [grid]
    shown = [without(grid, {*range(grid.left, len(columns))} - {*part}) for part in parts]
    return [shown[0], *map(_continued, shown[1:])]


def _continued(part: Grid) -> Grid:
    rows = tuple(row for row in part.rows if any(cell.text for cell in row[part.left :]))
    return replace(part, rows=rows, title=f"{part.title}, continued" if part.title else "")


def shortened(names: Iterable[str], length: int) -> dict[str, str]:
    """Every name within `length` characters, its middle left out; numbered where two would look the same."""
    short = {name: name if len(name) <= length else _middle(name, length) for name in sorted(names)}
    if len(set(short.values())) == len(short):
        return short
    return {
        name: name if len(name) <= length else f"{i} {_middle(name, max(1, length - len(str(i)) - 1))}"
        for i, name in enumerate(short, 1)
    }


def _middle(name: str, length: int) -> str:
    front = length // 2
    back = length - front - 1
    return f"{name[:front]}…{name[len(name) - back :]}"


def _renamed(grid: Grid, names: dict[str, str]) -> Grid:
    rows = tuple((*(replace(c, text=names[c.text]) for c in row[: grid.left]), *row[grid.left :]) for row in grid.rows)
    return replace(grid, rows=rows)
