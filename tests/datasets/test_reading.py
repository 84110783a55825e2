"""Files as people have them: compressed, with other names, as sequences, as ready splits; and every way to be wrong."""

import bz2
import gzip
import io
import lzma
import shutil
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets import Protocol, load, resolve
from datasets.columns import REVISED, split_format, with_format
from datasets.errors import UserError
from datasets.readers import read_path
from datasets.reading import look


@pytest.fixture(autouse=True)
def data_home(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "home"))
    return tmp_path / "home"


ROWS = [(u, i, 1 + (u + i) % 5, 1_600_000_000 + 10 * i - u) for u in range(1, 7) for i in range(10, 15)]
TEXT = "user,item,rating,timestamp\n" + "".join(f"{u},{i},{r},{t}\n" for u, i, r, t in ROWS)


def put(folder: Path, files: dict[str, str | bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def pairs(table):
    return list(zip(table.user_ids[table.users].tolist(), table.item_ids[table.items].tolist(), strict=True))


def held(split, part):
    rows = getattr(split, part)
    return {(split.user_ids[u], split.item_ids[i]) for u, i in zip(rows.users, rows.items, strict=True)}


def content(path: Path, columns=None):
    return resolve(str(path), columns).content()


def zipped(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.mkdir("folder")
        archive.writestr("__MACOSX/._ratings.csv", "what a Mac adds")
        for name, content in files.items():
            archive.writestr(f"folder/{name}.csv", content)
    return buffer.getvalue()


def zstandard(text: str) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(text.encode())
    return sink.getvalue().to_pybytes()


PACKED = {
    ".gz": lambda text: gzip.compress(text.encode()),
    ".bz2": lambda text: bz2.compress(text.encode()),
    ".xz": lambda text: lzma.compress(text.encode()),
    ".zst": zstandard,
    ".zip": lambda text: zipped(ratings=text),
}


@pytest.mark.parametrize("suffix", PACKED)
def test_compressed_files_read_as_the_plain_one(tmp_path, data_home, suffix):
    folder = put(tmp_path, {"plain.csv": TEXT, f"packed.csv{suffix}": PACKED[suffix](TEXT)})
    plain, packed = load(str(folder / "plain.csv")), load(str(folder / f"packed.csv{suffix}"))
    assert packed.train.sha256() == plain.train.sha256()
    assert packed.test.sha256() == plain.test.sha256()
    assert list((data_home / "partial").iterdir()) == []


@pytest.mark.parametrize("suffix", PACKED)
def test_damaged_archives_are_one_sentence(tmp_path, suffix):
    content = PACKED[suffix](TEXT)
    for wrong in (b"no archive", content[: len(content) // 2]):
        put(tmp_path, {f"a.csv{suffix}": wrong})
        with pytest.raises(UserError, match=rf"a\.csv{suffix} is damaged or no {suffix} file"):
            load(str(tmp_path / f"a.csv{suffix}"))


def test_a_zip_of_several_files_names_them(tmp_path):
    put(tmp_path, {"a.zip": zipped(one=TEXT, two=TEXT)})
    with pytest.raises(UserError, match=r"2 files \(folder/one\.csv, folder/two\.csv\)"):
        load(str(tmp_path / "a.zip"))


def test_compressed_parquet_and_a_compressed_split(tmp_path):
    pq.write_table(pa.table({"user": [1, 2], "item": ["a", "b"]}), tmp_path / "a.parquet")
    (tmp_path / "a.parquet.gz").write_bytes(gzip.compress((tmp_path / "a.parquet").read_bytes()))
    assert pairs(read_path(tmp_path / "a.parquet.gz")) == [(1, "a"), (2, "b")]
    folder = put(
        tmp_path / "split", {"train.csv.gz": gzip.compress(b"user,item\n1,2\n1,3\n"), "test.csv": "user,item\n1,4\n"}
    )
    assert held(load(str(folder)), "test") == {(1, 4)}


HEADERS = {
    "user,item,rating,timestamp": "user=user, item=item, rating=rating, time=timestamp",
    "Customer ID,SKU,Stars,Event Time": "user=Customer ID, item=SKU, rating=Stars, time=Event Time",
    "customer_id,product_id,weight,event_time": "user=customer_id, item=product_id, rating=weight, time=event_time",
    "USERID,MovieId,Score,Order Date": "user=USERID, item=MovieId, rating=Score, time=Order Date",
    "user_id:token,item_id:token,rating:float,timestamp:float": (
        "user=user_id:token, item=item_id:token, rating=rating:float, time=timestamp:float"
    ),
    "client,content-id,play count,created_at": "user=client, item=content-id, rating=play count, time=created_at",
    "user,item,price,colour": "user=user, item=item; not used: price, colour",
    "user,item,split,review_date": "user=user, item=item, time=review_date; not used: split (for a split of your own",
    "user,item,date,event_time": "user=user, item=item, time=date; not used: event_time",
}


@pytest.mark.parametrize("header", HEADERS)
def test_the_report_says_what_was_read_as_what(tmp_path, header):
    put(tmp_path, {"a.csv": header + "\n1,2,3,4\n"})
    assert HEADERS[header] in look(tmp_path / "a.csv").told
    names = header.split(",")
    pq.write_table(pa.table({name: [k] for k, name in enumerate(names)}), tmp_path / "a.parquet")
    assert HEADERS[header] in look(tmp_path / "a.parquet").told


def test_the_report_without_a_header_and_of_many_columns(tmp_path):
    put(tmp_path, {"bare.csv": "1,2,3,4,5\n", "wide.csv": "user,item," + ",".join(f"c{k}" for k in range(20)) + "\n"})
    assert look(tmp_path / "bare.csv").told.endswith("rating=column 3, time=column 4; not used: column 5.")
    assert "c7 and 12 more" in look(tmp_path / "wide.csv").told
    assert content(tmp_path / "bare.csv").reading.startswith("Read bare.csv: user=column 1")


def test_names_by_hand_may_differ_in_case_and_blanks(tmp_path):
    put(tmp_path, {"a.csv": "Who Is It,What\n1,2\n"})
    assert pairs(read_path(tmp_path / "a.csv", "user=who_is_it,item=what")) == [(1, 2)]


def test_a_header_is_seen_when_columns_go_by_position(tmp_path):
    put(tmp_path, {"a.csv": "Item ID,User ID\n7,8\n"})
    assert pairs(read_path(tmp_path / "a.csv", "item,user")) == [(8, 7)]


def test_identities_change_only_where_the_reading_did(tmp_path):
    files = {
        "numbers.csv": (TEXT, ""),
        "bare.csv": ("1,2,3,4\n", ""),
        "dates.csv": ("user,item,date\n1,2,2020-12-26\n", REVISED),
        "rarer.csv": ("user,item,event_time\n1,2,5\n", REVISED),
        "unused.csv": ("user,item,price\n1,2,5\n", ""),
    }
    put(tmp_path, {name: text for name, (text, _) in files.items()})
    for name, (_, spelled) in files.items():
        assert content(tmp_path / name).columns == spelled, name
    given = with_format("user,item,timestamp", "%d.%m.%Y")
    put(tmp_path, {"given.csv": "1,2,07.01.2021\n"})
    assert content(tmp_path / "given.csv", given).columns == "user,item,timestamp;time-format=%d.%m.%Y"
    parts = {"train.csv": "user,item,timestamp\n1,2,3\n1,3,4\n", "test.csv": "user,item\n1,4\n"}
    timed = {**parts, "test.csv": "user,item,timestamp\n1,4,5\n"}
    assert content(put(tmp_path / "partly", parts)).columns == REVISED
    assert content(put(tmp_path / "timed", timed)).columns == ""
    pq.write_table(pa.table({"user": [1], "item": [2], "time": ["2020-12-26"]}), tmp_path / "dates.parquet")
    assert content(tmp_path / "dates.parquet").columns == REVISED


@pytest.mark.parametrize("columns", [None, "user,item", "user=a,item=b,timestamp=c", ["user", "item"]])
@pytest.mark.parametrize("time_format", [None, "%d.%m.%Y; %H:%M"])
def test_an_identity_says_how_to_read_again(tmp_path, columns, time_format):
    spelled = with_format(columns, time_format)
    listed = ",".join(columns) if isinstance(columns, list) else columns
    for mark in ("", REVISED):
        stored = ";".join(filter(None, (spelled, mark)))
        assert split_format(stored) == (listed, time_format)
    put(tmp_path, {"a.csv": "user,item,date\n1,2,2020-12-26\n"})
    once = content(tmp_path / "a.csv")
    assert content(tmp_path / "a.csv", once.columns) == once


def test_a_time_format_reaches_the_split_and_needs_a_time(tmp_path):
    rows = "".join(f"1,{i},{day}\n" for i, day in [(5, "07.01.2021"), (6, "13.09.2020"), (7, "01.10.2020")])
    put(tmp_path, {"a.csv": "user,item,date\n" + rows})
    split = load(str(tmp_path / "a.csv"), columns=with_format(None, "%d.%m.%Y"))
    assert held(split, "test") == {(1, 5)}
    assert "(times as %d.%m.%Y)" in split.source.reading
    put(tmp_path, {"b.csv": "user,item\n1,2\n"})
    with pytest.raises(UserError, match="leave --time-format out"):
        load(str(tmp_path / "b.csv"), columns=with_format(None, "%d.%m.%Y"))
    with pytest.raises(UserError, match="catalogue"):
        load("ml-100k", columns=with_format(None, "%d.%m.%Y"))


def test_sequences_are_a_user_and_its_items_in_order(tmp_path):
    put(tmp_path, {"a.txt": "1 10 11 12 13 14\n2 11 10\n3 14 13 12 11\n"})
    split = load(str(tmp_path / "a.txt"))
    assert held(split, "test") == {(1, 14), (3, 11)}
    assert "user and its items in each line" in split.source.reading
    assert any("no times: the last interaction is the last in the file" in warning for warning in split.warnings)


def test_short_or_even_lines_may_be_two_things_and_columns_say_which(tmp_path):
    for text in ("1 10 11\n2 11\n", "1 10 11 12 13\n2 11 10 9 8\n"):
        put(tmp_path, {"a.txt": text})
        with pytest.raises(UserError, match="--columns user,items"):
            load(str(tmp_path / "a.txt"))
        lines = [line.split() for line in text.splitlines()]
        expected = [(int(line[0]), int(item)) for line in lines for item in line[1:]]
        assert pairs(read_path(tmp_path / "a.txt", "user,items")) == expected
    put(tmp_path, {"a.txt": text})
    assert pairs(read_path(tmp_path / "a.txt", "user,item,-")) == [(1, 10), (2, 11)]


@given(st.dictionaries(st.integers(0, 10**6), st.lists(st.integers(0, 10**6), min_size=5, max_size=9), min_size=2))
def test_sequences_come_back(tmp_path_factory, users):
    path = tmp_path_factory.getbasetemp() / "sequences.txt"
    path.write_text("".join(" ".join(map(str, [user, *items])) + "\n" for user, items in users.items()))
    expected = [(user, item) for user, items in users.items() for item in items]
    assert pairs(read_path(path, "user,items")) == expected


def test_an_adjacency_folder(tmp_path):
    folder = put(tmp_path / "gowalla", {"train.txt": "0 5 6 7 8 9\n1 5 6\n2 7 1 3\n", "test.txt": "0 1\n1\n2 5 6\n"})
    split = load(str(folder), Protocol("given:valid=0.4"))
    assert held(split, "test") == {(0, 1), (2, 5), (2, 6)}
    assert len(split.valid) == 4
    assert split.facts["users_without_test"] == 1


def test_ncf_triples_with_their_candidates(tmp_path):
    train = "".join(f"{u}\t{i}\t5\t{100 - i}\n" for u in range(3) for i in range(4))
    files = {
        "ml.train.rating": train,
        "ml.test.rating": "".join(f"{u}\t9\t5\t200\n" for u in range(3)),
        "ml.test.negative": "(0,9)\t5\t6\n(1,9)\t9\t7\n(2,9)\t5\t8\n",
    }
    split = load(str(put(tmp_path / "ncf", files)), Protocol(candidates="given"))
    lists = split.candidates
    got = [split.item_ids[lists.items[lists.offsets[u] : lists.offsets[u + 1]]].tolist() for u in range(3)]
    assert got == [[5, 6], [7], [5, 8]]
    assert held(split, "valid") == {(u, 0) for u in range(3)}
    zeros = put(tmp_path / "zeros", {name: text.replace("\t200", "\t0") for name, text in files.items()})
    (zeros / "ml.train.rating").write_text("".join(f"{u}\t{i}\t1\t0\n" for u in range(3) for i in range(4)))
    assert load(str(zeros)).train.times is None


def test_candidates_in_ncf_form_beside_csv(tmp_path):
    files = {
        "train.csv": "user,item\n1,2\n1,3\n1,5\n",
        "test.csv": "user,item\n1,4\n",
        "candidates.txt": "(1,4)\t7\t8\n",
    }
    split = load(str(put(tmp_path / "own", files)), Protocol("given:valid=last", candidates="given"))
    assert split.item_ids[split.candidates.items].tolist() == [7, 8]


@pytest.mark.parametrize("word", ["valid", "validation", "val", "dev"])
def test_a_validation_part_under_its_usual_names(tmp_path, word):
    files = {f"{part}.tsv": f"user\titem\n1\t{k}\n" for k, part in enumerate(("train", word, "test"))}
    assert held(load(str(put(tmp_path / "own", files))), "valid") == {(1, 1)}


def test_recbole_parts_and_unused_files(tmp_path):
    head = "user_id:token\titem_id:token\n"
    files = {f"ml.{part}.inter": f"{head}1\t{k}\n" for k, part in enumerate(("train", "valid", "test"))}
    folder = put(tmp_path / "own", {**files, "ml.item.csv": "1,2\n", "README.md": "x"})
    assert held(load(str(folder)), "test") == {(1, 2)}
    assert look(folder).told.endswith("| not used: ml.item.csv.")


def test_validation_is_carved_by_time_where_train_has_times(tmp_path):
    train = "user,item,time\n" + "".join(f"{u},{i},{1000 - i}\n" for u in (1, 2) for i in range(20))
    for test in ("user,item,time\n1,30,2000\n2,31,2000\n", "user,item\n1,30\n2,31\n"):
        split = load(str(put(tmp_path / "own", {"train.csv": train, "test.csv": test})))
        assert held(split, "valid") == {(1, 0), (2, 0)}
    assert split.facts["train_in_order_of_time"] == 1


WRONG = {
    "ragged": ({"a.csv": "user,item,rating\n1,1,3\n\n1,2\n"}, ["2 columns in line 4", "same 3 columns"]),
    "ragged quoted": ({"a.csv": 'user,item,rating\n1,"a,b",3\n1,2,3,4\n'}, ["4 columns in line 3"]),
    "ragged colons": ({"a.dat": "1::2::3\n1::2\n"}, ["2 columns in line 2"]),
    "word as rating": ({"a.csv": "user,item,rating\n1,1,3\n\n1,2,good\n"}, ["'good'", "rating belongs in line 4"]),
    "an endless cell": (
        {"a.csv": "user,item\n1,2\n1," + "x" * 40_000_000 + "\n"},
        ["characters in line 3; a line may have"],
    ),
    "negative time": ({"a.csv": "user,item,time\n1,1,5\n1,2,-1\n"}, ["-1 in line 3", "before 1970"]),
    "date before 1970": ({"a.csv": "user,item,time\n1,1,2020-01-01\n1,2,1900-01-01\n"}, ["line 3", "before 1970"]),
    "huge time": ({"a.csv": "user,item,time\n1,1,5\n1,2,1e25\n"}, ["line 3", "out of range"]),
    "whole huge time": ({"a.csv": f"user,item,time\n1,1,5\n1,2,{10**25}\n"}, ["line 3", "out of range"]),
    "nan time": ({"a.csv": "user,item,time\n1,1,5\n1,2,nan\n"}, ["without a time", "line 3"]),
    "two units": ({"a.csv": "user,item,time\n1,1,1600000000000\n1,2,1600000000\n"}, ["line 3", "one unit"]),
    "dates as numbers": ({"a.csv": "user,item,time\n1,1,20201226\n1,2,20201227\n"}, ["--time-format '%Y%m%d'"]),
    "bad time after good": ({"a.csv": "user,item,time\n1,1,100\n1,2,soon\n"}, ["'soon'", "line 3"]),
    "day first": ({"a.csv": "user,item,time\n1,1,07.01.2021\n1,2,13.09.2020\n"}, ["line 3", "'%d.%m.%Y'"]),
    "open quote": ({"a.csv": 'user,item\n1,1\n2,2\n3,"3\n4,4\n5,5\n'}, ["a line break within the item in line 4"]),
    "long id": ({"a.csv": f"user,item\n1,{'x' * 5_000_000}\n"}, ["5,000,000 characters for the item in line 2"]),
    "a word in a sequence": ({"a.txt": "9 8\n" + "1 2 3 4 5 6\n" * 9000 + "1 2 x\n"}, ["line 9002"]),
    "binary": ({"a.csv": b"\x00\x01"}, ["not a text file"]),
    "empty train": ({"train.csv": "", "test.csv": "user,item\n1,2\n"}, ["train.csv is empty"]),
    "empty test": ({"train.csv": "user,item\n1,2\n", "test.csv": "user,item\n"}, ["test.csv has no interactions"]),
    "no test": ({"train.csv": "user,item\n1,2\n"}, ["has no test.csv"]),
    "two trains": ({"train.csv": TEXT, "train.tsv": TEXT, "test.csv": TEXT}, ["train.csv and train.tsv"]),
    "train twice, packed": ({"train.csv": TEXT, "train.csv.gz": b"", "test.csv": TEXT}, ["train.csv and train.csv.gz"]),
    "two splits": (
        {f"{x}.{p}.rating": "1\t2\t3\t4\n" for x in "ab" for p in ("train", "test")},
        ["several splits (a, b)"],
    ),
    "bad candidates": (
        {"train.csv": "user,item\n1,2\n", "test.csv": "user,item\n1,3\n", "candidates.txt": "(1,3)\t7\n(1,3)\tx\n"},
        ["candidates.txt", "line 2"],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_sentence_with_its_place(tmp_path, case):
    files, words = WRONG[case]
    folder = put(tmp_path / "given", files)
    path = folder if any(name.startswith(("train", "a.train")) for name in files) else folder / next(iter(files))
    with pytest.raises(UserError) as caught:
        load(str(path))
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message
    assert str(tmp_path) not in message
    assert len(message) < 400


PARQUET = {
    "lists": ({"user": [1, 2], "item": [[1], [2]]}, "holds list"),
    "structs": ({"user": [1], "item": [{"a": 1}]}, "holds struct"),
    "truth": ({"user": [1], "item": [True]}, "holds bool"),
    "times of day": ({"user": [1], "item": [2], "time": pa.array([5], pa.time64("us"))}, "no time"),
    "no rows": ({"user": pa.array([], pa.int64()), "item": pa.array([], pa.int64())}, "no interactions"),
    "missing": ({"user": [1, 2, None], "item": [1, 2, 3]}, r"the first in row 3"),
    "bytes": ({"user": [1], "item": [b"\xff\xfe"]}, "bytes that are no text"),
}


@pytest.mark.parametrize("case", PARQUET)
def test_parquet_columns_that_mean_nothing(tmp_path, case):
    columns, words = PARQUET[case]
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=words):
        load(str(tmp_path / "a.parquet"))


def test_ids_beyond_63_bits_stay_apart(tmp_path):
    pq.write_table(
        pa.table({"user": pa.array([2**64 - 1, 2**63], pa.uint64()), "item": [1, 2]}), tmp_path / "a.parquet"
    )
    assert pairs(read_path(tmp_path / "a.parquet")) == [(str(2**64 - 1), 1), (str(2**63), 2)]


def test_latin_1_that_begins_further_down(tmp_path):
    put(tmp_path, {"a.csv": b"user,item\n" + b"1,plain\n" * 20_000 + "2,Café\n".encode("latin-1")})
    assert pairs(read_path(tmp_path / "a.csv"))[-1] == (2, "Café")


def test_a_column_without_a_name_is_told_by_its_number(tmp_path):
    put(tmp_path, {"a.csv": ",user,item\n0,1,2\n"})
    assert look(tmp_path / "a.csv").told.endswith("not used: column 1.")


def test_a_second_load_needs_no_second_reading(tmp_path, data_home):
    put(tmp_path, {"a.csv.gz": gzip.compress(TEXT.encode())})
    first = load(str(tmp_path / "a.csv.gz"))
    shutil.rmtree(data_home / "tables")
    assert load(str(tmp_path / "a.csv.gz")).train.sha256() == first.train.sha256()
    assert not (data_home / "tables").exists()
