"""Fetching under attack: a server that lies, breaks off, hangs or swaps content never leaves a bad file behind."""

import hashlib
import http.server
import io
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import pytest

from datasets import catalog, download, fetch, load
from datasets.archive import extract
from datasets.catalog import Entry, File, Pin, Remote, Wheel
from datasets.errors import UserError
from datasets.fetch import Consent, cached, obtain

BODY = b"".join(b"%d\t%d\t%d\t%d\n" % (u, i, 1 + i % 5, 100 + i) for u in range(1, 50) for i in range(1, 40))
SHA = hashlib.sha256(BODY).hexdigest()
ROOT = Path(__file__).parents[2]


def packed(member: str = "set/u.data", content: bytes = BODY) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)
    return buffer.getvalue()


class Server(http.server.ThreadingHTTPServer):
    """Serves what its `answers` say; a callable is handed the request handler. Counts the requests."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked, self.ranges = {}, [], []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"

    def handle_error(self, request, client_address):
        """A client that goes away is what these tests are about."""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        self.server.ranges.append(self.headers.get("Range"))
        answer = self.server.answers.get(self.path.strip("/"), 404)
        if callable(answer):
            answer(self)
        elif isinstance(answer, int):
            self.send_error(answer)
        else:
            self.reply(answer)

    def reply(self, body: bytes, length: int | None = None, headers=()) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def data_home(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "home"))
    monkeypatch.delenv("BENCH_OFFLINE", raising=False)
    monkeypatch.delenv("BENCH_DATA_MIRROR", raising=False)
    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    return tmp_path / "home"


def entry_of(*urls: str, archive: Remote | None = None, size: int | None = len(BODY), pin: Pin | None = None, **more):
    remote = Remote("u.data", urls, pin or Pin("sha256", SHA), size)
    file = File(remote, archive, "set/u.data", more.pop("wheel", None), "data")
    fields = {name: None for name in ("users", "items", "interactions")}
    return Entry(
        "toy", "Toy", (file,), "delimited", {}, "time", more.pop("manual", ""), **fields, counts="recounted",
        feedback="", licence="", citation="", traps=(),
    )  # fmt: skip


def get(entry, consent: Consent | None = None, said=None):
    consent = consent or Consent()
    report = download.silent if said is None else lambda what, done, total: said.append(what) if total == 0 else None
    return obtain(entry, entry.files[0], consent, report)


def left_behind(home: Path) -> list[str]:
    """Everything in the data folder that a later run could take for data."""
    return [str(p) for p in (home / "raw").rglob("*") if p.is_file()]


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


def test_redirects_are_followed_and_loops_are_not(server):
    def away(handler):
        handler.send_response(302)
        handler.send_header("Location", "/real")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def around(handler):
        handler.send_response(302)
        handler.send_header("Location", "/around")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server.answers |= {"away": away, "real": BODY, "around": around}
    assert get(entry_of(server.url("around"), server.url("away"))).source == server.url("away")


def test_an_unreachable_host_and_a_bad_certificate_fail_over_fast(server):
    server.answers["u.data"] = BODY
    said: list[str] = []
    start = time.monotonic()
    plain_text_server = server.url("x").replace("http:", "https:")
    kept = get(
        entry_of("http://127.0.0.1:9/x", "https://no.such.host.invalid/x", plain_text_server, server.url("u.data")),
        said=said,
    )
    assert kept.source == server.url("u.data")
    assert time.monotonic() - start < 8
    assert sum("could not be reached" in line for line in said) == 2
    assert any("speaks no TLS" in line for line in said)


def test_a_certificate_that_does_not_verify_is_not_trusted(server, tmp_path):
    if not shutil.which("openssl"):
        pytest.skip("needs openssl to make a certificate")
    names = [str(tmp_path / "key"), str(tmp_path / "certificate")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    subprocess.run([*command, "-keyout", names[0], "-out", names[1]], check=True, capture_output=True)
    secure = Server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(names[1], names[0])
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    threading.Thread(target=secure.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    secure.answers["u.data"] = server.answers["u.data"] = BODY
    said: list[str] = []
    try:
        kept = get(entry_of(secure.url("u.data").replace("http:", "https:"), server.url("u.data")), said=said)
    finally:
        secure.shutdown()
        secure.server_close()
    assert kept.source == server.url("u.data")
    assert secure.asked == []
    assert any("certificate that could not be verified" in line for line in said)


BAD_ARCHIVES = {
    "a bomb": lambda: packed(content=b"\0" * (len(BODY) * 50)),
    "a member that leads outside": lambda: packed(member="../set/u.data"),
    "no such member": lambda: packed(member="other"),
    "half an archive": lambda: packed()[:-40],
    "no archive at all": lambda: b"<html>gone</html>",
}


@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_a_bad_archive_is_refused(server, data_home, case):
    server.answers["toy.zip"] = BAD_ARCHIVES[case]()
    archive = Remote("toy.zip", (server.url("toy.zip"),), None, None)
    with pytest.raises(UserError, match="archive that was refused"):
        get(entry_of(archive=archive))
    assert left_behind(data_home) == []
    assert not (data_home.parent / "set").exists()


def test_any_archive_will_do_when_the_member_is_the_right_one(server, data_home):
    server.answers["toy.zip"] = packed("renamed-folder/set/u.data")
    kept = get(entry_of(archive=Remote("toy.zip", (server.url("toy.zip"),), Pin("sha256", "0" * 64), None)))
    assert kept.verified
    assert kept.path.read_bytes() == BODY
    assert not list(data_home.rglob("toy.zip"))


@pytest.mark.parametrize("kind", ["symlink", "hardlink", "absolute", "device"])
def test_links_and_devices_are_not_unpacked(tmp_path, kind):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    info = tarfile.TarInfo("/u.data" if kind == "absolute" else "u.data")
    info.type = {"symlink": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE, "device": tarfile.CHRTYPE}.get(
        kind, tarfile.REGTYPE
    )
    info.linkname = str(secret)
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(info)
    with pytest.raises(UserError, match=r"not a regular file|no members|outside"):
        extract(tmp_path / "a.tar", "u.data", tmp_path / "out", 1000)
    zipped = zipfile.ZipInfo("u.data")
    zipped.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(zipped, str(secret))
    with pytest.raises(UserError, match="not a regular file"):
        extract(tmp_path / "a.zip", "u.data", tmp_path / "out", 1000)


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".gz", ".bz2", ".xz", "nested"])
def test_every_kind_of_archive_gives_its_member(tmp_path, suffix):
    import bz2
    import gzip
    import lzma

    path, member = tmp_path / f"a{suffix}", "set/u.data"
    if suffix in (".gz", ".bz2", ".xz"):
        path.write_bytes({".gz": gzip, ".bz2": bz2, ".xz": lzma}[suffix].compress(BODY))
        member = ""
    elif suffix == ".zip":
        path.write_bytes(packed())
    else:
        inner = tmp_path / "inner.tar"
        with tarfile.open(
            inner, "w:" + suffix.removeprefix(".tar").removeprefix(".").removeprefix("nested")
        ) as archive:
            info = tarfile.TarInfo("set/u.data")
            info.size = len(BODY)
            archive.addfile(info, io.BytesIO(BODY))
        path = inner.rename(path)
        if suffix == "nested":
            outer = tmp_path / "outer.zip"
            outer.write_bytes(packed("in/inner.tar", path.read_bytes()))
            path, member = outer, "inner.tar!set/u.data"
    extract(path, member, tmp_path / "out", len(BODY))
    assert (tmp_path / "out").read_bytes() == BODY
    with pytest.raises(UserError, match="unpacks to more"):
        extract(path, member, tmp_path / "out", len(BODY) - 1)


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


@pytest.mark.parametrize("version", ['"same"', '"changed"', None])
def test_a_big_download_resumes_where_it_broke_off(server, monkeypatch, version):
    monkeypatch.setattr(download, "RESUME_BYTES", 1000)
    monkeypatch.setattr(download, "BLOCK_BYTES", 500)
    first = True

    def breaking(handler):
        nonlocal first
        wanted, condition = handler.headers.get("Range"), handler.headers.get("If-Range")
        if first:
            first = False
            headers = [("ETag", '"same"')] if version else []
            return handler.reply(BODY[:5000], length=len(BODY), headers=headers)
        if wanted and condition == version:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            handler.send_response(206)
            handler.send_header("Content-Length", str(len(BODY) - start))
            handler.send_header("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
            handler.end_headers()
            return handler.wfile.write(BODY[start:])
        return handler.reply(BODY)

    server.answers["u.data"] = breaking
    assert get(entry_of(server.url("u.data"))).path.read_bytes() == BODY
    assert server.ranges == [None, "bytes=5000-" if version else None]


CHILD = """
import sys; sys.path.insert(0, {root!r})
from tests.datasets.test_fetch import entry_of, get
from datasets import cache, catalog, fetch, load
print(get(entry_of(sys.argv[1])).sha256)
"""


def start_child(url: str, code: str = CHILD) -> subprocess.Popen:
    text = code.format(root=str(ROOT))
    return subprocess.Popen(
        [sys.executable, "-c", text, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_twenty_processes_download_once(server):
    def slowly(handler):
        time.sleep(0.5)
        handler.reply(BODY)

    server.answers["u.data"] = slowly
    children = [start_child(server.url("u.data")) for _ in range(20)]
    for child in children:
        out, err = child.communicate(timeout=120)
        assert out.strip() == SHA, err
    assert server.asked == ["/u.data"]


@pytest.mark.parametrize("resumable", [False, True])
def test_kill_9_in_the_middle_of_a_download(server, data_home, monkeypatch, resumable):
    begun, slow = threading.Event(), True

    def dripping(handler):
        nonlocal slow
        start = int((handler.headers.get("Range") or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(BODY) - start))
        handler.send_header("ETag", '"v1"')
        handler.end_headers()
        if slow:
            handler.wfile.write(BODY[:9000])
            handler.wfile.flush()
            begun.set()
            time.sleep(20)
        handler.wfile.write(BODY[start:])

    server.answers["u.data"] = dripping
    child = start_child(server.url("u.data"))
    assert begun.wait(60)
    part = data_home / "partial" / "toy-u.data" / "u.data.part"
    while not part.exists():
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    assert left_behind(data_home) == []
    slow = False
    part.write_bytes(BODY[:9000])  # what is flushed by the system when is not ours to say
    if resumable:
        monkeypatch.setattr(download, "RESUME_BYTES", 1000)
    assert get(entry_of(server.url("u.data"))).path.read_bytes() == BODY
    assert server.ranges == [None, "bytes=9000-" if resumable else None]


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
from tests.datasets.test_fetch import entry_of, get, Remote
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


@pytest.mark.parametrize("call", [1, 4, 9])
def test_kill_9_in_the_middle_of_a_cache_write(tmp_path, call):
    path = tmp_path / "a.tsv"
    path.write_bytes(BODY)
    expected = hashlib.sha256(BODY).hexdigest()
    code = """
import os, signal, sys
import numpy as np
from datasets import load
calls, real = 0, np.save
def dying(file, array, **more):
    global calls
    calls += 1
    if calls == {call}:
        open(file, 'wb').write(b'half'); os.kill(os.getpid(), signal.SIGKILL)
    real(file, array, **more)
np.save = dying
load(sys.argv[1])
""".replace("{call}", str(call))
    child = start_child(str(path), code.replace("{", "{{").replace("}", "}}"))
    _, err = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL, err
    split = load(str(path))
    assert split.source.sha256 == expected
    assert split.facts["interactions"] == 49 * 39
    assert load(str(path)).train.sha256() == split.train.sha256()
    assert not list((tmp_path / "home").rglob(".*.tmp"))


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
