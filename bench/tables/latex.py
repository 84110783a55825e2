"""LaTeX with booktabs, and graphicx to shrink a table that is wider than the text."""

from __future__ import annotations

import re

from bench.tables.layout import Cell, Grid, Sheet

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "−": r"$-$",
    "–": "--",
    "±": r"$\pm$",
    "α": r"$\alpha$",
    "τ": r"$\tau$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "λ": r"$\lambda$",
    "μ": r"$\mu$",
    "σ": r"$\sigma$",
    "χ": r"$\chi$",
    "²": r"$^2$",
    "×": r"$\times$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "…": r"\ldots{}",
    "→": r"$\rightarrow$",
}

# Shrinks what is wider than the text and leaves the rest as it is.
_FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%" + "\n"


def as_latex(sheet: Sheet) -> str:
    r"""One `table` with a tabular per grid, its caption and its notes; needs \usepackage{booktabs,graphicx}."""
    grids = "\n\n\\medskip\n".join(_tabular(grid) for grid in sheet.grids)
    notes = " ".join(escape(note) for note in sheet.notes)
    return "\n".join(
        (
            r"% needs \usepackage{booktabs,graphicx}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape(sheet.caption)}}}",
            grids,
            "",
            r"\medskip",
            r"\begin{minipage}{\linewidth}\footnotesize",
            notes,
            r"\end{minipage}",
            r"\end{table}",
        )
    )


def _tabular(grid: Grid) -> str:
    columns = "l" * grid.left + "r" * (len(grid.header) - grid.left)
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
    if cell.plus_minus:
        text += rf" {{\scriptsize$\pm$\,{cell.plus_minus}}}"
    if widest:
        shown, missing = _superscript(cell.mark), _superscript(widest[len(cell.mark) :])
        text += shown + (rf"\hphantom{{{missing}}}" if missing else "")
    return text


def _superscript(mark: str) -> str:
    return rf"$^{{{mark.replace('−', '-')}}}$" if mark else ""


def escape(text: str) -> str:
    """The text with every character that means something to LaTeX, or that its fonts lack, written out."""
    return re.sub("|".join(map(re.escape, _SPECIAL)), lambda m: _SPECIAL[m.group()], text)
