"""Writes the tables of docs/tuning.md; `python -m bench.pages.tuning --cells` prints what to tune and compare.

`python -m bench.pages.tuning TUNED.toml DEFAULT.json RECOMMENDED.json TUNED.json`; the words around them are kept.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from bench import ROOT
from bench.pages.samplers import markdown, mean, number, replaced
from bench.runs.spec import CODE_PROTOCOL, given_name, parse_cell, spoken
from bench.tuning.tuned import Tuned, TunedCell, read
from recmodels.compatibility import text_of
from recmodels.recommended import recommended

PAGE = ROOT / "docs" / "tuning.md"
SAMPLERS, LOSSES = ("uniform", "popularity", "inbatch"), ("bpr", "bce", "softmax")
ASKED = {"default": "", "recommended": " --recommended", "tuned": " --tuned-from tuned.toml"}
"""How the same cells are compared, and the option that asks for it."""

Orders = Mapping[str, Mapping[str, float]]  # how the settings came about → cell → what it is ranked by


def cells() -> list[str]:
    """The rows of the reference table."""
    return [f"{sampler}+{loss}" for sampler in SAMPLERS for loss in LOSSES]


def results_part(tuned: Tuned, comparisons: Mapping[str, dict[str, Any]]) -> str:
    """The commands; a line per cell with its metric and place by each kind of settings; how alike the orders are."""
    first = comparisons["default"]
    metric = first["metric"]
    found = {kind: {row["name"]: row for row in each["rows"]} for kind, each in comparisons.items()}
    means = {kind: {name: mean(row, metric) or 0.0 for name, row in rows.items()} for kind, rows in found.items()}
    lines = [
        [f"`{name}`", *(_placed(means[kind], rows[name], metric) for kind, rows in found.items())]
        for name in sorted(means["tuned"], key=lambda name: -means["tuned"][name])
    ]
    said = (
        f"Test {metric} with its 95 % interval over users and seeds, and the place among the {len(lines)} rows; "
        f"{first['users']} users × {len(first['seeds'])} seeds, code protocol {CODE_PROTOCOL}. Tuned: "
        f"{tuned.study['trials']} trials a row, {tuned.study['finalists']} finalists × "
        f"{len(tuned.study['seeds']) - 1} seeds."
    )
    if not any(parse_cell(name, {}, recommended).recommended for name in means["recommended"]):
        said += " Nothing is recommended for any of these rows, so that `recommended` is `default`."
    validation = {"validation of the tuned": {name: _cell(tuned, name).facts["validation"] for name in means["tuned"]}}
    parts = [_commands(tuned, first), said, markdown(["", *found], lines), orders_part(means | validation)]
    return "\n\n".join(parts)


def orders_part(orders: Orders) -> str:
    """Kendall's τ between any two orders of the same cells."""
    lines = []
    for one, other in combinations(orders, 2):
        names = list(orders[one])
        tau = kendall([orders[one][name] for name in names], [orders[other][name] for name in names])
        lines.append([one, other, number(tau, 2)])
    return markdown(["order by", "and by", "Kendall's τ"], lines)


def kendall(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Kendall's τ-b of two lists of numbers of the same things; None where all of one list are equal.

    Paper: M. G. Kendall, Biometrika, 1945.
    """
    from scipy.stats import kendalltau

    tau = float(kendalltau(one, other).statistic)
    return None if math.isnan(tau) else tau


def search_part(tuned: Tuned) -> str:
    """A line per cell: what was chosen out of which space, on what evidence, and what speaks against it."""
    lines = []
    for cell in sorted(tuned.cells.values(), key=lambda cell: -cell.facts["validation"]):
        facts = cell.facts
        used = [(key, space) for key, space in cell.searched.items() if key in cell.values]
        chosen = "<br>".join(f"`{key}={text_of(cell.values[key])}` of {space}" for key, space in used)
        again = f"{number(facts['validation'], 4)} ± {number(facts['validation_std'], 4)}"
        low, middle, high = (number(value, 4) for value in facts["spread"])
        counts = [str(facts[name]) for name in ("given_up", "trial", "enough")]
        remarks = "; ".join([f"edge: {edge}" for edge in facts["edges"]] + ["late"] * facts["late"]) or "–"
        lines.append([f"`{cell.name}`", chosen, again, f"{low}, {middle}, {high}", *counts, remarks])
    head = ["", "chosen", "validation of the chosen ± seeds", "trials: lowest, median, highest"]
    return markdown([*head, "given up", "the chosen trial", "trials to 1 %", "remarks"], lines)


def _placed(means: Mapping[str, float], row: dict[str, Any], metric: str) -> str:
    """The mean of a row, half of its interval, and its place; equal rows share the best place."""
    low, high = row["metrics"][metric]["ci"]
    place = 1 + sum(value > means[row["name"]] for value in means.values())
    return f"{number(means[row['name']], 4)} ± {number((high - low) / 2, 4)} ({place})"


def _cell(tuned: Tuned, name: str) -> TunedCell:
    """What was found for a row, which may be named in short."""
    parts, given, _ = spoken(name)
    return tuned.cells[given_name(parts, given)]


def _commands(tuned: Tuned, comparison: dict[str, Any]) -> str:
    """What makes the page, in order."""
    asked, where = "$(python -m bench.pages.tuning --cells)", f"--dataset {comparison['dataset']}"
    lines = [f"{tuned.command.replace(' '.join(cells()), asked)} --out tuned.toml --curve docs/tuning.png"]
    for kind, option in ASKED.items():
        lines += [
            f"bench compare {asked} {where} \\",
            f"  --seeds {len(comparison['seeds'])}{option} --format json --out {kind}.json",
        ]
    lines.append("python -m bench.pages.tuning tuned.toml " + " ".join(f"{kind}.json" for kind in ASKED))
    return "\n".join(["```", *lines, "```"])


def main(arguments: Sequence[str]) -> None:
    """Print the cells, or write the page from the file of tuned settings and the comparisons."""
    if list(arguments) == ["--cells"]:
        sys.stdout.write(" ".join(cells()) + "\n")
        return
    tuned, *paths = map(Path, arguments)
    found = read(tuned)
    comparisons = (json.loads(path.read_text(encoding="utf-8")) for path in paths)
    page = PAGE.read_text(encoding="utf-8")
    page = replaced(page, "search", search_part(found))
    page = replaced(page, "test", results_part(found, dict(zip(ASKED, comparisons, strict=True))))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
