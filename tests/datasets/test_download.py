"""Downloads that are sent on, fail over, break off, resume, or are killed."""

import os
import shutil
import signal
import ssl
import subprocess
import threading
import time

import pytest

from datasets import download
from tests.served import BODY, SHA, Server, entry_of, get, left_behind, start_child

pytestmark = pytest.mark.usefixtures("data_home")


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


@pytest.mark.slow
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
