"""How cost grows with the data: `python experiments/growth.py --out growth.png` draws it and keeps growth.csv.

Generated data with as many users and items as MovieLens has at that size; one epoch of BPR with one uniform negative,
64 dimensions, batch 8,192, one thread. Each point is a process of its own, so that its peak of memory is its own. A
point that the CSV has is not measured again. Processor time is the process's, so that other work disturbs it less; the
epoch is the fastest but the first, and what that took more is counted as set-up. Beside it stands what it takes to
read the ids and the three vectors of each row once, and to add to each once: no epoch takes less.
"""

import argparse
import csv
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
SIZES = (100_000, 1_000_000, 5_000_000, 25_000_000)
EPOCH_ROWS = 5_000_000  # trained on after the first epoch, at most five epochs and at least one; touched, at most
SCORES = 10**10  # computed in the ranking, at most: all users of MovieLens at any size, a sample of larger data
OPTIMIZERS = ("sgd", "lazy_adam")
MOVIELENS = ((100_000, 943, 1682), (1_000_209, 6040, 3706), (10_000_054, 69_878, 10_677), (25_000_095, 162_541, 59_047))
FIELDS = (
    "interactions", "users", "items", "optimizer", "cpu_seconds_per_million", "touched_cpu_seconds_per_million",
    "epoch_cpu_seconds", "setup_cpu_seconds", "ranking_cpu_seconds", "ranked_users", "trained_peak_gib", "peak_gib",
)  # fmt: skip


def dataset(interactions, shape=None):
    """The name of generated data of this size; users and items between two releases lie on a straight log-log line."""
    if shape:
        return f"synthetic:users={shape[0]},items={shape[1]},density={interactions / shape[0] / shape[1]:.9f}"
    at = [math.log(n) for n, _, _ in MOVIELENS]
    x = min(max(math.log(interactions), at[0]), at[-1])
    right = next(k for k in range(1, len(at)) if x <= at[k])
    share = (x - at[right - 1]) / (at[right] - at[right - 1])
    users, items = (round(MOVIELENS[right - 1][k] ** (1 - share) * MOVIELENS[right][k] ** share) for k in (1, 2))
    return dataset(interactions, (users, items))


def peak_gib():
    """The most memory this process has held; the system counts in KiB, macOS in bytes."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)


def touched(train, seed=0, batch=8192, size=64):
    """CPU seconds for a million rows of reading their vectors, in batches of a random order, and adding to them."""
    import numpy as np
    import torch

    from recmodels.compiled import run

    rng, spent = np.random.default_rng(seed), 0.0
    users, items = torch.zeros(train.n_users, size), torch.zeros(train.n_items, size)
    terms, dots = torch.zeros(2 * batch, size), torch.zeros(batch, 2)
    order = rng.permutation(len(train))[:EPOCH_ROWS]
    for rows in np.split(order, range(batch, len(order), batch)):
        drawn = rng.integers(train.n_items, size=len(rows))
        started = time.process_time()
        owners = train.users[rows].astype(np.int64)
        ids = np.stack([train.items[rows], drawn], axis=1).astype(np.int64)
        run("pair_dots", users, owners, items, ids, dots, len(rows), 2, size)
        run("add_rows", terms, owners, users, len(rows), size)
        run("add_rows", terms, ids, items, 2 * len(rows), size)
        spent += time.process_time() - started
    return spent / len(order) * 1e6


def measure(name, optimizer):
    """One point: train some epochs and rank the test items; `name` is in the cache already."""
    import numpy as np
    import torch

    from datasets import Interactions
    from datasets.loading import load
    from recmodels.evaluation import FullRanking
    from recmodels.losses import LOSSES
    from recmodels.models import MODELS
    from recmodels.objective import objective
    from recmodels.samplers import SAMPLERS
    from recmodels.sampling import Training
    from recmodels.settings import Settings
    from recmodels.trainer import some_users, train

    torch.set_num_threads(1)
    split = load(name)
    nothing = Interactions(np.empty(0, np.int32), np.empty(0, np.int32), split.train.n_users, split.train.n_items)
    n = len(split.train)
    epochs = min(5, max(1, EPOCH_ROWS // n))
    ends = [time.process_time()]
    training = Training(split.train)
    trained = train(
        training,
        nothing,
        model=MODELS["mf"],
        sampler=SAMPLERS["uniform"](training, **SAMPLERS.parameters("uniform", {})),
        objective=objective("bpr", LOSSES.parameters("bpr", {})),
        settings=Settings(epochs=1 + epochs, batch_size=8192, negatives=1, optimizer=optimizer),
        seed=0,
        device=torch.device("cpu"),
        on_epoch=lambda epoch: ends.append(time.process_time()),
    )
    first, *others = (after - before for before, after in pairwise(ends))
    epoch = min(others)
    trained_peak, ranking = peak_gib(), time.process_time()
    test = some_users(split.test, SCORES // split.test.n_items)
    ranks = FullRanking(test, [split.train, split.valid]).ranks(trained.tables)
    ranking, peak = time.process_time() - ranking, peak_gib()
    return {
        "interactions": n,
        "users": split.train.n_users,
        "items": split.train.n_items,
        "optimizer": optimizer,
        "cpu_seconds_per_million": epoch / n * 1e6,
        "touched_cpu_seconds_per_million": min(touched(split.train) for _ in others),
        "epoch_cpu_seconds": epoch,
        "setup_cpu_seconds": max(0.0, first - epoch),
        "ranking_cpu_seconds": ranking,
        "ranked_users": len(np.unique(ranks.users)),
        "trained_peak_gib": trained_peak,
        "peak_gib": peak,
    }


def in_process(code, cache):
    """Standard output of this Python running `code` in the project's folder, one thread, with its own data cache."""
    where = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)]), "BENCH_DATA": cache}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **where, **threads},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"A point failed with code {done.returncode}; those before it are kept.")
    return done.stdout


def points(path, sizes, optimizers, shape):
    """All points of the CSV, after the missing ones of `sizes` × `optimizers` have been measured and added."""
    for size in sizes:
        name = dataset(size, shape)
        with tempfile.TemporaryDirectory() as cache:
            for optimizer in optimizers:
                if any((row["dataset"], row["optimizer"]) == (name, optimizer) for row in read(path)):
                    continue
                in_process(f"from datasets.loading import load; load({name!r})", cache)  # generated once for both
                code = f"import growth, json; print(json.dumps(growth.measure({name!r}, {optimizer!r})))"
                row = {"dataset": name, **json.loads(in_process(code, cache))}
                new = not path.exists()
                with path.open("a", newline="", encoding="utf-8") as stream:
                    writer = csv.DictWriter(stream, ["dataset", *FIELDS])
                    if new:
                        writer.writeheader()
                    writer.writerow({key: f"{v:.4g}" if isinstance(v, float) else v for key, v in row.items()})
                print(json.dumps(row), flush=True)  # noqa: T201
    return read(path)


def read(path):
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def draw(rows, out):
    """Three panels over the number of training interactions; a line for each optimiser."""
    from matplotlib.figure import Figure

    from bench.tables.figures import COLORS, MARKERS, save

    panels = {
        "cpu_seconds_per_million": "CPU s per million interactions, one epoch",
        "peak_gib": "peak memory, GiB",
        "ranking_cpu_seconds": "CPU s of the full test ranking",
    }
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    for axes, (field, label) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        for k, optimizer in enumerate(dict.fromkeys(row["optimizer"] for row in rows)):
            line = sorted((int(r["interactions"]), float(r[field])) for r in rows if r["optimizer"] == optimizer)
            axes.plot(*zip(*line, strict=True), color=COLORS[k], marker=MARKERS[k], label=optimizer)
        axes.set_xscale("log")
        if field == "ranking_cpu_seconds":
            axes.set_yscale("log")
        else:
            axes.set_ylim(0, 1.1 * max(float(row[field]) for row in rows))
        axes.set_xlabel("training interactions")
        axes.set_title(label, fontsize=9)
    axes.legend()
    return save(figure, out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--out", type=Path, default=Path("growth.png"), help=".png, .svg or .pdf; the CSV stands beside"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="interactions")
    parser.add_argument("--optimizers", nargs="+", default=OPTIMIZERS)
    parser.add_argument("--shape", type=int, nargs=2, metavar=("USERS", "ITEMS"), help="in place of MovieLens's")
    asked = parser.parse_args()
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    draw(points(asked.out.with_suffix(".csv"), asked.sizes, asked.optimizers, asked.shape), asked.out)


if __name__ == "__main__":
    main()
