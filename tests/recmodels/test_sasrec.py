"""SASRec with every loss and sampler that go together; test_sequences.py has its formula."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.runs.spec import Cell, incompatibility, parse_cell
from datasets import Interactions
from recmodels import trainer
from recmodels.compatibility import held, is_whole
from recmodels.contracts import small
from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.objective import objective
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Scorer, Training
from recmodels.settings import Settings
from recmodels.types import Batch, Tables
from tests.recmodels.test_sequences import SIZE, built, norm, windows
from tests.recmodels.test_sequences import data as sequence_data


def data() -> Training:
    """User 0 has two items, the others more."""
    rng = np.random.default_rng(0)
    pairs = [(user, item) for user in range(8) for item in rng.permutation(14)[: 2 + user]]
    users, items = np.array(pairs, np.int32).T
    return Training(Interactions(users.copy(), items.copy(), 8, 14))


def cells() -> list[str]:
    """Every loss with five samplers, and every sampler with a loss that it goes with."""
    losses = [
        f"{sampler}+{loss}" for loss in LOSSES for sampler in ("uniform", "popularity", "inbatch", "mixed", "dns")
    ]
    samplers = [f"{sampler}+{loss}" for sampler in SAMPLERS for loss in ("bpr", "softmax:logq=both")]
    whole = [f"full+{loss}" for loss in ("softmax", "sce", "rece")]
    return [text for text in dict.fromkeys([*losses, *samplers, *whole]) if _fits(text) and text[:5] != "given"]


def _settings(text: str) -> dict[str, str]:
    return {"embedding_size": "4", "epochs": "1", "batch_size": "16"} | (
        {"negatives": "all"} if is_whole(text.partition("+")[0]) else {"negatives": "3"}
    )


def _fits(text: str) -> bool:
    return incompatibility(parse_cell(f"{text}+sasrec", _settings(text))) is None


@pytest.mark.parametrize("text", cells())
def test_it_is_trained_with_every_loss_and_sampler_that_go_together(text: str) -> None:
    cell: Cell = parse_cell(f"{text}+sasrec:length=5", _settings(text))
    assert cell.sampler is not None
    assert cell.loss is not None
    training, chosen = data(), Settings(**cell.settings)  # type: ignore[arg-type]
    small = {"keep": 3} if cell.sampler.name == "dns-mn" else {}
    done = trainer.train(
        training,
        training.interactions,
        model=lambda *given: MODELS["sasrec"](*given, **cell.model.parameters),
        sampler=SAMPLERS[cell.sampler.name](training, **{**cell.sampler.parameters, **small}),
        objective=objective(cell.loss.name, cell.loss.parameters),
        settings=chosen,
        seed=0,
        device=torch.device("cpu"),
    )
    assert math.isfinite(done.history[0].loss)


def test_most_losses_and_samplers_go_with_sequences() -> None:
    known = {part.partition(":")[0] for text in cells() for part in text.split("+")}
    assert {name for name in LOSSES if name not in known} == {"cml", "talos", "bsl"}
    assert {name for name in SAMPLERS if name not in known} == {"given"}


class Rows:
    """Queries of rows that are given."""

    def __init__(self, queries: Tensor, items: Tensor) -> None:
        self.queries, self.items = queries, items

    def catalogue(self) -> tuple[Tensor, Tensor | None]:
        return self.items, None

    def vectors(self, rows: Tensor) -> Tensor:
        return self.queries[rows]


@pytest.mark.parametrize("space", ["dot", "cosine"])
@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "srns"])  # which remembers users
def test_a_sampler_sees_a_row_as_it_would_see_a_user_of_that_vector(name: str, space: str) -> None:
    """Draws, choice and law of rows are those of users whose vectors are the rows' queries."""
    data, base = small.training(), small.scorer()
    users, items, _ = base.tables
    rng = np.random.default_rng(3)
    rows = torch.from_numpy(rng.permutation(small.U)[:12])
    asking = torch.from_numpy(2 + rng.permutation(small.U - 2)[:12])  # each user once
    positives = torch.from_numpy(data.interactions.items[[*map(first_of(data), asking.tolist())]].astype(np.int64))
    queries = torch.from_numpy(rng.normal(0, 1, (small.U, small.D)).astype(np.float32))
    theirs = users.index_copy(0, asking, queries[rows])
    found = []
    for batch, scorer in (
        (Batch(asking, positives, rows), Scorer(Tables(users, items), space, Rows(queries, items))),
        (Batch(asking, positives), Scorer(Tables(theirs, items), space)),
    ):
        sampler, drawing = small.make(name, data), np.random.default_rng(5)
        if sampler.before_epoch is not None:
            sampler.before_epoch(1, base, drawing)
        n = None if is_whole(name) else small.N
        chosen = sampler.choose(batch, sampler.propose(batch, n, drawing, scorer), n, drawing, scorer)
        found.append([chosen.items, chosen.valid, chosen.weight, chosen.mix])
        if chosen.weight is None and "log_q" in held("gives", SAMPLERS.entry(name), SAMPLERS.parameters(name, {})):
            lawful = sampler.with_law(batch, chosen, scorer)
            found[-1] += [lawful.log_q, lawful.log_q_positive]
    for one, other in zip(*found, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other)


def first_of(data: Training) -> Callable[[int], int]:
    """The first interaction of a user."""
    return lambda user: int(np.flatnonzero(data.interactions.users == user)[0])


def sasrec_of_code(module: Any, ids: list[int]) -> Tensor:
    """The same by the authors' code, one head: what is added to is what was normalised, and keys are not normalised."""
    x = module.items[ids] * math.sqrt(SIZE) + module.positions[: len(ids)]
    later = torch.ones(len(ids), len(ids)).triu(1).bool()
    for block in module.blocks:
        weight, bias, y = block.mixing.weight, block.mixing.bias, norm(x, block.before_attention)
        q, k, v = (of @ w.T + b for of, w, b in zip((y, x, x), weight.split(SIZE), bias.split(SIZE), strict=True))
        shares = (q @ k.T / math.sqrt(SIZE)).masked_fill(later, -torch.inf).softmax(dim=-1)
        x = norm(y + shares @ v @ block.joining.weight.T + block.joining.bias, block.before_layers)
        inner = (x @ block.first.weight.T + block.first.bias).relu()
        x = x + inner @ block.second.weight.T + block.second.bias
    return norm(x, module.norm)[-1]


def test_a_block_of_the_code_is_that_of_its_formula() -> None:
    training, module = sequence_data(), built("sasrec", block="code")
    users, items, ids = zip(*windows(training), strict=True)
    found = module.queries(Batch(torch.tensor(users), torch.tensor(items), torch.from_numpy(module.sequences.rows)))
    oracle = torch.stack([sasrec_of_code(module, some) for some in ids])
    torch.testing.assert_close(found.users, oracle)
    pull = torch.randn(oracle.shape, dtype=torch.float64)
    names, parameters = zip(*module.named_parameters(), strict=True)
    ours, theirs = (torch.autograd.grad((x * pull).sum(), parameters) for x in (found.users, oracle))
    for called, mine, its in zip(names, ours, theirs, strict=True):
        torch.testing.assert_close(mine, its, msg=called)
