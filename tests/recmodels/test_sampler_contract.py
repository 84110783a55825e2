"""What every sampler of the registry promises, checked for each by name."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from recmodels.compatibility import held, is_whole
from recmodels.samplers import SAMPLERS
from tests.sampler_cases import (
    ALL_BUT_ONE,
    EVERYTHING,
    N_ITEMS,
    THE_ONE,
    N,
    U,
    batch_of,
    digest,
    make,
    run,
    scorer,
    training,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def data():
    return training()


@pytest.mark.parametrize("name", SAMPLERS)
def test_shapes_types_and_range(name, data):
    for batch, chosen in run(make(name, data), data, np.random.default_rng(1), scorer()):
        assert chosen.items.dtype == torch.int64
        assert 0 <= int(chosen.items.min()) <= int(chosen.items.max()) < N_ITEMS
        assert chosen.items.shape == ((N_ITEMS,) if is_whole(name) else (len(batch.users), N))
        shape = (len(batch.users), chosen.items.shape[-1])
        for part, kind in ((chosen.valid, torch.bool), (chosen.weight, torch.float32), (chosen.mix, torch.float32)):
            if part is not None:
                assert part.dtype == kind
                assert torch.broadcast_shapes(part.shape, shape) == shape
                assert not part.requires_grad
        if chosen.weight is not None:
            some = torch.ones(shape[0], dtype=torch.bool) if chosen.valid is None else chosen.valid.any(dim=1)
            torch.testing.assert_close(chosen.weight.sum(dim=1), some.float())


@pytest.mark.parametrize("name", SAMPLERS)
def test_no_seen_item_counts(name, data):
    seen = np.zeros((U, N_ITEMS), bool)
    seen[data.interactions.users, data.interactions.items] = True
    left = False
    for batch, chosen in run(make(name, data), data, np.random.default_rng(1), scorer(), steps=4):
        items = chosen.items.expand(len(batch.users), -1).numpy()
        valid = np.ones(items.shape, bool) if chosen.valid is None else chosen.valid.expand(items.shape).numpy()
        assert not seen[batch.users.numpy()[:, None], items][valid].any()
        left |= bool(valid.any())
    assert left


@pytest.mark.parametrize("name", SAMPLERS)
def test_users_who_have_seen_nearly_everything_end_cleanly(name, data):
    sampler, rng, model = make(name, data), np.random.default_rng(2), scorer()
    owners = np.isin(data.interactions.users, [EVERYTHING, ALL_BUT_ONE])
    batch = batch_of(data, rows=np.flatnonzero(owners)[[0, 1, -1, -2]])
    if sampler.before_epoch is not None:
        sampler.before_epoch(1, model, rng)
    chosen = sampler.choose(batch, sampler.propose(batch, N, rng, model), N, rng, model)
    assert chosen.valid is not None
    valid = chosen.valid.expand(4, chosen.items.shape[-1])
    items = chosen.items.expand(4, -1)
    assert not valid[batch.users == EVERYTHING].any()
    assert set(items[valid].tolist()) <= {THE_ONE}
    if SAMPLERS.entry(name).module not in ("recmodels.samplers.inbatch",):  # those have only what the batch brings
        assert valid[batch.users == ALL_BUT_ONE].any()


@pytest.mark.parametrize("name", SAMPLERS)
def test_batch_of_one_row_ends_cleanly(name, data):
    sampler, rng, model = make(name, data), np.random.default_rng(2), scorer()
    if sampler.before_epoch is not None:
        sampler.before_epoch(1, model, rng)
    batch = batch_of(data, rows=np.array([-1]))
    chosen = sampler.choose(batch, sampler.propose(batch, N, rng, model), N, rng, model)
    assert chosen.items.shape[-1] >= 1


def test_same_draws_in_another_process_and_under_other_global_seeds():
    here = {name: digest(name) for name in SAMPLERS}
    program = (
        "import random, numpy, torch; "
        "random.seed(9); numpy.random.seed(9); torch.manual_seed(9); torch.set_num_threads(1)\n"
        "from tests.sampler_cases import SAMPLERS, digest\n"
        "for name in SAMPLERS: print(name, digest(name))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": str(ROOT)}
    out = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert dict(line.split() for line in out.splitlines()) == here


def test_global_generators_are_left_alone(data):
    before = np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    for name in SAMPLERS:
        run(make(name, data), data, np.random.default_rng(1), scorer())
    assert (np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before  # noqa: NPY002


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_epoch_and_step_draws_anew(name, data):
    if is_whole(name):
        pytest.skip("it gives the same catalogue at every step")
    found = run(make(name, data), data, np.random.default_rng(1), scorer(), epochs=1, steps=1)
    sampler, rng, model = make(name, data), np.random.default_rng(1), scorer()
    again = run(sampler, data, rng, model, epochs=1, steps=1) + run(sampler, data, rng, model, epochs=1, steps=1)
    assert torch.equal(found[0][1].items, again[0][1].items)
    assert not torch.equal(again[0][1].items, again[1][1].items) or name in ("hard-inbatch",)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_checkpoint_restores_the_draws(name, data):
    model, rng = scorer(), np.random.Generator(np.random.SFC64(5))
    sampler = make(name, data)
    run(sampler, data, rng, model)
    saved = {
        key: value.copy() if isinstance(value, np.ndarray) else value.clone() for key, value in sampler.state.items()
    }
    position = rng.bit_generator.state
    expected = run(sampler, data, rng, scorer(1), first=3)
    other, stream = make(name, data), np.random.Generator(np.random.SFC64())
    other.state.update(saved)
    stream.bit_generator.state = position
    for (_, a), (_, b) in zip(expected, run(other, data, stream, scorer(1), first=3), strict=True):
        assert torch.equal(a.items, b.items)
        for part in ("valid", "weight", "vectors", "mix"):
            x, y = getattr(a, part), getattr(b, part)
            assert (x is None and y is None) or torch.equal(x, y)


@pytest.mark.parametrize("name", SAMPLERS)
def test_what_it_gives_is_what_it_has(name, data):
    entry = SAMPLERS.entry(name)
    gives = held("gives", entry, SAMPLERS.parameters(name, {}))
    assert gives <= {"log_q", "ordered", "uniform_q", "all", "weight", "vectors", "catalogue"}
    sampler, model = make(name, data), scorer()
    batch, chosen = run(sampler, data, np.random.default_rng(1), model)[-1]
    assert ("weight" in gives) == (chosen.weight is not None)
    assert ("vectors" in gives) == (chosen.vectors is not None or chosen.mix is not None)
    assert not (chosen.ordered and "ordered" not in gives)
    assert entry.facts["paper"]
    assert sampler.select is None or ("log_q" in gives) == (sampler.chosen is not None)
    assert not {"log_q", "weight"} <= gives
    if chosen.weight is not None:
        with pytest.raises(ValueError, match="a law or weights, not both"):
            sampler.with_law(batch, chosen, model)
    if "log_q" in gives:
        known = sampler.with_law(batch, chosen, model)
        assert known.log_q.dtype == known.log_q_positive.dtype == torch.float32
        assert known.log_q_positive.shape == (len(batch.users),)
        assert torch.broadcast_shapes(known.log_q.shape, (len(batch.users), chosen.items.shape[-1]))
    if "all" in gives:
        whole = sampler.propose(batch, None, np.random.default_rng(0), model)
        assert whole.shared


@pytest.mark.parametrize("name", SAMPLERS)
def test_documentation_names_formula_and_cost(name):
    doc = SAMPLERS.entry(name).doc
    assert "Cost" in doc
    parameters = SAMPLERS.entry(name).parameters
    assert all(f"{parameter}: " in doc for parameter in parameters)


def test_at_least_twenty_methods():
    assert len(SAMPLERS) >= 20
