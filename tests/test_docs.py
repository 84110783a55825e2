"""What the documents show must run."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from typer.core import TyperCommand

from bench.cli.main import REQUESTS
from bench.cli.main import command as root
from bench.comparison.compare import compare
from bench.pages import results
from bench.pages.files import PAGE, files_part
from bench.pages.samplers import replaced
from bench.results.published import read
from bench.runs.spec import parse_cell
from bench.tables.render import render
from recmodels import plugins
from recmodels.losses import LOSSES
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Scorer, Training
from recmodels.types import Batch, Candidates, LossInput, Tables
from tests.conftest import make_interactions

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md"), *ROOT.glob("results/*.md")])
PAGES = sorted(ROOT.glob("docs/*.md"))
FENCED = re.compile(r"^```\w*\n(.*?)^```", re.M | re.S)
BLOCK = re.compile(r"(?:^<!-- (?P<mark>[a-z]+) -->\n\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```", re.M | re.S)


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


def parsed(words: list[str]) -> Any:
    """The context of a line, by the real command line; None where a command is spoken of, without what it needs."""
    command = root()
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, words
        command, *words = command.commands[words[0]], *words[1:]
    return command.make_context("bench", list(words)) if words else None


@pytest.mark.parametrize(("line", "words"), commands())
def test_commands_in_the_documents_parse(line: str, words: list[str]) -> None:
    cells, context = words[0] in REQUESTS, parsed(words)
    if context is None:
        return
    given = context.params
    for name in (given["names"] or ()) if cells else ():
        if name.endswith(".toml"):
            assert not name.startswith("experiments/") or (ROOT / name).is_file()
        elif name.endswith(".json"):  # a table
            assert name.startswith("results/")
        elif name.islower() and "--plugin" not in words and not name.startswith("tail"):  # of docs/adding-a-sampler.md
            parse_cell(name, {})


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the files that documents speak of; `mine.py` has all that the pages register."""
    for name in ("results", "experiments", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    rows = "".join(f"{user},{7 * user % 10 + item},{10**9 + item}\n" for user in range(20) for item in range(5))
    for name, head in {
        "ratings.csv": "user,item,timestamp\n",
        "shown.csv": "user,item,timestamp\n",
        "clicks.dat": "",
    }.items():
        (tmp_path / name).write_text(head + rows, encoding="utf-8")
    (tmp_path / "movies.csv").write_text("item,year\n1,1995\n2,1996\n", encoding="utf-8")
    (tmp_path / "cold" / "split").mkdir(parents=True)
    shutil.copy(tmp_path / "movies.csv", tmp_path / "cold")
    for item, part in enumerate(("train", "valid", "test", "candidates"), start=1):
        (tmp_path / "cold" / "split" / f"{part}.csv").write_text(f"user,item\n1,{item}\n", encoding="utf-8")
    blocks = [(ROOT / "examples" / "mine.py").read_text(encoding="utf-8")]
    for name in ("adding-a-sampler", "adding-a-loss", "datasets"):
        text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
        blocks += [block["text"] for block in BLOCK.finditer(text) if block["language"] == "python"]
    (tmp_path / "mine.py").write_text("\n\n".join(blocks), encoding="utf-8")
    (tmp_path / "mine.toml").write_text('names = ["uniform", "popularity"]\nloss = "softmax"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    plugins.use(())


def designs() -> list[tuple[str, list[str]]]:
    """The lines that say all that a request needs: no word stands for another, and no search or import went before."""
    spoken = re.compile(r"[A-Z…]|\$\(|\.json|--tuned")
    found = [(line, words) for line, words in commands() if words[0] in REQUESTS and len(words) > 1]
    found = [(line, words) for line, words in found if not spoken.search(line.partition(": ")[2])]
    found = [(line, words) for line, words in found if words[0] != "report" or not words[1].startswith("-")]
    return [(line, words) for line, words in found if "tail" not in words or "--plugin" in words]


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize(("line", "words"), designs())
def test_commands_in_the_documents_mean_something(line: str, words: list[str]) -> None:
    """Every mistake that a command finds before it trains, in cells, settings, split, test and view, is found here."""
    context = parsed(words)
    given = [name for name in context.params if context.get_parameter_source(name).name == "COMMANDLINE"]
    request = context.command._prepared(TyperCommand.invoke(context.command, context), given)
    assert all(experiment.cells for experiment in request.checked()), line


COMMANDS = (
    r"(?:\.venv/bin/)?bench [a-z]",
    r"make [a-z-]+(?: [A-Z]+=\S+)*$",
    r"python -m bench\.pages\.\w+(?: |$)",
    r"PYTHONPATH=\. python experiments/\w+\.py ",
    r"/usr/bin/time -v (?:\.venv/bin/)?python ",
    r"(?:WORKERS=\d+ bash|sbatch --array=\d+-\d+) examples/slurm/",
    r"export(?: BENCH_[A-Z_]+=\S+)+$",
)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_blocks_are_what_they_are_called(path: Path) -> None:
    """A block without a language, or of bash, has commands that other tests know and nothing else."""
    for block in BLOCK.finditer(path.read_text(encoding="utf-8")):
        match block["language"]:
            case "" | "bash":
                for line in block["text"].replace("\\\n", " ").splitlines():
                    command = re.sub(r"(?:^|\s+)#.*", "", line)
                    assert not command or any(re.match(known, command) for known in COMMANDS), line
            case "python":
                compile(block["text"], path.name, "exec", dont_inherit=True)
            case "toml":
                tomllib.loads(block["text"])
            case other:
                assert other == "text"


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Torch on one thread: on small tensors several do nothing but wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


NUMBER = re.compile(r"\d+\.\d+")


@pytest.mark.usefixtures("desk", "one_thread")
@pytest.mark.parametrize(
    "path", [path for path in PAGES if "<!-- run -->" in path.read_text("utf-8")], ids=lambda p: p.name
)
def test_blocks_that_are_marked_run_and_print_what_the_page_shows(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Blocks of a page go on from each other; numbers may move by what another processor computes."""
    namespace: dict[str, object] = {"__name__": path.stem}
    for block in BLOCK.finditer(path.read_text(encoding="utf-8")):
        if block["mark"] == "run":
            exec(compile(block["text"], path.name, "exec", dont_inherit=True), namespace)
        elif block["mark"] == "prints":
            said = capsys.readouterr().out
            assert NUMBER.sub("…", said) == NUMBER.sub("…", block["text"])
            shown = [float(number) for number in NUMBER.findall(block["text"])]
            assert [float(number) for number in NUMBER.findall(said)] == pytest.approx(shown, abs=0.03)


def test_the_tutorial_shows_rows_of_the_published_table() -> None:
    page = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    words = next(words for line, words in commands() if line.startswith("tutorial.md") and "ml-100k" in words)
    names, baseline = words[1 : words.index("--dataset")], words[words.index("--baseline") + 1]
    found = read(ROOT / "results" / "ml-100k-defaults")
    asked = {key: value for key, value in found.manifest["asked"].items() if key not in ("cutoffs", "sampled")}
    rows = {row.name: row for row in found.rows([10])}
    table = compare([rows[name] for name in names], **asked | {"baseline": baseline}, context=found.context)
    assert render(table, width=100).strip().partition("\n\n")[0] in page


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
    block = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "adding-a-loss.md").read_text(encoding="utf-8"), re.S)
    assert block is not None
    namespace: dict[str, Any] = {"__name__": "adding_a_loss"}
    exec(compile(block[1], "adding-a-loss.md", "exec", dont_inherit=True), namespace)
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
    text = FENCED.sub("", path.read_text(encoding="utf-8"))
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", text):
        page = path.parent / target if target else path
        assert page.exists(), target
        assert not anchor or anchor in anchors(page), f"{target}#{anchor}"
        assert path not in PAGES or page.parent == path.parent, f"{target} is no page of the site"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_addresses_are_well_formed(path: Path) -> None:
    for address in re.findall(r"https?://[^\s`\"<>)]*", path.read_text(encoding="utf-8")):
        assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", urlsplit(address).hostname or ""), address
        assert not address.endswith((".", ",", ";")), address


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_modules_and_targets_that_documents_name_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    rooms = "bench|datasets|recmodels|tests|experiments|examples"
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
    listed = re.findall(r'= "([\w-]+\.md)"', (ROOT / "zensical.toml").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted({*pages, "index.md"})


@pytest.mark.skipif(find_spec("zensical") is None, reason="zensical is not installed; make install-dev brings it")
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    words = [sys.executable, "-m", "zensical", "build", "--strict"]
    built = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    assert {path.stem for path in PAGES} <= {path.stem for path in (tmp_path / "site").glob("*.html")}


def test_the_architecture_page_lists_every_file() -> None:
    """If this fails, run `python -m bench.pages.files`."""
    page = PAGE.read_text(encoding="utf-8")
    assert replaced(page, "files", files_part()) == page


def test_the_page_of_published_tables_says_what_they_say() -> None:
    """If this fails, run `python -m bench.pages.results`."""
    page = results.PAGE.read_text(encoding="utf-8")
    assert results.written(page, results.RESULTS) == page


def test_the_readme_shows_the_reference_table() -> None:
    text = render(read(ROOT / "results" / "ml-100k-defaults").comparison(), width=100)  # as `bench publish` prints it
    assert text.strip() in (ROOT / "README.md").read_text(encoding="utf-8")
