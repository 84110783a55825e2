"""The keys of experiment files, the page that lists them, and the file that `bench init` writes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from bench.cli.experiment_file import read
from bench.cli.init import CELLS
from bench.cli.keys import EXAMPLES, commented, keys
from bench.cli.request import Request
from bench.cli.run import Run
from bench.pages.keys import PAGE, page
from recmodels.settings import setting_parameters
from tests.inputs.asking import ask

COMMENTED = re.compile(r"^#(\w[\w-]*) = (.*)$", re.M)


def request(text: str, folder: Path) -> Request:
    path = folder / "of-a-test.toml"
    path.write_text(text, encoding="utf-8")
    return Run(**read(path, Run))


def test_the_page_of_keys_is_of_this_code() -> None:
    """If this fails, run `python -m bench.pages.keys`."""
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text


def test_keys_without_a_default_have_an_example_and_others_have_none() -> None:
    without = {key.field for key in keys(Run) if not key.default}
    assert without - {"names", "dataset", "settings"} == {*EXAMPLES}


def test_the_file_of_init_means_the_defaults_as_it_is_and_with_every_default_in_force(tmp_path: Path) -> None:
    text = commented(Run, "x.toml", CELLS, "ml-100k")
    plain = Run(names=[*CELLS], dataset=["ml-100k"], settings=[])
    assert request(text, tmp_path) == plain
    defaults = {key.name for key in keys(Run) if key.default} | {*setting_parameters()}
    in_force = COMMENTED.sub(lambda found: found[0][found[1] in defaults :], text)
    found = request(in_force, tmp_path)
    (mine,), (theirs,) = (one.experiments() for one in (found, plain))
    assert len(found.settings or ()) == len(setting_parameters())
    assert [spec.run_id for spec in mine.specs()] == [spec.run_id for spec in theirs.specs()]


def test_every_key_and_every_example_is_taken(tmp_path: Path) -> None:
    """Each by itself, for some exclude one another."""
    text = commented(Run, "x.toml", CELLS, "ml-100k")
    before, _, settings = text.partition("\n[set]\n")
    known = {key.name: key.field for key in keys(Run)}
    shown = dict(COMMENTED.findall(before)) | {name: "" for name in tomllib.loads(before)}
    assert {*shown} | {"set"} == {*known}
    for name, value in COMMENTED.findall(before):
        found = request(f"{name} = {value}\n", tmp_path)
        default = Run.__dataclass_fields__[known[name]].default
        assert (getattr(found, known[name]) == default) == (known[name] not in EXAMPLES), name
    assert {name for name, _ in COMMENTED.findall(settings)} == {*setting_parameters()}


def test_init_writes_a_file_that_runs_and_never_overwrites(tmp_path: Path, ratings_csv: Path) -> None:
    file = tmp_path / "new" / "mine.toml"
    told = ask(f"init {file} --dataset {ratings_csv} --cell uniform+bpr --cell toppop")
    assert (told.code, told.out) == (0, "")
    assert f"bench run {file} --dry-run" in told.err
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    assert content == {"names": ["uniform+bpr", "toppop"], "dataset": str(ratings_csv), "seeds": 5, "set": {}}
    told = ask(f"init {file}")
    assert told.code == 2
    assert "exists and is left as it is" in told.err
    assert content == tomllib.loads(file.read_text(encoding="utf-8"))
