"""`auto`: the batch follows from the training rows, the learning rate from the batch."""

from __future__ import annotations

import pytest

import datasets
import recmodels
from bench.runs.spec import parse_cell
from recmodels.settings import Settings, trainer_settings, usual


@pytest.mark.parametrize(
    ("rows", "batch", "rate"),
    [
        (0, 1024, 0.007),
        (299_999, 1024, 0.007),
        (300_000, 4096, 0.0099),  # √2 times, 4^¼
        (2_999_999, 4096, 0.0099),
        (3_000_000, 8192, 0.012),  # 8^¼ times is 0.01177
    ],
)
def test_more_rows_take_larger_batches_and_rates(rows: int, batch: int, rate: float) -> None:
    values = trainer_settings({}, rows)
    assert (values["batch_size"], values["learning_rate"]) == (batch, rate)


def test_a_number_for_one_leaves_the_other_to_follow() -> None:
    assert trainer_settings({"batch_size": "256"}, 10**6)["learning_rate"] == 0.0049
    assert trainer_settings({"learning_rate": "0.1"}, 10**6)["batch_size"] == 4096
    assert trainer_settings({"batch_size": "auto", "learning_rate": "auto"}, 10**6) == trainer_settings({}, 10**6)


def test_a_batch_that_is_a_part_of_the_method_does_not_grow() -> None:
    for needs in ({"batch"}, {"vectors", "no_negatives"}):
        assert trainer_settings({}, 10**7, needs)["batch_size"] == 1024
    assert trainer_settings({"negatives": "all"}, 10**7)["batch_size"] == 1024
    assert trainer_settings({}, 10**7, {"log_q"})["batch_size"] == 8192
    of_the_batch, others = (
        ("inbatch:negatives=all", "uniform+bpr+simgcl"),
        ("full:negatives=all", "uniform+bpr+lightgcn"),
    )
    for text, expected in [*((text, 1024) for text in of_the_batch), *((text, 4096) for text in others)]:
        assert parse_cell(text, {}, rows=10**6).settings["batch_size"] == expected, text


def test_what_is_usual_follows_the_batch_that_is_in_force() -> None:
    assert usual({"batch_size": 4096}) | {"batch_size": 4096} == trainer_settings({}, 10**6)
    assert usual({}) == trainer_settings({})


def test_bare_settings_have_numbers() -> None:
    assert (Settings().rows, Settings().rate) == (1024, 0.007)
    assert (Settings(batch_size=4096).rate, Settings(learning_rate=0.5).rate) == (0.0099, 0.5)


def test_one_model_is_trained_in_the_batches_that_its_data_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []

    def counted(*given: object, settings: Settings, **named: object) -> None:
        steps.append(settings.rows)
        raise KeyboardInterrupt

    monkeypatch.setattr("recmodels.recommender.train", counted)
    split = datasets.load("synthetic:users=2000,items=1000,density=0.2")
    assert len(split.train) > 300_000
    for loss, expected in (("bpr", 4096), ("directau", 1024)):
        with pytest.raises(KeyboardInterrupt):
            recmodels.fit(split, loss=loss)
        assert steps.pop() == expected
