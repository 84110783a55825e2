"""The tables of docs/performance.md, from records as the experiments leave them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.pages import speed


def record(stage: str, library: str, seed: int, epochs: list[float], curve: list[Any] = (), **more: Any) -> Any:
    settings = {"lr": 0.05} if library == "cornac" else {}
    head = {"stage": stage, "library": library, "data": "toy", "settings": settings, "seed": seed, "version": "3.0"}
    return {**head, "epochs": epochs, "curve": list(curve), "most": 9, **more}


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_epochs_are_divided_by_those_of_the_same_round() -> None:
    records = [
        record("epochs", "cornac", 0, [9, 2.0, 3.0]),
        record("epochs", "cornac", 1, [9, 1.0, 1.0]),
        record("epochs", "contrarec", 0, [9, 1.0, 4.0]),
        record("epochs", "contrarec", 1, [9, 2.0, 2.5]),
    ]
    assert cells(speed.epochs_part(records)) == [
        ["cornac 3.0", "`lr=0.05`", "1.50 (1.00 to 2.00)", "1.00 (1.00 to 1.00)"],
        ["contrarec", "–", "1.50 (1.00 to 2.00)", "1.25 (0.50 to 2.00)"],
    ]


def test_the_target_is_of_the_best_peer_and_seconds_are_those_of_epochs() -> None:
    ours = [[1, 0, 0.5], [2, 0, 0.99], [3, 0, 0.2]]
    records = [
        record("seeds", "contrarec", 1, [], ours),
        record("seeds", "contrarec", 2, [], [[1, 0, 0.96]]),
        record("seeds", "cornac", 1, [], [[2, 0, 0.94], [4, 0, 1.0]]),
        record("seeds", "implicit", 1, [], [[2, 0, 0.1]]),
        *(record("chosen", name, 0, [3.0, 1.0, 2.0]) for name in ("contrarec", "cornac", "implicit")),
        record("seeds", "cornac", 1, [], [[1, 0, 7.0]]) | {"data": "other"},
    ]
    found = cells(speed.target_part(records, "toy"))
    assert found[0][3:] == ["0.9750 (0.9600 to 0.9900)", "2 (1 to 2)", "2 of 2", "1.000", "3.5 (3.0 to 4.0)"]
    assert found[1][3:] == ["1.0000", "4", "1 of 1", "1.000", "6.0"]
    assert found[2][3:] == ["0.1000", "–", "0 of 1", "1.000", "–"]


def test_growth_has_a_line_for_a_size_and_ratios_a_line_for_a_benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = (
        "dataset,interactions,users,items,optimizer,cpu_seconds_per_million,touched_cpu_seconds_per_million,"
        "ranking_cpu_seconds,trained_peak_gib,peak_gib"
    )
    growth, benchmarks, page = (tmp_path / name for name in ("growth.csv", "benchmarks.json", "page.md"))
    growth.write_text(f"{head}\na,1000,10,20,sgd,0.5,0.2,3,0.1,0.3\na,1000,10,20,lazy_adam,1.5,0.25,2,0.2,0.25\n")
    timed = [{"fullname": "tests/a.py::b", "extra_info": {"ratio": 1.5, "to": "torch"}}, {"extra_info": {}}]
    benchmarks.write_text(json.dumps({"benchmarks": timed}))
    page.write_text("<!-- growth --> old <!-- /growth -->\nkept\n<!-- ratios -->\n<!-- /ratios -->\n")
    monkeypatch.setattr(speed, "PAGE", page)
    speed.main(["--growth", str(growth), "--benchmarks", str(benchmarks)])
    first, _, second = page.read_text().partition("kept")
    assert "| 1,000 | 10 × 20 | 0.50 | 1.50 | 0.20 | 0.20, 0.30 | 2.00 |" in first
    assert "old" not in first
    assert "| `a.py::b` | 1.50 | torch |" in second


def test_every_table_has_its_place_in_the_page() -> None:
    page = speed.PAGE.read_text(encoding="utf-8")
    for mark in ("epochs", "to target, ml-100k", "to target, ml-1m-sasrec", "growth", "ratios"):
        assert page.count(f"<!-- {mark} -->") == page.count(f"<!-- /{mark} -->") == 1
