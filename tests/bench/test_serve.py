"""`bench report --watch`: one page for this machine, made anew when what it shows changes, and nothing else."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from threading import Thread

import pytest

from bench.report.serve import Server, server
from datasets.errors import UserError


class Kept:
    """What is shown, and how often the page was made."""

    def __init__(self) -> None:
        self.state, self.made = "1", 0

    def look(self) -> str:
        if self.state == "none":
            raise UserError("None of the 3 runs is done yet.")
        return self.state

    def make(self, state: str) -> str:
        self.made += 1
        return f"<p>page {state}</p>"


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def serving(kept: Kept) -> Iterator[Server]:
    with server(0, kept.look, kept.make) as one:
        thread = Thread(target=one.serve_forever, args=(0.01,))
        thread.start()
        yield one
        one.shutdown()
        thread.join()


def ask(one: Server, path: str, method: str = "GET", host: str | None = None) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", one.server_port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{one.server_port}")
    connection.putheader("Content-Length", "0")
    connection.endheaders()
    with connection.getresponse() as response:
        text = response.read().decode()
    connection.close()
    return response.status, text


def test_the_page_is_made_anew_when_its_state_changes_and_not_before(serving: Server, kept: Kept) -> None:
    assert ask(serving, "/state") == (200, "1")
    assert kept.made == 0
    assert [ask(serving, "/") for _ in range(2)] == [(200, "<p>page 1</p>")] * 2
    assert kept.made == 1
    kept.state = "2"
    assert ask(serving, "/") == (200, "<p>page 2</p>")
    assert ask(serving, "/", "HEAD") == (200, "")
    kept.state = "none"
    assert ask(serving, "/") == (503, "None of the 3 runs is done yet.")


@pytest.mark.parametrize(
    "path", ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/x", "/?a", "/state/"]
)
def test_no_path_leads_to_a_file(serving: Server, path: str) -> None:
    assert ask(serving, path) == (404, "There is one page here, at /.")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_it_only_reads(serving: Server, method: str) -> None:
    assert ask(serving, "/", method)[0] == 501


def test_a_name_that_leads_here_from_afar_is_refused(serving: Server) -> None:
    assert ask(serving, "/", host="example.org")[0] == 403
    assert ask(serving, "/", host=f"localhost:{serving.server_port}")[0] == 200


def test_it_listens_on_this_machine_alone_and_a_taken_port_is_said(serving: Server, kept: Kept) -> None:
    assert serving.socket.getsockname()[0] == "127.0.0.1"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UserError, match=r"cannot be used .*; give another --port, or 0 for any"):
            server(taken.getsockname()[1], kept.look, kept.make)
