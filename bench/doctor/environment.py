"""Python, the packages around it, and the code itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from bench import ROOT, SHADOWED
from bench.doctor import INSTALL, OK, PROBLEM, WARNING, Found

LEAST = (3, 11)
MOST = 5  # packages that a line names
EXTRAS = {"cluster": "distributed", "tune": "optuna", "baselines": "sklearn", "formats": "h5py"}
"""Of each extra of pyproject.toml a module that it brings."""


def python(found: tuple[int, ...] = tuple(sys.version_info[:3])) -> Found:
    """Whether Python is new enough."""
    said = f"Python {'.'.join(map(str, found))} ({sys.executable})"
    if found < LEAST:
        return Found(PROBLEM, said, "install Python 3.11 or later and run `make install PYTHON=python3.11`")
    return Found(OK, said)


def environment() -> Found:
    """Whether this is the project's own environment."""
    own = ROOT / ".venv"
    if own.is_dir() and Path(sys.prefix).resolve() == own.resolve():
        return Found(OK, f"the project's own environment, {own}")
    kind = "no environment of its own" if sys.prefix == sys.base_prefix else "another environment"
    return Found(WARNING, f"{sys.prefix} is {kind}, not {own}", INSTALL)


def packages() -> Found:
    """Whether another distribution's packages stand before those of the project."""
    if not SHADOWED:
        return Found(OK, f"bench, datasets and recmodels are those of {ROOT}")
    name, place = next(iter(SHADOWED.items()))
    folder = None if place is None else place.parent
    said = f"`{name}` is {place or 'nowhere'}, not {ROOT / name}, so that nothing but this command runs"
    if folder is not None and folder in [Path(one).resolve() for one in _python_path()]:
        return Found(PROBLEM, said, f"take {folder} out of PYTHONPATH")
    if folder is not None and folder == Path.cwd():
        return Found(PROBLEM, said, "start in another folder")
    return Found(PROBLEM, said, INSTALL)


def _python_path() -> list[str]:
    return [one for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if one]


def dependencies() -> Found:
    """Whether what running needs is installed."""
    pins = _pins()
    missing = [name for name in pins if _installed(name) is None]
    if missing:
        said = f"{_some(missing)} {'is' if len(missing) == 1 else 'are'} not installed in {sys.prefix}"
        return Found(PROBLEM, said, INSTALL)
    return Found(OK, f"all {len(pins)} packages of requirements.lock are installed")


def lock() -> Found:
    """Whether versions are those of the lock file; builds of one version, as +cpu and +cu126, go together."""
    found = {name: (_installed(name), pin) for name, pin in _pins().items()}
    drifted = [f"{name} {have} ({pin} there)" for name, (have, pin) in found.items() if have not in (None, pin)]
    if drifted:
        fix = ".venv/bin/python -m pip install -r requirements.lock"
        return Found(WARNING, f"other versions than requirements.lock pins: {_some(drifted)}", f"run `{fix}`")
    return Found(OK, "versions are those of requirements.lock")


def torch() -> Found:
    """Whether the build of torch can use the GPU that is here; read from its file, without importing it."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return Found(PROBLEM, "torch is not installed", INSTALL)
    text = (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8")
    cuda = re.search(r"^cuda\b.*= *['\"]([\d.]+)['\"]", text, re.M)
    build, gpus = (f"CUDA {cuda[1]}" if cuda else "the CPU alone"), _gpus()
    said = f"torch {_installed('torch') or '?'} is built for {build}"
    if gpus and not cuda:
        fix = "for --device cuda install the build that pytorch.org names, with .venv/bin/python -m pip"
        return Found(WARNING, f"{said}, and there is a GPU ({gpus[0]})", fix)
    return Found(OK, f"{said}; GPUs: {', '.join(gpus) or 'none'}")


def _gpus() -> list[str]:
    """The GPUs that NVIDIA's own program lists; none where it is not installed or finds none."""
    if shutil.which("nvidia-smi") is None:
        return []
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return re.findall(r"^GPU \d+: (.*?)(?: \(UUID.*)?$", done.stdout, re.M)


def extras() -> Found:
    """Which optional packages are here."""
    missing = [name for name, module in EXTRAS.items() if find_spec(module) is None]
    if not missing:
        return Found(OK, "all extras are installed")
    return Found(OK, f"without the extras {', '.join(missing)}; `.venv/bin/python -m pip install -e '.[{missing[0]}]'`")


def code() -> Found:
    """Whether runs can say which code made them."""
    from bench.runs.provenance import committed

    found = committed()
    if found["commit"] is None:
        return Found(WARNING, "no commit is known, so that runs name none", "install git, and clone the project by it")
    if found["dirty"]:
        return Found(WARNING, "code has uncommitted changes, which every table from now on says", "commit them")
    return Found(OK, f"commit {str(found['commit'])[:12]}")


def plugins() -> Found:
    """Whether installed plug-ins can be used."""
    from recmodels.plugins import complaints

    said = list(complaints())
    if said:
        return Found(WARNING, said[0].rstrip("."), "mend or uninstall it; other names are not affected")
    return Found(OK, "no installed plug-in is broken")


def _pins() -> dict[str, str]:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    return dict(_pinned(text))


def _pinned(text: str) -> Iterator[tuple[str, str]]:
    for name, pin in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.M):
        yield name, pin.partition("+")[0]


def _installed(name: str) -> str | None:
    try:
        return version(name).partition("+")[0]
    except PackageNotFoundError:
        return None


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + more
