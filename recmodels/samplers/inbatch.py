"""Samplers that reuse the positives of other rows, or of earlier batches, as negatives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recmodels.samplers import SAMPLERS
from recmodels.sampling import Proposal, Sampler, Scorer, Training, first_occurrence
from recmodels.search import Search
from recmodels.types import Batch, Candidates


@SAMPLERS.register("inbatch", paper="Yi et al., RecSys 2019", gives={"log_q": "dedup == false", "all": ""})
def inbatch(
    training: Training,
    *,
    mask: Annotated[Literal["none", "same-item", "seen"], Search(among=("seen", "same-item"))] = "seen",
    dedup: bool = False,
) -> Sampler:
    """The positives of other rows of the batch.

    q(j) = n_j / |D| where rows are drawn uniformly from the interactions D. `negatives=N` takes N other rows of the
    batch, none twice while it has as many; `negatives=all` takes the whole batch, shared by its rows. Cost: none
    beyond the scores.

    Args:
        training: the training interactions.
        mask: which candidates do not count: `same-item`, those equal to the row's own positive ("accidental hits");
            `seen`, all that the user has seen in train; `none`, only the row itself.
        dedup: whether an item counts once where several rows bring it; its law is then not known.
    """
    return Sampler(InBatch(training, mask, dedup))


@SAMPLERS.register("mixed", paper="Yang et al., WWW Companion 2020", gives=["log_q", "all"], aliases=["MNS"])
def mixed(
    training: Training,
    *,
    uniform: Annotated[float, ">= 0, < 1", Search(0.1, 0.9)] = 0.5,
    mask: Annotated[Literal["none", "same-item", "seen"], Search(among=("seen", "same-item"))] = "seen",
) -> Sampler:
    """In-batch negatives together with uniform ones.

    q(j) = (B n_j / |D| + B' / I) / (B + B'), one probability whatever the origin of a column. Cost: a draw for each
    uniform negative. `negatives=all` takes the whole batch and B' uniform items, shared by its rows.

    Args:
        training: the training interactions.
        uniform: B' / (B + B'), the uniform share of the negatives; the paper tries B' from 0 to several B.
        mask: as for `inbatch`; the uniform ones are masked alike.
    """
    return Sampler(_Mixed(training, InBatch(training, mask, False), uniform))


@SAMPLERS.register(
    "memory",
    paper="Wang, Zhu, He, SIGIR 2021",
    gives={"log_q": "", "all": "", "vectors": "mode == frozen"},
    ignores={"warm_up": "mode == ids"},
    aliases=["CBNS"],
)
def memory(
    training: Training,
    *,
    mode: Annotated[Literal["ids", "frozen"], Search(among=("ids", "frozen"))] = "ids",
    capacity: Annotated[int, ">= 0", Search(1024, 65536, log=True)] = 8192,
    warm_up: Annotated[float, ">= 0, <= 1"] = 0.05,
    mask: Annotated[Literal["none", "same-item", "seen"], Search(among=("seen", "same-item"))] = "seen",
) -> Sampler:
    """The positives of other rows and of earlier batches, kept in a first-in first-out memory (cross-batch negatives).

    q(j) = n_j / |D|, as in a batch, for both; they share the negatives in proportion to their sizes B and C. Cost: one
    draw per negative. `negatives=all` takes the whole batch and the whole memory. An empty memory leaves `inbatch`.

    Args:
        training: the training interactions.
        mode: `ids` embeds remembered items anew, a larger batch for sampling; `frozen` uses their vectors as they were
            after their step, without a gradient, as the paper does.
        capacity: positives remembered, C.
        warm_up: the share of `epochs` before `frozen` uses its memory, for the vectors of the first steps are soon
            out of date; the paper has such a time, of a length that suits the data. `ids` needs none.
        mask: as for `inbatch`.
    """
    frozen = mode == "frozen"
    state: dict[str, NDArray[Any] | Tensor] = {
        "items": np.empty(0, np.int64),
        "used": np.array(not (frozen and warm_up)),
    }

    def before_epoch(epoch: int, scorer: Scorer, rng: np.random.Generator) -> None:
        state["used"] = np.array(not frozen or epoch > warm_up * training.epochs)

    def remember(batch: Batch, candidates: Candidates, scorer: Scorer) -> None:
        known = torch.as_tensor(state["items"])
        state["items"] = torch.cat([batch.positives.cpu(), known])[:capacity].numpy()
        if frozen:
            new = scorer.items.index_select(0, batch.positives.to(scorer.device))
            old = state.get("vectors", new[:0])
            state["vectors"] = torch.cat([new, torch.as_tensor(old, device=new.device)])[:capacity]

    return Sampler(
        _Memory(training, InBatch(training, mask, False), state),
        before_epoch=before_epoch,
        after_step=remember,
        settles=warm_up if frozen else 0.0,
        state=state,
    )


@SAMPLERS.register(
    "hard-inbatch", paper="TensorFlow Recommenders, HardNegativeMining (2020)", limits=["negatives < batch_size"]
)
def hard_inbatch(
    training: Training,
    *,
    pool: Annotated[int, ">= 1", Search(32, 1024, log=True, among=("all",))] | Literal["all"] = 64,
    mask: Annotated[Literal["none", "same-item", "seen"], Search(among=("seen", "same-item"))] = "seen",
) -> Sampler:
    """The highest-scoring of the other rows' positives, each item once.

    Takes the N largest logits of a row after masking. The law is unknown. Cost: the scores of the pool, and a partial
    sort of it per row.

    Args:
        training: the training interactions.
        pool: other rows that are looked at; `all` is the library's choice, which with a batch of a thousand rows
            finds little but the very top of the catalogue.
        mask: as for `inbatch`.
    """

    def hardest(batch: Batch, drawn: Candidates, n: int, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        assert drawn.valid is not None
        scores = scorer.scores(batch.queries, drawn.items).masked_fill(~drawn.valid, -torch.inf)
        top, columns = scores.topk(min(n, scores.shape[1]), dim=1)
        return Candidates(drawn.items.expand(len(scores), -1).gather(1, columns), valid=top > -torch.inf)

    size = None if isinstance(pool, str) else pool
    return Sampler(InBatch(training, mask, dedup=True), select=hardest, pool=lambda n: size and max(n, size))


@dataclass(frozen=True)
class InBatch(Proposal):
    """The positives of other rows."""

    training: Training
    mask: str
    dedup: bool

    def draw(self, batch: Batch, n: int | None, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        """(B, n) items of other rows, or the whole batch (B,)."""
        size = len(batch.positives)
        rows = np.arange(size)
        if n is None:
            columns, items = rows[None, :], batch.positives  # (1, B), (B,)
        else:
            offsets = 1 + np.resize(rng.permutation(size - 1), n)  # so many rows after mine, in a random order
            columns = (rows[:, None] + offsets) % size  # (B, n)
            items = batch.positives[torch.from_numpy(columns)]
        return self.masked(batch, items, torch.from_numpy(columns != rows[:, None]))

    def masked(self, batch: Batch, items: Tensor, other_row: Tensor) -> Candidates:
        """Candidates `items` with what must not count masked; `other_row` is False at the row itself."""
        valid = other_row
        if self.mask == "same-item":
            valid = other_row & (items != batch.positives[:, None])
        if self.mask == "seen":
            seen, users, ids = self.training.seen, batch.users.numpy(), items.numpy()
            hit = seen.cells(users, ids) if items.dim() == 1 else seen.contains(users[:, None], ids)
            valid = other_row & torch.from_numpy(~hit)
        if self.dedup:
            valid = valid & first_occurrence(items)
        return Candidates(items, valid=valid)

    def log_prob(self, users: Tensor, items: Tensor, scorer: Scorer) -> Tensor:
        """(1, N) or (B, N)."""
        with np.errstate(divide="ignore"):
            log_q = np.log(self.training.positive_law[items.numpy()])
        return torch.from_numpy(np.atleast_2d(log_q).astype(np.float32))

    def law(self, batch: Batch, items: Tensor, scorer: Scorer) -> tuple[Tensor, Tensor]:
        """That of the columns that are not masked for being of the row's own sequence, where rows are of sequences."""
        log_q, positive = super().law(batch, items, scorer)
        if (share := self.share_of_others(batch)) is None:
            return log_q, positive
        return log_q + share.log().unsqueeze(1), positive + share.log()

    def share_of_others(self, batch: Batch) -> Tensor | None:
        """(B,) the share of the other rows that are of other sequences than the row; None where none are masked so."""
        if batch.rows is None or self.mask != "seen":
            return None
        _, at, counts = np.unique(batch.users.numpy(), return_inverse=True, return_counts=True)
        others = (len(at) - counts[at]) / max(len(at) - 1, 1)
        return torch.from_numpy(others.astype(np.float32))

    def joined(self, batch: Batch, own: Candidates, others: Tensor) -> Candidates:
        """Candidates `own` of this batch, and after them `others` from elsewhere, (M,) or (B, M), masked alike."""
        found = self.masked(batch, others, torch.ones(1, 1, dtype=torch.bool))
        assert own.valid is not None
        assert found.valid is not None
        valid = torch.cat([own.valid, found.valid.expand(len(own.valid), others.shape[-1])], dim=1)
        return Candidates(torch.cat([own.items, others], dim=-1), valid=valid)


@dataclass(frozen=True)
class _Mixed(Proposal):
    training: Training
    batch: InBatch
    share: float  # of uniform draws

    def draw(self, batch: Batch, n: int | None, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        size = len(batch.positives)
        wanted = self.share * n if n is not None else self.share / (1 - self.share) * size
        extra = _about(wanted, rng)
        own = self.batch.draw(batch, None if n is None else n - extra, rng, scorer)
        shape = (extra,) if n is None else (size, extra)
        return self.batch.joined(batch, own, torch.from_numpy(rng.integers(self.training.n_items, size=shape)))

    def log_prob(self, users: Tensor, items: Tensor, scorer: Scorer) -> Tensor:
        return self._mixed(self.batch.log_prob(users, items, scorer))

    def law(self, batch: Batch, items: Tensor, scorer: Scorer) -> tuple[Tensor, Tensor]:
        """That of the batch's columns mixed with the uniform one."""
        if self.batch.share_of_others(batch) is None:
            return super().law(batch, items, scorer)
        log_q, positive = self.batch.law(batch, items, scorer)
        return self._mixed(log_q), self._mixed(positive)

    def _mixed(self, in_batch: Tensor) -> Tensor:
        return ((1 - self.share) * in_batch.double().exp() + self.share / self.training.n_items).log().float()


@dataclass(frozen=True)
class _Memory(Proposal):
    training: Training
    batch: InBatch
    state: dict[str, NDArray[Any] | Tensor]

    def draw(self, batch: Batch, n: int | None, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        known, size = torch.as_tensor(self.state["items"]), len(batch.positives)
        if not (self.state["used"] and len(known)):
            return self.batch.draw(batch, n, rng, scorer)
        extra = len(known) if n is None else _about(n * len(known) / (size + len(known)), rng)
        own = self.batch.draw(batch, None if n is None else n - extra, rng, scorer)
        columns = torch.arange(extra) if n is None else torch.from_numpy(rng.integers(len(known), size=(size, extra)))
        found = self.batch.joined(batch, own, known[columns])
        if "vectors" not in self.state:
            return found
        return replace(found, vectors=torch.as_tensor(self.state["vectors"])[columns])

    def log_prob(self, users: Tensor, items: Tensor, scorer: Scorer) -> Tensor:
        return self.batch.log_prob(users, items, scorer)

    def law(self, batch: Batch, items: Tensor, scorer: Scorer) -> tuple[Tensor, Tensor]:
        """That of the batch, with what is remembered among the columns that are of others."""
        log_q, positive = super().law(batch, items, scorer)
        if (share := self.batch.share_of_others(batch)) is None:
            return log_q, positive
        kept, others = len(self.state["items"]) if self.state["used"] else 0, max(len(batch.users) - 1, 1)
        share = (share * others + kept) / (others + kept)
        return log_q + share.log().unsqueeze(1), positive + share.log()


def _about(wanted: float, rng: np.random.Generator) -> int:
    """A whole number that is right on average."""
    return int(wanted) if wanted == int(wanted) else int(wanted + rng.random())
