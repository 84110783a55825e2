"""Papers: `papers.bib`, and which of them a method, a test or a data set means by what its own file says of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench import ROOT, __version__
from bench.tables.latex_text import escape

FILE = Path(__file__).with_name("papers.bib")

TESTS = {
    "crossed": ("satterthwaite1946", "scheffe1959"),
    "crossed-pooled": ("satterthwaite1946", "scheffe1959", "shukla1972"),
    "t": ("student1908",),
    "seeds-t": ("student1908",),
    "wilcoxon": ("wilcoxon1945",),
    "permutation": ("fisher1935", "phipson2010"),
    "bootstrap": ("owen2007",),
    "bootstrap-users": ("efron1987",),
    "bootstrap-seeds": ("efron1987",),
}
CORRECTIONS = {
    "holm": ("holm1979",),
    "bonferroni": ("dunn1961",),
    "bh": ("benjamini1995",),
    "by": ("benjamini2001",),
    "none": (),
}
SEARCH = ("akiba2019optuna", "bergstra2011tpe", "falkner2018bohb")
EQUIVALENCE = ("schuirmann1987",)
SAMPLED = ("krichene2020sampled",)


@dataclass(frozen=True)
class Reference:
    """An entry of a bibliography; `fields` in LaTeX."""

    key: str
    kind: str
    fields: Mapping[str, str]

    def bibtex(self) -> str:
        """The entry as BibTeX reads it."""
        lines = [f"  {name} = {{{value}}}" for name, value in self.fields.items() if name != "cited"]
        return f"@{self.kind}{{{self.key},\n" + ",\n".join(lines) + "\n}"


@cache
def references() -> dict[str, Reference]:
    """Every entry of `papers.bib` by its key."""
    found = {}
    for kind, key, body in re.findall(r"^@(\w+)\{([\w-]+),\n(.*?)^\}", FILE.read_text(encoding="utf-8"), re.M | re.S):
        found[key] = Reference(key, kind, dict(re.findall(r"^  (\w+) = \{(.*)\},$", body, re.M)))
    return found


def by_key(keys: Iterable[str]) -> list[Reference]:
    """The entries with these keys."""
    return [references()[key] for key in keys]


def of_paper(paper: str | None) -> list[Reference]:
    """What a method's `paper` names: pieces as in `Weston, Bengio, Usunier, IJCAI 2011`, parted by semicolons.

    A remark in brackets at the end of a piece, and a section, are no part of it. A piece that `papers.bib` lacks, as of
    a plug-in, becomes an entry of its own words.
    """
    if not paper or paper.startswith("none"):
        return []
    known = {one.fields["cited"]: one for one in references().values() if "cited" in one.fields}
    return [known.get(piece) or _own(piece) for piece in pieces(paper)]


def pieces(paper: str) -> list[str]:
    """The papers that a text names, without remarks."""
    return [re.sub(r"(, section [\d.]+)?(\s+\([^()]*\))?$", "", piece.strip()) for piece in paper.split(";")]


def _own(piece: str) -> Reference:
    words = re.findall(r"[a-z0-9]+", piece.lower())
    return Reference("-".join(words[:1] + words[-1:]), "misc", {"title": f"{{{escape(piece)}}}"})


def of_data(citation: str) -> list[Reference]:
    """The entries whose titles a data set's citation names."""
    said = f" {plain(citation)} "
    return [one for one in references().values() if f" {plain(one.fields['title'])} " in said]


def plain(text: str) -> str:
    """Its words alone, in small letters, for a comparison of titles."""
    return " ".join(re.findall(r"\w+", re.sub(r"[{}$\\]", "", text).lower()))


def software(versions: Iterable[str], commits: Iterable[str], table: str | None) -> Reference:
    """This project, as `CITATION.cff` has it, in the versions that made a table."""
    cff = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    title, author, year = (
        match[1]
        for pattern in (r'^title: "(.+)"$', r'^  - name: "(.+)"$', r"^date-released: (\d{4})")
        if (match := re.search(pattern, cff, re.M))
    )
    shown = ", ".join(commit[:12] for commit in commits)
    words = [f"Version {', '.join(versions) or __version__}", f"commit {shown}" if shown else ""]
    note = ", ".join(filter(None, (*words, f"table {table}" if table else "")))
    name, colon, rest = title.partition(":")
    fields = {"author": f"{{{escape(author)}}}", "title": f"{{{escape(name)}}}{colon}{escape(rest)}"}
    return Reference("contrarec", "misc", {**fields, "howpublished": "Software", "note": escape(note), "year": year})
