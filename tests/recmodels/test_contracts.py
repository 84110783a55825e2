"""What every method of the registries promises, for each by name; tests/bench/test_check.py has those that do not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench.runs.spec import REGISTRIES
from recmodels.contracts import Contract, contracts
from recmodels.contracts.samplers import draws_follow_the_law
from recmodels.contracts.small import digest
from recmodels.samplers import SAMPLERS

ROOT = Path(__file__).parents[2]
NO_SCORES = ("sce", "rece")
"""Losses that take the catalogue and no scores of negatives; tests/recmodels/test_buckets.py has what they promise."""
LONGER = (draws_follow_the_law,)  # test_sampler_laws.py has more draws of more options
LONG = (pytest.mark.slow,)
PROMISED = [
    pytest.param(contract, name, id=f"{name}-{contract.__name__}", marks=LONG if contract in LONGER else ())
    for kind, registry in REGISTRIES.items()
    for name in registry
    for contract in contracts(kind)
    if name not in NO_SCORES or contract.__name__ in ("it_says_what_it_is", "a_step_moves_its_rows")
]


@pytest.fixture(autouse=True)
def _own_generator() -> object:
    with torch.random.fork_rng():
        yield


@pytest.mark.parametrize(("contract", "name"), PROMISED)
def test_a_method_keeps_what_it_promises(contract: Contract, name: str) -> None:
    contract(name)


def test_same_draws_in_another_process_and_under_other_global_seeds() -> None:
    here = {name: digest(name) for name in SAMPLERS}
    program = (
        "import random, numpy, torch; "
        "random.seed(9); numpy.random.seed(9); torch.manual_seed(9); torch.set_num_threads(1)\n"
        "from recmodels.contracts.small import SAMPLERS, digest\n"
        "for name in SAMPLERS: print(name, digest(name))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": str(ROOT)}
    out = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert dict(line.split() for line in out.splitlines()) == here


def test_documentation_of_a_sampler_names_its_cost() -> None:
    assert [name for name in SAMPLERS if "Cost" not in SAMPLERS.entry(name).doc] == []


def test_at_least_twenty_methods() -> None:
    assert len(SAMPLERS) >= 20
