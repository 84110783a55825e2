"""Negatives that the data give: which pairs they are, and how they are drawn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.runs.runner import Task, execute
from bench.runs.spec import Data, RunSpec, parse_cell
from datasets import Interactions, Split
from datasets.errors import UserError
from datasets.loading import load
from datasets.negatives import identity
from datasets.protocol import Protocol
from datasets.source import resolve
from recmodels.contracts.small import make, scorer
from recmodels.sampling import Training
from recmodels.types import Batch

ROWS = """user,item,rating,timestamp
a,i1,5,10
a,i2,1,11
a,i3,4,20
a,i4,5,30
a,i5,5,40
a,i6,2,35
b,i1,4,1
b,i2,4,2
b,i3,4,3
b,i4,2,1
b,i4,5,4
b,i6,5,0
c,i5,1,1
"""


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    path = tmp_path / "ratings.csv"
    path.write_text(ROWS, encoding="utf-8")
    return path


def pairs(split: Split) -> set[tuple[str, str]]:
    assert split.negatives is not None
    users, items = split.user_ids[split.negatives.users], split.item_ids[split.negatives.items]
    return {(str(user), str(item)) for user, item in zip(users, items, strict=True)}


def test_ratings_below_the_threshold_are_negatives_up_to_the_last_training_interaction(ratings: Path) -> None:
    """The pair a, i6 comes after what a trained on (i1, i3); b rated i4 again, and better; c keeps nothing."""
    split = load(str(ratings), Protocol(min_rating=3))
    assert pairs(split) == {("a", "i2")}
    assert split.facts["given_negatives"] == 1
    assert split.facts["given_negatives_later_than_training"] == 1
    assert split.facts["given_negatives_of_others"] == 1
    timeless = load(str(ratings), Protocol(min_rating=3, split="leave-random-one-out"))
    assert pairs(timeless) == {("a", "i2"), ("a", "i6")}
    assert load(str(ratings), Protocol()).negatives is None


def test_of_a_ready_split_only_its_train_part_gives_negatives(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("user,item,rating\na,x,5\na,y,1\nb,x,5\nb,z,5\nb,y,5\n", encoding="utf-8")
    (tmp_path / "test.csv").write_text("user,item,rating\na,z,5\nb,w,1\nb,x,5\na,w,4\n", encoding="utf-8")
    assert pairs(load(str(tmp_path), Protocol(min_rating=3))) == {("a", "y")}


def test_a_second_file_gives_negatives_by_label(ratings: Path, tmp_path: Path) -> None:
    shown = tmp_path / "shown.csv"
    shown.write_text("user,item\na,i2\na,i2\na,i1\nb,i5\nzoe,i1\nb,i99\n", encoding="utf-8")
    split = load(str(ratings), Protocol(min_rating=3), negatives_from=str(shown))
    assert pairs(split) == {("a", "i2"), ("b", "i5")}
    assert split.facts["given_negatives_of_others"] == 3  # c, zoe and i99
    assert split.facts["given_negatives_that_are_interactions"] == 1
    alone = load(str(ratings), Protocol(), negatives_from=str(shown))
    assert pairs(alone) == {("b", "i5")}  # without a threshold a, i2 is an interaction


def test_a_file_of_negatives_is_part_of_what_the_data_are(ratings: Path, tmp_path: Path) -> None:
    shown = tmp_path / "shown.csv"
    shown.write_text("user,item\nb,i5\n", encoding="utf-8")
    plain = resolve(str(ratings)).content().sha256
    split = load(str(ratings), Protocol(), negatives_from=str(shown))
    assert split.source.sha256 == identity(plain, str(shown)) != plain
    shown.write_text("user,item\na,i2\na,i6\nb,i5\n", encoding="utf-8")
    again = load(str(ratings), Protocol(min_rating=3), negatives_from=str(shown))
    assert again.source.sha256 != split.source.sha256
    assert pairs(again) == {("a", "i2"), ("a", "i6"), ("b", "i5")}  # without times nothing is too late
    with pytest.raises(UserError, match="is no file of negatives"):
        load(str(ratings), Protocol(), negatives_from=str(tmp_path / "none.csv"))


def test_labels_that_are_numbers_in_one_file_are_found_in_the_other(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("user,item\n" + "".join(f"{u},{i}\n" for u in (1, 22) for i in (3, 14, 5)))
    (tmp_path / "n.csv").write_text("user,item\n22,60\n1,x\n22,5\nq,3\n", encoding="utf-8")
    split = load(str(tmp_path / "r.csv"), Protocol(), negatives_from=str(tmp_path / "n.csv"))
    assert pairs(split) == set()
    assert split.facts["given_negatives_that_are_interactions"] == 1
    (tmp_path / "r.csv").write_text("user,item\n22,3\n22,4\n22,5\n1,3\n1,4\n1,60\n", encoding="utf-8")
    split = load(str(tmp_path / "r.csv"), Protocol(), negatives_from=str(tmp_path / "n.csv"))
    assert pairs(split) == {("22", "60")}


def interactions(*pairs: tuple[int, int]) -> Interactions:
    users, items = np.array(pairs, np.int32).reshape(-1, 2).T
    return Interactions(users.copy(), items.copy(), 3, 5)


KNOWN = interactions((0, 0), (1, 0), (1, 1), (2, 4))
DATA = Training(KNOWN, negatives=interactions((0, 1), (0, 2), (1, 3), (1, 1)))


@pytest.mark.parametrize(
    ("user", "share", "law"),
    [
        (0, 0.5, [0, 0.375, 0.375, 0.125, 0.125]),
        (0, 1.0, [0, 0.5, 0.5, 0, 0]),
        (1, 0.25, [0, 0, 0.25, 0.5, 0.25]),  # what is trained on is no negative, whatever is given
        (2, 0.5, [0.25, 0.25, 0.25, 0.25, 0]),
    ],
)
def test_law_of_given_and_drawn_negatives(user: int, share: float, law: list[float]) -> None:
    sampler, users = make("given", DATA, share=share), torch.full((20_000,), user)
    stated = sampler.proposal.log_prob(users[:1], torch.arange(5), scorer()).exp()[0]
    unseen = ~DATA.seen.contains(np.array([user]), np.arange(5))
    np.testing.assert_allclose(np.where(unseen, stated, 0), law, atol=1e-6)
    drawn = sampler.propose(Batch(users, users * 0), 20, np.random.default_rng(0), scorer())
    assert drawn.valid is None
    np.testing.assert_allclose(np.bincount(drawn.items.ravel(), minlength=5) / 400_000, law, atol=0.004)


def test_users_without_given_negatives_have_none_where_none_are_drawn() -> None:
    sampler, users = make("given", DATA, share=1.0), torch.tensor([0, 2])
    drawn = sampler.propose(Batch(users, users), 6, np.random.default_rng(0), scorer())
    assert drawn.valid is not None
    assert drawn.valid.tolist() == [[True] * 6, [False] * 6]


def test_data_that_give_no_negatives_are_refused() -> None:
    for data in (Training(KNOWN), Training(KNOWN, negatives=interactions())):
        with pytest.raises(UserError, match="give no negatives; set min_rating"):
            make("given", data)


def test_a_run_trains_on_them(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"  # each item is rated from 1 to 5
    rows = [f"{u},{i},{1 + (u + i) % 5},{n}" for n, (u, i) in enumerate((u, i) for u in range(30) for i in range(20))]
    path.write_text("\n".join(["user,item,rating,timestamp", *rows]) + "\n", encoding="utf-8")
    settings = {"epochs": "2", "embedding_size": "4", "negatives": "2"}
    outcomes = []
    for protocol in (Protocol(min_rating=3), Protocol()):
        data = Data(str(path), resolve(str(path)).content().sha256, protocol.as_dict())
        spec = RunSpec(data, parse_cell("given+softmax", settings), 0)
        outcomes += [execute(Task(each, protocol)) for each in (spec, replace(spec, refit=True))]
    assert [outcome.failure for outcome in outcomes[:2]] == [None, None]
    assert outcomes[2].failure is not None
    assert outcomes[3].failure is not None
    assert "set min_rating" in outcomes[2].failure["reason"]
