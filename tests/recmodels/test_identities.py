"""What `canonical` calls one training has equal gradients, and what it does not differs."""

from __future__ import annotations

import math
from collections import defaultdict
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch

from bench.runs.spec import Cell, incompatibility, parse_cell
from datasets import Interactions
from recmodels.compatibility import is_whole, table
from recmodels.identities import canonical
from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.objective import objective
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Training
from recmodels.settings import Settings
from recmodels.trainer import train
from recmodels.types import Batch, LossInput
from tests.loss_cases import ITEMS, changed, example

SAME = [
    ("uniform+gbce:calibration=0", "uniform+bce"),
    ("full+gbce", "full+bce"),
    ("full+nce", "full+bce"),
    ("full+gbce:calibration=0.9", "full+nce"),
    ("full+softmax", "full+softmax:logq=none"),
    ("full+softmax:logq=both", "full+softmax:logq=none"),
    ("full+softmax:include_positive=false", "full+softmax:logq=none,include_positive=false"),
    ("full+softmax", "full+infonce:temperature=1,space=dot"),
    ("uniform:reject=false+softmax:logq=both", "uniform:reject=false+infonce:space=dot,temperature=1"),
    ("uniform+softmax:logq=none,space=cosine,temperature=0.3", "uniform+infonce:temperature=0.3"),
    ("uniform+softmax:logq=none,include_positive=false,temperature=0.2,space=cosine", "uniform+sl"),
    ("uniform+debiased:prior=0", "uniform+infonce"),
    ("uniform+bsl:form=reweight,temperature=0.2,negative_weight=1", "uniform+sl"),
    ("uniform+bsl:form=single,temperature=0.2", "uniform+sl"),
    ("uniform+bsl:form=paper,temperature=0.2", "uniform+sl"),
    ("uniform+bsl:form=paper,temperature=0.1,positive_temperature=0.2",
     "uniform+bsl:form=reweight,temperature=0.1,positive_temperature=0.2,negative_weight=0.5"),
    ("uniform+bsl:form=multi,positive_temperature=0.17", "uniform+bsl"),
    ("uniform+bce:counting=mean,negatives=1", "uniform+bce:negatives=1"),
    ("uniform+infonce:space=dot,temperature=1,negatives=1", "uniform+bpr:negatives=1"),
    ("uniform+bpr-max:regularization=0,negatives=1", "uniform+bpr:negatives=1"),
    ("uniform+top1-max:negatives=1", "uniform+top1:negatives=1"),
    ("uniform+simce:margin=0.5,negatives=1", "uniform+hinge:margin=0.5,negatives=1"),
    ("uniform+sl:space=cosine,rank_space=cosine", "uniform+sl"),
    ("full+bpr:negatives=4", "full+bpr:negatives=all"),
    ("hard-inbatch:pool=8,negatives=4+bpr", "dns-mn:pool=8,proposal=inbatch:dedup=true,negatives=4+bpr"),
    ("hard-inbatch:pool=2,mask=same-item,negatives=4+bpr",
     "dns-mn:pool=4,proposal=inbatch:mask=same-item:dedup=true,negatives=4+bpr"),
    ("dns-mn:pool=8,keep=4,negatives=4+bpr", "dns-mn:pool=8,negatives=4+bpr"),
    ("dns-mn:pool=4,negatives=4+bpr", "uniform:negatives=4+bpr"),
    ("dns:pool=1,proposal=popularity:alpha=0.5+softmax", "popularity:alpha=0.5+softmax"),
    ("dns:pool=1,proposal=uniform:reject=false+softmax:logq=both", "uniform:reject=false+softmax:logq=none"),
    ("curriculum:pool=1+bpr", "uniform+bpr"),
    ("ahns:pool=1,proposal=inbatch+bpr", "inbatch+bpr"),
    ("pris:proposal=uniform+bpr", "self-adversarial+bpr"),
    ("self-adversarial:scale=1+bpr", "self-adversarial+bpr"),
    ("self-adversarial:scale=0,proposal=mixed+bpr", "mixed+bpr"),
]  # fmt: skip
SETTINGS = [
    ("uniform+bpr:l2=0.1", "uniform+bpr:l2_user=0.1,l2_positive=0.1,l2_negative=0.1"),
    ("uniform+bpr:init=xavier", "uniform+bpr:init=xavier,init_std=0.5"),
    ("uniform+directau:negatives=4", "uniform+directau:l2_negative=0.3"),
]
SHIFTED = "form=single"  # its values differ from those of `sl` by a number


def text(cell: Cell) -> str:
    assert cell.sampler is not None
    assert cell.loss is not None
    sampler, loss, model = ((part.name, part.parameters) for part in (cell.sampler, cell.loss, cell.model))
    return canonical(sampler, loss, model, cell.settings)


def scores(cell: Cell, case: int) -> LossInput:
    """Random cosines for a cell's loss, with the columns and the law of its sampler; what the losses keep is as new."""
    assert cell.sampler is not None
    assert cell.loss is not None
    whole, rng = is_whole(cell.sampler.name), np.random.default_rng(case)
    n = ITEMS if whole else int(cell.settings["negatives"])  # type: ignore[arg-type]
    _, x = example(cell.loss.name, n=n, parameters=cell.loss.parameters)
    valid = torch.from_numpy(rng.random((6, n)) < 0.7)
    valid[0] = False
    if case == 0 and not whole:
        valid[:] = True
    if whole:
        x = changed(x, items=torch.arange(ITEMS))
        valid[torch.arange(6), x.batch.positives] = False
    law = torch.full((1, 1), -math.log(ITEMS), dtype=torch.float64)
    return changed(
        x,
        positive=torch.from_numpy(rng.uniform(-1, 1, 6)).requires_grad_(),
        negative=torch.from_numpy(rng.uniform(-1, 1, (6, n))).requires_grad_(),
        valid=valid,
        log_q=law,
        log_q_positive=law[0].expand(6),
        batch=Batch(torch.tensor([0, 1, 2, 1, 4, 0]), x.batch.positives),
    )


def gradients(cell: Cell, x: LossInput) -> tuple[torch.Tensor, ...]:
    assert cell.loss is not None
    values: torch.Tensor = LOSSES[cell.loss.name](x, **cell.loss.parameters)
    found = torch.autograd.grad(values.sum(), (x.positive, x.negative), allow_unused=True)
    return (values.detach(), *(torch.zeros(1) if part is None else part for part in found))


@pytest.mark.parametrize(("one", "other"), SAME)
@pytest.mark.parametrize("case", [0, 1, 2])
def test_what_has_one_text_has_one_gradient(one: str, other: str, case: int) -> None:
    cells = parse_cell(one, {}), parse_cell(other, {})
    assert text(cells[0]) == text(cells[1])
    ours, theirs = (gradients(cell, scores(cell, case)) for cell in cells)
    for mine, its in zip(ours[SHIFTED in one :], theirs[SHIFTED in one :], strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("one", "other"), SAME + SETTINGS)
def test_what_has_one_text_ends_in_one_model(one: str, other: str) -> None:
    assert text(parse_cell(one, {})) == text(parse_cell(other, {}))
    rng = np.random.default_rng(0)
    pairs = np.unique(rng.integers(0, [12, 20], size=(90, 2)), axis=0).astype(np.int32)
    data = Interactions(pairs[:, 0], pairs[:, 1], 12, 20)
    nothing = Interactions(np.empty(0, np.int32), np.empty(0, np.int32), 12, 20)

    def trained(cell: Cell) -> torch.Tensor:
        assert cell.sampler is not None
        assert cell.loss is not None
        small: Any = {**cell.settings, "epochs": 3, "batch_size": 16, "embedding_size": 4, "optimizer": "sgd"}
        settings = Settings(**small)
        training = Training(data, settings.positives, settings.epochs)
        done = train(
            training,
            nothing,
            model=partial(MODELS[cell.model.name], **cell.model.parameters),
            sampler=SAMPLERS[cell.sampler.name](training, **cell.sampler.parameters),
            objective=objective(cell.loss.name, cell.loss.parameters, settings.space, settings.rank_space),
            settings=settings,
            seed=3,
            device=torch.device("cpu"),
        )
        return done.tables.users @ done.tables.items.T

    torch.testing.assert_close(trained(parse_cell(one, {})), trained(parse_cell(other, {})), rtol=1e-3, atol=1e-5)


DIFFERENT = [
    ("uniform+gbce", "uniform+bce"),
    ("uniform+bce:counting=mean", "uniform+bce"),
    ("full+bce:counting=mean", "full+bce"),
    ("uniform+softmax:logq=both", "uniform+softmax:logq=none"),
    ("uniform:reject=false+softmax", "uniform:reject=false+softmax:logq=none"),
    ("uniform+infonce:space=dot", "uniform+infonce"),
    ("uniform+debiased", "uniform+infonce"),
    ("uniform+debiased:prior=0,hardness=1", "uniform+infonce"),
    ("uniform+bsl:form=reweight", "uniform+sl:temperature=0.17"),
    ("uniform+bsl:form=single", "uniform+sl"),
    ("uniform+bsl:form=multi,negative_weight=1", "uniform+bsl:form=reweight,negative_weight=1"),
    ("uniform+infonce:space=dot,temperature=1", "uniform+bpr"),
    ("uniform+top1-max", "uniform+top1"),
    ("uniform+bpr", "popularity+bpr"),
    ("uniform+bpr+mf", "uniform+bpr+lightgcn"),
    ("uniform+bpr:l2_user=0.1", "uniform+bpr"),
    ("uniform+sl:rank_space=dot", "uniform+sl"),
    ("uniform+bpr:negatives=4", "uniform+bpr"),
    ("dns+bpr", "dns:proposal=popularity+bpr"),
    ("hard-inbatch:pool=8+bpr", "dns-mn:pool=16,proposal=inbatch+bpr"),
    ("pris:proposal=uniform+sl", "self-adversarial+sl"),
    ("pris+bpr", "self-adversarial+bpr"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_is_not_the_same_has_two_texts(one: str, other: str) -> None:
    assert text(parse_cell(one, {})) != text(parse_cell(other, {}))


def test_of_all_cells_with_default_options_three_are_one() -> None:
    groups = defaultdict(set)
    for cell in table():
        name = f"{cell['sampler']}+{cell['loss']}+{cell['model']}"
        if cell["reason"] is None:
            groups[text(parse_cell(name, {}))].add(name)
    same = [names for names in groups.values() if len(names) > 1]
    assert sorted(map(sorted, same)) == [
        [f"full+{loss}+{model}" for loss in ("bce", "gbce", "nce")] for model in MODELS
    ]


@pytest.mark.parametrize("sampler", ["uniform", "full"])
def test_losses_with_two_texts_have_two_gradients(sampler: str) -> None:
    """Over all losses with default options whose gradient is one of scores."""
    cells = [parse_cell(f"{sampler}+{name}", {}) for name in LOSSES if name not in ("directau", "mawu", "wrmf")]
    cells = [cell for cell in cells if incompatibility(cell) is None]
    found = {cell.name: (text(cell), gradients(cell, scores(cell, 1))) for cell in cells}
    for one, other in combinations(found, 2):
        (name, ours), (its_name, theirs) = found[one], found[other]
        alike = all(torch.allclose(a, b) for a, b in zip(ours, theirs, strict=True))
        assert alike == (name == its_name), (one, other)
