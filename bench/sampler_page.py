"""Writes docs/samplers.md: `python -m bench.sampler_page [comparison.json]`.

What the registry says stands between two marks in the page and is written anew; so is the table, where the JSON of
`bench compare … --format json` is given. The words around them are kept.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

from recmodels.registry import Entry, Parameter
from recmodels.samplers import SAMPLERS

PAGE = Path(__file__).parents[1] / "docs" / "samplers.md"

GIVES = {
    "log_q": "log q",
    "ordered": "independent draws in order",
    "all": "`negatives=all`",
    "uniform_q": "a uniform law",
    "weight": "weights",
}
COLUMNS = {
    "hardness_first": ("hardness, first", 2),
    "hardness_last": ("hardness, last", 2),
    "score_gap_last": ("score gap, last", 2),
    "zero_gradient_last": ("no gradient, last", 2),
    "false_negatives": ("false negatives, %", 2),
    "popularity": ("popularity", 2),
    "effective_items": ("effective items", 2),
    "duplicates": ("duplicates", 3),
    "sampling_share": ("time sampling", 2),
}


def registry_part() -> str:
    """One section per sampler: what it does, its parameters, paper and what it gives, as Markdown."""
    return "\n\n".join(_section(entry) for entry in SAMPLERS.entries.values())


def table_part(comparison: dict[str, Any]) -> str:
    """The rows of a comparison with their diagnostics, best first, as a Markdown table."""
    metric = comparison["metric"]
    rows = sorted(comparison["rows"], key=lambda row: -(_mean(row, metric) or 0.0))
    head = ["sampler", metric, "95 % interval", *(title for title, _ in COLUMNS.values()), "epochs", "seconds"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        numbers = [_number(row["diagnostics"].get(name), digits, name) for name, (_, digits) in COLUMNS.items()]
        low, high = (_number(bound, 4) for bound in row["metrics"][metric]["ci"])
        cells = [row["name"], _number(_mean(row, metric), 4), f"{low} – {high}", *numbers]
        lines.append("| " + " | ".join([*cells, _number(row["epochs"], 0), _number(row["train_seconds"], 0)]) + " |")
    return "\n".join(lines)


def replaced(page: str, mark: str, text: str) -> str:
    """The page with `text` between the comments `mark` and `/mark`."""
    start, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, _, rest = page.partition(start)
    _, _, after = rest.partition(end)
    return f"{before}{start}\n\n{text}\n\n{end}{after}"


def _section(entry: Entry) -> str:
    text, _, arguments = entry.doc.partition("Args:")
    summary, _, body = text.strip().partition("\n")
    about = _arguments(arguments)
    lines = [f"### {entry.name}", "", summary, ""]
    lines += [body.strip(), ""] if body.strip() else []
    lines += [_parameter(parameter, about[parameter.name]) for parameter in entry.parameters.values()]
    lines += [""] if entry.parameters else []
    lines.append(f"Paper: {entry.facts['paper']}. Gives: {_gives(entry)}.")
    return "\n".join(lines)


def _gives(entry: Entry) -> str:
    words = entry.facts.get("gives", [])
    conditions = words if isinstance(words, dict) else dict.fromkeys(words, "")
    told = [GIVES[word] + (f" where `{condition}`" if condition else "") for word, condition in conditions.items()]
    return ", ".join(told) or "items alone"


def _parameter(parameter: Parameter, about: str) -> str:
    value = str(parameter.default).lower() if isinstance(parameter.default, bool | None) else str(parameter.default)
    return f"- `{parameter.name}={value}` ({parameter.allowed}): {about}"


def _arguments(text: str) -> dict[str, str]:
    """What the docstring says about each argument."""
    found: dict[str, str] = {}
    name = ""
    for line in dedent(text.lstrip("\n")).splitlines():
        if not line.startswith(" ") and ": " in line:
            name, _, line = line.partition(": ")
            found[name] = line.strip()
        elif line.strip():
            found[name] += " " + line.strip()
    return found


def _mean(row: dict[str, Any], metric: str) -> float | None:
    value: float | None = row["metrics"].get(metric, {}).get("mean")
    return value


def _number(value: float | None, digits: int, name: str = "") -> str:
    if value is None:
        return "–"
    return f"{100 * value if name == 'false_negatives' else value:.{digits}f}"


def main(arguments: Sequence[str]) -> None:
    """Write the page."""
    page = replaced(PAGE.read_text(encoding="utf-8"), "registry", registry_part())
    if arguments:
        page = replaced(page, "table", table_part(json.loads(Path(arguments[0]).read_text(encoding="utf-8"))))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
