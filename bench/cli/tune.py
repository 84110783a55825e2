"""`bench tune`: search the settings of each cell on the validation part, every cell with as many trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from shlex import join
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from bench.cli.grammar import Seeds, said
from bench.cli.option import SEARCH, TABLE, option
from bench.cli.training import CUTOFFS, Training
from bench.files import check_writable, writing
from datasets.errors import UserError

if TYPE_CHECKING:
    from bench.runs.design import Experiment
    from bench.runs.runner import Task
    from bench.runs.spec import RunSpec
    from bench.runs.store import Result
    from bench.tuning.study import Answer, Asked, Plan, Study
    from bench.tuning.tuned import TunedCell

FIRST_SEED = 1000
SAME_NUMBERS = {"jobs", "cluster", "dry_run", "quiet", "retry_failed", "results", "offline", "out", "curve"}
"""Options that change no number, which a file of tuned settings does not hold."""


@dataclass(frozen=True, kw_only=True)
class Tune(Training):
    """Search the settings of each cell on the validation part, with the same number of trials for every cell."""

    trials: Annotated[int, option("--trials", SEARCH, "settings to try for each cell", min=2)] = 20
    finalists: Annotated[
        int, option("--finalists", SEARCH, "the best of them, which are trained again with other seeds", min=1)
    ] = 3
    seeds: Annotated[
        Seeds,
        typer.Option(
            "--seeds",
            parser=said(Seeds.of),
            metavar="SEEDS",
            show_default="1000-1003",
            rich_help_panel=SEARCH,
            help="of trials (the first) and of finalists (the others); from 1000 on, so that no table reports them",
        ),
    ] = Seeds(range(FIRST_SEED, FIRST_SEED + 4))
    space: Annotated[
        list[str] | None,
        option(
            "--space",
            SEARCH,
            "search KEY too, or elsewhere: KEY, KEY=0.1..10, KEY=1..64:log or KEY=a,b; repeatable",
            metavar="KEY=RANGE",
        ),
    ] = None
    budget: Annotated[
        float | None,
        option("--budget", SEARCH, "seconds of training for each cell in place of --trials; not reproducible", min=1),
    ] = None
    out: Annotated[Path | None, option("--out", TABLE, "the file to write; beside the runs unless given")] = None
    curve: Annotated[
        Path | None, option("--curve", TABLE, "draw the best so far against trials into this .png, .svg or .pdf")
    ] = None

    examples: ClassVar[tuple[str, ...]] = (
        "bench tune uniform+bpr inbatch+softmax itemknn --trials 20",
        "bench tune uniform+sl --space negatives=16..512:log --out sl.toml",
    )

    def run(self) -> int:
        """Search, write the file, and say what was found."""
        for experiment in self.checked():
            if self.dry_run:
                self._plan(self._studies(experiment))
                continue
            studies, found = self.searched(experiment)
            self._report(experiment, studies, found)
            if len(found) < len(studies):
                lost = ", ".join(sorted({*studies} - {cell.name for cell in found}))
                typer.echo(f"No trial ended well for {lost}; `bench runs list` has the reasons.", err=True)
                return 1
        return 0

    def checked(self) -> "list[Experiment]":
        """The experiments, once seeds that cannot tune and an --out for several data sets are refused too."""
        self._check()
        return super().checked()

    def searched(self, experiment: "Experiment") -> "tuple[dict[str, Study], list[TunedCell]]":
        """The study of each cell by the cell's name, once all are done, and what those chose that did not fail."""
        from bench.tuning.study import search
        from bench.tuning.tuned import tuned_cell

        studies = self._studies(experiment)
        search(list(studies.values()), self.search_plan, partial(self._evaluate, experiment, told=set()))
        return studies, [cell for name, study in studies.items() if (cell := tuned_cell(study, name)) is not None]

    @property
    def search_plan(self) -> "Plan":
        """How every cell is searched."""
        from bench.tuning.study import Plan

        return Plan(self.trials, self.finalists, tuple(self.seeds), self.budget)

    def _check(self) -> None:
        if tuple(self.seeds) == tuple(range(FIRST_SEED)):
            raise UserError(
                f"--seeds {FIRST_SEED} means the {FIRST_SEED:,} seeds from 0; tuning takes a range, as in --seeds "
                f"{FIRST_SEED}-{FIRST_SEED + 3}."
            )
        if self.budget is not None and self.trials != Tune.trials:
            raise UserError(f"--budget {self.budget:g} is in place of --trials {self.trials}; leave one of them out.")
        if min(self.seeds) < FIRST_SEED:
            raise UserError(
                f"Seed {min(self.seeds)} is for tables; tuning seeds start at {FIRST_SEED}, as in --seeds "
                f"{FIRST_SEED}-{FIRST_SEED + 3}."
            )
        if len(self.seeds) < 2:
            raise UserError("--seeds needs two at least: one for the trials, the others for the finalists.")
        for flag, path in (("--out", self.out), ("--curve", self.curve)):
            if path is not None and len(self.datasets) > 1:
                raise UserError(f"{flag} is for one data set and there are {len(self.datasets)}; choose one.")
            if path is not None:
                check_writable(path, f"give another {flag}")
        if self.curve is not None:
            from bench.tables.figures import drawable

            drawable(self.curve)
        try:
            import optuna  # noqa: F401
        except ImportError as error:
            raise UserError("bench tune needs Optuna; install it with `pip install 'optuna>=5,<6'`.") from error

    def _studies(self, experiment: "Experiment") -> "dict[str, Study]":
        """One study a cell, by the cell's name in a file of tuned settings."""
        from bench.runs.design import shared_and_varied
        from bench.runs.spec import given_name, parse_cell, spoken
        from bench.tuning.space import freed, shared, space
        from bench.tuning.study import Study
        from recmodels.recommended import recommended

        common, _ = shared_and_varied(self.settings or ())
        asked = freed(self.space or (), experiment.cells)
        found: dict[str, Study] = {}
        for cell in experiment.cells:
            parts, given, _ = spoken(cell.name)
            name = given_name(parts, given)
            if name in found:
                raise UserError(f"Two cells are called {name}; tune each in a command of its own.")
            base = shared(parse_cell(cell.name, common, recommended, experiment.rows), cell)
            dimensions = space(base, asked)
            about = f"{experiment.data.sha256} {experiment.protocol.as_dict()} {name} {cell.settings} {dimensions}"
            found[name] = Study(cell, base, dimensions, about)
        return found

    def _evaluate(
        self, experiment: "Experiment", asked: "Sequence[Asked]", told: set[str] | None = None
    ) -> "list[Answer]":
        """Train what the store does not know of these, and read the answers.

        Two cells may ask for one training with different floors; where it was given up for one, the other has it made
        again. That methods were edited is said in one round, which is kept in `told`.

        Raises:
            UserError: trials ended and are not in the store.
        """
        from bench.tuning.kept import answer

        told = set() if told is None else told
        trials = [(experiment.spec(one.cell, one.seed), one.floors) for one in asked]
        notes = {spec.run_id: one.note for (spec, _), one in zip(trials, asked, strict=True)}
        answers = [answer(experiment.store, *trial, experiment.device) for trial in trials]
        failed = [self.retry_failed and one is not None and one.failure is not None for one in answers]
        wanted = [trial for trial, one, again in zip(trials, answers, failed, strict=True) if one is None or again]
        while wanted:
            self._try(experiment, {spec.run_id: (spec, floors) for spec, floors in wanted}, told, notes)
            answers = [answer(experiment.store, *trial, experiment.device) for trial in trials]
            left = [trial for trial, one in zip(trials, answers, strict=True) if one is None]
            if len(left) >= len(wanted):
                raise UserError(
                    f"{len(left)} trials ended and are not in {experiment.store.root}, as when another command removes "
                    "runs there; repeat the command, and it goes on from those that are."
                )
            wanted = left
        return [one for one in answers if one is not None]

    def _try(
        self,
        experiment: "Experiment",
        trials: "dict[str, tuple[RunSpec, tuple[float, ...]]]",
        told: set[str],
        notes: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Train these, each held to its floors and called by its note; one that was given up is kept as no run."""
        from bench.tuning.kept import keep

        def kept(task: "Task", result: "Result") -> None:
            if result.given_up is not None:
                keep(experiment.store, task.spec, task.floors, result, experiment.device)
            else:
                experiment.store.save(task.spec, result, list(CUTOFFS), experiment.device)

        specs = [spec for spec, _ in trials.values()]
        if "code" not in told and self.say_other_code(experiment, specs):
            told.add("code")
        tasks = [
            replace(task, floors=trials[task.spec.run_id][1], note=notes.get(task.spec.run_id, ""))
            for task in self.tasks(experiment, specs)
        ]
        self.carry_out(experiment, tasks, kept)

    def _report(self, experiment: "Experiment", studies: "dict[str, Study]", found: "list[TunedCell]") -> None:
        from bench.tables.tuning import render_tuning
        from bench.tuning.tuned import tuned_text

        text = tuned_text(experiment, self.search_plan, self.command(experiment), found)
        path = self.out or experiment.store.root / "tuned" / f"{experiment.data.folder}-{_digest(text)}.toml"
        with writing(path, "give another --out"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        typer.echo(render_tuning(experiment.data.name, found, self.search_plan))
        for cell in found:
            for remark in cell.remarks:
                typer.echo(f"Warning: {cell.name}: {remark}.", err=True)
        typer.echo(f"Wrote {path}; use it with --tuned-from {path}.", err=True)
        if self.curve is not None and found:
            from bench.tables.figures import save
            from bench.tables.tuning import tuning_curve

            with writing(self.curve, "give another --curve"):
                self.curve.parent.mkdir(parents=True, exist_ok=True)
                save(tuning_curve(studies), self.curve)
            typer.echo(f"Wrote {self.curve}.", err=True)

    def _plan(self, studies: "dict[str, Study]") -> None:
        for name, study in studies.items():
            told = ", ".join(f"{one.key} {one.search.told}" for one in study.dimensions) or "nothing to search"
            size = f"{self.trials} trials" if self.budget is None else f"{self.budget:g} s of training with trials"
            typer.echo(f"{name}: {size} of {told}")

    def command(self, experiment: "Experiment") -> str:
        """The command without options that change no number, for one data set."""
        words = ["bench", "tune", *(cell.name for cell in experiment.cells), "--dataset", experiment.data.name]
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in {*SAME_NUMBERS, "names", "dataset", "sampler", "loss", "model"} or value == field.default:
                continue
            flag = "--set" if field.name == "settings" else f"--{field.name.replace('_', '-')}"
            if isinstance(value, bool):
                words.append(flag)
            elif field.name in ("plugin", "negatives_from", "item_features"):  # whose content is known otherwise
                paths = value if isinstance(value, list) else [value]
                words += [word for one in paths for word in (flag, Path(one).name)]
            elif field.name in ("settings", "space"):
                words += [word for one in value for word in (flag, "=".join(one) if flag == "--set" else one)]
            else:
                words += [flag, ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]
        return join(words)


def _digest(text: str) -> str:
    from hashlib import sha256

    return sha256(text.encode()).hexdigest()[:8]
