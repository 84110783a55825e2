"""What the words of a command over an experiment come to: its design, the runs it lacks, their comparison."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from bench.cli.request import CAPTIONS, FORMATS
from datasets.errors import UserError, unknown


def design_of(words: dict[str, Any]) -> tuple[Any, Any, list[int]]:
    """The experiment that the words mean, how its data are opened, and the cut-offs."""
    from bench.runs.design import design, row_called, short_names, store_at
    from datasets.protocol import Protocol

    if words["format"] not in FORMATS:
        raise unknown("format", words["format"], FORMATS)
    cutoffs = _cutoffs(words["cutoffs"], words["metric"])
    protocol = Protocol(
        split=words["split"],
        split_seed=words["split_seed"],
        min_rating=words["min_rating"],
        k_core=_k_core(words["k_core"]),
        candidates=words["candidates"],
        mask=words["mask"],
        **{name: words[name] for name in ("min_user_count", "min_item_count", "sample_users", "duplicates")},
    )
    options = _data_options(words)
    experiment = design(
        words["names"] or (),
        dataset=words["dataset"],
        protocol=protocol,
        options=options,
        samplers=words["sampler"] or (),
        losses=words["loss"] or (),
        models=words["model"] or (),
        settings=words["settings"] or (),
        seeds=words["seeds"],
        store=store_at(words["results"]),
        device=words["device"],
        expect_sampled=words["expect_sampled"],
        refit=words["refit"],
        recommended=words["recommended"],
    )
    if words["baseline"] is not None:
        words["baseline"] = row_called(experiment, words["baseline"], words["settings"] or (), words["recommended"])
    from bench.comparison.guards import check_options, check_seeds

    cells = short_names(experiment).cells
    asked = {name: words[name] for name in ("test", "correction", "alpha", "alternative", "baseline")}
    check_options(cells, **asked, margin=None)
    check_seeds(words["test"], len(experiment.seeds))
    return experiment, options, cutoffs


def run_missing(experiment: Any, options: Any, cutoffs: list[int], words: dict[str, Any]) -> None:
    """Train what the store lacks; what is there costs nothing and imports nothing."""
    missing = experiment.missing(words["retry_failed"]) if words["train"] else []
    if not missing:
        return
    if words["cluster"] is None:
        _check_device(words["device"])
    from contextlib import closing

    from bench.cli.data import printing
    from bench.cli.progress import RunProgress
    from bench.runs.claims import Claims, Stopped, interruptible
    from bench.runs.design import CUTOFFS, default_jobs, estimate, tasks
    from bench.runs.runner import load_split

    with printing() as fetching:  # fetched and prepared once, before the workers open it
        split = load_split(experiment.data.dataset, experiment.protocol, options, None if words["quiet"] else fetching)
    jobs = min(words["jobs"] or default_jobs(), len(missing))
    with RunProgress(len(missing), quiet=words["quiet"]) as progress:
        if not words["quiet"]:
            workers = f"{jobs} {'worker' if jobs == 1 else 'workers'}"
            guess = estimate(experiment, missing, jobs, len(split.train))
            where = words["cluster"] or f"{workers}: {guess}"
            progress.say(f"{len(missing)} of {len(experiment.specs())} runs to do on {where}.")
        work = tasks(experiment, missing, options, words["keep_embeddings"])
        claims = Claims(experiment.store, work, progress.elsewhere)
        run = _executor(words, jobs, split)
        try:
            with interruptible(claims, progress.stopping), closing(run(claims, progress)) as results:
                for task, result in results:
                    experiment.store.save(task.spec, result, sorted({*CUTOFFS, *cutoffs}), experiment.device)
                    claims.release(task)
        except Stopped:
            progress.say("Stopped; finished runs are kept, and the same command goes on from there.")
            raise


def compared(experiment: Any, cutoffs: list[int], words: dict[str, Any], margin: float | None) -> tuple[Any, Any]:
    """The comparison of the stored runs, and the options it was made with."""
    from bench.comparison.compare import compare
    from bench.runs.design import rows, short_names
    from bench.runs.provenance import command_line

    found, context = rows(short_names(experiment), cutoffs)
    context = replace(context, command=command_line(sys.argv[1:]))
    metric = words["metric"]
    asked = {
        **{name: words[name] for name in ("metric", "test", "correction", "alpha", "alternative", "baseline")},
        "metrics": tuple(dict.fromkeys((f"hr@{metric.partition('@')[2]}", metric))),
        "margin": margin,
        "context": context,
    }
    return compare(found, **asked), asked


def check_caption(caption: str) -> None:
    """Refuse another --caption."""
    if caption not in CAPTIONS:
        raise unknown("caption", caption, CAPTIONS)


def terminal_width(out: Path | None) -> int:
    """Characters of a line: the terminal's, or 100 in a file, so that it does not depend on who writes it."""
    return 100 if out is not None else shutil.get_terminal_size((100, 24)).columns


def emit(text: str, out: Path | None) -> None:
    """Print the text, or write it to the file `out`."""
    if out is None:
        typer.echo(text)
    else:
        _write(out, text)


def _check_device(device: str) -> None:
    """Refuse a GPU that is not there, before every run fails for it."""
    if device != "cpu":
        import torch

        if not torch.cuda.is_available() or (torch.device(device).index or 0) >= torch.cuda.device_count():
            raise UserError(f"--device {device}: torch sees {torch.cuda.device_count()} GPUs; use --device cpu.")


def _executor(words: dict[str, Any], jobs: int, split: Any) -> Any:
    """What runs the tasks: processes of this machine, or a cluster; both take the same and give the same."""
    from functools import partial

    if words["cluster"] is None:
        from bench.runs.executor import run_local

        return partial(run_local, jobs=jobs, timeout=words["cell_timeout"])
    from bench.runs.cluster import run_on_cluster

    gpu = not words["device"].startswith("cpu")
    return partial(run_on_cluster, cluster=words["cluster"], split=split, gpu=gpu, timeout=words["cell_timeout"])


def _data_options(words: dict[str, Any]) -> Any:
    from bench.runs.runner import DataOptions

    names = ("columns", "unverified", "accept_unpinned")
    return DataOptions(**{name: words[name] for name in names}, offline=True if words["offline"] else None)


def _k_core(text: str) -> int | tuple[int, int]:
    parts = text.split(",")
    if len(parts) > 2 or not all(part.strip().isdecimal() for part in parts):
        raise UserError(f"--k-core {text} is not K or users,items; write it as in 5 or 10,5.")
    return int(text) if len(parts) == 1 else (int(parts[0]), int(parts[1]))


def _cutoffs(text: str, metric: str) -> list[int]:
    from recmodels.metrics import MAX_CUTOFF, known_metric

    try:
        cutoffs = sorted({int(part) for part in text.split(",")})
    except ValueError:
        cutoffs = [0]
    if min(cutoffs) < 1 or max(cutoffs) > MAX_CUTOFF:
        raise UserError(
            f"--cutoffs {text} is not a list of whole numbers from 1 to {MAX_CUTOFF}; write it as in 5,10,20."
        )
    return sorted({*cutoffs, known_metric(metric, cutoffs)[1]})


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); give another --out.") from error
    typer.echo(f"Wrote {path}.", err=True)
