"""The cluster gives what one machine gives, whatever dies: a real scheduler and real workers over TCP."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from bench.runs.cluster import _start
from datasets.errors import UserError
from tests.cluster_processes import ROOT, Cluster

pytest.importorskip("distributed")

GRID = ("uniform", "popularity", "inbatch:negatives=all", "--seeds", "3", "--set", "patience=60", "--set", "epochs=60")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        made = Cluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.close()


def start(data: Path, results: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bench", "compare", *words, "--dataset", str(data), "--results", str(results)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    stdout, stderr = process.communicate(timeout=200)
    return process.returncode, stdout, stderr


def wait_for_runs(client: subprocess.Popen[str], results: Path, count: int) -> None:
    deadline = time.monotonic() + 180
    while len(list(results.glob("*/[!.]*/run.json"))) < count:
        assert client.poll() is None, finish(client)
        assert time.monotonic() < deadline, "the runs do not come"
        time.sleep(0.02)


@pytest.mark.long
def test_results_are_those_of_one_machine_though_a_worker_and_the_client_are_killed(
    cluster: Cluster, ratings_csv: Path, tmp_path: Path
) -> None:
    local = start(ratings_csv, tmp_path / "local", *GRID, "--jobs", "1")
    cluster.worker("first")
    cluster.worker("second")
    client = start(ratings_csv, tmp_path / "cluster", *GRID, "--cluster", cluster.address)
    wait_for_runs(client, tmp_path / "cluster", 1)
    cluster.stop("first")  # kill -9 in the middle of a run
    wait_for_runs(client, tmp_path / "cluster", 3)
    client.kill()
    client.communicate()
    cluster.worker("third")
    code, _, stderr = finish(start(ratings_csv, tmp_path / "cluster", *GRID, "--cluster", cluster.address))
    assert code == 0, stderr
    left = int(stderr.split(" of 9 runs to do")[0].rpartition("\n")[2])
    assert 0 < left <= 6
    assert finish(local)[0] == 0
    files = [path.relative_to(tmp_path / "local") for path in (tmp_path / "local").rglob("users.parquet")]
    assert len(files) == 9
    for file in files:
        assert (tmp_path / "local" / file).read_bytes() == (tmp_path / "cluster" / file).read_bytes()
    assert not (cluster.folder / "nothing-here").exists()  # the data came from the client, not from a shared folder
    cluster.stop("second", "third")


@pytest.mark.slow
def test_a_run_that_kills_three_workers_is_failed(cluster: Cluster, ratings_csv: Path, tmp_path: Path) -> None:
    from distributed import Client

    endless = ("uniform", "--seeds", "1", "--set", "epochs=1000000", "--set", "patience=1000000")
    cluster.worker("worker-0")
    client = start(ratings_csv, tmp_path, *endless, "--cluster", cluster.address, "--format", "json")
    deadline = time.monotonic() + 120
    with Client(cluster.address, set_as_default=False) as watcher:
        deaths = 0
        while client.poll() is None:
            assert time.monotonic() < deadline, f"still tried after {deaths} deaths"
            for address, keys in watcher.processing().items():
                if keys:  # a death counts only if the run was still there, so that more than three may be needed
                    cluster.worker(f"worker-{deaths + 1}")
                    cluster.stop(watcher.scheduler_info(n_workers=-1)["workers"][address]["name"])
                    deaths += 1
            time.sleep(0.1)
    assert deaths >= 3
    code, table, stderr = finish(client)
    assert code == 1, stderr
    assert "3 worker processes died at this run" in table
    cluster.stop(*cluster.workers)


@pytest.mark.slow
def test_a_run_that_takes_too_long_is_failed_and_ctrl_c_keeps_what_is_done(
    cluster: Cluster, ratings_csv: Path, tmp_path: Path
) -> None:
    cluster.worker("only")
    words = ("toppop", "uniform", "--set", "epochs=1000000", "--set", "patience=1000000", "--seeds", "2")
    client = start(ratings_csv, tmp_path, *words, "--cluster", cluster.address, "--cell-timeout", "2")
    wait_for_runs(client, tmp_path, 2)
    client.send_signal(signal.SIGINT)
    code, _, stderr = finish(client)
    assert code == 130
    assert "Stopped; finished runs are kept" in stderr
    assert "failed: timed out: not done after 2 s (cell-timeout)" in stderr
    assert "Traceback" not in stderr
    cluster.stop("only")


@pytest.mark.slow
def test_workers_that_are_not_as_they_must_be_are_refused(cluster: Cluster, ratings_csv: Path, tmp_path: Path) -> None:
    from distributed import Client

    def refused(*words: str) -> str:
        code, stdout, stderr = finish(start(ratings_csv, tmp_path / "results", "uniform", "--quiet", *words))
        assert (code, stdout, stderr.count("\n")) == (2, "", 1), stderr
        return stderr

    other = tmp_path / "other"
    for package in ("bench", "datasets", "recmodels"):
        shutil.copytree(ROOT / package, other / package, ignore=shutil.ignore_patterns("__pycache__"))
    spec = other / "bench" / "runs" / "spec.py"
    spec.write_text(spec.read_text().replace("CODE_PROTOCOL = ", "CODE_PROTOCOL = 100 + "))
    cluster.worker("other", source=other)
    sentence = refused("--cluster", cluster.address)
    assert "has code protocol 10" in sentence
    assert "install the same commit and the same requirements.lock there" in sentence
    cluster.stop("other")
    cluster.worker("wide", "--nthreads", "2")
    assert "has 2 threads and must have one" in refused("--cluster", cluster.address)
    cluster.stop("wide")
    cluster.worker("plain")
    assert "offers a GPU; start those that have one with --resources GPU=1" in refused(
        "--cluster", cluster.address, "--device", "cuda"
    )
    with Client(cluster.address, set_as_default=False) as watcher:
        (address,) = watcher.scheduler_info(n_workers=-1)["workers"]
    assert "(what listens there is a worker)" in refused("--cluster", address)
    assert "No Dask scheduler answers at tcp://127.0.0.1:9" in refused("--cluster", "tcp://127.0.0.1:9")
    cluster.stop("plain")


def test_a_cluster_file_names_a_class_its_options_and_the_number_of_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    fake = ModuleType("dask_jobqueue")
    fake.SLURMCluster = lambda **options: SimpleNamespace(options=options, scale=made.append)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dask_jobqueue", fake)
    path = tmp_path / "slurm.toml"
    path.write_text('kind = "slurm"\nworkers = 16\n[options]\nqueue = "long"\ncores = 1\nmemory = "4GB"\n')
    assert _start(path).options == {"queue": "long", "cores": 1, "memory": "4GB"}
    assert made == [16]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('kind = "slrum"', "Did you mean 'slurm'?"),
        ('kind = "slurm"\nworker = 3', "Did you mean 'workers'?"),
        ('kind = "slurm"\nworkers = 0', "workers must be a positive whole number"),
        ('kind = "kubernetes"', "install it with `pip install dask-kubernetes`"),
        ("kind = ", "is not TOML"),
    ],
)
def test_mistakes_in_a_cluster_file_are_named(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text(text)
    with pytest.raises(UserError) as found:
        _start(path)
    assert sentence in str(found.value)
