"""CSV and JSON: the numbers in full, for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from bench.comparison.nouns import Comparison


def as_json(c: Comparison) -> str:
    """The comparison as one JSON object; what is missing is null."""
    return json.dumps(c.as_dict(), indent=2, ensure_ascii=False, allow_nan=False)


def groups_as_json(groups: Mapping[str, Comparison]) -> str:
    """The comparison of each group by its name."""
    each = {name: c.as_dict() for name, c in groups.items()}
    return json.dumps({"groups": each}, indent=2, ensure_ascii=False, allow_nan=False)


def groups_as_csv(groups: Mapping[str, Comparison]) -> str:
    """The lines of each group's rows, with the name of the group and its number of users in front."""
    return write_csv([{"group": name, "users": c.users, **line} for name, c in groups.items() for line in row_lines(c)])


def row_lines(c: Comparison) -> list[dict[str, Any]]:
    """One line per row, then the cells that were skipped; no times, so that all of it repeats bit for bit."""
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
        line |= {"epochs": row["epochs"], "runs": " ".join(row["runs"])}
        lines.append(line)
    for cell in c.context.skipped:
        name = f"{cell.get('sampler')}+{cell.get('loss')}"
        status = f"skipped: {cell.get('reason')}"
        lines.append({"name": name, "sampler": cell.get("sampler"), "loss": cell.get("loss"), "status": status})
    return lines


def pair_lines(c: Comparison) -> list[dict[str, Any]]:
    """One line per pair and metric."""
    lines = []
    for pair in c.as_dict()["pairs"]:
        (lo, hi), (lo_family, hi_family) = pair.pop("ci"), pair.pop("ci_family")
        asked = {"test": c.test, "alternative": c.alternative, "correction": c.correction}
        lines.append({**pair, "lo": lo, "hi": hi, **asked, "lo_family": lo_family, "hi_family": hi_family})
    return lines


def effect_lines(c: Comparison) -> list[dict[str, Any]]:
    """One line per pair and metric: every effect size with its interval."""
    lines = []
    for pair in c.pairs:
        e = c.effects(pair)
        line: dict[str, Any] = {"a": pair.a, "b": pair.b, "metric": pair.metric}
        for name in ("difference", "relative", "standardised", "superiority"):
            estimate = getattr(e, name)
            line |= {name: estimate.value, f"{name}_lo": estimate.lo, f"{name}_hi": estimate.hi}
        lines.append({**line, **{f"users_{w}": getattr(e, f"users_{w}") for w in ("a_better", "b_better", "tied")}})
    return lines


def equivalence_lines(c: Comparison) -> list[dict[str, Any]]:
    """One line per pair that was tested for equivalence."""
    pairs = (pair for pair in c.as_dict()["pairs"] if "equivalence" in pair)
    return [{**{k: p[k] for k in ("a", "b", "metric", "difference")}, **p["equivalence"]} for p in pairs]


def diagnostic_lines(c: Comparison) -> list[dict[str, Any]]:
    """One line per row: what its sampler drew, and what it cost."""
    names = dict.fromkeys(name for row in c.rows for name in row.diagnostics)
    lines = []
    for row in c.as_dict()["rows"]:
        cost = {name: row[name] for name in ("epochs", "train_seconds", "peak_bytes")}
        lines.append({"name": row["name"], **{name: row["diagnostics"].get(name) for name in names}, **cost})
    return lines


def matrix_lines(c: Comparison) -> list[dict[str, Any]]:
    """One line per model and sampler, one column per loss; empty where there is no cell or it failed."""
    losses = dict.fromkeys(row.loss or "none" for row in c.rows)
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for row, values in zip(c.rows, c.values, strict=True):
        key = (row.model, row.sampler or row.name)
        line = lines.setdefault(key, {"model": key[0], "sampler": key[1], "metric": c.metric, **dict.fromkeys(losses)})
        line[row.loss or "none"] = None if row.failed else values[c.metric].mean
    return list(lines.values())


def write_csv(lines: list[dict[str, Any]]) -> str:
    """Lines with the columns of the first, a header above; what is missing is empty."""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(lines[0]) if lines else [], lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue().rstrip("\n")
