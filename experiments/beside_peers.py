"""Our trainer beside other libraries: one line of JSON like theirs, on the split and with the epochs they share.

    PYTHONPATH=.:PEERS OMP_NUM_THREADS=1 python experiments/beside_peers.py --data ml-1m --optimizer sgd

PEERS is the folder of scripts that time the others; its `common.py` has the split. `cpu_s_per_epoch` is the median over
epochs but the first; `curve` holds (epoch, CPU seconds of training so far, validation NDCG@10), and `train_cpu_s` the
CPU seconds of the whole process but for importing torch.
"""

import json
import sys
import time
from functools import partial

started = time.process_time()
import torch  # noqa: E402

imported = time.process_time() - started
import numpy as np  # noqa: E402
from common import Data, args  # noqa: E402

from datasets import Interactions  # noqa: E402
from recmodels.losses import LOSSES  # noqa: E402
from recmodels.models import MODELS  # noqa: E402
from recmodels.objective import objective  # noqa: E402
from recmodels.samplers import SAMPLERS  # noqa: E402
from recmodels.sampling import Training  # noqa: E402
from recmodels.settings import Settings  # noqa: E402
from recmodels.trainer import train  # noqa: E402


def main():
    a = args(
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
    data = Data(a.data)
    pairs = Interactions(data.u.astype(np.int32), data.i.astype(np.int32), data.nu, data.ni)
    held_out = (data.vu, data.vi) if a.validate else (np.empty(0), np.empty(0))
    valid = Interactions(*(ids.astype(np.int32) for ids in held_out), data.nu, data.ni)
    training = Training(pairs)
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
        "peer": "contrarec",
        "tag": a.tag,
        "config": {
            k: getattr(a, k)
            for k in (
                "data",
                "sampler",
                "loss",
                "optimizer",
                "lr",
                "l2",
                "batch",
                "negatives",
                "reduction",
                "init_std",
                "bias",
            )
        },
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
