"""What a process holds at most while it trains, beside the same with one negative."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = """
import sys
import numpy as np, torch
sys.path.insert(0, "experiments")
from growth import peak_gib
from tests.benchmarks.reference import SIZE
from datasets import Interactions
from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.objective import objective
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Training
from recmodels.settings import Settings
from recmodels.trainer import train

sampler, loss, negatives = {given!r}
torch.set_num_threads(1)
ids, shape = np.arange(2048, dtype=np.int32), (2048, 40_000)
training = Training(Interactions(ids, 19 * ids, *shape))
train(
    training, Interactions(ids[:0], ids[:0], *shape), model=MODELS["mf"],
    sampler=SAMPLERS[sampler](training, **SAMPLERS.parameters(sampler, {{}})),
    objective=objective(loss, LOSSES.parameters(loss, {{}})),
    settings=Settings(epochs=1, batch_size=1024, negatives=negatives, embedding_size=SIZE), seed=0,
    device=torch.device("cpu"),
)
print(peak_gib())
"""


def peak(*given):
    done = subprocess.run([sys.executable, "-c", CODE.format(given=given)], cwd=ROOT, capture_output=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.slow
def test_the_whole_of_40_000_items_takes_a_quarter_of_a_gib_at_most():
    """A batch's scores and their gradient alone would take 0.3 GiB at a time."""
    least = peak("uniform", "bpr", 1)
    assert all(peak("full", loss, "all") - least < 0.25 for loss in ("softmax", "bpr"))
