"""What a stored run would score with as many test items as RecBole holds out.

    python experiments/rounded_down.py results/runs/ml-1m/RUN_ID

Of a user's n interactions RecBole's `ratio` split tests the share rounded down, at least one; ours rounds half up. Here
a user's surplus test items, chosen at random, neither count nor rank, as if they had been trained on; the model is the
same. Prints the number of test items and the metrics, as stored and rounded down (mean of ten draws).
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from datasets.consent import Consent
from datasets.loading import load
from datasets.protocol import Protocol
from recmodels.metrics import Ranks, user_metrics

K, DRAWS = 10, 10


def rounded_down(ranks, interactions, share, rng):
    """The ranks of the items that are left; `interactions` (U,) counts all that each user has."""
    wanted = np.maximum(1, np.floor(share * interactions)).astype(np.int64)
    order = np.lexsort((rng.random(len(ranks.users)), ranks.users))
    first = np.searchsorted(ranks.users, ranks.users)  # users ascend, so that it fits both orders
    surplus = np.empty(len(order), bool)
    surplus[order] = np.arange(len(order)) - first >= wanted[ranks.users]
    size = int(ranks.better.max()) + 2
    gone = np.sort(ranks.users[surplus] * size + ranks.better[surplus])
    above = np.searchsorted(gone, ranks.users * size + ranks.better) - np.searchsorted(gone, ranks.users * size)
    candidates = ranks.candidates - np.bincount(ranks.users[surplus], minlength=len(interactions))[ranks.users]
    left = Ranks(ranks.users, ranks.items, ranks.better - above, ranks.tied, candidates)
    return Ranks(*(column[~surplus] for column in left))


def stored_ranks(table):
    """As the run wrote them, users numbered from 0; which items they were does not matter here."""
    better, tied = (table[name].combine_chunks() for name in ("better", "tied"))
    users = np.repeat(np.arange(len(table)), np.diff(better.offsets))
    better, tied = (np.asarray(column.flatten(), np.int64) for column in (better, tied))
    return Ranks(users, np.zeros_like(users), better, tied, np.asarray(table["candidates"], np.int64)[users])


def means(ranks):
    return np.array([values.mean() for values in user_metrics(ranks, [K])[1].values()])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("run", type=Path, help="folder of a run")
    folder = parser.parse_args().run.resolve()
    spec = json.loads((folder / "run.json").read_text(encoding="utf-8"))["spec"]
    protocol = Protocol(**{k: tuple(v) if isinstance(v, list) else v for k, v in spec["protocol"].items()})
    split = load(spec["dataset"], protocol, consent=Consent(unverified=True))
    parts = (split.train, split.valid, split.test)
    interactions = sum(np.bincount(part.users, minlength=part.n_users) for part in parts)[np.unique(split.test.users)]
    ranks = stored_ranks(pq.read_table(folder / "users.parquet"))
    share = float(protocol.split_options["test"])
    draws = [rounded_down(ranks, interactions, share, np.random.default_rng(k)) for k in range(DRAWS)]
    names = [f"{name}@{K}" for name in ("hr", "ndcg", "mrr", "recall")]
    for what, some in (("stored", [ranks]), ("rounded down", draws)):
        found = dict(zip(names, np.mean([means(one) for one in some], axis=0).round(4).tolist(), strict=True))
        print(what, json.dumps({"test_items": len(some[0].users), **found}))  # noqa: T201


if __name__ == "__main__":
    main()
