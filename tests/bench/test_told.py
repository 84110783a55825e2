"""What captions say of the cells and of the code, spelled out by hand from the words of the command."""

from __future__ import annotations

from bench.comparison.compare import compare
from bench.comparison.nouns import Context
from bench.comparison.told import facts, settings_of
from bench.runs.provenance import command_line, manifest, mixed
from bench.runs.spec import parse_cell
from bench.tables.caption import caption
from tests.bench.test_comparison import row


def told(*names: str, settings: tuple[str, ...] = ()) -> dict[str, object]:
    return facts([parse_cell(name, dict(pair.split("=") for pair in settings)) for name in names])


def test_what_rows_share_is_named_although_their_names_leave_it_out() -> None:
    found = told("uniform", "inbatch")
    assert (found["loss"], found["model"], found["law correction"]) == ("bpr", "mf (bias false)", "none")
    assert "sampler" not in found
    found = told("popularity:alpha=0.5+bpr", "popularity:alpha=0.5+softmax")
    assert str(found["sampler"]).startswith("popularity (alpha 0.5, ")
    assert found["law correction"] == "none (popularity:alpha=0.5+bpr), logq neg (popularity:alpha=0.5+softmax)"
    assert "loss" not in found, "each row's name says it"


def test_a_default_that_a_name_leaves_out_is_told_where_rows_differ() -> None:
    found = told("uniform", "popularity+softmax", "inbatch+bce+lightgcn")
    assert found["loss"] == "bpr (uniform)"
    assert found["model"] == "mf (uniform, popularity+softmax)"


def test_options_that_samplers_share_are_told_once() -> None:
    assert told("uniform", "popularity")["sampler reject"] is True
    assert "sampler reject" not in told("uniform", "popularity:reject=false")
    assert told("inbatch+bpr", "inbatch:mask=same-item+bpr")["inbatch mask"] == (
        "seen (inbatch+bpr), same-item (inbatch:mask=same-item+bpr)"
    )


def test_the_row_that_keeps_the_default_is_told_beside_those_that_do_not() -> None:
    found = told("uniform", "uniform:negatives=64", "popularity", "inbatch", "softmax", "bce:l2=0")
    assert found["negatives"] == "64 (uniform:negatives=64), 16 (the others)"
    assert found["l2"] == "0.0 (bce:l2=0), 0.01 (the others)"
    two = told("uniform:epochs=3", "inbatch", settings=("dropout=0.5",))
    assert two["epochs"] == "3 (uniform:epochs=3), 100 (inbatch)"
    assert two["dropout"] == 0.5


def test_baselines_have_no_settings_and_programs_get_them_all() -> None:
    assert told("toppop") == {}
    cell = parse_cell("popularity:alpha=0.5+softmax", {"l2": "0.5"})
    found = settings_of(cell)
    assert (found["sampler"]["alpha"], found["loss"]["logq"], found["trainer"]["l2"]) == (0.5, "neg", 0.5)
    assert list(settings_of(parse_cell("toppop", {}))) == ["model"]


def test_the_caption_says_what_the_ranking_masks() -> None:
    def said(**protocol: object) -> str:
        context = Context("toy", {"split": "x", "candidates": "full", **protocol}, {})
        return caption(compare([row("a")], context=context))

    assert "Ranking masks what the user has in train and validation, trained on train alone." in said(mask="known")
    assert "Ranking masks what the user has in train, trained" in said(mask="train")
    assert "Ranking masks nothing, trained again on train and validation." in said(
        mask="none", refit="on train and validation"
    )
    assert "asks" not in said(mask="known", candidates="sampled:99")


RUN = {"contrarec": "1.0", "commit": "a" * 40, "dirty": False, "python": "3.12", "torch": "2.5", "numpy": "2.1"}


def test_every_run_is_read_and_what_differs_is_a_warning() -> None:
    assert list(mixed(manifest([RUN, RUN]))) == []
    found = manifest([RUN, {**RUN, "commit": "b" * 40}, {**RUN, "torch": "2.6", "dirty": True}])
    assert (found["commits"], found["runs"]) == (["a" * 40, "b" * 40], 3)
    assert list(mixed(found)) == [
        "the runs come from several commits: aaaaaaaaaaaa, bbbbbbbbbbbb",
        "the runs come from several versions of torch: 2.5, 2.6",
        "1 of 3 runs were made by code with uncommitted changes",
    ]
    text = caption(compare([row("a")], context=Context("toy", manifest=found)))
    assert "Code contrarec 1.0, commits aaaaaaaaaaaa, bbbbbbbbbbbb with uncommitted changes, torch 2.5, 2.6" in text


def test_the_command_is_told_without_the_places_of_this_machine() -> None:
    words = [
        "compare",
        "uniform",
        "--dataset",
        "/home/someone/data/ratings.csv",
        "--results=/scratch/runs",
        "--seeds",
        "5",
    ]
    words += ["--cluster", "tcp://10.0.0.7:8786", "--set", "l2=0.1"]
    assert command_line(words) == ("bench compare uniform --dataset ratings.csv --results=runs --seeds 5 --set l2=0.1")
    assert command_line(["run", "--cluster=tcp://10.0.0.7:8786", "experiments/a b.toml"]) == "bench run 'a b.toml'"


def test_a_caption_has_room_for_a_search_of_a_few_rows_and_tells_the_size_of_a_long_one() -> None:
    names = [f"uniform+bpr:l2={k}" for k in range(12)]
    rows = [row("a"), row("b")]
    rates = ", ".join(f"0.{k} ({name})" for k, name in enumerate(names))
    where = "l2 0 to 1 by ratio, learning_rate 0.0001 to 0.05 by ratio (validation 0.1; trials 0.05 to 0.1)"

    def shown(count: int) -> str:
        searched = "; ".join(f"{name} l2=1 from {20 - k} trials of {where}" for k, name in enumerate(names[:count]))
        context = Context("x", facts={"negatives": 16, "learning_rate": rates, "tuned": searched})
        return caption(compare(rows, context=context))

    assert "learning rate 0.0 (uniform+bpr:l2=0)" in shown(2)
    assert "uniform+bpr:l2=1 l2=1 from 19 trials of l2 0 to 1 by ratio" in shown(2)
    told = "Negatives 16, tuned on validation with 9 to 20 trials a row, so that rows differ in learning rate. "
    assert told in shown(12)
    assert "from 19 trials" not in shown(12)
