"""What only a process meets: signals at any moment, output that cannot be written, limits, locales, a dead cluster."""

from __future__ import annotations

import http.server
import os
import shlex
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import interrupted
from tests.inputs.asking import ask, check

ROOT = Path(__file__).parents[2]
QUICK = "--set epochs=2 --set embedding_size=8 --seeds 1 --jobs 1"
slow = pytest.mark.slow
posix = pytest.mark.skipif(not Path("/proc").exists(), reason="uses /proc and /dev/full")


def shell(command: str, here: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of a shell in which `bench` is this source tree's."""
    bench = f'bench() {{ {shlex.quote(sys.executable)} -m bench "$@"; }}; cd {shlex.quote(str(here))}; '
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        ["bash", "-c", bench + command], capture_output=True, text=True, timeout=120, env=variables, check=False
    )


def one_sentence(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert "Traceback" not in done.stderr, done.stderr
    assert "Exception ignored" not in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


@posix
def test_output_that_cannot_be_written_is_a_sentence(here: Path) -> None:
    done = shell("bench list >/dev/full", here)
    assert done.returncode == 2
    one_sentence(done, "No space left on device")
    done = shell("bench list >&-", here)
    assert (done.returncode, done.stderr) == (0, "")
    done = shell("bench list 2>&- | head -1; exit ${PIPESTATUS[0]}", here)
    assert done.returncode in (0, 141)  # head may have read it all
    assert done.stderr == ""
    done = shell("bench list | head -1; exit ${PIPESTATUS[0]}", here)
    assert done.returncode in (0, 141)
    assert done.stderr == ""
    done = shell("bench compare uniform --dataset nope.csv 2>&-", here)
    assert (done.returncode, done.stdout) == (2, "")
    done = shell("bench compare uniform --dataset nope.csv 2>/dev/full", here)
    assert (done.returncode, done.stdout) == (2, "")


@posix
def test_full_disks_are_a_sentence(here: Path) -> None:
    done = shell(
        f"bench compare toppop --dataset ratings.csv {QUICK} --quiet --results store --out /dev/full --format json",
        here,
    )
    assert done.returncode == 2
    one_sentence(done, "/dev/full", "--out")


@slow
def test_an_ascii_locale_reads_and_prints(here: Path) -> None:
    (here / "größe.csv").write_bytes((here / "ratings.csv").read_bytes())
    for locale in ({"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}):
        done = shell(f"bench compare toppop --dataset größe.csv {QUICK} --quiet --results store", here, **locale)
        assert done.returncode == 0, (locale, done.stderr)
        assert "toppop" in done.stdout
        done = shell("bench list samplers", here, **locale)
        assert done.returncode == 0, (locale, done.stderr)
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = shell("bench compare toppop --dataset größe.csv --seeds 1 --quiet --results other", here, **locale)
    assert done.returncode == 2
    one_sentence(done, "PYTHONUTF8=1")


@posix
@pytest.mark.parametrize("limit", ["-n 20", "-n 12", "-v 400000", "-f 1"])
def test_a_tight_limit_is_a_sentence(limit: str, here: Path) -> None:
    done = shell(
        f"ulimit -S {limit}; bench compare uniform --dataset ratings.csv {QUICK} --quiet --results store", here
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in (1, 2) if limit != "-n 20" else done.returncode in (0, 1, 2), done.stderr
    if done.returncode:
        assert done.stderr.strip(), "a reason"


AT = "import os, runpy, signal, sys, threading, bench\n"
AT += "threading.Timer({0}, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
RUN = "sys.argv = ['bench', *sys.argv[1:]]\nrunpy.run_module('bench', run_name='__main__', alter_sys=True)\n"


def interruptible() -> None:
    """Heed Ctrl-C, which a shell lets its background jobs ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@posix
@pytest.mark.parametrize(
    ("after", "epochs"),
    [(0.02, 9), (0.1, 9), (0.3, 9), (0.8, 400), *(pytest.param(*x, marks=slow) for x in ((1.6, 400), (4.0, 1500)))],
)
def test_ctrl_c_at_any_moment_says_nothing_but_what_is_kept(after: float, epochs: int, here: Path) -> None:
    words = f"compare uniform --dataset ratings.csv --set epochs={epochs} --set patience={epochs} --seeds 2 --jobs 1"
    words += " --results store"
    done = subprocess.run(
        [sys.executable, "-c", AT.format(after) + RUN, *words.split()],
        capture_output=True, text=True, timeout=120, cwd=here, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
        preexec_fn=interruptible,
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert "KeyboardInterrupt" not in done.stderr, done.stderr


@posix
def test_ctrl_c_in_a_callback_of_the_import_system_is_not_lost() -> None:
    """What is raised in a callback of a weak reference is printed and dropped."""
    code = "def cb(reference):\n    os.kill(os.getpid(), signal.SIGINT)\n"
    space: dict[str, Any] = {"os": os, "signal": signal}
    exec(compile(code, "<frozen importlib._bootstrap>", "exec"), space)
    before = signal.signal(signal.SIGINT, interrupted)
    try:
        things = [threading.Event()]
        reference = weakref.ref(things[0], space["cb"])
        with pytest.raises(KeyboardInterrupt):
            things.clear() or time.sleep(5)
        assert reference() is None
    finally:
        signal.signal(signal.SIGINT, before)


@posix
@pytest.mark.parametrize("after", [0.3, *(pytest.param(after, marks=slow) for after in (1.0, 2.0))])
def test_ctrl_c_of_a_terminal_reaches_the_workers_too(after: float, here: Path) -> None:
    words = "compare uniform popularity --dataset ratings.csv --set epochs=300 --set patience=300 --seeds 2 --jobs 2"
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", *words.split(), "--results", "store"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True, preexec_fn=interruptible,
    )  # fmt: skip
    time.sleep(after)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    starting = "Traceback" in stderr and f"{ROOT}/bench/__main__.py" not in stderr  # Python itself, before our own code
    assert starting or process.returncode in (130, -signal.SIGINT), stderr  # the latter even before that
    assert starting or "Traceback" not in stderr, stderr
    assert not list((here / "store").glob("*/.writing-*"))
    assert all('"failure": null' in path.read_text() for path in (here / "store").glob("*/*/run.json"))


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("tcp://127.0.0.1:9", ["tcp://127.0.0.1:9", "dask scheduler"]),
        ("foo", ["foo", "tcp://HOST:PORT"]),
        ("127.0.0.1:9", ["127.0.0.1:9"]),
        ("tcp://no.such.host.invalid:8786", ["no.such.host.invalid"]),
        ("nope.toml", ["nope.toml"]),
    ],
)
def test_a_cluster_that_is_not_there_is_a_sentence_at_once(address: str, words: list[str], here: Path) -> None:
    began = time.monotonic()
    check(ask(f"compare uniform --dataset ratings.csv {QUICK} --quiet --cluster {address} --results store"), 2, words)
    assert time.monotonic() - began < 40


@pytest.mark.parametrize("said", [None, b"", b"SSH-2.0-OpenSSH_9.6\r\n"], ids=["nothing", "it hangs up", "ssh"])
def test_what_listens_and_is_no_scheduler_is_a_sentence(
    said: bytes | None, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.runs import cluster
    from datasets.errors import UserError

    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    heard = threading.Event()

    def answer() -> None:
        with listener.accept()[0] as end:
            if said is None:
                heard.wait(30)
            else:
                end.sendall(said)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer, daemon=True).start()
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(UserError, match=f"No Dask scheduler answers at {address} .*something else"):
            cluster._knock(address)
        heard.set()


@pytest.mark.slow
def test_a_web_server_in_place_of_a_scheduler_is_a_sentence(here: Path) -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address, began = f"tcp://127.0.0.1:{server.server_address[1]}", time.monotonic()
        answer = ask(f"compare uniform --dataset ratings.csv {QUICK} --quiet --cluster {address} --results store")
        took = time.monotonic() - began
        server.shutdown()
    check(answer, 2, [address, "something else", "dask scheduler"])
    assert took < 40
