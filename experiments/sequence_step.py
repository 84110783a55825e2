"""A training step of sasrec beside a plain one: `python experiments/sequence_step.py --data ml-1m-sasrec`.

Both train on 128 sequences of at most 200 items at a time, with two blocks, 64 dimensions, dropout 0.2 and Adam, on one
thread, one after the other, in one process. The plain one is what papers' repositories do: sequences filled up to 200
positions, `nn.MultiheadAttention`, negatives drawn with numpy, all scores of a step at once, `torch.optim.Adam`.
Processor time of steps is told for a whole epoch: a line of JSON for each loss.
"""

import argparse
import json
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from datasets import Interactions
from datasets.loading import load
from recmodels.diagnostics import Diagnostics
from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.objective import objective
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Training
from recmodels.settings import Settings
from recmodels.trainer import train

SEQUENCES, LENGTH, SIZE, DROP = 128, 200, 64, 0.2
CASES = {  # sampler, its options, loss, negatives
    "bce": ("uniform", {}, "bce", 1),
    "gbce": ("uniform", {}, "gbce", 256),
    "softmax": ("full", {"mask": "same-item"}, "softmax", "all"),
}


class Plain(nn.Module):
    """SASRec on sequences filled up at the end with item I, whose vector is 0."""

    def __init__(self, items):
        super().__init__()
        self.items = nn.Embedding(items + 1, SIZE, padding_idx=items)
        self.positions = nn.Embedding(LENGTH, SIZE)
        self.norms = nn.ModuleList(nn.LayerNorm(SIZE) for _ in range(5))
        self.attention = nn.ModuleList(nn.MultiheadAttention(SIZE, 1, DROP, batch_first=True) for _ in range(2))
        self.layers = nn.ModuleList(nn.Linear(SIZE, SIZE) for _ in range(4))
        self.drop = nn.Dropout(DROP)

    def forward(self, ids):
        x = self.drop(self.items(ids) * SIZE**0.5 + self.positions.weight)
        later = torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(1)
        for at in range(2):
            y = self.norms[2 * at](x)
            x = x + self.drop(self.attention[at](y, y, y, attn_mask=later, need_weights=False)[0])
            y = self.norms[2 * at + 1](x)
            x = x + self.drop(self.layers[2 * at + 1](self.layers[2 * at](y).relu()))
        return self.norms[4](x)


def plain_steps(train_part, loss, negatives, steps):
    """Processor seconds of each step, and how many steps an epoch has."""
    n_items, rng = train_part.n_items, np.random.default_rng(0)
    order = np.argsort(train_part.users, kind="stable")
    parts = np.split(train_part.items[order], np.cumsum(np.bincount(train_part.users))[:-1])
    parts = [items[-LENGTH - 1 :] for items in parts if len(items) > 1]
    torch.manual_seed(0)
    model = Plain(n_items)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    adam.zero_grad()
    for _ in range(steps):
        began = time.process_time()
        ids = np.full((2, SEQUENCES, LENGTH), n_items)
        for row, which in enumerate(rng.choice(len(parts), SEQUENCES, replace=False)):
            for side, items in enumerate((parts[which][:-1], parts[which][1:])):
                ids[side, row, : len(items)] = items
        inputs, targets = torch.from_numpy(ids)
        real = targets != n_items
        queries, targets = model(inputs)[real], targets[real]
        if loss == "softmax":
            total = functional.cross_entropy(queries @ model.items.weight[:n_items].T, targets)
        else:
            drawn = torch.from_numpy(rng.integers(n_items, size=(len(targets), negatives)))
            positive = (queries * model.items(targets)).sum(dim=1)
            negative = torch.einsum("bd,bnd->bn", queries, model.items(drawn))
            power = 1.0
            if loss == "gbce":
                share = negatives / (n_items - 1)
                power = share * (0.75 * (1 - 1 / share) + 1 / share)
            total = (-power * functional.logsigmoid(positive) + functional.softplus(negative).sum(dim=1)).mean()
        total.backward()
        adam.step()
        adam.zero_grad()
        yield time.process_time() - began


class Watch(Diagnostics):
    """Takes the processor time of some steps, and ends the epoch."""

    def __init__(self, training, steps):
        super().__init__(training)
        self.steps, self.taken = steps, []

    def timed(self, steps):
        last = time.process_time()
        for part in steps:
            yield part
            if part.last:
                self.taken.append(time.process_time() - last)
                last = time.process_time()
                if len(self.taken) == self.steps:
                    return

    def due(self):
        return False


def our_steps(train_part, case, batch_size, steps):
    """Processor seconds of each step."""
    sampler, options, loss, negatives = CASES[case]
    nothing = Interactions(np.empty(0, np.int32), np.empty(0, np.int32), train_part.n_users, train_part.n_items)
    training = Training(train_part)
    watch = Watch(training, steps)
    parameters = {"logq": "none"} if loss == "softmax" else {}
    train(
        training,
        nothing,
        model=lambda *given: MODELS["sasrec"](*given, **MODELS.parameters("sasrec", {"drop": f"{DROP}"})),
        sampler=SAMPLERS[sampler](training, **SAMPLERS.parameters(sampler, options)),
        objective=objective(loss, LOSSES.parameters(loss, parameters)),
        settings=Settings(
            epochs=1, batch_size=batch_size, negatives=negatives, l2=0.0, learning_rate=1e-3, embedding_size=SIZE
        ),
        seed=0,
        device=torch.device("cpu"),
        observer=watch,
    )
    return watch.taken


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", default="ml-1m-sasrec")
    options.add_argument("--steps", type=int, default=4, help="timed, after one that is not")
    options.add_argument("--losses", nargs="+", choices=CASES, default=[*CASES])
    given = options.parse_args()
    torch.set_num_threads(1)
    part = load(given.data).train
    counts = np.bincount(part.users)
    rows, users = int(np.minimum(counts - 1, LENGTH)[counts > 1].sum()), int((counts > 1).sum())
    batch_size = round(SEQUENCES * rows / users)
    for case in given.losses:
        _, _, loss, negatives = CASES[case]
        plain = [*plain_steps(part, loss, negatives, given.steps + 1)][1:]
        ours = our_steps(part, case, batch_size, given.steps + 1)[1:]
        epochs = np.mean(plain) * users / SEQUENCES, np.mean(ours) * rows / batch_size
        found = {"plain_s_per_epoch": round(epochs[0], 1), "ours_s_per_epoch": round(epochs[1], 1)}
        sys.stdout.write(json.dumps({"loss": case, **found, "ratio": round(epochs[1] / epochs[0], 2)}) + "\n")


if __name__ == "__main__":
    main()
