"""What is said around a table: a line above and a few below in a terminal, what its marks mean, what went wrong."""

from __future__ import annotations

from bench.comparison.nouns import Comparison
from bench.tables.layout import SIGNS, cut, ends, family, joint, level_of, metric_name, plural
from bench.tables.rows import has_p, letters
from datasets.protocol import Protocol

METHODS = {"holm": "Holm", "bonferroni": "Bonferroni", "bh": "Benjamini–Hochberg", "by": "Benjamini–Yekutieli"}
NOT_EQUAL = 'No star is not "equal".'
_ENOUGH_SEEDS = 10
_PAIRED = "rows are compared on paired users, so that overlapping intervals can differ."
_EFFECT = "Effect: mean over standard deviation of single differences, of one user with one seed."
_EFFECTS = "a beats b: on the same user and seed, ties counting one half."
_EQUIVALENCE = (
    "A small p shows that the difference lies within the margin (two one-sided tests, a family of their own); the "
    "last three columns are posterior probabilities under a flat prior."
)
_CUT = "Intervals that leave what the metric can be, 0 to 1, are cut there."
_SAME = "Equal by identity: the same training under two names; such pairs (= among the p) are tested in no family."
_DIAGNOSTICS = "Means over seeds; in brackets the first and the last epoch."


def head(c: Comparison, users: int | None = None) -> str:
    """Data set, metric, what all rows share, users and seeds, in one line."""
    usual = Protocol().as_dict()
    protocol = c.context.protocol
    told = [f"{k.replace('_', ' ')} {protocol[k]}" for k in usual if k in protocol and protocol[k] != usual[k]]
    trained = [row for row in c.rows if row.loss]
    shared = [{getattr(row, part) for row in trained} for part in ("sampler", "loss", "model")]
    negatives = c.context.facts.get("negatives")
    words = [next(iter(names)) for names in shared if len(names) == 1 and len(trained) > 1]
    words += [plural(negatives, "negative") if isinstance(negatives, int) else f"negatives {negatives}"] * (
        negatives is not None
    )
    size = f"{plural(users or c.users, 'user')} × {plural(len(c.seeds), 'seed')}"
    return " · ".join(filter(None, (c.context.dataset, metric_name(c.metric), ", ".join(words), *told, size)))


def foot(c: Comparison, said: str, view: str) -> tuple[str, ...]:
    """At most two lines below a terminal's table: what its marks mean, and useful words for the next command."""
    return tuple(filter(None, (said, "Next: " + " | ".join(_next(c, view)))))


def letters_foot(c: Comparison) -> str:
    """What ± and letters, or + and −, mean."""
    if c.baseline is not None:
        return f"{_half(c)}; + better, − worse than {c.baseline}."
    return f"{_half(c)}; rows sharing a letter were not found to differ." if _shows_letters(c) else f"{_half(c)}."


def matrix_foot(c: Comparison) -> str:
    """What ± and * mean."""
    return f"{_half(c)}; *: best of all."


def groups_foot(c: Comparison) -> str:
    """What ± means, and what is a family."""
    return f"{_half(c)}; each group is a family of its own."


def effects_foot(c: Comparison) -> str:
    """Which intervals are shown, and what "a beats b" counts."""
    return f"{level_of(c.alpha)} intervals over users and seeds, each by itself; {_EFFECTS}"


def equivalence_foot(_: Comparison) -> str:
    """What a small p says."""
    return "A small p shows that the difference lies within the margin."


def diagnostics_foot(_: Comparison) -> str:
    """What is averaged."""
    return _DIAGNOSTICS


def _half(c: Comparison) -> str:
    return f"± half a row's {level_of(c.alpha)} interval"


def stars(c: Comparison) -> str:
    """What a star means, in one line."""
    if not family(c):
        return ""
    if not has_p(c):
        return f"Pairs ask a {SIGNS[c.alternative]} b in the order given: --view pairs has their p."
    what = {"two-sided": "differs", "greater": "is better", "less": "is worse"}[c.alternative]
    base = "" if c.baseline is None else f" from {c.baseline}" if what == "differs" else f" than {c.baseline}"
    pairs = plural(family(c), "pair")
    each = "" if family(c) == 1 else f", not corrected for {pairs}"
    over = f" after {METHODS[c.correction]} over {pairs}" if joint(c) else f" (p < {c.alpha:g}{each})"
    return f"* {what}{base}{over}. {NOT_EQUAL}"


def _next(c: Comparison, view: str) -> list[str]:
    """Words that show more of the same comparison."""
    words = ["--view pairs" if view == "rows" else "--view rows"] if c.pairs else []
    words += [f"--seeds {_ENOUGH_SEEDS}"] if len(c.seeds) < _ENOUGH_SEEDS else []
    return [*words, "--caption full", "--format latex"]


def of_rows(c: Comparison, styled: bool) -> list[str]:
    """Notes on rows with their difference to the best or the baseline."""
    lines = [*_beside_rows(c), *_intervals(c), stars(c)] if c.pairs else []
    return [*lines, *_same(c), *_bold(c, styled), *_cut(c)]


def of_letters(c: Comparison, styled: bool) -> list[str]:
    """Notes on rows with letters."""
    return [*_plus_minus(c), *_marks(c), *_same(c), *_bold(c, styled), *_cut(c)]


def of_groups(c: Comparison, styled: bool) -> list[str]:
    """Notes on rows × groups of users."""
    return [*_plus_minus(c), *_marks(c), *_bold(c, styled), *_cut(c)]


def of_pairs(c: Comparison, _: bool) -> list[str]:
    """Notes on pairs."""
    if not c.pairs:
        return _cut(c)
    starred = [stars(c)] if c.alternative == "two-sided" else []
    return [*_intervals(c), *starred, _EFFECT, *_same(c), *_cut(c)]


def of_matrix(c: Comparison, styled: bool) -> list[str]:
    """Notes on samplers × losses."""
    best = "Bold: best of its column; *: best of all." if styled else "*: best of all."
    return [*_plus_minus(c), *_marks(c), best, *_cut(c)]


def of_effects(c: Comparison, _: bool) -> list[str]:
    """Notes on effect sizes."""
    return [f"{level_of(c.alpha)} intervals over users and seeds, unadjusted; {_EFFECTS}"]


def of_equivalence(_c: Comparison, _: bool) -> list[str]:
    """Notes on tests of equivalence."""
    return [_EQUIVALENCE]


def of_diagnostics(_c: Comparison, _: bool) -> list[str]:
    """Notes on diagnostics."""
    return [_DIAGNOSTICS]


def _plus_minus(c: Comparison) -> list[str]:
    return [f"± half the {level_of(c.alpha)} interval over users and seeds of one row; {_PAIRED}"]


def _same(c: Comparison) -> list[str]:
    return [_SAME] if any(pair.equal_by_identity for pair in c.pairs) else []


def _bold(c: Comparison, styled: bool) -> list[str]:
    if not styled:
        return []
    alone = not c.pairs or c.alternative in SIGNS or c.baseline is not None
    return ["Bold: best." if alone else "Bold: best; underlined: not found to differ from it."]


def _cut(c: Comparison) -> list[str]:
    return [_CUT] if _is_cut(c) else []


def _beside_rows(c: Comparison) -> list[str]:
    """What the difference beside each row is."""
    if c.baseline is not None:
        return [f"Rows from the best down; vs base: row − {c.baseline}, rel.: in percent of its mean."]
    lines = ["Rows from the best down; vs best: row − best, rel.: in percent of the best's mean."]
    if has_p(c) and family(c) > 1:
        lines.append("The best was chosen from these numbers, so that the family is all pairs, not those with it.")
    return lines


def _intervals(c: Comparison) -> list[str]:
    """Which intervals of differences are shown, and where p says more than they do."""
    if all(pair.lo is None for pair in c.pairs):
        return []
    sided = "two-sided " if c.alternative in SIGNS else ""
    if not joint(c):
        return [f"In brackets the {sided}{level_of(c.alpha)} interval of each difference by itself."]
    pairs = plural(family(c), "pair")
    lines = [f"In brackets {sided}intervals that hold for all {pairs} together at {level_of(c.alpha)} (Bonferroni)."]
    if c.correction in ("holm", "bh"):
        lines.append(f"{METHODS[c.correction]} finds more than such intervals, so that a starred one may hold 0.")
    return lines


def _marks(c: Comparison) -> list[str]:
    """What letters, + and − mean, and where letters are left out."""
    if not c.pairs:
        return []
    if c.baseline is not None:
        sides = {"greater": "+ better", "less": "− worse"}
        return [f"{sides.get(c.alternative, '+ better, − worse')} than {c.baseline}."]
    if c.alternative in SIGNS:
        return []
    hidden = [metric_name(m) for m in c.metrics if any(c.groups(m)) and not any(letters(c, m))]
    lines = ["Rows that share a letter were not found to differ."] if len(hidden) < len(c.metrics) else []
    if hidden:
        lines.append(f"No letters for {', '.join(hidden)}, too many to read: compare fewer rows, or --baseline ROW.")
    return lines


def _shows_letters(c: Comparison) -> bool:
    return any(any(letters(c, metric)) for metric in c.metrics)


def _is_cut(c: Comparison) -> bool:
    """Whether any interval of a row or a difference leaves what its metric can be."""
    shown = [(v.lo, v.hi, m, 0.0) for values in c.values for m, v in values.items() if m in c.metrics]
    shown += [(*ends(c, pair), pair.metric, -1.0) for pair in c.pairs]
    return any(lo is not None and hi is not None and cut(lo, hi, m, least) != (lo, hi) for lo, hi, m, least in shown)


def warnings_of(c: Comparison) -> tuple[str, ...]:
    """What was skipped, what failed and what the reader must know, a sentence each."""
    lines = [f"Skipped {s.get('sampler')}+{s.get('loss')}: {s.get('reason')}" for s in c.context.skipped]
    lines += [f"Failed {f.get('run')}: {f.get('reason')}" for f in c.context.failed]
    lines += [f"Warning: {w}" for w in c.warnings]
    return tuple(line if line.endswith(".") else f"{line}." for line in lines)
