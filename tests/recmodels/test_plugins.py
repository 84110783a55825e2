"""What a plug-in consists of, what its code is of, and that nothing of it is left when it is no longer in use."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from datasets.errors import UserError
from recmodels import plugins
from recmodels.losses import LOSSES
from recmodels.samplers import SAMPLERS

MINE = '''from recmodels.losses import LOSSES
import helper


@LOSSES.register("mine", paper="none", space="dot")
def mine(x):
    """It."""
    return helper.twice(x)
'''


@pytest.fixture(autouse=True)
def _nothing_in_use() -> Iterator[None]:
    yield
    plugins.use(())


def written(folder: Path, **files: str) -> Path:
    """Files by their name, `__` a slash; the plug-in is `mine`."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        path = folder / (name.replace("___", "/__init__").replace("__", "/", 1 if "___" not in name else 0) + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "mine.py"


def test_it_is_of_every_module_from_outside_installed_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(
        tmp_path / "a",
        mine=MINE
        + "def late():\n    import pack.inner\n    from importlib import import_module\n    import_module('named')\n",
        helper="import numpy, torch, json, typer, recmodels.types\nimport elsewhere\n",
        pack___="from . import other\n",
        pack__inner="from .deep import a\nfrom .other import b\n",
        pack__deep="",
        pack__other="",
        pack__unused="",
        named="",
        json="raise RuntimeError('the library comes first')",
    )
    written(tmp_path / "b", elsewhere="")
    monkeypatch.syspath_prepend(str(tmp_path / "b"))
    found = plugins.read(str(file))
    assert set(found.modules) == {
        "", "helper", "pack", "pack.inner", "pack.deep", "pack.other", "named", "elsewhere",
    }  # fmt: skip
    assert found.modules["helper"].file == str(tmp_path / "a" / "helper.py")
    assert found.modules["pack"].is_package


def test_paths_are_told_as_they_were_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "a", mine=MINE, helper="")
    monkeypatch.chdir(tmp_path)
    assert [module.file for module in plugins.read("a/mine.py").modules.values()] == ["a/mine.py", "a/helper.py"]


def code(folder: Path, mine: str = MINE, helper: str = "def twice(x):\n    return 2 * x\n") -> str:
    return plugins.read(str(written(folder, mine=mine, helper=helper))).code


def test_its_code_is_of_all_that_it_consists_of_wherever_that_is(tmp_path: Path) -> None:
    usual = code(tmp_path / "a")
    assert code(tmp_path / "b") == code(tmp_path / "c", MINE.replace('"""It."""', '"""That."""  # so')) == usual
    assert code(tmp_path / "d", helper="def twice(x):\n    return 3 * x\n") != usual
    assert code(tmp_path / "e", MINE + "UNUSED = 1\n") != usual


def test_two_modules_of_one_name_are_refused_and_one_may_be_shared(tmp_path: Path) -> None:
    other = MINE.replace('"mine"', '"yours"').replace("def mine", "def yours")
    first = plugins.read(str(written(tmp_path / "a", mine=MINE, helper="def twice(x):\n    return x\n")))
    second = plugins.read(str(written(tmp_path / "b", mine=other, helper="def twice(x):\n    return 2 * x\n")))
    with pytest.raises(UserError, match=r"a/helper\.py and .*b/helper\.py are different modules called helper; rename"):
        plugins.use([first, second])
    assert "mine" not in LOSSES
    written(tmp_path / "a", yours=other)
    plugins.use([first, plugins.read(str(tmp_path / "a" / "yours.py"))])
    assert LOSSES["mine"](2) == 2
    assert LOSSES["yours"](2) == 2


def test_an_edited_plug_in_and_an_edited_module_of_it_are_what_is_run(tmp_path: Path) -> None:
    """In one process, as a worker of a cluster or a notebook."""
    folder = tmp_path / "a"
    for factor, name in ((2, "mine"), (3, "mine"), (4, "renamed")):
        text = MINE.replace("def mine", f"def {name}")
        file = written(folder, mine=text, helper=f"def twice(x):\n    return {factor} * x\n")
        plugins.use([plugins.read(str(file))])
        assert LOSSES["mine"](5) == 5 * factor
    plugins.use(())
    assert "mine" not in LOSSES
    assert "helper" not in sys.modules
    with pytest.raises(UserError):
        LOSSES["mine"]


def test_a_state_of_a_loss_goes_with_its_plug_in(tmp_path: Path) -> None:
    from recmodels.objective import objective

    text = MINE + (
        "from recmodels.objective import LossState, state\n\n\n"
        '@state("mine")\ndef start(training):\n    return LossState({"a": None})\n'
    )
    plugins.use([plugins.read(str(written(tmp_path / "a", mine=text, helper="")))])
    assert set(objective("mine", {}).initial_state(None).tensors) == {"a"}  # type: ignore[arg-type]
    plugins.use([plugins.read(str(written(tmp_path / "b", mine=MINE, helper="")))])
    assert objective("mine", {}).initial_state(None).tensors == {}  # type: ignore[arg-type]


def test_it_travels_as_text(tmp_path: Path) -> None:
    plugin = plugins.read(str(written(tmp_path / "a", mine=MINE, helper="def twice(x):\n    return 2 * x\n")))
    assert plugin.code
    packed = pickle.dumps(plugin)
    assert len(packed) < 1000
    for path in (tmp_path / "a").iterdir():
        path.unlink()
    plugins.use([pickle.loads(packed)])
    assert LOSSES["mine"](4) == 8
    assert LOSSES.code("mine") == plugin.code


def test_errors_show_the_lines_of_the_plug_in(tmp_path: Path) -> None:
    file = written(tmp_path / "a", mine=MINE, helper="def twice(x):\n    return x / 0\n")
    plugins.use([plugins.read(str(file))])
    with pytest.raises(ZeroDivisionError) as raised:
        LOSSES["mine"](1)
    assert plugins.where(raised.value) == f"{tmp_path / 'a' / 'helper.py'}:2"


def test_methods_of_the_project_are_as_before(tmp_path: Path) -> None:
    before = SAMPLERS.code("uniform"), LOSSES.code("softmax"), len(LOSSES)
    plugins.use([plugins.read(str(written(tmp_path / "a", mine=MINE, helper="")))])
    assert (SAMPLERS.code("uniform"), LOSSES.code("softmax"), len(LOSSES)) == (*before[:2], before[2] + 1)


def test_a_file_of_the_project_edited_before_it_is_imported_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    module = "recmodels.losses.topk"
    monkeypatch.delitem(sys.modules, module, raising=False)
    assert "sogclr" in LOSSES
    found = LOSSES.places["sogclr"].source
    kept = os.stat(found.shown)
    os.utime(found.shown, ns=(kept.st_atime_ns, kept.st_mtime_ns + 1))
    try:
        with pytest.raises(UserError, match="The code of 'sogclr' is not what it was when the command began"):
            LOSSES["sogclr"]
    finally:
        os.utime(found.shown, ns=(kept.st_atime_ns, kept.st_mtime_ns))
