"""The file of ranks: what is read is what was written, and it stays small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.results.ranks import Measured, read_ranks, write_ranks
from bench.runs.hashes import result_sha256
from recmodels.metrics import Ranks


def measured(seed: int, relevant: int = 1, text: bool = False, users: int = 30) -> Measured:
    """Random ranks; user k has 1 + k mod `relevant` held-out items."""
    rng = np.random.default_rng(seed)
    counts = 1 + np.arange(users) % relevant
    owners = np.repeat(np.arange(users), counts)
    n = len(owners)
    candidates = np.repeat(rng.integers(80, 120, users), counts)
    ranks = Ranks(owners, np.zeros(n, int), rng.integers(0, 70, n), rng.integers(0, 3, n), candidates)
    return Measured(np.array([f"u{k}é" for k in range(users)]) if text else np.arange(users) * 3 + 1, ranks)


@pytest.mark.parametrize("relevant", [1, 4])
@pytest.mark.parametrize("text", [False, True])
def test_what_is_read_is_what_was_written(tmp_path: Path, relevant: int, text: bool) -> None:
    runs = {f"{seed:016x}": measured(seed, relevant, text) for seed in (5, 3, 9)}
    write_ranks(tmp_path / "ranks.parquet", runs)
    found = read_ranks(tmp_path / "ranks.parquet")
    assert list(found) == list(runs)
    for run, one in found.items():
        assert result_sha256(*one) == result_sha256(*runs[run])
        for mine, theirs in zip(one.ranks, runs[run].ranks, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    assert [path.name for path in tmp_path.iterdir()] == ["ranks.parquet"]


def test_another_program_reads_the_columns_that_are_documented(tmp_path: Path) -> None:
    one = measured(1, relevant=2)
    write_ranks(tmp_path / "ranks.parquet", {"a" * 16: one, "b" * 16: measured(2)})
    lines = [line for line in pq.read_table(tmp_path / "ranks.parquet").to_pylist() if line["run"] == "a" * 16]
    assert [line["user"] for line in lines] == one.users[one.ranks.users].tolist()
    for name in ("better", "tied", "candidates"):
        assert [line[name] for line in lines] == getattr(one.ranks, name).tolist()


def test_240_runs_of_943_users_are_less_than_a_megabyte(tmp_path: Path) -> None:
    runs = {f"{seed:016x}": measured(seed, users=943) for seed in range(240)}
    rng = np.random.default_rng(0)
    spread = {run: one.ranks._replace(better=rng.integers(0, 1600, 943)) for run, one in runs.items()}
    write_ranks(tmp_path / "x", {run: Measured(one.users, spread[run]) for run, one in runs.items()})
    assert (tmp_path / "x").stat().st_size < 1e6  # the worst case: no rank is likelier than another


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop_columns(["tied"]), "no column tied"),
        (lambda t: pa.concat_tables([t.slice(10), t.slice(0, 10)]), "do not stand together"),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, change, words: str) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "ranks.parquet"
    write_ranks(file, {"a" * 16: measured(1), "b" * 16: measured(2)})
    pq.write_table(change(pq.read_table(file)), file)
    with pytest.raises(ValueError, match=words):
        read_ranks(file)
