"""Whether a table that was made again is the published one: everything but commit, version, command and times."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from bench.results.differences import differences, first_difference
from bench.results.published import DOCUMENTS, TABLE, TUNED, Published, texts

OTHERWISE = ("command", "version", "commit", "manifest")
"""Keys of `table.json` that say by whom it was made, and when."""

MADE = ("made", "timing")
"""The same of the record of a run."""


def unlike(published: Published, made: Published) -> Iterator[str]:
    """A phrase for each difference; where processors differ, that comes first, for it may be the reason."""
    mine, theirs = published.comparison(), made.comparison()
    processors = [c.context.manifest["processors"] for c in (mine, theirs)]
    unequal = list(_unlike(published, made))
    if unequal and processors[0] != processors[1]:
        yield f"Published runs come from {', '.join(processors[0])}, these from {', '.join(processors[1])}."
    yield from unequal


def _unlike(published: Published, made: Published) -> Iterator[str]:
    known = published.comparison()
    context = replace(made.context, manifest=known.context.manifest, command=known.context.command)
    computed = texts(replace(made.comparison(), context=context))
    written = {name: (published.folder / name).read_text(encoding="utf-8") for name in computed}
    for said in differences(json.loads(written[TABLE]), json.loads(computed[TABLE]), ignored=OTHERWISE):
        yield f"{TABLE}: {said}"
    for name in DOCUMENTS:
        if first := first_difference(written[name], computed[name]):
            yield f"{name}: {first}"
    for mine, theirs in zip(published.cells, made.cells, strict=False):
        for said in differences(mine, theirs, f"cells[{mine['name']}]", ignored=MADE):
            yield f"manifest.json: {said}"
    tuned = [(one.folder / TUNED) for one in (published, made)]
    if tuned[0].exists() or tuned[1].exists():
        mine_text, their_text = (one.read_text(encoding="utf-8") if one.exists() else "" for one in tuned)
        if first := first_difference(mine_text, their_text):
            yield f"{TUNED}: {first}"
