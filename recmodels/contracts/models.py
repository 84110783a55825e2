"""What every model promises."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from datasets import Interactions
from recmodels.compatibility import held
from recmodels.contracts import Contract, hold
from recmodels.contracts.small import features
from recmodels.models import MODELS
from recmodels.models.sequences import SequenceModel
from recmodels.sampling import Training
from recmodels.settings import Settings
from recmodels.types import Batch, Tables

USERS, ITEMS = 6, 9
SIZE = 4


def training() -> Training:
    """A few interactions; the last item has none. Every item has features."""
    users, items = np.nonzero(np.random.default_rng(0).random((USERS, ITEMS - 1)) < 0.4)
    known = Interactions(users.astype(np.int32), items.astype(np.int32), USERS, ITEMS)
    return Training(known, features=features(ITEMS))


def built(name: str, settings: Settings | None = None, seed: int = 1, **parameters: str) -> nn.Module:
    """The model with its defaults, but for these parameters."""
    chosen = settings or Settings(embedding_size=SIZE)
    module: nn.Module = MODELS[name](
        training(), chosen, np.random.default_rng(seed), **MODELS.parameters(name, parameters)
    )
    return module


def it_encodes_to_tables(name: str) -> None:
    """Its `forward()` gives `Tables` of finite float32 vectors of one size, (U, D) and (I, D)."""
    tables = _encoded(built(name))
    for part, rows in (("users", USERS), ("items", ITEMS)):
        table = getattr(tables, part)
        hold(table.dtype == torch.float32, f"{part} are {table.dtype} and must be torch.float32")
        hold(table.dim() == 2 and len(table) == rows, f"{part} have the shape {tuple(table.shape)}, not ({rows}, D)")
        hold(table.isfinite().all(), f"{part} are not finite")
    hold(tables.users.shape[1] == tables.items.shape[1], "vectors of users and items differ in size")
    if tables.bias is not None:
        hold(tables.bias.shape == (ITEMS,), f"bias has the shape {tuple(tables.bias.shape)}, not ({ITEMS},)")


def one_stream_one_model(name: str) -> None:
    """The same stream gives the same start, another stream another, and global generators are left alone."""
    before = torch.get_rng_state()
    first, again, other = (_encoded(built(name, seed=seed)) for seed in (1, 1, 2))
    hold(torch.equal(before, torch.get_rng_state()), "it draws from torch's global generator; take all chance from rng")
    hold(torch.equal(first.items, again.items), "the same stream gives another start; take all chance from rng")
    hold(not torch.equal(first.items, other.items), "another stream gives the same start")


def every_parameter_learns(name: str) -> None:
    """Every parameter gets a gradient from scores."""
    module = built(name)
    tables = _encoded(module)
    scores = tables.users @ tables.items.T + (0 if tables.bias is None else tables.bias)
    (scores * torch.linspace(-1, 1, ITEMS)).sum().backward()  # type: ignore[no-untyped-call]
    for called, parameter in module.named_parameters():
        hold(parameter.grad is not None and parameter.grad.isfinite().all(), f"{called} gets no gradient from scores")


def free_vectors_are_parameters(name: str) -> None:
    """Where `gives` has "free_vectors", its tables are its parameters themselves, called `users` and `items`."""
    if "free_vectors" not in held("gives", MODELS.entry(name), MODELS.parameters(name, {})):
        return
    module = built(name)
    tables, known = _encoded(module), dict(module.named_parameters())
    for part in ("users", "items"):
        same = part in known and torch.equal(known[part], getattr(tables, part))
        hold(same, f"it gives free vectors, and its {part} are not the parameter {part}")


def queries_are_its_users(name: str) -> None:
    """What `queries(batch)` makes for the rows, where there is such a thing, are the users and items of its tables."""
    module, batch = built(name), Batch(torch.tensor([3, 0, 3]), torch.tensor([1, 2, 5]))
    if not hasattr(module, "queries"):
        return
    tables, rows = _encoded(module), module.queries(batch)  # type: ignore[operator]
    hold(isinstance(rows, Tables), f"queries(batch) gives a {type(rows).__name__} and must give Tables")
    wanted = tables.users[batch.users]
    hold(rows.users.shape == wanted.shape, f"queries(batch) has users of shape {tuple(rows.users.shape)}, not (B, D)")
    hold(torch.allclose(rows.users, wanted, atol=1e-5), "the users of queries(batch) are not those of forward()")
    hold(torch.equal(rows.items, tables.items), "the items of queries(batch) are not those of forward()")


def unseen_users_follow_what_is_folded_in(name: str) -> None:
    """Where `gives` has "unseen_users", one that nothing is trained on changes with what is folded in, and no other."""
    if "unseen_users" not in held("gives", MODELS.entry(name), MODELS.parameters(name, {})):
        return
    known, found = training().interactions, []
    trained = known.take(known.users != 0)
    for items in ([1, 2], [3]):
        fold_in = Interactions(np.zeros(len(items), np.int32), np.array(items, np.int32), USERS, ITEMS)
        settings, rng = Settings(embedding_size=SIZE), np.random.default_rng(1)
        given = Training(trained, fold_in=fold_in, features=features(ITEMS))
        module = MODELS[name](given, settings, rng, **MODELS.parameters(name, {}))
        found.append(_encoded(module).users)
    one, other = found
    hold(torch.equal(one[1:], other[1:]), "what is folded in of one user changes the vectors of others")
    hold(
        not torch.equal(one[0], other[0]), "a user's vector does not follow what is folded in; read training.histories"
    )


def no_query_looks_ahead(name: str) -> None:
    """Where `gives` has "queries", an item of a sequence changes the query after it and none before."""
    if "queries" not in held("gives", MODELS.entry(name), MODELS.parameters(name, {})):
        return
    module = built(name).eval()
    hold(isinstance(module, SequenceModel), "it gives queries and is no `SequenceModel`; derive it from that")
    assert isinstance(module, SequenceModel)
    inputs = torch.randn(2, 5, SIZE, generator=torch.Generator().manual_seed(0))
    before = module.encode(inputs)
    hold(before.shape == inputs.shape, f"encode gives the shape {tuple(before.shape)} for {tuple(inputs.shape)}")
    for at in range(5):
        changed = inputs.clone()
        changed[:, at] = changed[:, at].flip(0) + torch.arange(SIZE)
        moved = ((module.encode(changed) - before).abs() > 1e-6).flatten(2).any(dim=2).any(dim=0)
        hold(not moved[:at].any(), f"item {at + 1} of a sequence changes the query of an earlier one")
        hold(moved[at], f"item {at + 1} of a sequence does not change the query after it")


def _encoded(module: nn.Module) -> Tables:
    hold(isinstance(module, nn.Module), f"it returns a {type(module).__name__} and must return a torch.nn.Module")
    tables = module()
    hold(isinstance(tables, Tables), f"its forward() gives a {type(tables).__name__} and must give Tables")
    assert isinstance(tables, Tables)
    return tables


CONTRACTS: tuple[Contract, ...] = (
    it_encodes_to_tables,
    one_stream_one_model,
    every_parameter_learns,
    free_vectors_are_parameters,
    queries_are_its_users,
    unseen_users_follow_what_is_folded_in,
    no_query_looks_ahead,
)
