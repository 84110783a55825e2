"""Features of items: what columns become, which items they are of, and what is wrong with a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datasets.errors import UserError
from datasets.features import MOST, identity, read_features
from datasets.loading import load

FILMS = "movieId,genres,year\n10,Action|Comedy,1990\n20, Action ,\n30,,2000\n40,Noir|Comedy,1980\n"
ITEMS = np.array([10, 20, 30, 50])


def written(folder: Path, text: str, name: str = "films.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_categories_share_a_row_and_numbers_are_standardised_over_the_items_of_the_data(tmp_path: Path) -> None:
    """Noir is of no item here; the years 1990 and 2000 are one deviation from their mean, and no year is the mean."""
    values, told, facts = read_features(written(tmp_path, FILMS), ITEMS)
    assert values.tolist() == [[0.5, 0.5, -1], [1, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert values.dtype == np.float32
    assert told == "genres (2 categories), year (a number)"
    assert facts == {"items_with_features": 3, "items_without_features": 1, "features_of_other_items": 1}


@pytest.mark.parametrize(("separator", "name"), [("\t", "f.tsv"), (";", "f.csv"), (",", "f.txt")])
def test_other_separators_names_of_the_item_and_text_labels(tmp_path: Path, separator: str, name: str) -> None:
    text = "kind,item_id,price\nx,b,1\ny,a,3\nx,c,\n".replace(",", separator)
    values, told, _ = read_features(written(tmp_path, text, name), np.array(["a", "b", "c"]))
    np.testing.assert_allclose(values, [[0, 1, 1], [1, 0, -1], [1, 0, 0]])
    assert told == "kind (2 categories), price (a number)"


def test_labels_that_are_numbers_in_one_file_and_text_in_the_other(tmp_path: Path) -> None:
    values, _, facts = read_features(written(tmp_path, "item,year\n7,1\n70,2\n"), np.array(["7", "70", "x"]))
    assert values.ravel().tolist() == [-1, 1, 0]
    assert facts["items_without_features"] == 1


def test_vectors_are_centred_and_of_mean_squared_length_1(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(0), tmp_path / "films.parquet"
    vectors = rng.normal(3, 2, (5, 4))
    columns: dict[str, Any] = {
        "item": [1, 2, 3, 4, 5],
        "text": pa.array([*vectors[:4].tolist(), None], pa.list_(pa.float64(), 4)),
        "also": [*vectors[:4].tolist(), None],
        "tags": [["u"], ["u", "w", "u"], ["w"], [], None],
        "new": [True, False, None, True, False],
    }
    pq.write_table(pa.table(columns), path)
    values, told, _ = read_features(path, np.arange(1, 6))
    centred = vectors[:4] - vectors[:4].mean(axis=0)
    expected = centred / np.sqrt((centred**2).sum(axis=1).mean())
    for at in (0, 4):
        np.testing.assert_allclose(values[:, at : at + 4], [*expected, np.zeros(4)], rtol=1e-5)
    assert values[:, 8:10].tolist() == [[1, 0], [0.5, 0.5], [0, 1], [0, 0], [0, 0]]
    assert values[:, 10].tolist() == [1, -1, 0, 1, -1]
    assert told == "text (vectors of 4), also (vectors of 4), tags (2 categories), new (a number)"


def test_a_column_that_is_the_same_everywhere_says_nothing(tmp_path: Path) -> None:
    values, _, _ = read_features(written(tmp_path, "item,a,b\n10,0.1,x\n20,0.1,x\n30,0.1,x\n"), ITEMS)
    assert values.tolist() == [[0, 1], [0, 1], [0, 1], [0, 0]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "films.csv is empty; give a CSV"),
        ("item\n1\n", "has one column only"),
        ("film,genres\n10,a\n", "no column item among film, genres"),
        ("item,movieId,asin\n10,1,a\n10,2,b\n", "has the item 10 in line 2 and again in line 3"),
        ("movieId,asin,year\n10,1,a\n", "several columns for the item (movieId, asin)"),
        ("1,2\n3,4\n", "has no header"),
        ("item,year\n", "has no rows"),
        ("item,year,year\n10,1,2\n", "two columns called 'year'"),
        ("item,year\n10,1\n,2\n", "has no item in line 3"),
        ("item,year\n10,1\n20,inf\n", "has no finite number in the column year in line 3"),
        ("item,year\n10,nan\n", "has no finite number in the column year in line 2"),
        ("item,title\n10,Up\n20,Jaws\n30,Up!\n", "3 different values and none of two items in the column title"),
        ("item,year\n11,1\n12,2\n", "no item of these data, whose labels are such as 10, and not 11"),
        ("item,year\n10,1\n20,2,3\n", "has 3 columns in line 3"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError) as error:
        read_features(written(tmp_path, text), ITEMS)
    assert said in str(error.value)


def test_what_is_wrong_with_a_parquet_file(tmp_path: Path) -> None:
    path = tmp_path / "films.parquet"
    wrong: list[tuple[Any, str]] = [
        ([[1.0, 2.0], [3.0], None], "has 1 numbers of x in row 2 and 2 in the first"),
        ([[1.0, 2.0], [3.0, None], None], "has no finite number in the column x in row 2"),
        ([None, [], []], "has 0 numbers of x"),
        (pa.array([1, 2, 3], pa.timestamp("s")), "The column x of films.parquet holds timestamp["),
        ([["a"], ["b"], ["c"]], "3 different values and none of two items"),
    ]
    for values, said in wrong:
        pq.write_table(pa.table({"item": [10, 20, 30], "x": values}), path)
        with pytest.raises(UserError) as error:
            read_features(path, ITEMS)
        assert said in str(error.value)


def test_more_categories_than_each_could_become_a_number_are_a_mistake(tmp_path: Path) -> None:
    rows = "".join(f"{i},w{i // 2}\n" for i in range(2 * MOST + 2))
    with pytest.raises(UserError, match="1,001 different values in the column word, where up to 1,000"):
        read_features(written(tmp_path, f"item,word\n{rows}"), np.arange(2 * MOST + 2))
    values, _, _ = read_features(written(tmp_path, f"item,word\n{rows}"), np.arange(2 * MOST))
    assert values.shape == (2 * MOST, MOST)


def test_latin_1_is_read_as_such(tmp_path: Path) -> None:
    path = tmp_path / "films.csv"
    path.write_bytes("item,land\n10,Österreich\n20,Österreich\n30,Peru\n".encode("latin-1"))
    values, _, _ = read_features(path, ITEMS)
    assert values.tolist() == [[1, 0], [1, 0], [0, 1], [0, 0]]


def test_a_split_has_them_by_its_own_items_and_its_content_stays_what_it_was(tmp_path: Path, ratings_csv: Path) -> None:
    films = written(tmp_path, "item,year\n" + "".join(f"{i},{i}\n" for i in range(200)))
    plain, split = load(str(ratings_csv)), load(str(ratings_csv), item_features=str(films))
    assert plain.features is None
    assert split.features is not None
    assert split.source.sha256 == plain.source.sha256
    years = split.item_ids.astype(float)
    np.testing.assert_allclose(split.features.values[:, 0], (years - years.mean()) / years.std(), rtol=1e-5)
    assert split.features.sha256 == identity(str(films))
    written(tmp_path, "item,year\n7,1\n8,2\n")
    again = load(str(ratings_csv), item_features=str(films))
    assert again.features is not None
    assert again.features.sha256 != split.features.sha256
    assert again.features.warnings == (
        f"{len(split.item_ids) - 2} of {len(split.item_ids)} items have no features in films.csv; theirs are zeros.",
    )
    with pytest.raises(UserError, match=r"'nope\.csv' is no file of item features; give a CSV"):
        load(str(ratings_csv), item_features="nope.csv")
