"""Writes the table of docs/losses.md from the JSON of comparisons; the words around them are kept.

`python -m bench.pages.losses --cells` prints every method as a cell, for `--methods DEFAULTS.json RECOMMENDED.json`.
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
from recmodels.compatibility import held, text_of
from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.recommended import recommended

PAGE = ROOT / "docs" / "losses.md"


def cells() -> list[str]:
    """Every sampler with a loss that can use its law, every loss with a sampler, every model; and toppop."""
    drawn = [f"{sampler}+{loss_for(sampler)}" for sampler in samplers()]
    losses = [f"{sampler_for(loss)}+{loss}" for loss in LOSSES]
    models = [f"{DEFAULTS['sampler']}+{DEFAULTS['loss']}+{model}" for model in MODELS if model != DEFAULTS["model"]]
    return [*dict.fromkeys(drawn + losses + models), "toppop"]


def sampler_for(loss: str) -> str:
    """The default sampler, or the one that lays out the catalogue for a loss that takes nothing else."""
    needs = held("needs", LOSSES.entry(loss), LOSSES.parameters(loss, {}))
    return "full" if "catalogue" in needs else DEFAULTS["sampler"]


def methods_part(defaults: dict[str, Any], advised: dict[str, Any]) -> str:
    """How it was made, and a line per method: with the defaults, as recommended, and what is recommended by whom."""
    metric = defaults["metric"]
    plain = {row["name"]: row for row in defaults["rows"]}
    lines = []
    for row in sorted(advised["rows"], key=lambda row: -(mean(row, metric) or 0.0)):
        told = parse_cell(row["name"], {}, recommended).recommended
        said = ", ".join(f"`{key}={text_of(v)}` ({source})" for key, (v, source) in told.items())
        lines.append([row["name"], number(mean(plain[row["name"]], metric), 4), *value(row, metric), said or "–"])
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


def main(arguments: Sequence[str]) -> None:
    """Print the cells, or write the tables that are given."""
    parser = argparse.ArgumentParser(prog="python -m bench.pages.losses")
    parser.add_argument("--cells", action="store_true", help="print the cells of the table")
    parser.add_argument("--methods", nargs=2, type=Path, metavar="JSON", help="comparisons: defaults, recommended")
    given = parser.parse_args(arguments)
    if given.cells:
        sys.stdout.write(" ".join(cells()) + "\n")
        return
    if given.methods:
        page, comparisons = (
            PAGE.read_text(encoding="utf-8"),
            (json.loads(path.read_text("utf-8")) for path in given.methods),
        )
        PAGE.write_text(replaced(page, "methods", methods_part(*comparisons)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
