"""The tables of results/README.md against a few lines of their own over the published files."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from bench.pages.results import (
    PARTS,
    Table,
    diagnostics_part,
    differences_part,
    orders_part,
    replaced,
    tables,
    tables_part,
    tuning_part,
    written,
)
from tests.bench.published_tables import DESCRIPTION, described, made_up, making

NAMES = '"uniform+bpr", "popularity+bpr", "uniform+softmax:temperature=0.5", "toppop"'
MORE = DESCRIPTION.replace(
    NAMES, '"uniform+bpr", "popularity+bpr", "inbatch+bpr", "uniform+softmax", "ease", "itemknn"'
)


def publish(folder: Path, text: str) -> Table:
    """The table of made-up runs that a description asks for, in a folder of its own."""
    folder.mkdir()
    mine = described(folder, text)
    one = making(mine)
    made_up(*one.asked.checked())
    assert one.make() == 0
    (found,) = tables(folder)
    return found


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Six rows with a baseline."""
    return publish(
        tmp_path_factory.mktemp("known") / "x", MORE.replace("seeds = 3", 'seeds = 3\nbaseline = "uniform+bpr"')
    )


def lines(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:]]


def means(table: Table) -> dict[str, float]:
    """Row → NDCG@10, from the file."""
    rows = json.loads((table.published.folder / "table.json").read_text(encoding="utf-8"))["rows"]
    return {row["name"]: row["metrics"]["ndcg@10"]["mean"] for row in rows}


def tau(one: list[float], other: list[float]) -> float:
    """Kendall's, of numbers without ties: agreeing pairs less the others, over all."""
    signs = [(a - b) * (c - d) > 0 for (a, c), (b, d) in combinations(zip(one, other, strict=True), 2)]
    return (2 * sum(signs) - len(signs)) / len(signs)


def test_a_table_is_told_with_its_best_row_and_best_baseline(known: Table) -> None:
    ((folder, name, _, protocol, settings, rows, seeds, users, metric, best, baseline, digest),) = lines(
        tables_part([known])
    )
    found = means(known)
    first = max(found, key=lambda row: found[row])
    top = max(("ease", "itemknn"), key=lambda row: found[row])
    assert (folder, name.endswith("/loo v1")) == ("[`mine/`](mine/table.md)", True)
    assert (protocol, settings) == ("leave-last-one-out, full candidates", "default")
    assert (rows, seeds, users, metric) == ("6", "3", "40", "NDCG@10")
    assert (best, baseline) == (f"`{first}` {found[first]:.4f}", f"`{top}` {found[top]:.4f}")
    told = json.loads((known.published.folder / "table.json").read_text(encoding="utf-8"))
    assert digest == f"`{told['digest'][:12]}`"


def test_what_differs_is_counted_from_adjusted_p(known: Table) -> None:
    """Of the baseline's family from the published file; of all pairs from p values that make some differ."""
    told = json.loads((known.published.folder / "table.json").read_text(encoding="utf-8"))
    found = means(known)
    below = [pair for pair in told["pairs"] if pair["metric"] == "ndcg@10" and pair["p_adjusted"] < told["alpha"]]
    pairs = [replace(pair, p_adjusted=0.001 if "ease" in (pair.a, pair.b) else 0.5) for pair in known.all_pairs.pairs]
    some = Table(known.published)
    some.__dict__["all_pairs"] = replace(known.all_pairs, pairs=tuple(pairs))
    ((_, test, baseline, better, worse, differ, best, near, ease, knn),) = lines(differences_part([some]))
    assert (test, baseline) == ("crossed, holm, α = 0.05", "`uniform+bpr`")
    assert better == f"{sum(pair['difference'] > 0 for pair in below)} of 5"
    assert worse == f"{sum(pair['difference'] < 0 for pair in below)} of 5"
    assert differ == "5 of 15"
    order = sorted(found, key=lambda row: -found[row])
    alike = [row for row in order[1:] if "ease" not in (row, order[0])]
    assert best.startswith(f"`{order[0]}`")
    assert near == (f"{len(alike)}: {', '.join(f'`{row}`' for row in alike)}" if alike else "0")
    trained = [row for row in found if "+" in row]
    above = {name: sum(found[row] > found[name] for row in trained) for name in ("ease", "itemknn")}
    assert ease == f"{above['ease']} of 4, {above['ease']}"
    assert knn == f"{above['itemknn']} of 4, 0"


def test_orders_are_compared_where_settings_or_split_differ_alone(known: Table, tmp_path: Path) -> None:
    cells = [{**cell, "study": "a", "trials": [{}] * 7} for cell in known.published.cells]
    tuned = Table(replace(known.published, manifest={**known.published.manifest, "cells": cells}))
    time = publish(tmp_path / "x", MORE.replace("seeds = 3", 'seeds = 3\nsplit = "leave-random-one-out"'))
    less = publish(tmp_path / "y", DESCRIPTION.replace("seeds = 3", 'seeds = 3\nsplit = "leave-random-one-out"'))
    found = means(known)
    assert lines(orders_part([tuned, known]))[0][2:] == ["settings: tuned, default", "6", "1.00"]
    assert "No two tables" in orders_part([known, known])
    assert "No two tables" in orders_part([tuned, time])
    for other in (time, less):
        theirs = means(other)
        shared = [name for name in found if name in theirs]
        value = f"{tau([found[name] for name in shared], [theirs[name] for name in shared]):.2f}"
        split = "split: leave-last-one-out, leave-random-one-out"
        assert lines(orders_part([known, other]))[0][2:] == [split, str(len(shared)), value]


def test_what_tuning_changed_is_the_difference_of_the_same_row_in_two_tables(known: Table, tmp_path: Path) -> None:
    other = publish(tmp_path / "x", MORE.replace("embedding_size = 4", "embedding_size = 5"))
    cells = [{**cell, "study": "a", "trials": [{}] * 7} for cell in other.published.cells]
    tuned = Table(replace(other.published, manifest={**other.published.manifest, "cells": cells}))
    before, after = means(known), means(other)
    trained = {name for name in before if "+" in name}  # of the others both tables have the same runs
    found = {line[1].strip("`"): line for line in lines(tuning_part([known, tuned]))}
    assert {*found} == trained
    for name, (_, _, plain, searched, difference, p) in found.items():
        assert (plain, searched) == (f"{before[name]:.4f}", f"{after[name]:.4f}")
        told, low, high = (float(number) for number in re.findall(r"[-+]?[.\d]+", difference.replace("−", "-")))
        assert told == pytest.approx(after[name] - before[name], abs=6e-5)
        assert low <= told <= high
        assert (low > 0 or high < 0) or p == "1.000" or float(p.removeprefix("<")) > 0.05
    assert "No row" in tuning_part([known, other])


def test_orders_are_compared_between_the_models_of_a_table(tmp_path: Path) -> None:
    losses, models = ("bpr", "bce", "softmax"), ("", "+lightgcn:layers=1")
    names = ", ".join(f'"uniform+{loss}{model}"' for model in models for loss in losses)
    found = publish(tmp_path / "x", DESCRIPTION.replace(NAMES, f'"toppop", "dns+bpr", {names}'))
    values = {name: mean for name, mean in means(found).items() if name.startswith("uniform")}
    one, other = (
        [next(values[name] for name in values if f"+{loss}" in name and ("gcn" in name) == deep) for loss in losses]
        for deep in (False, True)
    )
    (line,) = lines(orders_part([found]))
    assert line[0] == line[1] == found.own.context.table
    assert line[2:] == ["model: mf, lightgcn", "3", f"{tau(one, other):.2f}"]


def test_diagnostics_are_held_to_the_metric_by_spearmans_rho(known: Table) -> None:
    """1 − 6 Σ d² / (n(n² − 1)), d the difference of places; what no row has is left empty."""
    found, rows = means(known), [row for row in known.own.rows if "+" in row.name]
    one, other = ([row.diagnostics["hardness"] for row in rows], [found[row.name] for row in rows])
    places = [[sorted(values).index(value) for value in values] for values in (one, other)]
    n, squares = len(rows), sum((a - b) ** 2 for a, b in zip(*places, strict=True))
    assert lines(diagnostics_part([known]))[0][1:] == ["4", f"{1 - 6 * squares / (n * (n * n - 1)):.2f}", *["–"] * 4]


def test_the_page_keeps_its_words_and_leaves_out_what_is_not_published(known: Table) -> None:
    folder = known.published.folder.parent
    (folder / "unfinished").mkdir(exist_ok=True)
    (folder / "unfinished" / "table.toml").write_text("table = 'x'\n", encoding="utf-8")
    marks = "\n".join(f"before <!-- {name} -->\nstale\n<!-- /{name} --> after" for name in PARTS)
    text = written(f"# Words\n{marks}\nlast\n", folder)
    assert text == replaced(text, "tables", tables_part([known]))
    assert text.count(" after") == len(PARTS)
    assert "stale" not in text
    assert (text.startswith("# Words\nbefore"), text.endswith("last\n")) == (True, True)
