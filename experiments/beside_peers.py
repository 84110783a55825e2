"""Our trainer as other libraries time theirs: one line of JSON.

    OMP_NUM_THREADS=1 PYTHONPATH=. python experiments/beside_peers.py --data ml-1m --optimizer sgd

`cpu_s_per_epoch` is the median over epochs but the first; `curve` holds (epoch, CPU seconds of training so far,
validation NDCG@10), and `train_cpu_s` the CPU seconds of the whole process but for importing torch.
"""

import argparse
import json
import sys
import time
from functools import partial

started = time.process_time()
import torch  # noqa: E402

imported = time.process_time() - started
import numpy as np  # noqa: E402

from datasets import Interactions, load  # noqa: E402
from recmodels.losses import LOSSES  # noqa: E402
from recmodels.models import MODELS  # noqa: E402
from recmodels.objective import objective  # noqa: E402
from recmodels.samplers import SAMPLERS  # noqa: E402
from recmodels.sampling import Training  # noqa: E402
from recmodels.settings import Settings  # noqa: E402
from recmodels.trainer import train  # noqa: E402


def args(**defaults):
    parser = argparse.ArgumentParser()
    for name, value in defaults.items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(value), default=value)
    return parser.parse_args()


def main():
    a = args(
        data="ml-100k",
        seed=0,
        patience=0,
        sampler="uniform",
        loss="bpr",
        optimizer="adam",
        lr=0.003,
        l2=0.001,
        batch=8192,
        negatives=1,
        epochs=6,
        validate=0,
        reduction="mean",
        init="normal",
        init_std=0.1,
        bias=0,
    )
    torch.set_num_threads(1)
    split = load(a.data)
    nobody = np.empty(0, np.int32)
    valid = split.valid if a.validate else Interactions(nobody, nobody, split.n_users, split.n_items)
    training = Training(split.train)
    settings = Settings(
        epochs=a.epochs,
        patience=a.patience or a.epochs,
        batch_size=a.batch,
        negatives=a.negatives,
        optimizer=a.optimizer,
        learning_rate=a.lr,
        l2=a.l2,
        reduction=a.reduction,
        init=a.init,
        init_std=a.init_std,
        l2_bias=a.l2 if a.bias else 0.0,
    )
    epochs, ends = [], []

    def on_epoch(epoch):
        epochs.append(epoch)
        ends.append(time.process_time())

    began = time.process_time()
    trained = train(
        training,
        valid,
        model=partial(MODELS["mf"], bias=bool(a.bias)),
        sampler=SAMPLERS[a.sampler](training, **SAMPLERS.parameters(a.sampler, {})),
        objective=objective(a.loss, LOSSES.parameters(a.loss, {})),
        settings=settings,
        seed=a.seed,
        device=torch.device("cpu"),
        on_epoch=on_epoch,
    )
    steps = np.diff([began, *ends])
    record = {
        "config": vars(a),
        "n_epochs": len(epochs),
        "s_per_epoch": round(float(np.median([e.seconds for e in epochs[1:]])), 4),
        "cpu_s_per_epoch": round(float(np.median(steps[1:])), 4),
        "cpu_s_first_epoch": round(float(steps[0]), 3),
        "start_cpu_s": round(began - started - imported, 3),
        "train_cpu_s": round(ends[-1] - started - imported, 2),
        "best_epoch": trained.best_epoch,
        "curve": [
            (e.epoch, round(end - started - imported, 2), round(e.valid, 5))
            for e, end in zip(epochs, ends, strict=True)
        ],
    }
    sys.stdout.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
