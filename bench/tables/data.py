"""CSV and JSON: the numbers in full, for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from bench.comparison import Comparison


def as_json(c: Comparison) -> str:
    """The comparison as one JSON object; what is missing is null."""
    return json.dumps(c.as_dict(), indent=2, ensure_ascii=False, allow_nan=False)


def as_csv(c: Comparison, view: str = "rows") -> str:
    """One line per row with every metric, then the cells that were skipped; or one line per pair."""
    return write_csv(_pairs(c) if view == "pairs" else _rows(c))


def groups_as_json(groups: Mapping[str, Comparison]) -> str:
    """The comparison of each group by its name."""
    each = {name: c.as_dict() for name, c in groups.items()}
    return json.dumps({"groups": each}, indent=2, ensure_ascii=False, allow_nan=False)


def groups_as_csv(groups: Mapping[str, Comparison]) -> str:
    """The lines of each group's rows, with the name of the group and its number of users in front."""
    return write_csv([{"group": name, "users": c.users, **line} for name, c in groups.items() for line in _rows(c)])


def _rows(c: Comparison) -> list[dict[str, Any]]:
    groups = {metric: c.groups(metric) for metric in c.metrics}
    lines: list[dict[str, Any]] = []
    for i, row in enumerate(c.as_dict()["rows"]):
        line = {key: row[key] for key in ("name", "sampler", "loss", "model")}
        line |= {"status": "; ".join(c.rows[i].failed) or "ok", "seeds": " ".join(map(str, c.rows[i].seeds))}
        for metric, value in row["metrics"].items():
            lo, hi = value["ci"]
            line |= {metric: value["mean"], f"{metric}_lo": lo, f"{metric}_hi": hi}
            line[f"{metric}_std_seeds"] = value["std_seeds"]
            if metric in groups:  # the others were not tested
                line[f"{metric}_group"] = groups[metric][i]
        line |= {
            "epochs": row["epochs"],
            "train_seconds": row["train_seconds"],
            "runs": " ".join(row["runs"]),
        }
        lines.append(line)
    for cell in c.context.skipped:
        name = f"{cell.get('sampler')}+{cell.get('loss')}"
        status = f"skipped: {cell.get('reason')}"
        lines.append({"name": name, "sampler": cell.get("sampler"), "loss": cell.get("loss"), "status": status})
    return lines


def _pairs(c: Comparison) -> list[dict[str, Any]]:
    lines = []
    for pair in c.as_dict()["pairs"]:
        lo, hi = pair.pop("ci")
        asked = {"test": c.test, "alternative": c.alternative, "correction": c.correction}
        lines.append({**pair, "lo": lo, "hi": hi, **asked})
    return lines


def write_csv(lines: list[dict[str, Any]]) -> str:
    """Lines with the columns of the first, a header above; what is missing is empty."""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(lines[0]) if lines else [], lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue().rstrip("\n")
