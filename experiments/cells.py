"""What each sampler × loss costs beside uniform + BPR: `PYTHONPATH=. python experiments/cells.py`.

Time of ten steps with one negative (or the whole catalogue, for `full`), Adam and batches of 8,192 on generated data of
ml-1m's shape, divided by that of uniform + BPR measured just before. Cells that cannot be trained are left out.
"""

import torch
from tabulate import tabulate

from bench.runs.spec import incompatibility, parse_cell
from tests.benchmarks.reference import TrainingClock, some

SAMPLERS = (
    "uniform", "uniform:reject=false", "popularity:alpha=0.5", "popularity", "popularity:alpha=1.0", "inbatch",
    "inbatch:mask=same-item", "inbatch:dedup=true", "mixed", "dns", "dns-mn", "self-adversarial", "full",
)  # fmt: skip
LOSSES = ("bpr", "bce", "hinge", "warp", "softmax", "sl", "ccl", "gbce", "directau")
BATCH = 8192
SETTINGS = {"negatives": "1", "batch_size": str(BATCH)}


def seconds(sampler, loss):
    """Of the fastest of three epochs of ten steps."""
    return TrainingClock().epochs(some(10 * BATCH), sampler, loss, epochs=3, negatives=1, batch_size=BATCH)


def main():
    torch.set_num_threads(1)
    seconds("uniform", "bpr")
    rows = []
    for sampler in SAMPLERS:
        unit = seconds("uniform", "bpr")
        row = [sampler]
        for loss in LOSSES:
            works = incompatibility(parse_cell(f"{sampler}+{loss}", SETTINGS)) is None
            row.append(round(seconds(sampler, loss) / unit, 1) if works else None)
        rows.append(row)
        print(*row, flush=True)  # noqa: T201
    print(tabulate(rows, ["", *LOSSES], tablefmt="github", missingval="–"))  # noqa: T201


if __name__ == "__main__":
    main()
