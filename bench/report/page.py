"""The page: one HTML file with style, script and numbers in it, that asks the network for nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from bench import __version__
from bench.report import sections
from bench.report.content import content
from bench.report.subject import Subject
from bench.tables.layout import metric_name
from bench.tables.notes import head
from datasets.errors import UserError

LIMIT = 6_000_000
"""Bytes that a page may have, so that mail and repositories take it."""

HERE = Path(__file__).parent
STYLE = "page.css"
SCRIPTS = ("drawing.js", "plots.js", "table.js", "page.js")
_MARK = re.compile(r"<!--(\w+)-->")


def page(subjects: Sequence[Subject], state: str = "") -> str:
    """The page of these subjects; `state` is what a server that keeps it up to date calls what it shows.

    Raises:
        UserError: it would be larger than `LIMIT`.
    """
    parts = [_part(subject, at) for at, subject in enumerate(subjects)]
    text = _filled(
        (HERE / "page.html").read_text(encoding="utf-8"),
        {
            "title": escape(_title(subjects)),
            "style": (HERE / STYLE).read_text(encoding="utf-8"),
            "script": "\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS),
            "chooser": _chooser(subjects) if len(subjects) > 1 else "",
            "subjects": "\n".join(parts),
            "state": escape(state),
            "connect": "'self'" if state else "'none'",
            "version": escape(__version__),
        },
    )
    if (size := len(text.encode())) > LIMIT:
        raise UserError(
            f"The page would have {size / 1e6:.1f} MB, more than the {LIMIT / 1e6:g} MB it may have; report fewer rows "
            "or data sets."
        )
    return text


def _part(subject: Subject, at: int) -> str:
    c = subject.comparison
    return _filled(
        (HERE / "subject.html").read_text(encoding="utf-8"),
        {
            "at": str(at),
            "name": escape(_name(subject)),
            "head": escape(head(c)),
            "warnings": sections.warnings(subject),
            "text": sections.joined(
                [
                    (f"diagnostics-{at}", "Diagnostics and cost", sections.diagnostics(c)),
                    (f"groups-{at}", "Groups of users", sections.groups(subject)),
                    (f"protocol-{at}", "Protocol", sections.protocol(c)),
                    (f"provenance-{at}", "Provenance", sections.provenance(c)),
                    (f"commands-{at}", "Commands", sections.commands(subject)),
                    (f"citation-{at}", "Citation", sections.citation(c)),
                ]
            ),
            "data": embedded(content(subject)),
        },
    )


def embedded(found: object) -> str:
    """JSON that may stand in a script element, whatever texts it has: no < comes before a / or !."""
    return json.dumps(found, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _filled(template: str, values: Mapping[str, str]) -> str:
    """The template with a value for every mark `<!--name-->`; what is in the values stays as it is."""
    return _MARK.sub(lambda mark: values[mark[1]], template)


def _title(subjects: Sequence[Subject]) -> str:
    if len(subjects) == 1:
        return f"{metric_name(subjects[0].comparison.metric)} on {_name(subjects[0])}"
    return f"{len(subjects)} comparisons"


def _name(subject: Subject) -> str:
    context = subject.comparison.context
    return context.table or context.dataset


def _chooser(subjects: Sequence[Subject]) -> str:
    names = [f"{_name(one)}: {head(one.comparison)}" for one in subjects]
    options = "".join(f'<option value="{at}">{escape(name)}</option>' for at, name in enumerate(names))
    return f'<label class="chooser">Comparison <select id="chooser">{options}</select></label>'
