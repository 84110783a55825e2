"""One request, whoever asks: options, files and Python; help; exit codes; what a command does not use it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.core import TyperArgument, TyperOption
from typer.main import get_command

import bench
from bench.cli.compare import Compare
from bench.cli.main import COMMANDS, REQUESTS, app
from bench.cli.output import Formatted
from bench.cli.parameters import Option, ours
from datasets.errors import UserError
from tests.inputs.asking import ask

ROOT = Path(__file__).parents[2]


def options(name: str) -> list[TyperOption]:
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    return [parameter for parameter in command.params if isinstance(parameter, TyperOption)]


@pytest.mark.parametrize("name", REQUESTS)
def test_every_command_shows_what_is_asked_for_most_with_two_examples(name: str) -> None:
    shown = [option for option in options(name) if not option.hidden]
    assert len(shown) <= 24  # and --help
    assert all(option.help and option.rich_help_panel for option in options(name))
    kind = REQUESTS[name].load()
    assert isinstance(kind, type)
    assert len(kind.examples) == 2
    assert {option.name for option in options(name)} | {"names"} == {field.name for field in fields(kind)}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_the_help_of_each_says(name: str) -> None:
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    assert command.help.partition("\n\n")[0] == COMMANDS[name].help
    assert command.name == name


def every(command: Any, path: str = "bench") -> Iterator[tuple[str, Any]]:
    """Every command with what is typed for it."""
    yield path, command
    for name, one in getattr(command, "commands", {}).items():
        yield from every(one, f"{path} {name}")


@pytest.mark.parametrize(("path", "command"), list(every(get_command(app))), ids=lambda value: str(value)[:30])
def test_help_names_values_as_people_do(path: str, command: Any) -> None:
    context = typer.Context(command, info_name=path)
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        shown = f"{record} {parameter.display_type_rich(context)} {parameter.get_usage_pieces(context)}"
        assert not [word for word in ("<", "{", "[[", "]...", "list[") if word in shown], shown
        if isinstance(parameter, TyperArgument):
            assert parameter.metavar, "an argument needs a word of its own"


@pytest.mark.parametrize(
    ("kind", "least", "word"),
    [
        (str, None, "a"), (str, None, ""), (int, None, "5"), (int, None, " 5 "), (int, None, "1_000"), (int, 2, "2"),
        (int, 2, "1"), (int, None, "5.0"), (int, None, "x"), (int, None, ""), (float, None, "1e-3"), (float, 0, "nan"),
        (float, 0, "-1"), (float, None, "inf"), (float, None, "1,5"), (Path, None, "x/y"), (Path, None, ""),
        (bool, None, "yes"), (bool, None, "maybe"), (list[str], None, ["a", "b"]), (list[int], 1, ["1", "0"]),
        (list[Path], None, ["a"]), (int, None, None), (list[str], None, None),
    ],
)  # fmt: skip
def test_a_value_is_what_typer_makes_of_it(kind: Any, least: float | None, word: Any) -> None:
    made = typer.Typer()
    made.command()(lambda value: None)
    made.registered_commands[0].callback.__annotations__ = {  # type: ignore[union-attr]
        "value": Annotated[kind, typer.Option("--value", min=least)]
    }
    theirs, mine = (get_command(made) for _ in range(2))
    (own,) = ours([one for one in mine.params if one.name == "value"])
    (other,) = [one for one in theirs.params if one.name == "value"]
    assert type(own) is Option

    def answer(one: TyperOption) -> Any:
        try:
            return one.get_runtime_param().coerce(word, param=one, ctx=typer.Context(mine))
        except typer.BadParameter as error:
            return error.format_message()

    found = answer(own)
    assert (type(found), repr(found)) == (type(answer(other)), repr(answer(other)))


def test_only_the_command_that_is_invoked_is_imported() -> None:
    code = (
        "import sys; from bench.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*(m for m in sys.modules if m.startswith('bench.cli.') or m == 'numpy'))"
    )
    for words, imported in ((["--help"], set()), (["list", "models"], {"bench.cli.list"})):
        done = subprocess.run(
            [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=True
        )
        found = set(done.stdout.splitlines()[-1].split())
        assert found & {known.module for known in COMMANDS.values()} == imported
        assert "numpy" not in found or imported


def test_help_is_in_panels_and_help_all_has_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    some, everything, same = ask("compare --help"), ask("compare --help-all"), ask("help compare")
    assert "bench compare uniform popularity inbatch" in some.out
    assert "more options: bench compare --help-all" in some.out
    assert "Significance" in some.out
    assert "--split-seed" not in some.out
    assert "PATH" in some.out
    assert not {"<bool>", "<int>", "<float>", "<path>"} & {*everything.out.split()}, "types of a program"
    assert "--split-seed" in everything.out
    assert same.code == 0
    assert {"--correction", "--split-seed"} <= {*same.out.split()}
    assert "Did you mean 'compare'?" in ask("help compre").err


@pytest.mark.parametrize(
    ("name", "unused"),
    [
        ("table", ("jobs", "cluster", "retry_failed", "keep_embeddings", "dry_run", "quiet", "profile")),
        ("across", ("test", "view", "groups", "profile")),
        ("calibrate", ("format", "test", "correction", "alpha", "baseline", "view", "cutoffs")),
        ("power", ("test", "alternative", "view", "cutoffs", "figures")),
    ],
)
def test_an_option_that_does_nothing_is_none(name: str, unused: tuple[str, ...]) -> None:
    assert not {option.name for option in options(name)} & set(unused)


@pytest.mark.parametrize(
    ("out", "format", "form"),
    [("x.md", None, "markdown"), ("x.tex", None, "latex"), ("x.json", None, "json"), ("x", None, "table"),
     ("x.pdf", "html", "html"), ("x.csv", "json", "json"), (None, None, "table")],
)  # fmt: skip
def test_a_file_has_the_format_of_its_ending(out: str | None, format: str | None, form: str) -> None:
    assert Formatted(out=None if out is None else Path(out), format=format).form == form


def test_an_ending_that_says_no_format_is_refused() -> None:
    with pytest.raises(UserError, match=r"x\.pdf has an ending that says no format; end it in \.txt, "):
        _ = Formatted(out=Path("x.pdf")).form


def test_python_asks_as_the_command_line_does(tmp_path: Path, ratings_csv: Path) -> None:
    asked = {"dataset": str(ratings_csv), "results": str(tmp_path), "quiet": True, "jobs": 1}
    found = bench.compare(["toppop", "constant"], seeds=[3, 4], cutoffs=[10], **{**asked, "dataset": ratings_csv})
    words = ("--dataset", ratings_csv, "--results", tmp_path)
    assert [row.name for row in found.rows] == ["toppop", "constant"]
    assert found.seeds == (3, 4)
    assert ask(["table", "toppop", "constant", "--seeds", "3,4", *map(str, words)]).code == 0
    for wrong, sentence in (
        ({"splt": "ratio"}, "Did you mean 'split'"),
        ({"seeds": [7, 7]}, "names a seed twice"),
        ({"dry_run": True}, "dry_run is of what the command prints"),
        ({"out": "t.tex"}, r"take to_frame\(\), to_latex\(\) or plot\(\)"),
        ({"min_rating": "4"}, 'bench.compare: min_rating must be a number, not "4"'),
        ({"dataset": [str(ratings_csv)]}, "give one name or path"),
    ):
        with pytest.raises(UserError, match=sentence):
            bench.compare(["toppop"], **{**asked, **wrong})
    with pytest.raises(UserError, match="give a list"):
        bench.compare("toppop")


def test_settings_are_listed() -> None:
    text = ask("list settings").out
    assert "learning_rate=auto: a number > 0 or auto" in text
    assert "epochs         " in text


def test_an_ascii_locale_ends_no_listing() -> None:
    command = [sys.executable, "-m", "bench", "list", "losses"]
    ascii_alone = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(command, cwd=ROOT, env=ascii_alone, capture_output=True, text=True, check=False, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")
    assert "softplus" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_stdout_that_is_closed_or_full_is_no_traceback() -> None:
    for where, code in ((">&-", 0), ("> /dev/full", 2)):
        command = f"{sys.executable} -m bench list metrics {where}"
        done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
        assert "Traceback" not in done.stderr
        assert done.returncode == code, done.stderr
    assert "No space left on device" in done.stderr


def test_ctrl_c_while_modules_are_imported_is_no_traceback() -> None:
    code = (
        "import builtins, sys\n"
        "def stop(name, *rest):\n"
        "    if name == 'typer': raise KeyboardInterrupt\n"
        "    return real(name, *rest)\n"
        "from bench.__main__ import main\n"
        "real, builtins.__import__ = builtins.__import__, stop\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")


def test_a_request_can_be_read_without_running_it() -> None:
    assert Compare(names=["uniform"]).protocol.split == "leave-last-one-out"
    assert Compare().datasets == ["ml-100k"]
