"""Runs tasks on a Dask cluster; takes and gives what `bench.runs.executor.run_local` does.

No shared file system: the client sends the prepared split once, workers give back results, the client alone writes the
store. Whoever can reach a Dask scheduler can run code on its workers: use trusted networks, or Dask's TLS settings.
"""

from __future__ import annotations

import asyncio
import hashlib
import platform
import queue
import socket
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit
from uuid import uuid4

from bench import ROOT
from bench.files import JSONObject, parsed
from bench.runs.claims import Claims
from bench.runs.executor import POLL, Listener, timed_out
from bench.runs.runner import Task, TimedOut, execute
from bench.runs.spec import CODE_PROTOCOL
from bench.runs.store import Result, failed
from datasets.errors import UserError, unknown
from datasets.split import Split

if TYPE_CHECKING:
    from distributed import Client, Future

Epoch = tuple[str, int, float, float]  # run id, epoch, loss, validation metric

TOPIC = "contrarec-epochs"
DEATHS = 3  # so many workers may die at one run before it is failed
KINDS = {
    "slurm": ("dask_jobqueue", "SLURMCluster"),
    "pbs": ("dask_jobqueue", "PBSCluster"),
    "kubernetes": ("dask_kubernetes.operator", "KubeCluster"),
}
PATIENCE = 10.0  # seconds for a scheduler to answer
GREETING = b"pickle-protocol"  # every Dask server begins with what it can do
MOST = 4096  # bytes in which it says so
PRINTED = "as `make cluster` or `dask scheduler` prints it"
START = "start some with `dask worker ADDRESS --nthreads 1`"


def run_on_cluster(
    claims: Claims,
    listener: Listener,
    *,
    cluster: str,
    split: Split,
    gpu: bool = False,
    timeout: float | None = None,
) -> Generator[tuple[Task, Result], None, None]:
    """Run on the workers of `cluster`, a scheduler's address or a TOML file; as many runs in flight as workers.

    A worker that dies has its run done by another; a run at which three died is failed. With `gpu`, only workers
    started with `--resources GPU=1` are used. `timeout` is looked at after each epoch.

    Raises:
        UserError: no cluster, no worker, or a worker with other code or other versions than this process.
    """
    with _connected(cluster) as client:
        yield from _Dispatcher(client, cluster, claims, listener, split, gpu, timeout).results()


class _Dispatcher:
    """One command's use of a cluster."""

    def __init__(
        self,
        client: Client,
        cluster: str,
        claims: Claims,
        listener: Listener,
        split: Split,
        gpu: bool,
        timeout: float | None,
    ) -> None:
        self.client, self.cluster, self.claims, self.listener = client, cluster, claims, listener
        self.split, self.gpu, self.timeout = split, gpu, timeout
        self.data: Future[Result] | None = None
        self.running: dict[Future[Result], Task] = {}
        self.deaths: Counter[str] = Counter()
        self.counted: set[object] = set()  # keys of runs whose death the scheduler told of
        self.events: queue.SimpleQueue[tuple[str, int, float, float] | JSONObject | Future[Result]] = (
            queue.SimpleQueue()
        )
        self.checked: set[str] = set()

    def results(self) -> Generator[tuple[Task, Result], None, None]:
        self.client.subscribe_topic(TOPIC, lambda event: self.events.put(event[1]))
        workers, looked = self._workers(), time.monotonic()
        if self.gpu and not workers:
            raise UserError(
                f"No worker of {self.cluster} offers a GPU; start those that have one with --resources GPU=1."
            )
        try:
            while True:
                while len(self.running) < workers and (task := self.claims.take()) is not None:
                    self._submit(task)
                    self.listener.started(task)
                if not self.running and not len(self.claims):
                    return
                try:
                    event = self.events.get(timeout=POLL)
                except queue.Empty:
                    event = None
                if time.monotonic() - looked > POLL:
                    workers, looked = self._workers(), time.monotonic()
                if isinstance(event, tuple):
                    run_id, epoch, loss, valid = event
                    for task in self.running.values():
                        if task.spec.run_id == run_id:
                            self.listener.epoch(task, epoch, loss, valid)
                elif isinstance(event, dict):
                    self._count_deaths(event)
                elif event in self.running:
                    task = self.running.pop(event)
                    result = self._result(event, task)
                    if result is None:
                        self._submit(task)
                    else:
                        self.listener.finished(task, result)
                        yield task, result
        finally:
            self.client.cancel(list(self.running))

    def _submit(self, task: Task) -> None:
        future = self.client.submit(
            _run,
            task,
            self._scattered(),
            identity(),
            self.timeout,
            key=f"{task.spec.run_id}-{uuid4().hex}",
            resources={"GPU": 1} if self.gpu else None,
            pure=False,
        )
        self.running[future] = task
        future.add_done_callback(self.events.put)

    def _scattered(self) -> Future[Result]:
        """The split on the cluster; sent again when all workers that held it have died."""
        while self.data is None or self.data.status not in ("finished", "pending"):
            try:
                self.data = self.client.scatter(self.split, broadcast=True, hash=False)
            except (OSError, TimeoutError, KeyError, ValueError):  # a worker died while the data were on their way
                time.sleep(POLL)
                self._workers()
        return self.data

    def _count_deaths(self, event: JSONObject) -> None:
        """One more death for the runs of a worker that the scheduler lost; a run at which too many died is ended."""
        if event.get("action") != "remove-worker" or event.get("expected"):
            return
        for future, task in self.running.items():
            if future.key in event["processing-tasks"]:
                self.counted.add(future.key)
                self.deaths[task.spec.run_id] += 1
                if self.deaths[task.spec.run_id] == DEATHS:
                    self.client.cancel([future], force=True)

    def _result(self, future: Future[Result], task: Task) -> Result | None:
        """What the run came to; None where it must run again, because its worker or its data are gone."""
        from distributed import KilledWorker

        if future.status == "finished":
            result: Result = future.result()
            return result
        error = future.exception() if future.status == "error" else None
        if error is not None and not isinstance(error, KilledWorker):
            raise UserError(f"A worker of {self.cluster} could not take a run: {_said(error)}; {SAME}.") from error
        if error is None:
            self.deaths[task.spec.run_id] += future.key not in self.counted
            if self.deaths[task.spec.run_id] < DEATHS:
                return None
        return failed(f"{DEATHS} worker processes died at this run; out of memory is the usual cause")

    def _workers(self) -> int:
        """How many workers can take runs of this command, all of the same code and versions as this process.

        Raises:
            UserError: the scheduler is gone, or a worker is not as it must be.
        """
        try:
            known = self.client.scheduler_info(n_workers=-1)["workers"]
        except (OSError, TimeoutError, RuntimeError) as error:
            raise UserError(
                f"The scheduler at {self.cluster} is gone; finished runs are kept, and the same command goes on "
                "from there once it is back."
            ) from error
        for address in sorted({*known} - self.checked):
            if known[address]["nthreads"] != 1:
                raise UserError(
                    f"Worker {address} has {known[address]['nthreads']} threads and must have one, for runs share a "
                    "process's random state; start it with --nthreads 1."
                )
            found = self.client.run(identity, workers=[address], on_error="return")
            if address not in found or isinstance(found[address], OSError):
                continue  # gone again
            if isinstance(found[address], Exception):
                raise UserError(f"Worker {address} cannot run contrarec: {_said(found[address])}; {SAME}.")
            _refuse_mismatch(address, found[address])
            self.checked.add(address)
            self.client.subscribe_topic(address, lambda event: self.events.put(event[1]))
        return sum(1 for worker in known.values() if not self.gpu or worker["resources"].get("GPU"))


SAME = "install the same commit and the same requirements.lock there"


@cache
def identity() -> dict[str, str]:
    """What must be equal on client and workers for their results to be equal: source code and versions."""
    digest = hashlib.sha256()
    for package in ("bench", "datasets", "recmodels"):
        for path in sorted((ROOT / package).rglob("*")):
            if path.suffix in (".py", ".toml"):
                digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return {
        "code protocol": str(CODE_PROTOCOL),
        "source code": digest.hexdigest()[:12],
        "python": ".".join(platform.python_version_tuple()[:2]),
        **{name: version(name).partition("+")[0] for name in ("torch", "numpy")},  # +cpu and +cu126 go together
    }


def _refuse_mismatch(address: str, theirs: dict[str, str]) -> None:
    for name, mine in identity().items():
        if theirs.get(name) != mine:
            raise UserError(f"Worker {address} has {name} {theirs.get(name)} and this client {mine}; {SAME}.")


def _run(task: Task, split: Split, expected: dict[str, str], timeout: float | None) -> Result:
    """What a worker does with a task; it may have joined after the others were looked at."""
    from distributed import get_worker

    worker = get_worker()
    if identity() != expected:
        _refuse_mismatch(worker.address, identity())
    began = time.monotonic()

    def on_epoch(*epoch: float) -> None:
        worker.log_event(TOPIC, (task.spec.run_id, *epoch))
        if timeout is not None and time.monotonic() - began > timeout:
            raise TimedOut(timed_out(timeout))

    return execute(task, on_epoch, split)


def _said(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0].rstrip(".")


@contextmanager
def _connected(cluster: str) -> Iterator[Client]:
    """A client of the scheduler at an address, or of a cluster that a TOML file describes and that ends with it.

    Raises:
        UserError: Dask is not installed, or nobody answers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise UserError("A cluster needs Dask; install it with `pip install dask distributed`.") from error
    started = _start(Path(cluster)) if cluster.endswith(".toml") else None
    if started is None:
        _knock(cluster)
    try:
        try:
            client = Client(started if started is not None else cluster, timeout=10, set_as_default=False)
        except (OSError, ValueError) as error:
            raise _nobody(cluster, error) from error
        try:
            try:
                client.wait_for_workers(1, timeout=None if started is not None else 60)
            except TimeoutError as error:
                raise UserError(f"The scheduler at {cluster} has no workers; {START}.") from error
            yield client
        finally:
            client.close()
    finally:
        if started is not None:
            started.close()


def _knock(address: str) -> None:
    """Refuse an address at which nobody listens or something else than Dask does, for which Dask would wait on.

    A Dask server speaks first: the length of its greeting in eight bytes, and then the greeting.

    Raises:
        UserError: it is no address, nobody listens, or what listens says something else or nothing.
    """
    place = urlsplit(address if "://" in address else f"tcp://{address}")
    try:
        port = place.port
    except ValueError:
        port = None
    if place.scheme not in ("tcp", "tls") or place.hostname is None or port is None:
        raise UserError(f"'{address}' is no address of a Dask scheduler; give tcp://HOST:PORT of one, {PRINTED}.")
    try:
        with socket.create_connection((place.hostname, port), timeout=PATIENCE) as connection:
            if place.scheme == "tcp" and GREETING not in _heard(connection):  # with TLS the client would speak first
                raise ConnectionError("what listens there is something else")
        if place.scheme == "tcp" and (kind := asyncio.run(_kind(f"tcp://{place.netloc}"))) != "Scheduler":
            raise ConnectionError(f"what listens there is a {kind.lower()}")
    except OSError as error:
        raise _nobody(address, error) from error


async def _kind(address: str) -> str:
    """Whether a Dask server is a scheduler, a worker or a nanny."""
    from distributed import rpc

    async with asyncio.timeout(PATIENCE), rpc(address) as server:
        return str((await server.identity())["type"])


def _heard(connection: socket.socket) -> bytes:
    """The first bytes that come within `PATIENCE` seconds, until they hold Dask's greeting or are too many for one."""
    heard, until = b"", time.monotonic() + PATIENCE
    while GREETING not in heard and len(heard) < MOST:
        connection.settimeout(max(0.01, until - time.monotonic()))
        try:
            more = connection.recv(MOST)
        except TimeoutError:
            break
        if not more:
            break
        heard += more
    return heard


def _nobody(address: str, error: Exception) -> UserError:
    why = getattr(error, "strerror", None) or str(error).partition("\n")[0].rstrip(".")
    return UserError(f"No Dask scheduler answers at {address} ({why}); give tcp://HOST:PORT of one, {PRINTED}.")


class Started(Protocol):
    """A cluster that a TOML file describes."""

    def scale(self, workers: int) -> None:
        """Ask for so many workers."""

    def close(self) -> None:
        """End it."""


def _start(path: Path) -> Started:
    """The cluster of a TOML file: `kind`, `workers`, and a table `options` for the class that Dask has for it.

    Raises:
        UserError: a word or kind nobody knows, or its package is not installed.
    """
    words = parsed(path)
    for word in words:
        if word not in ("kind", "workers", "options"):
            raise unknown(f"key of a cluster file ({path})", word, ("kind", "workers", "options"))
    kind, workers, options = words.get("kind"), words.get("workers", 1), words.get("options", {})
    if kind not in KINDS:
        raise unknown("kind of cluster", str(kind), KINDS)
    if type(workers) is not int or workers < 1 or not isinstance(options, dict):
        raise UserError(f"{path}: workers must be a positive whole number, and options a table.")
    module, name = KINDS[kind]
    try:
        make: Callable[..., Started] = getattr(import_module(module), name)
    except ImportError as error:
        package = module.partition(".")[0].replace("_", "-")
        raise UserError(f"kind = {kind} needs {package}; install it with `pip install {package}`.") from error
    try:
        made = make(**options)
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: {name} refuses these options: {error}.") from error
    made.scale(workers)
    return made
