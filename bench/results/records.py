"""What is kept of the runs of one cell beside their ranks: a JSON object in `manifest.json`, or in a file of its own.

    {"name", "spec", "made", "runs", "study", "search", "trials", "finalists"}

`spec` is what all runs share of the spec that their ids are hashes of, all but the seed. `made` are the distinct places
where they were made (code, versions, processor, data), and each run names its own by number:

    {"run", "seed", "result_sha256", "epochs", "best_epoch", "diagnostics", "warnings", "failure", "made", "timing"}

`timing` is what another day measures otherwise: seconds, memory, draws per second. `study` is the name in `tuned.toml`
of the study that chose the settings, with what was asked of it, its trials and finalists; all null where none did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.files import JSONObject
from bench.results.ranks import Measured
from bench.results.trials import STUDY
from bench.runs.hashes import result_sha256
from bench.runs.spec import run_id_of
from bench.runs.stored import StoredRun
from datasets.errors import UserError
from datasets.table import Labels
from recmodels.metrics import Ranks

TIMED = ("draws_per_second", "sampling_share", "diagnostics_share")
"""Diagnostics that another day measures otherwise."""

KEPT = ("result_sha256", "epochs", "best_epoch", "warnings", "failure")


@dataclass(frozen=True)
class PublishedRun(StoredRun):
    """A run of a published table: `path` is the table's folder, `ranks` what its file of ranks has."""

    ranks: Measured | None = None

    def measured(self) -> tuple[Labels, Ranks]:
        """Labels of the test users, and where their held-out items stand.

        Raises:
            UserError: the file of ranks lacks the run, or holds something else than was published.
        """
        if self.ranks is None or result_sha256(*self.ranks) != self.record["result_sha256"]:
            raise UserError(
                f"{self.path} has not the ranks that run {self.run_id} was published with; see "
                f"`bench verify {self.path}`."
            )
        return self.ranks


def record(name: str, runs: Sequence[StoredRun], study: JSONObject | None = None) -> JSONObject:
    """The record of a cell from its runs, and from what `study_record` says of its study."""
    made: list[JSONObject] = []
    told = []
    for run in runs:
        provenance = run.record["provenance"]
        if provenance not in made:
            made.append(provenance)
        told.append(_run(run, made.index(provenance)))
    spec = {key: value for key, value in runs[0].record["spec"].items() if key != "seed"}
    found = {"name": name, "spec": spec, "made": made, "runs": told}
    return {**found, **dict.fromkeys(STUDY), **(study or {})}


def _run(run: StoredRun, made: int) -> JSONObject:
    kept, diagnostics = run.record, run.record["diagnostics"]
    return {
        "run": run.run_id,
        "seed": kept["spec"]["seed"],
        **{key: kept[key] for key in KEPT},
        "diagnostics": {name: value for name, value in diagnostics.items() if name not in TIMED},
        "made": made,
        "timing": {
            **kept["seconds"],
            "peak_bytes": kept.get("peak_bytes"),
            **{name: diagnostics[name] for name in TIMED if name in diagnostics},
        },
    }


def runs_of(cell: JSONObject, ranks: Mapping[str, Measured], place: Any) -> list[PublishedRun]:
    """The runs of a cell as the store would give them."""
    found = []
    for run in cell["runs"]:
        timing = dict(run["timing"])
        peak = timing.pop("peak_bytes")
        timed = {name: timing.pop(name) for name in TIMED if name in timing}
        kept = {
            "run_id": run["run"],
            "spec": {**cell["spec"], "seed": run["seed"]},
            **{key: run[key] for key in KEPT},
            "diagnostics": {**run["diagnostics"], **timed},
            "provenance": cell["made"][run["made"]],
            "seconds": timing,
            "peak_bytes": peak,
        }
        found.append(PublishedRun(place, kept, ranks.get(run["run"])))
    return found


def faults(cell: JSONObject, ranks: Mapping[str, Measured]) -> Iterator[tuple[str, str]]:
    """What is wrong with the runs of a cell: of what, `ids`, `ranks` or `results`, and a phrase with the place."""
    for at, run in enumerate(cell["runs"]):
        place, run_id = f"cells[{cell['name']}].runs[{at}]", run["run"]
        which = f"run {run_id} ({cell['name']}, seed {run['seed']})"
        if (known := run_id_of({**cell["spec"], "seed": run["seed"]})) != run_id:
            yield "ids", f"{place}.run is {run_id}; its settings and seed give {known}"
        if run["failure"] is not None:
            continue
        if run_id not in ranks:
            yield "ranks", f"has no {which}"
        elif (found := result_sha256(*ranks[run_id])) != run["result_sha256"]:
            yield "results", f"{which}: the ranks have sha256 {found}, {place}.result_sha256 is {run['result_sha256']}"
