"""What counts as the code of a method, and what does not."""

from __future__ import annotations

import re

import pytest

from bench.runs.spec import REGISTRIES
from datasets.errors import UserError
from recmodels.code import Source, code_of, whole_code
from recmodels.registry import forget, methods

BASE = '''
"""Samplers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np

from recmodels.samplers import SAMPLERS
from recmodels.samplers.other import helper
from recmodels.search import Search
from shared import state

if TYPE_CHECKING:
    from recmodels.sampling import Sampler, Training

SHARE = 0.5
UNUSED = 1
TABLE = {}
TABLE["a"] = 1


@SAMPLERS.register("tail", paper="none", gives=["log_q"], search={"l2": Search(0.1, 1)})
def tail(training: Training, *, share: Annotated[float, "> 0", Search(0.2, 0.9)] = SHARE) -> Sampler:
    """The tail."""
    return Rare(training, share)


class Rare:
    """Rare ones."""

    def draw(self, n):
        """Draws."""
        return helper(n) + np.ones(n)  # a comment


@SAMPLERS.register("head", paper="none")
def head(training):
    return UNUSED


@state("tail")
def start(training):
    return {}
'''
OTHER = """
FEW = 2


def helper(n):
    return n + FEW


def alone(n):
    return n
"""


def code(text: str = BASE, other: str = OTHER, name: str = "tail", shown: str = "a.py") -> str:
    others = {"recmodels.samplers.other": Source("other.py", other)}
    return code_of(Source(shown, text), name, others.get)


def edited(before: str, after: str, text: str = BASE) -> str:
    assert before in text
    return text.replace(before, after)


SAME = {
    "a comment": ("# a comment", "# another"),
    "a docstring": ('"""The tail."""', '"""What few people like."""'),
    "no docstring": ('    """Rare ones."""\n\n', ""),
    "formatting": ("return Rare(training, share)", "return Rare(\n        training,\n        share,\n    )"),
    "a range": ('"> 0", Search(0.2, 0.9)', '">= 0.1", Search(0.3, 0.8, log=True)'),
    "no range": ('Annotated[float, "> 0", Search(0.2, 0.9)]', "float"),
    "what is searched": ("Search(0.1, 1)", "Search(0.2, 2)"),
    "a paper": ('paper="none", gives', 'paper="Who, Where, 2020", aliases=["rare"], gives'),
    "another method": ("return UNUSED", "return UNUSED + 1"),
    "what another method uses": ("UNUSED = 1", "UNUSED = 2"),
    "an import for types": ("import Sampler, Training", "import Sampler, Scorer, Training"),
    "an import that it does not use": ("import numpy as np", "import numpy as np\nimport os"),
    "a pass": ("    return Rare(training, share)", "    pass\n    return Rare(training, share)"),
}
OTHER_CODE = {
    "its body": ("return Rare(training, share)", "return Rare(training, share / 2)"),
    "its default": ("= SHARE", "= 0.25"),
    "a class it uses": ("np.ones(n)", "np.zeros(n)"),
    "a constant it uses": ("SHARE = 0.5", "SHARE = 0.25"),
    "a type": ('TABLE["a"] = 1', 'TABLE["a"] = 1.0'),
    "what it gives": ('gives=["log_q"]', 'gives=["log_q", "ordered"]'),
    "what stands beside it": ("return {}", "return {1: 1}"),
    "what runs anyway": ('TABLE["a"] = 1', 'TABLE["a"] = 2'),
    "what a name means": ("import numpy as np", "import torch as np"),
    "where a helper is from": ("from recmodels.samplers.other import helper", "from elsewhere import helper"),
    "a constant given twice": ("UNUSED = 1", "UNUSED = 1\nSHARE = SHARE / 2"),
    "a decorator": ("    def draw", "    @staticmethod\n    def draw"),
}


@pytest.mark.parametrize("edit", SAME.values(), ids=SAME)
def test_what_changes_no_number_changes_no_code(edit: tuple[str, str]) -> None:
    assert code(edited(*edit)) == code()


@pytest.mark.parametrize("edit", OTHER_CODE.values(), ids=OTHER_CODE)
def test_whatever_may_change_a_number_changes_the_code(edit: tuple[str, str]) -> None:
    assert code(edited(*edit)) != code()


def test_the_order_of_definitions_and_the_place_of_the_file_do_not_count() -> None:
    first = BASE.index("class Rare")
    last = BASE.index('@SAMPLERS.register("head"')
    moved = BASE[:first] + BASE[last:] + "\n\n" + BASE[first:last]
    assert code(moved) == code(shown="elsewhere/b.py") == code()


def test_what_is_used_of_other_files_of_methods_counts_and_nothing_else_of_them() -> None:
    assert code(other=edited("n + FEW", "n - FEW", OTHER)) != code()
    assert code(other=edited("FEW = 2", "FEW = 3", OTHER)) != code()
    assert code(other=edited("return n\n", "return -n\n", OTHER)) == code()
    inside = edited("    return Rare(", "    from recmodels.samplers.other import alone\n    return Rare(")
    assert code(inside, edited("return n\n", "return -n\n", OTHER)) != code(inside)
    whole = edited("from recmodels.samplers.other import helper", "from recmodels.samplers import other as helper")
    assert code(whole, edited("return n\n", "return -n\n", OTHER)) != code(whole)


def test_of_whole_modules_everything_counts_but_their_layout() -> None:
    def whole(text: str) -> str:
        return whole_code([("", Source("a.py", text))])

    assert whole(edited("return UNUSED", "return 2")) != whole(BASE)
    assert whole(edited("# a comment", "")) == whole(edited('"> 0", Search(0.2, 0.9)', '"> 0"')) == whole(BASE)


EVERY_SYNTAX = r"""
@SAMPLERS.register("every", gives={"log_q": "a == 1"})
async def every(a, /, b: int = 1, *c, d=-1.5e-7, **e) -> "x":
    global G
    x = f"{a!r:>{b}} {{}} {b=} é\n" "tail" f"{d}", rb"\x00", ...
    y = [*a, 1 if b else 2j, lambda u, *v, w=...: (yield), {**e, 1: {2}}, a[1:2, ::3], not a or b and c is not d]
    async with a as (g, h), b:
        z = [i async for i in a if i for j in i]
    try:
        (n := 10), await a
    except* (ValueError, TypeError) as error:
        raise error from None
    finally:
        del x, y
    match a:
        case {"k": [1, *_], **rest} | Point(x=0, y=None) if a @ b ** c // 3 << 2: assert a, "no"
        case _ as other: nonlocal_ = True
    while True:
        a += 1; b: list[int] = []; c.d: int
        continue
    else: return
    for q in a: break
    class K(object, metaclass=type): from . import m as n; import o.p
"""


def test_a_digest_is_the_same_under_every_version_of_python() -> None:
    """Frozen as 3.11, 3.12 and 3.13 find it; a version that finds something else would lose all runs."""
    assert whole_code([("", Source("a.py", EVERY_SYNTAX))]) == "8fa09fca973a"


def test_every_method_has_a_code_of_its_own() -> None:
    codes = [registry.code(name) for registry in REGISTRIES.values() for name in registry]
    assert len(set(codes)) == len(codes)
    assert all(map(re.compile("[0-9a-f]{12}").fullmatch, codes))


@pytest.mark.parametrize(
    ("kind", "name", "module", "function"),
    [
        ("sampler", "given", "recmodels.samplers.static", "Uniform"),
        ("loss", "wrmf", "recmodels.losses.embedding", "sizes"),
        ("model", "simgcl", "recmodels.models.lightgcn", "LightGCN"),
        ("baseline", "ease", "recmodels.baselines.product", "gram"),
    ],
)
def test_a_method_is_of_what_it_uses(kind: str, name: str, module: str, function: str) -> None:
    registry = REGISTRIES[kind]
    before, source = registry.code(name), methods()[module]
    first = next(node for node in source.tree.body if getattr(node, "name", "") == function).body[0]
    lines = source.text.splitlines()
    lines.insert(first.lineno - 1, " " * first.col_offset + "0 < 1")
    forget([registry])
    methods()[module] = Source("edited.py", "\n".join(lines))
    assert registry.code(name) != before
    forget([registry])
    assert registry.code(name) == before


def test_what_is_no_python_is_told_with_its_line() -> None:
    with pytest.raises(UserError, match=r"^mine.py:2 is not Python \(.*\); mend that line\.$"):
        code_of(Source("mine.py", "a = 1\nb = (\n"), "tail", {}.get)
