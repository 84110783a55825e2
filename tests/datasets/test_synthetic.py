"""Generated data follow their stated law, and their truth can be asked."""

import numpy as np
import pytest

from datasets import Protocol, load, resolve
from datasets.errors import UserError
from datasets.synthetic import Truth, generate, parse

SPEC = "synthetic:users=400,items=300,density=0.03,seed=3"


@pytest.fixture(autouse=True)
def data_home(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "home"))


def test_the_same_specification_gives_the_same_data_and_identity():
    first, second = load(SPEC), load(SPEC + ",rank=4")
    assert resolve(SPEC).content() == resolve(SPEC + ",skew=0.8").content()
    assert first.test.sha256() == second.test.sha256()
    assert first.source.name == "synthetic:users=400,items=300,density=0.03,seed=3,rank=4,skew=0.8"
    assert first.source.source == "generated"
    other = load(SPEC.replace("seed=3", "seed=4"))
    assert other.source.sha256 != first.source.sha256
    assert other.test.sha256() != first.test.sha256()


def test_the_density_is_met_exactly_and_pairs_are_distinct():
    table = generate(SPEC)
    assert len(table) == 3600
    assert len(set(zip(table.users.tolist(), table.items.tolist(), strict=True))) == 3600
    assert load(SPEC, Protocol("ratio")).facts["duplicates_dropped"] == 0


def test_every_interaction_is_relevant_and_chance_is_the_stated_one():
    truth, table = parse(SPEC), generate(SPEC)
    assert truth.relevant(table.users.astype(int), table.items.astype(int)).all()
    users, items = np.arange(400)[:, None], np.arange(300)[None, :]
    chance, relevant = truth.probability(users, items), truth.relevant(users, items)
    p, q = truth.factors()
    assert np.allclose(chance, 1 / (1 + np.exp(-(6 / 2 * p @ q.T - 1))))
    assert abs(relevant.mean() - chance.mean()) < 5 * np.sqrt(0.25 / relevant.size)
    high = chance > 0.6
    assert abs(relevant[high].mean() - chance[high].mean()) < 5 * np.sqrt(0.25 / high.sum())


def test_false_negatives_can_be_counted():
    """Relevant pairs nobody saw: the truth of a split's unseen pairs, asked by label."""
    split = load(SPEC)
    truth = parse(split.source.name)
    relevant = truth.relevant(split.user_ids[:, None], split.item_ids[None, :])
    seen = np.zeros_like(relevant)
    for part in (split.train, split.valid, split.test):
        seen[part.users, part.items] = True
    assert (relevant | ~seen).all()
    false_negative_rate = relevant[~seen].mean()
    assert 0.1 < false_negative_rate < relevant.mean()


def test_the_true_chance_ranks_better_than_popularity_among_the_relevant():
    split = load(SPEC)
    truth = parse(split.source.name)
    chance = truth.probability(split.user_ids[:, None], split.item_ids[None, :])
    relevant = truth.relevant(split.user_ids[:, None], split.item_ids[None, :])
    popularity = np.broadcast_to(split.train.item_counts(), chance.shape)

    def precision(scores):
        top = np.argsort(-scores, axis=1, kind="stable")[:, :10]
        return np.take_along_axis(relevant, top, axis=1).mean()

    assert precision(chance) > precision(popularity) + 0.1


def test_popularity_is_a_power_law_of_showings():
    flat, steep = (
        np.sort(np.bincount(generate(f"synthetic:users=2000,items=200,density=0.02,skew={s}").items, minlength=200))
        for s in (0, 1.2)
    )
    assert steep[-20:].sum() / steep.sum() > 1.5 * flat[-20:].sum() / flat.sum()


def test_the_expected_number_of_showings_follows_the_law():
    truth = Truth(items=50, skew=0.8)
    from datasets.synthetic import _power_law

    ranks = _power_law(truth, (np.arange(200_000) + 0.5) / 200_000)
    edges = np.arange(1, 52) ** (1 - 0.8)
    assert np.allclose(np.bincount(ranks, minlength=50) / 200_000, np.diff(edges) / (edges[-1] - 1), atol=1e-4)


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("synthetic:user=3", "Did you mean 'users'"),
        ("synthetic:users=x", "a whole number from 3"),
        ("synthetic:users=1", "from 3 to"),
        ("synthetic:density=0.9", "a number from"),
        ("synthetic:users=50,items=20,density=0.5,skew=3", "lower the density"),
        ("synthetik", "Did you mean 'synthetic'"),
    ],
)
def test_mistakes(text, fragment):
    with pytest.raises(UserError, match=fragment):
        load(text)
