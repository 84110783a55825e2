"""Writes the tables of docs/performance.md that are given; the words around them are kept.

`python -m bench.pages.speed --peers peers.jsonl --growth growth.csv --benchmarks benchmarks.json`: what
experiments/beside_peers.py, experiments/growth.py and `make benchmarks` leave.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench import ROOT
from bench.pages.samplers import markdown, replaced
from recmodels.compatibility import text_of

PAGE = ROOT / "docs" / "performance.md"
NAMES = {
    "loop": "a fused compiled loop",
    "lightfm": "LightFM",
    "lenskit": "LensKit",
    "recbole": "RecBole",
}
OURS, PLAIN = ("contrarec", "loop"), "cornac"  # what is no peer, and what others are divided by
SHARE = 0.95  # of the best peer's quality, to be reached
Records = Sequence[Mapping[str, Any]]


def epochs_part(records: Records) -> str:
    """A line per library and settings: CPU seconds of an epoch, and those divided by `PLAIN`'s of the same round."""
    of: dict[str, dict[int, float]] = {}
    for record in records:
        if record["stage"] == "epochs":
            title = f"{_name(record)} | {_settings(record)}"
            of.setdefault(title, {})[record["seed"]] = _epoch(record)
    plain = next(rounds for title, rounds in of.items() if title.startswith(PLAIN))
    lines = [
        [*title.split(" | "), _spread(rounds.values()), _spread(rounds[k] / plain[k] for k in rounds)]
        for title, rounds in of.items()
    ]
    return markdown(["", "settings", "CPU s an epoch", f"÷ {PLAIN}"], lines)


def target_part(records: Records, data: str) -> str:
    """A line per library: its settings, its quality, and what it takes until that is near the best peer's.

    Epochs are those of the seeds, and CPU seconds those of the first and of a later epoch in rounds of their own.
    """
    seeds, rounds = _by_library(records, "seeds", data), _by_library(records, "chosen", data)
    quality = {name: [max(ndcg for *_, ndcg in run["curve"]) for run in runs] for name, runs in seeds.items()}
    target = SHARE * max(float(np.median(found)) for name, found in quality.items() if name not in OURS)
    lines = []
    for name, runs in seeds.items():
        first = float(np.median([run["epochs"][0] for run in rounds[name]]))
        later = [_epoch(run) for run in rounds[name]]
        reached = [at for run in runs if (at := epochs_to(run["curve"], target))]
        seconds = [first + (at - 1) * float(np.median(later)) for at in reached]
        row = [_name(runs[0]), _settings(runs[0]), f"{runs[0]['most']}", _spread(quality[name], 4)]
        row += [_spread(reached, 0), f"{len(reached)} of {len(runs)}", _spread(later, 3), _spread(seconds, 1)]
        lines.append(row)
    head = ["", "settings", "epochs at most", "validation NDCG@10", f"epochs to {target:.4f}", "seeds that reach it"]
    return markdown([*head, "CPU s an epoch", f"CPU s to {target:.4f}"], lines)


def epochs_to(curve: Iterable[tuple[int, float, float]], target: float) -> int | None:
    """The epoch at which the quality was first at least this; None if it never was."""
    return next((epoch for epoch, _, quality in curve if quality >= target), None)


def _by_library(records: Records, stage: str, data: str) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        if (record["stage"], record["data"]) == (stage, data):
            found.setdefault(record["library"], []).append(record)
    return found


def _epoch(record: Mapping[str, Any]) -> float:
    """CPU seconds of an epoch after the first; of several the least, as other work only adds."""
    return float(min(record["epochs"][1:]))


def growth_part(points: Sequence[Mapping[str, str]]) -> str:
    """A line per size, with both optimisers."""
    of: dict[str, dict[str, Mapping[str, str]]] = {}
    for point in points:
        of.setdefault(point["dataset"], {})[point["optimizer"]] = point
    lines = []
    for by in of.values():
        one = next(iter(by.values()))
        rows = [f"{int(one['interactions']):,}", f"{int(one['users']):,} × {int(one['items']):,}"]
        seconds = [f"{float(point['cpu_seconds_per_million']):.2f}" for point in by.values()]
        rest = (max(float(point[field]) for point in by.values()) for field in ("trained_peak_gib", "peak_gib"))
        bound = min(float(point["touched_cpu_seconds_per_million"]) for point in by.values())
        ranking = min(float(point["ranking_cpu_seconds"]) for point in by.values())
        lines.append([*rows, *seconds, f"{bound:.2f}", ", ".join(f"{peak:.2f}" for peak in rest), f"{ranking:.2f}"])
    head = ["training rows", "users × items", *(f"CPU s a million rows, {name}" for name in next(iter(of.values())))]
    ends = ["reading and adding up alone", "peak GiB of training, with ranking", "ranking, CPU s"]
    return markdown([*head, *ends], lines)


def ratios_part(benchmarks: Iterable[Mapping[str, Any]]) -> str:
    """A line per benchmark that has a reference: how many times its seconds it takes."""
    lines = [
        [f"`{one['fullname'].rpartition('/')[2]}`", f"{one['extra_info']['ratio']:.2f}", one["extra_info"]["to"]]
        for one in benchmarks
        if "ratio" in one["extra_info"]
    ]
    return markdown(["", "ratio", "to"], lines)


def _name(record: Mapping[str, Any]) -> str:
    name = NAMES.get(record["library"], record["library"])
    return name if record["library"] in OURS else f"{name} {record['version']}"


def _settings(record: Mapping[str, Any]) -> str:
    return " ".join(f"`{name}={text_of(value)}`" for name, value in record["settings"].items()) or "–"


def _spread(values: Iterable[float], digits: int = 2) -> str:
    """The median, and the least and the most where there are several."""
    found = sorted(values)
    if not found:
        return "–"
    middle = f"{np.median(found):.{digits}f}"
    return middle if len(found) == 1 else f"{middle} ({found[0]:.{digits}f} to {found[-1]:.{digits}f})"


def main(arguments: Sequence[str]) -> None:
    """Write the tables that are given."""
    parser = argparse.ArgumentParser(prog="python -m bench.pages.speed")
    parser.add_argument("--peers", type=Path, metavar="JSONL", help="what experiments/beside_peers.py has measured")
    parser.add_argument("--growth", type=Path, metavar="CSV", help="what experiments/growth.py has measured")
    parser.add_argument("--benchmarks", type=Path, metavar="JSON", help="what `make benchmarks` leaves")
    given, page = parser.parse_args(arguments), PAGE.read_text(encoding="utf-8")
    if given.peers:
        records = [json.loads(line) for line in given.peers.read_text(encoding="utf-8").splitlines()]
        page = replaced(page, "epochs", epochs_part(records))
        for data in dict.fromkeys(record["data"] for record in records if record["stage"] == "seeds"):
            page = replaced(page, f"to target, {data}", target_part(records, data))
    if given.growth:
        with given.growth.open(newline="", encoding="utf-8") as stream:
            page = replaced(page, "growth", growth_part(list(csv.DictReader(stream))))
    if given.benchmarks:
        found = json.loads(given.benchmarks.read_text(encoding="utf-8"))["benchmarks"]
        page = replaced(page, "ratios", ratios_part(found))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
