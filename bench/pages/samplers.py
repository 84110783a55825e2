"""Writes docs/samplers.md: `python -m bench.pages.samplers [samplers.json]`; `--cells` prints what to compare for it.

What the registry says stands between two marks in the page and is written anew; so is the table, where the JSON of the
comparison is given. The words around them are kept.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

from bench import ROOT
from bench.comparison.advice import LAWFUL
from bench.runs.spec import CODE_PROTOCOL
from recmodels.compatibility import asks, chooses, held
from recmodels.entries import Entry, Parameter
from recmodels.samplers import SAMPLERS

LAWLESS = "infonce"  # the loss beside `LAWFUL` for samplers that state no law
PLAIN = "bpr"  # a loss that uses no law
PAGE = ROOT / "docs" / "samplers.md"

GIVES = {
    "log_q": "log q",
    "ordered": "independent draws in order",
    "all": "`negatives=all`",
    "uniform_q": "a uniform law",
    "weight": "weights",
    "vectors": "vectors of its own",
    "catalogue": "the whole catalogue",
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


def loss_for(sampler: str) -> str:
    """A loss that uses what a sampler gives: one that corrects for its law, unless it chooses by score on purpose."""
    lawful = "log_q" in held("gives", SAMPLERS.entry(sampler), SAMPLERS.parameters(sampler, {}))
    return LAWFUL if lawful and not chooses(sampler) else LAWLESS


def cells() -> list[str]:
    """Every sampler under a loss that cannot use its law, and under one that can; and toppop."""
    return [f"{sampler}+{loss}" for sampler in samplers() for loss in (PLAIN, loss_for(sampler))] + ["toppop"]


def samplers() -> list[str]:
    """Those that any data will do for."""
    return [name for name in SAMPLERS if not asks(name)]


def table_part(comparison: dict[str, Any]) -> str:
    """How the table was made, and a line per sampler, best first under the loss that can use its law, as Markdown."""
    metric = comparison["metric"]
    of = {(row["sampler"] or row["name"], row["loss"]): row for row in comparison["rows"]}
    lines = []
    for sampler in dict.fromkeys(name for name, _ in of):
        if sampler in SAMPLERS:
            plain, other, loss = of[sampler, PLAIN], of[sampler, loss_for(sampler)], loss_for(sampler)
        else:  # a baseline, which has no loss
            plain = other = next(row for (name, _), row in of.items() if name == sampler)
            loss = "–"
        numbers = [number(plain["diagnostics"].get(name), digits, name) for name, (_, digits) in COLUMNS.items()]
        cost = [number(plain["epochs"], 0)]
        lines.append(
            (mean(other, metric) or 0.0, [sampler, *value(plain, metric), loss, *value(other, metric), *numbers, *cost])
        )
    head = ["sampler", f"{metric}, {PLAIN}", "95 % interval", "other loss", f"{metric}, other loss", "95 % interval"]
    head += [*(title for title, _ in COLUMNS.values()), "epochs"]
    ordered = [cells for _, cells in sorted(lines, key=lambda line: -line[0])]
    command = made_by(
        "bench.pages.samplers", comparison, "samplers.json", "python -m bench.pages.samplers samplers.json"
    )
    return f"{command}\n\n{markdown(head, ordered)}"


def made_by(
    module: str, comparison: dict[str, Any], out: str, *then: str, cells: str = "--cells", options: str = ""
) -> str:
    """The commands that give a comparison over the cells of a page, as Markdown, and the code protocol."""
    seeds = len(comparison["seeds"])
    command = f"bench compare $(python -m {module} {cells}) --dataset {comparison['dataset']} --seeds {seeds}{options}"
    lines = [f"{command} \\", f"  --format json --out {out}", *then]
    return "\n".join(["```", *lines, "```", "", f"Code protocol {CODE_PROTOCOL}."])


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(head))
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def value(row: dict[str, Any], metric: str) -> tuple[str, str]:
    """The mean of a row and its interval."""
    low, high = (number(bound, 4) for bound in row["metrics"].get(metric, {}).get("ci", (None, None)))
    return number(mean(row, metric), 4), f"{low} – {high}"


def replaced(page: str, mark: str, text: str) -> str:
    """The page with `text` between the comments `mark` and `/mark`."""
    start, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, _, rest = page.partition(start)
    _, _, after = rest.partition(end)
    return f"{before}{start}\n\n{text}\n\n{end}{after}"


def _section(entry: Entry) -> str:
    text, _, arguments = entry.doc.partition("Args:")
    summary, _, body = text.strip().partition("\n")
    about = arguments_of(arguments)
    lines = [f"### {entry.name}", "", summary, ""]
    lines += [body.strip(), ""] if body.strip() else []
    lines += [parameter_line(parameter, about[parameter.name]) for parameter in entry.parameters.values()]
    lines += [""] if entry.parameters else []
    lines.append(f"Paper: {entry.facts['paper']}. Gives: {_gives(entry)}.")
    if entry.facts.get("recommended"):
        told = ", ".join(f"`{name}={value}`" for name, value in entry.facts["recommended"].items())
        lines.append(f"Recommended: {told} ({entry.facts['recommended_from']}).")
    return "\n".join(lines)


def _gives(entry: Entry) -> str:
    words = entry.facts.get("gives", [])
    conditions = words if isinstance(words, dict) else dict.fromkeys(words, "")
    told = [GIVES[word] + (f" where `{condition}`" if condition else "") for word, condition in conditions.items()]
    return ", ".join(told) or "items alone"


def parameter_line(parameter: Parameter, about: str) -> str:
    """A parameter with its default, what it may be, and what the docstring says."""
    value = str(parameter.default).lower() if isinstance(parameter.default, bool | None) else str(parameter.default)
    return f"- `{parameter.name}={value}` ({parameter.allowed}): {about}"


def arguments_of(text: str) -> dict[str, str]:
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


def mean(row: dict[str, Any], metric: str) -> float | None:
    """The mean of a row, or None."""
    found: float | None = row["metrics"].get(metric, {}).get("mean")
    return found


def number(value: float | None, digits: int, name: str = "") -> str:
    """Fixed decimals; – where there is no number."""
    if value is None:
        return "–"
    return f"{100 * value if name == 'false_negatives' else value:.{digits}f}"


def main(arguments: Sequence[str]) -> None:
    """Write the page."""
    if list(arguments) == ["--cells"]:
        sys.stdout.write(" ".join(cells()) + "\n")
        return
    page = replaced(PAGE.read_text(encoding="utf-8"), "registry", registry_part())
    if arguments:
        page = replaced(page, "table", table_part(json.loads(Path(arguments[0]).read_text(encoding="utf-8"))))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
