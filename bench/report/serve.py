"""`bench report --watch`: the page on this machine alone, made anew when what it shows has changed; read-only."""

from __future__ import annotations

import http.server
from collections.abc import Callable
from typing import NamedTuple

from datasets.errors import UserError

HOST = "127.0.0.1"


class Shown(NamedTuple):
    """A page, and what it shows in a word: another word, another page."""

    state: str
    html: str


Look = Callable[[], str]
"""What the page would show now, in a word; cheap, for it is asked for every few seconds."""

Make = Callable[[str], str]
"""The page, which is given the word that it shows."""


class Server(http.server.ThreadingHTTPServer):
    """Answers `/` with the page and `/state` with the word; it knows no files, so that no path leads to one."""

    daemon_threads = True

    def __init__(self, port: int, look: Look, make: Make) -> None:
        super().__init__((HOST, port), Handler)
        self.look, self.make = look, make
        self._shown: Shown | None = None

    @property
    def url(self) -> str:
        """Where a browser finds the page."""
        return f"http://{HOST}:{self.server_port}/"

    def answer(self, path: str) -> tuple[int, str, str]:
        """Status, kind and text for a path."""
        try:
            state = self.look()
            if path == "/state":
                return 200, "text/plain", state
            if path != "/":
                return 404, "text/plain", "There is one page here, at /."
            if self._shown is None or self._shown.state != state:
                self._shown = Shown(state, self.make(state))
            return 200, "text/html", self._shown.html
        except UserError as error:
            return 503, "text/plain", str(error)


class Handler(http.server.BaseHTTPRequestHandler):
    """GET and HEAD of this machine; whatever else is refused."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with a body."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Answer without it."""
        self._answer(body=False)

    def _answer(self, body: bool) -> None:
        port = self.server.server_port
        if self.headers.get("Host") not in (f"{HOST}:{port}", f"localhost:{port}"):  # a name that leads here from afar
            status, kind, text = 403, "text/plain", "This page is for the machine it is made on."
        else:
            status, kind, text = self.server.answer(self.path)
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing: the terminal is for what changed."""


def server(port: int, look: Look, make: Make) -> Server:
    """The server, listening.

    Raises:
        UserError: the port is taken or may not be used.
    """
    try:
        return Server(port, look, make)
    except OSError as error:
        raise UserError(f"Port {port} cannot be used ({error.strerror}); give another --port, or 0 for any.") from error
