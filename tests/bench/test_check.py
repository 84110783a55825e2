"""`bench check` finds what a method does not keep, and says where."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.inputs.asking import ask, check

ROOT = Path(__file__).parents[2]
HEAD = """import random
import numpy as np
import torch
from typing import Annotated
from recmodels.losses import LOSSES
from recmodels.models import BASELINES, MODELS
from recmodels.samplers import SAMPLERS
from recmodels.samplers.static import Weighted
from recmodels.draws import drawn_in_order
from recmodels.sampling import Proposal, Sampler
from recmodels.types import Candidates, Tables

"""
LOSS = '''@LOSSES.register("mine", paper="none: a test", space="dot", spaces=["dot"])
def mine(x, *, margin: Annotated[float, ">= 0"] = 0.5):
    """Mean of the softplus of differences.

    Args:
        x: scores.
        margin: the margin.
    """
    return x.mean(torch.nn.functional.softplus(x.negative - x.positive[:, None] + margin))
'''
SAMPLER = '''@SAMPLERS.register("mine", paper="none: a test", gives=["log_q", "ordered"])
def mine(training):
    """Items by the square root of their count."""
    return Sampler(Weighted(training, training.counts**0.5, reject=True))
'''
MODEL = '''@MODELS.register("mine", paper="none: a test", gives=["dot", "free_vectors"])
def mine(training, settings, rng):
    """Free vectors."""
    return Free(training, settings, rng)


class Free(torch.nn.Module):
    def __init__(self, training, settings, rng):
        super().__init__()
        self.users = self.vectors(training.n_users, settings, rng)
        self.items = self.vectors(training.n_items, settings, rng)

    def vectors(self, rows, settings, rng):
        return torch.nn.Parameter(torch.from_numpy(rng.normal(0, 0.1, (rows, settings.embedding_size)).astype("f4")))

    def forward(self):
        return Tables(self.users, self.items)
'''
BASELINE = '''@BASELINES.register("mine", paper="none: a test")
def mine(training):
    """The count of each item."""
    counts = torch.from_numpy(training.counts.astype(np.float64))
    return Tables(torch.ones(training.n_users, 1, dtype=torch.float64), counts[:, None])
'''
DOC = LOSS[LOSS.index('    """') : LOSS.index("    return")]
AT = HEAD.count("\n") + 2  # the line of `def mine`

# what of which method is changed into what, and what of the answer must be there
BROKEN: dict[str, tuple[str, str, str, list[str]]] = {
    "one value": (LOSS, "return x.mean(", "return torch.mean(", [f"mine.py:{AT}", "shape ()", "one value per row"]),
    "another type": (LOSS, "+ margin))", "+ margin)).float()", [f"mine.py:{AT}", "torch.float32"]),
    "not finite": (
        LOSS,
        "torch.nn.functional.softplus(",
        "torch.log1p(torch.exp(",
        [f"mine.py:{AT}", "the score", "inf"],
    ),
    "no gradient": (LOSS, "x.positive[:, None]", "x.positive[:, None].detach() * 0 - x.negative", ["zero everywhere"]),
    "rows together": (LOSS, "+ margin))", "+ margin)) + 0 * x.positive + x.positive.mean()", ["the scores of another"]),
    "no mask": (LOSS, "return x.mean(", "return torch.mean(dim=1, input=", ["x.valid leaves out"]),
    "no weights": (
        LOSS,
        "x.mean(",
        "(lambda v: x.masked(v, 0.0).sum(dim=1) / x.counted.squeeze(1).clamp(min=1))(",
        ["does not look at weights"],
    ),
    "draws": (LOSS, "+ margin))", "+ margin + torch.rand(())))", ["other values for the same input"]),
    "an error": (LOSS, "x.mean(", "x.maen(", [f"mine.py:{AT + 7} raises AttributeError", "maen"]),
    "no docstring": (LOSS, DOC, "", ["no docstring"]),
    "no word of a parameter": (LOSS, "        margin: the margin.\n", "", ["says nothing of margin"]),
    "no paper": (LOSS, 'paper="none: a test", ', "", ["names no paper"]),
    "seen items": (SAMPLER, "reject=True", "reject=False", ["items that the user has seen"]),
    "a wrong law": (SAMPLER, "Sampler(Weighted(", "Sampler(Skewed(", ["do not follow the law"]),
    "a law that is none": (SAMPLER, "Sampler(Weighted(", "Sampler(Wrong(", ["the law of user 2 sums to"]),
    "global chance": (SAMPLER, "Sampler(Weighted(", "Sampler(Careless(", ["global generator"]),
    "32 bits": (SAMPLER, "Sampler(Weighted(", "Sampler(Short(", ["torch.int32", "torch.int64"]),
    "hidden memory": (SAMPLER, "Sampler(Weighted(", "Sampler(Forgetful(", ["keep what it remembers there"]),
    "nothing where little is left": (SAMPLER, "Sampler(Weighted(", "Sampler(Impatient(", ["who lacks one item"]),
    "not ordered": (SAMPLER, ', "ordered"', "", ['gives=["ordered"]']),
    "weights undeclared": (SAMPLER, '"log_q"', '"weight"', ["gives= says otherwise"]),
    "the same start": (MODEL, "rng.normal(0", "np.random.default_rng(0).normal(0", ["another stream", "same start"]),
    "torch's chance": (MODEL, "self.users = ", "torch.rand(3)\n        self.users = ", ["torch's global generator"]),
    "no tables": (MODEL, "return Tables(self.users, self.items)", "return self.users", ["must give Tables"]),
    "idle parameters": (MODEL, "super().__init__()", "super().__init__()\n        self.idle = torch.nn.Parameter("
                        "torch.ones(1))", ["idle gets no gradient"]),
    "not free": (MODEL, "Tables(self.users,", "Tables(2 * self.users,", ["its users are not the parameter users"]),
    "other queries": (MODEL, "    def forward", "    def queries(self, batch):\n        return Tables(2 * self.users["
                      "batch.users], self.items)\n\n    def forward", ["queries(batch) are not those of forward()"]),
    "blind to what is folded in": (MODEL, '"dot", ', '"dot", "unseen_users", ', ["does not follow what is folded in"]),
    "too few scores": (BASELINE, "counts[:, None])", "counts[1:, None])", ["(30, 19)", "(30, 20)"]),
    "chance unasked": (BASELINE, ".astype(np.float64))", " + np.random.rand(20))", ["same data give other"]),
    "rng unused": (BASELINE, "mine(training)", "mine(training, rng)", ["takes rng and draws nothing"]),
}  # fmt: skip
TAIL = """

class Wrong(Weighted):
    def log_prob(self, users, items, scorer):
        return super().log_prob(users, items, scorer) * 0 - float(np.log(40))


class Skewed(Weighted):
    def draw(self, batch, n, rng, scorer):
        return Weighted(self.training, self.training.counts.astype(float), reject=True).draw(batch, n, rng, scorer)


class Careless(Weighted):
    def draw(self, batch, n, rng, scorer):
        return super().draw(batch, n, np.random.default_rng(random.getrandbits(30)), scorer)


class Short(Weighted):
    def draw(self, batch, n, rng, scorer):
        return Candidates(super().draw(batch, n, rng, scorer).items.int())


class Impatient(Weighted):
    def draw(self, batch, n, rng, scorer):
        many = torch.from_numpy(np.diff(self.training.seen.offsets)[batch.users.numpy()] < 39)[:, None]
        found = super().draw(batch, n, rng, scorer)
        return Candidates(found.items, many if found.valid is None else many & found.valid, ordered=True)


class Forgetful(Weighted):
    drawn = 0

    def draw(self, batch, n, rng, scorer):
        self.drawn += 1
        return super().draw(batch, n, np.random.default_rng([self.drawn, rng.integers(9)]), scorer)
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mine.py"


@pytest.mark.parametrize(("method", "before", "after", "must"), BROKEN.values(), ids=BROKEN)
def test_a_broken_promise_is_told_with_its_line(
    method: str, before: str, after: str, must: list[str], file: Path
) -> None:
    assert before in method
    changed = method.replace(before, after)
    if changed.count("(") > changed.count(")"):
        changed = changed.rstrip("\n") + ")\n"
    file.write_text(HEAD + changed + TAIL)
    answer = ask("check mine.py")
    check(answer, 1, ["wrong", "not kept.", *must])
    assert all(line.startswith("  wrong  mine.py:") for line in answer.out.splitlines() if line.startswith("  wrong"))


@pytest.mark.parametrize(
    ("fact", "said"),
    [
        ('{"mragin": ""}', "ignores mragin, which is none of its parameters"),
        ('{"l2": "mragin == 1"}', "the condition 'mragin == 1' in ignores"),
        ('["l2"]', "write a dictionary"),
    ],
)
def test_what_a_method_ignores_is_declared_with_conditions_on_its_parameters(fact: str, said: str, file: Path) -> None:
    file.write_text(HEAD + LOSS.replace('space="dot"', f'ignores={fact}, space="dot"', 1) + TAIL)
    check(ask("check mine.py"), 1, ["mine.py:", said])


@pytest.mark.parametrize(
    ("kind", "method"), [("loss", LOSS), ("sampler", SAMPLER), ("model", MODEL), ("baseline", BASELINE)]
)
def test_what_keeps_its_promises_is_told_what_was_checked(kind: str, method: str, file: Path) -> None:
    file.write_text("print('loaded')\n" + HEAD + method)
    answer = ask("check mine.py")
    check(answer, 0, [f"mine, a {kind} (mine.py:{AT + 1})", "  ok     "], ["wrong", "not kept"])
    assert "loaded" not in answer.out


def test_the_example_keeps_its_promises() -> None:
    check(ask(["check", str(ROOT / "examples" / "mine.py")]), 0, ["mine, a sampler", "push, a loss"], ["wrong"])


@pytest.mark.parametrize("page", ["README.md", "docs/adding-a-sampler.md", "docs/adding-a-loss.md"])
def test_what_the_pages_show_keeps_its_promises(page: str, file: Path) -> None:
    block = re.search(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.S)
    assert block is not None
    file.write_text(block[1])
    check(ask("check mine.py"), 0, ["  ok     "], ["wrong"])


def model_of_the_page(name: str) -> str:
    """The block of docs/models.md that registers it."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "models.md").read_text(encoding="utf-8"), re.S)
    return next(block for block in blocks if f'"{name}"' in block)


def test_the_two_towers_of_the_page_keep_their_promises_and_train(file: Path, ratings_csv: Path) -> None:
    file.write_text(model_of_the_page("described"))
    check(ask("check mine.py"), 0, ["described, a model (mine.py:"], ["wrong"])
    table = ratings_csv.with_name("items.csv")
    table.write_text("item,kind\n" + "".join(f"{i},k{i % 4}\n" for i in range(70)), encoding="utf-8")
    words = f"compare uniform+bpr+described toppop --plugin mine.py --dataset {ratings_csv} --seeds 1 --set epochs=1"
    check(ask(f"{words} --item-features {table}"), 0, ["uniform+bpr+described"], ["Not measured"])
    check(ask(words), 2, ["described reads features of the items; give --item-features"])


def test_the_encoder_of_the_page_keeps_its_promises_and_one_that_looks_ahead_does_not(file: Path) -> None:
    text = model_of_the_page("average")
    file.write_text(text)
    check(ask("check mine.py"), 0, ["average, a model (mine.py:"], ["wrong"])
    assert "inputs.cumsum(dim=1)" in text
    file.write_text(text.replace("inputs.cumsum(dim=1)", "(inputs + inputs.roll(-1, 1)).cumsum(dim=1)"))
    check(ask("check mine.py"), 1, ["of a sequence changes the query of an earlier one"])
