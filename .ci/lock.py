"""Pin what is installed, for running (requirements.lock) and for the rest (requirements-dev.lock): `make lock`."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
TOOLS = {"contrarec", "pip", "setuptools", "wheel"}  # not pinned: the project itself, and what a new .venv brings
HEAD = "# Written by `make lock`: what {} needs.\n"


def plain(name: str) -> str:
    """The name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(wanted: list[str]) -> set[str]:
    """The requirements and all that they need here, by plain name."""
    seen: list[tuple[str, set[str]]] = []
    waiting = [(Requirement(text), "") for text in wanted]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = plain(requirement.name)
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError as error:
            raise SystemExit(f"{name} is not installed; run make install-dev, or pip install it into .venv.") from error
        if (name, requirement.extras) not in seen:
            seen.append((name, requirement.extras))
            waiting += [(Requirement(need), e) for need in needs for e in (*requirement.extras, "")]
    return {name for name, _ in seen}


def main() -> None:
    """Write both files."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    running = closure([*project["build-system"]["requires"], *project["project"]["dependencies"]])
    versions = {plain(d.name): f"{d.name}=={d.version.partition('+')[0]}" for d in distributions()}
    pins = [(name, pin) for name, pin in sorted(versions.items()) if name not in TOOLS]
    run = "".join(f"{pin}\n" for name, pin in pins if name in running)
    rest = "".join(f"{pin}\n" for name, pin in pins if name not in running)
    (ROOT / "requirements.lock").write_text(HEAD.format("running") + run, encoding="utf-8")
    text = HEAD.format("working on it") + "-r requirements.lock\n" + rest
    (ROOT / "requirements-dev.lock").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
