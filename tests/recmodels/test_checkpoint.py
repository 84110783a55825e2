"""A training that goes on from a checkpoint comes to the same bits, whatever was going on when it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.runs.spec import incompatibility, parse_cell
from datasets import Interactions
from recmodels.checkpoint import Checkpoint
from recmodels.contracts.small import features
from recmodels.diagnostics import Diagnostics
from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.objective import objective
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Training
from recmodels.settings import Settings
from recmodels.trainer import Epoch, Trained, train
from tests.conftest import make_interactions

ROOT = Path(__file__).parents[2]
SETTINGS = {"epochs": "4", "embedding_size": "4", "negatives": "4", "batch_size": "64", "patience": "3"}


class Ended(Exception):
    """What ends a training in these tests."""


def trained(
    text: str, checkpoint: Checkpoint | None = None, on_epoch: Callable[[Epoch], None] = lambda epoch: None
) -> tuple[Trained, dict[str, float]]:
    cell, data = parse_cell(text, SETTINGS), make_interactions()
    assert cell.sampler is not None
    assert cell.loss is not None
    settings = Settings(**cell.settings)  # type: ignore[arg-type]
    times = np.arange(len(data), dtype=np.int64)
    held_out = np.zeros(len(data), bool)
    held_out[np.unique(data.users[::-1], return_index=True)[1]] = True
    known = Interactions(data.users, data.items, data.n_users, data.n_items, times)
    shown, held = known.take(~held_out[::-1]), known.take(held_out[::-1])
    training = Training(shown, epochs=settings.epochs, negatives=held, features=features(known.n_items))
    sampler = SAMPLERS[cell.sampler.name](training, **cell.sampler.parameters)
    observer = Diagnostics(training, every=2)
    done = train(
        training,
        held,
        model=lambda *given: MODELS[cell.model.name](*given, **cell.model.parameters),
        sampler=sampler,
        objective=objective(cell.loss.name, cell.loss.parameters),
        settings=settings,
        seed=5,
        device=torch.device("cpu"),
        on_epoch=on_epoch,
        observer=observer,
        checkpoint=checkpoint,
    )
    clocks = ("draws_per_second", "sampling_share", "diagnostics_share")
    return done, {name: value for name, value in observer.summary().items() if name not in clocks}


def same(one: Trained, other: Trained) -> None:
    for mine, its in zip(one.tables, other.tables, strict=True):
        assert (mine is None and its is None) or mine.equal(its)  # type: ignore[union-attr, arg-type]
    assert [epoch[:3] for epoch in one.history] == [epoch[:3] for epoch in other.history]
    assert one.best_epoch == other.best_epoch


def cells() -> list[str]:
    """Every sampler, loss and model, the first with a loss that it goes with and the others with any sampler."""
    samplers = [f"{sampler}:{SMALL[sampler]}" if sampler in SMALL else sampler for sampler in SAMPLERS]
    found = [next(text for loss in ("bpr", *LOSSES) if _fits(text := f"{sampler}+{loss}")) for sampler in samplers]
    found += [next(text for sampler in ("uniform", *SAMPLERS) if _fits(text := f"{sampler}+{loss}")) for loss in LOSSES]
    found += [f"uniform+bpr+{model}" for model in MODELS]
    found += [
        "memory:mode=frozen+softmax",
        "srns:memory=8+bpr+sasrec",
        "dns+bpr+gru4rec",
        "uniform:optimizer=sgd,momentum=0.9",
    ]
    return [*dict.fromkeys(found)]


SMALL = {"ance": "depth=10", "srns": "memory=8", "dns-mn": "pool=12"}


def _fits(text: str) -> bool:
    return incompatibility(parse_cell(text, SETTINGS)) is None


@pytest.mark.parametrize("text", cells())
def test_what_ended_goes_on_to_the_same_bits(text: str, tmp_path: Path) -> None:
    whole, noted = trained(text)

    def end(epoch: Epoch) -> None:
        if epoch.epoch == 2:
            raise Ended

    with pytest.raises(Ended):
        trained(text, Checkpoint(tmp_path / "state", every=0), end)
    told: list[int] = []
    again, notes = trained(text, Checkpoint(tmp_path / "state", every=0), lambda epoch: told.append(epoch.epoch))
    same(again, whole)
    assert again.history[0].seconds != whole.history[0].seconds
    assert told == [epoch.epoch for epoch in whole.history]
    assert notes == noted
    once_more, _ = trained(text, Checkpoint(tmp_path / "state", every=0))
    same(once_more, whole)
    assert [epoch.seconds for epoch in once_more.history] == [epoch.seconds for epoch in again.history]


PROGRAM = """
import os, signal, sys
sys.path.insert(0, "tests/recmodels")
from test_checkpoint import *
torch.set_num_threads(1)
path, where, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
count = [0]
def deadly(module, name):
    before = getattr(module, name)
    def killed(*given, **named):
        count[0] += 1
        if count[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return before(*given, **named)
    setattr(module, name, killed)
if where == "step":
    from recmodels.updates import Updates as module
    deadly(module, "step")
else:
    deadly({"fsync": os, "replace": Path}[where], where)
trained("dns+bpr+sasrec", Checkpoint(path / "state", every=0))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("where", "number", "files"), [("step", 20, 1), ("fsync", 3, 2), ("replace", 1, 1)])
def test_a_process_killed_within_a_step_or_while_it_writes_loses_an_epoch_at_most(
    where: str, number: int, files: int, tmp_path: Path
) -> None:
    program = [sys.executable, "-c", PROGRAM, str(tmp_path), where, str(number)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert len([*tmp_path.iterdir()]) == files
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        went_on: list[Any] = []
        again, _ = trained("dns+bpr+sasrec", Checkpoint(tmp_path / "state", every=0), went_on.append)
        same(again, trained("dns+bpr+sasrec")[0])
    finally:
        torch.set_num_threads(before)


def test_what_is_no_checkpoint_of_this_kind_is_no_checkpoint(tmp_path: Path) -> None:
    text, path = "uniform+bpr", tmp_path / "there" / "state"
    whole, _ = trained(text, Checkpoint(path, every=0))
    content = path.read_bytes()
    for wrong in (b"", content[:200], content[:-1], content[:-1] + bytes([content[-1] ^ 1]), b"x" + content):
        path.write_bytes(wrong)
        fresh, _ = trained(text, Checkpoint(path, every=1e9))
        same(fresh, whole)
        assert path.read_bytes() == wrong
    path.write_bytes(content)
    assert trained(text, Checkpoint(path, every=0))[0].history == whole.history


def test_short_trainings_write_nothing_and_a_folder_that_cannot_be_written_ends_none(tmp_path: Path) -> None:
    trained("uniform+bpr", Checkpoint(tmp_path / "state"))
    assert [*tmp_path.iterdir()] == []
    (tmp_path / "file").write_text("")
    trained("uniform+bpr", Checkpoint(tmp_path / "file" / "state", every=0))
