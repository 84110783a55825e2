"""Words about published tables that mean nothing: one sentence, exit code 2, nothing changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.published_tables import published
from tests.inputs.asking import Case, ask, check, table

CASES: list[Case] = [
    ("verify", 2, ["TABLE"]),
    ("verify nowhere", 2, ["nowhere", "does not exist", "results/ml-100k/table.json"]),
    ("verify nowhere/table.json", 2, ["nowhere/table.json", "does not exist"]),
    ("verify data", 2, ["data", "no published table", "manifest.json"]),
    ("verify data/ratings.csv", 2, ["no published table"]),
    ("verify table.json", 2, ["table.json", "does not exist"]),
    ("verify mine extra", 2, ["extra"]),
    ("verify mine --rerun -1", 2, ["--rerun"]),
    ("verify mine --rerun many", 2, ["--rerun", "many"]),
    ("verify mine --rerun 99", 2, ["--rerun 99", "10 runs"]),
    ("verify mine --rerun 1 --row nothing", 2, ["'nothing'"]),
    ("verify mine --rerun 1 --row unifrom+bpr", 2, ["'unifrom+bpr'", "uniform+bpr"]),
    ("verify mine --row toppop", 2, ["--row toppop", "--rerun"]),
    ("verify mine --rerun 1 --dataset other.csv --row toppop", 2, ["other.csv", "other data", "--dataset"]),
    ("verify mine --rerun 1 --row toppop", 2, ["ratings.csv"]),
    ("verify mine --format json", 2, ["--format"]),
    ("verify mine", 0, ["ratings.csv/loo v1", "10 runs"]),
    ("verify mine/table.json", 0, ["ratings.csv/loo v1"]),
    ("publish", 2, ["FOLDER"]),
    ("publish data/ratings.csv", 2, ["data/ratings.csv is a file", "name the folder"]),
    ("publish nowhere", 2, ["nowhere", "table.toml"]),
    ("publish data", 2, ["data", "table.toml"]),
    ("publish mine --jobs 0", 2, ["--jobs"]),
    ("publish mine --fresh mine", 2, ["--fresh mine", "folder of its own"]),
    ("publish mine --fresh other.csv", 2, ["--fresh other.csv", "folder of its own"]),
    ("publish unmade --fresh x", 2, ["unmade", "no published table"]),
    ("publish mine --seeds 3", 2, ["--seeds", "bench publish"]),
    ("publish mine", 0, ["every file is as it was published"]),
    ("cite", 0, ["@misc{contrarec,", "the software alone", "bench cite results/ml-100k"]),
    ("cite --format latex", 2, ["--format latex", "name some"]),
    ("cite nowhere.json", 2, ["nowhere.json", "does not exist"]),
    ("cite broken.json", 2, ["broken.json", "--format json"]),
    ("cite other.json", 2, ["other.json", "no dataset"]),
    ("cite list.json", 2, ["list.json"]),
    ("cite mine uniform", 2, ["stands alone"]),
    ("cite mine --format bibtax", 2, ["'bibtax'", "'bibtex'"]),
    ("cite mine --format bib", 2, ["'bib'", "'bibtex'"]),
    ("cite mine --out refs.pdf", 2, ["refs.pdf", ".bib"]),
    ("cite mine --out data", 2, ["data"]),
    ("cite unifrom", 2, ["unifrom", "uniform"]),
    ("cite uniform --dataset ml-100k --dataset ml-1m", 2, ["one data set"]),
    ("cite mine --format bibtex", 0, ["@misc{contrarec", "rendle2009bpr"]),
    ("cite mine/table.json", 0, ["We compare 4 rows"]),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published table `mine`, one that is only described, other data, and files that are no tables."""
    place = tmp_path_factory.mktemp("published")
    mine = published(place)
    (place / "unmade").mkdir()
    (place / "unmade" / "table.toml").write_bytes((mine / "table.toml").read_bytes())
    (place / "data").mkdir()
    (place / "other.csv").write_text("user,item\n" + "".join(f"{u},{i}\n" for u in range(9) for i in range(u, u + 5)))
    (place / "data" / "ratings.csv").write_bytes((place / "ratings.csv").read_bytes())
    (place / "ratings.csv").rename(place / "moved.csv")  # the table's own data are where nobody finds them by name
    (place / "mine" / "table.toml").write_text(
        (place / "mine" / "table.toml").read_text().replace("/ratings.csv", "/data/ratings.csv"), encoding="utf-8"
    )
    (place / "broken.json").write_text("{", encoding="utf-8")
    (place / "other.json").write_text(json.dumps({"rows": []}), encoding="utf-8")
    (place / "list.json").write_text("[]", encoding="utf-8")
    return place


@table(CASES)
def test_words_about_published_tables(
    words: str, code: int, must: list[str], must_not: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    check(ask(words), code, must, must_not)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
