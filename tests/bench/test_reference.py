"""The page of docs/ that lists what the packages export."""

from __future__ import annotations

import re
from types import ModuleType

import pytest

import bench
import datasets
import recmodels
from bench.pages.reference import PAGE, page


def test_the_page_says_what_the_code_says() -> None:
    """If this fails, run `python -m bench.pages.reference`."""
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text


@pytest.mark.parametrize("package", [bench, datasets, recmodels], ids=lambda package: package.__name__)
def test_every_exported_name_has_an_entry(package: ModuleType) -> None:
    named = re.findall(rf"^### {package.__name__}\.(\w+)$", PAGE.read_text(encoding="utf-8"), re.M)
    assert sorted(named) == sorted(package.__all__)
    assert all(getattr(package, name) is not None for name in named)


def test_arguments_errors_and_examples_of_an_entry_are_set_out() -> None:
    text = PAGE.read_text(encoding="utf-8")
    entry = text.partition("### recmodels.fit\n")[2].partition("\n### ")[0]
    assert '    sampler: str = "uniform",\n    loss: str = "bpr",\n' in entry
    assert "Args:\n\n- `split`: what `datasets.load` gives; trained on its train part, " in entry
    assert "Raises:\n\n- `UserError`: a name, option or setting that means nothing" in entry
    assert "```text\n>>> import datasets, recmodels\n" in entry
    assert "class Batch(NamedTuple):\n    users: Tensor  # (B,) int64\n" in text
    assert "@property\ndef shared(self) -> bool: ..." in text
