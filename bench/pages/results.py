"""Writes the tables of results/README.md, each number computed from published folders: `python -m bench.pages.results`.

A folder of results/ with a manifest is a published table. The words around the tables are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path

from bench import ROOT
from bench.comparison.compare import compare
from bench.comparison.nouns import Comparison, Row
from bench.pages.samplers import markdown, number, replaced
from bench.pages.tuning import kendall
from bench.results.published import MANIFEST, Published, read
from bench.statistics.corrections import adjust
from bench.tables.layout import metric_name, p_value, signed
from datasets.protocol import Protocol

RESULTS = ROOT / "results"
PAGE = RESULTS / "README.md"
STRONG = ("ease", "itemknn")
"""Baselines that trained rows are held to."""
DIAGNOSTICS = ("hardness", "score_gap", "false_negatives", "effective_items", "popularity")


@dataclass(frozen=True)
class Table:
    """A published table, compared as it was asked for and, for what is said of its best row, with all pairs."""

    published: Published

    @property
    def folder(self) -> str:
        """Its name in the folder of results."""
        return self.published.folder.name

    @cached_property
    def own(self) -> Comparison:
        """The comparison that was published."""
        return self.published.comparison()

    @cached_property
    def all_pairs(self) -> Comparison:
        """The same rows by the same test and correction, of its metric alone, the family being all pairs."""
        c = self.own
        asked = {"test": c.test, "correction": c.correction, "alpha": c.alpha}
        return compare(c.rows, metric=c.metric, metrics=(c.metric,), **asked, context=c.context)  # type: ignore[arg-type]

    @cached_property
    def means(self) -> dict[str, float]:
        """Row → mean of the metric, best first."""
        c = self.own
        found = {row.name: values[c.metric].mean for row, values in zip(c.rows, c.values, strict=True)}
        return dict(sorted(found.items(), key=lambda pair: -pair[1]))

    @property
    def trained(self) -> list[Row]:
        """The rows that have a sampler and a loss."""
        return [row for row in self.own.rows if row.loss]

    @property
    def baselines(self) -> list[Row]:
        """The rows that have none."""
        return [row for row in self.own.rows if not row.loss]

    @property
    def settings(self) -> str:
        """How the settings of the rows came about."""
        if trials := [len(cell["trials"]) for cell in self.published.cells if cell["study"] is not None]:
            return f"tuned, {max(trials)} trials a row at most"
        return "recommended" if "recommended" in self.own.context.facts else "default"

    @property
    def tuned(self) -> bool:
        """Whether settings were searched."""
        return self.settings.startswith("tuned")

    def line(self, name: str) -> str:
        """A row with its mean."""
        return f"`{name}` {number(self.means[name], 4)}"

    def best(self, rows: Sequence[Row]) -> str | None:
        """The name of the best of some rows."""
        names = {row.name for row in rows}
        return next((name for name in self.means if name in names), None)


def tables(results: Path) -> list[Table]:
    """The published tables of a folder, by name; older versions of a table stand below it and are left out."""
    return [Table(read(path.parent)) for path in sorted(results.glob(f"*/{MANIFEST}"))]


def tables_part(found: Sequence[Table]) -> str:
    """A line per table: what it is of, how large it is, its best row and best baseline."""
    head = ["folder", "table", "data set", "protocol", "settings", "rows", "seeds", "users", "metric"]
    head += ["best row", "best baseline", "digest"]
    lines = []
    for table in found:
        c, best, baseline = table.own, next(iter(table.means)), table.best(table.baselines)
        size = [str(len(c.rows)), str(len(c.seeds)), f"{c.users:,}", metric_name(c.metric)]
        tops = [table.line(best), table.line(baseline) if baseline else "–", f"`{c.digest[:12]}`"]
        named = [f"[`{table.folder}/`]({table.folder}/table.md)", c.context.table, c.context.dataset]
        lines.append([*named, protocol_words(c), table.settings, *size, *tops])
    return markdown(head, lines)


def protocol_words(comparison: Comparison) -> str:
    """Split and candidates, and what of the protocol is not as usual."""
    protocol, usual = comparison.context.protocol, Protocol().as_dict()
    words = [str(protocol["split"]), f"{protocol['candidates']} candidates"]
    shown = ("split", "candidates")
    words += [f"{key} {protocol[key]}" for key in usual if key not in shown and protocol.get(key) != _plain(usual[key])]
    return ", ".join(words).replace("_", " ")


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def differences_part(found: Sequence[Table]) -> str:
    """A line per table: what differs from its baseline, what from its best row, what beats strong baselines."""
    head = ["table", "test", "baseline", "found better", "found worse", "pairs that differ"]
    head += ["best row", "not found to differ from it"]
    head += [f"trained rows above `{name}`, and found to be" for name in STRONG]
    return markdown(head, [_differences(table) for table in found])


def _differences(table: Table) -> list[str]:
    c, pairs, best = table.own, table.all_pairs, next(iter(table.means))
    cells = [c.context.table, f"{c.test}, {c.correction}, α = {c.alpha:g}"]
    if c.baseline:
        cells += [f"`{c.baseline}`", *(_found(table, c.baseline, side) for side in (1, -1))]
    else:
        cells += ["–"] * 3
    differ = [bool(pairs.differ(pair.a, pair.b, c.metric)) for pair in pairs.pairs if not pair.equal_by_identity]
    near = [f"`{name}`" for name in table.means if name != best and not pairs.differ(name, best, c.metric)]
    alike = f"{len(near)}: {', '.join(near)}" if near else "0"
    cells += [f"{sum(differ)} of {len(differ)}", table.line(best), alike]
    return [*cells, *(_above(table, name) for name in STRONG)]


def _found(table: Table, baseline: str, side: int) -> str:
    """How many rows were found to be above (1) or below (-1) the baseline, of how many."""
    others = [name for name in table.means if name != baseline]
    differ = [name for name in others if table.own.differ(name, baseline, table.own.metric)]
    return f"{sum((table.means[name] - table.means[baseline]) * side > 0 for name in differ)} of {len(others)}"


def _above(table: Table, kind: str) -> str:
    """How many trained rows have a higher mean than a baseline, and for how many that was found to be so."""
    name = table.best([row for row in table.baselines if row.model.partition(":")[0] == kind])
    if name is None:
        return "–"
    above = [row.name for row in table.trained if table.means[row.name] > table.means[name]]
    found = sum(bool(table.all_pairs.differ(row, name, table.own.metric)) for row in above)
    return f"{len(above)} of {len(table.trained)}, {found}"


def orders_part(found: Sequence[Table]) -> str:
    """Kendall's τ-b over the cells that two models of a table share, and over the rows that two tables share.

    Of two tables settings or split differ and nothing else.
    """
    lines = [line for table in found for line in _of_models(table)]
    for one, other in combinations(found, 2):
        shared = [name for name in one.means if name in other.means]
        if (differs := _differs(one, other)) and len(shared) > 1:
            tau = kendall([one.means[name] for name in shared], [other.means[name] for name in shared])
            names = (one.own.context.table, other.own.context.table)
            lines.append([*names, differs, str(len(shared)), number(tau, 2)])
    if not lines:
        return "No two tables have rows in common and differ in settings or split alone, and no table has two models."
    return markdown(["order of", "and of", "what differs", "rows in both", "Kendall's τ"], lines)


def tuning_part(found: Sequence[Table]) -> str:
    """A line per row that a tuned table shares with one of the same data and protocol that is not: what tuning changed.

    Differences are by the crossed test, corrected by Holm over the rows of two tables.
    """
    lines: list[list[str]] = []
    for one, other in combinations(found, 2):
        if _differs(one, other).startswith("settings"):
            lines += _tuned(*((one, other) if one.tuned else (other, one)))
    head = ["tuned table", "row", "as by default", "tuned", "difference, 95 %", "p (holm)"]
    return markdown(head, lines) if lines else "No row is in a tuned table and in one that is not."


def _tuned(tuned: Table, other: Table) -> list[list[str]]:
    plain = {row.name: row for row in other.own.rows}
    shared = [row for row in tuned.own.rows if row.name in plain and row.runs != plain[row.name].runs]
    metric, context = tuned.own.metric, tuned.own.context
    pairs = [
        compare(
            [replace(row, name="tuned"), replace(plain[row.name], name="other")],
            metric=metric, metrics=(metric,), test="crossed", context=context,
        ).pairs[0]
        for row in shared
    ]  # fmt: skip
    lines = []
    for row, pair, p in zip(shared, pairs, adjust([pair.p for pair in pairs], "holm"), strict=True):
        means = (number(table.means[row.name], 4) for table in (other, tuned))
        assert pair.lo is not None
        assert pair.hi is not None
        within = f"{signed(pair.difference)} [{signed(pair.lo)}, {signed(pair.hi)}]"
        lines.append([tuned.own.context.table, f"`{row.name}`", *means, within, p_value(p)])
    return sorted(lines, key=lambda line: -float(line[3]))


def _of_models(table: Table) -> Iterator[list[str]]:
    """A line per pair of models that a table has the same samplers and losses with."""
    models: dict[str, dict[tuple[str, str], float]] = {}
    for row in table.trained:
        cell = (row.sampler.partition(":")[0], row.loss.partition(":")[0])
        models.setdefault(row.model.partition(":")[0], {})[cell] = table.means[row.name]
    for (one, first), (other, second) in combinations(models.items(), 2):
        shared = [cell for cell in first if cell in second]
        if len(shared) > 1:
            tau = kendall([first[cell] for cell in shared], [second[cell] for cell in shared])
            name = table.own.context.table
            yield [name, name, f"model: {one}, {other}", str(len(shared)), number(tau, 2)]


def _differs(one: Table, other: Table) -> str:
    """In what two tables of the same data and metric differ, in words; "" where it is neither settings nor split."""
    a, b = one.own, other.own
    if a.context.data["sha256"] != b.context.data["sha256"] or a.metric != b.metric:
        return ""
    splits = [c.context.protocol["split"] for c in (a, b)]
    if splits[0] != splits[1]:
        return f"split: {splits[0]}, {splits[1]}" if one.tuned == other.tuned else ""
    kinds = [table.settings.partition(",")[0] for table in (one, other)]
    alike = a.context.protocol == b.context.protocol and kinds[0] != kinds[1]
    return f"settings: {kinds[0]}, {kinds[1]}" if alike else ""


def diagnostics_part(found: Sequence[Table]) -> str:
    """Spearman's ρ between what samplers did and the metric, over the trained rows of a table."""
    lines = []
    for table in found:
        cells = [_spearman(table, name) for name in DIAGNOSTICS]
        lines.append([table.own.context.table, str(len(table.trained)), *cells])
    return markdown(["table", "trained rows", *(name.replace("_", " ") for name in DIAGNOSTICS)], lines)


def _spearman(table: Table, name: str) -> str:
    """ρ over the trained rows that have a diagnostic; how many they are, where not all have it."""
    from scipy.stats import spearmanr

    pairs = [(row.diagnostics[name], table.means[row.name]) for row in table.trained if name in row.diagnostics]
    one, other = [value for value, _ in pairs], [value for _, value in pairs]
    if len(pairs) < 3 or len(set(one)) == 1 or len(set(other)) == 1:
        return "–"
    told = "" if len(pairs) == len(table.trained) else f" ({len(pairs)} rows)"
    return f"{float(spearmanr(one, other).statistic):.2f}{told}"


PARTS = {
    "tables": tables_part,
    "differences": differences_part,
    "tuning": tuning_part,
    "orders": orders_part,
    "diagnostics": diagnostics_part,
}


def written(page: str, results: Path) -> str:
    """The page with its tables as the published folders beside it give them."""
    found = tables(results)
    for mark, part in PARTS.items():
        page = replaced(page, mark, part(found))
    return page


def main() -> None:
    """Write the page."""
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), RESULTS), encoding="utf-8")


if __name__ == "__main__":
    main()
