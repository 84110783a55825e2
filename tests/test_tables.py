import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from bench.comparison import Context, Row, by_group, compare
from bench.tables import FORMATS, VIEWS, render, render_groups
from bench.tables.layout import level_of
from datasets.errors import UserError

GOLDEN = Path(__file__).parent / "golden"
CONTEXT = Context(
    dataset="toy_set",
    protocol={"split": "leave-last-out by time", "ranking": "all unseen items"},
    data={"sha256": "06416e59" * 8, "verified": False, "source": "mirror"},
    facts={"negatives": 16, "batch size": 1024, "budget": "at most 100 epochs"},
    skipped=({"sampler": "full", "loss": "bpr", "reason": "it draws no negatives"},),
    failed=({"run": "popularity+bce-3", "reason": "loss became NaN"},),
    warnings=("the results folder is 50% full",),
)


def row(sampler, loss, shift, seed, *, seeds=5, n=80, **changes):
    rng = np.random.default_rng(seed)
    base = np.random.default_rng(5).random((1, n))
    ndcg = np.round(np.clip(base * 0.1 + shift + 0.01 * rng.random((seeds, n)), 0, 1), 6)
    name = f"{sampler}+{loss}"
    metrics = {"hr@10": (ndcg > 0.05).astype(float), "ndcg@10": ndcg}
    runs = tuple(f"{name}-{s}" for s in range(seeds))
    made = Row(
        name, sampler, loss, "mf", tuple(range(seeds)), np.arange(n), metrics, {"coverage": 0.5}, 3.25, 17.4, runs
    )
    results = tuple(hashlib.sha256(run.encode()).hexdigest() for run in runs)
    return replace(made, results=results, **changes)


def toy(**options):
    rows = [
        row("uniform", "bpr", 0.0, 1),
        row("popularity:alpha=0.5", "bpr", 0.002, 2, marks=("best epoch was the last",)),
        row("inbatch", "softmax", 0.03, 3),
        row("popularity", "bce", 0.03, 4, failed=("2 of 5 failed",)),
    ]
    return compare(rows, context=CONTEXT, **options)


def many(count, **options):
    rows = [row("uniform", f"l{i}", 0.001 * i, i) for i in range(count)]
    return compare(rows, context=CONTEXT, **options)


def test_intervals_say_their_true_level():
    expected = {0.05: "95%", 0.025: "97.5%", 0.005: "99.5%", 0.1: "90%", 0.0001: "99.99%", 0.05 / 36: "99.861%"}
    assert {alpha: level_of(alpha) for alpha in expected} == expected
    assert "half the 97.5% interval" in render(toy(alpha=0.025), "table")
    assert "its unadjusted 99.5% interval" in render(toy(alpha=0.005), "table")


def test_letters_that_nobody_could_read_are_left_out(monkeypatch):
    note = "No letters for "
    shown = render(toy(), "table")
    assert note not in shown
    monkeypatch.setattr("bench.tables.layout.MOST_LETTERS", 0)
    hidden = render(toy(), "table")
    assert note in hidden
    assert "share a letter" in shown
    assert "share a letter" not in hidden
    assert re.search(r"± [0-9.]+ [a-z]", shown)
    assert not re.search(r"± [0-9.]+ [a-z]", hidden)


@pytest.mark.parametrize(
    ("name", "format", "options", "view"),
    [
        ("table.txt", "table", {}, "rows"),
        ("table_baseline.txt", "table", {"baseline": "uniform+bpr"}, "rows"),
        ("table.md", "markdown", {}, "rows"),
        ("table.tex", "latex", {}, "rows"),
        ("table.html", "html", {}, "rows"),
        ("table.csv", "csv", {}, "rows"),
        ("pairs.csv", "csv", {}, "pairs"),
        (
            "pairs.txt",
            "table",
            {"baseline": "uniform+bpr", "alternative": "greater", "correction": "none"},
            "pairs",
        ),
        ("table.json", "json", {}, "rows"),
        ("matrix.txt", "table", {}, "matrix"),
        ("matrix.tex", "latex", {}, "matrix"),
        ("effects.txt", "table", {}, "effects"),
        ("equivalence.txt", "table", {"margin": 0.003}, "equivalence"),
        ("diagnostics.txt", "table", {}, "diagnostics"),
    ],
)
def test_golden(name, format, options, view):
    """UPDATE_GOLDEN=1 rewrites the files; the difference is then read before it is committed."""
    text = render(toy(**options), format, view=view) + "\n"
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    # The last digits of a float may differ between builds of numpy; twelve are enough to show a change.
    assert _short(text) == _short(path.read_text())


def _short(text):
    return re.sub(r"\d+\.\d{10,}(e-?\d+)?", lambda m: f"{float(m.group()):.10g}", text)


def test_every_format_shows_failures_skips_and_warnings():
    for format in FORMATS:
        text = render(toy(), format)
        assert "2 of 5 failed" in text, format
        assert "it draws no negatives" in text, format
        if format != "csv":
            assert "best epoch was the last" in text, format
            assert "nverified data" in text, format
            assert "loss became NaN" in text, format


def test_caption_says_what_the_table_rests_on():
    text = " ".join(render(toy(), "table").split())
    for fact in (
        "toy_set: split leave-last-out by time",
        "80 test users, 5 seeds (0–4)",
        "Negatives 16, batch size 1024",
        "Crossed test, holm over the 3 pairs of each metric, α = 0.05",
        "sha256 06416e590641, UNVERIFIED, from mirror",
    ):
        assert fact in text


def test_all_tied_winners_are_bold_and_what_does_not_differ_is_underlined():
    a = row("uniform", "bpr", 0.02, 1)
    twin = replace(a, name="twin", runs=tuple(f"twin-{i}" for i in range(5)))
    near = row("near", "bpr", 0.0197, 7)
    far = row("far", "bpr", 0.0, 8)
    text = render(compare([a, twin, near, far], context=CONTEXT, metrics=("ndcg@10",)), "markdown")
    text = text.split("Paired")[0]
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("|")}
    assert "**0.0" in lines["uniform+bpr"]
    assert "**0.0" in lines["twin"]
    assert "<ins>0.0" in lines["near+bpr"]
    assert "**" not in lines["far+bpr"]
    assert "<ins>" not in lines["far+bpr"]


def test_documents_say_which_runs_they_rest_on_and_the_terminal_stays_short():
    runs = [run for r in toy().rows for run in r.runs]
    results = [result for r in toy().rows for result in r.results]
    lines = [f"{run} {result}" for run, result in zip(runs, results, strict=True)]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert toy().as_dict()["digest"] == digest
    other = replace(toy().rows[0], results=("0" * 64, *results[1:5]))
    assert compare([other, *toy().rows[1:]], context=CONTEXT).digest != digest
    for format in ("markdown", "latex", "html"):
        text = render(toy(), format)
        assert f"Runs: {len(runs)}, uniform+bpr-0 " in text
        assert f"sha256 of ids and results {digest[:12]}" in text
    assert "Runs:" not in render(toy(), "table")


def test_color_only_when_asked():
    assert "\x1b[" not in render(toy(), "table")
    assert "\x1b[1m" in render(toy(), "table", color=True)
    plain = re.sub("\x1b\\[[0-9;]*m", "", render(toy(), "table", color=True))
    assert plain == render(toy(), "table")


def test_more_rows_than_letters_and_than_columns():
    text = render(many(30), "table", view="rows")
    assert "29" in text
    assert "Paired differences" not in text
    groups = many(60).groups("ndcg@10")
    assert any("aa" in g for g in groups)
    triangle = render(many(6), "table")
    assert "p (holm) of the paired differences in NDCG@10" in triangle
    assert "p (holm), column > row, of the paired" in render(many(6, alternative="greater"), "table")


def test_json_and_csv_hold_the_same_numbers():
    c = toy()
    d = json.loads(render(c, "json"))
    assert d == c.as_dict()
    lines = list(csv.DictReader(io.StringIO(render(c, "csv"))))
    assert [x["name"] for x in lines] == [*(r["name"] for r in d["rows"]), "full+bpr"]
    assert float(lines[2]["ndcg@10"]) == d["rows"][2]["metrics"]["ndcg@10"]["mean"]
    assert lines[3]["status"] == "2 of 5 failed"
    assert lines[3]["ndcg@10_lo"] == ""
    pairs = list(csv.DictReader(io.StringIO(render(c, "csv", view="pairs"))))
    assert [float(x["p_adjusted"]) for x in pairs] == [x["p_adjusted"] for x in d["pairs"]]


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


def test_latex_structure():
    tex = render(toy(), "latex")
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", tex):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0
    assert re.findall(r"\\begin\{(\w+)", tex) == ["table", "tabular", "tabular", "minipage"]
    assert tex.isascii()
    for body in re.findall(r"\\midrule\n(.*?)\\bottomrule", tex, re.DOTALL):
        widths = {len(re.split(r"(?<!\\)&", line)) for line in body.strip().splitlines()}
        assert len(widths) == 1


LATEX = next((x for x in ("pdflatex", "tectonic", "lualatex", "xelatex") if shutil.which(x)), None)


@pytest.mark.skipif(LATEX is None, reason="no LaTeX is installed")
@pytest.mark.parametrize("view", VIEWS)
def test_latex_compiles(tmp_path, view):
    strange = row("x", "y", 0.01, 9, name=r"τλβγμσ_b&c%d#e$f{g}h~i^j\k<l>|m*né—")
    c = compare([*toy().rows, strange], context=CONTEXT, baseline="uniform+bpr", margin=0.01)
    body = render(c, "latex", view=view)
    document = (
        "\\documentclass{article}\\usepackage{booktabs,graphicx}\\begin{document}\n" + body + "\n\\end{document}\n"
    )
    (tmp_path / "t.tex").write_text(document)
    command = [LATEX, "t.tex"] if LATEX == "tectonic" else [LATEX, "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=250)
    assert "Overfull" not in done.stdout + done.stderr
    assert (tmp_path / "t.pdf").stat().st_size > 1000


def test_matrix_marks_the_best_of_each_column_and_of_all():
    cells = [("u", "bpr", 0.0), ("u", "bce", 0.03), ("p", "bpr", 0.01), ("p", "bce", 0.02), ("q", "bce", 0.015)]
    rows = [row(s, x, shift, i) for i, (s, x, shift) in enumerate(cells)]
    rows.append(row("", "", 0.0, 9, name="toppop", runs=tuple("vwxyz")))
    context = replace(CONTEXT, skipped=({"sampler": "q", "loss": "bpr", "reason": "no"},))
    lines = render(compare(rows, context=context), "markdown", view="matrix").splitlines()
    body = [[x.strip() for x in line.split("|")[1:-1]] for line in lines if line.startswith("|")]
    assert body[0] == ["", "bpr", "bce", "–"]
    found = {line[0]: line[1:] for line in body[2:]}
    assert [x.startswith("**") for x in found["u"]] == [False, True, False]
    assert [x.startswith("**") for x in found["p"]] == [True, False, False]
    assert [x.endswith("*</sup>") for x in found["u"] + found["p"]] == [False, True] + [False] * 4
    assert found["q"][0] == "skipped"
    assert found["toppop"][2].startswith("**0.0")


def test_groups_side_by_side():
    groups = by_group(toy().rows, {"few": range(20), "many": range(20, 80)}, context=CONTEXT)
    text = render_groups(groups)
    assert "few (20)" in text
    assert "many (60)" in text
    assert "Each group is a family of its own, 2 in all." in " ".join(text.split())
    assert render_groups(groups, "latex").count("{tabular}") == 2
    assert "80 test users" in text
    assert json.loads(render_groups(groups, "json"))["groups"]["few"] == groups["few"].as_dict()
    lines = list(csv.DictReader(io.StringIO(render_groups(groups, "csv"))))
    assert [(x["group"], x["users"], x["name"]) for x in lines[4:6]] == [
        ("few", "20", "full+bpr"),
        ("many", "60", "uniform+bpr"),
    ]
    assert float(lines[5]["ndcg@10"]) == groups["many"].values[0]["ndcg@10"].mean
    with pytest.raises(UserError, match="Did you mean 'html'"):
        render_groups(groups, "htm")


def test_every_view_in_every_format_for_readers():
    c = toy(margin=0.01)
    for view in VIEWS:
        for format in ("table", "markdown", "latex", "html"):
            text = render(c, format, view=view)
            assert "uniform" in text, (view, format)
            assert "2 of 5 failed" in text
            if format == "latex":
                assert text.isascii()
    with pytest.raises(UserError, match="needs a margin"):
        render(toy(), view="equivalence")


def test_every_view_in_csv_holds_the_numbers():
    c = toy(margin=0.01)
    found = {view: list(csv.DictReader(io.StringIO(render(c, "csv", view=view)))) for view in VIEWS}
    for view in ("pairs", "effects", "equivalence"):
        assert [(x["a"], x["b"], x["metric"]) for x in found[view]] == [(p.a, p.b, p.metric) for p in c.pairs]
        assert [float(x["difference"]) for x in found[view]] == [p.difference for p in c.pairs]
    e = c.effects(c.pairs[3])
    assert (float(found["effects"][3]["relative_lo"]), int(found["effects"][3]["users_tied"])) == (
        e.relative.lo,
        e.users_tied,
    )
    assert float(found["equivalence"][3]["inside"]) == c.pairs[3].equivalence.inside
    assert float(found["equivalence"][3]["p_adjusted"]) == c.pairs[3].p_equivalent
    assert [x["coverage"] for x in found["diagnostics"]] == ["0.5"] * 4
    assert [(x["train_seconds"], x["peak_bytes"]) for x in found["diagnostics"]] == [("3.25", "")] * 4
    matrix = {x["sampler"]: x for x in found["matrix"]}
    assert float(matrix["inbatch"]["softmax"]) == c.values[2]["ndcg@10"].mean
    assert (matrix["inbatch"]["bpr"], matrix["popularity"]["bce"]) == ("", "")


def test_unknown_format_and_view():
    with pytest.raises(UserError, match="Did you mean 'latex'"):
        render(toy(), "latx")
    with pytest.raises(UserError, match="No view is called"):
        render(toy(), view="nothing")


def test_no_pairs_and_one_row():
    for format in FORMATS:
        assert "uniform+bpr" in render(compare([row("uniform", "bpr", 0, 1)], context=CONTEXT), format)
    one = compare([row("uniform", "bpr", 0, 1, seeds=1)], context=CONTEXT)
    assert "One seed: training noise is not covered" in render(one)
