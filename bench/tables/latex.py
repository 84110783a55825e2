"""LaTeX with booktabs, and graphicx to shrink what is wider than the text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from bench.tables.fit import fit
from bench.tables.latex_text import escape
from bench.tables.layout import Cell, Grid, Sheet, left

# Shrinks what is wider than the text and leaves the rest as it is.
_FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%" + "\n"
_WIDEST = 120  # characters; more would be shrunk until nobody can read it
_LINES = 36  # of tables on one page, beside caption and notes


def as_latex(sheet: Sheet) -> str:
    r"""A `table` with caption, short caption, label and notes; needs \usepackage{booktabs,graphicx}.

    What does not fit one page goes on in further tables of the same number; what is too wide for the text is shrunk,
    after the columns that the sheet calls optional are left out, which the notes say.
    """
    grids, gone = fit(sheet.grids, _WIDEST)
    left_out = [f"Left out to fit the page: {', '.join(gone)}."] if gone else []
    said = " ".join(escape(note) for note in (*sheet.notes, *left_out, *sheet.warnings))
    label = re.sub(r"[^\w.@:+-]+", "-", sheet.label, flags=re.ASCII).strip("-")
    pages = _pages(grids)
    lines = [r"% needs \usepackage{booktabs,graphicx}"]
    for i, page in enumerate(pages):
        lines += [r"\begin{table}", r"\centering\small"]
        if i == 0:
            lines += [rf"\caption[{escape(sheet.title)}]{{{escape(sheet.caption)}}}", rf"\label{{tab:{label}}}"]
        else:
            lines += [rf"\tablename~\thetable, continued: {escape(sheet.title)}\\[4pt]"]
        lines.append("\n\n\\medskip\n".join(_tabular(grid) for grid in page))
        if i == len(pages) - 1 and said:
            lines += ["", r"\medskip", r"\begin{minipage}{\linewidth}\footnotesize", said, r"\end{minipage}"]
        lines.append(r"\end{table}")
    return "\n".join(lines)


def _pages(grids: Sequence[Grid]) -> list[list[Grid]]:
    """The grids in portions of at most `_LINES` rows; a longer one is cut, its title and header on each part."""
    pages: list[list[Grid]] = [[]]
    for grid in grids:
        for start in range(0, max(1, len(grid.rows)), _LINES):
            part = replace(grid, rows=grid.rows[start : start + _LINES])
            if pages[-1] and sum(len(each.rows) for each in (*pages[-1], part)) > _LINES:
                pages.append([])
            pages[-1].append(part)
    return pages


def _tabular(grid: Grid) -> str:
    columns = "".join("l" if left(grid, j) else "r" for j in range(len(grid.header)))
    widest = [max((row[j].mark for row in grid.rows), key=len, default="") for j in range(len(grid.header))]
    lines = [
        escape(grid.title) + r"\\[2pt]" if grid.title else "",
        _FIT + rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
    ]
    lines += [" & ".join(escape(h) for h in grid.header) + r" \\", r"\midrule"]
    for row in grid.rows:
        lines.append(" & ".join(_cell(cell, widest[j]) for j, cell in enumerate(row)) + r" \\")
    return "\n".join(line for line in (*lines, r"\bottomrule", r"\end{tabular}}") if line)


def _cell(cell: Cell, widest: str) -> str:
    """The cell, padded on the right by the marks it lacks so that decimals stay in line."""
    text = escape(cell.text)
    if cell.bold:
        text = rf"\textbf{{{text}}}"
    if cell.underline:
        text = rf"\underline{{{text}}}"
    if cell.spread:
        text += rf" {{\scriptsize {escape(cell.spread)}}}"
    if widest:
        shown, missing = _superscript(cell.mark), _superscript(widest[len(cell.mark) :])
        text += shown + (rf"\hphantom{{{missing}}}" if missing else "")
    return text


def _superscript(mark: str) -> str:
    return rf"$^{{{mark.replace('−', '-')}}}$" if mark else ""
