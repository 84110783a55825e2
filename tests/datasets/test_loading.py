"""The road from a name or a path to a split, and every way it can be blocked."""

import json
import lzma
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datasets import Protocol, load, resolve
from datasets.digests import sha256_of
from datasets.errors import UserError

REAL = Path(__file__).parents[3] / "shared" / "data" / "research-only"
real = pytest.mark.skipif(not REAL.is_dir(), reason="needs the shared real data")

ROWS = [(u, i, 1 + (u + i) % 5, 1000 + 10 * i - u) for u in range(1, 7) for i in range(10, 15)]


@pytest.fixture(autouse=True)
def data_home(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "home"))
    monkeypatch.setenv("BENCH_OFFLINE", "1")
    monkeypatch.delenv("BENCH_DATA_MIRROR", raising=False)
    return tmp_path / "home"


def write(path: Path, rows=ROWS, sep=",", header="user,item,rating,timestamp") -> str:
    lines = ([header] if header else []) + [sep.join(map(str, row)) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def triples(part, split):
    return {(split.user_ids[u], split.item_ids[i]) for u, i in zip(part.users, part.items, strict=True)}


@pytest.fixture
def ml_100k_mirror(tmp_path, monkeypatch):
    folder = tmp_path / "mirror" / "ml-100k"
    folder.mkdir(parents=True)
    (folder / "u.data").write_bytes(lzma.decompress((REAL / "ml-100k" / "u.data.xz").read_bytes()))
    monkeypatch.setenv("BENCH_DATA_MIRROR", str(tmp_path / "mirror"))


@real
def test_ml_100k_passes_its_hash_and_equals_a_brute_force_split(ml_100k_mirror):
    split = load("ml-100k")
    assert split.source.verified
    assert split.source.source == "mirror"
    facts = split.facts
    assert [facts[k] for k in ("users", "items", "interactions", "test", "valid")] == [943, 1682, 100_000, 943, 943]

    raw = lzma.decompress((REAL / "ml-100k" / "u.data.xz").read_bytes()).decode()
    rows = [tuple(map(int, line.split("\t"))) for line in raw.splitlines()]
    by_user: dict[int, list] = {}
    for row in rows:
        by_user.setdefault(row[0], []).append(row)
    test, valid, tied = set(), set(), 0
    for user, own in by_user.items():
        own.sort(key=lambda row: row[3])  # Python's sort is stable: file order decides ties
        test.add((user, own[-1][1]))
        valid.add((user, own[-2][1]))
        tied += own[-1][3] == own[-2][3]
    assert triples(split.test, split) == test
    assert triples(split.valid, split) == valid
    assert facts["users_with_tied_last_time"] == tied
    assert len(split.train) + len(split.valid) + len(split.test) == 100_000


@real
def test_the_second_load_needs_no_raw_file_and_is_memory_mapped(ml_100k_mirror, data_home):
    first = load("ml-100k")
    for folder in (data_home / "raw", data_home / "tables"):
        for file in folder.rglob("*"):
            if file.is_file():
                file.unlink()
    second = load("ml-100k")
    assert np.array_equal(first.train.users, second.train.users)
    assert isinstance(second.train.users.base, np.memmap)
    assert second.train.users.flags.writeable  # torch warns about read-only arrays; copy-on-write protects the file


def test_a_catalogue_name_resolves_without_any_file(data_home):
    source = resolve("ml-100k").content()
    assert source.sha256 == "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490"
    assert source.verified
    assert not data_home.exists()


def test_resolving_imports_nothing_heavy():
    code = (
        "import sys; from datasets import resolve; resolve('ml-100k').content();"
        "print([m for m in ('torch','pandas','pyarrow','pooch','requests','scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("sep", "header"), [(",", "user_id,movieId,stars,date"), ("\t", None), ("::", None), (" ", None)]
)
def test_separators_headers_and_aliases_read_the_same(tmp_path, sep, header):
    expected = load(write(tmp_path / "plain.csv"))
    got = load(write(tmp_path / "other.txt", sep=sep, header=header))
    for part in ("train", "valid", "test"):
        assert triples(getattr(got, part), got) == triples(getattr(expected, part), expected)
        assert np.array_equal(getattr(got, part).values, getattr(expected, part).values)
        assert np.array_equal(getattr(got, part).times, getattr(expected, part).times)


def test_parquet_reads_as_text_does(tmp_path):
    frame = pd.DataFrame(ROWS, columns=["user", "item", "rating", "timestamp"])
    frame.to_parquet(tmp_path / "data.parquet")
    got, expected = load(str(tmp_path / "data.parquet")), load(write(tmp_path / "data.csv"))
    assert got.train.sha256() == expected.train.sha256()
    assert got.test.sha256() == expected.test.sha256()


def test_columns_by_position_and_by_name(tmp_path):
    expected = load(write(tmp_path / "plain.csv"))
    swapped = [(i, u, t, r) for u, i, r, t in ROWS]
    bare = load(write(tmp_path / "swapped.csv", swapped, header=None), columns="item,user,timestamp,rating")
    named = load(write(tmp_path / "named.csv", swapped, header="a,b,c,d"), columns="user=b,item=a,rating=d,timestamp=c")
    for got in (bare, named):
        assert got.test.sha256() == expected.test.sha256()
    assert bare.source.columns != expected.source.columns


def test_a_folder_with_a_ready_split_is_used_as_it_is(tmp_path):
    folder = tmp_path / "ready"
    folder.mkdir()
    write(folder / "train.csv", ROWS[::3])
    write(folder / "valid.csv", ROWS[1::3])
    write(folder / "test.csv", ROWS[2::3])
    split = load(str(folder))
    for part, rows in (("train", ROWS[::3]), ("valid", ROWS[1::3]), ("test", ROWS[2::3])):
        assert triples(getattr(split, part), split) == {(u, i) for u, i, _, _ in rows}
    assert split.protocol.split_name == "given"
    assert resolve(str(folder)).in_force(Protocol()) == split.protocol


def test_users_with_fewer_than_three_interactions_train_only(tmp_path):
    rows = [(1, 1, 5, 1), (1, 2, 5, 2), (2, 1, 5, 1), *[(3, i, 5, i) for i in (1, 2, 3)]]
    split = load(write(tmp_path / "short.csv", rows))
    assert triples(split.test, split) == {(3, 3)}
    assert triples(split.valid, split) == {(3, 2)}
    assert split.facts["users_without_test"] == 2
    assert any("2 of 3 users" in warning for warning in split.warnings)


def test_equal_times_keep_the_order_of_the_file(tmp_path):
    rows = [(1, item, 5, 100) for item in (9, 3, 7)] + [(2, item, 5, 100) for item in (3, 9, 7, 1)]
    split = load(write(tmp_path / "ties.csv", rows))
    assert triples(split.test, split) == {(1, 7), (2, 1)}
    assert triples(split.valid, split) == {(1, 3), (2, 7)}
    assert split.facts["users_with_tied_last_time"] == 2


def test_of_duplicate_rows_the_last_counts_and_they_are_counted(tmp_path):
    rows = [(1, 1, 5, 50), (1, 1, 2, 10), *[(1, i, 3, 10 + i) for i in (2, 3, 4)]]
    split = load(write(tmp_path / "repeats.csv", rows))
    assert split.facts["duplicates_dropped"] == 1
    assert triples(split.test, split) == {(1, 1)}  # the later of the two rows, though it comes first in the file
    assert split.test.values.tolist() == [5.0]


def test_negative_and_textual_ids_are_labels(tmp_path):
    split = load(write(tmp_path / "negative.csv", [(-u, -i, r, t) for u, i, r, t in ROWS]))
    assert split.user_ids.min() == -6
    split = load(write(tmp_path / "text.csv", [(f"u{u}", f"00{i}", r, t) for u, i, r, t in ROWS]))
    assert split.user_ids.dtype.kind == "U"
    assert split.item_ids[0] == "0010"


def test_the_same_file_elsewhere_has_the_same_identity(tmp_path):
    (tmp_path / "sub").mkdir()
    first, second = write(tmp_path / "a.csv"), write(tmp_path / "sub" / "b.csv")
    assert resolve(first).content().sha256 == resolve(second).content().sha256 == sha256_of(Path(first))
    assert "/" not in resolve(second).content().source


BAD_FILES = {
    "empty": ("", "is empty"),
    "header only": ("user,item\n", "no interactions"),
    "one column": ("user\n1\n2\n", "one column"),
    "wrong column": ("person,thing,rating\na,b,3\n", "no column for the item"),
    "no header and text ids": ("u1,i1,4\nu2,i2,5\n", "--columns user,item,rating,timestamp"),
    "nan rating": ("user,item,rating\n1,1,3\n1,2,NaN\n", "line 3"),
    "infinite rating": ("user,item,rating\n1,1,inf\n1,2,4\n", "not finite"),
    "text rating": ("user,item,rating\n1,1,3\n1,2,good\n", "'good' where a rating belongs"),
    "missing user": ("user,item,rating\n1,1,3\n,2,4\n", "without a user or an item"),
    "missing time": ("user,item,timestamp\n1,1,3\n1,2,\n", "without a time"),
    "silly time": ("user,item,timestamp\n1,1,soon\n1,2,later\n", "neither a number nor a date"),
    "ragged": ("user,item,rating\n1,1,3\n1,2\n", "same 3 columns"),
    "two users": ("customer,reviewer,item\n1,1,1\n", "several columns for the user"),
    "one user, one item": ("user,item\n1,1\n", "nothing to test on"),
    "binary": ("a\0b,c\n", "not a text file"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_one_sentence(tmp_path, case):
    text, fragment = BAD_FILES[case]
    path = tmp_path / "bad.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load(str(path))
    assert fragment in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_one_user_is_enough(tmp_path):
    split = load(write(tmp_path / "one.csv", [row for row in ROWS if row[0] == 1]))
    assert len(split.test) == 1


def test_names_that_mean_nothing(tmp_path):
    with pytest.raises(UserError, match="Did you mean 'ml-100k'"):
        load("ml-10k")
    with pytest.raises(UserError, match="no file or folder"):
        load(str(tmp_path / "missing.csv"))
    with pytest.raises(UserError, match=r"no train\.csv"):
        load(str(tmp_path))
    with pytest.raises(UserError, match="column role"):
        load(write(tmp_path / "a.csv"), columns="user,itm")
    with pytest.raises(UserError, match=r"column of a.csv is called 'uid'"):
        load(write(tmp_path / "a.csv"), columns="user=uid,item=item")
    with pytest.raises(UserError, match="knows its columns"):
        load("ml-100k", columns="user,item")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(UserError, match="not a readable Parquet"):
        load(str(tmp_path / "bad.parquet"))


def test_an_unwritable_data_folder_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "file" / "below"))
    with pytest.raises(UserError, match="set BENCH_DATA"):
        load(write(tmp_path / "a.csv"))


@pytest.mark.parametrize("damage", ["truncate", "flip", "meta"])
def test_a_damaged_cache_is_built_again(tmp_path, data_home, damage):
    path = write(tmp_path / "a.csv")
    expected = load(path).train.sha256()
    file = next(data_home.glob("splits/*/meta.json" if damage == "meta" else "splits/*/train_users.npy"))
    content = file.read_bytes()
    file.write_bytes(content[:-1] if damage == "truncate" else content[:-1] + bytes([content[-1] ^ 1]))
    if damage == "meta":
        file.write_text("{")
    assert load(path).train.sha256() == expected
    assert file.read_bytes() == content


def test_columns_are_part_of_the_cached_reading(tmp_path):
    rows = [(u, i, i, u) for u in range(5) for i in range(5)]
    path = write(tmp_path / "a.csv", rows, header=None)
    first, second = load(path, columns="user,item"), load(path, columns="user,-,item")
    third = load(path, columns="item,user")
    assert first.test.sha256() == second.test.sha256()
    assert first.source.columns != second.source.columns != third.source.columns


def test_the_protocol_is_json_and_complete():
    protocol = Protocol("ratio:order=time,test=0.25", k_core=(5, 2), min_rating=4)
    as_json = json.loads(json.dumps(protocol.as_dict()))
    assert as_json["split"] == "ratio:order=time,test=0.25,valid=0.1"
    assert as_json["k_core"] == [5, 2]
    assert set(as_json) == set(Protocol.__dataclass_fields__)
    assert Protocol("ratio").as_dict() == Protocol("ratio:valid=0.1,test=0.2").as_dict()


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        ({"split": "leave-last"}, "Did you mean 'leave-last-one-out'"),
        ({"split": "ratio:tset=0.1"}, "Did you mean 'test'"),
        ({"split": "ratio:test=two"}, "a share from 0"),
        ({"split": "ratio:test=0.6,valid=0.5"}, "nothing to train on"),
        ({"split": "ratio:order=up"}, "random or time"),
        ({"k_core": -1}, "k_core is -1"),
        ({"split_seed": -1}, "split_seed is -1"),
        ({"duplicates": "all"}, "rule for duplicates"),
        ({"candidates": "sampled:x"}, "sampled:99"),
        ({"split": "ratio:rounding=up"}, "rounding is 'up'; give half-up or down"),
        ({"mask": "trian"}, r"No ranking mask is called 'trian'\. Did you mean 'train'\?"),
        ({"mask": "train", "candidates": "sampled:9"}, "mask=train means nothing"),
    ],
)
def test_a_protocol_that_means_nothing(options, fragment):
    with pytest.raises(UserError, match=fragment):
        Protocol(**options)
