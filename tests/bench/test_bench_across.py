"""Several data sets at once: what is computed from comparisons, and `bench across` as its users see it."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from bench.comparison.across import across
from bench.comparison.compare import compare
from bench.comparison.nouns import Comparison, Context, Row
from bench.tables.caption import own, shared
from bench.tables.render import render_across
from datasets.errors import UserError
from tests.bench.test_cli import QUICK
from tests.conftest import make_interactions
from tests.inputs.asking import bench

NAMES = ("uniform", "popularity", "inbatch")


def comparisons(count: int, names: tuple[str, ...] = NAMES, **options: str) -> list[Comparison]:
    """Every method 0.02 above the one before it, on data sets of other users and another level."""
    found = []
    for k in range(count):
        rng, n = np.random.default_rng(k), 30 + k
        rows = [
            Row(
                name, name, "bpr", "mf", (0, 1, 2), np.arange(n),
                {"ndcg@10": 0.1 * k + 0.1 + 0.02 * i + rng.random((3, n)) / 50},
                {}, 1.0, 2.0, tuple(f"{name}-{k}-{s}" for s in range(3)),
            )
            for i, name in enumerate(names)
        ]  # fmt: skip
        context = Context(f"set{k}", data={"sha256": f"{k:064}"})
        found.append(compare(rows, metrics=("ndcg@10",), context=context, **options))
    return found


def test_ranks_tests_and_aggregate_are_of_the_means_per_data_set() -> None:
    given = comparisons(6)
    a = across(given, 0.005)
    np.testing.assert_allclose(a.scores[2, 1], given[2].values[1]["ndcg@10"].mean, rtol=1e-12)
    assert a.average == (3.0, 2.0, 1.0)
    assert a.ranks is not None
    np.testing.assert_allclose(a.ranks.p, stats.friedmanchisquare(*a.scores.T).pvalue, rtol=1e-10)
    pair = a.pairs[1]
    assert (pair.a, pair.b, pair.ranks, pair.nemenyi) == ("uniform", "inbatch", 2.0, True)
    np.testing.assert_allclose(pair.p, stats.wilcoxon(a.scores[:, 0] - a.scores[:, 2]).pvalue, rtol=1e-10)
    assert pair.b_better > 0.95 > 0.05 > pair.a_better
    runs = [
        c.rows[2].metrics["ndcg@10"].mean(axis=1) / c_scores.mean() for c, c_scores in zip(given, a.scores, strict=True)
    ]
    np.testing.assert_allclose(a.aggregate[2][0], stats.trim_mean(np.ravel(runs), 0.25), rtol=1e-12)
    assert a.aggregate[2][1] < a.aggregate[2][0] < a.aggregate[2][2]
    assert not any("too few" in warning or "No signed-rank" in warning for warning in across(comparisons(7)).warnings)
    assert any("smallest p of 3 pairs (holm) is 0.0938; α = 0.05 takes 7 data sets" in w for w in a.warnings)
    assert any("intervals of the IQM are too narrow with 3 seeds" in w for w in a.warnings)


def test_what_rankings_mask_is_said_of_all_or_of_each() -> None:
    known = {"split": "leave-last-one-out", "candidates": "full", "mask": "known"}
    one, other = (
        replace(c, context=replace(c.context, protocol=protocol))
        for c, protocol in zip(comparisons(2), (known, {**known, "refit": "on train and validation"}), strict=True)
    )
    alike, apart = ((shared(pair), *(own(c, pair) for c in pair)) for pair in ([one, one], [one, other]))
    assert any("trained on train alone" in words for words in alike[0])
    assert not any("trained" in words or "ranking masks" in words for words in apart[0])
    assert "trained on train alone" in apart[1]
    assert "trained again on train and validation" in apart[2]


def test_correction_side_and_baseline_make_the_family() -> None:
    a = across(comparisons(6, correction="bonferroni", alternative="less"))
    expected = stats.wilcoxon(a.scores[:, 0] - a.scores[:, 2], alternative="less").pvalue
    np.testing.assert_allclose((a.pairs[1].p, a.pairs[1].p_adjusted), (expected, 3 * expected), rtol=1e-10)
    assert "p (bonferroni)" in render_across(a)
    against = across(comparisons(6, baseline="popularity"))
    assert [(pair.a, pair.b) for pair in against.pairs] == [("uniform", "popularity"), ("inbatch", "popularity")]
    np.testing.assert_allclose(against.pairs[0].p_adjusted, 2 * against.pairs[0].p, rtol=1e-10)


def test_methods_that_are_equal_everywhere_are_equivalent_and_that_is_said() -> None:
    given = comparisons(6, NAMES[:2])
    same = [
        compare(
            [c.rows[0], replace(c.rows[0], name="twin", runs=c.rows[1].runs)], metrics=("ndcg@10",), context=c.context
        )
        for c in given
    ]
    a = across(same)
    assert (a.pairs[0].a_better, a.pairs[0].equivalent, a.pairs[0].b_better) == (0.0, 1.0, 0.0)
    assert any("Equal on every data set" in w and "uniform and twin" in w for w in a.warnings)


def test_the_baseline_is_the_unit_of_the_aggregate() -> None:
    a = across(comparisons(5, baseline="popularity"))
    assert a.unit == "the mean of popularity"
    np.testing.assert_allclose(a.aggregate[1][0], 1, atol=0.02)


def test_few_data_sets_two_methods_and_failures_are_said() -> None:
    a = across(comparisons(3, NAMES[:2]))
    assert a.ranks is None
    assert a.pairs[0].nemenyi is None
    text = " ".join(render_across(a, full=True).split())
    assert "with 3 data sets the smallest p of 1 pair (holm) is 0.25; α = 0.05 takes 6 data sets" in text
    assert "need three methods" in text
    given = comparisons(5)
    rows = [replace(given[1].rows[0], failed=("1 of 4 failed",)), *given[1].rows[1:]]
    given[1] = compare(rows, metrics=("ndcg@10",), context=given[1].context)
    partly = across(given)
    assert partly.names == ("popularity", "inbatch")
    assert "Left out, because a run failed: uniform." in partly.warnings
    with pytest.raises(UserError, match="Two data sets are called set0"):
        across([*comparisons(1), *comparisons(1)])
    twin = comparisons(1)[0]
    with pytest.raises(UserError, match="set0 and other are the same data"):
        across([twin, replace(twin, context=replace(twin.context, dataset="other"))])
    with pytest.raises(UserError, match="at least 2 data sets"):
        across(comparisons(1))


def test_every_format_holds_the_numbers() -> None:
    a = across(comparisons(5))
    table = json.loads(render_across(a, "json"))
    assert table == a.as_dict()
    lines = list(csv.DictReader(io.StringIO(render_across(a, "csv"))))
    assert [float(line["set3"]) for line in lines] == a.scores[3].tolist()
    assert float(lines[2]["average_rank"]) == 1
    for format in ("table", "markdown", "latex", "html"):
        text = render_across(a, format)
        assert "Friedman" in text
        assert "set4" in text
    assert "Friedman $\\chi$" in render_across(a, "latex")
    assert render_across(a, "latex").isascii()
    with pytest.raises(UserError, match="Did you mean 'latex'"):
        render_across(a, "latx")


def test_the_caption_says_what_all_data_sets_share_and_what_each_has_of_its_own() -> None:
    given = []
    for k, c in enumerate(comparisons(3, baseline="uniform")):
        protocol = {"split": "leave-last-one-out", "candidates": "full", "mask": "train", "users_without_test": k}
        context = replace(c.context, protocol=protocol, facts={"loss": "bpr", "negatives": 16})
        given.append(compare(c.rows, metrics=("ndcg@10",), correction="bh", baseline="uniform", context=context))
    text = " ".join(render_across(across(given), full=True).split())
    assert "Signed-rank test over data sets, bh over 2 pairs, against uniform. Split leave-last-one-out" in text
    assert "Loss bpr, negatives 16. Ranking masks what the user has in train, trained on train alone." in text
    assert "set1: 31 users, users without test 1, Data sha256 000000000000. set2: 32 users" in text
    assert across(given).as_dict()["each"][2]["facts"] == {"loss": "bpr", "negatives": 16}


def test_methods_that_are_equal_by_identity_are_no_pair_over_data_sets() -> None:
    given = []
    for c in comparisons(5):
        rows = [replace(row, canonical="x" if row.name != "inbatch" else "y") for row in c.rows]
        given.append(compare(rows, metrics=("ndcg@10",), context=c.context))
    a = across(given)
    assert [(pair.a, pair.b) for pair in a.pairs] == [("uniform", "inbatch"), ("popularity", "inbatch")]
    assert [round(pair.p_adjusted / pair.p) for pair in a.pairs] == [2, 2], "Holm over two pairs, not three"
    assert any("Equal by identity" in warning for warning in a.warnings)


def write(folder: Path, seed: int) -> Path:
    data = make_interactions(30, 40, 8, seed)
    lines = [f"{u},{i},4,{k}" for k, (u, i) in enumerate(zip(data.users, data.items, strict=True))]
    path = folder / f"set{seed}.csv"
    path.write_text("user,item,rating,timestamp\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_the_command_runs_every_data_set_and_draws_the_diagram(tmp_path: Path) -> None:
    paths = [write(tmp_path, seed) for seed in range(3)]
    flags = [word for path in paths for word in ("--dataset", path)]
    common = (*QUICK, "--results", tmp_path / "runs", "--quiet", "--jobs", "1")
    done = bench("across", *NAMES, *flags, *common, "--figures", tmp_path / "figures", "--margin", "0.01")
    assert done.code == 0, done.err
    assert "3 methods on 3 data sets × 2 seeds" in done.out
    assert "too few" in done.out
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        "critical-difference.svg",
        "critical-difference.png",
        "performance-profile.svg",
        "performance-profile.png",
    }
    file = tmp_path / "three.toml"
    file.write_text(
        f"names = {list(NAMES)}\ndataset = {[str(path) for path in paths]}\n".replace("'", '"'), encoding="utf-8"
    )
    again = bench("across", file, *common, "--format", "json")
    assert again.code == 0, again.err
    table = json.loads(again.out)
    assert table["datasets"] == [path.name for path in paths]
    one = json.loads(bench("compare", *NAMES, "--dataset", paths[1], *common, "--format", "json").out)
    means = [row["metrics"]["ndcg@10"]["mean"] for row in one["rows"]]
    np.testing.assert_allclose([row["scores"][1] for row in table["rows"]], means, rtol=1e-12)


def test_one_data_set_is_one_sentence(ratings_csv: Path) -> None:
    done = bench("across", "uniform", "popularity", "--dataset", ratings_csv)
    assert done.code == 2
    assert done.err == "bench across needs at least two data sets; repeat --dataset, or list them in a file.\n"


def test_a_test_of_one_data_set_is_no_option() -> None:
    done = bench("across", "uniform", "popularity", "--dataset", "a", "--dataset", "b", "--test", "t")
    assert done.code == 2
    assert done.err.startswith("bench across has no option --test")
