"""Trains one library's BPR on one split and times it: `experiments/beside_peers.py` starts it in each environment.

    PYTHON experiments/peer.py LIBRARY SPLIT.npz '{"lr": 0.05, "reg": 0.001, "seed": 0, "epochs": 6}'

It needs numpy and the library alone, and prints one line of JSON: CPU seconds of each epoch, and a curve of (epoch, CPU
seconds of training so far, validation NDCG@10). All are ranked by the same few lines; what that takes is not counted.
"""

import json
import math
import os
import sys
import tempfile
import time
from contextlib import suppress
from importlib.metadata import version

import numpy as np

SIZE = 64  # D
DISTRIBUTIONS = {"lightfm": "lightfm-next", "loop": "numba"}  # where they have other names than what is imported


class Stop(Exception):
    """Ends a library's training from inside."""


class Split:
    """Pairs of train by user and item, and the validation item of each user, or -1."""

    def __init__(self, path):
        with np.load(path) as found:
            self.users, self.items, self.valid = found["users"], found["items"], found["valid"]
            self.n_users, self.n_items = map(int, found["shape"])
        self.starts = np.searchsorted(self.users, np.arange(self.n_users + 1))

    def matrix(self):
        """Train as a sparse matrix of ones."""
        from scipy.sparse import csr_matrix

        ones = np.ones(len(self.users), np.float32)
        return csr_matrix((ones, (self.users, self.items)), shape=(self.n_users, self.n_items))

    def ndcg(self, users, items, bias=None, cutoff=10, chunk=128):
        """Mean NDCG of the validation items among all that are not in train; equal scores share their ranks."""
        gain = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, cutoff + 2)))])
        asked, total = np.flatnonzero(self.valid >= 0), 0.0
        users, items = np.asarray(users, np.float32), np.ascontiguousarray(np.asarray(items, np.float32).T)
        for some in np.split(asked, range(chunk, len(asked), chunk)):
            scores = users[some] @ items if bias is None else users[some] @ items + np.asarray(bias, np.float32)
            own = scores[np.arange(len(some)), self.valid[some]][:, None]
            sizes = self.starts[some + 1] - self.starts[some]
            known = np.concatenate([self.items[self.starts[user] : self.starts[user + 1]] for user in some])
            scores[np.repeat(np.arange(len(some)), sizes), known] = -np.inf
            better = np.count_nonzero(scores > own, axis=1)
            level = np.count_nonzero(scores == own, axis=1)  # with the item itself
            total += ((gain[np.minimum(better + level, cutoff)] - gain[np.minimum(better, cutoff)]) / level).sum()
        return total / len(asked)


class Clock:
    """CPU seconds of training, epoch by epoch, and the curve of quality.

    Args:
        split: ranks.
        every: epochs from one ranking to the next; 0 for none.
        patience: rankings without a better one after which no epoch begins.
    """

    def __init__(self, split, every=0, patience=math.inf):
        self.split, self.every, self.patience = split, every, patience
        self.epochs, self.curve, self.spent = [], [], 0.0

    def start(self):
        """What follows is training."""
        self.mark = time.process_time()

    def epoch(self, tables):
        """An epoch is over; `tables` gives users, items and biases or None. Whether to stop."""
        now = time.process_time()
        self.epochs.append(now - self.mark)
        self.spent += now - self.mark
        if self.every and len(self.epochs) % self.every == 0:
            self.curve.append((len(self.epochs), self.spent, self.split.ndcg(*tables())))
        found = [ndcg for _, _, ndcg in self.curve]
        late = len(found) - 1 - int(np.argmax(found)) if found else 0
        self.start()
        return late >= self.patience

    def must(self, tables):
        """As `epoch`, and stops; else a quality of 0."""
        if self.epoch(tables):
            raise Stop
        return 0.0


def contrarec(split, clock, seed, epochs, lr=0.003, reg=0.001, batch=8192, negatives=1, optimizer="adam"):
    """Uniform negatives, none of them in train; any optimiser."""
    import torch

    from datasets import Interactions
    from recmodels import trainer
    from recmodels.losses import LOSSES
    from recmodels.models import MODELS
    from recmodels.objective import objective
    from recmodels.samplers import SAMPLERS
    from recmodels.sampling import Training
    from recmodels.settings import Settings

    torch.set_num_threads(1)
    pairs, shape = (split.users.astype(np.int32), split.items.astype(np.int32)), (split.n_users, split.n_items)
    nobody = np.empty(0, np.int32)
    training = Training(Interactions(*pairs, *shape))
    settings = Settings(
        epochs=epochs, batch_size=batch, negatives=negatives, optimizer=optimizer, learning_rate=lr, l2=reg,
        embedding_size=SIZE, patience=epochs,
    )  # fmt: skip
    trainer.validate = lambda ranking, found, metric: clock.must(
        lambda: [t if t is None else t.detach() for t in found]
    )
    clock.start()
    trainer.train(
        training,
        Interactions(nobody, nobody, *shape),
        model=MODELS["mf"],
        sampler=SAMPLERS["uniform"](training, **SAMPLERS.parameters("uniform", {})),
        objective=objective("bpr", LOSSES.parameters("bpr", {})),
        settings=settings,
        seed=seed,
        device=torch.device("cpu"),
    )


def loop(split, clock, seed, epochs, lr=0.05, reg=0.001):
    """No library: shuffled pairs, one compiled loop that draws, scores and updates."""
    import numba

    rng = np.random.default_rng(seed)
    users, items = (rng.normal(0, 0.1, (n, SIZE)).astype(np.float32) for n in (split.n_users, split.n_items))
    seen = np.zeros((split.n_users, split.n_items), np.bool_)
    seen[split.users, split.items] = True

    @numba.njit(fastmath=True)
    def epoch(order, us, ps, seen, users, items, lr, reg, state):
        for k in order:
            u, p, n = us[k], ps[k], ps[k]
            while seen[u, n]:
                state ^= state << np.uint64(13)
                state ^= state >> np.uint64(7)
                state ^= state << np.uint64(17)
                n = np.int64(((state >> np.uint64(32)) * np.uint64(len(items))) >> np.uint64(32))
            dot = np.float32(0)
            for d in range(SIZE):
                dot += users[u, d] * (items[p, d] - items[n, d])
            slope = lr / (np.float32(1) + np.exp(dot))
            for d in range(SIZE):
                user, own, other = users[u, d], items[p, d], items[n, d]
                users[u, d] += slope * (own - other) - lr * reg * user
                items[p, d] += slope * user - lr * reg * own
                items[n, d] -= slope * user + lr * reg * other
        return state

    given = split.users, split.items, seen, users, items, np.float32(lr), np.float32(reg)
    state = epoch(np.empty(0, np.int64), *given, np.uint64(88172645463325252))  # compiles
    clock.start()
    for _ in range(epochs):
        state = epoch(rng.permutation(len(split.users)), *given, np.uint64(state))
        clock.must(lambda: (users, items, None))


def implicit(split, clock, seed, epochs, lr, reg):
    """Draws positives with replacement and negatives by popularity; one that the user has is skipped."""
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(
        factors=SIZE - 1, learning_rate=lr, regularization=reg, iterations=epochs, num_threads=1, random_state=seed
    )  # one more for the bias
    matrix = split.matrix()
    clock.start()
    model.fit(
        matrix,
        show_progress=False,
        callback=lambda *_: clock.must(lambda: (model.user_factors, model.item_factors, None)),
    )


def cornac(split, clock, seed, epochs, lr, reg):
    """Draws positives with replacement and negatives uniformly; one that the user has is skipped."""
    from cornac.data import Dataset
    from cornac.models import BPR

    class Timed(BPR):
        def _fit_sgd(self, *given):  # one epoch
            found = super()._fit_sgd(*given)
            clock.must(lambda: (self.u_factors, self.i_factors, self.i_biases))
            return found

    triples = split.users, split.items.astype(np.int32), np.ones(len(split.users))
    ids = ({str(k): k for k in range(n)} for n in (split.n_users, split.n_items))
    data = Dataset(split.n_users, split.n_items, *ids, triples, seed=seed)
    model = Timed(k=SIZE, max_iter=epochs, learning_rate=lr, lambda_reg=reg, num_threads=1, seed=seed)
    clock.start()
    model.fit(data)


def buffalo(split, clock, seed, epochs, lr, reg):
    """Walks users in order and draws negatives uniformly, none in train; the rate falls to 0 over `epochs`."""
    from buffalo.algo.bpr import BPRMF
    from buffalo.algo.options import BPRMFOption
    from buffalo.data.mm import MatrixMarketOptions

    class Timed(BPRMF):
        def early_stopping(self, loss):  # asked after every epoch
            return clock.epoch(lambda: (self.P, self.Q, self.Qb[:, 0]))

    with tempfile.TemporaryDirectory() as folder:
        data = MatrixMarketOptions().get_default_option()
        data.input.main = split.matrix()
        data.data.update(path=os.path.join(folder, "data.h5"), tmp_dir=folder, validation={})
        options = BPRMFOption().get_default_option()
        options.update(d=SIZE, lr=lr, num_iters=epochs, num_workers=1, random_seed=seed, validation={})
        options.update(compute_loss_on_training=False, **dict.fromkeys(["reg_u", "reg_i", "reg_j", "reg_b"], reg))
        np.random.seed(seed)  # noqa: NPY002 - from which it draws its first factors
        model = Timed(options, data_opt=data)
        model.initialize()
        clock.start()
        model.train()


def lightfm(split, clock, seed, epochs, lr, reg):
    """Adagrad; shuffled pairs, negatives by popularity, tried again where the user has them."""
    from lightfm import LightFM

    model = LightFM(no_components=SIZE, loss="bpr", learning_rate=lr, item_alpha=reg, user_alpha=reg, random_state=seed)
    matrix = split.matrix().tocoo()
    clock.start()
    for _ in range(epochs):
        model.fit_partial(matrix, epochs=1, num_threads=1)
        clock.must(lambda: (model.user_embeddings, model.item_embeddings, model.item_biases))


def lenskit(split, clock, seed, epochs, lr, reg, batch=8192):
    """AdamW; uniform negatives, none in train but after ten tries. Not compiled, which takes longer than it saves."""
    import pandas as pd
    import torch
    from lenskit.data import from_interactions_df
    from lenskit.flexmf import FlexMFImplicitScorer
    from lenskit.training import TrainingOptions

    torch.set_num_threads(1)
    data = from_interactions_df(pd.DataFrame({"user_id": split.users, "item_id": split.items}))
    scorer = FlexMFImplicitScorer(
        preset="bpr", embedding_size=SIZE, learning_rate=lr, regularization=reg, epochs=epochs, batch_size=batch
    )
    users, items = (np.asarray(ids.ids()) for ids in (data.users, data.items))

    def tables():
        """Items that nobody has in train are not in its tables."""
        found = [np.zeros((n, SIZE), np.float32) for n in (split.n_users, split.n_items)]
        found[0][users] = scorer.model.u_embed.weight.detach().numpy()
        found[1][items] = scorer.model.i_embed.weight.detach().numpy()
        bias = np.full(split.n_items, -1e9, np.float32)
        own = scorer.model.i_bias
        bias[items] = 0 if own is None else own.weight.detach().numpy().reshape(-1)
        return *found, bias

    clock.start()
    options = TrainingOptions(rng=seed, device="cpu", environment={"LK_TORCH_COMPILE": "0"})
    training = scorer.create_trainer(data, options)
    for _ in range(epochs):
        training.train_epoch()
        clock.must(tables)


def recbole(split, clock, seed, epochs, lr, reg, batch=2048):
    """Adam with weight decay; uniform negatives, none in train."""
    removed = {"float_": np.float64, "complex_": np.complex128, "unicode_": np.str_}  # names that it still uses
    for name, kind in {**{k.__name__: k for k in (bool, int, float, complex, object, str)}, **removed}.items():
        if name not in vars(np):
            setattr(np, name, kind)
    vars(np).setdefault("long", np.int64)
    vars(np).setdefault("unicode", str)
    import torch
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    torch.set_num_threads(1)
    sys.argv = sys.argv[:1]  # which it would read
    asked = np.flatnonzero(split.valid >= 0)
    held = asked, split.valid[asked]
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "split"))
        for part, pairs in {"train": (split.users, split.items), "valid": held, "test": held}.items():
            with open(os.path.join(folder, "split", f"split.{part}.inter"), "w", encoding="utf-8") as stream:
                stream.write("user_id:token\titem_id:token\n")
                stream.writelines(f"{u}\t{i}\n" for u, i in zip(*(ids.tolist() for ids in pairs), strict=True))
        config = Config(
            model="BPR",
            dataset="split",
            config_dict={
                "data_path": folder, "benchmark_filename": ["train", "valid", "test"], "checkpoint_dir": folder,
                "load_col": {"inter": ["user_id", "item_id"]}, "embedding_size": SIZE, "learning_rate": lr,
                "weight_decay": reg, "train_batch_size": batch, "epochs": epochs, "use_gpu": False, "seed": seed,
                "reproducibility": True, "show_progress": False, "state": "ERROR", "metrics": ["NDCG"], "topk": [10],
                "valid_metric": "NDCG@10", "eval_args": {"group_by": "user", "order": "RO", "mode": "full"},
            },
        )  # fmt: skip
        init_seed(seed, True)
        data = create_dataset(config)
        train, _, _ = data_preparation(config, data)
        model = get_model("BPR")(config, train._dataset)
        trainer = get_trainer(config["MODEL_TYPE"], "BPR")(config, model)
    torch.set_num_threads(1)
    users = data.id2token("user_id", np.arange(1, data.user_num)).astype(np.int64)
    items = data.id2token("item_id", np.arange(1, data.item_num)).astype(np.int64)

    def tables():
        """Row 0 of its tables is padding."""
        found = [np.zeros((n, SIZE), np.float32) for n in (split.n_users, split.n_items)]
        found[0][users] = model.user_embedding.weight.detach().numpy()[1:]
        found[1][items] = model.item_embedding.weight.detach().numpy()[1:]
        return *found, None

    clock.start()
    for number in range(epochs):
        trainer._train_epoch(train, number, show_progress=False)
        clock.must(tables)


LIBRARIES = (contrarec, loop, implicit, cornac, buffalo, lightfm, lenskit, recbole)


def main():
    name, path, settings = sys.argv[1:]
    split, asked = Split(path), json.loads(settings)
    clock = Clock(split, asked.pop("every", 0), asked.pop("patience", math.inf))
    with suppress(Stop):
        {library.__name__: library for library in LIBRARIES}[name](split, clock, **asked)
    found = {"version": version(DISTRIBUTIONS.get(name, name)), "epochs": clock.epochs, "curve": clock.curve}
    sys.stdout.write("\n" + json.dumps(found) + "\n")  # a library may have left a line unfinished


if __name__ == "__main__":
    main()
