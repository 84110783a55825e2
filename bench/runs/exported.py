"""The lists that a stored run recommends, computed from the vectors that were kept with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench.runs.stored import EMBEDDINGS, StoredRun
from datasets.consent import Consent
from datasets.errors import UserError
from datasets.protocol import Protocol

if TYPE_CHECKING:
    from datasets.split import Split
    from datasets.table import Labels


def lists_of_all(runs: Sequence[StoredRun], dataset: str | None, depth: int) -> dict[str, Labels]:
    """`user`, `item`, `score` and `seed` of the lists of several runs on the same split.

    Args:
        runs: of different seeds.
        dataset: the path of the data; a catalogued set is known by its name.
        depth: items of a list, to which all come that are level with the last.

    Raises:
        UserError: runs on other data or splits than each other or than the data set named, with one seed, or without
            vectors.
    """
    from bench.runs.design import data_of
    from bench.runs.runner import load_split

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
    consent = Consent(unverified=True, accept_unpinned=True)  # the runs say which content, and it is compared
    data, protocol = data_of(
        dataset or first["dataset"], Protocol.of(first["protocol"]), first["columns"], None, consent
    )
    if data.sha256 != first["data_sha256"]:
        raise UserError(
            f"Run {runs[0].run_id} was made on another content than {data.name} has now; name its data with --dataset."
        )
    split = load_split(data, protocol, consent)
    parts = [lists_of(run, split, depth) for run in runs]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {**columns, "seed": np.repeat(seeds, [len(part["user"]) for part in parts])}


def _check_vectors(run: StoredRun) -> None:
    """Refuse a run whose vectors are not there.

    Raises:
        UserError: saying how they come to be kept.
    """
    if run.failure is not None:
        raise UserError(f"Run {run.run_id} failed, so that it recommends nothing; see `bench runs show {run.run_id}`.")
    if not run.has_embeddings:
        raise UserError(
            f"Run {run.run_id} was stored without its vectors; run the same command with --keep-embeddings, which "
            "makes them again (baselines have none)."
        )


def lists_of(run: StoredRun, split: Split, depth: int) -> dict[str, Labels]:
    """`user`, `item` and `score` of the first `depth` items of every test user, and of all level with the last.

    The same scores as those the run was ranked by, bit for bit, on the same kind of processor.

    Raises:
        UserError: the vectors are of other users or items than the split has.
    """
    import torch

    from bench.runs.runner import masked
    from recmodels.evaluation import FullRanking
    from recmodels.types import Tables

    with np.load(run.path / EMBEDDINGS, allow_pickle=False) as kept:
        arrays = dict(kept)
    if not (np.array_equal(arrays["user_ids"], split.user_ids) and np.array_equal(arrays["item_ids"], split.item_ids)):
        raise UserError(f"The vectors of run {run.run_id} are of other users or items than {split.source.name} has.")
    vectors = {name: torch.from_numpy(arrays[name]) for name in Tables._fields if name in arrays}
    tables = Tables(**vectors)
    ranking = FullRanking(split.test, masked(split, str(run.record["spec"]["protocol"]["mask"])), split.candidates)
    users, items, scores = (np.concatenate(part) for part in zip(*ranking.top(tables, depth), strict=True))
    return {"user": split.user_ids[users], "item": split.item_ids[items], "score": scores}
