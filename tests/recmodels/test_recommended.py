"""Recommended settings reach the rows that they are for, give way to what is said, and are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.comparison import advice
from bench.comparison.rows import rows
from bench.runs.design import design
from bench.runs.spec import REGISTRIES, Data, RunSpec, check_distinct, incompatibility, parse_cell
from bench.runs.store import Store
from bench.tables.listing import listing
from datasets.errors import UserError
from datasets.protocol import Protocol
from recmodels.entries import Entry
from recmodels.recommended import recommended
from recmodels.settings import setting_parameters
from tests.bench.test_store import result

DECLARED = [
    (k, n) for k, registry in REGISTRIES.items() for n in registry if registry.entry(n).facts.get("recommended")
]


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a registered method recommendations for the length of a test."""

    def put(kind: str, name: str, **values: Any) -> None:
        facts = REGISTRIES[kind].entry(name).facts
        monkeypatch.setitem(facts, "recommended", values)
        monkeypatch.setitem(facts, "recommended_from", f"the paper of {name}")

    return put


def run_id(text: str, recommend: bool = False, **settings: str) -> str:
    return RunSpec(Data("d", "ab" * 32, Protocol().as_dict()), parse_cell(text, settings, recommend), 0).run_id


@pytest.mark.parametrize(("kind", "name"), DECLARED)
def test_what_is_declared_can_be_set_and_has_a_source(kind: str, name: str) -> None:
    entry = REGISTRIES[kind].entry(name)
    assert entry.facts["recommended_from"]
    for key, value in entry.facts["recommended"].items():
        known = entry.parameters if kind == "baseline" else entry.parameters | setting_parameters()
        assert known[key].parse(str(value).lower()) == value, key


def test_recommendations_are_for_the_rows_of_their_method_and_for_who_asks() -> None:
    assert run_id("lambdarank", recommended) == run_id("lambdarank", l2="3e-4")
    assert run_id("lambdarank") != run_id("lambdarank", l2="3e-4")
    assert run_id("uniform", recommended) == run_id("uniform")
    assert parse_cell("lambdarank", {}, recommended).recommended == {"l2": (3e-4, "lambdarank: validation on ml-100k")}
    assert parse_cell("lambdarank", {}).recommended == {}


def test_row_option_then_set_then_recommended_then_default(declare: Any) -> None:
    declare("loss", "bpr", l2=0.5)
    settings = [
        parse_cell(text, given, recommend).settings["l2"]
        for text, given, recommend in (
            ("uniform:l2=0.1+bpr", {"l2": "0.2"}, recommended),
            ("uniform+bpr", {"l2": "0.2"}, recommended),
            ("uniform+bpr", {}, recommended),
            ("uniform+bpr", {}, False),
        )
    ]
    assert settings == [0.1, 0.2, 0.5, setting_parameters()["l2"].default]
    assert parse_cell("uniform+bpr", {"l2": "0.2"}, recommended).recommended == {}


def test_the_loss_speaks_before_the_sampler_and_the_sampler_before_the_model(declare: Any) -> None:
    declare("model", "mf", l2=0.1, dropout=0.1, init_std=0.1)
    declare("sampler", "uniform", l2=0.2, dropout=0.2, reject=False)
    declare("loss", "softmax", l2=0.3, temperature=0.5, init_std=0.1)
    cell = parse_cell("uniform+softmax", {}, recommended)
    assert [cell.settings[key] for key in ("l2", "dropout", "init_std")] == [0.3, 0.2, 0.1]
    assert cell.sampler is not None
    assert cell.loss is not None
    assert (cell.sampler.parameters["reject"], cell.loss.parameters["temperature"]) == (False, 0.5)
    assert cell.recommended["softmax:temperature"] == (0.5, "softmax: the paper of softmax")
    assert cell.recommended["dropout"] == (0.2, "uniform: the paper of uniform")
    assert cell.remarks == (
        "l2 is 0.3 as softmax recommends, not 0.2 as uniform does",
        "l2 is 0.3 as softmax recommends, not 0.1 as mf does",
        "dropout is 0.2 as uniform recommends, not 0.1 as mf does",
    )
    assert parse_cell("uniform:dropout=0+softmax:l2=0", {}, recommended).remarks == ()
    named = parse_cell("uniform:reject=true+softmax:temperature=2", {}, recommended)
    assert named.sampler is not None
    assert named.loss is not None
    assert (named.sampler.parameters["reject"], named.loss.parameters["temperature"]) == (True, 2.0)
    assert not {"uniform:reject", "softmax:temperature"} & set(named.recommended)


def test_a_row_whose_recommended_values_are_the_defaults_is_the_plain_row(declare: Any) -> None:
    declare("loss", "bpr", l2=setting_parameters()["l2"].default)
    assert run_id("bpr", recommended) == run_id("bpr")
    with pytest.raises(UserError, match="mean the same cell"):
        check_distinct([parse_cell("bpr", {}), parse_cell("uniform+bpr", {}, recommended)])


def test_a_number_of_negatives_is_not_recommended_to_who_takes_them_all() -> None:
    assert run_id("full+psl", recommended) == run_id("full+psl")
    assert parse_cell("uniform+psl", {}, recommended).settings["negatives"] == 128


def test_what_is_recommended_must_exist() -> None:
    entry = Entry("x", "", "", "", {}, {"recommended": {"l3": 1}, "recommended_from": "nowhere"})
    with pytest.raises(ValueError, match="x recommends l3"):
        recommended({"loss": entry}, {"loss": ()}, ())


def test_a_table_names_recommended_settings_and_remarks(declare: Any, tmp_path: Path, ratings_csv: Path) -> None:
    declare("sampler", "popularity", l2=0.25)
    experiment = design(
        ["popularity+lambdarank", "uniform"],
        dataset=str(ratings_csv), protocol=Protocol(), store=Store(tmp_path), seeds=[0],
        advise=recommended,
    )  # fmt: skip
    for spec in experiment.specs():
        experiment.store.save(spec, result(), [10])
    _, context = rows(experiment, [10])
    assert context.facts["recommended"] == "popularity+lambdarank l2=0.0003 (lambdarank: validation on ml-100k)"
    assert (
        "popularity+lambdarank: l2 is 0.0003 as lambdarank recommends, not 0.25 as popularity does" in context.warnings
    )


def test_the_list_shows_them_with_their_source() -> None:
    assert "recommended: l2=0.0003 (validation on ml-100k)" in listing("lambdarank")
    (row,) = json.loads(listing("lambdarank", as_json=True))
    assert (row["name"], row["recommended"], row["recommended_from"]) == (
        "lambdarank",
        {"l2": 3e-4},
        "validation on ml-100k",
    )
    with pytest.raises(UserError, match="Did you mean 'lambdarank'"):
        listing("lamdarank")
    with pytest.raises(UserError, match="Did you mean 'samplers'"):
        listing("samplrs")


def said(*texts: str) -> list[str]:
    return advice.warnings([parse_cell(text, {}) for text in texts])


def test_a_law_that_a_loss_cannot_use_is_named_with_a_loss_that_can() -> None:
    assert said("popularity", "inbatch+bpr", "inbatch+bce") == [
        "bpr does not correct for how often popularity and inbatch draw each item; "
        "softmax does, as in popularity+softmax",
        "bce does not correct for how often inbatch draws each item; softmax does, as in inbatch+softmax",
    ]
    assert len(said("popularity+softmax:logq=none")) == 1


@pytest.mark.parametrize(
    "text",
    ["uniform", "uniform:reject=false", "full", "dns", "popularity+softmax", "popularity+nce", "inbatch:dedup=true",
     "dns:proposal=popularity", "given", "uniform+directau", "toppop"],
)  # fmt: skip
def test_no_warning_where_the_law_is_equal_unknown_used_or_nowhere(text: str) -> None:
    assert said(text) == []


def test_the_loss_that_is_named_can_be_trained() -> None:
    lost = [cell for name in REGISTRIES["sampler"] if advice.law_is_lost(cell := parse_cell(f"{name}+bpr", {}))]
    assert {"popularity", "log-uniform", "inbatch", "mixed", "memory"} <= {
        str(cell.labels()["sampler"]) for cell in lost
    }
    for cell in lost:
        assert incompatibility(parse_cell(f"{cell.labels()['sampler']}+{advice.LAWFUL}", {})) is None
