"""Writes the table of docs/losses.md from the JSON of comparisons; the words around them are kept.

`python -m bench.pages.losses --cells` prints every method as a cell, for `--methods DEFAULTS.json RECOMMENDED.json`;
`--asking` prints what needs negatives that the data give, for `--asked COMPARISON.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import ROOT
from bench.pages.samplers import loss_for, made_by, markdown, mean, number, replaced, samplers, value
from bench.runs.spec import DEFAULTS, parse_cell
from recmodels.compatibility import asks, held, reads_features, text_of
from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.recommended import recommended
from recmodels.samplers import SAMPLERS

PAGE = ROOT / "docs" / "losses.md"
RATED = "4"  # the least rating that is an interaction, where ratings below are to be negatives


def cells() -> list[str]:
    """Every sampler with a loss that can use its law, every loss with a sampler, every model; and toppop.

    Models that read features of items, which few data have, are left out.
    """
    drawn = [f"{sampler}+{loss_for(sampler)}" for sampler in samplers()]
    losses = [f"{sampler_for(loss)}+{loss}" for loss in LOSSES]
    models = [
        f"{DEFAULTS['sampler']}+{DEFAULTS['loss']}+{model}"
        for model in MODELS
        if model != DEFAULTS["model"] and not reads_features(model)
    ]
    return [*dict.fromkeys(drawn + losses + models), "toppop"]


def asking() -> list[str]:
    """Every sampler that needs negatives of the data, with a loss that can use its law; and toppop."""
    return [*(f"{sampler}+{loss_for(sampler)}" for sampler in SAMPLERS if asks(sampler)), "toppop"]


def sampler_for(loss: str) -> str:
    """The default sampler, or the one that lays out the catalogue for a loss that takes nothing else."""
    needs = held("needs", LOSSES.entry(loss), LOSSES.parameters(loss, {}))
    return "full" if "catalogue" in needs else DEFAULTS["sampler"]


def methods_part(defaults: dict[str, Any], advised: dict[str, Any]) -> str:
    """How it was made, and a line per method: with the defaults, as recommended, and what is recommended by whom."""
    metric = defaults["metric"]
    plain = {row["name"]: row for row in defaults["rows"]}
    lines = [
        [row["name"], number(mean(plain[row["name"]], metric), 4), *value(row, metric), advice(row["name"])]
        for row in ordered(advised)
    ]
    head = ["cell", f"{metric}, defaults", f"{metric}, as recommended", "95 % interval", "recommended, and by whom"]
    first = made_by("bench.pages.losses", defaults, "defaults.json")
    second = made_by(
        "bench.pages.losses",
        advised,
        "recommended.json",
        "python -m bench.pages.losses --methods defaults.json recommended.json",
        options=" --recommended",
    )
    commands = first.partition("\n```\n")[0] + second.removeprefix("```")
    return f"{commands}\n\n{markdown(head, lines)}"


def asked_part(comparison: dict[str, Any]) -> str:
    """How it was made, and a line per method that needs negatives of the data: as recommended."""
    metric = comparison["metric"]
    lines = [[row["name"], *value(row, metric), advice(row["name"])] for row in ordered(comparison)]
    command = made_by(
        "bench.pages.losses",
        comparison,
        "asked.json",
        "python -m bench.pages.losses --asked asked.json",
        cells="--asking",
        options=f" --min-rating {RATED} --recommended",
    )
    head = ["cell", f"{metric}, as recommended", "95 % interval", "recommended, and by whom"]
    return f"{command}\n\n{markdown(head, lines)}"


def ordered(comparison: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows, best first."""
    return sorted(comparison["rows"], key=lambda row: -(mean(row, comparison["metric"]) or 0.0))


def advice(cell: str) -> str:
    """What is recommended for a cell, and by whom."""
    told = parse_cell(cell, {}, recommended).recommended
    return ", ".join(f"`{key}={text_of(v)}` ({source})" for key, (v, source) in told.items()) or "–"


def main(arguments: Sequence[str]) -> None:
    """Print the cells, or write the tables that are given."""
    parser = argparse.ArgumentParser(prog="python -m bench.pages.losses")
    parser.add_argument("--cells", action="store_true", help="print the cells of the table")
    parser.add_argument("--asking", action="store_true", help="print the cells that need negatives of the data")
    parser.add_argument("--methods", nargs=2, type=Path, metavar="JSON", help="comparisons: defaults, recommended")
    parser.add_argument("--asked", type=Path, metavar="JSON", help="the comparison of what needs negatives of the data")
    given = parser.parse_args(arguments)
    if given.cells or given.asking:
        sys.stdout.write(" ".join(cells() if given.cells else asking()) + "\n")
    if given.methods:
        write("methods", methods_part(*map(read, given.methods)))
    if given.asked:
        write("asked", asked_part(read(given.asked)))


def read(path: Path) -> dict[str, Any]:
    """A comparison, from its JSON."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def write(mark: str, text: str) -> None:
    """Put a table in its place."""
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), mark, text), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
