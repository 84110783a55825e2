"""`bench data …`: what each command prints, and an export that serves a machine without a network."""

import hashlib
import json
import lzma
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli.data import app
from datasets import load
from datasets.consent import Consent
from datasets.errors import UserError

REAL = Path(__file__).parents[3] / "shared" / "data" / "research-only"
real = pytest.mark.skipif(not REAL.is_dir(), reason="needs the shared real data")


@pytest.fixture(autouse=True)
def data_home(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "home"))
    monkeypatch.setenv("BENCH_OFFLINE", "1")
    monkeypatch.delenv("BENCH_DATA_MIRROR", raising=False)
    return tmp_path / "home"


@pytest.fixture
def u_data(tmp_path):
    path = tmp_path / "downloads" / "anything.bin"
    path.parent.mkdir()
    path.write_bytes(lzma.decompress((REAL / "ml-100k" / "u.data.xz").read_bytes()))
    return path


def run(*words: str):
    result = CliRunner().invoke(app, list(words))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_list_prints_an_array():
    rows = json.loads(run("list", "--format", "json").stdout)
    assert {"ml-100k", "amazon-2014:<category>", "yelp"} <= {row["name"] for row in rows}
    assert {row["name"]: row["status"] for row in rows}["yelp"] == "to be downloaded by hand"
    assert "ml-100k" in run("list").stdout


def test_info_prints_licence_citation_and_where_to_get_it():
    result = run("info", "ml-1m")
    assert "Harper" in result.stdout
    assert "no redistribution" in result.stdout
    assert "files.grouplens.org" in result.stdout
    assert "Not measured" in result.stderr


@real
def test_info_measures_the_leakage_of_the_split(u_data):
    run("add", "ml-100k", str(u_data))
    facts = json.loads(run("info", "ml-100k", "--format", "json").stdout)
    assert facts["split"]["test_rows_with_later_training"] > 900
    facts = json.loads(run("info", "ml-100k", "--split", "global-time", "--format", "json").stdout)
    assert facts["split"]["test_rows_with_later_training"] == 0


@real
def test_add_recognises_a_file_by_its_checksum_and_verify_finds_damage(u_data, data_home):
    assert "\tverified" in run("add", "ml-100k", str(u_data)).stdout
    assert run("verify").exit_code == 0
    file = next(data_home.glob("raw/*/u.data"))
    file.write_bytes(file.read_bytes()[:-1])
    result = run("verify", "ml-100k")
    assert result.exit_code == 1
    assert "DAMAGED" in result.stdout


@real
def test_export_carries_a_set_over_an_air_gap(u_data, tmp_path, monkeypatch):
    run("add", "ml-100k", str(u_data))
    digest = hashlib.sha256(u_data.read_bytes()).hexdigest()
    result = run("export", str(tmp_path / "stick"), "ml-100k")
    assert (tmp_path / "stick" / digest / "u.data").is_file()
    assert digest in result.stdout
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "other machine"))
    monkeypatch.setenv("BENCH_DATA_MIRROR", (tmp_path / "stick").as_uri())
    split = load("ml-100k")
    assert (split.source.source, split.source.verified) == ("mirror", True)


def test_a_wrong_file_needs_unverified_and_then_every_result_says_so(tmp_path):
    rows = "".join(f"{u}\t{i}\t5\t{100 + i}\n" for u in range(1, 6) for i in range(1, 6))
    wrong = tmp_path / "u.data"
    wrong.write_text(rows)
    with pytest.raises(UserError, match="`unverified`"):
        run("add", "ml-100k", str(wrong))
    assert wrong.is_file()
    assert "NOT verified" in run("add", "ml-100k", str(wrong), "--unverified").stdout
    with pytest.raises(UserError, match="network is switched off"):
        load("ml-100k")
    split = load("ml-100k", consent=Consent(unverified=True))
    assert not split.source.verified
    assert split.source.sha256 == hashlib.sha256(rows.encode()).hexdigest()
    assert "not verified" in split.warnings[0]


def test_mistakes(tmp_path):
    with pytest.raises(UserError, match="Did you mean 'ml-100k'"):
        run("info", "ml-10k")
    with pytest.raises(UserError, match="There is no file"):
        run("add", "ml-100k", str(tmp_path / "none"))
    with pytest.raises(UserError, match="Did you mean 'json'"):
        run("list", "--format", "jsn")
    with pytest.raises(UserError, match="stands for many"):
        load("amazon-2014:<category>")
