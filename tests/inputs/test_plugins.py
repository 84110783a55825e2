"""Plug-ins as people write them: every mistake is a sentence with its file and line, and hurts nobody else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.inputs.asking import Case, ask, check, table

ROOT = Path(__file__).parents[2]
HEAD = """from typing import Annotated, Literal
from recmodels.samplers import SAMPLERS
from recmodels.losses import LOSSES
from recmodels.search import Search


"""
GOOD = (
    HEAD
    + '''@LOSSES.register("square", paper="none: an example", space="dot")
def square(x, *, margin: Annotated[float, "> 0"] = 1.0):
    """The squared distance to a margin.

    Args:
        x: scores.
        margin: the margin.
    """
    return x.mean((margin - x.positive[:, None] + x.negative).square())
'''
)
LINE = GOOD.splitlines().index('@LOSSES.register("square", paper="none: an example", space="dot")') + 1


def edited(before: str, after: str) -> str:
    assert before in GOOD
    return GOOD.replace(before, after)


FILES: dict[str, tuple[str, list[str]]] = {
    "a syntax error": (edited("    return", "    retrun"), ["mine.py:15", "not Python"]),
    "an open bracket": (edited('space="dot")', 'space="dot"'), ["mine.py:", "not Python"]),
    "tabs and spaces": (edited("    return", "\treturn"), ["mine.py:15", "not Python"]),
    "a null byte": (GOOD + "\0", ["mine.py", "not Python"]),
    "nothing in it": ("", ["mine.py", "registers nothing", "@SAMPLERS.register"]),
    "nothing registered": ("def square(x):\n    return x\n", ["mine.py", "registers nothing"]),
    "a name of the project": (edited('"square"', '"bpr"'), [f"mine.py:{LINE}", "'bpr'", "pairwise.py", "another name"]),
    "a name of another kind": (edited('"square"', '"uniform"'), [f"mine.py:{LINE}", "'uniform'", "static.py"]),
    "a name twice": (GOOD + GOOD[len(HEAD) :], ["mine.py", "'square'", "another name"]),
    "a name in capitals": (edited('"square"', '"Square"'), ["mine.py:8", "'Square'", "small letters"]),
    "a name with a plus": (edited('"square"', '"a+b"'), ["mine.py:8", "'a+b'", "small letters"]),
    "no default": (edited('"> 0"] = 1.0', '"> 0"]'), ["mine.py:8", "margin", "default"]),
    "a type nobody reads": (edited('Annotated[float, "> 0"]', "complex"), ["mine.py:8", "margin", "complex"]),
    "no type": (edited(': Annotated[float, "> 0"]', ""), ["mine.py:8", "margin"]),
    "bounds in words": (edited('"> 0"', '"positive"'), ["mine.py:8", "'positive'", "'> 0, <= 1'"]),
    "a default out of bounds": (edited("= 1.0", "= -1.0"), ["mine.py:8", "margin", "a number > 0"]),
    "a default that is computed": (edited("= 1.0", "= len(HEAD)"), ["mine.py:8", "margin", "literal"]),
    "a search out of bounds": (edited('"> 0"', '"> 0", Search(-1, 2)'), ["mine.py:8", "margin", "-1"]),
    "a search that is none": (edited('"> 0"', '"> 0", Search(2, 1)'), ["mine.py:8", "margin", "no range"]),
    "a setting's name": (edited("margin: Annotated", "l2: Annotated"), ["mine.py:8", "l2", "setting of the trainer"]),
    "an unknown fact": (edited('space="dot"', 'space="dot", neds=["log_q"]'), ["mine.py:8", "'neds'", "'needs'"]),
    "an unknown need": (edited('space="dot"', 'space="dot", needs=["logq"]'), ["mine.py:8", "'logq'", "'log_q'"]),
    "a need that is no list": (edited('space="dot"', 'space="dot", needs="log_q"'), ["mine.py:8", "list"]),
    "no space": (edited(', space="dot"', ""), ["mine.py:8", "space", "half-cosine"]),
    "a computed fact": (edited('space="dot"', "space=SPACE"), ["mine.py:7", "space", "only running it"]),
    "no argument": (edited("square(x, *, ", "square(*, "), ["mine.py:8", "square", "called with x"]),
    "a leading dot": (edited(HEAD, HEAD + "from . import helper\n"), ["mine.py:7", "leading dot", "import helper"]),
    "an unknown gives": (
        HEAD + '@SAMPLERS.register("tail", paper="none: a", gives=["foo"])\ndef tail(training):\n    """It."""\n',
        ["mine.py:8", "'foo'", "log_q"],
    ),
}
PATHS: list[Case] = [
    ("compare uniform --plugin nosuch.py", 2, ["nosuch.py", "no file"]),
    ("compare uniform --plugin mien.py", 2, ["mien.py", "Did you mean mine.py"]),
    ("compare uniform --plugin folder", 2, ["folder", "is a folder"]),
    ("compare uniform --plugin ratings.csv", 2, ["ratings.csv", "not a file of Python"]),
    ("compare uniform --plugin ''", 2, ["plug-in", "empty"]),
    ("compare uniform --plugin", 2, ["--plugin"]),
    ("compare uniform --plugin mine.py --plugin mine.py", 2, ["mine.py", "twice"]),
    ("compare uniform --plugin mine.py --plugin ./mine.py", 2, ["./mine.py", "twice"]),
    ("compare uniform --plugin mine.py --plugin folder/copy.py", 2, ["'square'", "another name"]),
    ("compare uniform --plugin latin.py", 2, ["latin.py", "UTF-8"]),
    ("compare square", 2, ["'square'"]),
    ("compare squar --plugin mine.py", 2, ["'squar'", "'square'"]),
    ("compare square:margin=0 --plugin mine.py", 2, ["margin", "> 0"]),
    ("compare square:marge=1 --plugin mine.py", 2, ["'marge'", "'margin'"]),
    ("check", 2, ["FILE.py"]),
    ("check nosuch.py", 2, ["nosuch.py", "no file"]),
    ("list square", 2, ["'square'"]),
    ("list square --plugin mine.py", 0, ["squared distance", "margin=1.0", "from mine.py"]),
    ("list losses --plugin mine.py", 0, ["square", "softmax"]),
    ("list --compatibility --plugin mine.py", 0, ["square"]),
    ("power square bpr --plugin nosuch.py", 2, ["nosuch.py"]),
    ("tune square --plugin nosuch.py", 2, ["nosuch.py"]),
    ("table square --plugin nosuch.py", 2, ["nosuch.py"]),
    ("across square --plugin nosuch.py --dataset a --dataset b", 2, ["nosuch.py"]),
    ("calibrate square --plugin nosuch.py", 2, ["nosuch.py"]),
]


@pytest.fixture
def there(here: Path) -> Path:
    """The current folder, with a plug-in in it."""
    (here / "mine.py").write_text(GOOD)
    (here / "folder").mkdir()
    (here / "folder" / "copy.py").write_text(GOOD)
    (here / "latin.py").write_bytes("# né\n".encode("latin-1"))
    return here


@pytest.mark.parametrize(("text", "must"), FILES.values(), ids=FILES)
def test_a_mistake_in_a_plug_in_is_told_with_its_line(text: str, must: list[str], here: Path) -> None:
    (here / "mine.py").write_text(text)
    check(ask("compare square --plugin mine.py --dataset ratings.csv --dry-run"), 2, must)
    found = ask("check mine.py")
    if "registers nothing" in must:
        check(found, 2, must)
    else:
        check(found, 1, must)


@table(PATHS)
def test_what_is_no_plug_in_is_told_why(
    words: str, code: int, must: list[str], must_not: list[str], there: Path
) -> None:
    check(ask(words), code, must, must_not)


def test_a_plug_in_hurts_only_commands_that_use_it(there: Path) -> None:
    (there / "mine.py").write_text("def (")
    check(ask("compare uniform --dataset ratings.csv --dry-run"), 0, ["1 cells"])
    check(ask("list bpr"), 0, ["bpr"])


def test_what_a_run_id_cannot_be_of_is_a_warning(there: Path) -> None:
    lines = ("exec('a = 1')", "open('a.txt')", "importlib.import_module('a' + 'b')", "re.compile('a')", "x.eval()")
    (there / "mine.py").write_text(GOOD + "def unused():\n" + "".join(f"    {line}\n" for line in lines))
    answer = ask("compare square --plugin mine.py --dataset ratings.csv --dry-run")
    check(answer, 0, [f"mine.py:{at} {said}, which" for at, said in UNFOLLOWED.items()])
    assert answer.err.count("Warning: ") == 3


UNFOLLOWED = {17: "runs code by exec", 18: "reads a file by open", 19: "imports what only running it tells"}
CLICKS = """from pathlib import Path
from recmodels.plugins import DATASETS


@DATASETS.register("clicks", paper="none: a test", columns="user,item,rating,timestamp")
def clicks():
    \"\"\"Clicks of a week.\"\"\"
    print("reading")
    return Path(__file__).parent / "clicks.dat"
"""


@pytest.mark.parametrize(
    ("before", "after", "must"),
    [
        ("clicks.dat", "nosuch.dat", ["mine.py:6", "nosuch.dat", "path of a file or folder that exists"]),
        ("return Path", "1 / 0\n    return Path", ["mine.py:9 raises ZeroDivisionError", "no data set clicks"]),
        ('"clicks"', '"ml-100k"', ["mine.py:5", "'ml-100k'", "catalogue"]),
        ("def clicks()", "def clicks(folder)", ["mine.py:6", "(folder)", "called with nothing"]),
        ("columns=", "colums=", ["mine.py:6", "'colums'", "'columns'"]),
    ],
)
def test_a_mistake_in_a_data_set_of_a_plug_in_is_told_with_its_line(
    before: str, after: str, must: list[str], there: Path
) -> None:
    (there / "clicks.dat").write_text("")
    (there / "mine.py").write_text(CLICKS.replace(before, after))
    check(ask("compare uniform --dataset clicks --plugin mine.py --dry-run"), 2, must)


def test_a_plug_in_brings_data_sets(there: Path) -> None:
    lines = (there / "ratings.csv").read_text().splitlines()[1:]
    (there / "clicks.dat").write_text("\n".join(lines) + "\n")
    (there / "mine.py").write_text(CLICKS)
    check(ask("list clicks --plugin mine.py"), 0, ["Clicks of a week", "from mine.py"])
    check(ask("check mine.py"), 0, ["clicks, a data set", "ok"])
    check(ask("compare uniform --dataset clikcs --plugin mine.py --dry-run"), 2, ["'clicks'"])
    words = "--dataset clicks --plugin mine.py --seeds 1 --set epochs=1 --quiet --jobs 1 --results runs"
    answer = ask(f"compare uniform toppop {words} --keep-embeddings")
    check(answer, 0, ["clicks · NDCG@10"])
    assert "reading" not in answer.out
    assert len(list((there / "runs" / "clicks").glob("*/run.json"))) == 2
    check(ask("compare uniform --dataset clicks --dry-run"), 2, ["'clicks'"])
    run, *_ = (file.parent.name for file in (there / "runs" / "clicks").glob("*/embeddings.npz"))
    for command, said in (
        ("data export split clicks --layout csv", "split/train.csv"),
        (f"runs export {run} --out lists.csv --results runs", "lists.csv"),
        ("import lists.csv --name theirs --dataset clicks --results runs", "theirs\tseed 0"),
    ):
        check(ask(command), 2, ["'clicks'"])
        check(ask(f"{command} --plugin mine.py"), 0, [said])
    check(ask("data export mirror clicks --plugin mine.py"), 2, ["--plugin is for a split", "--layout"])


TRAIN = "compare square --plugin mine.py --dataset ratings.csv --seeds 1 --set epochs=1 --quiet --jobs 1 --results runs"


def test_a_plug_in_that_raises_fails_its_runs_with_its_line(there: Path) -> None:
    (there / "mine.py").write_text(GOOD + "1 / 0\n")
    check(ask(TRAIN), 1, ["ZeroDivisionError: division by zero (mine.py:16)"])
    (there / "mine.py").write_text(GOOD.replace("x.mean(", "x.maen("))
    check(ask(TRAIN), 1, ["has no attribute 'maen' (mine.py:15)"])


@pytest.mark.slow
def test_what_a_plug_in_prints_is_none_of_the_results(there: Path) -> None:
    (there / "mine.py").write_text(GOOD.replace("    return", "    print('printed')\n    return") + "print('loaded')\n")
    command = [sys.executable, "-m", "bench", *TRAIN.split(), "--format", "json"]
    done = subprocess.run(
        command, cwd=there, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("{")
    assert "printed" not in done.stdout
    assert "printed" in done.stderr


def test_an_experiment_file_names_a_plug_in_beside_it(there: Path) -> None:
    (there / "mine.py").rename(there / "folder" / "mine.py")
    toml = there / "folder" / "mine.toml"
    toml.write_text('loss = "square"\nplugin = "mine.py"\ndataset = "ratings.csv"\nset = { epochs = 1 }\nseeds = 1\n')
    check(ask("run folder/mine.toml --dry-run"), 0, ["1 cells"])
    check(ask("run folder/mine.toml --quiet --results runs --jobs 1"), 0, ["ratings.csv"])
    (kept,) = (there / "runs" / "experiments").glob("*.toml")
    assert 'plugin = ["../../folder/mine.py"]' in kept.read_text()
    again = ask(f"run {kept.relative_to(there)} --results runs --dry-run")
    check(again, 0, ["1 done"])


def installed(folder: Path, text: str, module: str = "their_methods", point: str = "their_methods") -> None:
    """A package with an entry point, on the path of a command."""
    folder.mkdir(exist_ok=True)
    (folder / module).mkdir()
    (folder / module / "__init__.py").write_text("raise RuntimeError('nobody imports me to list names')\n")
    (folder / module / "losses.py").write_text(text)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[contrarec]\nmine = {point}\n")


def test_an_installed_package_is_known_by_its_entry_point(
    here: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path_factory.mktemp("site")
    installed(site, GOOD)
    monkeypatch.syspath_prepend(str(site))
    check(ask("list square"), 0, ["squared distance", "from their-methods"])
    check(ask("compare square uniform --dataset ratings.csv --dry-run"), 0, ["2 cells"])


@pytest.mark.slow
def test_an_edited_package_trains_again(here: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    site = tmp_path_factory.mktemp("site")
    installed(site, GOOD)
    (site / "their_methods" / "__init__.py").write_text("")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{site}"}
    command = [sys.executable, "-m", "bench", *TRAIN.replace("--plugin mine.py ", "").replace("--quiet ", "").split()]

    def train() -> str:
        done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr

    assert "1 of 1 runs to do" in train()
    (site / "their_methods" / "other.py").write_text("# nothing\n")
    assert "runs to do" in train()
    (site / "their_methods" / "losses.py").write_text(f"# so\n{GOOD}")
    assert "runs to do" not in train()
    (site / "their_methods" / "losses.py").write_text(GOOD.replace("return x", "return 2 * x"))
    assert "made by other code of 'square'" in train()


@pytest.mark.parametrize(
    ("text", "point", "must"),
    [
        (GOOD.replace("    return", "    retrun"), "their_methods", ["losses.py:15", "not Python"]),
        (GOOD.replace('"square"', '"uniform"'), "their_methods", ["losses.py", "'uniform'", "static.py"]),
        (GOOD.replace('"> 0"', '"positive"'), "their_methods", ["losses.py:8", "'positive'"]),
        (GOOD, "nosuch_module", ["nosuch_module", "entry point"]),
    ],
    ids=["a syntax error", "a taken name", "an unknown annotation", "no such module"],
)
def test_a_broken_package_hurts_only_who_asks_for_its_names(
    text: str, point: str, must: list[str], here: Path, tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    site = tmp_path_factory.mktemp("site")
    installed(site, text, point=point)
    monkeypatch.syspath_prepend(str(site))
    check(ask("compare uniform --dataset ratings.csv --dry-run"), 0, ["1 cells"], ["their_methods", "Warning"])
    check(ask("list"), 0, ["Warning: ", *must])
    check(ask("compare unifrm --dataset ratings.csv --dry-run"), 2, ["'uniform'"])
    if '"square"' in text and point == "their_methods":
        check(ask("compare square --dataset ratings.csv --dry-run"), 2, must)


def test_a_file_and_a_package_of_the_same_name_do_not_meet(
    there: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked for comes before what is there unasked."""
    site = tmp_path_factory.mktemp("site")
    installed(site, GOOD)
    monkeypatch.syspath_prepend(str(site))
    check(ask("list square --plugin mine.py"), 0, ["from mine.py", "Warning: ", "already"])
    shutil.rmtree(site)
