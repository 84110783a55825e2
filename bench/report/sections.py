"""The parts of the page that are text: diagnostics, groups of users, protocol, provenance, commands, citation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import Any

from bench.comparison.nouns import Comparison
from bench.files import JSONObject
from bench.report.subject import Subject
from bench.results.citing import bibtex, paragraph
from bench.tables.caption import caption, masked_words, runs_line
from bench.tables.diagnostics import diagnostics_view
from bench.tables.html import table_of
from bench.tables.layout import Grid, family
from bench.tables.notes import of_diagnostics, warnings_of
from bench.tables.views import group_sheet
from datasets.errors import UserError
from recmodels.compatibility import text_of


def diagnostics(c: Comparison) -> str:
    """What the samplers drew, and what a run cost."""
    return _grids(diagnostics_view(c)) + _list(of_diagnostics(c, True))


def groups(subject: Subject) -> str:
    """Rows × thirds of the test users, or why they are not shown."""
    try:
        found = subject.groups()
    except UserError as error:
        return _p(str(error))
    sheets = [group_sheet(each, styled=True) for each in found.values()]
    notes = dict.fromkeys(note for sheet in sheets for note in sheet.notes)
    return _grids([grid for sheet in sheets for grid in sheet.grids]) + _list(notes)


def protocol(c: Comparison) -> str:
    """The caption in full, and the protocol and what rows share as a list of words."""
    told = {**c.context.protocol, "ranking": masked_words(c.context.protocol), **c.context.facts}
    return _p(f"{caption(c)} {runs_line([c])}".rstrip()) + _words(told)


def provenance(c: Comparison) -> str:
    """Data, code, machine, digest, and every run with the SHA-256 of what it measured."""
    told = {**{f"data {key}": value for key, value in c.context.data.items()}, **c.context.manifest}
    told |= {"table": c.context.table, "digest of runs and results": c.digest}
    lines = []
    for row in c.rows:
        each = zip(row.runs, row.results, strict=True) if row.results else ((run, "") for run in row.runs)
        shown = " ".join(f"{run}:{result[:12]}" if result else run for run, result in dict.fromkeys(each))
        lines.append(f"<dt>{escape(row.name)}</dt><dd><code>{escape(shown)}</code></dd>")
    runs = f"<details><summary>Runs, each with its result's sha256</summary><dl>{''.join(lines)}</dl></details>"
    return _words(told) + runs


def commands(subject: Subject) -> str:
    """A line to copy for each command."""
    return "".join(_copied(line, "command") for line in dict.fromkeys(subject.commands))


def citation(c: Comparison) -> str:
    """How the table was made, in a paragraph, and its references."""
    table = cited(c)
    return _p(paragraph(table)) + _copied(paragraph(table, latex=True), "LaTeX") + _copied(bibtex(table), "BibTeX")


def cited(c: Comparison) -> JSONObject:
    """The object that a table is cited from; its pairs are only counted."""
    return {**replace(c, pairs=()).as_dict(), "family": family(c)}


def warnings(subject: Subject) -> str:
    """What must be known before the numbers are read."""
    said = [*filter(None, [subject.waiting]), *subject.remarks, *warnings_of(subject.comparison)]
    if not said:
        return ""
    shown = " open" if len(said) <= 3 or subject.waiting else ""
    return f'<details class="warnings"{shown}><summary>To know first ({len(said)})</summary>{_list(said)}</details>'


def _grids(grids: Iterable[Grid]) -> str:
    return "".join(f'<div class="scroll" tabindex="0">{table_of(grid)}</div>' for grid in grids)


def _words(told: Mapping[str, Any]) -> str:
    """A list of terms; what is empty is left out."""
    lines = []
    for name, value in told.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else text_of(value)
        if shown not in ("", "null", "none"):
            lines.append(f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(shown)}</dd>")
    return f"<dl>{''.join(lines)}</dl>"


def _list(lines: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines if line)
    return f"<ul>{items}</ul>" if items else ""


def _p(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _copied(text: str, what: str) -> str:
    """A block of text with a button that copies it."""
    return f'<div class="copied"><pre tabindex="0">{escape(text)}</pre><button type="button">Copy {what}</button></div>'


def joined(parts: Sequence[tuple[str, str, str]]) -> str:
    """Sections of the page from (id, heading, content), those without content left out."""
    return "\n".join(
        f'<section id="{key}"><h3>{escape(title)}</h3>\n{inside}</section>' for key, title, inside in parts if inside
    )
