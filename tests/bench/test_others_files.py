"""The commands of docs/baselines.md that wait for files which may not be shipped: without them, and with small ones."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from tests.inputs.asking import ask

ROOT = Path(__file__).parents[2]
USERS, ITEMS = 90, 80  # more than the factors that puresvd has by default
FILES = {
    "gowalla-lightgcn": ["train.txt", "test.txt"],
    "ml-1m-ncf": ["ml-1m.train.rating", "ml-1m.test.rating", "ml-1m.test.negative"],
}


def documented(dataset: str) -> list[str]:
    """The words of the page's command, without `bench`."""
    page = (ROOT / "docs" / "baselines.md").read_text(encoding="utf-8").replace("\\\n", " ")
    (line,) = [line for line in page.splitlines() if line.startswith("bench ") and f"--dataset {dataset} " in line]
    return shlex.split(line)[1:]


@pytest.fixture(autouse=True)
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mirror that is empty as yet."""
    (tmp_path / "mirror").mkdir()
    for name, folder in (("DATA", "data"), ("DATA_MIRROR", "mirror"), ("RESULTS", "runs")):
        monkeypatch.setenv(f"BENCH_{name}", str(tmp_path / folder))


def write(folder: Path, dataset: str) -> None:
    """Eight items of each user to train on and one to find, in the layout of the data set; NCF's lists have 20."""
    rng = np.random.default_rng(0)
    drawn = [rng.permutation(ITEMS)[:29].tolist() for _ in range(USERS)]
    texts = {
        "train.txt": "".join(f"{user} {' '.join(map(str, items[:8]))}\n" for user, items in enumerate(drawn)),
        "test.txt": "".join(f"{user} {items[8]}\n" for user, items in enumerate(drawn)),
        "ml-1m.train.rating": "".join(
            f"{user}\t{item}\t5\t{100 + at}\n" for user, items in enumerate(drawn) for at, item in enumerate(items[:8])
        ),
        "ml-1m.test.rating": "".join(f"{user}\t{items[8]}\t5\t200\n" for user, items in enumerate(drawn)),
        "ml-1m.test.negative": "".join(
            f"({user},{items[8]})\t" + "\t".join(map(str, items[9:])) + "\n" for user, items in enumerate(drawn)
        ),
    }
    place = folder / "mirror" / dataset
    place.mkdir()
    for name in FILES[dataset]:
        (place / name).write_text(texts[name], encoding="utf-8")


@pytest.mark.parametrize("dataset", FILES)
def test_without_the_files_the_command_names_what_it_waits_for(dataset: str) -> None:
    done = ask(documented(dataset))
    assert (done.code, done.out) == (2, "")
    (sentence,) = done.err.strip().splitlines()
    assert dataset in sentence
    assert FILES[dataset][0] in sentence
    assert "BENCH_DATA_MIRROR" in sentence


@pytest.mark.parametrize("dataset", FILES)
def test_with_files_in_that_layout_the_command_makes_its_table(dataset: str, tmp_path: Path) -> None:
    write(tmp_path, dataset)
    words = documented(dataset)
    done = ask([*words, "--unverified", "--format", "json"])
    assert done.code == 0, done.err
    table = json.loads(done.out)
    assert [row["name"] for row in table["rows"]] == words[1 : words.index("--dataset")]
    assert (table["users"], table["failed"], table["data"]["verified"]) == (USERS, [], False)
    metric = table["metric"]
    assert all(0 < row["metrics"][metric]["mean"] < 1 for row in table["rows"])
