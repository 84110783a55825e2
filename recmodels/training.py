"""`Training`: what a method may learn from."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from datasets import Interactions, Split
from recmodels.seen import Seen


class Training:
    """What a sampler may learn from: the training interactions, how they become rows of a batch, and nothing else.

    Args:
        interactions: the training part.
        positives: how they become rows, as in `Settings`.
        epochs: how many times they are passed over at most, for schedules, which are shares of it.
        negatives: what users are known not to want, where the data say so.
        fold_in: interactions of users that are ranked without being trained on, where a split has such users.
        ordered: whether times, or else the order of the interactions, say what came first.
        features: (I, F) what describes the items, where a file gives it.

    Example:
        >>> users, items = np.array([0, 0, 1], np.int32), np.array([2, 3, 3], np.int32)
        >>> training = Training(Interactions(users, items, n_users=2, n_items=4))
        >>> training.n_users, training.n_items, training.epochs
        (2, 4, 100)
    """

    def __init__(
        self,
        interactions: Interactions,
        positives: str = "interaction",
        epochs: int = 100,
        negatives: Interactions | None = None,
        fold_in: Interactions | None = None,
        ordered: bool = True,
        features: NDArray[np.float32] | None = None,
    ) -> None:
        self.interactions = interactions
        self.ordered = ordered
        self.features = features
        self._targets: NDArray[np.int32] | None = None
        self.fold_in = fold_in
        self.negatives = negatives
        self.positives = positives
        self.epochs = epochs
        self.n_users = interactions.n_users
        self.n_items = interactions.n_items

    @classmethod
    def of(cls, split: Split, positives: str = "interaction", epochs: int = 100) -> Training:
        """What a split gives to learn from.

        Example:
            >>> from datasets import load
            >>> Training.of(load("synthetic:users=200,items=100,density=0.1")).n_items
            100
        """
        values = None if split.features is None else split.features.values
        return cls(split.train, positives, epochs, split.negatives, split.fold_in, split.ordered, values)

    @cached_property
    def histories(self) -> Interactions:
        """What is known of every user when it is ranked: what is trained on, or what is folded in.

        Example:
            >>> training.histories is training.interactions
            True
        """
        return self.interactions if self.fold_in is None else self.interactions.joined(self.fold_in)

    @cached_property
    def n_trained(self) -> int:
        """How many users there are, without those that are ranked without being trained on.

        Example:
            >>> training.n_trained
            2
        """
        return self.n_users - (0 if self.fold_in is None else len(np.unique(self.fold_in.users)))

    @cached_property
    def seen(self) -> Seen:
        """The training items of every user.

        Example:
            >>> training.seen.contains(np.array([0, 1]), np.array([2, 2])).tolist()
            [True, False]
        """
        return Seen(self.interactions)

    @cached_property
    def pairs(self) -> NDArray[np.int64]:
        """(n,) the interactions: the user times 2^32, plus the item.

        Example:
            >>> (training.pairs >> 32).tolist(), (training.pairs & 0xFFFFFFFF).tolist()
            ([0, 0, 1], [2, 3, 3])
        """
        packed: NDArray[np.int64] = (self.interactions.users.astype(np.int64) << 32) | self.interactions.items
        return packed

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """(I,) training interactions of each item.

        Example:
            >>> training.counts.tolist()
            [0, 0, 1, 2]
        """
        return self.interactions.item_counts()

    @cached_property
    def positive_law(self) -> NDArray[np.float64]:
        """(I,) probability that a row of a batch has each item as its positive.

        n_i / |D| where rows are interactions; the mean over users of [i in P_u] / |P_u| where users are drawn first.

        Example:
            >>> training.positive_law.round(2).tolist()
            [0.0, 0.0, 0.33, 0.67]
            >>> Training(training.interactions, positives="user").positive_law.tolist()
            [0.0, 0.0, 0.25, 0.75]
        """
        if self._targets is not None:
            found: NDArray[np.float64] = np.bincount(self._targets, minlength=self.n_items) / len(self._targets)
            return found
        if self.positives == "interaction":
            shares: NDArray[np.float64] = self.counts / self.counts.sum()
            return shares
        offsets, items = self.interactions.by_user()
        sizes = np.diff(offsets)
        weights = np.repeat(1 / (sizes.clip(1) * np.count_nonzero(sizes)), sizes)
        return np.bincount(items, weights, minlength=self.n_items).astype(np.float64)

    @property
    def rows(self) -> int:
        """How many rows an epoch has.

        Example:
            >>> training.rows
            3
        """
        return len(self.interactions) if self._targets is None else len(self._targets)

    def restrict(self, targets: NDArray[np.int32]) -> None:
        """Only these items (R,) are positives of rows, each once an epoch.

        Example:
            >>> few = Training(training.interactions)
            >>> few.restrict(np.array([3, 3], np.int32))
            >>> few.rows, few.positive_law.tolist()
            (2, [0.0, 0.0, 0.0, 1.0])
        """
        self._targets = targets
        self.__dict__.pop("positive_law", None)
