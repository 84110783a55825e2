"""The `bench` command: parses words, calls, prints. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from bench import __version__
from bench.cli.across import across
from bench.cli.data import app as data_app
from bench.cli.request import Caption, Datasets, Diagnostics, Figures, Groups, Margin, Profile, View, experiment_options
from bench.cli.runs import app as runs_app
from bench.cli.training import check_caption, compared, design_of, emit, run_missing, terminal_width
from datasets.errors import UserError, unknown

app = typer.Typer(
    help="Compare negative samplers and losses for recommendation, reproducibly.",
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.add_typer(data_app, name="data", help="Data sets: list, info, fetch, add, export, verify.")
app.add_typer(runs_app, name="runs", help="The store of finished runs: list, show, rm, gc, merge.")


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    if version:
        typer.echo(f"contrarec {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _command(
    name: str, help: str, train: bool = True, together: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function of the words of `experiment_options`, which may add keyword-only options of its own.

    It is called once per data set with its words, or, with `together`, once with the list of them.
    """

    def add(body: Callable[..., None]) -> Callable[..., None]:
        own = [p for p in inspect.signature(body, eval_str=True).parameters.values() if p.kind is p.KEYWORD_ONLY]

        def command(context: typer.Context, **given: Any) -> None:
            each = _each_dataset(context, given, command.__annotations__, together)
            body_words = {p.name: each[0][p.name] for p in own}
            each = [{k: v for k, v in words.items() if k not in body_words} | {"train": train} for words in each]
            if together and not each[0]["dry_run"]:
                body(each, **body_words)
                return
            for words in each:
                _dry_run(words) if words["dry_run"] else body(words, **body_words)

        parameters = [inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)]
        parameters += inspect.signature(experiment_options, eval_str=True).parameters.values()
        if together:
            several = inspect.Parameter(
                "dataset", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Datasets, default=()
            )
            parameters = [several if p.name == "dataset" else p for p in parameters]
        parameters += [p.replace(kind=p.POSITIONAL_OR_KEYWORD) for p in own]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        app.command(name, help=help)(command)
        return body

    return add


def _each_dataset(
    context: typer.Context, words: dict[str, Any], types: dict[str, Any], together: bool
) -> list[dict[str, Any]]:
    """The words for each data set; those of an experiment file, but for the flags that were given beside it."""
    names = words["names"] or []
    if not (names and names[0].endswith(".toml")):
        return [{**words, "dataset": name} for name in words["dataset"]] if together else [words]
    from bench.cli.experiment_file import keep, read, resolved

    if len(names) > 1:
        raise UserError(f"{names[0]} is an experiment file and stands alone; leave {' '.join(names[1:])} out.")
    path = Path(names[0])
    flags = {name for name in words if (source := context.get_parameter_source(name)) and source.name == "COMMANDLINE"}
    in_file = {name: value for name, value in read(path, types).items() if name == "names" or name not in flags}
    words = {**words, "names": None, **in_file}
    datasets = words["dataset"] if isinstance(words["dataset"], list) else [words["dataset"]]
    if words["out"] is not None and len(datasets) > 1 and not together:
        raise UserError(f"--out holds one table and {path} has {len(datasets)} data sets; choose one with --dataset.")
    each = [{**words, "dataset": dataset} for dataset in datasets]
    designed = [design_of(one)[0] for one in each]  # every mistake is found before anything starts
    if context.info_name != "table" and not words["dry_run"] and not words.get("profile"):
        keep(designed[0].store.root, path.stem, resolved(words))
    return each


def _dry_run(words: dict[str, Any]) -> None:
    from bench.runs.design import default_jobs
    from bench.runs.estimate import plan

    experiment, _, _ = design_of(words)
    missing = experiment.missing(words["retry_failed"])
    emit(plan(experiment, missing, min(words["jobs"] or default_jobs(), max(1, len(missing)))), words["out"])


@_command("compare", "Run what the store lacks of these cells and print the table with significance.")
@_command("run", "Run a cell or a grid: the lists of --sampler, --loss and --model multiply.")
@_command("table", "Print the same comparison from the store alone; trains nothing.", train=False)
def _compare(
    words: dict[str, Any],
    *,
    view: View = "rows",
    groups: Groups = None,
    margin: Margin = None,
    caption: Caption = "short",
    diagnostics: Diagnostics = False,
    figures: Figures = None,
    profile: Profile = False,
) -> None:
    experiment, options, cutoffs = design_of(words)
    if profile:
        _profile(experiment, options, words)
        return
    view = "diagnostics" if diagnostics else view
    _check_view(view, groups, margin, caption)
    run_missing(experiment, options, cutoffs, words)
    by_users = _user_groups(experiment, options, groups or "activity") if view == "groups" else None
    _print_table(experiment, cutoffs, words, view, by_users, margin, caption, figures)


def _profile(experiment: Any, options: Any, words: dict[str, Any]) -> None:
    """Train the first seed of every cell in this process; the store is neither read nor written."""
    if not words["train"]:
        raise UserError("bench table trains nothing, so there is nothing to profile; use bench run --profile.")
    if words["cluster"] is not None or words["device"] != "cpu":
        raise UserError("--profile measures a processor of this machine; leave --cluster and --device out.")
    if words["format"] not in ("table", "json"):
        raise UserError(f"--profile prints a table or json, not {words['format']}.")
    from bench.cli.data import printing
    from bench.runs.design import short_names, tasks
    from bench.runs.profile import profile_runs, render
    from bench.runs.runner import load_split

    with printing() as fetching:
        split = load_split(experiment.data.dataset, experiment.protocol, options, None if words["quiet"] else fetching)
    specs = [experiment.spec(cell, experiment.seeds[0]) for cell in short_names(experiment).cells]
    emit(render(profile_runs(tasks(experiment, specs, options, False), split), words["format"]), words["out"])


_command("across", "The same cells on several data sets: ranks, tests over data sets, an aggregate.", together=True)(
    across
)


@_command("calibrate", "How often each test calls a cell different from itself, over disjoint sets of its own seeds.")
def _calibrate(
    words: dict[str, Any],
    *,
    side: Annotated[int, typer.Option("--side", min=2, help="seeds on each side of an A/A comparison")] = 5,
    splits: Annotated[int, typer.Option("--splits", min=1, help="A/A comparisons drawn from the runs")] = 1000,
) -> None:
    from bench.cli.power import calibration

    found, options, cutoffs = design_of(words)
    run_missing(found, options, cutoffs, words)
    emit(calibration(found, words["metric"], side, splits), words["out"])


@_command("power", "From the runs of two cells: the difference that seeds and users can find, and the seeds one needs.")
def _power(
    words: dict[str, Any],
    *,
    difference: Annotated[
        float | None, typer.Option("--difference", help="the smallest difference that matters; without it no plan")
    ] = None,
    power: Annotated[float, typer.Option("--power", help="probability of finding it")] = 0.8,
) -> None:
    from bench.cli.power import plan
    from bench.statistics.power import check_wish

    check_wish(difference, power)
    found, options, cutoffs = design_of(words)
    run_missing(found, options, cutoffs, words)
    asked = {name: words[name] for name in ("metric", "alpha", "baseline", "correction", "format")}
    emit(plan(found, **asked, difference=difference, power=power), words["out"])


@app.command(name="list")
def list_(
    kind: Annotated[
        str, typer.Argument(help="samplers, losses, models, baselines, datasets, metrics, all; or a method")
    ] = "all",
    format: Annotated[str, typer.Option("--format", help="table | json")] = "table",
    compatibility: Annotated[
        bool, typer.Option("--compatibility", help="which sampler, loss and model go together, and why others do not")
    ] = False,
) -> None:
    """What there is: name, one line, parameters, paper."""
    from bench.cli.list import compatibility as cells
    from bench.cli.list import listing

    typer.echo(cells(format) if compatibility else listing(kind, format))


def _check_view(view: str, groups: str | None, margin: float | None, caption: str) -> None:
    """Refuse before anything is trained what could not be printed after."""
    from bench.comparison.user_groups import GROUPS
    from bench.tables.render import VIEWS

    if view not in (*VIEWS, "groups"):
        raise unknown("view", view, (*VIEWS, "groups"))
    check_caption(caption)
    if groups is not None and groups not in GROUPS:
        raise unknown("grouping", groups, GROUPS)
    if groups is not None and view != "groups":
        raise UserError(f"--groups {groups} is for --view groups; add it, or leave --groups out.")
    if view == "equivalence" and margin is None:
        raise UserError("--view equivalence needs --margin, the largest difference that does not matter.")


def _user_groups(experiment: Any, options: Any, by: str) -> Any:
    """The test users in thirds; the split is opened for nothing else once all runs are stored."""
    from bench.comparison.user_groups import user_groups
    from bench.runs.runner import load_split

    return user_groups(load_split(experiment.data.dataset, experiment.protocol, options), by)


def _print_table(
    experiment: Any,
    cutoffs: list[int],
    words: dict[str, Any],
    view: str,
    groups: Any,
    margin: float | None,
    caption: str,
    figures: Path | None,
) -> None:
    from bench.comparison.compare import by_group
    from bench.runs.design import short_names
    from bench.tables.render import render, render_groups

    experiment = short_names(experiment)
    comparison, asked = compared(experiment, cutoffs, words, margin)
    shown: dict[str, Any] = {
        "color": words["out"] is None and sys.stdout.isatty(),
        "full": caption == "full",
        "width": terminal_width(words["out"]),
    }
    if groups is None:
        text = render(comparison, words["format"], view=view, **shown)
    else:
        text = render_groups(by_group(comparison.rows, groups, **asked), words["format"], **shown)
    emit(text, words["out"])
    if figures is not None:
        from bench.tables.gallery import draw

        written, left_out = draw(experiment, comparison, figures)
        typer.echo(f"Wrote {', '.join(map(str, written))}.", err=True)
        for reason in left_out:
            typer.echo(f"Not drawn: {reason}", err=True)


def main() -> None:
    """Run the command line; a user's mistake is one sentence and exit code 2."""
    try:
        code = app(standalone_mode=False)
    except (typer.TyperException, UserError) as error:
        message = error.format_message() if isinstance(error, typer.TyperException) else str(error)
        typer.echo(message.replace("\n", " "), err=True)
        sys.exit(2)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    sys.exit(code if isinstance(code, int) else 0)
