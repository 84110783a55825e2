"""Cross-entropy over the part of the catalogue that random projections put beside a row."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor

from recmodels.losses import LOSSES
from recmodels.losses.embedding import with_bias
from recmodels.sampling import first_occurrence
from recmodels.scoring import row_dot, rows_of
from recmodels.search import Search
from recmodels.sums import log_sum_exp
from recmodels.types import LOWEST, LossInput


@LOSSES.register(
    "sce",
    paper="Mezentsev, Gusak, Oseledets, Frolov, RecSys 2024",
    space="dot",
    needs=["catalogue", "tables", "batch"],
    spaces=["dot"],
    spaces_why="its buckets hold the largest dot products",
    aliases=["scalable cross-entropy"],
)
def sce(
    x: LossInput,
    *,
    buckets: Annotated[int, ">= 1"] | None = None,
    bucket_rows: Annotated[int, ">= 1"] | None = None,
    bucket_items: Annotated[int, ">= 1", Search(64, 4096, log=True)] = 256,  # authors
) -> Tensor:
    """Cross-entropy within buckets: the rows and the items with the largest products with a random direction.

    A row in a bucket has -s⁺ + log(exp s⁺ + Σ exp s_j) over the bucket's items that count and are not its positive. Its
    loss is the largest of its buckets; rows in none have none, and the others count for them in the batch's mean. One
    bucket of all rows and items is the exact cross-entropy. No more than `buckets` · rows · items scores are held.

    Args:
        x: the tables, and which items count for each row.
        buckets: how many; none means 2 √B, as its authors take.
        bucket_rows: rows of a bucket; none means 2 √B.
        bucket_items: items of a bucket.
    """
    rows, items = with_bias(x)  # (B, D), (I, D)
    usual = int(2 * math.sqrt(len(rows)))
    wanted = min(bucket_rows or usual, len(rows)), min(bucket_items, len(items))
    with torch.no_grad():
        ways = directions(buckets or usual, rows)  # (D, K)
        chosen, listed = ((side @ ways).topk(n, dim=0).indices.T for side, n in zip((rows, items), wanted, strict=True))
        counts = listed[:, None, :] != x.batch.positives[chosen][:, :, None]  # (K, b, c)
        if x.valid is not None:
            counts &= x.valid.expand(-1, len(items))[chosen[:, :, None], listed[:, None, :]]
    scores = torch.bmm(rows_of(rows, chosen), rows_of(items, listed).transpose(1, 2))
    found = _surprise(x.positive[chosen].flatten(), scores.flatten(0, 1), counts.flatten(0, 1)).view(chosen.shape)
    of_bucket = torch.arange(len(chosen), device=chosen.device)[:, None].expand_as(chosen)
    losses = found.new_full((len(rows), len(chosen)), LOWEST).index_put((chosen, of_bucket), found)  # (B, K)
    covered = torch.zeros(len(rows), dtype=torch.bool, device=rows.device).index_fill_(0, chosen.flatten(), True)
    return losses.max(dim=1).values.masked_fill(~covered, 0.0) * len(rows) / covered.sum()


@LOSSES.register(
    "rece",
    paper="Gusak, Mezentsev, Oseledets, Frolov, CIKM 2024",
    space="dot",
    needs=["catalogue", "tables", "batch"],
    spaces=["dot"],
    spaces_why="its chunks hold what lies in one direction of the vectors",
    aliases=["reduced cross-entropy"],
)
def rece(
    x: LossInput,
    *,
    chunks: Annotated[int, ">= 1"] | None = None,
    extra: Annotated[int, ">= 0", Search(0, 10)] = 1,  # authors
    rounds: Annotated[int, ">= 1", Search(1, 8, log=True)] = 1,  # authors: to 128
) -> Tensor:
    """Cross-entropy over the items that lie in the direction of the row, in any of some rounds of random directions.

    Rows and items are sorted by which direction they have the largest product with, and cut in equal chunks; a row sees
    the items of its chunk and of those beside it: -s⁺ + log(exp s⁺ + Σ exp s_j), each item once, over those that count
    and are not its positive. One chunk is the exact cross-entropy.

    Args:
        x: the tables, and which items count for each row.
        chunks: directions and chunks; none means √(4 (1 + 2 extra) min(I, B)), as its authors take.
        extra: chunks on each side that are seen too.
        rounds: how often directions are drawn.
    """
    rows, items = with_bias(x)
    size = min(len(rows), len(items))
    parts = min(chunks or int(math.sqrt(4 * (1 + 2 * extra) * size)), size)
    with torch.no_grad():
        seen = torch.cat([_beside(rows, items, parts, extra) for _ in range(rounds)], dim=1)  # (B, W), -1 for none
        counts = (seen >= 0) & (seen != x.batch.positives[:, None]) & first_occurrence(seen)
        seen = seen.clamp(min=0)
        if x.valid is not None:
            counts &= x.valid.expand(-1, len(items)).gather(1, seen)
    return _surprise(x.positive, row_dot(rows, rows_of(items, seen)), counts)


def directions(n: int, like: Tensor) -> Tensor:
    """(D, n) random directions for vectors `like` (B, D), drawn on the CPU so that every device has the same."""
    return torch.randn(n, like.shape[1]).T.to(like)


def _beside(rows: Tensor, items: Tensor, parts: int, extra: int) -> Tensor:
    """(B, W) the items of each row's chunk and of `extra` chunks on each side; -1 where there is none."""
    ways = directions(parts, rows)
    order, listed = ((side @ ways).argmax(dim=1).argsort(stable=True) for side in (rows, items))
    width = math.ceil(len(items) / parts)
    padded = listed.new_full(((parts + 2 * extra) * width,), -1)  # so many chunks that all have neighbours
    padded[extra * width : extra * width + len(items)] = listed
    chunk = torch.arange(len(rows), device=rows.device) * parts // len(rows)
    window = chunk[:, None] * width + torch.arange((1 + 2 * extra) * width, device=rows.device)
    return torch.empty_like(window).index_copy_(0, order, padded[window])


def _surprise(positive: Tensor, scores: Tensor, counts: Tensor) -> Tensor:
    """(R,) -s⁺ + log(exp s⁺ + Σ exp s) over the `scores` (R, W) that count."""
    scores = torch.where(counts, scores, LOWEST)
    return log_sum_exp(torch.cat([positive[:, None], scores], dim=1)) - positive
