"""How the `--rerun` of `bench verify` trains published runs again, in a store of its own that is thrown away."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import typer

from bench.cli.training import CUTOFFS, Conditions, Training
from datasets.errors import UserError
from datasets.protocol import Protocol
from datasets.source import resolve

if TYPE_CHECKING:
    from bench.results.published import Published
    from bench.results.rerun import Chosen
    from bench.runs.runner import Task
    from bench.runs.store import Result, Store


@dataclass(frozen=True)
class Rerun:
    """Runs to be trained again, and how."""

    chosen: "list[Chosen]"
    seed: int
    request: Training

    @classmethod
    def of(
        cls,
        published: "Published",
        count: int,
        seed: int,
        rows: Sequence[str],
        dataset: str | None,
        conditions: Conditions,
    ) -> "Rerun":
        """So many runs of a table, drawn at random; every mistake is found before anything is trained.

        Raises:
            UserError: what `choose` refuses, or a `dataset` that is other data.
        """
        from bench.results.rerun import choose

        chosen = choose(published, count, seed, rows, dataset)
        unverified = published.context.data.get("verified") is False
        request = Training(unverified=unverified, accept_unpinned=unverified, **conditions)
        data = chosen[0].spec.data
        if resolve(data.dataset, data.columns).content(request.consent).sha256 != data.sha256:
            raise UserError(
                f"{data.dataset} has other data than {published.name} was made of; name those with --dataset."
            )
        return cls(chosen, seed, request)

    def run(self) -> int:
        """Train them, say of each how it came out, and give the exit code."""
        from bench.runs.design import Experiment
        from bench.runs.store import Store

        runs = "1 run" if len(self.chosen) == 1 else f"{len(self.chosen)} runs"
        typer.echo(f"Training {runs} again, drawn with seed {self.seed}.", err=True)
        spec, cells = self.chosen[0].spec, tuple(one.spec.cell for one in self.chosen)
        with TemporaryDirectory(prefix="contrarec-verify-") as folder:
            store = Store(Path(folder))

            def keep(task: "Task", result: "Result") -> None:
                store.save(task.spec, result, list(CUTOFFS))

            experiment = Experiment(spec.data, Protocol.of(spec.data.protocol), cells, (0,), store, refit=spec.refit)
            self.request.carry_out(experiment, self.request.tasks(experiment, [one.spec for one in self.chosen]), keep)
            same = [self._said(one, store) for one in self.chosen]
        return 0 if all(same) else 1

    def _said(self, one: "Chosen", store: "Store") -> bool:
        """Say how a run came out, and whether that is as it was published."""
        from bench.results.ranks import Measured
        from bench.results.rerun import elsewhere, outcome

        again = store.find(one.spec)
        if again is None or again.failure is not None:
            same, said = False, f"failed: {again.failure if again else 'it did not run'}"
        else:
            other = elsewhere(one.run, again.record["provenance"])
            same, said = outcome(Measured(*one.run.measured()), Measured(*again.measured()), other)
        typer.echo(f"{one.row}, seed {one.spec.seed} ({one.spec.run_id}): {said.rstrip('.')}.")
        return same
