"""The registry reads the sources; what it reads must be what Python would import."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.runs.spec import REGISTRIES, parse_cell
from bench.tables.listing import listing
from datasets.errors import UserError
from recmodels import entries
from recmodels.entries import Parameter
from recmodels.registry import Registry, plain
from recmodels.search import Search
from recmodels.settings import Settings, setting_parameters

ENTRIES = [(kind, name) for kind, registry in REGISTRIES.items() for name in registry]


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_source_and_function_agree(kind: str, name: str) -> None:
    entry, function = REGISTRIES[kind].entry(name), REGISTRIES[kind][name]
    keyword = {p.name: p.default for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY}
    assert {p.name: p.default for p in entry.parameters.values()} == keyword
    assert list(entry.takes) == [p for p in inspect.signature(function).parameters if p not in keyword]
    assert function.__doc__ is not None
    assert function.__doc__.startswith(entry.summary)


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_every_entry_says_what_it_is(kind: str, name: str) -> None:
    entry = REGISTRIES[kind].entry(name)
    assert entry.summary
    assert entry.facts.get("paper"), "an entry names its paper, or says that it has none"
    for parameter in entry.parameters.values():
        assert parameter.default is None or parameter.parse(str(parameter.default)) == parameter.default


def test_names_are_disjoint_and_no_parameter_hides_a_trainer_setting() -> None:
    names = [name for registry in REGISTRIES.values() for name in registry]
    assert len(names) == len(set(names))
    settings = set(setting_parameters())
    for kind, name in ENTRIES:
        hidden = settings & set(REGISTRIES[kind].entry(name).parameters)
        assert hidden == ({"momentum"} if name == "sogclr" else set()), (kind, name)  # --set momentum is the trainer's


def test_settings_are_read_as_python_has_them() -> None:
    defaults = {name: parameter.default for name, parameter in setting_parameters().items()}
    assert Settings(**defaults) == Settings()  # type: ignore[arg-type]


def test_a_taken_name_is_refused() -> None:
    registry = Registry("sampler", "recmodels.samplers")

    @registry.register("a")
    def first() -> None: ...

    with pytest.raises(ValueError, match="'a' is taken by"):

        @registry.register("a")
        def second() -> None: ...


def test_unknown_names_suggest_the_closest() -> None:
    with pytest.raises(UserError, match=r"No sampler is called 'populrity'\. Did you mean 'popularity'\?"):
        REGISTRIES["sampler"].entry("populrity")
    with pytest.raises(UserError, match=r"'alfa'\. Did you mean 'alpha'\?"):
        REGISTRIES["sampler"].parameters("popularity", {"alfa": "1"})


def test_an_alias_is_found_whatever_its_capitals_and_signs_and_is_no_name() -> None:
    for alias, name in {
        "SSM": "infonce", "InfoNCE": "infonce", "nt-xent": "infonce", "CBNS": "memory", "MNS": "mixed",
        "BPR": "bpr", "DCL": "debiased", "HCL": "debiased", "WMF": "wrmf", "iALS": "ials", "Refined logQ": "softmax",
        "sl@k": "sl-at-k", "AMNS": "dns:proposal=mixed",
    }.items():  # fmt: skip
        with pytest.raises(UserError) as error:
            parse_cell(alias, {})
        assert str(error.value) == f"'{alias}' is called {name} here."
    with pytest.raises(UserError, match=r"'CBMS'\. Did you mean 'memory' \(CBNS\)\?"):
        parse_cell("CBMS", {})
    with pytest.raises(UserError, match=r"'SSM' is called infonce here\."):
        REGISTRIES["loss"].entry("SSM")


def test_an_alias_means_one_thing() -> None:
    owners: dict[str, str] = {}
    for kind, name in ENTRIES:
        for called in {plain(name), *map(plain, REGISTRIES[kind].entry(name).aliases)}:
            assert owners.setdefault(called, name) == name, called


def test_listing_shows_aliases() -> None:
    text = listing("all")
    for kind, name in ENTRIES:
        assert ", ".join(REGISTRIES[kind].entry(name).aliases) in text
    losses = {row["name"]: row for row in json.loads(listing("losses", as_json=True))}
    assert "SSM" in losses["infonce"]["aliases"]


@pytest.mark.parametrize("text", ["abc", "nan", "inf", "1e999", "9", ""])
def test_values_outside_what_a_parameter_allows_are_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"sampler popularity: alpha must be a number >= -4, <= 4, not"):
        REGISTRIES["sampler"].parameters("popularity", {"alpha": text})


@pytest.mark.parametrize(
    ("parameter", "text", "value"),
    [
        (Parameter("n", 16, "int", ("all",), ">= 1"), "all", "all"),
        (Parameter("n", 16, "int", ("all",), ">= 1"), "4", 4),
        (Parameter("n", None, "float", optional=True), "none", None),
        (Parameter("n", True, "bool"), "No", False),
        (Parameter("n", "a", "str", ("a", "b")), "b", "b"),
    ],
)
def test_values_are_parsed_by_type(parameter: Parameter, text: str, value: object) -> None:
    assert parameter.parse(text) == value


def test_listing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from bench.tables.listing import listing; listing('all', True);"
        "print([m for m in ('torch', 'scipy.stats', 'statsmodels', 'matplotlib', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_imports_point_one_way() -> None:
    root = Path(__file__).parents[2]
    forbidden = {"datasets": ("recmodels", "bench", "torch"), "recmodels": ("bench",)}
    for room, names in forbidden.items():
        for path in (root / room).rglob("*.py"):
            for line in path.read_text(encoding="utf-8").splitlines():
                words = line.split()
                if words[:1] in (["import"], ["from"]):
                    assert words[1].partition(".")[0] not in names, f"{path}: {line}"


SEARCHED = [(f"{name}:{p.name}", p) for kind, name in ENTRIES for p in REGISTRIES[kind].entry(name).parameters.values()]
SEARCHED += [(f"trainer:{name}", parameter) for name, parameter in setting_parameters().items()]


@pytest.mark.parametrize("parameter", [pytest.param(p, id=name) for name, p in SEARCHED if p.search is not None])
def test_what_is_searched_is_allowed(parameter: Parameter) -> None:
    search = parameter.search
    assert search is not None
    for value in (*search.among, *((search.low, search.high) if search.low is not None else ())):
        assert parameter.parse(str(value)) == value


def test_what_a_method_searches_of_the_trainer_is_allowed() -> None:
    for kind, name in ENTRIES:
        for setting, search in REGISTRIES[kind].entry(name).facts.get("search", {}).items():
            known = setting_parameters()[setting]
            for value in (*search.among, *((search.low, search.high) if search.low is not None else ())):
                assert known.parse(str(value)) == value, (name, setting)


def test_a_search_is_read_from_the_annotation_as_python_has_it() -> None:
    source = """
def f(x, *, a: Annotated[float, "> 0", Search(0.01, 0.5, log=True)] = 0.2,
      b: Annotated[float, ">= 0", Search(1e-6, 0.1, log=True, among=(0.0,))] | None = None,
      c: Annotated[Literal["p", "q"], Search(among=("p", "q"))] = "p", d: Annotated[bool, Search(among=(True,))] = True,
      e: Annotated[int, ">= 1"] | Literal["all"] = 3): ...
"""
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.FunctionDef)
    arguments = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    found = {each.arg: entries.parameter(each.arg, each.annotation, default, each) for each, default in arguments}
    assert found == {
        "a": Parameter("a", 0.2, "float", bounds="> 0", search=Search(0.01, 0.5, log=True)),
        "b": Parameter(
            "b", None, "float", bounds=">= 0", optional=True, search=Search(1e-6, 0.1, log=True, among=(0.0,))
        ),
        "c": Parameter("c", "p", "str", ("p", "q"), search=Search(among=("p", "q"))),
        "d": Parameter("d", True, "bool", search=Search(among=(True,))),
        "e": Parameter("e", 3, "int", ("all",), ">= 1"),
    }


@pytest.mark.parametrize("given", [(), (2, 1), (0.0, 1.0, True)])
def test_a_search_without_values_is_refused(given: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="no range and no choice"):
        Search(*given[:2], log=len(given) > 2)
