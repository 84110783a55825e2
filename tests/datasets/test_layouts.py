"""A split written for other libraries is the split: read back by us, and by five lines that know nothing of us."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from datasets import Protocol, Split, load
from datasets.errors import UserError
from datasets.layouts import unwritten, write_split

PARTS = ("train", "valid", "test")


@pytest.fixture
def split(ratings_csv: Path) -> Split:
    return load(str(ratings_csv))


def labels(split: Split, part: str) -> list[tuple[str, str]]:
    rows = getattr(split, part)
    users, items = split.user_ids[rows.users], split.item_ids[rows.items]
    return [(str(user), str(item)) for user, item in zip(users.tolist(), items.tolist(), strict=True)]


@pytest.mark.parametrize("layout", ["csv", "recbole", "lenskit"])
@pytest.mark.parametrize("protocol", [Protocol(), Protocol("ratio:test=0.3"), Protocol("global-time:cold=keep")])
def test_every_layout_is_read_back_as_the_same_split(
    layout: str, protocol: Protocol, ratings_csv: Path, tmp_path: Path
) -> None:
    split, folder = load(str(ratings_csv), protocol), tmp_path / "out"
    folder.mkdir()
    write_split(split, folder, layout)
    again = load(str(folder))
    for part in PARTS:
        assert getattr(again, part).sha256() == getattr(split, part).sha256()  # ids, order, ratings, times
    assert again.user_ids.tolist() == split.user_ids.tolist()
    assert again.item_ids.tolist() == split.item_ids.tolist()
    assert unwritten(split) == (0, 0)


def test_text_ids_without_ratings_and_times(tmp_path: Path) -> None:
    source = tmp_path / "source.csv"
    names = ['a "quoted" one', "with, comma", "plain", "naïve"]
    with source.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["user", "item"])
        writer.writerows([[user, item] for user in names for item in ("x", "y", "z", "ü")])
    split = load(str(source), Protocol("leave-random-one-out"))
    for layout in ("csv", "recbole", "lenskit"):
        folder = tmp_path / layout
        folder.mkdir()
        write_split(split, folder, layout)
        again = load(str(folder))
        for part in PARTS:
            assert labels(again, part) == labels(split, part)


def test_candidates_go_with_csv(ratings_csv: Path, tmp_path: Path) -> None:
    split = load(str(ratings_csv), Protocol(candidates="sampled:9"))
    folder = tmp_path / "out"
    folder.mkdir()
    write_split(split, folder, "csv")
    again = load(str(folder), Protocol(candidates="given"))
    assert again.candidates is not None
    assert split.candidates is not None
    np.testing.assert_array_equal(again.candidates.offsets, split.candidates.offsets)
    np.testing.assert_array_equal(again.candidates.items, split.candidates.items)
    with pytest.raises(UserError, match="no place for candidates"):
        write_split(split, folder, "lenskit")


def test_recbole_finds_typed_headers_and_a_configuration(split: Split, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    write_split(split, folder, "recbole")
    for part in PARTS:
        header, *lines = (folder / f"mine.{part}.inter").read_text(encoding="utf-8").splitlines()
        assert header == "user_id:token\titem_id:token\trating:float\ttimestamp:float"
        assert [tuple(line.split("\t")[:2]) for line in lines] == labels(split, part)
    assert (folder / "recbole.yaml").read_text(encoding="utf-8").splitlines() == [
        'dataset: "mine"',
        f'data_path: "{tmp_path}"',
        "benchmark_filename: [train, valid, test]",
        "load_col: {inter: [user_id, item_id]}",
        "eval_args: {group_by: user, order: RO, mode: full}",
    ]


def test_lenskit_finds_its_columns(split: Split, tmp_path: Path) -> None:
    write_split(split, tmp_path, "lenskit")
    for part in PARTS:
        table = parquet.read_table(tmp_path / f"{part}.parquet").to_pydict()
        assert list(table) == ["user_id", "item_id", "rating", "timestamp"]
        pairs = zip(table["user_id"], table["item_id"], strict=True)
        assert [(str(user), str(item)) for user, item in pairs] == labels(split, part)


def test_what_no_part_has_is_counted_and_an_empty_part_has_no_file(ratings_csv: Path, tmp_path: Path) -> None:
    split = load(str(ratings_csv), Protocol("ratio:test=0.3,valid=0"))
    written = write_split(split, tmp_path, "csv")
    assert [path.name for path in written] == ["train.csv", "test.csv"]
    with pytest.raises(UserError, match="no validation part"):
        write_split(split, tmp_path, "recbole")
    rows = "user,item,timestamp\n" + "".join(f"{u},{i},{100 * u + i}\n" for u in (1, 2) for i in range(10))
    late = tmp_path / "late.csv"
    late.write_text(rows + "3,99,300\n3,98,301\n")  # in the test share alone: such users are dropped
    assert unwritten(load(str(late), Protocol("global-time:test=0.2"))) == (1, 2)
