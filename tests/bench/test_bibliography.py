"""Papers: every method, test and data set has its own, which agree with what it says of them, in BibTeX."""

from __future__ import annotations

import re
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest

from bench.results import bibliography
from bench.results.bibliography import of_data, of_paper, pieces, references, software
from bench.statistics.corrections import CORRECTIONS
from bench.statistics.named import TESTS
from datasets import catalog
from recmodels.losses import LOSSES
from recmodels.models import BASELINES, MODELS
from recmodels.samplers import SAMPLERS

ROOT = Path(__file__).parents[2]
ENTRIES = [
    (name, entry) for registry in (SAMPLERS, LOSSES, MODELS, BASELINES) for name, entry in registry.entries.items()
]


def said(latex: str) -> str:
    """Letters as a reader sees them."""
    latex = re.sub(
        r"\{\\(['`\"])([a-zA-Z])\}", lambda m: m[2] + {"'": "\u0301", "`": "\u0300", '"': "\u0308"}[m[1]], latex
    )
    latex = latex.replace("{\\k{a}}", "ą").replace("{", "").replace("}", "")
    return unicodedata.normalize("NFC", latex)


def surnames(authors: str) -> list[str]:
    """The last names, where braces hold a name of several words together."""
    found = []
    for author in re.split(r" and ", authors):
        whole = re.search(r"\{([^\\{}]* [^{}]*)\}$|^\{(.*)\}$", author)
        found.append((whole[1] or whole[2]) if whole else said(author).rsplit(" ", 1)[-1])
    return found


@pytest.mark.parametrize(("name", "entry"), ENTRIES, ids=[name for name, _ in ENTRIES])
def test_every_method_has_papers_that_are_known(name: str, entry) -> None:  # type: ignore[no-untyped-def]
    paper = str(entry.facts["paper"])
    found = of_paper(paper)
    assert all(one.key in references() for one in found), f"papers.bib has no entry that is cited as in '{paper}'"
    assert len(found) == (0 if paper.startswith("none") else len(paper.split(";")))


@pytest.mark.parametrize("key", [key for key, one in references().items() if "cited" in one.fields])
def test_what_it_is_cited_as_agrees_with_authors_venue_and_year(key: str) -> None:
    fields = references()[key].fields
    names, cited = surnames(fields["author"]), fields["cited"]
    cited = re.sub(r"^(\w+) and (?=[A-Z]\w+, )", r"\1, ", cited)
    *told, venue = [part.strip() for part in cited.split(", ")]
    if re.fullmatch(r"\d{4}", venue):  # initials, names and venue apart: the docstrings of tests
        year, venue = venue, told.pop()
        told = [re.sub(r"^(?:[A-Z]\.[- ])+", "", name) for name in told]
    else:
        year = re.findall(r"\b(\d{4})\b", venue)[-1:] or [""]
        year = year[0]
    if told and told[0].endswith(" et al."):
        told, names = [told[0].removesuffix(" et al.")], names[:1]
    assert told == names
    if key != "tfrs2020":  # software, without a venue
        assert fields["year"] == year
        place = " ".join(
            fields.get(k, "") for k in ("booktitle", "journal", "publisher", "howpublished", "note", "title")
        )
        words = re.sub(rf"\b{year}\b|[():\d]", " ", venue.replace("J. ", "Journal of ")).split()
        assert all(word in place for word in words), (words, place)


@pytest.mark.parametrize("dataset", catalog.names())
def test_every_data_set_has_the_papers_that_it_names(dataset: str) -> None:
    citation = catalog.entry(dataset).citation
    found = of_data(citation)
    assert len(found) == len(citation.split(";")), [one.key for one in found]
    text = re.sub(r"\W+", " ", citation)
    for one in found:
        first = re.sub(r"\W+", " ", said(surnames(one.fields["author"])[0]))
        plain = first.translate(str.maketrans("áą", "aa"))
        assert plain in text or "split of" in citation
        if "year" in one.fields:
            assert one.fields["year"] in citation


@pytest.mark.parametrize(
    "key", [key for keys in (bibliography.TESTS | bibliography.CORRECTIONS).values() for key in keys]
)
def test_what_a_test_is_cited_with_stands_in_its_docstring(key: str) -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "bench" / "statistics").glob("*.py"))
    assert references()[key].fields["cited"] in " ".join(code.split())


def test_every_test_and_correction_has_its_papers() -> None:
    assert bibliography.TESTS.keys() == TESTS.keys()
    assert bibliography.CORRECTIONS.keys() == {*CORRECTIONS}


def test_every_entry_is_cited_by_something() -> None:
    used = {one.key for _, entry in ENTRIES for one in of_paper(str(entry.facts["paper"]))}
    used |= {one.key for name in catalog.names() for one in of_data(catalog.entry(name).citation)}
    used |= {key for keys in (bibliography.TESTS | bibliography.CORRECTIONS).values() for key in keys}
    used |= {*bibliography.SEARCH, *bibliography.EQUIVALENCE, *bibliography.SAMPLED}
    assert used == {*references()}


def test_the_paper_of_a_plug_in_is_an_entry_of_its_own_words() -> None:
    (one,) = of_paper("Müller & Sons, R_ecSys 100%, 2031 (a remark)")
    assert one.key not in references()
    assert parsed(one.bibtex()) == [("misc", one.key, {"title": '{M\\"{u}ller \\& Sons, R\\_ecSys 100\\%, 2031}'})]
    assert of_paper(None) == of_paper("none: an example") == []


@pytest.mark.parametrize(
    ("paper", "found"),
    [
        ("Bishop, PRML 2006, section 4.3.4 (no sampling)", ["Bishop, PRML 2006"]),
        ("A, KDD 2002; B, C, Machine Learning 72(3), 2008", ["A, KDD 2002", "B, C, Machine Learning 72(3), 2008"]),
        ("Lai et al., AAAI 2024 (its curriculum ablation)", ["Lai et al., AAAI 2024"]),
    ],
)
def test_remarks_are_no_part_of_a_paper(paper: str, found: list[str]) -> None:
    assert pieces(paper) == found


def parsed(text: str) -> list[tuple[str, str, dict[str, str]]]:
    """BibTeX by its grammar: values in balanced braces, names and `=` before them, commas between; nothing else."""
    found, at = [], 0

    def word(pattern: str) -> str:
        nonlocal at
        match = re.compile(rf"\s*({pattern})\s*").match(text, at)
        assert match, f"{pattern!r} was expected at …{text[at : at + 40]!r}"
        at = match.end()
        return match[1]

    while text[at:].strip():
        word("@")
        kind = word(r"\w+")
        word(r"\{")
        key, fields = word(r"[^\s,{}%#\\~]+"), {}
        while word("[,}]") == ",":
            if re.compile(r"\s*\}").match(text, at):
                continue
            name = word(r"\w+")
            word("=")
            assert text[at] == "{"
            start, depth = at, 0
            while True:
                depth += {"{": 1, "}": -1}.get(text[at], 0) if text[at - 1] != "\\" else 0
                at += 1
                if depth == 0:
                    break
            value = text[start + 1 : at - 1]
            assert value.isascii(), value
            assert not re.search(r"(?<!\\)[%#&_]", value), value
            fields[name] = value
        found.append((kind, key, fields))
    return found


NEEDED = {
    "article": {"author", "title", "journal", "year"},
    "inproceedings": {"author", "title", "booktitle", "year"},
    "book": {"author", "title", "publisher", "year"},
    "misc": {"title"},
}


def test_every_entry_is_bibtex_with_what_its_kind_needs() -> None:
    text = "\n\n".join(one.bibtex() for one in [*references().values(), software(["1_0"], ["abc"], "ml-100k/loo v1")])
    found = parsed(text)
    assert len({key for _, key, _ in found}) == len(found) == len(references()) + 1
    for kind, key, fields in found:
        assert NEEDED[kind] <= {*fields}, key
        assert "cited" not in fields


@pytest.mark.skipif(shutil.which("bibtex") is None, reason="needs bibtex")
def test_bibtex_itself_reads_every_entry(tmp_path: Path) -> None:
    (tmp_path / "all.bib").write_text("\n\n".join(one.bibtex() for one in references().values()), encoding="ascii")
    (tmp_path / "a.aux").write_text("\\citation{*}\n\\bibdata{all}\n\\bibstyle{plain}\n", encoding="ascii")
    done = subprocess.run(["bibtex", "a"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "rror" not in done.stdout


def test_the_software_has_the_versions_of_the_table() -> None:
    fields = software(["0.1.0", "0.2.0"], ["a" * 40], "ml-100k/loo v1").fields
    assert fields["note"] == f"Version 0.1.0, 0.2.0, commit {'a' * 12}, table ml-100k/loo v1"
    assert (fields["year"], fields["author"]) == ("2026", "{The contrarec authors}")


TOP = {
    *("abstract", "authors", "cff-version", "commit", "contact", "date-released", "doi", "identifiers", "keywords"),
    *("license", "license-url", "message", "preferred-citation", "references", "repository", "repository-artifact"),
    *("repository-code", "title", "type", "url", "version"),
}
ENTITY = {
    *("address", "alias", "city", "country", "date-end", "date-start", "email", "fax", "location", "name", "orcid"),
    *("post-code", "region", "tel", "website"),
}


def test_citation_cff_follows_the_schema_of_its_version() -> None:
    """The rules of schema 1.2.0 that can concern it: required and allowed keys, types, dates, entities as authors."""
    import yaml

    class Texts(yaml.SafeLoader):
        """The schema has dates as texts."""

    Texts.yaml_implicit_resolvers = {
        first: [(tag, regex) for tag, regex in found if tag != "tag:yaml.org,2002:timestamp"]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    content = yaml.load((ROOT / "CITATION.cff").read_text(encoding="utf-8"), Texts)
    assert {"authors", "cff-version", "message", "title"} <= {*content} <= TOP
    assert re.fullmatch(r"1\.2\.0", content["cff-version"])
    assert content["type"] in ("dataset", "software")
    assert re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", content["date-released"])
    assert content["license"] == "MIT"  # an SPDX identifier
    assert all(isinstance(content[key], str) and content[key] for key in {*content} - {"authors", "version"})
    assert content["authors"]
    for author in content["authors"]:
        assert "name" in author
        assert {*author} <= ENTITY
        assert all(isinstance(value, str) for value in author.values())
    from bench import __version__

    assert str(content["version"]) == __version__
