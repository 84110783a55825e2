"""What every sampler promises."""

from __future__ import annotations

import random
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from recmodels.compatibility import held, is_whole
from recmodels.contracts import Contract, hold
from recmodels.contracts.small import (
    ALL_BUT_ONE,
    EVERYTHING,
    N_ITEMS,
    THE_ONE,
    N,
    U,
    batch_of,
    law_at,
    make,
    run,
    scorer,
    training,
)
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Sampler, Scorer, Training
from recmodels.types import Batch, Candidates

DRAWS = 200_000
ALPHA = 1e-5  # of the test of a law; the seeds are fixed, so that a failure means a wrong law


def shapes_types_and_range(name: str) -> None:
    """It gives int64 ids of the catalogue for each row, with masks and weights of their shape."""
    for batch, chosen in run(make(name, data()), data(), np.random.default_rng(1), scorer()):
        hold(chosen.items.dtype == torch.int64, f"ids are {chosen.items.dtype} and must be torch.int64")
        low, high = int(chosen.items.min()), int(chosen.items.max())
        hold(low >= 0 and high < N_ITEMS, f"ids go from {low} to {high} in a catalogue of {N_ITEMS}")
        wanted = (N_ITEMS,) if is_whole(name) else (len(batch.users), N)
        hold(chosen.items.shape == wanted, f"ids have the shape {tuple(chosen.items.shape)} and must have {wanted}")
        shape = (len(batch.users), chosen.items.shape[-1])
        for part, tensor, kind in (
            ("valid", chosen.valid, torch.bool),
            ("weight", chosen.weight, torch.float32),
            ("mix", chosen.mix, torch.float32),
        ):
            if tensor is not None:
                hold(tensor.dtype == kind, f"{part} is {tensor.dtype} and must be {kind}")
                hold(_broadcasts(tensor, shape), f"{part} has the shape {tuple(tensor.shape)}, which is not of {shape}")
                hold(not tensor.requires_grad, f"{part} carries a gradient; detach it")
        if chosen.weight is not None:
            some = torch.ones(shape[0], dtype=torch.bool) if chosen.valid is None else chosen.valid.any(dim=1)
            sums = chosen.weight.sum(dim=1)
            hold(torch.allclose(sums, some.float(), atol=1e-5), "the weights of a row do not sum to 1")


def no_seen_item_counts(name: str) -> None:
    """No item that a user has in training counts as a negative, and some do count."""
    left = False
    for batch, chosen in run(make(name, data()), data(), np.random.default_rng(1), scorer(), steps=4):
        items, valid = _grids(batch, chosen)
        hold(not seen()[batch.users.numpy()[:, None], items][valid].any(), "it gives items that the user has seen")
        left |= bool(valid.any())
    hold(left, "it gives nothing that counts")


def users_who_have_seen_nearly_everything(name: str) -> None:
    """Users who have seen every item get nothing that counts, and those who lack one that one, if others get it."""
    sampler, rng, model = make(name, data()), np.random.default_rng(2), scorer()
    owners = np.isin(data().interactions.users, [EVERYTHING, ALL_BUT_ONE])
    batch = batch_of(data(), rows=np.flatnonzero(owners)[[0, 1, -1, -2]])
    if sampler.before_epoch is not None:
        sampler.before_epoch(1, model, rng)
    chosen = sampler.choose(batch, sampler.propose(batch, N, rng, model), N, rng, model)
    hold(chosen.valid is not None, "it says of no candidate that it does not count (Candidates.valid)")
    items, valid = _grids(batch, chosen)
    hold(not valid[batch.users.numpy() == EVERYTHING].any(), "it gives a user who has seen everything a negative")
    hold(set(items[valid].tolist()) <= {THE_ONE}, "it gives items that the user has seen")
    if sampler.proposal.reject and _given(name, THE_ONE):  # it draws among the unseen, whatever the batch brings
        hold(valid[batch.users.numpy() == ALL_BUT_ONE].any(), "it gives a user nothing who lacks one item")


def batch_of_one_row(name: str) -> None:
    """A batch of one row is as good as any."""
    sampler, rng, model = make(name, data()), np.random.default_rng(2), scorer()
    if sampler.before_epoch is not None:
        sampler.before_epoch(1, model, rng)
    batch = batch_of(data(), rows=np.array([-1]))
    chosen = sampler.choose(batch, sampler.propose(batch, N, rng, model), N, rng, model)
    hold(chosen.items.shape[-1] >= 1, "it gives no candidate")


def chance_comes_from_rng_alone(name: str) -> None:
    """The same stream gives the same draws, whatever the global seeds, which it leaves alone."""
    found = []
    for seed in (3, 4):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        before = _global_states()
        found.append(run(make(name, data()), data(), np.random.default_rng(1), scorer()))
        hold(_global_states() == before, "it draws from a global generator; take all chance from rng")
    for (_, first), (_, second) in zip(*found, strict=True):
        hold(_equal(first, second), "the same stream gives other draws; take all chance from rng, and sort sets")


def every_step_draws_anew(name: str) -> None:
    """Another step draws anew, and another stream other items, unless it draws nothing at random."""
    sampler, rng, model = make(name, data()), np.random.default_rng(1), scorer()
    first, second = (run(sampler, data(), rng, model, epochs=1, steps=1)[0][1] for _ in range(2))
    other = run(make(name, data()), data(), np.random.default_rng(2), model, epochs=1, steps=1)[0][1]
    hold(
        torch.equal(first.items, other.items) or not torch.equal(first.items, second.items), "each step draws the same"
    )


def memory_is_in_its_state(name: str) -> None:
    """What it remembers from step to step is in `Sampler.state`, from which its draws can be gone on with."""
    model, rng = scorer(), np.random.Generator(np.random.SFC64(5))
    sampler = make(name, data())
    run(sampler, data(), rng, model)
    saved = {
        key: value.copy() if isinstance(value, np.ndarray) else value.clone() for key, value in sampler.state.items()
    }
    position = rng.bit_generator.state
    expected = run(sampler, data(), rng, scorer(1), first=3)
    other, stream = make(name, data()), np.random.Generator(np.random.SFC64())
    other.state.update(saved)
    stream.bit_generator.state = position
    for (_, a), (_, b) in zip(expected, run(other, data(), stream, scorer(1), first=3), strict=True):
        hold(_equal(a, b), "a sampler with the saved state goes on with other draws; keep what it remembers there")


def it_gives_what_it_declares(name: str) -> None:
    """It has the law, the weights and the vectors that `gives` declares, and no others."""
    gives = held("gives", SAMPLERS.entry(name), SAMPLERS.parameters(name, {}))
    sampler, model = make(name, data()), scorer()
    batch, chosen = run(sampler, data(), np.random.default_rng(1), model)[-1]
    vectors = chosen.vectors is not None or chosen.mix is not None
    for word, has in (("weight", chosen.weight is not None), ("vectors", vectors)):
        hold((word in gives) == has, f"it {'has' if has else 'has no'} {word}, and gives= says otherwise")
    hold("ordered" in gives or not chosen.ordered, 'its candidates are ordered, which gives=["ordered"] must promise')
    hold(not {"log_q", "weight"} <= gives, "it gives a law and weights, which would correct twice")
    if sampler.select is not None:
        known = sampler.chosen is not None
        hold(("log_q" in gives) == known, f"the law of what it chooses is {'' if known else 'not '}given as chosen=")
    if "log_q" in gives:
        law = sampler.with_law(batch, chosen, model)
        assert law.log_q is not None
        assert law.log_q_positive is not None
        for part, tensor in (("log_prob", law.log_q), ("log_prob_positive", law.log_q_positive)):
            hold(tensor.dtype == torch.float32, f"{part} is {tensor.dtype} and must be torch.float32")
        rows, wanted = len(batch.users), (len(batch.users), chosen.items.shape[-1])
        shape = tuple(law.log_q_positive.shape)
        hold(shape == (rows,), f"log_prob_positive has the shape {shape} and must have ({rows},)")
        hold(
            _broadcasts(law.log_q, wanted), f"log_prob has the shape {tuple(law.log_q.shape)}, which is not of {wanted}"
        )
    if "all" in gives:
        hold(sampler.propose(batch, None, np.random.default_rng(0), model).shared, "all it has is not one set (N,)")


def draws_follow_the_law(name: str) -> None:
    """Where `gives` promises a law, two hundred thousand draws follow it, and it sums to 1."""
    sampler, model, rng = make(name, data()), scorer(scale=0.7), np.random.Generator(np.random.SFC64(11))
    gives = held("gives", SAMPLERS.entry(name), SAMPLERS.parameters(name, {}))
    if "log_q" not in gives or is_whole(name):
        return
    if sampler.before_epoch is not None:
        sampler.before_epoch(1, model, rng)
    if sampler.state and not sampler.static and sampler.after_step is not None:
        return  # it draws from what passed, whose law is that of many trainings
    if sampler.static:  # each row by itself
        for user in (2, 9, 23, 41, ALL_BUT_ONE):
            _follow(sampler, _repeated(user, DRAWS // 5 // N), model, rng, f"of user {user} ")
    else:
        _follow(sampler, batch_of(data(), seed=5, size=DRAWS // 5), model, rng, "")


def _follow(sampler: Sampler, batch: Batch, model: Scorer, rng: np.random.Generator, whose: str) -> None:
    """Hold the draws for a batch to its law; where rows may draw the same, one of each counts, and half of that."""
    from scipy.stats import chisquare

    items, valid = _grids(batch, sampler.choose(batch, sampler.propose(batch, N, rng, model), N, rng, model))
    law = law_at(sampler, data(), batch, model)  # now that it knows how many are chosen
    if not sampler.law.reject:  # what is masked later was drawn all the same
        valid = np.ones_like(valid)
    some = valid.any(axis=1)
    if not some.any():  # as of a user who has seen all that it ever draws
        return
    sums = law[some].sum(axis=1)
    hold(np.allclose(sums, 1, atol=1e-3), f"the law {whose}sums to {sums.min():.4f} … {sums.max():.4f} and not to 1")
    if not sampler.static:
        rows, columns = np.arange(len(items)), rng.integers(items.shape[1], size=len(items))
        items, valid = items[rows, columns][:, None], valid[rows, columns][:, None]
    counts = np.bincount(items[valid], minlength=N_ITEMS) / (1 if sampler.static else 2)
    expected = (law * valid.sum(axis=1)[:, None]).sum(axis=0)
    hold(counts[expected == 0].sum() == 0, f"it draws items {whose}that the law excludes")
    expected *= counts.sum() / expected.sum()
    common = expected >= 5
    pairs = [np.append(each[common], each[~common].sum()) for each in (counts, expected)]
    counts, expected = (each[pairs[1] > 0] for each in pairs)
    if len(counts) > 1:
        p = chisquare(counts, expected).pvalue
        hold(p > ALPHA, f"{valid.sum():,} draws {whose}do not follow the law (p = {p:.1e})")


def _given(name: str, item: int) -> bool:
    """Whether anybody gets the item: a sampler may leave a part of the catalogue out."""
    drawn = run(make(name, data()), data(), np.random.default_rng(1), scorer(), steps=4)
    return any(bool((items[valid] == item).any()) for items, valid in (_grids(*each) for each in drawn))


@cache
def data() -> Training:
    """The data of all these."""
    return training()


@cache
def seen() -> NDArray[np.bool_]:
    """(U, I) what each user has seen."""
    found = np.zeros((U, N_ITEMS), bool)
    found[data().interactions.users, data().interactions.items] = True
    return found


def _repeated(user: int, rows: int) -> Batch:
    row = np.flatnonzero(data().interactions.users == user)[0]
    return batch_of(data(), rows=np.full(rows, row))


def _grids(batch: Batch, chosen: Candidates) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(B, N) the ids, and which of them count."""
    items = chosen.items.expand(len(batch.users), -1).numpy()
    valid = np.ones(items.shape, bool) if chosen.valid is None else chosen.valid.expand(items.shape).numpy()
    return items, valid


def _broadcasts(tensor: torch.Tensor, shape: tuple[int, ...]) -> bool:
    try:
        return torch.empty(tensor.shape, device="meta").expand(shape).shape == shape
    except RuntimeError:
        return False


def _equal(a: Candidates, b: Candidates) -> bool:
    pairs = ((getattr(a, part), getattr(b, part)) for part in ("items", "valid", "weight", "vectors", "mix"))
    return all((x is None and y is None) or (x is not None and y is not None and torch.equal(x, y)) for x, y in pairs)


def _global_states() -> tuple[object, ...]:
    numpys = np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
    return random.getstate(), numpys, torch.get_rng_state().tolist()


CONTRACTS: tuple[Contract, ...] = (
    shapes_types_and_range,
    no_seen_item_counts,
    users_who_have_seen_nearly_everything,
    batch_of_one_row,
    chance_comes_from_rng_alone,
    every_step_draws_anew,
    memory_is_in_its_state,
    it_gives_what_it_declares,
    draws_follow_the_law,
)
