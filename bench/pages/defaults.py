"""Writes the table of defaults in docs/protocol.md: `python -m bench.pages.defaults FILE.json…`, one a data set."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bench import ROOT
from bench.pages.samplers import markdown, mean, number, replaced
from bench.runs.spec import CODE_PROTOCOL

PAGE = ROOT / "docs" / "protocol.md"
FLOOR = "toppop"  # what a row is to beat


def defaults_part(comparisons: list[dict[str, Any]]) -> str:
    """The commands, and a line per row: its metric on each data set, with ↓ where it does not beat `FLOOR`."""
    metric = comparisons[0]["metric"]
    names = [row["name"] for row in comparisons[0]["rows"]]
    found = {c["dataset"]: {row["name"]: mean(row, metric) or 0.0 for row in c["rows"]} for c in comparisons}
    lines = [[name, *(_cell(name, means) for means in found.values())] for name in names]
    seeds = ", ".join(f"{len(comparison['seeds'])} on {comparison['dataset']}" for comparison in comparisons)
    said = f"Test {metric}, seeds: {seeds}; code protocol {CODE_PROTOCOL}. ↓ does not beat {FLOOR}."
    command = "make defaults"
    if unverified := [c["dataset"] for c in comparisons if not c["data"]["verified"]]:
        command += " ARGS=--unverified"
        said += f" Copies that are not verified: {', '.join(unverified)}."
    return f"```\n{command}\n```\n\n{said}\n\n{markdown(['', *found], lines)}"


def _cell(name: str, means: dict[str, float]) -> str:
    beaten = name != FLOOR and means[name] <= means[FLOOR]
    return number(means[name], 4) + (" ↓" if beaten else "")


def main(paths: list[str]) -> None:
    """Write the table from the JSON of comparisons that have the same rows."""
    comparisons = [json.loads(Path(path).read_text(encoding="utf-8")) for path in paths]
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(replaced(page, "defaults", defaults_part(comparisons)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
