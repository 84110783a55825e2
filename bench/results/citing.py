"""What a table is cited with: its references, a paragraph on how it was made, and the manifest as comments.

All of it comes from the object of `--format json`, whether that is a file or of rows that are yet to be run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from bench.comparison.told import ALWAYS
from bench.files import JSONObject
from bench.results import bibliography
from bench.results.bibliography import Reference
from bench.runs.spec import REGISTRIES
from bench.tables.caption import masked_words, seeds_words
from bench.tables.latex_text import escape
from bench.tables.layout import metric_name, plural
from bench.tables.notes import METHODS
from datasets import catalog
from datasets.errors import UserError
from recmodels.compatibility import text_of


class Cited(NamedTuple):
    """A method of a table: its kind, its name, and the papers behind it."""

    kind: str
    name: str
    papers: tuple[Reference, ...]


def methods(rows: Sequence[JSONObject]) -> list[Cited]:
    """Samplers, losses, models and baselines of the rows, each once, and the proposals that samplers draw from."""
    found: dict[tuple[str, str], Cited] = {}
    for row in rows:
        parts = [(kind, row[kind]) for kind in ("sampler", "loss", "model") if row.get(kind)]
        proposal = row.get("settings", {}).get("sampler", {}).get("proposal")
        for kind, label in [*parts, *([("sampler", proposal)] if proposal else [])]:
            kind = "baseline" if kind == "model" and not row.get("loss") else kind
            name = str(label).partition(":")[0]
            if (kind, name) in found:
                continue
            try:
                paper = REGISTRIES[kind].entry(name).facts.get("paper")
            except UserError:  # of a table made with a method that is not here
                paper = None
            found[kind, name] = Cited(kind, name, tuple(bibliography.of_paper(paper)))
    return sorted(found.values(), key=lambda one: list(REGISTRIES).index(one.kind))


def data_references(dataset: str) -> list[Reference]:
    """The papers of a catalogued data set; none of a file."""
    return bibliography.of_data(catalog.entry(dataset).citation) if catalog.known(dataset) else []


def references(table: JSONObject) -> list[Reference]:
    """Software, data set, methods, tests and search of a table, each once."""
    manifest, equal = table["manifest"], any("equivalence" in pair for pair in table["pairs"])
    found = [
        bibliography.software(manifest.get("versions", ()), manifest.get("commits", ()), table.get("table")),
        *data_references(table["dataset"]),
        *(paper for method in methods(table["rows"]) for paper in method.papers),
        *bibliography.by_key(bibliography.TESTS[table["test"]]),
        *bibliography.by_key(bibliography.CORRECTIONS[table["correction"]]),
        *bibliography.by_key(bibliography.SEARCH if "tuned" in table["facts"] else ()),
        *bibliography.by_key(bibliography.EQUIVALENCE if equal else ()),
        *bibliography.by_key(bibliography.SAMPLED if _sampled(table) else ()),
    ]
    return list({one.key: one for one in found}.values())


def bibtex(table: JSONObject) -> str:
    """The references as a `.bib` file."""
    return "\n\n".join(one.bibtex() for one in references(table))


def paragraph(table: JSONObject, latex: bool = False) -> str:
    r"""How the table was made, in sentences, with [key] or \cite{key} where something is cited."""
    text = " ".join(_sentences(table))
    plain, *rest = re.split(r"⟦(.*?)⟧", text)
    shown = [escape(plain) if latex else plain]
    for keys, after in zip(rest[::2], rest[1::2], strict=True):
        marked = rf"~\cite{{{keys}}}" if latex else f" [{keys.replace(',', ', ')}]"
        shown += [marked if keys else "", escape(after) if latex else after]
    return "".join(shown)


def _mark(papers: Iterable[Reference]) -> str:
    return f"⟦{','.join(dict.fromkeys(one.key for one in papers))}⟧"


def _sentences(table: JSONObject) -> Iterator[str]:
    """Data and protocol, what is compared, budget, seeds, test; each a sentence."""
    data, protocol = table["data"], table["protocol"]
    users = f" with {plural(table['users'], 'test user')}" if table["users"] else ""
    software = _mark([bibliography.software((), (), None)])
    named = f"{table['dataset']}{_mark(data_references(table['dataset']))}"
    yield f"We compare {plural(len(table['rows']), 'row')} on {named} with contrarec{software}."
    yield f"The split is {protocol['split']}{users}; {_ranked(table)}."
    yield "Where scores are equal, metrics are means over all their orders."
    least = ("min_rating", "k_core", "min_user_count", "min_item_count", "sample_users")
    kept = ", ".join(
        f"{name.replace('_', ' ')} {text_of(value)}"
        for name in least
        if (value := protocol.get(name)) not in (None, 0, [0, 0], (0, 0))
    )
    sha = f", sha256 {str(data['sha256'])[:12]}" if data.get("sha256") else ""
    yield f"The data are {'filtered: ' + kept if kept else 'not filtered'}{sha}."
    for kind, word in (("sampler", "Samplers"), ("loss", "Losses"), ("model", "Models"), ("baseline", "Baselines")):
        if these := [f"{one.name}{_mark(one.papers)}" for one in methods(table["rows"]) if one.kind == kind]:
            yield f"{word}: {', '.join(these)}."
    yield from _budget(table)
    yield from _tested(table)
    if table.get("table"):
        yield f"The table is {table['table']}, with digest {str(table['digest'])[:12]}."


def _ranked(table: JSONObject) -> str:
    protocol = table["protocol"]
    if _sampled(table):
        number = protocol.get("expected_over_sampled_candidates")
        over = f"expected over {number}" if number else "over"
        return f"metrics are {over} sampled candidates{_mark(bibliography.by_key(bibliography.SAMPLED))}"
    if protocol["candidates"] != "full":
        return f"the candidates are {protocol['candidates']}"
    return f"all items are ranked ({masked_words(protocol)})"


def _sampled(table: JSONObject) -> bool:
    protocol = table["protocol"]
    return "expected_over_sampled_candidates" in protocol or str(protocol["candidates"]).startswith("sampled")


def _budget(table: JSONObject) -> Iterator[str]:
    facts = table["facts"]
    told = {name.replace("_", " "): text_of(facts[name]) for name in ALWAYS if name in facts}
    differ = [name for name, value in told.items() if "(" in value]  # each value with its rows
    shared = ", ".join(f"{name} {value}" for name, value in told.items() if name not in differ)
    if tuned := facts.get("tuned"):
        trials = sorted({int(number) for number in re.findall(r"from (\d+) trials", tuned)})
        number = " or ".join(map(str, trials))
        search = _mark(bibliography.by_key(bibliography.SEARCH))
        yield f"The settings of each row were searched on validation alone, with {number} trials a row{search}."
    elif recommended := facts.get("recommended"):
        yield f"Nothing was searched for this table; settings are defaults, or recommended ones: {recommended}."
    elif shared:
        yield "Nothing was searched for this table."
    if shared:
        yield f"All rows: {shared}."
    if differ:
        yield f"Rows differ in {', '.join(differ)}."


def _tested(table: JSONObject) -> Iterator[str]:
    if not table["seeds"]:
        return
    yield f"Every row is trained with {seeds_words(table['seeds'])}; we report {metric_name(table['metric'])}."
    family = table.get("family") or sum(
        pair["metric"] == table["metric"] and not pair["equal_by_identity"] for pair in table["pairs"]
    )
    if not family:
        return
    test, correction = table["test"], table["correction"]
    random = test.startswith("crossed") and len(table["seeds"]) > 1
    how = f"the {test} test" + (", which treats users and seeds as random" if random else "")
    corrected = (
        f"corrected by {METHODS[correction]}{_mark(bibliography.by_key(bibliography.CORRECTIONS[correction]))} over "
        f"the {plural(family, 'pair')} of each metric"
        if correction != "none"
        else "not corrected for the number of pairs"
    )
    against = f"each row with {table['baseline']}" if table["baseline"] else "all pairs of rows"
    how += _mark(bibliography.by_key(bibliography.TESTS[test]))
    yield f"We compare {against} by {how}, {corrected}, at α = {table['alpha']:g}."


def comments(table: JSONObject, further: JSONObject | None = None) -> str:
    """What the table was made with, as LaTeX comments; `further` is the manifest of a published table."""
    manifest: dict[str, Any] = table["manifest"]
    told = {
        "table": table.get("table"),
        "command": table.get("command"),
        **{name: ", ".join(map(str, v)) if isinstance(v, list) else v for name, v in manifest.items()},
        "data": f"{table['data'].get('sha256')} from {table['data'].get('source')}",
        "requirements.lock sha256": (further or {}).get("lock_sha256"),
        "digest": table.get("digest"),
    }
    lines = [f"% {name}: {value}" for name, value in told.items() if value not in (None, "", "None from None")]
    return "\n".join(line.replace("\n", " ") for line in lines)
