"""Runs of a published table to train again: which, as what, and whether they came out the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from bench.files import JSONObject
from bench.results.heads import cell_of
from bench.results.published import Published
from bench.results.ranks import Measured
from bench.results.records import PublishedRun
from bench.runs.hashes import result_sha256
from bench.runs.spec import Data, RunSpec
from datasets.errors import UserError, unknown
from recmodels.metrics import user_metrics

TOLERANCE = 0.005
"""Of the mean of each metric, for runs made with another processor or other versions. A whole training can amplify
their rounding to what another seed changes, which may be more than this: "different" is then no proof of a fault. With
the same ones, a run comes out identical or is different."""

BITS = {"cpu": "processor", "platform": "platform", "python": "Python", "torch": "torch", "numpy": "numpy"}
"""What may change the last bits of a training."""

CUTOFFS = (5, 10, 20)


class Chosen(NamedTuple):
    """A run to be trained again: the row, the published run, its spec."""

    row: str
    run: PublishedRun
    spec: RunSpec


def choose(
    published: Published, count: int, seed: int, rows: Sequence[str] = (), dataset: str | None = None
) -> list[Chosen]:
    """Runs drawn at random, from different rows as long as there are some; the same seed draws the same.

    `dataset` is where the data are, for a table of a file.

    Raises:
        UserError: no such row, more runs than there are, or a run that this code would make otherwise.
    """
    names = [cell["name"] for cell in published.cells]
    if wrong := next((name for name in rows if name not in names), None):
        raise unknown("row", wrong, names)
    published.check_current()
    cells = [cell for cell in published.cells if not rows or cell["name"] in rows]
    each = {cell["name"]: [run for run in published.runs(cell) if run.failure is None] for cell in cells}
    total = sum(map(len, each.values()))
    if count > total:
        raise UserError(f"--rerun {count} is more than the {total} runs there are; give at most {total}.")
    rng = np.random.default_rng(seed)
    drawn: list[Chosen] = []
    while len(drawn) < count:
        for name in rng.permutation([name for name, runs in each.items() if runs]):
            if len(drawn) < count:
                run = each[name].pop(int(rng.integers(len(each[name]))))
                spec = spec_of(run, str(name))
                data = replace(spec.data, dataset=dataset or spec.data.dataset)
                drawn.append(Chosen(str(name), run, replace(spec, data=data)))
    return drawn


def spec_of(run: PublishedRun, name: str) -> RunSpec:
    """The spec of a published run of the row called `name`, as this code has it.

    Raises:
        UserError: the method has other parameters or other code here, so that the run would be another one.
    """
    told: JSONObject = run.record["spec"]
    if not (device := str(run.record["provenance"].get("device", "cpu"))).startswith("cpu"):
        raise UserError(
            f"Run {run.run_id} was made on {device}, and --rerun trains on processors; draw from other rows."
        )
    if "features_sha256" in told:
        raise UserError(f"Run {run.run_id} read a file of item features, which no table keeps; draw from other rows.")
    data = Data(told["dataset"], told["data_sha256"], told["protocol"], told["columns"])
    spec = RunSpec(data, cell_of(told, name), told["seed"], told["refit"])
    if spec.run_id != run.run_id:
        raise UserError(
            f"Run {run.run_id} would be {spec.run_id} here, for its methods or settings are others than when it was "
            f"published; check out commit {str(run.record['provenance']['commit'])[:12]} to train it again."
        )
    return spec


def elsewhere(run: PublishedRun, made: Mapping[str, Any]) -> str:
    """What a training was made with that the published run was not, as a phrase; empty where all is the same."""
    was = run.record["provenance"]
    found = [
        f"{word} {made.get(key)}, not {was.get(key)}" for key, word in BITS.items() if made.get(key) != was.get(key)
    ]
    return ", ".join(found)


def outcome(was: Measured, now: Measured, other: str) -> tuple[bool, str]:
    """Whether two rankings are the same, or within `TOLERANCE` where they were made with something `other`; and why."""
    if result_sha256(*was) == result_sha256(*now):
        return True, "identical, to the last rank"
    if len(was.users) != len(now.users) or (was.users != now.users).any():
        return False, f"other test users: {len(now.users)}, not {len(was.users)}"
    moved = np.flatnonzero((was.ranks.better != now.ranks.better) | (was.ranks.tied != now.ranks.tied))
    means = [user_metrics(one.ranks, CUTOFFS)[1] for one in (was, now)]
    apart = {name: abs(float(means[0][name].mean() - means[1][name].mean())) for name in means[0]}
    name = max(apart, key=lambda metric: apart[metric])
    told = f"{len(moved)} of {len(was.ranks.users)} ranks moved, {name} by {apart[name]:.2g}"
    if other and apart[name] <= TOLERANCE:
        return True, f"equal within {TOLERANCE:g} in the mean of every metric ({told}), made with {other}"
    label, at = was.users[was.ranks.users[moved[0]]] if len(moved) else "", moved[0] if len(moved) else 0
    first = f"user {label} had {was.ranks.better[at]} items above the held-out one, now {now.ranks.better[at]}"
    return False, f"different ({told}); the first: {first}" + (f"; made with {other}" if other else "")
