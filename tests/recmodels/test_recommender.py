"""One model by itself: the bits of the benchmark, and lists without what a user has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import datasets
import recmodels
from bench.cli.compare import Compare
from bench.cli.grammar import Seeds, Setting
from bench.runs.runner import Task, execute, settle
from datasets import Protocol
from datasets.errors import UserError
from recmodels import recommender
from recmodels.models import BASELINES
from recmodels.sampling import Training
from recmodels.types import Tables
from tests.doctested import check

DATA = "synthetic:users=120,items=80,density=0.1"
QUICK = {"epochs": 2, "embedding_size": 8}


def test_every_public_docstring_has_an_example_that_comes_out() -> None:
    check(recommender)


def test_it_is_the_model_of_the_same_cell_bit_for_bit(tmp_path) -> None:
    settings = [Setting(name, str(value)) for name, value in QUICK.items()]
    cell = "popularity:alpha=0.5+softmax:temperature=0.5+mf"
    request = Compare(names=[cell], dataset=[DATA], seeds=Seeds((3,)), settings=settings, results=str(tmp_path))
    (experiment,) = request.checked()
    split = datasets.load(DATA)
    threads = torch.get_num_threads()
    try:
        result = execute(Task(experiment.specs()[0], experiment.protocol, keep_embeddings=True), split=split)
        mine = recmodels.fit(split, "popularity:alpha=0.5", "softmax:temperature=0.5", seed=3, settings=QUICK)
    finally:
        settle(threads)
    assert result.failure is None
    assert np.array_equal(result.embeddings["users"], mine.users)  # type: ignore[index]
    assert np.array_equal(result.embeddings["items"], mine.items)  # type: ignore[index]
    assert [epoch.loss for epoch in mine.history] == [line[1] for line in result.history]


def test_lists_are_the_highest_scores_without_what_a_user_has() -> None:
    split = datasets.load(DATA)
    rng = np.random.default_rng(0)
    many, size = len(split.user_ids), len(split.item_ids)
    users, items, bias = (rng.integers(-2, 3, shape).astype(np.float32) for shape in ((many, 3), (size, 3), (size,)))
    model = recommender.Recommender(Tables(*map(torch.from_numpy, (users, items, bias))), split)
    assert np.array_equal(model.users @ model.items.T, users @ items.T + bias)
    asked = split.user_ids[[5, 2]]
    for held_out in (False, True):
        found = model.recommend(asked, k=7, held_out=held_out)
        assert found.users.tolist() == [asked[0]] * 7 + [asked[1]] * 7
        parts = [split.train, split.valid, *([] if held_out else [split.test])]
        for row, label in ((5, asked[0]), (2, asked[1])):
            has = {int(item) for part in parts for item in part.items[part.users == row]}
            scores = users[row] @ items.T + bias
            order = sorted((i for i in range(size) if i not in has), key=lambda i: (-scores[i], i))[:7]
            mine = found.users == label
            assert found.items[mine].tolist() == split.item_ids[order].tolist()
            assert found.scores[mine].tolist() == scores[order].tolist()


def test_a_list_ends_where_no_item_is_left() -> None:
    split = datasets.load(DATA)
    model = recommender.Recommender(BASELINES["toppop"](Training(split.train)), split)
    found = model.recommend([str(split.user_ids[0])], k=1000)
    has = {int(item) for part in (split.train, split.valid, split.test) for item in part.items[part.users == 0]}
    assert len(found.items) == len(split.item_ids) - len(has)
    sparse = recommender.Recommender(BASELINES["itemknn"](Training(split.train)), split)
    with pytest.raises(UserError, match="has no vectors"):
        _ = sparse.items


def test_users_that_nothing_was_trained_on_are_recommended_to_from_their_history() -> None:
    split = datasets.load(DATA, Protocol("strong:test=0.2,valid=0.2"))
    with pytest.raises(UserError, match="strong split tests; use the model gru4rec or history or sasrec"):
        recmodels.fit(split, settings=QUICK)
    model = recmodels.fit(split, "uniform", "softmax", "history", settings=QUICK)
    row = int(split.test.users[0])
    assert not (split.train.users == row).any()
    found = model.recommend([split.user_ids[row]], k=20)
    assert split.fold_in is not None
    has = [part.items[part.users == row] for part in (split.fold_in, split.test)]
    assert not np.isin(found.items, split.item_ids[np.concatenate(has)]).any()


def test_what_means_nothing_is_refused() -> None:
    split = datasets.load(DATA)
    for given, said in (
        ({"sampler": "unifrom"}, "Did you mean 'uniform'"),
        ({"sampler": "popularity:alhpa=1"}, "Did you mean 'alpha'"),
        ({"sampler": "inbatch", "settings": {"lr": 0.1}}, "learning_rate"),
        ({"settings": {"momentum": 0.9}}, "cannot be trained together: momentum is of sgd"),
    ):
        with pytest.raises(UserError, match=said):
            recmodels.fit(split, **given)  # type: ignore[arg-type]
    with pytest.raises(AttributeError, match="no attribute 'fti'"):
        _ = recmodels.fti
    tables = Tables(torch.ones(len(split.user_ids), 2), torch.ones(len(split.item_ids), 2))
    model = recommender.Recommender(tables, split)
    with pytest.raises(UserError, match=r"No user of synthetic.* is called 'nobody'; it has [0-9,]+, such as"):
        model.recommend(["nobody"])
    with pytest.raises(UserError, match="give 1 or more items"):
        model.recommend([split.user_ids[0]], k=0)
    with pytest.raises(UserError, match="No user is named"):
        model.recommend([])
    alone = replace(
        split, train=split.train.take(split.train.users != 0), valid=split.valid.take(split.valid.users != 0)
    )
    with pytest.raises(UserError, match="has nothing in the training part"):
        recommender.Recommender(tables, alone).recommend([split.user_ids[0]])
