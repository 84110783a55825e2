"""Published tables that were changed: the file and the place are named; and runs that are made again."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.results.published import manifest_sha256, read, write
from bench.results.verify import verify
from datasets.errors import UserError
from tests.bench.published_tables import published
from tests.inputs.asking import bench

ROOT = Path(__file__).parents[2]
COMMITTED = sorted(path.parent for path in (ROOT / "results").glob("**/manifest.json"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published(tmp_path_factory.mktemp("published"))


@pytest.fixture
def mine(whole: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(whole, tmp_path / "mine"))


def test_a_table_is_as_it_was_published(whole: Path) -> None:
    assert verify(whole) == []
    done = bench("verify", whole / "table.json")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("ratings.csv/loo v1: 10 runs; every number follows from the ranks")


def test_times_and_memory_are_in_the_manifest_and_null_in_the_table(whole: Path) -> None:
    table, manifest = (json.loads((whole / name).read_text()) for name in ("table.json", "manifest.json"))
    for row, cell in zip(table["rows"], manifest["cells"], strict=True):
        assert (row["train_seconds"], row["peak_bytes"], row["diagnostics"]["draws_per_second"]) == (None, None, None)
        assert row["diagnostics"]["hardness"] == pytest.approx(
            np.mean([run["diagnostics"]["hardness"] for run in cell["runs"]])
        )
        assert all({"train", "peak_bytes", "draws_per_second"} <= {*run["timing"]} for run in cell["runs"])
    assert manifest["lock_sha256"] == hashlib.sha256((ROOT / "requirements.lock").read_bytes()).hexdigest()


def test_means_are_those_of_an_oracle(whole: Path) -> None:
    """NDCG@10 of one held-out item by a loop over the lines of the file."""
    table = json.loads((whole / "table.json").read_text())
    lines = pq.read_table(whole / "ranks.parquet").to_pylist()
    for row in table["rows"]:
        gains = [
            np.mean(
                [
                    1 / np.log2(k + 1) if k <= 10 else 0
                    for k in range(one["better"] + 1, one["better"] + one["tied"] + 2)
                ]
            )
            for one in lines
            if one["run"] in row["runs"]
        ]
        assert row["metrics"]["ndcg@10"]["mean"] == pytest.approx(np.mean(gains), rel=1e-12)


def edited(file: str, *path: str | int, to: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = inner = json.loads((folder / file).read_text())
        for key in path[:-1]:
            inner = inner[key]
        assert inner[path[-1]] != to
        inner[path[-1]] = to
        (folder / file).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    return change


def column(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        table = pq.read_table(folder / "ranks.parquet")
        values = pa.array(change(table.column(name).to_numpy().copy()))
        pq.write_table(table.set_column(table.column_names.index(name), name, values), folder / "ranks.parquet")

    return damage


def text(file: str, old: str, new: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        content = (folder / file).read_text()
        assert old in content
        (folder / file).write_text(content.replace(old, new, 1))

    return damage


def one_more(values: np.ndarray) -> np.ndarray:
    values[17] += 1
    return values


CELLS = ("manifest.json", "cells", 0)
DAMAGES: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "a mean": (
        edited("table.json", "rows", 1, "metrics", "ndcg@10", "mean", to=0.9),
        "table.json",
        "rows[1].metrics.ndcg@10.mean is 0.9",
    ),
    "an end of an interval": (
        edited("table.json", "rows", 0, "metrics", "hr@20", "ci", to=[0.1, 0.2]),
        "table.json",
        "rows[0].metrics.hr@20.ci[0] is 0.1",
    ),
    "a p": (edited("table.json", "pairs", 0, "p_adjusted", to=0.049), "table.json", "pairs[0].p_adjusted is 0.049"),
    "a letter": (
        edited("table.json", "rows", 0, "letters", "ndcg@10", to="z"),
        "table.json",
        "rows[0].letters.ndcg@10 is z",
    ),
    "a count": (edited("table.json", "pairs", 0, "users_tied", to=39), "table.json", "pairs[0].users_tied is 39"),
    "the digest": (edited("table.json", "digest", to="0" * 64), "table.json", "digest is 0000"),
    "a result": (
        edited("table.json", "rows", 0, "results", 1, to="0" * 64),
        "table.json",
        "rows[0].results[1] is 0000",
    ),
    "a run id": (edited("table.json", "rows", 0, "runs", 1, to="0" * 16), "table.json", "rows[0].runs[1] is 0000"),
    "a setting of the table": (
        edited("table.json", "rows", 0, "settings", "trainer", "l2", to=0.5),
        "table.json",
        "rows[0].settings.trainer.l2 is 0.5",
    ),
    "a fact": (edited("table.json", "facts", "negatives", to=99), "table.json", "facts.negatives is 99"),
    "a null second": (
        edited("table.json", "rows", 0, "train_seconds", to=1.5),
        "table.json",
        "rows[0].train_seconds is 1.5",
    ),
    "a warning": (edited("table.json", "warnings", 0, to="all is well"), "table.json", "warnings[0] is all is well"),
    "a row's name": (edited("table.json", "rows", 0, "name", to="ours"), "table.json", "rows[0].name is ours"),
    "a row less": (
        lambda f: edited("table.json", "rows", to=json.loads((f / "table.json").read_text())["rows"][1:])(f),
        "table.json",
        "rows has 3 entries, not 4",
    ),
    "Markdown": (text("table.md", "40 test users", "400 test users"), "table.md", "400 test users"),
    "LaTeX": (text("table.tex", "\\toprule", "\\midrule"), "table.tex", "midrule"),
    "CSV": (text("table.csv", "uniform+bpr", "ours+bpr"), "table.csv", "line 2 has"),
    "a rank": (column("better", one_more), "ranks.parquet", "seed 0)"),
    "a tie": (column("tied", one_more), "ranks.parquet", "(uniform+bpr, seed 0)"),
    "candidates": (column("candidates", one_more), "ranks.parquet", "(uniform+bpr, seed 0)"),
    "users": (column("user", lambda x: x[::-1].copy()), "ranks.parquet", "the ranks have sha256"),
    "runs swapped": (
        column("run", lambda x: np.where(x == x[0], x[-1], np.where(x == x[-1], x[0], x))),
        "ranks.parquet",
        "sha256",
    ),
    "a run less": (
        lambda f: pq.write_table(pq.read_table(f / "ranks.parquet").slice(40), f / "ranks.parquet"),
        "ranks.parquet",
        "has no run",
    ),
    "ranks cut": (
        lambda f: (f / "ranks.parquet").write_bytes((f / "ranks.parquet").read_bytes()[:-40]),
        "ranks.parquet",
        "cannot be read",
    ),
    "ranks lost": (lambda f: (f / "ranks.parquet").unlink(), "ranks.parquet", "is missing"),
    "a seed": (edited(*CELLS, "runs", 1, "seed", to=7), "manifest.json", "cells[uniform+bpr].runs[1].run is"),
    "a setting": (edited(*CELLS, "spec", "settings", "l2", to=0.5), "manifest.json", "its settings and seed give"),
    "a setting that is shown": (
        edited(*CELLS, "row", "settings", "trainer", "l2", to=0.5),
        "manifest.json",
        "row.settings.trainer.l2 is 0.5",
    ),
    "another sampler": (edited(*CELLS, "row", "sampler", to="dns"), "manifest.json", "row.sampler is dns"),
    "another protocol": (
        edited(*CELLS, "spec", "protocol", "mask", to="none"),
        "manifest.json",
        "its settings and seed give",
    ),
    "a result of the manifest": (
        edited(*CELLS, "runs", 0, "result_sha256", to="0" * 64),
        "manifest.json",
        "result_sha256 is 0000",
    ),
    "a diagnostic": (
        edited(*CELLS, "runs", 0, "diagnostics", "hardness", to=0.99),
        "table.json",
        "rows[0].diagnostics.hardness",
    ),
    "epochs": (edited(*CELLS, "runs", 0, "epochs", to=77), "table.json", "rows[0].epochs"),
    "a second": (edited(*CELLS, "runs", 0, "timing", "train", to=99.0), "manifest.json", "was changed"),
    "a test": (edited("manifest.json", "asked", "test", to="t"), "table.json", "test is crossed, not t"),
    "a level": (edited("manifest.json", "asked", "alpha", to=0.1), "table.json", "alpha is 0.05, not 0.1"),
    "a commit": (edited(*CELLS, "made", 0, "commit", to="f" * 40), "table.json", "manifest.commits"),
    "a lock": (edited("manifest.json", "lock_sha256", to="0" * 64), "manifest.json", "was changed"),
    "a cell less": (edited("manifest.json", "cells", to=[]), "ranks.parquet", "that the table has not"),
    "a key less": (edited("manifest.json", "asked", to={}), "manifest.json", "cannot be computed with"),
    "a manifest of nothing": (text("manifest.json", '"schema"', '"schemes"'), "manifest.json", "cannot be read"),
    "no manifest": (lambda f: (f / "manifest.json").unlink(), "manifest.json", "is missing"),
    "no table": (lambda f: (f / "table.json").unlink(), "table.json", "is missing"),
    "no Markdown": (lambda f: (f / "table.md").unlink(), "table.md", "is missing"),
    "a blank": (text("table.json", '"rows"', ' "rows"'), "table.json", "was changed: its sha256"),
}


@pytest.mark.parametrize(("damage", "file", "words"), DAMAGES.values(), ids=DAMAGES)
def test_what_was_changed_is_named(mine: Path, damage: Callable[[Path], None], file: str, words: str) -> None:
    damage(mine)
    found = verify(mine)
    assert any(one.file == file and words in one.said for one in found), found


def test_it_is_said_with_exit_code_1(mine: Path) -> None:
    edited("table.json", "rows", 1, "metrics", "ndcg@10", "mean", to=0.9)(mine)
    done = bench("verify", mine / "table.json")
    assert done.code == 1
    assert re.match(r"table.json: rows\[1\].metrics.ndcg@10.mean is 0.9, not 0.\d+, as the ranks give it.\n$", done.out)
    assert done.err.endswith("is not as it was published: 1 differences.\n")


def numbers(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The places of all numbers in a JSON object."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from numbers(inner, (*path, key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from numbers(inner, (*path, at))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


def rehashed(folder: Path) -> None:
    """Give the changed files the hashes that go with them, as somebody would who means it."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in manifest["files"]}
    manifest["manifest_sha256"] = manifest_sha256(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def put(place: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """What sets a value of a manifest, at `cells.0.row.loss`."""

    def change(manifest: dict[str, Any]) -> None:
        inner: Any = manifest
        *above, last = [int(key) if key.isdigit() else key for key in place.split(".")]
        for key in above:
            inner = inner[key]
        inner[last] = value

    return change


def swap_names(manifest: dict[str, Any]) -> None:
    one, other, *_ = manifest["cells"]
    one["name"], other["name"] = other["name"], one["name"]


def share_canonical(manifest: dict[str, Any]) -> None:
    one, other, *_ = manifest["cells"]
    one["row"]["canonical"] = other["row"]["canonical"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (swap_names, "is named with the sampler uniform; its runs have popularity"),
        (put("cells.2.name", "uniform+softmax:temperature=0.2"), "is named with temperature=0.2; its runs have 0.5"),
        (put("cells.0.name", "uniform:epochs=3+bpr"), "is named with epochs=3; its runs have 2"),
        (put("cells.2.row.loss", "softmax:temperature=0.2"), "row.loss is softmax:temperature=0.2; its runs have"),
        (share_canonical, "row.canonical is that of"),
        (put("cells.0.row.identity.data", "0" * 64), "row.identity.data"),
        (put("context.protocol.split", "global-time"), "context.protocol.split is global-time"),
        (put("context.protocol.refit", "on train and validation"), "context.protocol.refit"),
        (put("context.facts.negatives", 1024), "context.facts.negatives is 1024; the runs have 16"),
        (put("context.facts.tuned", "l2 from 100 trials"), "context.facts.tuned is there, and no row was searched for"),
        (put("context.warnings", []), "context.warnings lacks: bpr does not correct"),
    ],
)
def test_a_row_or_caption_that_says_otherwise_than_its_runs_is_found_whatever_the_hashes_say(
    mine: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    table = read(mine)
    manifest = json.loads(json.dumps(table.manifest))
    change(manifest)
    try:
        write(mine, {key: value for key, value in manifest.items() if key != "manifest_sha256"}, table.ranks, None)
    except UserError:  # such a table cannot even be computed
        (mine / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        rehashed(mine)
    assert any(said in one.said for one in verify(mine)), verify(mine)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_number_of_the_table_that_was_changed_is_found_whatever_the_hashes_say(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = Path(shutil.copytree(whole, tmp_path_factory.mktemp("changed") / "mine"))
    table = json.loads((folder / "table.json").read_text())
    path = data.draw(st.sampled_from(sorted(numbers(table), key=str)))
    inner = table
    for key in path[:-1]:
        inner = inner[key]
    before = inner[path[-1]]
    inner[path[-1]] = before + 1 if isinstance(before, int) else before * (1 + 1e-6) + 1e-6
    (folder / "table.json").write_text(json.dumps(table), encoding="utf-8")
    rehashed(folder)
    found = verify(folder)
    place = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).lstrip(".")
    assert [one.said.partition(" is ")[0] for one in found if one.file == "table.json"] == [place]


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: folder.relative_to(ROOT / "results").as_posix())
def test_committed_tables_are_as_they_were_published(folder: Path) -> None:
    assert verify(folder) == []


@pytest.mark.slow
@pytest.mark.skipif(
    ROOT / "results" / "ml-100k-defaults" not in COMMITTED, reason="needs the published table of the defaults"
)
def test_a_committed_run_comes_out_again(ml_100k: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the row that trains fastest; tests/test_main_job.py has one of every row, without this command."""
    for name, value in ml_100k.items():
        monkeypatch.setenv(name, value)
    table = read(ROOT / "results" / "ml-100k-defaults")
    seconds = {cell["name"]: min(run["timing"]["train"] for run in cell["runs"]) for cell in table.cells}
    row = min(seconds, key=lambda name: seconds[name])
    done = bench("verify", table.folder / "table.json", "--rerun", "1", "--row", row, "--quiet")
    assert done.code == 0, done.out + done.err
    assert len(re.findall(r"identical, to the last rank|equal within", done.out)) == 1


def test_runs_that_come_out_otherwise_are_named_with_the_first_difference(whole: Path) -> None:
    """The ranks were made up, so that training gives others; toppop counts and trains nothing."""
    data = whole.parent / "ratings.csv"
    done = bench("verify", whole, "--rerun", "1", "--row", "toppop", "--dataset", data, "--quiet", "--jobs", "1")
    assert done.code == 1
    assert re.search(
        r"toppop, seed 0 \([0-9a-f]{16}\): different \(\d+ of 40 ranks moved.*the first: user 1\d\d had", done.out
    )
