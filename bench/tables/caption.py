"""What a table rests on, in words: data, protocol, users, seeds, test, settings and runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bench.comparison.nouns import Comparison, Row
from bench.runs.hashes import list_sha256
from bench.tables.layout import SIGNS, family, plural
from datasets.protocol import Protocol
from recmodels.compatibility import text_of

SEARCHED, LONG = 1000, 100
"""Characters of what was searched, and of a setting by row, that a caption prints; JSON has all of it."""


def caption(c: Comparison, users: int | None = None) -> str:
    """Data set, protocol, users, seeds, test, correction with its family, level, facts and data hash.

    `users` is their number where the table holds more than this comparison.
    """
    corrected = {
        "none": "no correction",
        **{k: f"{k} over the {plural(family(c), 'pair')} of each metric" for k in ("holm", "bonferroni", "bh", "by")},
    }[c.correction]
    context = c.context
    parts = [
        ": ".join(filter(None, (context.dataset, _words(_told(context.protocol))))),
        f"{users or c.users} test users, {seeds_words(c.seeds)}",
        _words(_short(context.facts)),
        masked_words(context.protocol),
        histories_words(c.rows),
        f"{c.test} test{_side(c)}, {corrected}, α = {c.alpha:g}" + (f", against {c.baseline}" if c.baseline else ""),
        _data(c),
        _code(context.manifest),
        f"table {context.table}" if context.table else "",
    ]
    return f"{parts[0]}. {sentences(parts[1:])}"


def shared(comparisons: Sequence[Comparison]) -> list[str]:
    """What the tables of several data sets have in common: protocol, settings, masks, code."""
    first = comparisons[0].context

    def common(kind: str) -> dict[str, Any]:
        each = [getattr(c.context, kind) for c in comparisons]
        return {k: v for k, v in each[0].items() if all(k in other and other[k] == v for other in each)}

    each = {masked_words(c.context.protocol) for c in comparisons}
    words = [_words(_told(common("protocol"))), _words(common("facts")), each.pop() if len(each) == 1 else ""]
    return [*words, histories_words(comparisons[0].rows), _code(first.manifest)]


def own(c: Comparison, comparisons: Sequence[Comparison]) -> str:
    """What the table of one data set does not have in common with the others, with its users and data."""
    first = comparisons[0].context
    told = {**_told(c.context.protocol), **_short(c.context.facts)}
    others = [{**_told(x.context.protocol), **_short(x.context.facts)} for x in comparisons]
    mine = {k: v for k, v in told.items() if any(x.get(k) != v for x in others)}
    code = _code(c.context.manifest) if _code(c.context.manifest) != _code(first.manifest) else ""
    masked = masked_words(c.context.protocol)
    masked = "" if all(masked_words(x.context.protocol) == masked for x in comparisons) else masked
    words = (f"{c.users} users", _words(mine), masked, _data(c), code)
    return f"{c.context.dataset}: {', '.join(filter(None, words))}"


def sentences(parts: Sequence[str]) -> str:
    """The parts that are not empty, each as a sentence."""
    return " ".join(f"{part[0].upper()}{part[1:]}." for part in parts if part)


def _side(c: Comparison) -> str:
    if c.alternative not in SIGNS:
        return ""
    a, b = ("a", "b of every pair") if c.baseline is None else ("row", c.baseline)
    return f" (one-sided, {c.alternative}: {a} {SIGNS[c.alternative]} {b})"


def runs_line(comparisons: Sequence[Comparison]) -> str:
    """How many runs stand behind a table, the first and last id, and the sha256 of all ids and result hashes."""
    runs = [run for c in comparisons for row in c.rows for run in row.runs]
    if not runs:
        return ""
    evidence = [pair for c in comparisons for pair in c.evidence]
    digest = f", sha256 of ids and results {list_sha256(evidence)[:12]}" if evidence else ""
    return f"Runs: {len(runs)}, {runs[0]} … {runs[-1]}{digest}."


def masked_words(protocol: Mapping[str, Any]) -> str:
    """What a full ranking leaves out, and whether the model saw validation."""
    words = {
        "known": "ranking masks what the user has in train and validation",
        "train": "ranking masks what the user has in train",
        "none": "ranking masks nothing",
    }
    split = str(protocol.get("split"))
    if split.partition(":")[0] == "strong" or "users=held-out" in split:
        words["known"] = "ranking is of users that are not trained on and masks what is folded in of them"
    masked = words.get(str(protocol.get("mask"))) if protocol.get("candidates") == "full" else None
    refit = f"trained again {protocol['refit']}" if "refit" in protocol else "trained on train alone"
    return ", ".join(filter(None, (masked, refit if masked else None)))


def histories_words(rows: Sequence[Row]) -> str:
    """What models of sequences read of a user when they rank test, for rows that say so."""
    read: dict[str, list[str]] = {}
    for row in rows:
        shown = row.settings.get("model", {}).get("shown")
        if shown is not None and row.name not in read.setdefault(str(shown), []):
            read[str(shown)].append(row.name)
    parts = {"valid": "train and validation", "train": "train alone"}
    found = [
        f"{', '.join(names)} {'reads' if len(names) == 1 else 'read'} {parts[shown]}" for shown, names in read.items()
    ]
    return f"of a user's history at test {', '.join(found)}" if found else ""


def _code(manifest: Mapping[str, Any]) -> str:
    """Versions and commits that the runs were made with."""
    if not manifest.get("runs"):
        return ""
    commits = [commit[:12] for commit in manifest["commits"]]
    words = [
        f"contrarec {', '.join(manifest['versions'])}",
        f"{'commit' if len(commits) == 1 else 'commits'} {', '.join(commits) or 'unknown'}"
        + (" with uncommitted changes" if manifest["dirty"] else ""),
        *(f"{name} {', '.join(manifest[name])}" for name in ("torch", "numpy")),
        ", ".join(manifest["processors"]),
    ]
    return "Code " + ", ".join(filter(None, words))


def _told(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """The protocol without what is as usual, but always the split and what is ranked."""
    usual = Protocol().as_dict()
    said = ("mask", "refit")  # by a sentence
    return {
        k: v
        for k, v in protocol.items()
        if k not in said and (k in ("split", "candidates") or k not in usual or v != usual[k])
    }


def _short(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Facts that a page has room for: of a long search its size, and which settings differ by row."""
    if len(str(facts.get("tuned", ""))) <= SEARCHED:
        return facts
    trials = [int(number) for number in re.findall(r"from (\d+) trials", str(facts["tuned"]))]
    told = {key: value for key, value in facts.items() if key != "tuned" and len(text_of(value)) <= LONG}
    differ = [key.replace("_", " ") for key in facts if key not in told and key != "tuned"]
    size = f"with {' to '.join(map(str, sorted({min(trials), max(trials)})))} trials a row" if trials else "by row"
    return {
        **told,
        "tuned": f"on validation {size}" + (f", so that rows differ in {', '.join(differ)}" if differ else ""),
    }


def _words(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {text_of(value)}" for key, value in facts.items())


def seeds_words(seeds: Sequence[int]) -> str:
    """How many, and which."""
    if len(seeds) < 2:
        return f"{len(seeds)} seed"
    run = list(seeds) == list(range(seeds[0], seeds[-1] + 1))
    return f"{len(seeds)} seeds ({f'{seeds[0]}–{seeds[-1]}' if run else ', '.join(map(str, seeds))})"


def _data(c: Comparison) -> str:
    data = c.context.data
    sha, source = data.get("sha256"), data.get("source")
    state = {True: "verified", False: "UNVERIFIED"}.get(data.get("verified"), "")  # type: ignore[arg-type]
    words = (f"sha256 {str(sha)[:12]}" if sha else "", state, f"from {source}" if source else "")
    return "Data " + ", ".join(word for word in words if word) if any(words) else ""
