"""The catalogue is data: complete, distinct, well-formed, and true where real copies are at hand."""

import lzma
import re
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from datasets import Protocol, catalog, load, resolve
from datasets.consent import Consent
from datasets.digests import digest_of
from datasets.errors import UserError
from datasets.published import READERS

REAL = Path(__file__).parents[3] / "shared" / "data"
real = pytest.mark.skipif(not REAL.is_dir(), reason="needs the shared real data")
LENGTH = {"sha256": 64, "md5": 32, "git-blob": 40}
UNREADABLE = {"several-tsv"}


def all_names():
    for name in catalog.names():
        if name.endswith(":<category>"):
            family = name.partition(":")[0]
            yield from (f"{family}:{category}" for category in catalog.categories(family))
        else:
            yield name


@pytest.fixture(scope="module")
def entries():
    return {name: catalog.entry(name) for name in all_names()}


def remotes(entries):
    for entry in entries.values():
        for file in entry.files:
            yield from (r for r in (file.remote, file.archive) if r)


def test_there_are_enough_sets(entries):
    assert len(catalog.names()) >= 40
    assert len(entries) >= 120
    for name in ("ml-32m", "ml-1m-ncf", "gowalla-lightgcn", "ml-1m-sasrec", "amazon-2023:Video_Games", "mind-small"):
        assert name in entries


def test_the_lines_of_each_set_are_the_whole_catalogue(entries):
    whole = tomllib.loads(Path(catalog.__file__).with_name("catalog.toml").read_text(encoding="utf-8"))
    families = {name.partition(":")[0] for name in catalog.names()}
    assert families == set(whole["sets"])
    for name, entry in entries.items():
        fields = whole["sets"][name if name in whole["sets"] else name.partition(":")[0]]
        assert (entry.title, entry.reader, len(entry.files)) == (
            fields["title"].replace("{category}", name.partition(":")[2]), fields["reader"], len(fields["files"])
        )  # fmt: skip
        assert entry.licence == whole["terms"][fields["licence"]]


def test_checksums_are_distinct_and_of_the_right_length(entries):
    pins = [str(remote.pin) for remote in remotes(entries) if remote.pin]
    assert len(pins) == len(set(pins))
    for pin in pins:
        kind, _, digest = pin.partition(":")
        assert re.fullmatch(rf"[0-9a-f]{{{LENGTH[kind]}}}", digest)


def test_addresses_parse_and_belong_to_one_file(entries):
    urls = [url for remote in remotes(entries) for url in remote.urls]
    assert len(urls) == len(set(urls))
    for url in urls:
        parts = urlsplit(url)
        assert parts.scheme in ("http", "https")
        assert parts.hostname
        assert parts.path.strip("/")
        assert " " not in url
        assert "{" not in url


def test_every_entry_can_be_had_and_read_or_says_why_not(entries):
    for entry in entries.values():
        assert entry.reader in READERS.keys() | UNREADABLE
        assert entry.order in ("time", "file", "none")
        assert entry.counts in ("recounted", "published", "recalled")
        assert entry.licence
        assert entry.citation
        for file in entry.files:
            assert file.remote.urls or (file.archive and file.archive.urls) or file.wheel or entry.manual, entry.id
            assert file.archive is None or file.archive.name != file.remote.name
            no_pin_and_no_tls = not file.stored.pin and all(u.startswith("http:") for u in file.stored.urls)
            assert entry.manual or not no_pin_and_no_tls
            assert "/" not in file.remote.name
        roles = [file.role for file in entry.files]
        assert ("train" in roles) == ("test" in roles)


def test_identities_are_distinct(entries):
    identities = [entry.identity for entry in entries.values() if entry.pinned]
    assert len(identities) == len(set(identities))
    assert catalog.entry("epinions").identity is None
    assert resolve("ml-20m").content().sha256 == catalog.entry("ml-20m").files[0].archive.pin.digest


def test_names_are_suggested():
    with pytest.raises(UserError, match="Did you mean 'ml-25m'"):
        resolve("ml-25")
    with pytest.raises(UserError, match="Did you mean 'Video_Games'"):
        resolve("amazon-2018:VideoGames")
    with pytest.raises(UserError, match="amazon-2014 stands for many data sets"):
        resolve("amazon-2014").content()


def raw(path: str) -> bytes:
    return lzma.decompress((REAL / path).read_bytes())


BYTE_IDENTICAL = {
    "ml-100k": {"u.data": "research-only/ml-100k/u.data.xz"},
    "ml-latest-small": {"ratings.csv": "research-only/ml-latest-small/ratings.csv.xz"},
    "ml-latest-small-2016": {"ratings.csv": "research-only/ml-latest-small-2016/ratings.csv.xz"},
    "ml-1m-sasrec": {"ml-1m.txt": "research-only/ml-1m/sasrec_ml-1m.txt.xz"},
    "amazon-games-sasrec": {"Video.txt": "research-only/amazon-seq/sasrec_Video_Games.txt.xz"},
    "amazon-beauty-iclrec": {"Beauty.txt": "research-only/amazon-seq/iclrec_Beauty.txt.xz"},
    "amazon-sports-iclrec": {"Sports_and_Outdoors.txt": "research-only/amazon-seq/iclrec_Sports_and_Outdoors.txt.xz"},
    "lastfm-lightgcn": {
        "data1.txt": "research-only/lastfm-lightgcn/data1.txt.xz",
        "test1.txt": "research-only/lastfm-lightgcn/test1.txt.xz",
    },
    "amazon-beauty-lightgcnpp": {
        f"{part}.txt": f"research-only/amazon-beauty-lightgcnpp/{part}.txt.xz" for part in ("train", "valid", "test")
    },
}


@pytest.fixture
def offline(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "home"))
    monkeypatch.setenv("BENCH_DATA_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("BENCH_OFFLINE", "1")
    return tmp_path / "mirror"


def lay_out(mirror: Path, name: str, files: dict[str, str]) -> None:
    for file, path in files.items():
        (mirror / name).mkdir(parents=True, exist_ok=True)
        (mirror / name / file).write_bytes(raw(path))


@real
@pytest.mark.parametrize("name", BYTE_IDENTICAL)
def test_real_files_pass_their_pins_and_have_the_catalogued_counts(offline, name):
    lay_out(offline, name, BYTE_IDENTICAL[name])
    entry, split = catalog.entry(name), load(name)
    assert split.source.verified
    assert split.source.sha256 == entry.identity
    assert not any("no times" in warning for warning in split.warnings)
    table = resolve(name).table()
    for expected, got in (
        (entry.users, len(table.user_ids)),
        (entry.items, len(table.item_ids)),
        (entry.interactions, len(table)),
    ):
        assert expected in (None, got)
    total = sum(len(part) for part in (split.train, split.valid, split.test))
    dropped = [split.facts.get(k, 0) for k in ("duplicates_dropped", "held_out_pairs_also_trained_on")]
    assert total + sum(dropped) == len(table)


@real
def test_the_ncf_test_file_has_the_published_git_blob(tmp_path):
    file = tmp_path / "x"
    file.write_bytes(raw("research-only/ml-1m/ncf_ml-1m.test.rating.xz"))
    wanted = {f.remote.name: f.remote.pin.digest for f in catalog.entry("ml-1m-ncf").files}
    assert digest_of(file, "git-blob") == wanted["ml-1m.test.rating"]


@real
def test_ml_1m_from_its_real_rows_reads_double_colons(offline):
    """A ratings.dat in the official layout: real users, items and ratings, another time column."""
    rows = np.load(REAL / "research-only/ml-1m/ml-1m_uir_chron.npz")
    columns = (rows["user"], rows["item"], rows["rating"], 978_300_000 + rows["chron_rank"].astype(int))
    text = "".join(f"{u}::{i}::{r}::{t}\n" for u, i, r, t in zip(*(c.tolist() for c in columns), strict=True))
    (offline / "ml-1m").mkdir(parents=True)
    (offline / "ml-1m" / "ratings.dat").write_text(text)
    with pytest.raises(UserError, match="other content"):
        load("ml-1m")
    split = load("ml-1m", consent=Consent(unverified=True))
    assert not split.source.verified
    assert "not verified" in split.warnings[0]
    assert [split.facts[k] for k in ("users", "items", "interactions")] == [6040, 3706, 1_000_209]
    assert (
        load("ml-1m", Protocol(min_rating=4), consent=Consent(unverified=True)).facts["interactions"] == 575_281
    )  # as published
    assert load("ml-1m", Protocol(min_rating=3), consent=Consent(unverified=True)).facts["items"] == 3_628
    with pytest.raises(UserError, match="other content"):
        load("ml-1m")  # consent is asked for every time


@real
def test_filmtrust_has_no_order_and_three_pairs_rated_twice(offline):
    lay_out(offline, "filmtrust", {"ratings.txt": "research-only/filmtrust/ratings.txt.xz"})
    with pytest.raises(UserError, match="leave-random-one-out"):
        load("filmtrust", consent=Consent(unverified=True))
    split = load("filmtrust", Protocol("leave-random-one-out"), consent=Consent(unverified=True))
    assert split.facts["duplicates_dropped"] == 3
    assert split.facts["rows_read"] == 35_497


@real
def test_msweb_is_unpinned_and_read_from_its_own_format(offline):
    lay_out(offline, "msweb", {"anonymous-msweb.data": "redistributable/msweb/anonymous-msweb.data.xz"})
    with pytest.raises(UserError, match="accept-unpinned"):
        load("msweb", Protocol("leave-random-one-out"))
    split = load("msweb", Protocol("leave-random-one-out"), consent=Consent(accept_unpinned=True))
    assert not split.source.verified
    assert [split.facts[k] for k in ("users", "items", "rows_read")] == [32_711, 285, 98_654]


@real
def test_hetrec_in_crlf_with_a_header(offline):
    content = raw("research-only/hetrec2011-lastfm-2k/user_artists.dat.xz")
    (offline / "hetrec2011-lastfm-2k").mkdir(parents=True)
    (offline / "hetrec2011-lastfm-2k" / "user_artists.dat").write_bytes(content)
    split = load("hetrec2011-lastfm-2k", Protocol("ratio"), consent=Consent(unverified=True))
    assert [split.facts[k] for k in ("users", "items", "rows_read")] == [1892, 17_632, 92_834]
