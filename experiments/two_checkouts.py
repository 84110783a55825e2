"""How much faster one checkout trains than another: `python experiments/two_checkouts.py BEFORE AFTER --data ml-100k`.

Each checkout has a process of its own, with one thread, on the same data. In each round both train every cell, one
right after the other, and the ratio is of the thread times of their fastest epoch, so that what else the machine does
meets both alike. A cell is `sampler+loss`, with negatives and batch size and, where it is not Adam, the optimiser:
`uniform+bpr/1/8192/sgd`. It prints the median ratio over the rounds, the least and the largest.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

CELLS = (
    "uniform+bpr/16/1024", "uniform+bpr/1/8192", "uniform+bce/16/1024", "uniform+softmax/16/1024",
    "inbatch+softmax/all/1024", "dns+bpr/16/1024", "uniform+bpr/1/8192/sgd",
)  # fmt: skip


class Checkout:
    def __init__(self, folder, data):
        environment = os.environ | {"PYTHONPATH": ".", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, os.path.abspath(__file__), "--worker", data]
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def seconds(self, cell, epochs):
        self.process.stdin.write(json.dumps([cell, epochs]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def work(data):
    """Answer every line of a cell and a number of epochs with the thread seconds of the fastest."""
    import numpy as np
    import torch

    from datasets import Interactions, load
    from recmodels.losses import LOSSES
    from recmodels.models import MODELS
    from recmodels.objective import objective
    from recmodels.samplers import SAMPLERS
    from recmodels.sampling import Training
    from recmodels.settings import Settings
    from recmodels.trainer import train

    torch.set_num_threads(1)
    training = Training(load(data).train)
    nobody = np.empty(0, np.int32)
    nothing = Interactions(nobody, nobody, training.n_users, training.n_items)
    for line in sys.stdin:
        cell, epochs = json.loads(line)
        method, negatives, batch, *optimizer = cell.split("/")
        sampler, loss = method.split("+")
        settings = {
            "epochs": epochs,
            "batch_size": int(batch),
            "negatives": negatives if negatives == "all" else int(negatives),
            "optimizer": optimizer[0] if optimizer else "adam",
        }
        ends = [time.thread_time()]
        train(
            training,
            nothing,
            model=MODELS["mf"],
            sampler=SAMPLERS[sampler](training, **SAMPLERS.parameters(sampler, {})),
            objective=objective(loss, LOSSES.parameters(loss, {})),
            settings=Settings(**settings),
            seed=0,
            device=torch.device("cpu"),
            on_epoch=lambda epoch, ends=ends: ends.append(time.thread_time()),
        )
        print(min(np.diff(ends)), flush=True)  # noqa: T201


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--data", default="ml-100k")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--cells", nargs="+", default=CELLS)
    given = parser.parse_args()
    before, after = Checkout(given.before, given.data), Checkout(given.after, given.data)
    for cell in given.cells:
        pairs = [(before.seconds(cell, given.epochs), after.seconds(cell, given.epochs)) for _ in range(given.rounds)]
        ratios = [old / new for old, new in pairs]
        middle, fastest = statistics.median(ratios), [min(times) for times in zip(*pairs, strict=True)]
        spread = f"{middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{cell:28} {spread:24} {fastest[0]:.3f} {fastest[1]:.3f} s an epoch", flush=True)  # noqa: T201


if __name__ == "__main__":
    if sys.argv[1] == "--worker":
        work(sys.argv[2])
    else:
        main()
