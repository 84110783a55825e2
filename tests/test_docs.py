"""What the documents show must run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from bench.cli.main import REQUESTS
from bench.cli.main import command as root
from bench.pages.files import PAGE, files_part
from bench.pages.samplers import replaced
from bench.results.published import read
from bench.runs.spec import parse_cell
from bench.tables.render import render
from recmodels.losses import LOSSES
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Scorer, Training
from recmodels.types import Batch, Candidates, LossInput, Tables
from tests.conftest import make_interactions

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md"), *ROOT.glob("results/*.md")])
FENCED = re.compile(r"^```\w*\n(.*?)^```", re.M | re.S)


def commands() -> list[tuple[str, list[str]]]:
    """Every `bench …` line of a code block, and every `bench …` within a sentence."""
    found = []
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        lines = [line for block in FENCED.findall(text) for line in block.replace("\\\n", " ").splitlines()]
        lines += re.findall(r"`([^`]+)`", FENCED.sub("", text))
        for line in lines:
            command = " ".join(line.strip().removeprefix("$ ").removeprefix(".venv/bin/").split())
            if re.match(r"bench [a-z-]", command):
                cells = re.sub(r"\$\([^)]*\)|…", "", command)  # what a program prints in their place, or anything
                found.append((f"{path.name}: {command}", shlex.split(cells, comments=True)[1:]))
    return found


@pytest.mark.parametrize(("line", "words"), commands())
def test_commands_in_the_documents_parse(line: str, words: list[str]) -> None:
    command, cells = root(), words[0] in REQUESTS
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, line
        command, *words = command.commands[words[0]], *words[1:]
    if not words:  # it is spoken of, without what it needs
        return
    given = command.make_context("bench", list(words)).params
    for name in (given["names"] or ()) if cells else ():
        if name.endswith(".toml"):
            assert not name.startswith("experiments/") or (ROOT / name).is_file()
        elif name.endswith(".json"):  # a table
            assert name.startswith("results/")
        elif name.islower() and not name.startswith("tail"):  # the sampler that docs/adding-a-sampler.md adds
            parse_cell(name, {})


@pytest.mark.parametrize(("page", "options"), [("docs/adding-a-sampler.md", {"share": 0.8}), ("README.md", {})])
def test_the_sampler_of_the_page_works_as_written(page: str, options: dict[str, float]) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    block = re.search(r"```python\n(.*?)```", text, re.S)
    assert block is not None
    namespace: dict[str, object] = {"__name__": "adding_a_sampler"}
    exec(compile(block[1], page, "exec", dont_inherit=True), namespace)
    try:
        training = Training(make_interactions())
        sampler = namespace["tail"](training, **options)  # type: ignore[operator]
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


def test_the_page_on_samplers_fits_on_a_screen_and_a_half() -> None:
    assert len((ROOT / "docs" / "adding-a-sampler.md").read_text(encoding="utf-8").splitlines()) < 70


def test_the_loss_of_the_page_works_as_written() -> None:
    block = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "losses.md").read_text(encoding="utf-8"), re.S)
    assert block is not None
    namespace: dict[str, Any] = {"__name__": "adding_a_loss"}
    exec(compile(block[1], "losses.md", "exec", dont_inherit=True), namespace)
    try:
        positive, negative = torch.tensor([1.0, 3.0]), torch.tensor([[1.0, 0.5], [0.0, 4.0]])
        batch = Batch(torch.arange(2), torch.arange(2))
        values = namespace["square"](LossInput(positive, negative, None, None, None, None, 5, batch, torch.arange(4)))
        assert values.tolist() == [(1 + 0.25) / 2, (0 + 4) / 2]
    finally:
        LOSSES._functions.pop("square")


def test_documents_speak_of_the_project_alone() -> None:
    for path in [*DOCUMENTS, ROOT / "CHANGELOG.md"]:
        text = path.read_text(encoding="utf-8")
        assert "/home/" not in text
        assert "/root/" not in text


def anchors(path: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", path.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", path.read_text(encoding="utf-8")):
        page = path.parent / target if target else path
        assert page.exists(), target
        assert not anchor or anchor in anchors(page), f"{target}#{anchor}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_modules_and_targets_that_documents_name_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    rooms = "bench|datasets|recmodels|tests|experiments"
    named = re.findall(rf"\b((?:{rooms})/[\w/]*[\w.-]*\w(?:\.py|\.toml|/))", text)
    modules = re.findall(r"python -m ((?:bench|datasets)\.[\w.]+\w)(?![\w.<])", text)
    named += [f"{module.replace('.', '/')}.py" for module in modules]
    named = [file for file in named if file != "recmodels/samplers/tail.py"]  # the one to be written
    assert [file for file in named if not (ROOT / file).exists()] == []
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"(?:`|^ *)make ([a-z][a-z-]*)", text, re.M)
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.M)] == []


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = {page.name for page in ROOT.glob("docs/*.md")} - {"index.md"}
    assert [page for page in sorted(pages) if f"]({page})" not in index] == []


def test_the_architecture_page_lists_every_file() -> None:
    """If this fails, run `python -m bench.pages.files`."""
    page = PAGE.read_text(encoding="utf-8")
    assert replaced(page, "files", files_part()) == page


def test_the_readme_shows_the_reference_table() -> None:
    text = render(read(ROOT / "results" / "ml-100k").comparison(), width=100)  # as `bench publish` prints it
    assert text.strip() in (ROOT / "README.md").read_text(encoding="utf-8")
