"""Rankings of users that nothing was trained on: who can make them, from what, and what is said of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import recmodels.trainer
from bench.comparison.guards import check_sampled
from bench.comparison.user_groups import user_groups
from bench.pages.losses import cells
from bench.runs.design import design
from bench.runs.runner import Task, execute, with_validation
from bench.runs.spec import Data, RunSpec, incompatibility, parse_cell, unrankable
from bench.runs.store import Result, Store
from datasets import Interactions, Protocol, Split, load
from datasets.errors import UserError
from datasets.layouts import write_split
from recmodels.metrics import user_metrics
from recmodels.models import BASELINES, MODELS
from recmodels.sampling import Sampler
from tests.inputs.asking import ask

STRONG = Protocol("strong:test=0.3,valid=0.2")
FAST = {"epochs": "3", "embedding_size": "8", "batch_size": "64", "negatives": "4", "learning_rate": "0.02"}
SMALLER = {"puresvd": "puresvd:factors=8"}


@pytest.fixture
def split(ratings_csv: Path) -> Split:
    return load(str(ratings_csv), STRONG)


@pytest.mark.parametrize("text", ["ease:regularisation=20", "uniform+bpr+history"])
def test_the_split_in_files_of_its_own_gives_the_same_ranks(split: Split, text: str, tmp_path: Path) -> None:
    write_split(split, tmp_path / "ready", "csv")
    again = load(str(tmp_path / "ready"))
    assert better(run(again, text, again.protocol)) == better(run(split, text))


def test_what_cannot_rank_others_is_refused_on_files_that_hold_users_out(split: Split, tmp_path: Path) -> None:
    write_split(split, tmp_path / "ready", "csv")
    there = {"dataset": str(tmp_path / "ready"), "protocol": Protocol(), "store": Store(tmp_path / "runs")}
    with pytest.raises(UserError, match="mf has a vector for each user"):
        design(["ease", "uniform+bpr+mf"], **there)
    found = design(samplers=["uniform"], losses=["bpr"], models=["mf", "history"], **there)
    assert [cell.name for cell in found.cells] == ["uniform+bpr+history"]
    assert [cell["model"] for cell in found.skipped] == ["mf"]


def run(split: Split, text: str, protocol: Protocol = STRONG, refit: bool = False, **settings: str) -> Result:
    cell = parse_cell(text, FAST | settings)
    spec = RunSpec(Data("ratings.csv", "ab" * 32, protocol.as_dict()), cell, 0, refit)
    result = execute(Task(spec, protocol, keep_embeddings=True), split=replace(split, protocol=protocol))
    assert result.failure is None, result.failure
    return result


def dense(part: Interactions) -> Any:
    found = np.zeros((part.n_users, part.n_items))
    found[part.users, part.items] = 1
    return found


def better_by_hand(scores: Any, split: Split, masked: bool) -> dict[tuple[int, int], int]:
    """How many rivals score above each test item; what is folded in is no rival where it is masked."""
    assert split.fold_in is not None
    left_out = dense(split.fold_in) if masked else np.zeros(scores.shape)
    return {
        (u, i): int(((scores[u] > scores[u, i]) & (left_out[u] == 0)).sum())
        for u, i in zip(split.test.users.tolist(), split.test.items.tolist(), strict=True)
    }


def better(result: Result) -> dict[tuple[int, int], int]:
    assert result.ranks is not None
    users, items, found, *_ = (column.tolist() for column in result.ranks)
    return dict(zip(zip(users, items, strict=True), found, strict=True))


def test_ease_folds_held_out_users_in(split: Split) -> None:
    """Five lines of numpy: B from the users that train, scores from what is known of the others."""
    assert split.fold_in is not None
    x, known = dense(split.train), dense(split.fold_in)
    p = np.linalg.inv(x.T @ x + 20 * np.eye(x.shape[1]))
    b = -p / np.diag(p)
    np.fill_diagonal(b, 0)
    text, held_out = "ease:regularisation=20", np.unique(split.fold_in.users)
    scores = scores_of(text, split)
    np.testing.assert_allclose(scores[held_out], (known @ b)[held_out], atol=1e-9)
    assert better(run(split, text)) == better_by_hand(scores, split, True)
    assert better(run(split, text, Protocol(STRONG.split, mask="none"))) == better_by_hand(scores, split, False)


def test_users_alike_to_what_is_folded_in_are_users_that_train(split: Split) -> None:
    assert split.fold_in is not None
    x, known = dense(split.train), dense(split.fold_in)
    norms = np.sqrt(np.maximum(known.sum(1), 1))[:, None] * np.sqrt(np.maximum(x.sum(1), 1))
    cosines = known @ x.T / norms
    assert better(run(split, "userknn:neighbours=1000")) == better_by_hand(cosines @ x, split, True)


def test_als_solves_for_held_out_users_with_the_last_items(split: Split) -> None:
    result = run(split, "ials:factors=4")
    assert result.embeddings is not None
    assert split.fold_in is not None
    users, items, known = result.embeddings["users"], result.embeddings["items"], dense(split.fold_in)
    for user in np.unique(split.fold_in.users):
        pull = 0.003 * (known[user].sum() + 0.1 * len(items))
        system = 0.1 * items.T @ items + items.T @ (known[user][:, None] * items) + pull * np.eye(4)
        np.testing.assert_allclose(users[user], np.linalg.solve(system, known[user] @ items))


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_what_a_baseline_learns_does_not_depend_on_users_that_are_held_out(name: str, split: Split) -> None:
    """Held-out users with another history change nobody else's scores, and their own."""
    assert split.fold_in is not None
    known = split.fold_in
    moved = replace(split, fold_in=replace(known, items=(known.items + 1) % known.n_items))
    text = SMALLER.get(name, name)
    mine, other = (scores_of(text, one) for one in (split, moved))
    trained = np.unique(split.train.users)
    np.testing.assert_allclose(mine[trained], other[trained], atol=1e-9)
    held_out = np.unique(split.test.users)
    same_for_all = name in ("toppop", "recency", "constant", "random")
    assert np.allclose(mine[held_out], other[held_out]) == same_for_all


def scores_of(text: str, split: Split) -> Any:
    import torch

    from bench.runs.runner import fitted

    cell = parse_cell(text, {})
    spec = RunSpec(Data("ratings.csv", "ab" * 32, STRONG.as_dict()), cell, 0)
    model = fitted(Task(spec, STRONG), split, lambda *_: None).tables
    return model.scores(torch.arange(split.train.n_users)).double().numpy()


@pytest.mark.parametrize("text", ["uniform+bpr+history", "srns+bpr+history:gamma=0", "uniform+wrmf+history"])
def test_nothing_of_a_held_out_user_is_trained_on(text: str, split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    held_out, owners = set(split.test.users) | set(split.valid.users), set[int]()
    choose, gradient = Sampler.choose, recmodels.trainer._gradient

    def watched(self: Sampler, batch: Any, *rest: Any) -> Any:
        owners.update(batch.users.tolist())
        return choose(self, batch, *rest)

    monkeypatch.setattr(Sampler, "choose", watched)

    def stepped(fit: Any, part: Any, *rest: Any) -> Any:
        owners.update(part.batch.users.tolist())
        return gradient(fit, part, *rest)

    monkeypatch.setattr(recmodels.trainer, "_gradient", stepped)
    run(split, text)
    assert owners == set(split.train.users)
    assert not owners & held_out


def test_the_history_model_ranks_held_out_users_by_what_is_folded_in(split: Split) -> None:
    result = run(split, "uniform+bpr+history:linear=false,length=none")
    assert result.embeddings is not None
    assert split.fold_in is not None
    users, items, known = result.embeddings["users"], result.embeddings["items"], dense(split.fold_in)
    held_out = np.unique(split.fold_in.users)
    mean = known[held_out] @ items / known[held_out].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(users[held_out], mean / 2, rtol=1e-4, atol=1e-6)
    assert better(result) == better_by_hand(users @ items.T, split, True)


def test_validation_is_a_ranking_of_users_that_are_not_trained_on(split: Split) -> None:
    result = run(split, "uniform+bpr+history", epochs="1")
    assert split.fold_in is not None
    assert result.embeddings is not None
    swapped = replace(split, test=split.valid, valid=split.test)
    users, items = result.embeddings["users"], result.embeddings["items"]
    ranks = better_by_hand(users @ items.T, swapped, True)
    gains: dict[int, list[float]] = {}
    for (user, _), above in ranks.items():
        gains.setdefault(user, []).append(1 / np.log2(above + 2) if above < 10 else 0.0)
    ideal = {user: sum(1 / np.log2(k + 2) for k in range(len(mine))) for user, mine in gains.items()}
    expected = np.mean([sum(mine) / ideal[user] for user, mine in gains.items()])
    assert result.history[0][2] == pytest.approx(expected, abs=1e-6)


def test_refit_trains_on_all_of_those_who_validate(split: Split) -> None:
    both = with_validation(split)
    assert split.fold_in is not None
    assert both.fold_in is not None
    assert set(both.train.users) == set(split.train.users) | set(split.valid.users)
    assert set(both.fold_in.users) == set(split.test.users)
    total = len(split.train) + len(split.valid) + len(split.fold_in)
    assert len(both.train) + len(both.fold_in) == total
    assert better(run(split, "ease", refit=True)) == better(run(both, "ease"))
    run(split, "uniform+bpr+history", refit=True)
    run(split, "uniform+bpr+sasrec", refit=True)


def test_every_model_says_whether_it_can_rank_whom_it_has_not_seen(ratings_csv: Path, tmp_path: Path) -> None:
    able = {name for name in MODELS if unrankable(parse_cell(f"uniform+bpr+{name}", {})) is None}
    assert able == {"gru4rec", "history", "sasrec"}
    options: dict[str, Any] = {"dataset": str(ratings_csv), "protocol": STRONG, "store": Store(tmp_path)}
    for name in set(MODELS) - able:
        with pytest.raises(UserError, match=f"{name} has a vector for each user that it is trained on.*history.*ease"):
            design([f"uniform+bpr+{name}"], **options)
    grid = design(["uniform"], models=[*MODELS], **options)
    assert {cell.model.name for cell in grid.cells} == able
    assert {skipped["model"] for skipped in grid.skipped} == set(MODELS) - able
    assert len(design([SMALLER.get(name, name) for name in BASELINES], **options).cells) == len(BASELINES)


def test_every_sampler_and_loss_trains_for_it(split: Split) -> None:
    """They see users that train alone; what they keep for each user is never asked for others."""
    tried = 0
    for text in cells():
        cell = f"{text}+history" if text.count("+") == 1 else text
        if (
            cell.endswith("+history")
            and not text.startswith("given")
            and incompatibility(parse_cell(cell, FAST)) is None
        ):
            run(split, cell, epochs="1")
            tried += 1
    assert tried > 45


def test_the_split_is_part_of_a_run_and_said_under_the_table(ratings_csv: Path, tmp_path: Path) -> None:
    words = ["compare", "toppop", "ease", "--dataset", str(ratings_csv), "--split", STRONG.split, "--caption", "full"]
    answer = ask([*words, "--results", str(tmp_path)])
    assert answer.code == 0, answer.err
    said = " ".join(answer.out.split())
    assert "split strong:fold_in=0.8,order=random,test=0.3,valid=0.2" in said
    assert "users trained on 20" in said
    assert "Ranking is of users that are not trained on and masks what is folded in of them" in said
    assert "12 test users" in said
    ids = set()
    for text in ("strong", "strong:fold_in=0.7", "strong:order=time", "strong:valid=0.2"):
        (experiment,) = (design(["ease"], dataset=str(ratings_csv), protocol=Protocol(text), store=Store(tmp_path)),)
        ids.add(experiment.specs()[0].run_id)
    assert len(ids) == 4


def test_active_users_are_those_of_whom_much_is_folded_in(split: Split) -> None:
    few = np.unique(split.test.users)[:4]
    assert split.fold_in is not None
    less = np.isin(split.fold_in.users, few) & (np.arange(len(split.fold_in)) % 2 == 0)
    cut = replace(split, fold_in=split.fold_in.take(~less))
    groups = list(user_groups(cut, "activity").values())
    assert set(groups[0]) <= set(split.user_ids[few])


def test_what_is_folded_in_is_not_sampled(ratings_csv: Path) -> None:
    """One of 12 items is held out; 11 are known, and the others may be drawn."""
    split = load(str(ratings_csv), Protocol("strong:test=0.3,fold_in=0.95"))
    rivals = len(split.item_ids) - 12
    check_sampled(split, rivals, "ndcg")
    with pytest.raises(UserError, match=f"a user has {rivals} to draw from"):
        check_sampled(split, rivals + 1, "ndcg")


def test_metrics_are_per_held_out_user(split: Split) -> None:
    ranks = run(split, "toppop").ranks
    assert ranks is not None
    users, values = user_metrics(ranks, [10])
    assert users.tolist() == np.unique(split.test.users).tolist()
    assert all(len(column) == 12 for column in values.values())
