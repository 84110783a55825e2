"""Each trap of public data sets, in a file small enough to read."""

import gzip
import io
import tarfile
import zipfile

import numpy as np
import pytest

from datasets import Protocol, catalog, load
from datasets.consent import Consent
from datasets.errors import UserError
from datasets.fetch import add
from datasets.published import READERS
from datasets.readers import read_path
from datasets.source import resolve

FULL = Protocol("ratio:test=0.3,valid=0.2")


@pytest.fixture(autouse=True)
def data_home(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "home"))
    (tmp_path / "mirror").mkdir()
    monkeypatch.setenv("BENCH_DATA_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("BENCH_OFFLINE", "1")


def put(tmp_path, name: str, file: str, content: str | bytes) -> None:
    folder = tmp_path / "mirror" / name.replace(":", "-")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(content.encode() if isinstance(content, str) else content)


def table(tmp_path, content: str | bytes, columns=None, name="a.csv"):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_path(path, columns)


def pairs(table):
    return list(zip(table.user_ids[table.users].tolist(), table.item_ids[table.items].tolist(), strict=True))


def load_unpinned(name, protocol=FULL):
    return load(name, protocol, consent=Consent(unverified=True, accept_unpinned=True))


def labels(split):
    return {
        (split.user_ids[u], split.item_ids[i])
        for part in (split.train, split.valid, split.test)
        for u, i in zip(part.users, part.items, strict=True)
    }


def test_amazon_2014_is_user_item_and_2018_is_item_user(tmp_path):
    rows = [(f"A{u}", f"B{i:02}", 5.0, 1_390_000_000 + i) for u in range(4) for i in range(5)]
    put(tmp_path, "amazon-2014:Beauty", "ratings_Beauty.csv", "".join(f"{u},{i},{r},{t}\n" for u, i, r, t in rows))
    put(tmp_path, "amazon-2018:Video_Games", "Video_Games.csv", "".join(f"{i},{u},{r},{t}\n" for u, i, r, t in rows))
    old, new = load_unpinned("amazon-2014:Beauty"), load_unpinned("amazon-2018:Video_Games")
    assert labels(old) == labels(new) == {(u, i) for u, i, _, _ in rows}
    assert old.user_ids.tolist() == ["A0", "A1", "A2", "A3"]


def test_amazon_2023_is_gzipped_with_milliseconds_that_still_order(tmp_path):
    lines = ["user_id,parent_asin,rating,timestamp"]
    lines += [f"A{u},B{i},5.0,{1_600_000_000_000 + 10 * ((i * 3) % 5)}" for u in range(3) for i in range(5)]
    put(tmp_path, "amazon-2023:Video_Games", "Video_Games.csv.gz", gzip.compress("\n".join(lines).encode()))
    split = load_unpinned("amazon-2023:Video_Games", Protocol())
    assert split.test.times.tolist() == [1_600_000_000] * 3
    assert split.item_ids[split.test.items].tolist() == ["B3"] * 3  # 3·3 mod 5 = 4: last by milliseconds only
    assert split.facts["users_with_tied_last_time"] == 0


def test_double_colons_crlf_byte_order_mark_and_blank_lines_at_the_end(tmp_path):
    expected = [(1, 10), (1, 11), (2, 10)]
    assert pairs(table(tmp_path, "1::10::5::100\n1::11::4::101\n2::10::3::99\n")) == expected
    assert pairs(table(tmp_path, "user,item\r\n1,10\r\n1,11\r\n2,10\r\n\r\n")) == expected
    assert pairs(table(tmp_path, "\ufeffuser,item\n1,10\n1,11\n2,10")) == expected


def test_latin_1(tmp_path):
    got = table(tmp_path, "user,item\nJosé,Café\nJosé,Été\n".encode("latin-1"))
    assert pairs(got) == [("José", "Café"), ("José", "Été")]


def test_ids_keep_their_spelling_unless_all_are_whole_numbers(tmp_path):
    assert pairs(table(tmp_path, "user,item\n7,1\n007,2\n")) == [("7", 1), ("007", 2)]
    assert pairs(table(tmp_path, "user,item\n-3,12345678901234567890\n4,1\n")) == [
        (-3, "12345678901234567890"),
        (4, "1"),
    ]
    assert pairs(table(tmp_path, 'user,item\n 7 ,a b \n7,"x,y"\n')) == [(7, "a b"), (7, "x,y")]
    assert pairs(table(tmp_path, "user,item\nNA,null\nnan,1\n")) == [("NA", "null"), ("nan", "1")]


def test_gaps_in_ids_cost_nothing(tmp_path):
    got = table(tmp_path, "user,item\n5,3952\n4000000000,1\n")
    assert got.item_ids.tolist() == [1, 3952]
    assert got.users.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("first", "second", "seconds"),
    [
        ("2010-10-19T23:55:27Z", "2010-10-19T23:55:28Z", 1_287_532_527),
        ("2010-10-19 23:55:27", "2010-10-20 00:00:00", 1_287_532_527),
        ("2010-10-19", "2010-10-20", 1_287_446_400),
        ("1287532527", "1287532528", 1_287_532_527),
        ("1287532527.25", "1287532527.75", 1_287_532_527),
        ("1.2875325e9", "1287532527.75", 1_287_532_500),
        ("1287532527000", "1287532528000", 1_287_532_527),
    ],
)
def test_times_in_every_spelling(tmp_path, first, second, seconds):
    got = table(tmp_path, f"user,item,timestamp\n1,1,{first}\n1,2,{second}\n")
    assert got.times[0] // got.ticks == seconds
    assert got.times[1] > got.times[0]


def test_ratings_that_begin_as_whole_numbers(tmp_path):
    assert table(tmp_path, "user,item,rating\n1,1,4\n1,2,4.5\n").values.tolist() == [4.0, 4.5]


def test_parquet_of_floats_text_and_dates(tmp_path):
    import pandas as pd

    frame = pd.DataFrame({"user": [1.0, 2.0], "item": ["x", "y"], "date": pd.to_datetime(["2020-01-01", "2020-01-02"])})
    frame.to_parquet(tmp_path / "a.parquet")
    got = read_path(tmp_path / "a.parquet")
    assert pairs(got) == [(1, "x"), (2, "y")]
    assert got.times[0] // got.ticks == 1_577_836_800
    frame.assign(user=[1.5, 2.0]).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(UserError, match="has fractions"):
        read_path(tmp_path / "a.parquet")


def test_recbole_files_name_their_types_in_the_header(tmp_path):
    got = table(tmp_path, "user_id:token\titem_id:token\trating:float\n1\t2\t3\n", name="a.inter")
    assert (pairs(got), got.values.tolist()) == ([(1, 2)], [3.0])


def test_ncf_splits_read_their_negatives(tmp_path):
    train = "".join(f"{u}\t{i}\t5\t{100 + i}\n" for u in range(3) for i in range(4))
    put(tmp_path, "ml-1m-ncf", "ml-1m.train.rating", train)
    put(tmp_path, "ml-1m-ncf", "ml-1m.test.rating", "".join(f"{u}\t{9}\t5\t200\n" for u in range(3)))
    put(tmp_path, "ml-1m-ncf", "ml-1m.test.negative", "(0,9)\t5\t6\n(1,9)\t9\t7\n(2,9)\t5\t8\n")
    split = load("ml-1m-ncf", Protocol(candidates="given"), consent=Consent(unverified=True))
    lists = split.candidates
    got = [split.item_ids[lists.items[lists.offsets[u] : lists.offsets[u + 1]]].tolist() for u in range(3)]
    assert got == [[5, 6], [7], [5, 8]]
    assert split.facts["users_with_own_test_item_among_candidates"] == 1
    assert split.item_ids[split.valid.items].tolist() == [3, 3, 3]
    assert resolve("ml-1m-ncf").in_force(Protocol()).split == "given:valid=auto"


def test_pinterest_has_times_of_nothing_but_zeros(tmp_path):
    put(tmp_path, "pinterest-20", "pinterest-20.train.rating", "".join(f"0\t{i}\t1\t0\n" for i in range(20)))
    put(tmp_path, "pinterest-20", "pinterest-20.test.rating", "0\t30\t1\t0\n")
    put(tmp_path, "pinterest-20", "pinterest-20.test.negative", "(0,30)\t40\n")
    split = load("pinterest-20", consent=Consent(unverified=True))
    assert split.train.times is None
    assert len(split.valid) == 2


def test_lightgcn_rows_may_be_users_without_items(tmp_path):
    put(tmp_path, "gowalla-lightgcn", "train.txt", "0 5 6 7\n1 5 6\n2 7\n")
    put(tmp_path, "gowalla-lightgcn", "test.txt", "0 8\n1\n2 5 6\n")
    split = load("gowalla-lightgcn", Protocol("given:valid=0.4"), consent=Consent(unverified=True))
    assert labels(split) == {(0, 5), (0, 6), (0, 7), (1, 5), (1, 6), (2, 7), (0, 8), (2, 5), (2, 6)}
    assert split.facts["users_without_test"] == 1
    assert len(split.valid) == 2


def test_citeulike_counts_its_rows(tmp_path):
    put(tmp_path, "citeulike-a", "users.dat", "3 1 2 9\n2 1 7\n")
    assert labels(load_unpinned("citeulike-a")) == {(0, 1), (0, 2), (0, 9), (1, 1), (1, 7)}
    put(tmp_path, "citeulike-a", "users.dat", "3 1 2\n")
    with pytest.raises(UserError, match="announces 3 items"):
        READERS["counted-rows"](tmp_path / "mirror" / "citeulike-a" / "users.dat", {})


def test_lastfm_360k_keeps_quotes_and_drops_rows_without_a_name(tmp_path):
    rows = 'u1\t\t"Weird" Al\t3\nu1\tm\tB\'s "x\t2\nu2\tm\t\t4\nu2\t\tA\t1\nu2\t\tC\t1\n'
    put(tmp_path, "lastfm-360k", "usersha1-artmbid-artname-plays.tsv", rows)
    split = load_unpinned("lastfm-360k")
    assert split.facts["rows_without_id"] == 1
    assert ("u1", '"Weird" Al') in labels(split)


def test_gowalla_check_ins_repeat(tmp_path):
    rows = "".join(f"0\t2010-10-{10 + k:02}T12:00:00Z\t1.5\t2.5\t{place}\n" for k, place in enumerate([7, 8, 7, 9, 7]))
    put(tmp_path, "gowalla-checkins", "loc-gowalla_totalCheckins.txt.gz", gzip.compress(rows.encode()))
    split = load_unpinned("gowalla-checkins", Protocol())
    assert split.facts["duplicates_dropped"] == 2
    assert split.item_ids[split.test.items].tolist() == [7]


def test_yelp_is_json_in_a_tar_in_a_zip(tmp_path):
    lines = "".join(
        f'{{"review_id":"r","user_id":"u{u}","business_id":"b{i}","stars":{i}.0,'
        f'"text":"a\\nb","date":"2018-07-07 22:09:1{i}"}}\n'
        for u in range(2)
        for i in range(5)
    ).encode()
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        info = tarfile.TarInfo("yelp_academic_dataset_review.json")
        info.size = len(lines)
        archive.addfile(info, io.BytesIO(lines))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("Yelp JSON/yelp_dataset.tar", tar.getvalue())
    put(tmp_path, "yelp", "Yelp-JSON.zip", packed.getvalue())
    split = load_unpinned("yelp", Protocol())
    assert split.item_ids[split.test.items].tolist() == ["b4", "b4"]
    assert split.test.values.tolist() == [4.0, 4.0]
    assert split.test.times[0] == 1_531_001_354


def test_steam_lines_are_python_not_json(tmp_path):
    lines = "".join(
        f"{{'username': u\"it's {u}\", 'product_id': '{i}', 'date': '2017-12-2{i}', 'early_access': False}}\n"
        for u in range(2)
        for i in range(4)
    )
    put(tmp_path, "steam-reviews", "steam_reviews.json.gz", gzip.compress(lines.encode()))
    split = load_unpinned("steam-reviews", Protocol())
    assert split.user_ids.tolist() == ["it's 0", "it's 1"]
    assert split.item_ids[split.test.items].tolist() == [3, 3]


def test_mind_reads_clicks_only(tmp_path):
    rows = "".join(f"{k}\tU1\t11/1{k}/2019 9:05:58 AM\tN9\tN{k}-1 N7-0 N8-0\n" for k in range(1, 5))
    put(tmp_path, "mind-small", "behaviors.tsv", rows + "9\tU1\t11/15/2019 9:05:58 AM\t\tN5-0\n")
    split = load_unpinned("mind-small", Protocol())
    assert labels(split) == {("U1", f"N{k}") for k in range(1, 5)}
    assert split.item_ids[split.test.items].tolist() == ["N4"]


def test_netflix_is_a_tar_of_films(tmp_path):
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for film in (1, 2, 30):
            text = f"{film}:\n7,3,2005-09-0{film % 7 + 1}\n8,5,2005-05-13\n".encode()
            info = tarfile.TarInfo(f"training_set/mv_{film:07}.txt")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text))
    put(tmp_path, "netflix-prize", "training_set.tar", tar.getvalue())
    split = load_unpinned("netflix-prize", Protocol())
    assert labels(split) == {(u, f) for u in (7, 8) for f in (1, 2, 30)}
    assert dict(zip(split.user_ids[split.test.users], split.item_ids[split.test.items], strict=True))[7] == 30
    assert split.test.times.max() <= 1_126_000_000


def test_jester_is_three_zipped_sheets_with_users_of_their_own(tmp_path):
    import xlwt

    rated = {}
    for number in (1, 2, 3):
        book = xlwt.Workbook()
        sheet = book.add_sheet("jester")
        for user in range(4):
            own = {joke: (user + joke) / 2 - number for joke in range(user, user + number)}
            rated |= {(4 * (number - 1) + user, joke + 1): value for joke, value in own.items()}
            for column, value in enumerate([len(own), *(own.get(joke, 99) for joke in range(8))]):
                sheet.write(user, column, value)
        buffer, packed = io.BytesIO(), io.BytesIO()
        book.save(buffer)
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(f"jester-data-{number}.xls", buffer.getvalue())
        put(tmp_path, "jester-1", f"jester_dataset_1_{number}.zip", packed.getvalue())
    split = load_unpinned("jester-1", Protocol("ratio:test=0.3,valid=0"))
    assert labels(split) == set(rated)
    for part in (split.train, split.test):
        for u, i, value in zip(part.users, part.items, part.values, strict=True):
            assert value == rated[split.user_ids[u], split.item_ids[i]]
    with pytest.raises(UserError, match="rows are in no order"):
        load_unpinned("jester-1", Protocol())


def monti(path, ratings, train, test):
    import h5py

    with h5py.File(path, "w") as file:
        for name, matrix in (("M", ratings), ("Otraining", train), ("Otest", test)):
            file[name] = np.asarray(matrix, np.float64).T  # as MATLAB stores it


def test_monti_sets_are_matlab_files_of_a_split(tmp_path):
    ratings = np.array([[5, 0, 3, 1], [0, 2, 4, 0], [1, 1, 0, 0]])
    test = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    folder = tmp_path / "mirror" / "flixster-monti"
    folder.mkdir(parents=True)
    monti(folder / "training_test_dataset.mat", ratings, (ratings > 0) & (test == 0), test)
    split = load_unpinned("flixster-monti", Protocol("given:valid=0"))
    assert labels(split) == {(int(u), int(i)) for u, i in zip(*np.nonzero(ratings), strict=True)}
    held = {
        (split.user_ids[u], split.item_ids[i], v)
        for u, i, v in zip(split.test.users, split.test.items, split.test.values, strict=True)
    }
    assert held == {(0, 2, 3.0), (1, 1, 2.0)}
    assert resolve("flixster-monti").in_force(Protocol()).split_name == "given"


@pytest.mark.parametrize(
    ("name", "file", "words"),
    [
        ("douban-monti", "training_test_dataset.mat", "no MATLAB 7.3 file with M, Otraining and Otest"),
        ("jester-1", "jester_dataset_1_1.zip", "is damaged or no .zip file"),
    ],
)
def test_files_of_another_format_are_one_sentence(tmp_path, name, file, words):
    for number in "123":
        put(tmp_path, name, file.replace("_1.zip", f"_{number}.zip"), "x")
    protocol = Protocol() if name == "douban-monti" else Protocol("ratio")
    with pytest.raises(UserError, match=words):
        load_unpinned(name, protocol)


def test_an_entry_nobody_reads_is_neither_fetched_nor_added(tmp_path):
    (tmp_path / "Douban.tar.gz").write_bytes(b"x")
    for attempt in (
        lambda: load_unpinned("douban"),
        lambda: add(catalog.entry("douban"), tmp_path / "Douban.tar.gz", Consent(unverified=True)),
    ):
        with pytest.raises(UserError, match="convert it to CSV") as caught:
            attempt()
        assert "--unverified" not in str(caught.value)
        assert "data add" not in str(caught.value)


def test_a_reader_that_is_not_installed_says_what_to_install(monkeypatch):
    monkeypatch.setattr("datasets.published.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install h5py"):
        load("douban-monti", Protocol())


def test_every_reader_is_used():
    used = {catalog.entry(n).reader for n in catalog.names()}
    assert set(READERS) <= used


def test_a_big_file_is_read_in_blocks_that_agree(tmp_path, monkeypatch):
    from datasets import readers

    rng = np.random.default_rng(0)
    rows = np.stack([rng.integers(0, 900, 20_000), rng.integers(0, 5000, 20_000)], axis=1)
    text = "user,item\n" + "".join(f"u{u},{i}\n" for u, i in rows)
    whole = table(tmp_path, text)
    monkeypatch.setattr(readers, "BLOCK_BYTES", 1000)
    blocks = table(tmp_path, text)
    assert pairs(whole) == pairs(blocks) == [(f"u{u}", i) for u, i in rows.tolist()]
