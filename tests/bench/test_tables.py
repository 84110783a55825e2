import csv
import hashlib
import io
import json
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from bench.comparison.compare import compare
from bench.comparison.nouns import Context, Row
from bench.tables import FORMATS
from bench.tables.fit import shortened
from bench.tables.layout import level_of
from bench.tables.render import render
from bench.tables.view import VIEWS
from tests.frozen import frozen_text

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


@cache
def toy(**options):
    rows = [
        row("uniform", "bpr", 0.0, 1),
        row("popularity:alpha=0.5", "bpr", 0.002, 2, marks=("best epoch was the last",)),
        row("inbatch", "softmax", 0.03, 3),
        row("popularity", "bce", 0.03, 4, failed=("2 of 5 failed",)),
    ]
    return compare(rows, context=CONTEXT, **options)


@cache
def many(count, **options):
    rows = [row("uniform", f"l{i}", 0.001 * i, i) for i in range(count)]
    return compare(rows, context=CONTEXT, **options)


def test_intervals_say_their_true_level():
    expected = {0.05: "95%", 0.025: "97.5%", 0.005: "99.5%", 0.1: "90%", 0.0001: "99.99%", 0.05 / 36: "99.861%"}
    assert {alpha: level_of(alpha) for alpha in expected} == expected
    assert "half a row's 97.5% interval" in render(toy(alpha=0.025), view="letters")
    assert "vs best [99.5% simultaneous]" in render(toy(alpha=0.005))
    assert "vs best [99.5% each]" in render(toy(alpha=0.005, correction="none"))
    assert "vs best [95%] " in render(compare(toy().rows[:2], context=CONTEXT))


def test_letters_that_nobody_could_read_are_left_out(monkeypatch):
    note = "No letters for "
    shown = render(toy(), view="letters", full=True)
    assert note not in shown
    monkeypatch.setattr("bench.tables.rows.MOST_LETTERS", 0)
    hidden = render(toy(), view="letters", full=True)
    assert note in hidden
    assert "share a letter" in shown
    assert "share a letter" not in hidden
    assert re.search(r"± [0-9.]+ [a-z]", shown)
    assert not re.search(r"± [0-9.]+ [a-z]", hidden)


@pytest.mark.golden
@pytest.mark.parametrize(
    ("name", "format", "options", "view"),
    [
        ("table.txt", "table", {}, "rows"),
        ("letters.txt", "table", {}, "letters"),
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
    text = render(toy(**options), format, view=view) + "\n"
    assert _short(text) == _short(frozen_text(name, text, _equal))


def _equal(text, frozen):
    """The last digits of a float may differ between builds of numpy; twelve are enough to show a change."""
    return _short(text) == _short(frozen)


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
    text = " ".join(render(toy(), full=True).split())
    for fact in (
        "toy_set: split leave-last-out by time",
        "80 test users, 5 seeds (0–4)",
        "Negatives 16, batch size 1024",
        "Crossed test, holm over the 3 pairs of each metric, α = 0.05",
        "sha256 06416e590641, UNVERIFIED, from mirror",
    ):
        assert fact in text


def test_caption_says_which_history_models_of_sequences_read():
    rows = [
        row("uniform", f"l{at}", 0.0, at, settings={"model": {} if shown is None else {"shown": shown}})
        for at, shown in enumerate(["valid", None, "train", "valid"])
    ]
    text = " ".join(render(compare(rows, context=CONTEXT), full=True).split())
    said = "Of a user's history at test uniform+l0, uniform+l3 read train and validation, uniform+l2 reads train alone."
    assert said in text
    assert "history" not in " ".join(render(toy(), full=True).split())


def test_all_tied_winners_are_bold_and_what_does_not_differ_is_underlined():
    a = row("uniform", "bpr", 0.02, 1)
    twin = replace(a, name="twin", runs=tuple(f"twin-{i}" for i in range(5)))
    near = row("near", "bpr", 0.0197, 7)
    far = row("far", "bpr", 0.0, 8)
    text = render(compare([a, twin, near, far], context=CONTEXT, metrics=("ndcg@10",)), "markdown")
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("|")}
    assert "**0.0" in lines["uniform+bpr"]
    assert "**0.0" in lines["twin"]
    assert "<ins>0.0" in lines["near+bpr"]
    assert "**" not in lines["far+bpr"]
    assert "<ins>" not in lines["far+bpr"]


def test_beside_a_baseline_nothing_is_underlined_for_the_best_was_tested_against_it_alone():
    rows = [row("uniform", "bpr", 0.02, 1), row("near", "bpr", 0.0197, 7), row("base", "bpr", 0.0195, 8)]
    text = render(compare(rows, context=CONTEXT, baseline="base+bpr", metrics=("ndcg@10",)), "markdown")
    assert "<ins>" not in text
    assert "Bold: best.\n" in text


@pytest.mark.parametrize(("correction", "said"), [("holm", True), ("bh", True), ("by", False), ("bonferroni", False)])
def test_only_corrections_that_find_all_that_bonferroni_finds_are_said_to(correction, said):
    text = render(compare(toy().rows, context=CONTEXT, correction=correction), "markdown")
    assert ("finds more than such intervals" in text) == said


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
    for view in VIEWS:
        colored = render(toy(margin=0.01), view=view, color=True)
        assert re.sub("\x1b\\[[0-9;]*m", "", colored) == render(toy(margin=0.01), view=view)


def test_more_rows_than_letters_and_than_columns():
    for format in ("table", "markdown", "latex"):
        text = render(many(30), format)
        assert all(len(re.findall(rf"uniform\+l{i}\b", text)) > 0 for i in range(30))
        assert len(re.findall(r"\[[^\[\]]+, [^\[\]]+\](?! *\{)", text.split("simultaneous]")[1])) >= 29
    groups = many(60).groups("ndcg@10")
    assert any("aa" in g for g in groups)
    triangle = render(many(6), view="letters")
    assert "p (holm) of the paired differences in NDCG@10" in triangle
    assert "p (holm), column > row, of the paired" in render(many(6, alternative="greater"), view="letters")


def test_a_triangle_wider_than_the_terminal_comes_in_parts_with_every_pair():
    c = many(30)
    text = render(c, view="letters", width=80)
    triangle = text.split("paired differences")[1:]
    cells = [p for part in triangle for p in re.findall(r" (<0\.001|[01]\.\d{3})(?![0-9])", part.split("±")[0])]
    assert len(cells) == 30 * 29 / 2
    assert max(map(len, text.splitlines())) <= 80


def test_rows_are_sorted_and_stand_beside_their_difference_to_the_best():
    c = toy()
    lines = render(c).splitlines()
    assert [line.split()[0] for line in lines[3:7]] == [
        "inbatch+softmax",
        "popularity:alpha=0.5+bpr",
        "uniform+bpr",
        "popularity+bce",
    ]
    best, second, _, failed = lines[3:7]
    assert best.split()[2] == "best"
    assert failed.split()[2:6] == ["2", "of", "5", "failed"]
    x, y = c.rows[2].metrics["ndcg@10"], c.rows[1].metrics["ndcg@10"]
    pair = next(p for p in c.pairs if p.metric == "ndcg@10" and p.a == c.rows[1].name and p.b == c.rows[2].name)
    shown = f"{y.mean() - x.mean():+.4f} [{pair.lo_family:+.4f}, {pair.hi_family:+.4f}]".replace("-", "−")
    assert shown in second
    assert f"{100 * (y.mean() / x.mean() - 1):.0f}%".replace("-", "−") in second
    assert ("*" in second) == (pair.p_adjusted < 0.05)


def test_a_baseline_takes_the_place_of_the_best():
    text = render(toy(baseline="uniform+bpr"))
    lines = {line.split()[0]: line for line in text.splitlines()[3:7]}
    assert lines["uniform+bpr"].split()[2] == "baseline"
    assert "vs base [95% simultaneous]" in text
    pair = toy(baseline="uniform+bpr").pairs[-1]
    assert pair.a == "inbatch+softmax"
    assert f"+{pair.difference:.4f} [" in lines["inbatch+softmax"]
    assert "* differs from uniform+bpr after Holm over 2 pairs." in text


def test_one_sided_rows_show_p_against_a_baseline_only():
    text = render(toy(alternative="greater"))
    assert "p> (holm)" not in text
    assert "Pairs ask a > b in the order given" in text
    assert "[95% simultaneous]" in text
    with_base = render(toy(alternative="greater", baseline="uniform+bpr"))
    assert "p> (holm)" in with_base
    assert "* is better than uniform+bpr" in with_base


def test_rows_that_are_the_same_training_are_equal_by_identity_and_in_no_family():
    best, other = row("uniform", "bpr", 0.03, 1, canonical="x"), row("popularity", "bpr", 0.0, 2)
    twin = row("tail:share=1", "bpr", 0.025, 3, canonical="x")
    c = compare([other, twin, best], context=CONTEXT)
    lines = {line.split()[0]: line for line in render(c).splitlines()[3:6]}
    assert "equal by identity" in lines["tail:share=1+bpr"]
    assert "over 2 pairs" in render(c)
    assert "the same training under two names" in render(c, full=True)
    pairs = next(line for line in render(c, view="pairs").splitlines() if line.startswith("tail"))
    assert "equal by identity" in pairs
    assert re.search(r"3 uniform\+bpr +<0\.001 +=", render(c, view="letters"))
    alone = compare([twin, best], context=CONTEXT)
    for view in VIEWS:
        if view != "equivalence":
            assert "0 pairs." not in render(alone, view=view)
    for format in FORMATS:
        assert "tail" in render(alone, format)


def test_a_terminal_has_four_lines_around_the_table_and_warnings_apart():
    for c in (toy(), many(30), toy(baseline="uniform+bpr"), toy(alternative="less"), many(9)):
        for view in VIEWS:
            if view == "equivalence":
                continue
            block, _, warned = render(c, view=view, width=80).partition("\n\nSkipped full+bpr")
            lines = block.splitlines()
            names = {r.name.split("+")[0] for r in c.rows}
            last = max(
                i for i, line in enumerate(lines) if any(name in line for name in names) and "* " not in line[:2]
            )
            assert lines[0].startswith("toy_set · NDCG@10")
            assert len(lines) - 1 - last <= 3, (view, lines[last:])
            assert "Warning: the results folder is 50% full." in warned
            assert "Next: --view" in block
            assert "loss became NaN" not in block


def test_plain_text_never_speaks_of_bold():
    for view in VIEWS:
        for full in (False, True):
            text = render(toy(margin=0.01), view=view, full=full).lower()
            assert "bold" not in text
            assert "underline" not in text
    assert "Bold: best" in render(toy(), full=True, color=True)
    assert "Bold: best" in render(toy(), "markdown")


def test_a_narrow_terminal_loses_columns_in_order_and_shortens_names_last():
    c = many(9)
    wide = render(c, width=200)
    assert "seconds" in wide
    assert "Left out" not in wide
    gone = []
    for width in (90, 80, 75, 65, 60, 50, 45):
        text = render(c, width=width)
        assert max(map(len, text.splitlines())) <= width
        gone.append(re.findall(r"Left out to fit \d+ columns: (.*)\.", " ".join(text.split()).split(" Next")[0]))
    order = ["seconds", "epochs", "HR@10", "rel."]
    assert all(not g or g[0].split(", ") == order[: len(g[0].split(", "))] for g in gone)
    assert gone[-1] == [", ".join(order)]
    assert "uniform+l8" in render(c, width=60)
    long = [replace(r, name=f"a-name-that-is-long-and-then-longer-{i}+bpr") for i, r in enumerate(c.rows)]
    short = render(compare(long, context=CONTEXT), width=60)
    assert max(map(len, short.splitlines()[1:12])) <= 60
    assert len({line.split()[0] for line in short.splitlines()[3:12]}) == 9


def test_names_that_look_the_same_when_shortened_are_numbered():
    names = ["popularity:alpha=0.25,reject=false+bpr", "popularity:alpha=0.5,reject=false+bpr"]
    found = shortened(names, 14)
    assert len({*found.values()}) == 2
    assert all(len(short) <= 14 for short in found.values())
    assert shortened(["ab", "a" * 20 + "b"], 9) == {"ab": "ab", "a" * 20 + "b": "aaaa…aaab"}


def test_intervals_stay_within_what_a_metric_can_be():
    """Two seeds that differ by much: the t interval with one degree of freedom leaves [0, 1]."""

    def shaky(name, low, high):
        values = np.stack([low + np.array([0, 0.01, 0, 0.02]), np.full(4, high)])
        runs = tuple(f"{name}{s}" for s in (0, 1))
        return row(name, "bpr", 0, 1, n=4, seeds=2, metrics={"hr@10": values, "ndcg@10": values}, runs=runs)

    c = compare([shaky("a", 0.1, 0.3), shaky("b", 0.5, 0.2)], context=CONTEXT)
    assert c.values[0]["ndcg@10"].lo < 0
    assert c.values[0]["ndcg@10"].hi > 1
    letters = render(c, view="letters", full=True)
    assert "[0.0000, 1.0000]" in letters
    assert "are cut there" in letters
    assert "[−1.0000, +1.0000]" in render(c)
    assert "are cut there" not in render(toy(), full=True)


def test_documents_have_no_times_of_the_clock_and_the_terminal_and_json_have():
    slow = compare([replace(r, train_seconds=r.train_seconds * 7, peak_bytes=5e6) for r in toy().rows], context=CONTEXT)
    for format in ("markdown", "latex", "html"):
        for view in VIEWS:
            if view != "equivalence":
                assert render(toy(), format, view=view) == render(slow, format, view=view), (format, view)
    assert render(toy(), "csv") == render(slow, "csv")
    assert render(toy(), width=120) != render(slow, width=120)
    assert json.loads(render(slow, "json"))["rows"][0]["train_seconds"] == 22.75


def test_numbers_of_one_are_singular():
    text = " ".join(render(compare(toy().rows[:2], context=CONTEXT), full=True).split())
    assert "1 pairs" not in text
    one = render(compare([row("uniform", "bpr", 0, 1, seeds=1)], context=CONTEXT))
    assert "80 users × 1 seed\n" in one


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


def test_no_pairs_and_one_row():
    for format in FORMATS:
        assert "uniform+bpr" in render(compare([row("uniform", "bpr", 0, 1)], context=CONTEXT), format)
    one = compare([row("uniform", "bpr", 0, 1, seeds=1)], context=CONTEXT)
    assert "One seed: training noise is not covered" in render(one)
