"""`bench cite`: references, a paragraph and comments of a table, of any JSON table, and of cells yet to be run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bench.results.citing import bibtex, comments, methods, paragraph, references
from tests.bench.published_tables import published
from tests.bench.test_bibliography import parsed
from tests.inputs.asking import bench


def table(**changes: Any) -> dict[str, Any]:
    """An object of `--format json` with what is cited of it."""
    row = {"name": "uniform+bpr", "sampler": "uniform", "loss": "bpr", "model": "mf", "settings": {}}
    base = {
        "dataset": "ml-100k",
        "protocol": {"split": "leave-last-one-out", "candidates": "full", "mask": "known"},
        "metric": "ndcg@10",
        "seeds": [0, 1, 2],
        "users": 943,
        **{"test": "crossed", "correction": "holm", "alpha": 0.05, "baseline": None},
        "data": {"sha256": "ab" * 32, "source": "mirror"},
        "rows": [row, {**row, "name": "ease", "sampler": None, "loss": None, "model": "ease"}],
        "pairs": [{"metric": "ndcg@10", "equal_by_identity": False}, {"metric": "hr@10", "equal_by_identity": False}],
        "facts": {"negatives": 16, "epochs": 100},
        "manifest": {"versions": ["0.1.0"], "commits": ["c" * 40], "processors": ["a processor"], "runs": 6},
        "command": "bench compare uniform ease",
        "digest": "d" * 64,
    }
    return {**base, **changes}


def keys(text: str) -> list[str]:
    return [key for _, key, _ in parsed(text)]


def test_software_data_methods_test_and_correction_are_cited_once() -> None:
    found = keys(bibtex(table()))
    assert found == [
        *("contrarec", "harper2015movielens", "rendle2009bpr", "koren2009mf", "steck2019ease"),
        *("satterthwaite1946", "scheffe1959", "holm1979"),
    ]


@pytest.mark.parametrize(
    ("changes", "cited", "said"),
    [
        ({"test": "wilcoxon"}, {"wilcoxon1945"}, "by the wilcoxon test [wilcoxon1945]"),
        ({"test": "bootstrap"}, {"owen2007"}, "bootstrap test"),
        ({"correction": "bh"}, {"benjamini1995"}, "corrected by Benjamini–Hochberg [benjamini1995] over the 1 pair"),
        ({"correction": "none"}, set(), "not corrected for the number of pairs"),
        ({"baseline": "ease"}, set(), "each row with ease"),
        ({"facts": {"tuned": "a=1 from 20 trials of a"}}, {"akiba2019optuna"}, "on validation alone, with 20 trials"),
        ({"facts": {"recommended": "l2=0.1 (x)"}}, set(), "defaults, or recommended ones: l2=0.1 (x)"),
        ({"facts": {"epochs": 9, "l2": "0.1 (a), 0.0 (b)"}}, set(), "All rows: epochs 9. Rows differ in l2."),
        ({"dataset": "ratings.csv"}, set(), "on ratings.csv with"),
        ({"users": None}, set(), "leave-last-one-out; all items"),
        (
            {"protocol": {"split": "x", "candidates": "full", "mask": "none", "expected_over_sampled_candidates": 100}},
            {"krichene2020sampled"},
            "metrics are expected over 100 sampled candidates [krichene2020sampled]",
        ),
        ({"protocol": {"split": "x", "candidates": "full", "mask": "train", "min_rating": 4}}, set(), "min rating 4"),
        ({"protocol": {"split": "x", "candidates": "given", "mask": "train"}}, set(), "the candidates are given"),
        ({"table": "ml-100k/loo v1"}, set(), "The table is ml-100k/loo v1, with digest dddddddddddd."),
    ],
)
def test_the_paragraph_says_what_was_done_and_cites_nothing_that_is_not_listed(
    changes: dict[str, Any], cited: set[str], said: str
) -> None:
    one = table(**changes)
    text, listed = paragraph(one), keys(bibtex(one))
    assert said in text
    assert cited <= {*listed}
    named = {key for group in re.findall(r"\[([a-z0-9, -]+)\]", text) for key in group.split(", ")}
    assert named <= {*listed}
    assert named >= cited
    latex = paragraph(one, latex=True)
    assert {key for group in re.findall(r"\\cite\{([^}]*)\}", latex) for key in group.split(",")} == named
    assert latex.isascii()
    assert "⟦" not in text + latex


def test_one_seed_is_not_said_to_be_random() -> None:
    assert "users and seeds as random" in paragraph(table())
    assert "as random" not in paragraph(table(seeds=[0]))


def test_a_pair_that_is_equal_by_identity_is_none_of_the_family() -> None:
    pairs = [{"metric": "ndcg@10", "equal_by_identity": same} for same in (True, False, False)]
    assert "over the 2 pairs of each metric" in paragraph(table(pairs=pairs))


def test_a_selector_is_cited_with_what_it_draws_from() -> None:
    row = table()["rows"][0] | {"sampler": "dns:proposal=mixed", "settings": {"sampler": {"proposal": "mixed:x=1"}}}
    assert [one.name for one in methods([row]) if one.kind == "sampler"] == ["dns", "mixed"]
    assert {"zhang2013dns", "yang2020mns"} <= {one.key for one in references(table(rows=[row]))}


def test_a_method_that_is_not_here_is_named_without_a_paper() -> None:
    row = table()["rows"][0] | {"sampler": "mine:x=1"}
    assert "Samplers: mine." in paragraph(table(rows=[row]))


def test_comments_have_the_manifest_and_break_no_line() -> None:
    lines = comments(table(command="bench\ncompare"), {"lock_sha256": "e" * 64}).splitlines()
    assert all(line.startswith("% ") for line in lines)
    assert {"% command: bench compare", f"% digest: {'d' * 64}", "% processors: a processor"} <= {*lines}
    assert f"% requirements.lock sha256: {'e' * 64}" in lines


@pytest.mark.parametrize("word", ["", "table.json"])
def test_a_published_table_is_cited_from_its_folder(tmp_path: Path, word: str) -> None:
    mine = published(tmp_path)
    done = bench("cite", mine / word if word else mine, "--format", "latex")
    assert (done.code, done.err) == (0, "")
    assert re.search(r"^% requirements.lock sha256: [0-9a-f]{64}$", done.out, re.M)
    assert "% table: ratings.csv/loo v1" in done.out
    assert "We compare 4 rows on ratings.csv with contrarec" in done.out


def test_cells_that_are_not_run_are_cited_and_out_says_the_format(tmp_path: Path, ratings_csv: Path) -> None:
    out = tmp_path / "refs.bib"
    done = bench("cite", "dns+softmax", "ease", "uniform", "--dataset", ratings_csv, "--out", out)
    assert (done.code, done.out) == (0, "")
    assert {"zhang2013dns", "steck2019ease", "rendle2009bpr"} <= {*keys(out.read_text(encoding="utf-8"))}
    text = bench("cite", "dns+softmax", "ease", "uniform", "--dataset", ratings_csv, "--baseline", "ease").out
    assert "each row with ease" in text
    assert "over the 2 pairs of each metric" in text


def test_any_table_in_json_is_cited(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(table()), encoding="utf-8")
    done = bench("cite", file)
    assert done.out.rstrip("\n") == f"{paragraph(table())}\n\n{bibtex(table())}"
