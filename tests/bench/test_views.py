"""Views beside rows and pairs, and every view in every format."""

import csv
import io
import json
from dataclasses import replace

import pytest

from bench.comparison.compare import by_group, compare
from bench.tables.render import render, render_groups
from bench.tables.view import VIEWS
from datasets.errors import UserError
from tests.bench.test_tables import CONTEXT, row, toy


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
    groups = by_group(toy(), {"few": range(20), "many": range(20, 80)})
    text = render_groups(groups, full=True)
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
    assert "train_seconds" not in found["rows"][0]
    matrix = {x["sampler"]: x for x in found["matrix"]}
    assert float(matrix["inbatch"]["softmax"]) == c.values[2]["ndcg@10"].mean
    assert (matrix["inbatch"]["bpr"], matrix["popularity"]["bce"]) == ("", "")


def test_unknown_format_and_view():
    with pytest.raises(UserError, match="Did you mean 'latex'"):
        render(toy(), "latx")
    with pytest.raises(UserError, match="No view is called"):
        render(toy(), view="nothing")


def test_diagnostics_are_grouped_and_rounded():
    facts = {
        "coverage": 0.98765,
        "hardness": 0.5,
        "hardness_first": 0.25,
        "hardness_last": 0.755,
        "false_negatives": 0.00123,
        "draws_per_second": 10899594.27,
        "something_new": 0.123456,
    }
    c = compare([row("uniform", "bpr", 0, 1, diagnostics=facts), row("p", "bpr", 0.1, 2)], context=CONTEXT)
    text = render(c, view="diagnostics")
    for shown in ("0.988", "0.50 (0.25 → 0.76)", "0.0012", "10.9", "something new", "0.1235"):
        assert shown in text
    assert "10899594" not in text
    assert "10.9" not in render(c, "markdown", view="diagnostics")


def test_a_row_on_fewer_seeds_is_set_against_the_best_on_these():
    best, other = row("uniform", "bpr", 0.02, 1), row("near", "bpr", 0.0195, 7)
    few = replace(other, seeds=other.seeds[:2], metrics={name: x[:2] for name, x in other.metrics.items()},
                  runs=other.runs[:2], results=other.results[:2])  # fmt: skip
    c = compare([best, few], context=CONTEXT, metrics=("ndcg@10",))
    theirs = [r.metrics["ndcg@10"][:2].mean() for r in (few, best)]
    text = " ".join(render(c, width=200).split())
    assert " on 2 seeds " in text
    assert f"{100 * (theirs[0] / theirs[1] - 1):+.1f}%".replace("-", "−") in text, text
