"""What a ranking leaves out, how shares are rounded, and training again on train and validation."""

from __future__ import annotations

import json
import lzma
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import recmodels.trainer
from bench.cli.compare import Compare
from bench.cli.experiment_file import from_file, read, resolved
from bench.runs.design import design
from bench.runs.runner import Task, execute
from bench.runs.spec import Data, RunSpec, parse_cell
from bench.runs.store import Result, Store
from datasets import Interactions, Protocol, Split, load
from recmodels.metrics import user_metrics
from recmodels.sampling import Sampler
from recmodels.settings import setting_parameters

MASKS = ("known", "train", "none")
REAL = Path(__file__).parents[3] / "shared" / "data" / "research-only" / "ml-1m" / "sasrec_ml-1m.txt.xz"
FAST = {"epochs": "4", "embedding_size": "8", "batch_size": "64", "negatives": "4", "learning_rate": "0.02"}


def task(data: Path, text: str, protocol: Protocol = Protocol(), refit: bool = False, **settings: str) -> Task:
    spec = RunSpec(Data(str(data), "ab" * 32, protocol.as_dict()), parse_cell(text, FAST | settings), 0, refit)
    return Task(spec, protocol, keep_embeddings=True)


def run(data: Path, text: str, protocol: Protocol = Protocol(), **options: Any) -> Result:
    result = execute(task(data, text, protocol, **options), split=load(str(data), protocol))
    assert result.failure is None, result.failure
    return result


def better_by_hand(result: Result, parts: list[Interactions], held_out: Interactions) -> dict[int, int]:
    """How many rivals score above each held-out item, one user after the other."""
    assert result.embeddings is not None
    scores = result.embeddings["users"] @ result.embeddings["items"].T
    found = {}
    for user, item in zip(held_out.users, held_out.items, strict=True):
        left_out = {i for part in parts for u, i in zip(part.users, part.items, strict=True) if u == user}
        found[int(user)] = sum(s > scores[user, item] for i, s in enumerate(scores[user]) if i not in left_out)
    return found


@pytest.mark.parametrize("mask", MASKS)
def test_a_ranking_leaves_out_what_its_mask_says(ratings_csv: Path, mask: str) -> None:
    protocol = Protocol(mask=mask)
    split, result = load(str(ratings_csv), protocol), run(ratings_csv, "uniform", protocol)
    parts = {"known": [split.train, split.valid], "train": [split.train], "none": []}[mask]
    assert result.ranks is not None
    assert dict(zip(result.ranks.users, result.ranks.better, strict=True)) == better_by_hand(result, parts, split.test)
    assert set(result.ranks.candidates) == {len(split.item_ids) - sum(len(part) for part in parts) // 40}


@pytest.mark.parametrize("mask", MASKS)
def test_validation_leaves_out_train_or_nothing(ratings_csv: Path, mask: str) -> None:
    protocol = Protocol(mask=mask)
    split, result = load(str(ratings_csv), protocol), run(ratings_csv, "uniform", protocol)
    parts = [] if mask == "none" else [split.train]
    ranks = np.array(list(better_by_hand(result, parts, split.valid).values())) + 1
    expected = np.where(ranks <= 10, 1 / np.log2(ranks + 1), 0).mean()  # of the best epoch, whose vectors were kept
    assert result.history[result.best_epoch - 1][2] == pytest.approx(expected, abs=1e-6)


def test_the_mask_is_part_of_a_run_and_of_no_split(ratings_csv: Path) -> None:
    ids = {task(ratings_csv, "uniform", Protocol(mask=mask)).spec.run_id for mask in MASKS}
    assert len(ids) == 3
    assert len({load(str(ratings_csv), Protocol(mask=mask)).train.sha256() for mask in MASKS}) == 1


@pytest.mark.skipif(not REAL.is_file(), reason="needs the real MovieLens 1M, which may not be shipped")
@pytest.mark.parametrize(
    ("mask", "refit", "hits"),
    [("known", True, 0.0363), ("none", True, 0.0162), ("known", False, 0.0369), ("train", False, 0.0368)],
)
def test_popularity_on_real_data_is_what_was_counted(
    mask: str, hits: float, refit: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HR@10 of the most popular items, counted by programs of a few lines: a factor of two between the masks."""
    mirror = tmp_path / "mirror"
    (mirror / "ml-1m-sasrec").mkdir(parents=True)
    (mirror / "ml-1m-sasrec" / "ml-1m.txt").write_bytes(lzma.decompress(REAL.read_bytes()))
    monkeypatch.setenv("BENCH_DATA_MIRROR", str(mirror))
    protocol = Protocol(mask=mask)
    spec = RunSpec(Data("ml-1m-sasrec", "", protocol.as_dict()), parse_cell("toppop", {}), 0, refit)
    split = load("ml-1m-sasrec", protocol)
    ranks = execute(Task(spec, protocol), split=split).ranks
    assert ranks is not None
    assert user_metrics(ranks, [10])[1]["hr@10"].mean() == pytest.approx(hits, abs=6e-5)


@pytest.mark.parametrize(
    ("size", "held_out"),
    [(1, (0, 0)), (2, (1, 0)), (3, (1, 1)), (7, (1, 1)), (9, (1, 1)), (10, (2, 1)), (19, (3, 1)), (20, (4, 2))],
)
def test_shares_are_rounded_down_as_recbole_does(size: int, held_out: tuple[int, int], tmp_path: Path) -> None:
    """Counted by hand for 20 % and 10 %; what would be nothing is one row, for test first, while train keeps one."""
    lines = [f"{user},{item},{item}" for user, n in enumerate((size, 30)) for item in range(n)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["user,item,timestamp", *lines]) + "\n")
    split = load(str(path), Protocol("ratio:test=0.2,valid=0.1,rounding=down"))
    assert ((split.test.users == 0).sum(), (split.valid.users == 0).sum()) == held_out
    assert ((split.test.users == 1).sum(), (split.valid.users == 1).sum()) == (6, 3)


def test_half_up_is_spelled_as_before_rounding_could_be_chosen() -> None:
    assert Protocol("ratio:rounding=half-up").split == "ratio:order=random,test=0.2,valid=0.1"
    assert Protocol("ratio:rounding=down").split == "ratio:order=random,rounding=down,test=0.2,valid=0.1"


def vectors(result: Result) -> tuple[Any, Any]:
    assert result.embeddings is not None
    return result.embeddings["users"], result.embeddings["items"]


def without_validation(split: Split) -> Split:
    """The same with train and validation as one part."""
    pairs = [np.concatenate([getattr(split.train, k), getattr(split.valid, k)]) for k in ("users", "items")]
    both = Interactions(*pairs, split.train.n_users, split.train.n_items)
    return replace(split, train=both, valid=both.take(np.empty(0, np.intp)))


def test_refit_trains_on_both_parts_for_the_chosen_epochs_by_the_first_schedule(ratings_csv: Path) -> None:
    settings = {"epochs": "12", "patience": "12", "schedule": "linear", "learning_rate": "0.1"}
    plain, again = (run(ratings_csv, "uniform", refit=refit, **settings) for refit in (False, True))
    assert [line[:3] for line in plain.history] == [line[:3] for line in again.history]
    assert 1 < again.best_epoch == plain.best_epoch < 12
    both = without_validation(load(str(ratings_csv)))
    steps: list[float] = []
    step = recmodels.trainer.Updates.step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recmodels.trainer.Updates, "step", lambda self, rate: (steps.append(rate), step(self, rate))[1])
        repeated = run(ratings_csv, "uniform", refit=True, **settings)
    per_epoch = -(-len(both.train) // 64)
    rates = steps[-again.best_epoch * per_epoch :: per_epoch]
    assert rates == pytest.approx([0.1 * (1 - (epoch - 1) / 12) for epoch in range(1, again.best_epoch + 1)])
    assert (vectors(repeated)[0] == vectors(again)[0]).all()
    assert not np.array_equal(vectors(plain)[0], vectors(again)[0])


def test_refit_without_a_validation_part_is_the_plain_run(ratings_csv: Path) -> None:
    split = without_validation(load(str(ratings_csv)))
    plain, again = (execute(task(ratings_csv, "uniform", refit=refit), split=split) for refit in (False, True))
    assert all((a == b).all() for a, b in zip(vectors(plain), vectors(again), strict=True))


def test_a_refitted_sampler_never_draws_a_validation_item(ratings_csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = load(str(ratings_csv))
    held_out = set(zip(split.valid.users.tolist(), split.valid.items.tolist(), strict=True))
    drawn: list[set[tuple[int, int]]] = []
    train, choose = recmodels.trainer.train, Sampler.choose

    def watched(self: Sampler, batch: Any, pool: Any, *rest: Any) -> Any:
        users = batch.users[:, None].expand(pool.items.shape)
        drawn[-1] |= set(zip(users.ravel().tolist(), pool.items.ravel().tolist(), strict=True))
        return choose(self, batch, pool, *rest)

    monkeypatch.setattr(Sampler, "choose", watched)
    monkeypatch.setattr(recmodels.trainer, "train", lambda *a, **k: (drawn.append(set()), train(*a, **k))[1])
    run(ratings_csv, "uniform", refit=True)
    first, second = drawn
    assert first & held_out
    assert second
    assert not second & held_out


def test_a_refitted_baseline_counts_both_parts(ratings_csv: Path) -> None:
    split = load(str(ratings_csv))
    items = np.concatenate([split.train.items, split.valid.items])
    result = run(ratings_csv, "toppop", refit=True)
    assert result.embeddings is not None
    assert (result.embeddings["bias"] == np.bincount(items, minlength=len(split.item_ids))).all()
    assert not torch.equal(
        torch.from_numpy(result.embeddings["bias"]),
        torch.from_numpy(run(ratings_csv, "toppop").embeddings["bias"]),  # type: ignore[index]
    )


def test_refit_is_another_run_and_said_in_it(ratings_csv: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"dataset": str(ratings_csv), "protocol": Protocol()}
    plain, again = (
        design(["uniform"], **options, store=Store(tmp_path), seeds=[0], refit=refit) for refit in (False, True)
    )
    assert plain.specs()[0].run_id != again.specs()[0].run_id
    spec = again.specs()[0]
    stored = again.store.save(spec, run(ratings_csv, "uniform", refit=True), [10])
    assert json.loads((stored.path / "run.json").read_text())["spec"]["refit"] is True
    assert len(stored.history()) == stored.record["epochs"] >= stored.record["best_epoch"]


def test_a_file_and_fields_say_the_same_of_mask_refit_and_recommended(ratings_csv: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('names = ["lambdarank", "toppop"]\nmask = "none"\nrefit = true\nrecommended = true\n')
    plain = Compare(names=["lambdarank", "toppop"], dataset=[str(ratings_csv)], results=str(tmp_path))
    asked = replace(plain, mask="none", refit=True, recommended=True)
    told = from_file(replace(plain, names=[str(file)]), ["names", "dataset"])
    assert told == asked
    found, usual = ([spec.as_dict() for spec in request.experiments()[0].specs()] for request in (told, plain))
    for one, other in zip(found, usual, strict=True):
        assert (one["refit"], one["protocol"]["mask"]) == (True, "none")
        assert (other["refit"], other["protocol"]["mask"]) == (False, "known")
    assert (found[0]["settings"]["l2"], usual[0]["settings"]["l2"]) == (3e-4, setting_parameters()["l2"].default)
    file.write_text(resolved(told, tmp_path))
    assert read(file, Compare)["mask"] == "none"
