"""The search itself, with a made-up validation metric in place of training."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.runs.pruning import WARM_UP, floors, given_up
from bench.runs.spec import parse_cell
from bench.tables.figures import save
from bench.tables.tuning import tuning_curve
from bench.tuning.space import freed, space, with_values
from bench.tuning.study import ROUND, Answer, Plan, Study, best_so_far, enough, search
from datasets.errors import UserError
from recmodels.recommended import recommended
from recmodels.search import Search

optuna = pytest.importorskip("optuna")

PLAIN = "uniform:reject=true+bpr"  # nothing of its own is searched
PLAN = Plan(trials=20, finalists=3, seeds=(1000, 1001, 1002))
WIDE = {"learning_rate": Search(1e-4, 0.1, log=True), "l2": Search(1e-6, 0.1, log=True, among=(0.0,))}


def study(text=PLAIN, asked=WIDE, name="x", given=None):
    cell = parse_cell(text, given or {})
    return Study(cell, parse_cell(text, given or {}), space(cell, asked), name)


def peak(cell, seed):
    """Best at a learning rate of 0.01 and an L2 of 0.001."""
    rate, l2 = cell.settings["learning_rate"], cell.settings["l2"]
    distance = abs(math.log10(rate) + 2) + abs(math.log10(max(l2, 1e-7)) + 3) / 3
    return round(1 / (1 + distance) + seed % 7 * 1e-4, 6)


def evaluate(asked):
    return [Answer(curve=(peak(one.cell, one.seed),)) for one in asked]


def searched(**options):
    one = study(**options)
    search([one], PLAN, evaluate)
    return one


def test_a_study_has_as_many_trials_as_were_asked_for():
    one = searched()
    assert [trial.number for trial in one.trials] == [*range(20)]
    assert [trial.origin for trial in one.trials] == ["default"] + ["searched"] * 19


def test_the_first_trials_are_the_defaults_and_what_is_recommended():
    cell = parse_cell("lambdarank", {})
    one = Study(cell, parse_cell("lambdarank", {}, recommended), space(cell, WIDE), "x")
    search([one], Plan(3, 1, (1000, 1001)), evaluate)
    assert [trial.origin for trial in one.trials] == ["default", "recommended", "searched"]
    assert one.trials[0].cell == cell
    assert one.trials[1].values["l2"] == 3e-4


def test_no_setting_is_tried_twice():
    one = searched()
    assert len({tuple(trial.values.items()) for trial in one.trials}) == 20


def test_the_same_study_asks_the_same_and_another_name_asks_otherwise():
    values = [[trial.values for trial in searched(name=name).trials] for name in ("a", "a", "b")]
    assert values[0] == values[1] != values[2]


def test_rounds_depend_on_finished_rounds_alone():
    """However the answers of a round are made, in whatever order, the next round asks the same."""

    def backwards(asked):
        return [evaluate([one])[0] for one in reversed(asked)][::-1]

    first, second = study(), study()
    search([first], PLAN, evaluate)
    search([second], PLAN, backwards)
    assert [trial.values for trial in first.trials] == [trial.values for trial in second.trials]


def test_a_study_beside_others_asks_what_it_asks_alone():
    alone, together, other = study(), study(), study("popularity:reject=true,alpha=1+bpr", name="y")
    search([alone], PLAN, evaluate)
    search([other, together], PLAN, evaluate)
    assert [trial.values for trial in alone.trials] == [trial.values for trial in together.trials]


def test_later_trials_are_better_than_random_ones():
    later = [trial.answer.score for trial in searched().trials[10:]]
    rng = np.random.default_rng(0)
    at_random = [
        peak(with_values(parse_cell("bpr", {}), {"learning_rate": 10 ** rng.uniform(-4, -1), "l2": 10**y}), 1000)
        for y in rng.uniform(-6, -1, 200)
    ]
    assert np.mean(later) > np.mean(at_random) + 0.05


def test_finalists_are_ranked_by_their_own_seeds_alone():
    """The best trial was lucky: with other seeds it is the worst of the finalists."""

    def lucky(asked):
        def score(one):
            return 1.0 if one.seed == 1000 and one.cell == best else 0.0 if one.cell == best else peak(one.cell, 0)

        return [Answer(curve=(score(one),)) for one in asked]

    best = study().cell
    one = study()
    search([one], PLAN, lucky)
    assert one.best(1)[0].cell == best
    assert one.chosen is not None
    assert one.chosen.trial.cell != best
    assert one.chosen.mean == pytest.approx(peak(one.chosen.trial.cell, 0))


def test_what_failed_or_was_given_up_is_a_trial_and_never_a_finalist():
    def odd(asked):
        return [
            Answer(failure="out of memory")
            if i == 1
            else Answer(curve=(peak(one.cell, 0),), given_up=12 if i == 2 else None)
            for i, one in enumerate(asked)
        ]

    one = study()
    search([one], PLAN, odd)
    assert len(one.trials) == 20
    assert all(t.answer.failure is None and t.answer.given_up is None for t in one.best(20))
    assert len(one.best(20)) == 20 - 2 * 20 // ROUND


def test_a_study_in_which_all_failed_chooses_nothing():
    one = study()
    search([one], PLAN, lambda asked: [Answer(failure="no") for _ in asked])
    assert one.chosen is None


def test_an_exhausted_space_says_so():
    one = study(asked={"l2": Search(among=(0.0, 0.1))}, given={"learning_rate": "0.01"})
    search([one], PLAN, evaluate)
    assert one.exhausted
    assert len(one.trials) == 3  # the default and two others


def test_what_a_row_gives_is_not_searched():
    assert [d.key for d in space(parse_cell(f"{PLAIN}:l2=0.1", {}), WIDE)] == ["learning_rate"]
    assert [d.key for d in space(parse_cell(PLAIN, {"learning_rate": "0.1"}), WIDE)] == ["l2"]


def test_a_dimension_with_a_condition_is_tried_where_something_reads_it():
    asked = {"init": Search(among=("normal", "xavier")), "init_std": Search(0.01, 0.3, log=True, when="init != xavier")}
    one = study(asked=asked, given={"learning_rate": "0.01", "l2": "0"})
    search([one], PLAN, evaluate_init)
    with_std = {trial.cell.settings["init"] for trial in one.trials if "init_std" in trial.values}
    without = {trial.cell.settings["init"] for trial in one.trials if "init_std" not in trial.values}
    assert (with_std, without) == ({"normal"}, {"xavier"})


def evaluate_init(asked):
    return [Answer(curve=(0.5 if one.cell.settings["init"] == "xavier" else 0.4,)) for one in asked]


def test_what_is_asked_to_be_searched():
    cells = [parse_cell("uniform+softmax", {})]
    asked = freed(["l2=0,1e-6..0.1:log", "loss.temperature=0.5,1", "dropout", "negatives=1..64:log"], cells)
    assert asked == {
        "l2": Search(1e-6, 0.1, log=True, among=(0.0,)),
        "loss.temperature": Search(among=(0.5, 1.0)),
        "dropout": None,
        "negatives": Search(1, 64, log=True),
    }


def test_what_all_rows_share_is_searched_in_one_range():
    """bpr is searched up to 64 negatives and softmax up to 1,500: freed, both are searched from 1 to 1,500."""
    cells = [parse_cell("uniform+bpr", {}), parse_cell("uniform+softmax", {})]
    asked = freed(["negatives"], cells)
    assert asked == {"negatives": Search(1, 1500, log=True)}
    ranges = {d.search for cell in cells for d in space(cell, asked) if d.key == "negatives"}
    assert ranges == {Search(1, 1500, log=True)}
    assert freed(["negatives"], [parse_cell("uniform+bpr", {}), parse_cell("uniform+softmax", {"negatives": "9"})]) == {
        "negatives": Search(1, 64, log=True)
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epochs=1..10", "the same for all trials"),
        ("lerning_rate", "learning_rate"),
        ("l2=-1..1", "l2=1e-6..0.1:log"),
        ("l2=1..0.1", "l2=1e-6..0.1:log"),
        ("l2=a", "a number"),
        ("l2=0..1:log", "l2=1e-6"),
        ("init=xaver", "normal or"),
    ],
)
def test_what_cannot_be_searched_is_refused(text, said):
    with pytest.raises(UserError, match=said):
        freed([text], [parse_cell("bpr", {})])


def test_best_so_far():
    one = study()
    search(
        [one],
        Plan(5, 1, (1000, 1001)),
        lambda asked: [Answer(curve=(c,)) for c in (0.1, 0.3, 0.2, 0.4, 0.1)][: len(asked)],
    )
    assert best_so_far(one.scores) == [0.1, 0.3, 0.3, 0.4, 0.4]


@pytest.mark.parametrize(
    ("best", "trials"), [([0.1, 0.3, 0.4, 0.4], 3), ([0.397, 0.4], 1), ([0.395, 0.4], 2), ([math.nan, 0.4], 2), ([], 0)]
)
def test_enough_is_the_first_trial_within_a_hundredth_of_the_best(best, trials):
    assert enough(best) == trials


def test_the_curve_says_how_many_trials_a_cell_needs_and_draws_its_band_over_seeds(tmp_path):
    """Finalists over two seeds: 0.1 to either side of their mean, whose pooled standard deviation is √(2 · 0.1²)."""

    def scores(asked):
        first = dict(zip((0, 1, 2, 3, 4), (0.1, 0.3, 0.2, 0.4, 0.3), strict=True))
        return [
            Answer(
                curve=(first[i % 5] if one.seed == 1000 else 0.4 + 0.1 * (-1) ** one.seed,),
                given_up=12 * (i == 2) or None,
            )
            for i, one in enumerate(asked)
        ]

    one, other, hopeless = study(), study(name="y"), study(name="z")
    search([one, other], Plan(5, 2, (1000, 1001, 1002)), scores)
    search([hopeless], Plan(5, 2, (1000, 1001)), lambda asked: [Answer(failure="no") for _ in asked])
    figure = tuning_curve({"uniform+bpr": one, "hopeless": hopeless, "other": other})
    first, _ = figure.axes
    assert first.get_title() == "uniform+bpr\nwithin 1 % after 4 of 5"
    band = first.collections[0].get_paths()[0].get_extents()
    spread = math.sqrt(2) * 0.1
    assert (band.y0, band.y1) == (pytest.approx(0.1 - spread), pytest.approx(0.4 + spread))
    hollow = [line for line in first.lines if line.get_marker() == "o" and line.get_markerfacecolor() == "white"]
    assert [float(line.get_xdata()[0]) for line in hollow] == [3.0]
    assert save(figure, tmp_path / "curve.png").stat().st_size > 10_000


def test_floors_are_lower_quartiles_of_the_best_so_far():
    """Best so far after two epochs: 1, 2, 3, 4, 5, whose lower quartile is 2."""
    curves = [(1.0, 0.0), (0.0, 2.0), (3.0,), (4.0, 1.0), (5.0, 5.0)]
    assert floors(curves)[1] == 2.0
    assert floors(curves[:4]) == ()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(0, 30))
def test_nobody_is_given_up_before_the_warm_up_or_a_schedule_ends(curve, settled):
    at = given_up(curve, [2.0] * 40, settled)
    assert at == (max(WARM_UP, settled) if len(curve) >= max(WARM_UP, settled) else None)


def test_without_floors_nobody_is_given_up():
    assert given_up([0.0] * 50, (), 0) is None


def test_a_trial_is_given_up_when_its_best_is_below_the_floor():
    below = [0.1] * 20 + [0.3] * 20
    assert given_up([0.2] * 40, below, 0) == 21
    assert given_up([0.31] + [0.0] * 39, below, 0) is None
