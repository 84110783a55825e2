"""What a table says of how its rows were chosen."""

from dataclasses import replace

from bench.comparison.advice import warnings
from bench.runs.spec import Cell, parse_cell

A, B = parse_cell("uniform+bpr", {}), parse_cell("toppop", {})


def told(a: Cell, b: Cell) -> list[str]:
    return [text for text in warnings([a, b]) if "unequal chances" in text]


def test_rows_with_other_numbers_of_trials_had_unequal_chances():
    searched = replace(A, trials=20)
    (text,) = told(searched, replace(B, trials=5))
    assert text == f"unequal chances: {A.name} was tuned with 20 trials, {B.name} was tuned with 5 trials"
    (text,) = told(searched, B)
    assert text == f"unequal chances: {A.name} was tuned with 20 trials, {B.name} was not tuned"


def test_a_row_that_tried_all_there_is_to_try_had_its_chance():
    assert told(replace(A, trials=20), replace(B, trials=1, exhausted=True)) == []
    assert told(A, B) == []


def test_what_a_search_chose_is_not_in_the_name_of_a_law_that_is_lost():
    (plain,) = warnings([parse_cell("popularity:alpha=0.5+bpr", {})])
    assert plain.startswith("bpr does not correct for how often popularity:alpha=0.5 draws")
    rows = [replace(parse_cell(f"{name}+bpr", {}), trials=20) for name in ("popularity:alpha=0.5", "inbatch")]
    (text,) = warnings(rows)
    assert text.startswith("bpr does not correct for how often popularity and inbatch draw each item; softmax does")
