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


@pytest.mark.parametrize("layout", ["csv", "lenskit"])
@pytest.mark.parametrize("options", ["", ":test=0.2,valid=0,order=time", ":fold_in=0.5"])
def test_users_that_are_held_out_are_read_back_with_what_is_folded_in(
    layout: str, options: str, ratings_csv: Path, tmp_path: Path
) -> None:
    split, folder = load(str(ratings_csv), Protocol(f"strong{options}")), tmp_path / "out"
    write_split(split, folder, layout)
    again = load(str(folder))
    assert (again.protocol.split, again.protocol.strong) == ("given:users=held-out,valid=auto", True)
    assert split.fold_in is not None
    assert again.fold_in is not None
    for part in (*PARTS, "fold_in"):
        assert getattr(again, part).sha256() == getattr(split, part).sha256()
    assert again.user_ids.tolist() == split.user_ids.tolist()
    assert again.item_ids.tolist() == split.item_ids.tolist()
    assert {key: again.facts[key] for key in ("users_trained_on", "folded_in", "train", "valid", "test")} == {
        key: split.facts[key] for key in ("users_trained_on", "folded_in", "train", "valid", "test")
    }
    assert again.protocol == load(str(folder), Protocol("given")).protocol


def test_users_of_a_ready_split_are_trained_on_or_held_out(tmp_path: Path) -> None:
    """Users 1 and 2 train, 3 and 4 are known in part; each case breaks that with a row."""
    whole = {"train": [(1, 1), (1, 2), (2, 3)], "fold_in": [(3, 1), (4, 2)], "test": [(3, 2), (4, 1)]}

    def ready(name: str, **more: list[tuple[int, int]]) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for part in {**whole, **more}:
            rows = "".join(f"{user},{item}\n" for user, item in [*whole.get(part, []), *more.get(part, [])])
            (folder / f"{part}.csv").write_text(f"user,item\n{rows}", encoding="utf-8")
        return folder

    found = load(str(ready("good")))
    assert labels(found, "fold_in") == [("3", "1"), ("4", "2")]
    known = load(str(ready("known", test=[(3, 1)])))  # what is folded in is not to be found
    assert labels(known, "test") == [("3", "2"), ("4", "1")]
    assert any("also in what is folded in" in warning for warning in known.warnings)
    for name, more, said in (
        ("a", {"train": [(3, 3)]}, "1 users are in fold_in and in train, as 3 is"),
        ("b", {"valid": [(2, 1)]}, "1 users are held out and in train, as 2 is"),
        ("c", {"test": [(5, 1)]}, "1 users are held out and not in fold_in, as 5 is"),
    ):
        with pytest.raises(UserError, match=said):
            load(str(ready(name, **more)))
    with pytest.raises(UserError, match=r"valid=0.2 would take validation from train.*add valid\.\*"):
        load(str(tmp_path / "good"), Protocol("given:valid=0.2"))
    (tmp_path / "good" / "fold_in.csv").unlink()
    with pytest.raises(UserError, match="has no fold_in"):
        load(str(tmp_path / "good"), Protocol("given:users=held-out"))


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


@pytest.mark.parametrize("rule", [Protocol().split, "strong", "global-time"])
def test_candidates_go_with_csv(rule: str, ratings_csv: Path, tmp_path: Path) -> None:
    split = load(str(ratings_csv), Protocol(rule, candidates="sampled:9"))
    folder = tmp_path / "out"
    folder.mkdir()
    write_split(split, folder, "csv")
    again = load(str(folder), Protocol(candidates="given"))
    assert again.candidates is not None
    assert split.candidates is not None
    for part in PARTS:
        assert getattr(again, part).sha256() == getattr(split, part).sha256()
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
