"""Writes docs/baselines.md: `python -m bench.pages.baselines [JSON …]`; `--cells DATASET` prints what to compare.

What the registry says stands between two marks in the page and is written anew; so is the table, where comparisons are
given as JSON, one a data set. The words around them are kept.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import ROOT
from bench.pages.samplers import arguments_of, markdown, mean, number, parameter_line, replaced
from bench.runs.spec import CODE_PROTOCOL
from recmodels.entries import Entry
from recmodels.models import BASELINES

PAGE = ROOT / "docs" / "baselines.md"
ORACLES = ROOT / "tests" / "oracles" / "baselines.json"
FITS = {"train and valid": " --refit", "train": " --mask train"}  # how what an oracle fitted is asked for


def oracles(dataset: str) -> dict[str, dict[str, Any]]:
    """Cell → the oracle's case, of the first thing that the file has fitted on a data set; one of several seeds."""
    cases = [case for case in json.loads(ORACLES.read_text(encoding="utf-8")) if case["dataset"] == dataset]
    first = cases[0]
    alike = [case for case in cases if (case["fit"], case["mask"]) == (first["fit"], first["mask"])]
    return {case["cell"]: case for case in reversed(alike)}


def registry_part() -> str:
    """A section per baseline, from its docstring and what it declares."""
    return "\n\n".join(_section(entry) for entry in BASELINES.entries.values())


def _section(entry: Entry) -> str:
    text, _, about = entry.doc.partition("Args:")
    summary, _, body = text.strip().partition("\n")
    told = arguments_of(about.partition("Raises:")[0])
    lines = [f"### {entry.name}", "", summary, ""]
    lines += [body.partition("Raises:")[0].strip(), ""] if body.strip() else []
    for parameter in entry.parameters.values():
        searched = f" Searched: {parameter.search.told}." if parameter.search else ""
        lines.append(parameter_line(parameter, told[parameter.name]) + searched)
    lines += [""] if entry.parameters else []
    once = "Draws random numbers: a run for each seed." if entry.draws else "Deterministic: one run for all seeds."
    lines.append(f"Paper: {entry.facts['paper']}. {once}")
    return "\n".join(lines)


def table_part(comparisons: Sequence[dict[str, Any]]) -> str:
    """How the comparisons were made, and a line per cell: Recall and NDCG here and by the oracle."""
    commands, parts = [], []
    for comparison in comparisons:
        dataset, known = comparison["dataset"], oracles(comparison["dataset"])
        first = next(iter(known.values()))
        recall, ndcg = (f"{metric}@{first['k']}" for metric in ("recall", "ndcg"))
        out, seeds = f"{dataset}.json", len(comparison["seeds"])
        commands += [
            f"bench compare $(python -m bench.pages.baselines --cells {dataset}) --dataset {dataset} \\",
            f"  --seeds {seeds} {FITS[first['fit']].strip()} --metric {recall} --format json --out {out}",
        ]
        lines = []
        for row in sorted(comparison["rows"], key=lambda row: -(mean(row, recall) or 0.0)):
            case = known[row["name"]]
            values = [(mean(row, name), case[key]) for name, key in ((recall, "recall"), (ndcg, "ndcg"))]
            numbers = [text for here, there in values for text in (number(here, 4), number(there, 4))]
            lines.append([f"`{row['name']}`", *numbers])
        head = ["cell", recall, "oracle", ndcg, "oracle"]
        parts.append(f"**{dataset}**\n\n{markdown(head, lines)}")
    commands.append("python -m bench.pages.baselines " + " ".join(f"{each['dataset']}.json" for each in comparisons))
    block = "\n".join(["```", *commands, "```"])
    return "\n\n".join([block, f"Code protocol {CODE_PROTOCOL}.", *parts])


def main(arguments: Sequence[str]) -> None:
    """Print the cells of a data set, or write the page."""
    if arguments and arguments[0] == "--cells":
        sys.stdout.write(" ".join(oracles(arguments[1])) + "\n")
        return
    page = replaced(PAGE.read_text(encoding="utf-8"), "registry", registry_part())
    if arguments:
        comparisons = [json.loads(Path(path).read_text(encoding="utf-8")) for path in arguments]
        page = replaced(page, "table", table_part(comparisons))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
