"""`lazy_adam` moves the rows of a step's users, positives and candidates, and no others, in every cell that has it.

Items of the history of a step's user are rows of the step too.
"""

from __future__ import annotations

from itertools import product

import pytest

from recmodels.compatibility import is_whole, reason
from recmodels.contracts.steps import SETTINGS, moves_rows_of_the_batch_alone
from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.samplers import SAMPLERS

OPTIONS: dict[str, list[dict[str, str]]] = {
    "memory": [{"mode": "ids"}, {"mode": "frozen", "warm_up": "0"}],
    "inbatch": [{}, {"negatives": "all"}],
}
VARIANTS: dict[tuple[str, str], list[dict[str, str]]] = {
    ("mf", "bpr"): [{}, {"bias": "true"}],
    ("history", "bpr"): [
        {},
        {"gamma": "0", "linear": "false"},
        {"pool": "attention", "separate": "true"},
        {"pool": "attention", "leave_out": "true"},
        {"pool": "user-attention", "gamma": "0"},
        {"hidden": "2", "linear": "false"},
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SAMPLERS])
def test_rows_that_a_step_does_not_have_stay_as_they_are(name: str) -> None:
    tried = 0
    for options in OPTIONS.get(name, [{}]):
        own = {key: value for key, value in options.items() if key != "negatives"}
        settings = SETTINGS | ({"negatives": "all"} if is_whole(name) or "negatives" in options else {})
        sampler = name, SAMPLERS.parameters(name, own)
        for loss, model in product(LOSSES, MODELS):
            for given in VARIANTS.get((model, loss), [{}]):
                cell = sampler, (loss, LOSSES.parameters(loss, {})), (model, MODELS.parameters(model, given))
                if reason(*cell, settings) is None:
                    moves_rows_of_the_batch_alone(*cell, settings)
                    tried += 1
    assert tried > 5


@pytest.mark.parametrize(("loss", "word"), [("wrmf", "sums over whole tables"), ("mawu", "learns a number for every")])
def test_losses_that_move_every_row_are_refused(loss: str, word: str) -> None:
    parameters = SAMPLERS.parameters("uniform", {}), LOSSES.parameters(loss, {}), MODELS.parameters("mf", {})
    found = reason(("uniform", parameters[0]), (loss, parameters[1]), ("mf", parameters[2]), SETTINGS)
    assert found is not None
    assert word in found


def test_what_it_no_longer_refuses_trains() -> None:
    for sampler, loss in (("mixgcf", "sl"), ("uniform", "directau"), ("uniform", "lambdarank")):
        cell = (
            (sampler, SAMPLERS.parameters(sampler, {})),
            (loss, LOSSES.parameters(loss, {})),
            ("mf", MODELS.parameters("mf", {})),
        )
        assert reason(*cell, SETTINGS) is None
