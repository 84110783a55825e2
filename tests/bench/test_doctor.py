"""Every bad condition that `bench doctor` looks for, made for real."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.doctor import OK, PROBLEM, WARNING, Found, environment, folders, machine
from bench.doctor.report import checks, examine
from bench.doctor.report import code as exit_code
from tests.inputs.asking import ask

ROOT = Path(__file__).parents[2]


def process(*words: str, switches: tuple[str, ...] = (), **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *switches, "-m", "bench", *words]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **more}, capture_output=True, text=True)


def line(done: subprocess.CompletedProcess[str], check: str) -> str:
    assert "Traceback" not in done.stderr, done.stderr
    return next(line for line in done.stdout.splitlines() if line.split()[1] == check)


def state(found: Found, *words: str) -> str:
    """The state, if what was found and the fix have these words in them."""
    for word in words:
        assert word in found.said + found.fix
    assert (found.fix == "") == (found.state == OK)
    return found.state


def test_every_check_is_a_line_with_a_fix_where_one_is_needed() -> None:
    lines = examine("synthetic")
    assert [line.check for line in lines] == [*checks("synthetic", None)]
    for one in lines:
        assert one.state in (OK, WARNING, PROBLEM)
        assert one.said
        assert (one.fix == "") == (one.state == OK), one
        assert "could not be looked at" not in one.said, one


def test_the_command_says_it_in_lines_and_in_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is wrong is exit code 1, and only that."""
    monkeypatch.setenv("BENCH_DATA", str(tmp_path))  # other tests may have fetched into the shared one
    told = ask("doctor --format json")  # offline, and ml-100k was never fetched
    found = {one["check"]: one for one in json.loads(told.out)}
    assert told.code == 1
    assert found["sources"]["state"] == PROBLEM
    assert "bench data export" in found["sources"]["fix"]
    monkeypatch.setenv("BENCH_RESULTS", "/dev/null/x")
    told = ask("doctor --dataset synthetic")
    (results,) = (one for one in told.out.splitlines() if one.split()[1] == "results")
    assert told.code == 1
    assert results.startswith(PROBLEM)
    assert "BENCH_RESULTS" in results


def test_warnings_alone_are_no_failure() -> None:
    problems = [one for one in examine("synthetic") if one.state == PROBLEM]
    others = [one for one in examine("synthetic") if one.state != PROBLEM]
    assert exit_code(others) == 0
    assert exit_code([*others, *problems]) == int(bool(problems))


def test_a_shadowed_package_is_named_with_what_puts_it_there(tmp_path: Path) -> None:
    """By the program and not `python -m`, which looks into the current folder first."""
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").write_text("raise SystemExit('this is another package')\n")
    program = "import sys; sys.argv = ['bench', *sys.argv[1:]]; from bench.__main__ import main; main()"
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-P", "-c", program]
    done = subprocess.run([*command, "doctor"], env=env, cwd=tmp_path, capture_output=True, text=True)
    found = line(done, "packages")
    assert done.returncode == 1
    assert found.startswith(PROBLEM)
    assert f"take {tmp_path} out of PYTHONPATH" in found
    done = subprocess.run([*command, "list"], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert "`datasets` resolves to" in done.stderr
    assert "`bench doctor`" in done.stderr


def test_a_python_without_the_packages_says_so_and_what_to_do() -> None:
    done = process("doctor", switches=("-S",))
    assert done.returncode == 1
    assert line(done, "dependencies").startswith(PROBLEM)
    assert "make install" in line(done, "dependencies")
    assert line(done, "results").startswith(PROBLEM)  # which needs them; the others are looked at all the same
    assert line(done, "variables").startswith(OK)
    done = process("list", switches=("-S",))
    assert done.returncode == 2
    assert "typer is not installed for" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_ascii_locale_and_few_file_handles_are_told(tmp_path: Path) -> None:
    limited = f"ulimit -n 40; exec {sys.executable} -m bench doctor --dataset synthetic"
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "BENCH_DATA_MIROR": "x"}
    env = {**os.environ, **ascii_only, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", limited], cwd=tmp_path, env=env, capture_output=True, text=True)
    handles = next(one for one in done.stdout.splitlines() if " file handles " in one)
    assert handles.startswith(PROBLEM)
    assert "ulimit -n 1024" in handles
    assert line(done, "locale").startswith(WARNING)
    assert "PYTHONUTF8=1" in line(done, "locale")
    assert "did you mean BENCH_DATA_MIRROR?" in line(done, "variables")


def test_file_handles_without_a_limit_or_with_enough_are_well() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = 4096 if hard == resource.RLIM_INFINITY else min(hard, 4096)
    resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))
    try:
        assert state(machine.handles(), f"{enough:,}") == (OK if enough >= 1024 else PROBLEM)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_little_memory_is_told() -> None:
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20));"
        "from bench.doctor import machine; print(*machine.memory(), sep='|')"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("problem|")
    assert "a worker takes 520 MB" in done.stdout


def test_an_old_python_is_a_problem() -> None:
    assert state(environment.python((3, 9, 2)), "Python 3.9.2", "3.11") == PROBLEM
    assert state(environment.python()) == OK


def test_another_version_than_the_lock_file_pins_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "requirements.lock").write_text("numpy==1.0.1\ntyper==0.0.1\nno-such-package==1\n", encoding="utf-8")
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    assert state(environment.lock(), "numpy ", "(1.0.1 there)", "typer ", "requirements.lock") == WARNING
    assert state(environment.dependencies(), "no-such-package is not installed", "make install") == PROBLEM
    assert state(environment.environment(), "make install") == WARNING
    assert "no-such-package" not in environment.lock().said


def test_a_build_for_the_cpu_beside_a_gpu_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for NVIDIA's program, and for the file in which torch says what it was built for."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1)'\n", encoding="utf-8")
    program.chmod(0o755)
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").touch()
    built = tmp_path / "torch" / "version.py"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    built.write_text("cuda: Optional[str] = None\n", encoding="utf-8")
    assert state(environment.torch(), "NVIDIA H100 80GB HBM3", "the CPU alone", "pytorch.org") == WARNING
    built.write_text("cuda: Optional[str] = '12.6'\n", encoding="utf-8")
    assert state(environment.torch(), "CUDA 12.6", "GPUs: NVIDIA H100") == OK
    program.unlink()
    built.write_text("cuda: Optional[str] = None\n", encoding="utf-8")
    assert state(environment.torch(), "the CPU alone") == OK


def test_a_checkout_without_git_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert state(environment.code(), "no commit", "git") == WARNING


def test_runs_of_an_old_schema_are_told_with_the_command_that_removes_them(tmp_path: Path) -> None:
    for name, text in (("0" * 16, '{"schema": 1}'), ("1" * 16, "no json")):
        (tmp_path / "ml-100k" / name).mkdir(parents=True)
        (tmp_path / "ml-100k" / name / "run.json").write_text(text, encoding="utf-8")
    found = folders.store(str(tmp_path))
    assert state(found, "1 of schema 1", "1 of no readable schema", f"bench runs rm {'0' * 16}") == PROBLEM
    assert ask(f"runs rm {'0' * 16} {'1' * 16} --results {tmp_path}").code == 0
    assert state(folders.store(str(tmp_path)), "0 runs") == OK
    (tmp_path / "ml-100k" / ".writing-x").mkdir()
    assert state(folders.leftovers(str(tmp_path)), "bench runs gc") == WARNING


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes where nobody may")
def test_a_folder_that_may_not_be_written_is_a_problem(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ValueError, match="cannot be written"):
        folders.runs(str(tmp_path / "store"))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="/proc is a folder that nobody can write to")
def test_a_file_system_that_cannot_be_written_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {one.check: one for one in examine("synthetic", "/proc/self/store")}
    assert found["results"].state == PROBLEM
    assert "BENCH_RESULTS" in found["results"].fix
    monkeypatch.setenv("BENCH_DATA", "/proc/self/data")
    assert {one.check: one for one in examine("synthetic")}["data"].state == PROBLEM


def test_a_disk_with_less_than_is_needed_is_told(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    assert state(folders.disk(str(tmp_path), least=free * 4, comfortable=free * 8), "bench data gc") == PROBLEM
    assert state(folders.disk(str(tmp_path), least=0, comfortable=free * 8), "TMPDIR") == WARNING
    assert state(folders.disk(str(tmp_path), least=0, comfortable=0)) == OK


def test_sources_that_do_not_answer_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy at which nobody listens stands for a network without a way out."""
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "nothing"))
    monkeypatch.setenv("BENCH_OFFLINE", "0")
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert state(folders.sources("ml-100k"), "could not be reached", "HTTPS_PROXY") == PROBLEM
    monkeypatch.setenv("BENCH_DATA_MIRROR", str(tmp_path / "nowhere"))
    found = {one.check: one for one in examine("ml-100k")}["sources"]
    assert (found.state, "BENCH_DATA_MIRROR" in found.said) == (PROBLEM, True)
    (tmp_path / "mirror" / "ml-100k").mkdir(parents=True)
    monkeypatch.setenv("BENCH_DATA_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("BENCH_OFFLINE", "1")
    assert state(folders.sources("ml-100k"), "is not there") == PROBLEM
    (tmp_path / "mirror" / "ml-100k" / "ml-100k.zip").touch()
    assert state(folders.sources("ml-100k"), "the mirror's ml-100k/ml-100k.zip") == OK
