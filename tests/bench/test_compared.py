"""What `bench.compare` gives, in a notebook and to pandas, LaTeX and matplotlib."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import pytest

import bench
import datasets
import recmodels
from bench import api, compared
from bench.cli import progress
from bench.comparison.nouns import Comparison
from bench.runs.runner import Task
from bench.runs.spec import Data, RunSpec, parse_cell
from bench.tables.render import render
from datasets import Consent, Protocol
from datasets.errors import UserError
from tests.doctested import check, check_exported


@pytest.mark.parametrize("package", [recmodels, datasets], ids=lambda package: package.__name__)
def test_every_exported_docstring_has_an_example_that_comes_out(package: ModuleType) -> None:
    check_exported(package)


@pytest.mark.slow
def test_every_public_docstring_has_an_example_that_comes_out() -> None:
    check(api)  # trains what the others look at
    data = "synthetic:users=200,items=100,density=0.1"
    found = bench.compare(["toppop", "random"], dataset=data, seeds=2, jobs=1, quiet=True)
    check(compared, found=found)
    check_exported(bench, found=found)
    assert isinstance(found, Comparison)
    plain = Comparison(**{name: getattr(found, name) for name in Comparison.__dataclass_fields__})
    for view in ("rows", "letters"):
        assert found.to_latex(view) == render(plain, "latex", view=view)
    frame = found.to_frame()
    assert frame["ndcg@10"].tolist() == [values["ndcg@10"].mean for values in found.values]
    pairs = found.pairs()
    assert pairs["difference"].tolist() == [pair.difference for pair in found.pairs]
    assert pairs["p_adjusted"].tolist() == [pair.p_adjusted for pair in found.pairs]
    assert str(found) == render(plain)
    assert found.plot("pairs")._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(UserError, match="Did you mean 'pairs'"):
        found.plot("pair")


def test_a_notebook_has_one_text_of_what_is_running(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a stand-in for IPython, which keeps what it is told to show."""
    shown: list[str] = []
    display = ModuleType("IPython.display")
    said: list[str] = []

    def displayed(data: dict[str, str], raw: bool, display_id: bool = False) -> SimpleNamespace:
        said.append(data["text/plain"])
        return SimpleNamespace(update=lambda data, raw: shown.append(data["text/plain"]))

    display.display = displayed  # type: ignore[attr-defined]
    ipython = ModuleType("IPython")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(progress, "OFTEN", 0.05)
    spec = RunSpec(Data("toy", "0" * 64, {}), parse_cell("uniform:epochs=7", {}), 3)
    task = Task(spec, Protocol(), Consent())
    with progress.RunProgress(2) as told:
        told.say("2 runs to do.")
        told.started(task)
        told.started(replace(task, spec=replace(spec, seed=4)))
        told.epoch(task, 5, 0.25, 0.125)
        until = time.monotonic() + 20
        while not any("epoch 5" in text for text in shown) and time.monotonic() < until:
            time.sleep(0.02)
    assert "[0/2] uniform:epochs=7 seed 3 epoch 5" in shown[-1]
    assert said == ["", "2 runs to do."]
    ipython.get_ipython = lambda: SimpleNamespace()  # type: ignore[attr-defined]  # a terminal
    assert progress.RunProgress(2).notebook is None
