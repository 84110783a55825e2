"""What the documents show must run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from bench.runs.spec import parse_cell
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Scorer, Training
from recmodels.types import Batch, Candidates, Tables
from tests.conftest import make_interactions

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("results/*.md")])


def commands() -> list[tuple[str, list[str]]]:
    """Every `bench …` line of a code block."""
    found = []
    for path in DOCUMENTS:
        for block in re.findall(
            r"^```(?:bash|sh|console|text)?\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S
        ):
            for line in block.replace("\\\n", " ").splitlines():
                text = line.strip().removeprefix("$ ").removeprefix(".venv/bin/")
                if text.startswith("bench "):
                    found.append((f"{path.name}: {text}", shlex.split(text, comments=True)[1:]))
    return found


@pytest.mark.parametrize(("line", "words"), commands())
def test_commands_in_the_documents_parse(line: str, words: list[str]) -> None:
    from typer.main import get_command

    from bench.cli.main import app

    command = get_command(app)
    assert words[0] in command.commands, line  # type: ignore[attr-defined]
    context = command.make_context("bench", list(words), resilient_parsing=False)  # type: ignore[attr-defined]
    assert context is not None
    if words[0] == "compare":
        names = [word for word in words[1:] if not word.startswith("-")]
        if not names[0].startswith(("tail", "$(")):
            parse_cell(names[0], {})


def test_the_sampler_of_the_page_works_as_written() -> None:
    text = (ROOT / "docs" / "adding-a-sampler.md").read_text(encoding="utf-8")
    block = re.search(r"```python\n(.*?)```", text, re.S)
    assert block is not None
    assert len(text.splitlines()) < 70, "the page must fit on one screen and a half"
    namespace: dict[str, object] = {"__name__": "adding_a_sampler"}
    exec(compile(block[1], "adding-a-sampler.md", "exec", dont_inherit=True), namespace)
    try:
        training = Training(make_interactions())
        sampler = namespace["tail"](training, share=0.8)  # type: ignore[operator]
        batch = Batch(torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64))
        nothing = Scorer(lambda: Tables(torch.zeros(40, 1), torch.zeros(60, 1)))
        drawn = sampler.propose(batch, 200_000, np.random.default_rng(0), nothing).items.numpy().ravel()
        law = sampler.with_law(batch, Candidates(torch.arange(60)[None]), nothing).log_q.exp().numpy().ravel()
        law = law.astype(np.float64)
        law[training.seen.contains(np.zeros(60, np.int64), np.arange(60))] = 0  # never drawn for user 0
        assert law.sum() == pytest.approx(1, rel=1e-5)
        counts = np.bincount(drawn, minlength=60)
        assert (counts[law == 0] == 0).all()
        assert chisquare(counts[law > 0], law[law > 0] / law.sum() * 200_000).pvalue > 1e-3
    finally:
        SAMPLERS._functions.pop("tail")


def test_documents_speak_of_the_project_alone() -> None:
    for path in [*DOCUMENTS, ROOT / "CHANGELOG.md"]:
        text = path.read_text(encoding="utf-8")
        assert "/home/" not in text
        assert "/root/" not in text


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_the_readme_shows_the_reference_table() -> None:
    table = (ROOT / "results" / "ml-100k.txt").read_text(encoding="utf-8").strip()
    assert table in (ROOT / "README.md").read_text(encoding="utf-8")
