"""`bench across` of published tables: from their ranks alone, over what all of them have."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.bench.published_tables import DESCRIPTION, described, made_up, making
from tests.inputs.asking import bench

MORE = DESCRIPTION.replace('"toppop"]', '"toppop", "inbatch+bpr"]').replace("seeds = 3", "seeds = 4")


def publish(folder: Path, text: str) -> Path:
    """A published table of made-up runs on data of its own, called after the folder; neither data nor store stay."""
    folder.mkdir()
    mine = described(folder, text)
    data = folder / f"{folder.name}.csv"
    (folder / "ratings.csv").rename(data)
    with data.open("a", encoding="utf-8") as file:
        file.write(f"900,{sum(folder.name.encode())},5,1000000000\n")
    toml = mine / "table.toml"
    toml.write_text(toml.read_text(encoding="utf-8").replace("ratings.csv", data.name), encoding="utf-8")
    one = making(mine)
    made_up(*one.asked.checked())
    assert one.make() == 0
    shutil.rmtree(folder / "store")
    data.unlink()
    return mine


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three tables, of which the second has a row and a seed more."""
    place = tmp_path_factory.mktemp("tables")
    return [publish(place / name, text) for name, text in (("one", DESCRIPTION), ("two", MORE), ("three", DESCRIPTION))]


def test_scores_are_those_of_the_published_ranks_on_what_all_tables_have(tables: list[Path]) -> None:
    done = bench("across", *tables, "--format", "json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["datasets"] == ["one.csv", "two.csv", "three.csv"]
    assert told["seeds"] == [0, 1, 2]
    names = ["uniform+bpr", "popularity+bpr", "uniform+softmax:temperature=0.5", "toppop"]
    assert [row["name"] for row in told["rows"]] == names
    manifest = json.loads((tables[1] / "manifest.json").read_text(encoding="utf-8"))
    scores = []
    for row, cell in zip(told["rows"], manifest["cells"], strict=False):
        runs = [run["run"] for run in cell["runs"] if cell["row"]["once"] or run["seed"] < 3]
        scores.append(np.mean([ndcg(tables[1], run) for run in runs]))
        np.testing.assert_allclose(row["scores"][1], scores[-1], rtol=1e-12)
    assert any("two.csv/loo v1 that not every table has are left out: inbatch+bpr" in one for one in told["warnings"])
    assert any("3 seeds (0–2) stay" in one for one in told["warnings"])
    assert told["each"][0]["digest"] == json.loads((tables[0] / "table.json").read_text(encoding="utf-8"))["digest"]


def ndcg(table: Path, run: str) -> float:
    """NDCG@10 of a run, by the expected gain over the places that a tie allows."""
    import pyarrow.parquet as pq

    lines = [line for line in pq.read_table(table / "ranks.parquet").to_pylist() if line["run"] == run]
    places = [range(line["better"], line["better"] + line["tied"] + 1) for line in lines]
    return float(np.mean([np.mean([1 / np.log2(at + 2) if at < 10 else 0 for at in each]) for each in places]))


def test_the_options_of_the_comparison_hold_and_figures_are_drawn(tables: list[Path], tmp_path: Path) -> None:
    words = ("--baseline", "toppop", "--metric", "hr@3", "--correction", "none", "--figures", tmp_path / "drawn")
    done = bench("across", tables[0] / "table.json", *tables[1:], *words, "--format", "json")
    told = json.loads(done.out)
    assert (done.code, told["metric"], told["correction"]) == (0, "hr@3", "none")
    assert {pair["b"] for pair in told["pairs"]} == {"toppop"}
    assert (tmp_path / "drawn" / "critical-difference.svg").exists()


def test_what_cannot_be_compared_is_refused(tables: list[Path], tmp_path: Path) -> None:
    one, two, _ = tables
    other = Path(shutil.copytree(two, tmp_path / "other"))
    manifest = (other / "manifest.json").read_text(encoding="utf-8")
    (other / "manifest.json").write_text(manifest.replace('"code_protocol": ', '"code_protocol": 1'), encoding="utf-8")
    none = publish(tmp_path / "none", DESCRIPTION.replace('"uniform+bpr", "popularity+bpr", ', '"inbatch+bce", '))
    later = publish(tmp_path / "later", DESCRIPTION.replace("seeds = 3", "seeds = [7, 8]"))
    for words, said in (
        ([one], "needs two at least"),
        ([one, "uniform"], "'uniform' is none; name tables alone"),
        ([one, two, "--seeds", "2"], "--seeds is of cells"),
        ([one, two, "--dataset", "ml-100k"], "--dataset is of cells"),
        ([one, two, "--set", "epochs=3"], "--set is of cells"),
        ([one, one], "Two data sets are called one.csv"),
        ([one, two, "--baseline", "inbatch+bpr"], "No row of all these tables is called 'inbatch+bpr'"),
        ([one, two, "--correction", "holmes"], "Did you mean 'holm'?"),
        ([one, two, "--margin", "inf"], "--margin inf"),
        ([one, other], "which gives other numbers; name tables of one code protocol"),
        ([none, two, "--metric", "ndcg"], "ndcg"),
        ([one, later], "have no seed in common"),
        ([one, tmp_path / "later"], "is no published table"),
    ):
        done = bench("across", *words)
        assert (done.code, done.out) == (2, ""), words
        assert said in done.err, done.err
        assert done.err.count("\n") == 1
