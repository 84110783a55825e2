"""Runs that were cut, swapped or edited: every command that would use their numbers says so, with the cure."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.results.verify import verify
from bench.runs.hashes import result_sha256
from bench.runs.store import Store
from recmodels.metrics import Ranks
from tests.bench.published_tables import DESCRIPTION, described
from tests.bench.test_store import SPEC, result
from tests.bench.test_verify import rehashed
from tests.conftest import write_ratings
from tests.inputs.asking import bench

NAMES = ("uniform", "popularity")
WORDS = ("--set", "epochs=1", "--set", "embedding_size=4", "--set", "negatives=2", "--seeds", "4")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight runs of two cells, and the data they were made of."""
    folder = tmp_path_factory.mktemp("trained")
    data = write_ratings(folder)
    done = bench("compare", *NAMES, "--dataset", data, *WORDS, "--results", folder / "runs", "--jobs", "1")
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def store(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained / "runs", tmp_path / "runs"))


def folders(store: Path) -> list[Path]:
    return sorted(path.parent for path in store.glob("*/*/run.json"))


def cut(file: str) -> Callable[[Path, Path], None]:
    return lambda run, other: (run / file).write_bytes((run / file).read_bytes()[:-40])


def emptied(file: str) -> Callable[[Path, Path], None]:
    return lambda run, other: (run / file).write_bytes(b"")


def lost(file: str) -> Callable[[Path, Path], None]:
    return lambda run, other: (run / file).unlink()


def swapped(*files: str) -> Callable[[Path, Path], None]:
    def damage(run: Path, other: Path) -> None:
        for file in files:
            shutil.copyfile(other / file, run / file)

    return damage


def edited(**changes: object) -> Callable[[Path, Path], None]:
    def damage(run: Path, other: Path) -> None:
        record = json.loads((run / "run.json").read_text(encoding="utf-8"))
        for path, value in changes.items():
            *above, last = path.split("__")
            inner = record
            for key in above:
                inner = inner[key]
            inner[last] = value
        (run / "run.json").write_text(json.dumps(record), encoding="utf-8")

    return damage


def column(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path, Path], None]:
    def damage(run: Path, other: Path) -> None:
        table = pq.read_table(run / "users.parquet")
        values = pa.array(change(table.column(name).to_numpy()))
        table = table.set_column(table.column_names.index(name), name, values)
        pq.write_table(table, run / "users.parquet")

    return damage


def noise(run: Path, other: Path) -> None:
    content = bytearray((run / "users.parquet").read_bytes())
    content[60:160] = bytes(100)
    (run / "users.parquet").write_bytes(content)


DAMAGES = {
    "ranks halved": (column("better", lambda x: x // 2), "users.parquet is not what the run measured"),
    "ties added": (column("tied", lambda x: x + 1), "users.parquet is not what the run measured"),
    "fewer candidates": (column("candidates", lambda x: x - 1), "users.parquet is not what the run measured"),
    "users renamed": (column("user", lambda x: x[::-1].copy()), "users.parquet is not what the run measured"),
    "ranks cut": (cut("users.parquet"), "users.parquet cannot be read"),
    "ranks empty": (emptied("users.parquet"), "users.parquet cannot be read"),
    "ranks lost": (lost("users.parquet"), "users.parquet is missing"),
    "ranks overwritten in part": (noise, "users.parquet"),
    "ranks of another run": (swapped("users.parquet"), "users.parquet is not what the run measured"),
    "another run": (swapped("users.parquet", "run.json", "history.csv"), "run.json is of another run"),
    "record cut": (cut("run.json"), "run.json is not a readable run"),
    "record empty": (emptied("run.json"), "run.json is not a readable run"),
    "record of an older version": (edited(schema=1), "run.json has schema 1"),
    "mean set to 9": (edited(**{"metrics__ndcg@10": 9.0}), "run.json was changed"),
    "commit of nowhere": (edited(provenance__commit="f" * 40), "run.json was changed"),
    "another seed": (edited(spec__seed=17), "run.json was changed"),
    "hash left out": (edited(result_sha256=None), "run.json was changed"),
    "shown as failed": (edited(failure={"reason": "no luck"}), "run.json was changed"),
}


@pytest.mark.parametrize(("damage", "words"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_run_is_one_sentence_with_its_path_and_the_cure(
    trained: Path, store: Path, damage: Callable[[Path, Path], None], words: str
) -> None:
    run, other = folders(store)[:2]
    damage(run, other)
    done = bench("table", *NAMES, "--dataset", trained / "ratings.csv", *WORDS, "--results", store)
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert f"{run}/{words}" in done.err
    assert f"`bench runs rm {run.name}`" in done.err
    checked = bench("runs", "verify", "--results", store)
    assert checked.code == 1
    assert [line.startswith(str(run)) for line in checked.out.splitlines()] == [True]
    assert checked.err == "8 runs read, 1 of them damaged.\n"


COMMANDS = {
    "compare": ("compare", *NAMES),
    "figures": ("table", *NAMES, "--figures", "FIGURES"),
    "groups": ("table", *NAMES, "--view", "groups"),
    "dry run": ("run", "popularity", "uniform", "inbatch", "--dry-run"),
    "trains the rest": ("compare", *NAMES, "inbatch"),
    "power": ("power", *NAMES),
    "calibrate": ("calibrate", "CELL", "--side", "2", "--splits", "5"),
    "across": ("across", *NAMES, "--dataset", "OTHER"),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_command_that_uses_a_run_checks_it(
    trained: Path, store: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    run, other = folders(store)[:2]
    swapped("users.parquet")(run, other)
    cell = json.loads((run / "run.json").read_text())["spec"]["sampler"]["name"]
    elsewhere = tmp_path / "elsewhere.csv"
    elsewhere.write_text((trained / "ratings.csv").read_text().replace("100,", "9100,"), encoding="utf-8")
    places = {"FIGURES": tmp_path / "figures", "CELL": cell, "OTHER": elsewhere}
    words = [places.get(word, word) for word in command]
    training = () if command[0] == "table" else ("--jobs", "1", "--quiet")
    done = bench(*words, "--dataset", trained / "ratings.csv", *WORDS, "--results", store, *training)
    assert done.code == 2, done.out
    assert done.err.count("\n") == 1
    assert f"{run}/users.parquet is not what the run measured" in done.err
    assert not (tmp_path / "figures").exists()


def test_a_changed_history_is_refused_where_it_is_drawn(trained: Path, store: Path, tmp_path: Path) -> None:
    run = folders(store)[0]
    (run / "history.csv").write_text("garbage\n1,2\n", encoding="utf-8")
    words = ("table", *NAMES, "--dataset", trained / "ratings.csv", *WORDS, "--results", store)
    done = bench(*words, "--figures", tmp_path / "figures")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert f"{run}/history.csv was changed" in done.err
    assert bench("runs", "verify", "--results", store).code == 1


def test_list_goes_on_show_says_and_rm_heals(trained: Path, store: Path) -> None:
    run, other, *_ = folders(store)
    emptied("run.json")(run, other)
    (other / "run.json").unlink()
    done = bench("runs", "list", "--results", store, "--format", "json")
    states = {row["run"]: row["state"] for row in json.loads(done.out)}
    assert (done.code, len(states)) == (0, 8)
    assert {name for name, state in states.items() if state == "damaged"} == {run.name, other.name}
    for folder in (run, other):
        shown = bench("runs", "show", folder.name, "--results", store)
        assert shown.code == 1
        assert f"bench runs rm {folder.name}" in shown.err
        assert "Traceback" not in shown.err
        assert bench("runs", "rm", folder.name, "--results", store).code == 0
    good = bench("runs", "verify", "--results", store)
    assert (good.code, good.out) == (0, "6 runs read: all are as they were written.\n")
    again = bench("compare", *NAMES, "--dataset", trained / "ratings.csv", *WORDS, "--results", store)
    assert again.code == 0
    assert "2 of 8 runs to do" in again.err


def test_means_are_those_of_the_ranks(store: Path) -> None:
    """`runs list` takes them from the ranks: an oracle computes NDCG@10 of one held-out item from the same file."""
    listed = json.loads(bench("runs", "list", "--results", store, "--format", "json").out)
    for row in listed:
        table = pq.read_table(store / row["dataset"] / row["run"] / "users.parquet").to_pydict()
        gains = [
            np.mean([1 / np.log2(rank + 1) if rank <= 10 else 0 for rank in range(better + 1, better + tied + 2)])
            for better, tied in zip(table["better"], table["tied"], strict=True)
        ]
        np.testing.assert_allclose(row["ndcg@10"], np.mean(gains), rtol=1e-12)


def test_a_merge_takes_no_damaged_run(store: Path, tmp_path: Path) -> None:
    run, other = folders(store)[:2]
    column("better", lambda x: x // 2)(run, other)
    done = bench("runs", "merge", store, "--results", tmp_path / "here")
    assert done.code == 2
    assert f"{run}/users.parquet is not what the run measured" in done.err
    assert not list((tmp_path / "here").glob("*/*"))


@pytest.mark.parametrize("labels", [np.array([7, 300]), np.array(["ä", "bc"])])
def test_the_hash_is_of_the_documented_bytes(labels: np.ndarray) -> None:
    """User 0 has one held-out item, user 1 two; the bytes are spelled out by `struct`."""
    ranks = Ranks(
        np.array([0, 1, 1]), np.zeros(3, int), np.array([4, 0, 9]), np.array([0, 2, 0]), np.array([50, 60, 60])
    )
    words = [b"contrarec result 1\n"]
    if labels.dtype.kind == "i":
        words += [b"user int64 2\n", struct.pack("<2q", 7, 300)]
    else:
        words += [b"user text 2\n", struct.pack("<2q", 2, 2), "äbc".encode()]
    words += [b"items int64 2\n", struct.pack("<2q", 1, 2), b"better int64 3\n", struct.pack("<3q", 4, 0, 9)]
    words += [b"tied int64 3\n", struct.pack("<3q", 0, 2, 0), b"candidates int64 2\n", struct.pack("<2q", 50, 60)]
    assert result_sha256(labels, ranks) == hashlib.sha256(b"".join(words)).hexdigest()


@pytest.mark.parametrize("relevant", [1, 3])
@pytest.mark.parametrize("text", [False, True])
def test_the_hash_is_read_back_from_the_file(tmp_path: Path, relevant: int, text: bool) -> None:
    users = np.array([f"user {k}" for k in range(20)]) if text else np.arange(20) * 3 + 1
    run = Store(tmp_path).save(SPEC, result(relevant, users=users), [5, 10])
    labels, ranks = run.measured()
    assert run.record["result_sha256"] == result_sha256(labels, ranks)
    assert run.check() == run.record["metrics"]


@pytest.mark.parametrize("baseline", ["uniform", "uniform+bpr", "bpr+uniform", "uniform:reject=true+bpr+mf"])
def test_a_baseline_is_found_by_every_name_of_its_cell(trained: Path, store: Path, baseline: str) -> None:
    words = ("--dataset", trained / "ratings.csv", *WORDS, "--results", store, "--format", "json")
    table = json.loads(bench("table", *NAMES, *words, "--baseline", baseline).out)
    assert table["baseline"] == "uniform"
    assert {(pair["a"], pair["b"]) for pair in table["pairs"]} == {("popularity", "uniform")}


def test_a_short_row_name_is_found_by_its_full_one(trained: Path, store: Path) -> None:
    words = ("--dataset", trained / "ratings.csv", *WORDS, "--results", store, "--format", "json")
    done = bench("table", "uniform+bpr", "popularity+bpr", *words, "--baseline", "popularity+bpr")
    assert json.loads(done.out)["baseline"] == "popularity"
    lost = bench("table", *NAMES, *words, "--baseline", "uniform+bce")
    assert (lost.code, lost.err.count("\n")) == (2, 1)
    assert "No row is called 'uniform+bce'" in lost.err


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published table of two rows whose settings were searched."""
    pytest.importorskip("optuna")
    words = '[tune]\ntrials = 3\nfinalists = 2\nseeds = [1000, 1001]\nspace = ["l2=0.001,0.1"]\n\n[set]'
    text = DESCRIPTION.replace("seeds = 3", "seeds = 2").replace("[set]", words)
    text = text.replace(', "uniform+softmax:temperature=0.5", "toppop"', "")
    folder = tmp_path_factory.mktemp("searched")
    mine = described(folder, text)
    done = bench("publish", mine, "--jobs", "1", "--quiet", "--results", folder / "store")
    assert done.code == 0, done.err
    return mine


Change = Callable[[dict[str, Any]], object]


def manifest(change: Change) -> Callable[[Path], None]:
    def damage(mine: Path) -> None:
        content = json.loads((mine / "manifest.json").read_text(encoding="utf-8"))
        change(content)
        (mine / "manifest.json").write_text(json.dumps(content), encoding="utf-8")

    return damage


def written(old: str, new: str) -> Callable[[Path], None]:
    def damage(mine: Path) -> None:
        text = (mine / "tuned.toml").read_text(encoding="utf-8")
        assert re.search(old, text)
        (mine / "tuned.toml").write_text(re.sub(old, new, text, count=1), encoding="utf-8")

    return damage


def lines(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    return lambda mine: pq.write_table(change(pq.read_table(mine / "ranks.parquet")), mine / "ranks.parquet")


def exchanged(*keys: str) -> Change:
    def change(content: dict[str, Any]) -> None:
        one, other = content["cells"]
        for key in keys:
            one[key], other[key] = other[key], one[key]

    return change


def never_searched(content: dict[str, Any]) -> None:
    content["cells"][1] |= dict.fromkeys(("study", "search", "trials", "finalists"))


BLOCK = r"(?ms)^\[cells\..*?(?=^\[cells\.)"
FORGERIES = {
    "no tuned.toml": (lambda mine: (mine / "tuned.toml").unlink(), "tuned.toml", "There is no"),
    "an empty tuned.toml": (lambda mine: (mine / "tuned.toml").write_text(""), "tuned.toml", "no 'schema'"),
    "a cell less": (written(BLOCK, ""), "tuned.toml", "has no cell"),
    "a search less": (manifest(never_searched), "tuned.toml", "that no row was searched for"),
    "more trials": (written(r"(?m)^trials = 3", "trials = 300"), "tuned.toml", "study.trials is 300"),
    "other seeds": (written("1000, 1001", "1000, 1002"), "tuned.toml", "study.seeds is [1000, 1002]"),
    "other data": (written('data_sha256 = "..', 'data_sha256 = "zz'), "tuned.toml", "key.data_sha256 is zz"),
    "another command": (written('command = "bench tune', 'command = "bench'), "tuned.toml", "command is bench uni"),
    "a trial's score": (
        manifest(lambda m: m["cells"][0]["trials"][1].update(score=0.9)),
        "tuned.toml",
        "the trials give",
    ),
    "a trial less": (manifest(lambda m: m["cells"][0]["trials"].pop()), "tuned.toml", "trials is 3; the trials give 2"),
    "a trial more": (
        manifest(lambda m: m["cells"][0]["trials"].append(m["cells"][0]["trials"][0])),
        "tuned.toml",
        "trials is 3; the trials give 4",
    ),
    "a finalist's score": (
        manifest(lambda m: m["cells"][0]["finalists"][0].update(scores=[0.9])),
        "tuned.toml",
        "finalists are",
    ),
    "a finalist less": (manifest(lambda m: m["cells"][0]["finalists"].pop()), "tuned.toml", "finalists are"),
    "another row's search": (manifest(exchanged("study", "trials", "finalists")), "tuned.toml", "the runs have"),
    "another row's runs": (manifest(exchanged("runs")), "manifest.json", "its settings and seed give"),
    "seeds exchanged": (manifest(lambda m: m["cells"][0]["runs"].reverse()), "manifest.json", "row.seeds are [0, 1]"),
    "a row twice": (
        manifest(lambda m: m["cells"].append(m["cells"][0])),
        "manifest.json",
        "cells has uniform+bpr twice",
    ),
    "a run that failed": (
        manifest(lambda m: m["cells"][0]["runs"][0].update(failure={"reason": "no luck"})),
        "table.json",
        "as the ranks give it",
    ),
    "another code protocol": (manifest(lambda m: m.update(code_protocol=99)), "manifest.json", "code_protocol is 99"),
    "another version": (manifest(lambda m: m.update(version=7)), "table.json", "table is ratings.csv/loo v1"),
    "other data of the context": (
        manifest(lambda m: m["context"]["data"].update(sha256="0" * 64)),
        "table.json",
        "data.sha256 is",
    ),
    "a line of ranks twice": (
        lines(lambda table: pa.concat_tables([table, table.slice(len(table) - 1)])),
        "manifest.json",
        "the ranks have sha256",
    ),
    "a line of ranks less": (
        lines(lambda table: table.slice(0, len(table) - 1)),
        "manifest.json",
        "the ranks have sha256",
    ),
}


@pytest.mark.parametrize("hashes", ["left", "made again"])
@pytest.mark.parametrize(("damage", "file", "words"), FORGERIES.values(), ids=FORGERIES)
def test_what_was_forged_in_a_table_is_named_whatever_its_hashes_say(
    searched: Path, tmp_path: Path, damage: Callable[[Path], None], file: str, words: str, hashes: str
) -> None:
    mine = Path(shutil.copytree(searched, tmp_path / "mine"))
    assert verify(mine) == []
    damage(mine)
    if hashes == "made again" and (mine / "tuned.toml").exists():
        rehashed(mine)
    found = verify(mine)
    place = "ranks.parquet" if hashes == "left" and words == "the ranks have sha256" else file
    assert any(one.file == place and words in one.said for one in found), found
