"""What is said where no terminal shows a bar."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from bench.cli import progress
from bench.runs.runner import Task
from bench.runs.spec import Data, RunSpec, parse_cell
from datasets import Consent, Protocol


def test_a_line_tells_run_epoch_and_metric_however_long_an_epoch_takes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.1)
    spec = RunSpec(Data("toy", "0" * 64, {}), parse_cell("uniform:epochs=7", {"select_on": "hr@20"}), 3)
    task = Task(spec, Protocol(), Consent())
    other = replace(task, spec=replace(spec, seed=4))
    with progress.RunProgress(2) as shown:
        shown.started(task)
        shown.started(other)
        shown.epoch(task, 5, 0.25, 0.125)
        deadline = time.monotonic() + 20
        while "epoch 5" not in (said := capsys.readouterr().err) and time.monotonic() < deadline:
            time.sleep(0.05)
    assert "[0/2] uniform:epochs=7 seed 3 epoch 5, loss 0.2500, validation hr@20 0.1250" in said
    assert "uniform:epochs=7 seed 4 loading" in said
    time.sleep(0.3)
    assert capsys.readouterr().err == "", "nothing is said once it is over"
