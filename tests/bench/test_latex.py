"""LaTeX that compiles, and names that are escaped in it and in HTML."""

import csv
import io
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from bench.comparison.compare import compare
from bench.tables.latex_text import escape
from bench.tables.render import render
from bench.tables.view import VIEWS
from tests.bench.test_tables import CONTEXT, many, row, toy


class Balanced(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_names_are_escaped():
    name = r"a_b&c%d#e$f{g}h~i^j\k<l>|m*n"
    c = compare([row("uniform", "bpr", 0, 1), row("x", "y", 0, 2, name=name)], context=CONTEXT)
    parser = Balanced()
    parser.feed(render(c, "html"))
    assert parser.open == []
    assert "<l>" not in render(c, "html")
    tex = render(c, "latex")
    assert r"a\_b\&c\%d\#e\$f\{g\}h\textasciitilde{}i\textasciicircum{}j\textbackslash{}k$<$l$>$" in tex
    table = [line for line in render(c, "markdown").splitlines() if line.startswith("|")]
    assert len({len(re.sub(r"\\.", "", line).split("|")) for line in table[:4]}) == 1
    assert list(csv.DictReader(io.StringIO(render(c, "csv"))))[1]["name"] == name


def test_letters_without_a_command_are_spelt():
    assert escape("Đorđe, Þór, Ħal, ŧ") == r"Dorde, Thorn\'{o}r, Hal, t"


def test_latex_structure():
    tex = render(toy(), "latex")
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", tex):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0
    assert re.findall(r"\\begin\{(\w+)", tex) == ["table", "tabular", "minipage"]
    assert r"\label{tab:toy_set-ndcg@10}" in tex
    long = render(many(12), "latex", view="pairs")
    assert (long.count(r"\begin{table}"), long.count(r"\caption"), long.count(r"\label")) == (4, 1, 1)
    assert r"\caption[NDCG@10 on toy\_set]{" in tex
    assert tex.isascii()
    for body in re.findall(r"\\midrule\n(.*?)\\bottomrule", tex, re.DOTALL):
        widths = {len(re.split(r"(?<!\\)&", line)) for line in body.strip().splitlines()}
        assert len(widths) == 1


LATEX = next((x for x in ("pdflatex", "tectonic", "lualatex", "xelatex") if shutil.which(x)), None)


@pytest.mark.skipif(LATEX is None, reason="no LaTeX is installed")
@pytest.mark.parametrize("view", VIEWS)
def test_latex_compiles(tmp_path, view):
    strange = row("x", "y", 0.01, 9, name=r"ρδθτλβγμσ∞≈漢Жλ한_b&c%d#e$f{g}h~i^j\k<l>|m*néłő—“”Ω")
    c = compare([*toy().rows, strange], context=CONTEXT, baseline="uniform+bpr", margin=0.01)
    body = render(c, "latex", view=view) + render(compare(c.rows, context=CONTEXT, margin=0.01), "latex", view=view)
    body += render(many(30, margin=0.01), "latex", view=view) if view != "effects" else ""
    document = (
        "\\documentclass{article}\\usepackage{booktabs,graphicx}\\begin{document}\n" + body + "\n\\end{document}\n"
    )
    (tmp_path / "t.tex").write_text(document)
    command = [LATEX, "t.tex"] if LATEX == "tectonic" else [LATEX, "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=250)
    assert "Overfull" not in done.stdout + done.stderr
    assert "too large for page" not in done.stdout + done.stderr
    assert (tmp_path / "t.pdf").stat().st_size > 1000
