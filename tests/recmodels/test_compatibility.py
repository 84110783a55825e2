"""What goes together is computed from what each side declares."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench.runs.spec import incompatibility, parse_cell
from bench.tables.listing import compatible
from recmodels.compatibility import FROM_MODEL, FROM_SAMPLER, TO_LOSS, held, table
from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.samplers import SAMPLERS
from recmodels.scoring import SPACES

TRAINER = {"vectors", "tables", "user_tables", "user_rows", "batch", "no_negatives"}


@pytest.mark.parametrize(
    ("cell", "word"),
    [
        ("bns+softmax", "log q"),
        ("dns:proposal=inbatch+softmax", "log q"),
        ("dns:proposal=memory:mode=frozen", "memory:mode=frozen gives vectors in their place"),
        ("pris:proposal=inbatch:dedup=true", "log q), which inbatch:dedup=true does not give"),
        ("adasir:proposal=inbatch:dedup=true", "log q), which inbatch:dedup=true does not give"),
        ("self-adversarial+softmax", "weights, which softmax with its log q would correct a second time"),
        ("pris:proposal=uniform+nce", "a second time"),
        ("self-adversarial:negatives=all", "negatives=all"),
        ("dns+warp", "in order"),
        ("popularity+gbce", "uniformly"),
        ("popularity+directau", "uses no negatives"),
        ("uniform:reject=false+directau", "uses no negatives"),
        ("self-adversarial+bpr-max", "weights"),
        ("uniform+sl+mf:bias=true", "cosines, which mf:bias=true"),
        ("uniform+cml+lightgcn", "parameters themselves"),
        ("uniform+bpr+gmf:space=cosine", "cosines"),
        ("uniform+bpr+lightgcn:optimizer=lazy_adam", "lazy_adam"),
        ("uniform:negatives=all", "negatives=all"),
        ("uniform:momentum=0.9", "momentum is of sgd, and adam has beta1"),
        ("uniform:momentum=0.9,optimizer=adagrad", "adagrad has none"),
        ("uniform:beta1=0.5,optimizer=sgd", "beta1 is of adam"),
        ("uniform:beta2=0.9,optimizer=adagrad", "beta2 is of adam"),
        ("uniform:init_std=0.01,init=xavier", "init_std is of init=normal"),
        ("uniform:weight_decay=0.01,optimizer=lazy_adam", "weight_decay moves all rows"),
        ("uniform+psl:space=dot", "psl is for half-cosine scores, not dot: differences of scores beyond 1"),
        ("uniform+debiased:space=dot", "not dot: its floor is what a cosine of -1 gives"),
        ("uniform+wrmf:space=cosine", "wrmf is for dot scores, not cosine"),
        ("uniform+sl:space=dot", "sl is for cosine and half-cosine scores, not dot"),
        ("uniform:l2_bias=0.1", "mf with bias=false reads no l2_bias"),
        ("uniform:l2_bias=0.1+bpr+lightgcn", "lightgcn reads no l2_bias"),
        ("uniform+wrmf:l2_negative=0.1", "wrmf uses no negatives"),
        ("memory:warm_up=0.5", "memory with mode=ids reads no warm_up"),
        ("uniform+bsl:form=paper,negative_weight=1.2", "bsl with form=paper reads no negative_weight"),
        ("uniform+bpr+history:gamma=1,hidden=2", "history with gamma=1.0 reads no hidden"),
        ("uniform:l2_user=0.1+bpr+history:gamma=0", "reads no l2_user"),
        ("uniform:l2_user=0.1+bpr+two-tower:user=history", "two-tower with user=history reads no l2_user"),
    ],
)
def test_what_cannot_work_is_refused_with_its_reason(cell: str, word: str) -> None:
    reason = incompatibility(parse_cell(cell, {}))
    assert reason is not None
    assert word in reason


@pytest.mark.parametrize(
    "cell",
    ["dns+softmax:logq=none", "dns+softmax", "ahns:proposal=popularity:alpha=0.5+softmax", "dns:proposal=mixed+infonce",
     "self-adversarial:proposal=inbatch,negatives=all", "pris:proposal=mixed+bce", "self-adversarial+softmax:logq=none",
     "uniform+warp", "uniform+gbce", "uniform+directau", "inbatch:negatives=all+softmax",
     "uniform+sl+lightgcn", "uniform+bpr+mf:bias=true", "mixgcf+bpr", "uniform:momentum=0.9,optimizer=sgd,clip=1",
     "uniform:beta1=0.5,optimizer=lazy_adam", "uniform:weight_decay=1e-6",
     "uniform:init_std=0.01,init=normal", "uniform+infonce:space=dot", "uniform:l2_bias=0.1+bpr+mf:bias=true",
     "memory:mode=frozen,warm_up=0.5", "uniform+bsl:negative_weight=1.2", "uniform:l2_user=0.1+bpr+history",
     "uniform:l2_user=0.1+bpr+history:gamma=0,pool=user-attention"],
)  # fmt: skip
def test_what_works_is_not_refused(cell: str) -> None:
    assert incompatibility(parse_cell(cell, {})) is None


def test_every_loss_says_where_it_may_be_trained_and_why_not_elsewhere() -> None:
    for name in LOSSES:
        facts = LOSSES.entry(name).facts
        sampler = "full" if "catalogue" in facts.get("needs", []) else "uniform"
        assert facts["space"] in facts["spaces"]
        assert {*facts["spaces"]} <= {*SPACES}
        assert (len(facts["spaces"]) < len(SPACES)) == ("spaces_why" in facts), name
        for space in SPACES:
            found = incompatibility(parse_cell(f"{sampler}+{name}:space={space}", {}))
            assert (found is None) == (space in facts["spaces"]), (name, space)


def test_infonce_goes_with_every_sampler() -> None:
    for sampler in SAMPLERS:
        options = ":negatives=all" if sampler == "full" else ""
        assert incompatibility(parse_cell(f"{sampler}{options}+infonce", {})) is None


def test_a_loss_without_negatives_has_one_name_for_one_training() -> None:
    """Whatever the sampler and its options, what is trained is the same; two rows of it would look like two results."""
    without = [
        name for name in LOSSES if "no_negatives" in held("needs", LOSSES.entry(name), LOSSES.parameters(name, {}))
    ]
    assert without == ["directau", "mawu", "wrmf"]
    for loss in without:
        for sampler in (*SAMPLERS, "uniform:reject=false", "uniform:reject=true"):
            found = incompatibility(parse_cell(f"{sampler}+{loss}", {}))
            if sampler in ("uniform", "uniform:reject=true"):  # the default, written out
                assert found is None
            else:
                assert found == f"{loss} uses no negatives, so that no sampler changes it; pair it with plain uniform"


def test_every_word_that_is_declared_is_known_and_given_by_somebody() -> None:
    def words(registry: Any, fact: str) -> set[str]:
        return {word for name in registry for word in registry.entry(name).facts.get(fact, [])}

    needs = words(LOSSES, "needs")
    assert needs <= {*FROM_SAMPLER, *FROM_MODEL, *TRAINER}
    assert (needs & {*FROM_SAMPLER}) <= words(SAMPLERS, "gives")
    assert words(LOSSES, "refuses") <= {*TO_LOSS}
    assert {LOSSES.entry(name).facts["space"] for name in LOSSES} <= words(MODELS, "gives")
    assert words(MODELS, "gives") <= {*FROM_MODEL}


def test_the_table_has_every_cell_and_gives_reasons() -> None:
    cells = table()
    assert len(cells) == len(SAMPLERS) * len(LOSSES) * len(MODELS)
    assert {cell["reason"] is None for cell in cells} == {True, False}
    assert json.loads(compatible(as_json=True)) == cells
    text = compatible()
    assert all(name in text for name in (*SAMPLERS, *LOSSES, *MODELS))


def test_names_of_samplers_and_losses_are_disjoint() -> None:
    assert not {*SAMPLERS} & {*LOSSES}
    assert not {*MODELS} & {*SAMPLERS, *LOSSES}


def test_conditions_of_facts_follow_parameters() -> None:
    entry = LOSSES.entry("softmax")
    assert held("needs", entry, {"logq": "neg"}) == {"log_q"}
    assert held("needs", entry, {"logq": "none"}) == set()
