"""The trials of a study as they are published beside the runs they led to, and what a search is said to have found."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.files import JSONObject
from bench.results.differences import differences, same, same_setting
from bench.tuning.study import Study, best_so_far, enough
from bench.tuning.tuned import TunedCell, late, rounded

STUDY = ("study", "search", "trials", "finalists")
"""What the record of a cell says of the search for its settings; null where none was."""


def study_record(name: str, search: JSONObject, study: Study) -> JSONObject:
    """Trials and finalists of the study that is called `name` in `tuned.toml`, and what was asked of it.

    Of each trial its values, the best validation metric, epochs, and how it ended.
    """
    return {
        "study": name,
        "search": search,
        "trials": [
            {
                "origin": trial.origin,
                "values": dict(trial.values),
                "score": trial.answer.score,
                "epochs": len(trial.answer.curve),
                "given_up": trial.answer.given_up,
                "failure": trial.answer.failure,
                "run": trial.answer.run_id,
            }
            for trial in study.trials
        ],
        "finalists": [{"trial": one.trial.number, "scores": list(one.scores)} for one in study.finalists],
    }


def trial_faults(
    cell: TunedCell, trials: Sequence[JSONObject], finalists: Sequence[JSONObject], study: Mapping[str, Any]
) -> Iterator[str]:
    """Where a cell of `tuned.toml` says otherwise than its trials, or these otherwise than such a `study` has them."""
    scores = [trial["score"] for trial in trials if trial["score"] is not None]
    mean = {one["trial"]: math.fsum(one["scores"]) / len(one["scores"]) for one in finalists}
    best = max(mean, key=lambda number: (mean[number], -number))
    chosen = next(one["scores"] for one in finalists if one["trial"] == best)
    first = trials[0]["score"]
    whole = [n for n, trial in enumerate(trials) if trial["score"] is not None and trial["given_up"] is None]
    wanted = sorted(whole, key=lambda n: (-trials[n]["score"], n))[: study["finalists"]]
    if wrong := [one["trial"] for one in finalists if one["trial"] not in wanted]:
        yield f"finalists have trial {wrong[0]}, which is none of the best, {wanted}"
    facts: dict[str, Any] = {
        "trials": len(trials),
        "enough": enough(best_so_far(trial["score"] for trial in trials)),
        "late": late([trial["score"] for trial in trials]),
        "exhausted": len(trials) < study["trials"] if "trials" in study else cell.facts.get("exhausted"),
        "given_up": sum(trial["given_up"] is not None for trial in trials),
        "failed": sum(trial["failure"] is not None for trial in trials),
        "trial": best,
        "validation": rounded(mean[best]),
        "validation_std": rounded(statistics.stdev(chosen)) if len(chosen) > 1 else None,
        "validation_default": first and rounded(first),
    }
    for name, value in facts.items():
        if not same(cell.facts.get(name), value):
            yield f"{name} is {cell.facts.get(name)}; the trials give {value}"
    spread = [rounded(value) for value in (min(scores), statistics.median(scores), max(scores))]
    if not all(same(a, b) for a, b in zip(cell.facts["spread"], spread, strict=True)):
        yield f"spread is {cell.facts['spread']}; the trials give {spread}"
    told = [None if score == "none" else score for score in cell.facts.get("scores", ())]
    found = [trial["score"] and rounded(trial["score"]) for trial in trials]
    if told and not (len(told) == len(found) and all(map(same, told, found))):
        yield f"scores are {told}; the trials give {found}"
    again = [[rounded(score) for score in one["scores"]] for one in finalists]
    if (said := cell.facts.get("finalists")) is not None and any(differences(said, again)):
        yield f"finalists are {said}; the trials give {again}"
    for key, value in trials[best]["values"].items():
        if key in cell.values and not same_setting(cell.values[key], value):
            yield f"values.{key} is {cell.values[key]}; trial {best} has {value}"
