"""What follows from the vectors that were kept with a stored run: lists, a recommender, and the vectors themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.runs.stored import EMBEDDINGS, StoredRun
from datasets.consent import Consent
from datasets.errors import UserError, unknown
from datasets.protocol import Protocol
from recmodels.models import BASELINES

if TYPE_CHECKING:
    from datasets.split import Split
    from datasets.table import Labels
    from recmodels.recommender import Recommender
    from recmodels.types import Tables


def lists_of_all(
    runs: Sequence[StoredRun], dataset: str | None, depth: int, negatives_from: str | None = None
) -> dict[str, Labels]:
    """`user`, `item`, `score` and `seed` of the lists of several runs on the same split.

    Args:
        runs: of different seeds.
        dataset: the path of the data; a catalogued set is known by its name.
        depth: items of a list, to which all come that are level with the last.
        negatives_from: the file of negatives that the runs read, if any.

    Raises:
        UserError: runs on other data or splits than each other or than the data set named, with one seed, or without
            vectors.
    """
    first = runs[0].record["spec"]
    for run in runs:
        _check_vectors(run)
        spec = run.record["spec"]
        if any(spec[key] != first[key] for key in ("data_sha256", "protocol", "columns")):
            raise UserError(
                f"Runs {runs[0].run_id} and {run.run_id} are on different splits; give each a file of its own."
            )
    seeds = [run.record["spec"]["seed"] for run in runs]
    if len(set(seeds)) < len(seeds):
        raise UserError(
            "Two of the runs have the same seed, so that a file could not tell them apart; give each its own."
        )
    split = split_of(runs[0], dataset, negatives_from)
    parts = [lists_of(run, split, depth) for run in runs]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {**columns, "seed": np.repeat(seeds, [len(part["user"]) for part in parts])}


def split_of(run: StoredRun, dataset: str | None, negatives_from: str | None = None) -> Split:
    """The split that a run was made on, with the file of negatives that it read, if any.

    Raises:
        UserError: the data named are others, or cannot be had.
    """
    from bench.runs.design import data_of
    from bench.runs.runner import load_split

    spec = run.record["spec"]
    consent = Consent(unverified=True, accept_unpinned=True)  # the run says which content, and it is compared
    protocol = Protocol.of(spec["protocol"])
    try:
        data, protocol = data_of(dataset or spec["dataset"], protocol, spec["columns"], negatives_from, consent)
    except UserError as error:
        if dataset is not None:
            raise
        said = (
            f"Run {run.run_id} was made on {spec['dataset']}, which cannot be read here; name it with --dataset PATH."
        )
        raise UserError(f"{said} {error}") from error
    if data.sha256 != spec["data_sha256"]:
        raise UserError(
            f"Run {run.run_id} was made on another content than {data.name} has now; name its data with --dataset, and "
            "its file of negatives with --negatives-from where it read one."
        )
    return load_split(data, protocol, consent)


def recommender(run: StoredRun, split: Split) -> Recommender:
    """The model of a run.

    Raises:
        UserError: the run has no vectors, or they are of other users or items than the split has.
    """
    from recmodels.recommender import Recommender

    _check_vectors(run)
    return Recommender(_tables(run, split), split, best_epoch=run.record["best_epoch"])


SIDES = {"users": "user", "items": "item"}
VECTORS = (".npz", ".parquet")


def write_vectors(run: StoredRun, side: str, path: Path) -> int:
    """Write `id` (n,) and `vector` (n, D) float32 of the `users` or `items` of a run; n.

    The inner product of a user's and an item's vector is the score. Where items have a bias, vectors are one number
    longer: the bias, and 1 for users. Parquet has the vectors as lists of fixed length.

    Raises:
        UserError: no vectors, an unknown side, or a path that ends otherwise.
    """
    from recmodels.recommender import joined

    if side not in SIDES:
        raise unknown("kind of vectors", side, SIDES)
    if path.suffix not in VECTORS:
        raise UserError(f"Vectors are written as {' or '.join(VECTORS)}, not as {path.name}; end the name so.")
    _check_vectors(run)
    arrays = _arrays(run)
    labels, vectors = arrays[f"{SIDES[side]}_ids"], joined(_read_tables(arrays))[[*SIDES].index(side)]
    if path.suffix == ".npz":
        np.savez(path, id=labels, vector=vectors)
        return len(labels)
    import pyarrow as pa
    from pyarrow import parquet

    rows = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    parquet.write_table(pa.table({"id": pa.array(labels), "vector": rows}), path, compression="zstd")
    return len(labels)


def _check_vectors(run: StoredRun) -> None:
    """Refuse a run whose vectors are not there.

    Raises:
        UserError: saying how they come to be kept.
    """
    if run.failure is not None:
        raise UserError(f"Run {run.run_id} failed, so that it recommends nothing; see `bench runs show {run.run_id}`.")
    if not run.has_embeddings:
        if (name := run.record["spec"]["model"]["name"]) in BASELINES:
            raise UserError(f"Run {run.run_id} is of the baseline {name}, without vectors; name a run of a sampler.")
        raise UserError(
            f"Run {run.run_id} was stored without its vectors; run the same command with --keep-embeddings, which "
            "makes them again."
        )


def lists_of(run: StoredRun, split: Split, depth: int) -> dict[str, Labels]:
    """`user`, `item` and `score` of the first `depth` items of every test user, and of all level with the last.

    The same scores as those the run was ranked by, bit for bit, on the same kind of processor.

    Raises:
        UserError: the vectors are of other users or items than the split has.
    """
    from bench.runs.runner import masked
    from recmodels.evaluation import FullRanking

    tables = _tables(run, split)
    ranking = FullRanking(split.test, masked(split, str(run.record["spec"]["protocol"]["mask"])), split.candidates)
    users, items, scores = (np.concatenate(part) for part in zip(*ranking.top(tables, depth), strict=True))
    return {"user": split.user_ids[users], "item": split.item_ids[items], "score": scores}


def _arrays(run: StoredRun) -> dict[str, NDArray[Any]]:
    with np.load(run.path / EMBEDDINGS, allow_pickle=False) as kept:
        return dict(kept)


def _read_tables(arrays: Mapping[str, NDArray[Any]]) -> Tables:
    import torch

    from recmodels.types import Tables

    return Tables(**{name: torch.from_numpy(arrays[name]) for name in Tables._fields if name in arrays})


def _tables(run: StoredRun, split: Split) -> Tables:
    """The vectors of a run, of the users and items of the split.

    Raises:
        UserError: they are of others.
    """
    arrays = _arrays(run)
    if not (np.array_equal(arrays["user_ids"], split.user_ids) and np.array_equal(arrays["item_ids"], split.item_ids)):
        raise UserError(f"The vectors of run {run.run_id} are of other users or items than {split.source.name} has.")
    return _read_tables(arrays)
