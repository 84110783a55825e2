"""The options of the command line: every word once, with its type, its default and its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CAPTIONS = ("short", "full")
FORMATS = ("table", "markdown", "latex", "html", "csv", "json")

Names = Annotated[
    list[str] | None,
    typer.Argument(help="samplers, losses, baselines, or cells as in uniform+softmax:temperature=0.5; or FILE.toml"),
]
Dataset = Annotated[str, typer.Option("--dataset", help="name of a data set, or path of a file or of a ready split")]
Datasets = Annotated[list[str], typer.Option("--dataset", help="name or path of a data set, repeatable; two at least")]
Sampler = Annotated[list[str] | None, typer.Option("--sampler", help="repeatable; the lists multiply")]
Loss = Annotated[list[str] | None, typer.Option("--loss", help="repeatable; the lists multiply")]
Model = Annotated[list[str] | None, typer.Option("--model", help="repeatable; the lists multiply")]
Seeds = Annotated[str, typer.Option("--seeds", help="a count (5 means 0 to 4), a range 10-14 or a list 3,7")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="trainer setting name=value, repeatable; several values of one multiply"),
]
Metric = Annotated[str, typer.Option("--metric", help="metric the table is about")]
Cutoffs = Annotated[str, typer.Option("--cutoffs", help="K of the metrics, separated by commas")]
Test = Annotated[str, typer.Option("--test", help="significance test; crossed treats users and seeds as random")]
Alternative = Annotated[
    str,
    typer.Option(
        "--alternative", help="two-sided, greater (a > b) or less (a < b); with --baseline a is the row, b the baseline"
    ),
]
Correction = Annotated[
    str, typer.Option("--correction", help="for several comparisons: holm, bonferroni, bh, by, none")
]
Alpha = Annotated[float, typer.Option("--alpha", help="significance level")]
Baseline = Annotated[
    str | None, typer.Option("--baseline", help="compare every row with this one instead of all pairs")
]
Split = Annotated[str, typer.Option("--split", help="how interactions are held out, e.g. ratio:test=0.2,order=time")]
SplitSeed = Annotated[int, typer.Option("--split-seed", help="seed of random splits; never the run's seed")]
MinRating = Annotated[float | None, typer.Option("--min-rating", help="leave out interactions rated lower")]
KCore = Annotated[
    str, typer.Option("--k-core", help="keep users and items with at least K interactions; K or users,items")
]
MinUserCount = Annotated[
    int, typer.Option("--min-user-count", min=0, help="leave out users with fewer interactions, once")
]
MinItemCount = Annotated[
    int, typer.Option("--min-item-count", min=0, help="leave out items with fewer interactions, once")
]
SampleUsers = Annotated[
    int, typer.Option("--sample-users", min=0, help="keep so many users, drawn at random; 0 keeps all")
]
Duplicates = Annotated[str, typer.Option("--duplicates", help="of a repeated pair keep the last, the first or the sum")]
Expected = Annotated[
    int | None,
    typer.Option(
        "--expect-sampled", min=1, help="metrics as expected over N sampled candidates, exactly, from full ranks"
    ),
]
Columns = Annotated[
    str | None, typer.Option("--columns", help="column names of a file, e.g. user,item,rating,timestamp")
]
Candidates = Annotated[str, typer.Option("--candidates", help="what is ranked: full, sampled:N, or given lists")]
Mask = Annotated[
    str,
    typer.Option(
        "--mask",
        help="what rankings leave out: known (train, and at test validation), train (at test too), none",
    ),
]
Refit = Annotated[
    bool,
    typer.Option(
        "--refit", help="train again on train and validation, for the chosen number of epochs, before the test"
    ),
]
Recommended = Annotated[
    bool,
    typer.Option(
        "--recommended", help="settings that the methods of each row recommend (bench list NAME), in place of defaults"
    ),
]
Unverified = Annotated[bool, typer.Option("--unverified", help="accept data whose checksum is not the official one")]
AcceptUnpinned = Annotated[bool, typer.Option("--accept-unpinned", help="accept data for which no checksum is known")]
Offline = Annotated[bool, typer.Option("--offline", help="never open a connection (also BENCH_OFFLINE=1)")]
Jobs = Annotated[int | None, typer.Option("--jobs", min=1, help="runs at the same time; one per core unless given")]
Cluster = Annotated[
    str | None, typer.Option("--cluster", help="Dask scheduler tcp://HOST:PORT, or a TOML file that starts one")
]
CellTimeout = Annotated[float | None, typer.Option("--cell-timeout", min=0, help="seconds after which a run is failed")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="print what would run, what is done, time and memory; run nothing")
]
Device = Annotated[str, typer.Option("--device", help="cpu or cuda")]
Results = Annotated[str | None, typer.Option("--results", help="folder of finished runs (also BENCH_RESULTS)")]
Format = Annotated[str, typer.Option("--format", help=" | ".join(FORMATS))]
Out = Annotated[Path | None, typer.Option("--out", help="write the table to this file")]
Quiet = Annotated[bool, typer.Option("--quiet", help="no progress")]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="run failed runs again")]
KeepEmbeddings = Annotated[bool, typer.Option("--keep-embeddings", help="keep the trained vectors beside each run")]
View = Annotated[
    str,
    typer.Option(
        "--view",
        help="rows | letters | pairs | matrix | effects | equivalence | diagnostics | groups: what is shown",
    ),
]
Caption = Annotated[
    str, typer.Option("--caption", help="short | full: what a terminal says of a table; documents have all of it")
]
Groups = Annotated[
    str | None,
    typer.Option("--groups", help="thirds of users for --view groups: by activity (default) or popularity of targets"),
]
Margin = Annotated[float | None, typer.Option("--margin", help="largest difference that does not matter (equivalence)")]
Diagnostics = Annotated[
    bool, typer.Option("--diagnostics", help="show what the samplers drew; same as --view diagnostics")
]
Profile = Annotated[
    bool, typer.Option("--profile", help="train one seed of each cell here, print where its time goes, store nothing")
]
Figures = Annotated[Path | None, typer.Option("--figures", help="folder to draw the comparison's figures into")]


def experiment_options(
    names: Names = None,
    dataset: Dataset = "ml-100k",
    sampler: Sampler = None,
    loss: Loss = None,
    model: Model = None,
    seeds: Seeds = "5",
    settings: Set = None,
    metric: Metric = "ndcg@10",
    cutoffs: Cutoffs = "5,10,20",
    test: Test = "crossed",
    alternative: Alternative = "two-sided",
    correction: Correction = "holm",
    alpha: Alpha = 0.05,
    baseline: Baseline = None,
    split: Split = "leave-last-one-out",
    split_seed: SplitSeed = 0,
    min_rating: MinRating = None,
    k_core: KCore = "0",
    min_user_count: MinUserCount = 0,
    min_item_count: MinItemCount = 0,
    sample_users: SampleUsers = 0,
    duplicates: Duplicates = "last",
    candidates: Candidates = "full",
    mask: Mask = "known",
    refit: Refit = False,
    recommended: Recommended = False,
    expect_sampled: Expected = None,
    columns: Columns = None,
    unverified: Unverified = False,
    accept_unpinned: AcceptUnpinned = False,
    offline: Offline = False,
    jobs: Jobs = None,
    cluster: Cluster = None,
    cell_timeout: CellTimeout = None,
    dry_run: DryRun = False,
    device: Device = "cpu",
    results: Results = None,
    format: Format = "table",
    out: Out = None,
    quiet: Quiet = False,
    retry_failed: RetryFailed = False,
    keep_embeddings: KeepEmbeddings = False,
) -> None:
    """The options that every command over an experiment has; only its signature is used."""
