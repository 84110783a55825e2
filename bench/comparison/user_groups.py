"""Groups of test users by what the split says of them: how active they are, how popular their targets are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.split import Split

GROUPS = {
    "activity": "the user's interactions in train, or of those that a strong split folds in",
    "popularity": "the train interactions of the user's test items, on average",
}
PARTS = 3


def user_groups(split: Split, by: str) -> dict[str, NDArray[Any]]:
    """Name → labels of the test users of each third, lowest first; names say the range, as in "activity 1–12".

    The bounds are quantiles over test users. Users with the same value are never parted, so that the thirds may be
    uneven, and fewer than three where many users share a value.
    """
    test, train = split.test, split.train
    users, owner = np.unique(test.users, return_inverse=True)
    if by == "activity":
        own = train if split.fold_in is None else split.fold_in
        values = np.bincount(own.users, minlength=train.n_users)[users].astype(np.float64)
    else:
        popularity = np.bincount(train.items, minlength=train.n_items)
        values = np.bincount(owner, popularity[test.items]) / np.bincount(owner)
    bounds = np.quantile(values, np.arange(1, PARTS) / PARTS, method="inverted_cdf")
    part = np.searchsorted(bounds, values)
    groups = {}
    for i in np.unique(part):
        lo, hi = values[part == i].min(), values[part == i].max()
        groups[f"{by} {lo:.6g}" + (f"–{hi:.6g}" if hi > lo else "")] = split.user_ids[users[part == i]]
    return groups
