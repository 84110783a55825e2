"""Times BPR here and in other libraries, each tuned as much, on one thread: lines of JSON.

    python experiments/beside_peers.py --environments DIR --out peers.jsonl
    python -m bench.pages.speed --peers peers.jsonl

Nothing is installed: a library takes part if DIR/NAME/bin/python exists, NAME being one of those below. Stages:
`search` tries eight settings of each library with seed 0 on the first data, the same points of a Sobol' sequence in the
ranges below, and the best two of them on the next; `seeds` trains the one with the best validation NDCG@10 with five
others; `epochs` and `chosen` time epochs in rounds, one library after the other, with one negative and with what was
chosen. What the file has is not measured again, so that it may be stopped at any time.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
RANGES = {
    "contrarec": {"lr": (0.005, 0.05), "reg": (0.001, 0.03), "batch": (10, 14), "negatives": (0, 3)},
    "implicit": {"lr": (0.01, 0.1), "reg": (0.001, 0.03)},
    "cornac": {"lr": (0.01, 0.1), "reg": (0.001, 0.03)},
    "buffalo": {"lr": (0.01, 0.1), "reg": (0.001, 0.03)},
    "lightfm": {"lr": (0.02, 0.1), "reg": (1e-6, 1e-4)},
    "lenskit": {"lr": (0.001, 0.01), "reg": (0.003, 0.3), "batch": (10, 13)},
    "recbole": {"lr": (0.001, 0.01), "reg": (1e-8, 1e-5), "batch": (11, 13)},
}
"""What is tried: rates and penalties from least to most, evenly in logarithms; the others as powers of two."""
EPOCHS = {
    "ml-100k": {
        "contrarec": 60, "implicit": 100, "cornac": 100, "buffalo": 60, "lightfm": 40, "lenskit": 30, "recbole": 30,
    },
    "ml-1m-sasrec": {
        "contrarec": 16, "implicit": 50, "cornac": 50, "buffalo": 30, "lightfm": 12, "lenskit": 8, "recbole": 3,
    },
}  # fmt: skip
"""At most so many epochs of each, so that all take about as long."""
EVERY = {"implicit": 2, "cornac": 2, "buffalo": 2}  # epochs between two rankings; 1 where an epoch takes longer
TRIALS, KEPT, SEEDS, PATIENCE, TIMED = 8, 2, range(1, 6), 8, 3
ROWS = (
    ("loop", {}),
    ("contrarec", {"optimizer": "sgd"}),
    ("contrarec", {"optimizer": "adam"}),
    ("contrarec", {"optimizer": "adam", "batch": 1024}),
    ("implicit", {"lr": 0.05, "reg": 0.001}),
    ("cornac", {"lr": 0.05, "reg": 0.001}),
    ("buffalo", {"lr": 0.05, "reg": 0.001}),
    ("lightfm", {"lr": 0.05, "reg": 1e-5}),
    ("lenskit", {"lr": 0.003, "reg": 0.01}),
    ("recbole", {"lr": 0.003, "reg": 0.0}),
    ("recbole", {"lr": 0.003, "reg": 0.0, "batch": 8192}),
)
"""What `epochs` times, one negative each, on the larger data."""


def settings(library):
    """The settings of a library that are tried."""
    from scipy.stats.qmc import Sobol

    tried = []
    for point in Sobol(len(RANGES["contrarec"]), seed=0).random(TRIALS):
        found = {}
        for (name, (low, high)), share in zip(RANGES[library].items(), point, strict=False):
            if name in ("lr", "reg"):
                found[name] = float(f"{low * (high / low) ** share:.2g}")
            else:
                found[name] = 2 ** min(high, math.floor(low + share * (high - low + 1)))
        tried.append(found)
    return tried


def best(records, data, library):
    """The settings of the search, those with the best validation NDCG first."""
    of = [r for r in records if (r["stage"], r["data"], r["library"]) == ("search", data, library)]
    return [r["settings"] for r in sorted(of, key=lambda r: -max((ndcg for *_, ndcg in r["curve"]), default=0.0))]


def todo(stage, libraries, data, records, rounds):
    """What a stage runs: library, data, settings, seed, and what else `peer.py` is told."""
    if stage in ("epochs", "chosen"):
        rows = [(name, data[-1], given) for name, given in ROWS if name in (*libraries, "loop")]
        if stage == "chosen":
            rows = [(name, each, best(records, each, name)[0]) for each, name in product(data, libraries)]
        for number in range(rounds):
            yield from ((*row, number, {"epochs": TIMED}) for row in rows)
        return
    for seed in SEEDS if stage == "seeds" else [0]:
        for each, name in product(data, libraries):
            told = {"epochs": EPOCHS[each][name], "every": EVERY.get(name, 1), "patience": PATIENCE}
            if stage == "seeds":
                tried = best(records, each, name)[:1]
            else:
                tried = settings(name) if each == data[0] else best(records, data[0], name)[:KEPT]
            yield from ((name, each, given, seed, told) for given in tried)


def written(name, folder):
    """The split of a data set in a file that needs numpy alone."""
    from datasets import load

    split, path = load(name), folder / f"{name}.npz"
    train, valid = split.train, np.full(split.train.n_users, -1)
    order = np.lexsort((train.items, train.users))
    valid[split.valid.users] = split.valid.items
    users, items = (ids[order].astype(np.int64) for ids in (train.users, train.items))
    np.savez(path, users=users, items=items, valid=valid, shape=(train.n_users, train.n_items))
    return path


def measured(python, library, path, told):
    """What `peer.py` prints, or why it does not; a library may leave files in the folder of the data."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [python, "-W", "ignore", str(ROOT / "experiments" / "peer.py"), library, str(path), json.dumps(told)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), **one}
    done = subprocess.run(command, env=env, cwd=path.parent, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{library} failed; what was measured before is kept.\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=Path("peers.jsonl"))
    parser.add_argument("--environments", type=Path, default=Path("peers"), help="a folder with one for each library")
    parser.add_argument("--stages", nargs="+", default=("search", "seeds", "epochs", "chosen"))
    parser.add_argument("--data", nargs="+", default=list(EPOCHS))
    parser.add_argument("--libraries", nargs="+", default=list(RANGES), choices=RANGES)
    parser.add_argument("--rounds", type=int, default=5, help="of `epochs` and `chosen`")
    asked = parser.parse_args()
    environments = asked.environments.absolute()
    pythons = {name: environments / name / "bin" / "python" for name in asked.libraries}
    pythons = {name: str(path) for name, path in pythons.items() if path.exists()}
    pythons |= {"contrarec": sys.executable, "loop": sys.executable}
    libraries = [name for name in asked.libraries if name in pythons]
    records = [json.loads(line) for line in asked.out.read_text().splitlines()] if asked.out.exists() else []
    done = {json.dumps(r["key"]) for r in records}
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: written(name, Path(folder)) for name in asked.data}
        for stage in asked.stages:
            for library, data, given, seed, told in todo(stage, libraries, asked.data, records, asked.rounds):
                key = [stage, library, data, given, seed]
                if json.dumps(key) in done:
                    continue
                found = measured(pythons[library], library, paths[data], {**given, **told, "seed": seed})
                head = {"key": key, "stage": stage, "library": library, "data": data, "settings": given, "seed": seed}
                head["most"] = told["epochs"]
                records.append({**head, **found})
                with asked.out.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(records[-1]) + "\n")
                quality = max((ndcg for *_, ndcg in found["curve"]), default=math.nan)
                cost = np.median(found["epochs"][1:])
                print(*key, f"{cost:.4g} CPU s an epoch, NDCG@10 {quality:.4f}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
