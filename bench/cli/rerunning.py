"""How `bench verify --rerun` trains published runs again, in a store of its own that is thrown away."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import typer

from bench.cli.training import CUTOFFS, Training
from datasets.errors import UserError
from datasets.source import resolve

if TYPE_CHECKING:
    from bench.results.published import Published
    from bench.runs.runner import Task
    from bench.runs.store import Result


def rerun_some(
    published: "Published",
    count: int,
    seed: int,
    rows: Sequence[str],
    dataset: str | None,
    *,
    jobs: int | None,
    offline: bool,
    quiet: bool,
) -> int:
    """Train some runs again, say of each how it came out, and give the exit code.

    Raises:
        UserError: what `choose` refuses, or a `dataset` that is other data.
    """
    from bench.results.ranks import Measured
    from bench.results.rerun import choose, elsewhere, outcome, protocol_of
    from bench.runs.design import Experiment
    from bench.runs.store import Store

    chosen = choose(published, count, seed, rows, dataset)
    unverified = published.context.data.get("verified") is False
    request = Training(jobs=jobs, offline=offline, quiet=quiet, unverified=unverified, accept_unpinned=unverified)
    data = chosen[0].spec.data
    if resolve(data.dataset, data.columns).content(request.consent).sha256 != data.sha256:
        raise UserError(f"{data.dataset} has other data than {published.name} was made of; name them with --dataset.")
    typer.echo(f"Training {count} runs again, drawn with seed {seed}.", err=True)
    with TemporaryDirectory(prefix="contrarec-verify-") as folder:
        store = Store(Path(folder))

        def keep(task: "Task", result: "Result") -> None:
            store.save(task.spec, result, list(CUTOFFS))

        cells = tuple(one.spec.cell for one in chosen)
        experiment = Experiment(data, protocol_of(chosen[0].spec), cells, (0,), store, refit=chosen[0].spec.refit)
        request.carry_out(experiment, request.tasks(experiment, [one.spec for one in chosen]), keep)
        good = True
        for row, run, spec in chosen:
            again = store.find(spec)
            if again is None or again.failure is not None:
                same, said = False, f"failed: {again.failure if again else 'it did not run'}"
            else:
                same, said = outcome(
                    Measured(*run.measured()),
                    Measured(*again.measured()),
                    elsewhere(run, again.record["provenance"]),
                )
            good = good and same
            typer.echo(f"{row}, seed {spec.seed} ({spec.run_id}): {said.rstrip('.')}.")
    return 0 if good else 1
