"""The exit code of a command over runs, and what it says of those that failed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from bench import ROOT

if TYPE_CHECKING:
    from bench.runs.design import Experiment

METHODS = re.compile(r"recmodels/(samplers|losses|models|baselines)[/.]")


def outcome(experiments: Iterable[Experiment]) -> int:
    """0, or 1 if a run failed: then the first reason is said, with the file and line of the method it came from."""
    total, failed = 0, []
    for experiment in experiments:
        for spec in experiment.specs():
            run = experiment.store.find(spec, experiment.device)
            total += 1
            if run is not None and run.failure is not None:
                failed.append((spec, run))
    if not failed:
        return 0
    spec, run = failed[0]
    place = _place(run.traceback())
    typer.echo(
        f"{len(failed)} of {total} runs failed; the first, {spec.cell.name} seed {spec.seed}: "
        f"{str(run.failure).rstrip('.')}{f' ({place})' if place else ''}; `bench runs show {run.path.name}` has all of "
        "it, and --retry-failed runs them again.",
        err=True,
    )
    return 1


def _place(traceback: str) -> str:
    """File and line of the innermost call that is in a method; empty where none is."""
    places = re.findall(r'File "([^"]+)", line (\d+)', traceback)
    for file, line in reversed(places):
        short = file.removeprefix(f"{ROOT}/")
        if METHODS.match(short) and "site-packages" not in file:
            return f"{short}, line {line}"
    return ""
