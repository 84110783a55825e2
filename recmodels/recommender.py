"""One model by itself: `fit` trains it, and a `Recommender` gives its vectors and what it recommends."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from datasets.errors import UserError
from datasets.grammar import named
from datasets.split import Split
from datasets.table import Labels
from recmodels.compatibility import needs_of, reason, text_of, unseen
from recmodels.entries import Value
from recmodels.evaluation import Diverged
from recmodels.losses import LOSSES
from recmodels.metrics import Float, Int
from recmodels.models import MODELS
from recmodels.objective import objective
from recmodels.registry import Registry
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Training
from recmodels.settings import Settings, trainer_settings
from recmodels.trainer import Epoch, train
from recmodels.types import Scores, Tables

CHUNK = 128  # users scored at a time


class Lists(NamedTuple):
    """Recommended items, one user after the other, the best first; columns (n,) of one length.

    Example:
        >>> import numpy as np, pandas
        >>> found = Lists(np.array([7, 7]), np.array(["x", "y"]), np.array([0.5, 0.25]))
        >>> pandas.DataFrame(found._asdict()).shape
        (2, 3)
    """

    users: Labels
    items: Labels
    scores: Float


@dataclass(frozen=True, eq=False)
class Recommender:
    """A model with the labels of its users and items.

    Attributes:
        model: what scores items for users.
        split: the data it was trained on.
        history: of the training, an `Epoch` each: number, loss, validation metric, seconds.
        best_epoch: the epoch whose vectors these are.

    Example:
        >>> import datasets, recmodels
        >>> split = datasets.load("synthetic:users=200,items=100,density=0.1")
        >>> model = recmodels.fit(split, "uniform", "softmax", settings={"epochs": 2, "embedding_size": 8})
        >>> len(model.history), model.best_epoch in (1, 2)
        (2, True)
    """

    model: Scores
    split: Split
    history: tuple[Epoch, ...] = ()
    best_epoch: int = 0

    @property
    def users(self) -> NDArray[np.float32]:
        """(U, D) vectors of users, in the order of `split.user_ids`; with those of `items` they give the scores.

        Raises:
            UserError: the model has no vectors.

        Example:
            >>> import datasets, recmodels
            >>> split = datasets.load("synthetic:users=200,items=100,density=0.1")
            >>> model = recmodels.fit(split, settings={"epochs": 1, "embedding_size": 8})
            >>> model.users.shape == (len(split.user_ids), 8)
            True
        """
        return joined(self._tables)[0]

    @property
    def items(self) -> NDArray[np.float32]:
        """(I, D) vectors of items, in the order of `split.item_ids`; one number longer where items have a bias.

        The score of an item for a user is the inner product of the two vectors, as an index for inner products has it.

        Raises:
            UserError: the model has no vectors.

        Example:
            >>> import datasets, recmodels
            >>> split = datasets.load("synthetic:users=200,items=100,density=0.1")
            >>> model = recmodels.fit(split, settings={"epochs": 1, "embedding_size": 8})
            >>> (model.users @ model.items.T).shape == (len(split.user_ids), len(split.item_ids))
            True
        """
        return joined(self._tables)[1]

    def recommend(self, users: Iterable[object], k: int = 10, *, held_out: bool = False) -> Lists:
        """The `k` highest items of each user, without those that the data say the user has.

        Equal scores stand in the order of `split.item_ids`. A list is shorter than `k` where so few items are left.

        Args:
            users: labels as the data have them.
            k: items of a list.
            held_out: recommend what was held out for the test too, as in the ranking that a table measures.

        Raises:
            UserError: no such user, one of whom nothing is known, or k below 1.
            Diverged: a score is not finite.

        Example:
            >>> import datasets, recmodels
            >>> split = datasets.load("synthetic:users=200,items=100,density=0.1")
            >>> model = recmodels.fit(split, settings={"epochs": 1, "embedding_size": 8})
            >>> found = model.recommend(split.user_ids[:2], k=3)
            >>> found.users.tolist() == split.user_ids[:2].repeat(3).tolist(), found.items.shape
            (True, (6,))
        """
        if k < 1:
            raise UserError(f"k is {k}; give 1 or more items.")
        split = self.split
        rows = np.array([self._row(user) for user in users], np.int64)
        if not len(rows):
            raise UserError("No user is named; give the labels of some.")
        has = [split.train, split.valid, *([split.fold_in] if split.fold_in is not None else [])]
        known = np.bincount(np.concatenate([part.users for part in has]), minlength=len(split.user_ids))
        if strange := [row for row in rows if not known[row]]:
            raise UserError(
                f"User {split.user_ids[strange[0]]} has nothing in the training part of {split.source.name}, so that a "
                "model knows nothing of this user; leave it out."
            )
        left_out = [part.by_user() for part in (has if held_out else [*has, split.test])]
        found = [_top(self.model, rows[at : at + CHUNK], left_out, k) for at in range(0, len(rows), CHUNK)]
        items, scores = (np.concatenate(part) for part in zip(*found, strict=True))
        kept = items >= 0
        return Lists(split.user_ids[rows.repeat(kept.sum(axis=-1))], split.item_ids[items[kept]], scores[kept])

    @property
    def _tables(self) -> Tables:
        if not isinstance(self.model, Tables):
            raise UserError("This model has no vectors; those of a sampler and a loss have.")
        return self.model

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {str(label): row for row, label in enumerate(self.split.user_ids.tolist())}

    def _row(self, user: object) -> int:
        check_users(self.split, self._rows, [user])
        return self._rows[str(user)]


def fit(
    split: Split,
    sampler: str = "uniform",
    loss: str = "bpr",
    model: str = "mf",
    *,
    settings: Mapping[str, object] | None = None,
    seed: int = 0,
    device: str = "cpu",
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Recommender:
    """Train one model in this process; nothing is stored.

    On one thread (`torch.set_num_threads(1)`) it comes to the same bits as the run of the same cell in `bench`.

    Args:
        split: what `datasets.load` gives; trained on its train part, the epoch chosen on its validation part.
        sampler: as on the command line, `popularity:alpha=0.5`.
        loss: likewise.
        model: likewise.
        settings: trainer settings, of `recmodels.settings.Settings`.
        seed: of initial vectors, order and negatives.
        device: `cpu` or `cuda`.
        on_epoch: called after every epoch.

    Raises:
        UserError: a name, option or setting that means nothing, or parts that do not go together.
        Diverged: the loss or a score stopped being finite.

    Example:
        >>> import datasets, recmodels
        >>> split = datasets.load("synthetic:users=200,items=100,density=0.1")
        >>> model = recmodels.fit(split, "inbatch", "softmax", settings={"epochs": 2, "embedding_size": 8})
        >>> model.items.shape == (len(split.item_ids), 8)
        True
        >>> model.recommend([split.user_ids[0]], k=3).items.shape
        (3,)
    """
    drawn, trained, encoder = _part(SAMPLERS, sampler), _part(LOSSES, loss), _part(MODELS, model)
    given = {name: text_of(value) for name, value in (settings or {}).items()}  # type: ignore[arg-type]
    values = trainer_settings(given, len(split.train), needs_of(drawn[0], trained, encoder))
    why = reason(drawn, trained, encoder, values) or (unseen(encoder) if split.protocol.strong else None)
    if why is not None:
        raise UserError(f"{sampler}, {loss} and {model} cannot be trained together: {why}.")
    chosen = Settings(**values)  # type: ignore[arg-type]
    training = Training.of(split, chosen.positives, chosen.epochs)
    done = train(
        training,
        split.valid,
        model=partial(MODELS[encoder[0]], **encoder[1]),
        sampler=SAMPLERS[drawn[0]](training, **drawn[1]),
        objective=objective(trained[0], trained[1], chosen.space, chosen.rank_space, chosen.learn_temperature),
        settings=chosen,
        seed=seed,
        device=torch.device(device),
        on_epoch=on_epoch,
        mask=split.protocol.mask != "none",
    )
    return Recommender(done.tables, split, tuple(done.history), done.best_epoch)


def joined(tables: Tables) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(U, D) and (I, D) vectors whose inner products are the scores; a bias is a number more, beside 1 of each user.

    Example:
        >>> users, items = joined(Tables(torch.ones(2, 3), torch.ones(4, 3), torch.zeros(4)))
        >>> users.shape, items.shape
        ((2, 4), (4, 4))
    """
    users, items = (table.detach().cpu().numpy() for table in tables[:2])
    if tables.bias is None:
        return users, items
    bias = tables.bias.detach().cpu().numpy()[:, None]
    return np.hstack([users, np.ones((len(users), 1), users.dtype)]), np.hstack([items, bias])


def _part(registry: Registry, text: str) -> tuple[str, dict[str, Value]]:
    """Name and all parameters of `popularity:alpha=0.5`."""
    name, options = named(text)
    return name, registry.parameters(name, {key: value or "" for key, value in options})


@torch.no_grad()
def _top(model: Scores, users: Int, has: Sequence[tuple[Int, NDArray[np.int32]]], k: int) -> tuple[Int, Float]:
    """(n, k) items and scores of `users` (n,), the highest first; -1 where a user has no further item."""
    scores = model.scores(torch.from_numpy(users)).cpu().numpy().astype(np.float64)
    if not np.isfinite(scores).all():
        raise Diverged("the model's scores are not finite")
    for offsets, items in has:
        for row, user in enumerate(users):
            scores[row, items[offsets[user] : offsets[user + 1]]] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    highest = np.take_along_axis(scores, order, axis=1)
    return np.where(highest > -np.inf, order, -1), highest


def check_users(split: Split, known: Collection[str], users: Iterable[object]) -> None:
    """Refuse a user whose label is none of the `known` ones of a split.

    Raises:
        UserError: naming the first such.

    Example:
        >>> import datasets
        >>> check_users(datasets.load("synthetic:users=200,items=100,density=0.1"), ["7", "9"], [9, "7"])
    """
    if (wrong := next((user for user in users if str(user) not in known), None)) is not None:
        some = ", ".join(islice(known, 3))
        raise UserError(f"No user of {split.source.name} is called '{wrong}'; it has {len(known):,}, such as {some}.")
