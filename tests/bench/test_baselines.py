"""The page of baselines, and what two rows without chance come to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from bench.pages.baselines import PAGE, main, oracles, registry_part, table_part
from bench.pages.samplers import replaced
from bench.runs.spec import CODE_PROTOCOL
from bench.statistics.crossed import crossed
from bench.statistics.moments import moments
from recmodels.models import BASELINES


def test_the_page_says_what_the_registry_says() -> None:
    """If this fails, run `python -m bench.pages.baselines`."""
    page = PAGE.read_text(encoding="utf-8")
    assert replaced(page, "registry", registry_part()) == page
    for name, entry in BASELINES.entries.items():
        assert f"### {name}\n" in page
        assert entry.facts["paper"] in page


def test_every_parameter_says_where_it_is_searched_but_those_that_only_cost_time() -> None:
    left = {f"{name}:{p.name}" for name in BASELINES for p in BASELINES.entry(name).parameters.values() if not p.search}
    assert left == {"ials:iterations", "ials:nu"}


def comparison(dataset: str, *cells: str) -> dict[str, Any]:
    def row(at: int, name: str) -> dict[str, Any]:
        means = {f"{metric}@{k}": {"mean": 0.1 + at / 100} for metric in ("recall", "ndcg") for k in (10, 20)}
        return {"name": name, "metrics": means}

    return {"dataset": dataset, "seeds": [0], "rows": [row(at, name) for at, name in enumerate(cells)]}


def test_the_table_has_our_values_beside_those_of_other_code() -> None:
    cells = ["toppop", "itemknn:neighbours=100,shrink=0"]
    text = table_part([comparison("amazon-beauty-lightgcnpp", *cells), comparison("ml-100k", "toppop")])
    assert "--dataset amazon-beauty-lightgcnpp \\\n  --seeds 1 --mask train --metric recall@20" in text
    assert "--dataset ml-100k \\\n  --seeds 1 --refit --metric recall@10" in text
    assert f"Code protocol {CODE_PROTOCOL}." in text
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    assert lines == [
        "| `itemknn:neighbours=100,shrink=0` | 0.1100 | 0.0427 | 0.1100 | 0.0235 |",
        "| `toppop` | 0.1000 | 0.0213 | 0.1000 | 0.0092 |",
        "| `toppop` | 0.1000 | 0.0859 | 0.1000 | 0.0449 |",
    ]


@pytest.mark.parametrize("dataset", ["lastfm-lightgcn", "amazon-beauty-lightgcnpp", "ml-100k", "ml-1m-sasrec"])
def test_the_page_has_every_baseline_beside_its_oracle(dataset: str) -> None:
    """The oracle breaks ties by id, which moves no deterministic row by more than 0.001."""
    table = PAGE.read_text(encoding="utf-8").partition("<!-- table -->")[2].partition("<!-- /table -->")[0]
    part = table.partition(f"**{dataset}**")[2].partition("**")[0]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines() if line.startswith("| `")]
    assert {name.strip("`") for name, *_ in lines} == set(oracles(dataset))
    apart = {name for name, *values in lines if abs(float(values[0]) - float(values[1])) > 0.001}
    assert [name for name in apart if not name.startswith("`ials")] == []


def test_cells_are_those_of_the_oracles(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--cells", "ml-1m-sasrec"])
    assert capsys.readouterr().out.split() == list(oracles("ml-1m-sasrec"))
    assert len(oracles("ml-1m-sasrec")) == 6


def test_what_draws_nothing_varies_over_users_alone() -> None:
    """Five equal rows of values give the interval and the p of the paired t over users."""
    difference = np.random.default_rng(0).normal(0.02, 0.1, 200)
    found = crossed(moments(np.tile(difference, (5, 1))))
    theirs = ttest_1samp(difference, 0)
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-9)
    assert (found.lo, found.hi) == pytest.approx(tuple(theirs.confidence_interval(0.95)), rel=1e-9)
