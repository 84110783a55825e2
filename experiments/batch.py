"""Which learning rate a batch wants, and whether a larger batch reaches the same validation NDCG@10.

    PYTHONPATH=. python experiments/batch.py rates --dataset ml-1m-sasrec
    PYTHONPATH=. python experiments/batch.py equal --dataset ml-1m-sasrec

Negatives are uniform. `rates` trains each loss with each batch and rate and prints the best epoch's validation metric.
`equal` trains ten seeds with the smallest batch and with the larger one, each at the rate that `learning_rate=auto`
gives, and tests by two one-sided paired t tests whether the difference is within ± 0.002. Runs are kept in the store
(BENCH_RESULTS), so that either goes on where it was stopped.
"""

import argparse
import sys

import numpy as np
from scipy.stats import ttest_rel
from tabulate import tabulate

from bench.cli.compare import Compare
from bench.cli.grammar import Seeds, Setting
from recmodels.sizes import SMALLEST, rate_for

LOSSES = ("bpr", "bce", "softmax", "infonce")
RATES = (0.005, 0.007, 0.01, 0.014, 0.02)
MARGIN = 0.002


def trained(dataset, loss, batch, rates, seeds, jobs):
    """(rates, seeds) best validation metric of each run."""
    settings = [Setting("batch_size", str(batch)), *(Setting("learning_rate", str(rate)) for rate in rates)]
    request = Compare(
        names=[f"uniform+{loss}"], dataset=[dataset], seeds=Seeds.of(seeds), settings=settings, jobs=jobs, quiet=True
    )
    (experiment,) = request.checked()
    request.train(experiment)
    runs = [[experiment.store.find(spec) for spec in experiment.of(cell)] for cell in experiment.cells]
    return np.array([[best(run) for run in row] for row in runs])


def best(run):
    """The validation metric of the best epoch."""
    lines = (run.path / "history.csv").read_text(encoding="utf-8").splitlines()[1:]
    return max(float(line.split(",")[2]) for line in lines)


def say(text):
    """A line, as soon as it is known."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def rates(a):
    """One line for each loss and batch, one column for each rate."""
    lines = []
    for loss in a.losses:
        for batch in (SMALLEST, *a.batches):
            means = trained(a.dataset, loss, batch, RATES, a.seeds, a.jobs).mean(axis=1)
            told = [f"{mean:.4f}{'*' if mean == means.max() else ''}" for mean in means]
            lines.append([loss, batch, rate_for(batch), *told])
            say(f"{loss} {batch}: {' '.join(told)}")
    say(tabulate(lines, ["loss", "batch", "auto", *map(str, RATES)], tablefmt="github"))


def equal(a):
    """One line for each loss and batch: the difference to the smallest batch, its interval, and p of equivalence."""
    lines = []
    for loss in a.losses:
        (before,) = trained(a.dataset, loss, SMALLEST, [rate_for(SMALLEST)], a.seeds, a.jobs)
        for batch in a.batches:
            (after,) = trained(a.dataset, loss, batch, [rate_for(batch)], a.seeds, a.jobs)
            over = ttest_rel(after + MARGIN, before, alternative="greater").pvalue
            under = ttest_rel(after - MARGIN, before, alternative="less").pvalue
            inside = ttest_rel(after, before).confidence_interval(0.90)
            told = [f"{before.mean():.4f}", f"{after.mean():.4f}", f"{inside.low:+.4f} to {inside.high:+.4f}"]
            lines.append([loss, batch, *told, f"{max(over, under):.2g}"])
            say(" ".join(map(str, lines[-1])))
    head = ["loss", "batch", f"batch {SMALLEST}", "this batch", "difference, 90 %", "p of ± 0.002"]
    say(tabulate(lines, head, tablefmt="github"))


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("rates", "equal"))
    parser.add_argument("--dataset", default="ml-1m-sasrec")
    parser.add_argument("--losses", nargs="+", default=LOSSES)
    parser.add_argument("--batches", nargs="+", type=int, default=[4096])
    parser.add_argument("--seeds", default=None, help="as for bench; from 1000 on, so that no table reports them")
    parser.add_argument("--jobs", type=int, default=None)
    a = parser.parse_args()
    a.seeds = a.seeds or {"rates": "1000-1001", "equal": "1000-1009"}[a.what]
    {"rates": rates, "equal": equal}[a.what](a)


if __name__ == "__main__":
    main()
