"""Lists and vectors of stored runs, against what numpy computes from the vectors that are kept."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import datasets
from tests.inputs.asking import ask

QUICK = "--set epochs=2 --set embedding_size=8 --quiet"


def test_a_cell_is_trained_once_and_its_lists_and_vectors_are_those_of_the_run(
    tmp_path: Path, ratings_csv: Path
) -> None:
    store, out = tmp_path / "store", tmp_path / "lists.csv"
    asked = f"recommend 100 139 -k 5 --dataset {ratings_csv} --results {store}"
    told = ask(f"{asked} --cell uniform+softmax {QUICK} --out {out}")
    assert (told.code, told.out) == (0, ""), told.err
    (folder,) = (path.parent for path in store.glob("*/*/run.json"))
    kept = np.load(folder / "embeddings.npz")
    split = datasets.load(str(ratings_csv))
    expected = []
    for label in (100, 139):
        row = split.user_ids.tolist().index(label)
        scores = kept["items"].astype(np.float64) @ kept["users"][row]
        for part in (split.train, split.valid, split.test):
            scores[part.items[part.users == row]] = -np.inf
        expected += [(label, split.item_ids[i], scores[i]) for i in np.argsort(-scores)[:5]]
    with out.open(encoding="utf-8") as lines:
        rows = [*csv.DictReader(lines)]
    assert [(int(row["user"]), int(row["item"])) for row in rows] == [(user, item) for user, item, _ in expected]
    assert [float(row["score"]) for row in rows] == pytest.approx([score for *_, score in expected], abs=1e-5)

    told = ask(f"{asked} --run {folder.name[:6]} --format json --held-out")
    assert told.code == 0, told.err
    assert folder.name in told.err
    lists = json.loads(told.out)
    assert [one["user"] for one in lists] == [100, 139]
    assert {len(one["items"]) for one in lists} == {5}
    assert len([*store.glob("*/*/run.json")]) == 1

    for side in ("users", "items"):
        for end in ("npz", "parquet"):
            file = tmp_path / f"{side}.{end}"
            told = ask(f"runs export {folder.name} --vectors {side} --out {file} --results {store}")
            assert told.code == 0, told.err
        loaded = np.load(tmp_path / f"{side}.npz")
        assert np.array_equal(loaded["vector"], kept[side])
        assert loaded["vector"].flags.c_contiguous
        assert np.array_equal(loaded["id"], split.user_ids if side == "users" else split.item_ids)
        table = pq.read_table(tmp_path / f"{side}.parquet")
        assert table.column("id").to_pylist() == loaded["id"].tolist()
        assert np.array_equal(np.array(table.column("vector").to_pylist(), np.float32), kept[side])
    for words, said in (
        (f"recommend nobody --run {folder.name} --results {store} --dataset {ratings_csv}", "called 'nobody'"),
        (f"recommend nobody --cell dns --results {store} --dataset {ratings_csv}", "called 'nobody'"),
        (f"recommend 100 --run {folder.name} --results {store} --split ratio", "leave --split out"),
        (f"recommend 100 --run {folder.name} --results {store} --set epochs=3", "leave --set out"),
        (f"runs export {folder.name} --vectors item --out {tmp_path}/x.npz --results {store}", "Did you mean 'items'"),
        (f"runs export {folder.name} --vectors items --out {tmp_path}/x.csv --results {store}", ".npz or .parquet"),
        (f"runs export {folder.name} --vectors items --depth 3 --out x.npz --results {store}", "leave --depth out"),
    ):
        told = ask(words)
        assert (told.code, told.out) == (2, ""), words
        assert said in told.err


def test_a_run_that_read_a_file_of_negatives_is_told_which(tmp_path: Path, ratings_csv: Path) -> None:
    store, unwanted = tmp_path / "store", tmp_path / "unwanted.csv"
    split = datasets.load(str(ratings_csv))
    own = {*split.train.items[split.train.users == 0], *split.valid.items[split.valid.users == 0]}
    pairs = [(split.user_ids[0], split.item_ids[item]) for item in range(len(split.item_ids)) if item not in own][:20]
    unwanted.write_text("user,item\n" + "".join(f"{user},{item}\n" for user, item in pairs), encoding="utf-8")
    given, by = f"--dataset {ratings_csv} --results {store}", f"--negatives-from {unwanted}"
    told = ask(f"recommend 100 {given} {by} --cell given+bpr --format json {QUICK}")
    assert told.code == 0, told.err
    (folder,) = (path.parent for path in store.glob("*/*/run.json"))
    again = ask(f"recommend 100 {given} {by} --run {folder.name} --format json --quiet")
    assert (again.code, again.out) == (0, told.out)
    told = ask(f"runs export {folder.name} --depth 3 --out {tmp_path}/lists.csv {given} {by}")
    assert told.code == 0, told.err
    for words in (f"recommend 100 {given} --run {folder.name}", f"runs export {folder.name} --out x.csv {given}"):
        told = ask(words)
        assert told.code == 2, words
        assert "--negatives-from" in told.err


def test_a_baseline_recommends_what_it_counts(tmp_path: Path, ratings_csv: Path) -> None:
    told = ask(f"recommend 100 --cell toppop --dataset {ratings_csv} --results {tmp_path} --format json --quiet")
    assert told.code == 0, told.err
    split = datasets.load(str(ratings_csv))
    counts = np.bincount(split.train.items, minlength=len(split.item_ids)).astype(float)
    row = split.user_ids.tolist().index(100)
    for part in (split.train, split.valid, split.test):
        counts[part.items[part.users == row]] = -1
    best = split.item_ids[np.argsort(-counts, kind="stable")[:10]].tolist()
    assert [one["item"] for one in json.loads(told.out)[0]["items"]] == best


def test_a_baseline_of_sparse_matrices_has_no_vectors(ratings_csv: Path, tmp_path: Path) -> None:
    assert ask(f"recommend 100 --cell itemknn --dataset {ratings_csv} --results {tmp_path} --quiet").code == 0
    folder = next(tmp_path.glob("*/*/run.json")).parent
    refused = ask(f"runs export {folder.name} --vectors items --out x.npz --results {tmp_path}")
    assert (refused.code, refused.err) == (
        2,
        f"Run {folder.name} is of the baseline itemknn, without vectors; name a run of a sampler.\n",
    )
