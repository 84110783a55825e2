"""A server that answers as it is told, and a catalogue entry whose file it has."""

import hashlib
import http.server
import io
import subprocess
import sys
import zipfile
from pathlib import Path

from datasets import download
from datasets.catalog import Entry, File, Pin, Remote
from datasets.fetch import Consent, obtain

BODY = b"".join(b"%d\t%d\t%d\t%d\n" % (u, i, 1 + i % 5, 100 + i) for u in range(1, 50) for i in range(1, 40))
SHA = hashlib.sha256(BODY).hexdigest()
ROOT = Path(__file__).parents[1]


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


CHILD = """
import sys; sys.path.insert(0, {root!r})
from tests.served import entry_of, get
from datasets import cache, catalog, fetch, load
print(get(entry_of(sys.argv[1])).sha256)
"""


def start_child(url: str, code: str = CHILD) -> subprocess.Popen:
    text = code.format(root=str(ROOT))
    return subprocess.Popen(
        [sys.executable, "-c", text, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
