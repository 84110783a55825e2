"""MovieLens 1M with a tenth of its films held out whole, and another tenth to validate on; and what describes films.

    python experiments/cold_items.py ml-1m.zip cold

Writes cold/movies.csv, which has genres and year of each film of the archive, and the ready split cold/split, in whose
train part no film of valid and test is. Its candidates are the films of the test part, for every user that tests some.
"""

import argparse
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

SHARE, SEED = 0.1, 0


def table(archive, name, columns):
    """A file of the archive."""
    with archive.open(f"ml-1m/{name}.dat") as file:
        return pd.read_csv(file, sep="::", engine="python", encoding="latin-1", names=columns)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("archive", type=zipfile.ZipFile)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    (given.out / "split").mkdir(parents=True, exist_ok=True)
    films = table(given.archive, "movies", ["item", "title", "genres"])
    films["year"] = films.title.str[-5:-1].astype(int)
    films[["item", "genres", "year"]].to_csv(given.out / "movies.csv", index=False)
    rows = table(given.archive, "ratings", ["user", "item", "rating", "time"])[["user", "item", "time"]]
    items = np.random.default_rng(SEED).permutation(np.unique(rows.item))
    size = round(SHARE * len(items))
    parts = {"test": items[:size], "valid": items[size : 2 * size], "train": items[2 * size :]}
    found = {name: rows[rows.item.isin(mine)] for name, mine in parts.items()}
    found["candidates"] = (
        found["test"][["user"]].drop_duplicates().merge(pd.DataFrame({"item": parts["test"]}), "cross")
    )
    for name, part in found.items():
        part.to_parquet(given.out / "split" / f"{name}.parquet", index=False)
        counts = f"{len(part):,} rows, {part.user.nunique():,} users, {part.item.nunique():,} items"
        sys.stdout.write(f"{name}: {counts}\n")


if __name__ == "__main__":
    main()
