"""What the words of the command line mean, and what a run's identity covers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.cli.grammar import Seeds
from bench.runs.spec import (
    Cell,
    Data,
    RunSpec,
    asked_id_of,
    check_distinct,
    expand,
    incompatibility,
    parse_cell,
    run_id_of,
)
from datasets.errors import UserError
from datasets.protocol import Protocol

DATA = Data("ml-100k", "06" * 32, Protocol().as_dict())


def spec(text: str = "uniform", seed: int = 0, data: Data = DATA, **settings: str) -> RunSpec:
    return RunSpec(data, parse_cell(text, settings), seed)


def test_what_is_not_named_has_a_default() -> None:
    assert spec("softmax").cell.labels() == {"sampler": "uniform", "loss": "softmax", "model": "mf"}
    assert spec("popularity").cell.labels() == {"sampler": "popularity", "loss": "bpr", "model": "mf"}
    assert spec("toppop").cell.is_baseline


def test_options_reach_the_part_or_the_trainer() -> None:
    cell = parse_cell("popularity:alpha=0.5,negatives=4+softmax:temperature=2", {"negatives": "8", "epochs": "3"})
    assert cell.sampler is not None
    assert cell.sampler.parameters == {"alpha": 0.5, "reject": True}
    assert (cell.settings["negatives"], cell.settings["epochs"]) == (4, 3)
    assert cell.labels()["sampler"] == "popularity:alpha=0.5"


def test_the_same_cell_in_other_words_is_the_same_run() -> None:
    assert spec("popularity:alpha=0.75").run_id == spec("popularity+bpr+mf").run_id == spec("bpr+popularity").run_id


@pytest.mark.parametrize(
    "other",
    [
        spec("popularity"),
        spec("uniform:reject=false"),
        spec("softmax"),
        spec(seed=1),
        spec(epochs="7"),
        spec(select_on="recall@20"),
        spec(data=replace(DATA, sha256="00" * 32)),
        spec(data=replace(DATA, columns="user,item")),
        spec(data=replace(DATA, protocol=Protocol(min_rating=4).as_dict())),
        spec(data=replace(DATA, protocol=Protocol(split_seed=1).as_dict())),
    ],
)
def test_whatever_can_change_the_numbers_changes_the_run_id(other: RunSpec) -> None:
    assert other.run_id != spec().run_id


def test_the_name_of_the_data_set_does_not() -> None:
    assert spec(data=replace(DATA, dataset="elsewhere/ml-100k")).run_id == spec().run_id


def test_run_id_is_frozen() -> None:
    """Fails when a default or the spelling of a spec changes; say so under Results: old runs are no longer found."""
    assert asked_id_of(spec().as_dict()) == "d5ebfcb0dc927987"


def test_a_run_id_is_of_the_code_of_its_methods() -> None:
    assert set(spec().code) == {"uniform", "bpr", "mf"}
    assert set(spec("dns:proposal=popularity:alpha=0.5+softmax").code) == {"dns", "popularity", "softmax", "mf"}
    assert set(spec("toppop").code) == {"toppop"}
    told = spec().as_dict()
    for name in spec().code:
        assert run_id_of({**told, "code": {**told["code"], name: "0" * 12}}) != spec().run_id


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("unifrm", r"No sampler, loss, model or baseline is called 'unifrm'\. Did you mean 'uniform'\?"),
        ("uniform+popularity", "names two samplers"),
        ("uniform:alpha=1", "uniform has no option alpha, which is one of .*popularity"),
        ("popularity:alpha", r"'alpha' in 'popularity:alpha' is not an option"),
        ("popularity:alpha=abc", r"alpha must be a number >= -4, <= 4, not 'abc' \(default 0.75\)"),
        ("uniform:negatives=0", r"trainer: negatives must be a whole number >= 1 or all, not '0'"),
        ("uniform:select_on=ndgc@10", r"No metric is called 'ndgc@10'\. Did you mean 'ndcg@10'\?"),
        ("uniform:select_on=recall@0", "The K of 'recall@0' is no number from 1 to 10000"),
        ("uniform:negatives=4,negatives=5", "gives negatives twice"),
        ("uniform:negatives=4+softmax:negatives=8", "gives negatives twice"),
        ("toppop+bpr", "a baseline needs no sampler"),
    ],
)
def test_words_that_mean_nothing_are_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_cell(text, {})


def test_two_names_for_one_cell_are_refused() -> None:
    cells = [parse_cell("uniform", {}), parse_cell("uniform+bpr", {})]
    with pytest.raises(UserError, match="'uniform' and 'uniform\\+bpr' mean the same cell"):
        check_distinct(cells)


def test_lists_multiply() -> None:
    assert expand(["uniform", "popularity"], [], ["bpr", "bce"], []) == [
        "uniform+bpr",
        "uniform+bce",
        "popularity+bpr",
        "popularity+bce",
    ]
    assert expand(["softmax"], ["uniform", "inbatch"], [], []) == ["uniform+softmax", "inbatch+softmax"]
    assert expand(["uniform+bpr", "toppop"], [], ["bce"], []) == ["uniform+bpr", "toppop"]


def test_a_whole_batch_is_only_for_samplers_that_have_one() -> None:
    def cell(text: str) -> Cell:
        return parse_cell(text, {})

    assert incompatibility(cell("inbatch:negatives=all")) is None
    assert "no negatives=all" in str(incompatibility(cell("uniform:negatives=all")))


@pytest.mark.parametrize(("text", "seeds"), [("3", (0, 1, 2)), ("10-12", (10, 11, 12)), ("7,3", (7, 3))])
def test_seeds(text: str, seeds: tuple[int, ...]) -> None:
    assert Seeds.of(text) == seeds


@pytest.mark.parametrize("text", ["0", "-1", "a", "5-3", "1-2-3", ""])
def test_seeds_that_are_none(text: str) -> None:
    with pytest.raises(UserError, match="names no seeds"):
        Seeds.of(text)


def test_a_seed_twice_is_refused() -> None:
    with pytest.raises(UserError, match="names a seed twice"):
        Seeds.of("1,1")
