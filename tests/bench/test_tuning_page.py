"""The tables of docs/tuning.md: places, rank correlations, what was chosen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.pages import tuning
from bench.pages.tuning import cells, main, orders_part, results_part, search_part
from bench.runs.spec import CODE_PROTOCOL, incompatibility, parse_cell
from bench.tuning.tuned import Tuned, TunedCell

FACTS = {
    "trials": 20,
    "enough": 7,
    "given_up": 4,
    "failed": 0,
    "trial": 13,
    "validation_std": 0.001,
    "spread": [0.01, 0.06, 0.08],
    "edges": ["l2=1e-6 of 0 or 1e-06 to 0.1 by ratio"],
    "late": True,
    "exhausted": False,
}


def tuned(**validation: float) -> Tuned:
    found = {
        f"{name}+bpr+mf": TunedCell(
            f"{name}+bpr+mf",
            {"l2": 1e-6, "sampler.reject": False, "schedule": "linear"},
            {"init_std": "0.01 to 0.3", "l2": "0 or 1e-06 to 0.1 by ratio", "sampler.reject": "true, false"},
            {**FACTS, "validation": value},
        )
        for name, value in validation.items()
    }
    command = f"bench tune {' '.join(cells())} --dataset ml-100k --trials 20"
    return Tuned("tuned.toml", command, {}, {"trials": 20, "finalists": 3, "seeds": [1000, 1001]}, found)


def comparison(**means: float) -> dict[str, Any]:
    rows = [
        {"name": f"{name}+bpr", "metrics": {"ndcg@10": {"mean": value, "ci": [value - 0.01, value + 0.01]}}}
        for name, value in means.items()
    ]
    return {"dataset": "ml-100k", "metric": "ndcg@10", "users": 943, "seeds": [0, 1], "rows": rows}


def lines_of(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]


def test_rows_have_their_place_by_each_kind_of_settings() -> None:
    comparisons = {
        "default": comparison(uniform=0.07, popularity=0.06, inbatch=0.06),
        "recommended": comparison(uniform=0.07, popularity=0.06, inbatch=0.05),
        "tuned": comparison(uniform=0.07, popularity=0.08, inbatch=0.06),
    }
    text = results_part(tuned(uniform=0.1, popularity=0.09, inbatch=0.08), comparisons)
    head, _, first, second, third, *_ = lines_of(text)
    assert head == ["", "default", "recommended", "tuned"]
    assert first == ["`popularity+bpr`", "0.0600 ± 0.0100 (2)", "0.0600 ± 0.0100 (2)", "0.0800 ± 0.0100 (1)"]
    assert second[3] == "0.0700 ± 0.0100 (2)"
    assert third[1] == "0.0600 ± 0.0100 (2)"
    assert ["tuned", "validation of the tuned", "0.33"] in lines_of(text)  # (2 pairs alike - 1 reversed) / 3
    assert "Nothing is recommended for any of these rows" in text
    assert f"943 users × 2 seeds, code protocol {CODE_PROTOCOL}" in text
    assert "20 trials a row, 3 finalists × 1 seeds." in text
    assert "bench tune $(python -m bench.pages.tuning --cells) --dataset ml-100k --trials 20 --out tuned.toml" in text
    assert "--dataset ml-100k \\\n  --seeds 2 --recommended --format json --out recommended.json" in text


def test_orders_are_compared_by_kendalls_tau() -> None:
    """By hand: one pair of six reversed is (5 - 1) / 6; with one tie in one of them (5 - 0) / √(6 · 5) = 0.91."""
    names = ("a", "b", "c", "d")
    orders = {
        "one": dict(zip(names, (4.0, 3.0, 2.0, 1.0), strict=True)),
        "swapped": dict(zip(names, (4.0, 3.0, 1.0, 2.0), strict=True)),
        "tied": dict(zip(names, (4.0, 3.0, 1.0, 1.0), strict=True)),
        "back": dict(zip(names, (1.0, 2.0, 3.0, 4.0), strict=True)),
    }
    found = {(line[0], line[1]): line[2] for line in lines_of(orders_part(orders))}
    assert found["one", "swapped"] == "0.67"
    assert found["one", "tied"] == "0.91"
    assert found["one", "back"] == "-1.00"


def test_what_was_chosen_stands_beside_its_space_and_what_speaks_against_it() -> None:
    _, _, first, second = lines_of(search_part(tuned(uniform=0.1, inbatch=0.2)))
    assert (first[0], second[0]) == ("`inbatch+bpr+mf`", "`uniform+bpr+mf`")
    assert first[1] == "`l2=1e-06` of 0 or 1e-06 to 0.1 by ratio<br>`sampler.reject=false` of true, false"
    assert first[2:7] == ["0.2000 ± 0.0010", "0.0100, 0.0600, 0.0800", "4", "13", "7"]
    assert first[7] == "edge: l2=1e-6 of 0 or 1e-06 to 0.1 by ratio; late"


def test_the_cells_are_nine_that_can_be_trained(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--cells"])
    assert capsys.readouterr().out.split() == cells()
    assert [incompatibility(parse_cell(cell, {})) for cell in cells()] == [None] * 9


def test_the_page_is_written_between_its_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = tuned(uniform=0.1, inbatch=0.2)
    monkeypatch.setattr(tuning, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(tuning, "read", lambda path: found)
    (tmp_path / "page.md").write_text("Words.\n<!-- test -->\n<!-- /test -->\nMore.\n<!-- search --><!-- /search -->\n")
    paths = [tmp_path / f"{kind}.json" for kind in tuning.ASKED]
    for path in paths:
        path.write_text(json.dumps(comparison(uniform=0.07, inbatch=0.06)), encoding="utf-8")
    main(["tuned.toml", *map(str, paths)])
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    first, second = text.split("\nMore.\n")
    assert first.startswith("Words.\n<!-- test -->")
    assert "| `uniform+bpr` | 0.0700 ± 0.0100 (1) |" in first
    assert "| `inbatch+bpr+mf` |" in second
