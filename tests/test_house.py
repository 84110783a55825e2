"""Where tests stand, what the lock files pin, and what `make` says where it cannot go on."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("bench", "datasets", "recmodels")
# A test file is named after a module or folder of the room whose folder it is in. What is about more than one has a
# theme, and its name stands here.
THEMES = {
    "": "docs every_method examples frozen golden house main_job new_user real_data run_ids slurm",
    "bench": "bench_across chaos data_commands others_files runs sampler_page strong tampering tuning_page",
    "datasets": "",
    "recmodels": "baseline_oracles dens given lazy_adam learned_losses loss_vectors sampler_laws tiny_laws",
}
LONGEST = 400
COLLECTIONS = ("benchmarks", "inputs")  # folders about the whole, whose files are named as they like


def files() -> list[Path]:
    return sorted(path.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("file", [file for file in files() if file.parts[0] not in COLLECTIONS], ids=str)
def test_a_test_file_names_a_module_of_its_room_or_a_theme(file: Path) -> None:
    room, name = file.parent.as_posix().removeprefix("."), file.stem.removeprefix("test_")
    assert room in THEMES, f"tests/{room} is neither a room's folder nor one of {COLLECTIONS}"
    inside = (ROOT / room).rglob("*") if room else ()
    modules = {path.stem for path in inside if path.suffix == ".py" or path.is_dir()}
    assert name in {*modules, *THEMES[room].split()}, f"nothing in {room or 'the project'} is called {name}"


def test_every_theme_has_its_file() -> None:
    known = {(file.parent.as_posix().removeprefix("."), file.stem.removeprefix("test_")) for file in files()}
    assert {(room, theme) for room, themes in THEMES.items() for theme in themes.split()} <= known


@pytest.mark.parametrize("room", [*ROOMS, "tests"])
def test_no_file_is_longer_than_can_be_read_in_one_go(room: str) -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / room).rglob("*.py")}
    assert {str(path): count for path, count in lines.items() if count > LONGEST} == {}


def test_folders_of_tests_shadow_no_room() -> None:
    """Without `__init__.py` they are no packages, and a room of the same name is found before them."""
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def plain(name: str) -> str:
    """The name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return {plain(pin[1]): pin[2] for line in lines if (pin := re.match(r"(.+)==(.+)", line))}


def names(requirements: list[str]) -> set[str]:
    return {re.match(r"[\w-]+", requirement)[0].lower() for requirement in requirements}  # type: ignore[index]


def test_lock_files_pin_what_the_project_names_and_running_needs_no_tools() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    running, rest = pins("requirements.lock"), pins("requirements-dev.lock")
    assert names([*project["project"]["dependencies"], *project["build-system"]["requires"]]) <= set(running)
    assert names(project["dependency-groups"]["dev"]) <= {*running, *rest}
    assert not set(running) & {*rest, "pytest", "mypy", "ruff", "dask", "statsmodels", "scikit-learn"}
    assert "-r requirements.lock" in (ROOT / "requirements-dev.lock").read_text(encoding="utf-8").splitlines()


def test_running_imports_what_requirements_lock_pins_and_nothing_else() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = names([need for needs in project["optional-dependencies"].values() for need in needs])
    text = "".join(path.read_text(encoding="utf-8") for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    imported = set(re.findall(r"^\s*(?:from|import) (?=\S+(?: import | as |$))([a-z]\w*)", text, re.M)) - {*ROOMS}
    known = packages_distributions()  # scikit-learn is imported as sklearn
    imported = {plain(known.get(name, [name])[0]) for name in imported - sys.stdlib_module_names}
    assert "torch" in imported
    assert imported <= {*pins("requirements.lock"), *extras}


def program(path: Path, *lines: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines]) + "\n", encoding="utf-8")
    path.chmod(0o755)
    return path


OLD = ('case "$1" in -V) echo Python 3.9.2;; *) exit 1;; esac',)
NO_VENV = ('case "$2" in *venv*) exit 1;; esac',)


@pytest.mark.parametrize(
    ("python", "df", "said"),
    [
        (None, (), "There is no {python} here; install Python 3.11 or later"),
        (OLD, (), "is Python 3.9.2; install Python 3.11 or later"),
        (NO_VENV, (), "lacks its venv module; install it (Debian and Ubuntu: apt install python3-venv)"),
        (("exit 0",), ("echo head", "echo disk 9 9 20480 9 /"), "There are 20 MB free in "),
    ],
    ids=["no python", "an old python", "no venv", "a full disk"],
)
def test_make_says_what_is_missing_before_it_installs(
    tmp_path: Path, python: tuple[str, ...] | None, df: tuple[str, ...], said: str
) -> None:
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    bin = tmp_path / "bin"
    given = program(bin / "python-here", *python) if python else tmp_path / "python-nowhere"
    if df:
        program(bin / "df", *df)
    path = f"{bin}:/usr/bin:/bin"
    done = subprocess.run(
        ["make", "bench", f"PYTHON={given}"], cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 2
    first, *others = done.stderr.splitlines()
    assert said.format(python=given) in first
    assert [line for line in others if not line.startswith("make")] == []
    assert not (tmp_path / ".venv").exists()
