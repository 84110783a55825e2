"""Every number of docs/statistics.md: `python -m bench.pages.simulate` writes the tables of that page."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.statistics.crossed import crossed_tests
from bench.statistics.draws import (
    CELLS,
    Corner,
    Rows,
    Squares,
    binary_rows,
    hits,
    normal_rows,
    normal_squares,
    normal_tables,
    resampled_p,
    squares_of,
)
from bench.statistics.moments import FloatArray, Moments
from bench.statistics.pooled import LEAST_SEEDS, pooled_tests
from bench.statistics.power import Components, detectable, upper_seeds
from datasets.errors import unknown

USERS, SEEDS = (200, 943, 6040), (2, 3, 5, 10)
USER_SHARES, SEED_SHARES = (0.0, 1.0, 10.0), (0.0, 0.3, 1.0, 3.0, 10.0)
ALPHA, FAMILY = 0.05, 36  # nine rows have 36 pairs
SPREADS: dict[str, Callable[[int], FloatArray]] = {
    "equal": lambda k: np.ones(k),
    "from 1 to 4": lambda k: np.linspace(1, 4, k),
    "one of 9": lambda k: np.r_[9.0, np.ones(k - 1)],
    "one of 1/9": lambda k: np.r_[1 / 9, np.ones(k - 1)],
    "half of 4": lambda k: np.where(np.arange(k) < k // 2, 4.0, 1.0),
}


@dataclass(frozen=True)
class Effort:
    """How many tables are drawn: all, or with --quick few, of few corners, to see that everything runs."""

    quick: bool

    def draws(self, n: int) -> int:
        """n, or a fortieth."""
        return max(50, n // 40) if self.quick else n

    def of(self, values: Sequence[Any]) -> Sequence[Any]:
        """All values, or the first and the last."""
        return values[:: max(1, len(values) - 1)] if self.quick else values


def p_values(s: Squares, c: Corner) -> dict[str, FloatArray]:
    """(n,) p of the default test, of its crossed part alone, and of `t` and `seeds-t`."""
    found = {name: p for name, (p, _) in crossed_tests(s.mean, s.users, s.seeds, s.error, c.users, c.seeds).items()}
    return {"crossed": np.maximum.reduce(list(found.values())), "Satterthwaite": found.pop("crossed"), **found}


def pooled_p(r: Rows, c: Corner) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """(n,) p of `crossed-pooled` and of `crossed`, and where the first fell back on the second."""
    alone = p_values(r.pair, c)["crossed"]
    known = (r.of_a > 0) & (r.of_b > 0)
    of_a, of_b = np.where(known, r.of_a, 1), np.where(known, r.of_b, 1)
    tests = pooled_tests(r.pair.mean, r.pair.users, r.pair.error, of_a, of_b, c.users, c.seeds, r.rows)
    pooled = np.maximum.reduce([p for p, _ in tests.values()])
    return np.where(known, pooled, alone), alone, ~known


def binary_squares(c: Corner, rng: np.random.Generator, n: int) -> Squares:
    """The mean squares of n tables of hits and misses, some at a time."""
    step = max(1, CELLS // (2 * c.users * c.seeds))
    parts = [squares_of(x[:, 0] - x[:, 1]) for x in (hits(c, rng, min(step, n - i)) for i in range(0, n, step))]
    return Squares(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("mean", "users", "seeds", "error")))


def levels(e: Effort, rng: np.random.Generator) -> str:
    """The default test, its parts and the one-way tests over the whole grid: the worst corner of each."""
    lines, worst = [], 0.0
    for outcome, users, seeds in product(("normal", "binary"), e.of(USERS), e.of(SEEDS)):
        shares = (USER_SHARES, SEED_SHARES) if outcome == "normal" else ((0.0, 1.0), (0.0, 1.0, 10.0))
        rates = []
        for shape in product(*map(e.of, shares)):
            c = Corner(users, seeds, *shape)
            few = min(4000, 60_000_000 // (2 * users * seeds))
            draw = (
                normal_squares(c, rng, e.draws(40_000)) if outcome == "normal" else binary_squares(c, rng, e.draws(few))
            )
            found = p_values(draw, c)
            rates.append([np.mean(found["crossed"] < ALPHA / FAMILY), *(np.mean(p < ALPHA) for p in found.values())])
        table = np.array(rates)
        top = table.max(axis=0)
        worst = max(worst, float(top[1]))
        cells = (f"{_share(table[:, 1].min())} to {_share(top[1])}", _small(top[0]), *map(_share, top[2:]))
        lines.append((outcome, users, seeds, *cells))
    header = ("outcome", "users", "seeds", "crossed", "at α/36", "Satterthwaite alone", "t", "seeds-t")
    return f"{_table(header, lines, 1)}\n\nThe worst corner of `crossed` rejects {_share(worst)}."


def corners(e: Effort, rng: np.random.Generator) -> str:
    """All tests by corner with 943 users, and the worst corner of the resampling tests with others."""
    lines = []
    for outcome, seeds, user_share, seed_share in product(
        ("normal", "binary"), e.of(SEEDS), (0.0, 1.0), e.of((0.0, 1.0, 10.0))
    ):
        c = Corner(943, seeds, user_share, seed_share)
        lines.append(
            (outcome, seeds, f"{user_share:g}", f"{seed_share:g}", *map(_share, _every(c, outcome, e, rng, 1000)))
        )
    return _table(("outcome", "seeds", "user share", "seed share", *EVERY), lines, 1)


def users(e: Effort, rng: np.random.Generator) -> str:
    """The resampling tests with few and with many users: the worst corner."""
    lines = []
    for outcome, count, seeds in product(("normal", "binary"), (200, 6040), e.of(SEEDS)):
        shapes = [Corner(count, seeds, *shape) for shape in product((0.0, 1.0), e.of((0.0, 1.0, 10.0)))]
        n = 1000 if count == 200 else 200
        worst = np.max([_every(c, outcome, e, rng, n) for c in shapes], axis=0)
        lines.append((outcome, count, seeds, *map(_share, worst)))
    return _table(("outcome", "users", "seeds", *EVERY), lines, 1)


EVERY = ("crossed", "t", "wilcoxon", "permutation", "bootstrap-users", "seeds-t", "bootstrap-seeds", "bootstrap")


def _every(c: Corner, outcome: str, e: Effort, rng: np.random.Generator, n: int) -> list[float]:
    """The level of each of `EVERY`."""
    step, n = max(1, CELLS // (2 * c.users * c.seeds)), e.draws(n)
    parts: list[dict[str, FloatArray]] = []
    for i in range(0, n, step):
        size = min(step, n - i)
        x = normal_tables(c, rng, size) if outcome == "normal" else -np.diff(hits(c, rng, size), axis=1)[:, 0]
        parts.append({**p_values(squares_of(x), c), **resampled_p(x, rng)})
    return [float(np.mean(np.concatenate([p[name] for p in parts]) < ALPHA)) for name in EVERY]


def bootstraps(e: Effort, rng: np.random.Generator) -> str:
    """The bootstraps over seeds by the number of seeds, users not varying: the worst of three seed shares."""
    lines, kept = [], {"bootstrap": 0, "bootstrap-seeds": 0}
    for seeds in e.of((2, 3, 5, 7, 8, 9, 10, 11, 12)):
        rates, batches, size = [], 32, e.draws(2000)
        for share in (1.0, 10.0, 30.0):
            c, found = Corner(100, seeds, 0.0, share), []
            for _ in range(batches):  # each with resamples of its own
                found.append(resampled_p(normal_tables(c, rng, size), rng, 999, ranks=False))
            rates.append([np.mean([np.mean(p[name] < ALPHA) for p in found]) for name in kept])
        worst = np.max(rates, axis=0)
        above = worst + 2 * np.sqrt(worst * (1 - worst) / (batches * size)) > 0.10
        for name, bad in zip(kept, above, strict=True):
            kept[name] = 0 if bad else kept[name] or seeds
        lines.append((seeds, *map(_share, worst)))
    said = " and ".join(f"from {least} seeds on for `{name}`" for name, least in kept.items())
    return f"{_table(('seeds', *kept), lines, 0)}\n\nWith two standard errors added, the rate is at most 10 % {said}."


def pooled(e: Effort, rng: np.random.Generator) -> str:
    """`crossed-pooled` with rows of equal and unequal variance: the worst of corners and of three pairs."""
    lines, holds = [], []
    plans = [("normal", 943, k, s, name) for k, s, name in product(e.of((5, 9, 15)), (5, 10), SPREADS)]
    plans += [("binary", 200, k, s, name) for k, s, name in product(e.of((5, 9)), (5, 10), ("equal", "half of 4"))]
    for outcome, count, rows, seeds, name in plans:
        shapes = (
            product((0.0, 1.5, 10.0), (0.0, 1.0, 10.0)) if outcome == "normal" else product((0.0, 1.0), (0.0, 10.0))
        )
        spread, pairs, rates = SPREADS[name](rows), rows * (rows - 1) // 2, []
        for shape in list(shapes)[:: 4 if e.quick else 1]:
            c = Corner(count, seeds, *shape)
            for a, b in ((0, 1), (0, rows - 1), (rows - 2, rows - 1)) if outcome == "normal" else ((0, rows - 1),):
                draw = normal_rows if outcome == "normal" else binary_rows
                p, alone, fell = pooled_p(draw(c, spread, a, b, rng, e.draws(8000 if outcome == "normal" else 2000)), c)
                rates.append([(x < ALPHA / m).mean() * m for m in (1, pairs) for x in (p, alone)] + [fell.mean()])
        top = np.max(rates, axis=0)
        holds.append(top[0] <= 0.06)
        lines.append((outcome, rows, seeds, name, *map(_share, top[:4]), f"{100 * top[4]:.0f} %"))
    rates_of = ("pooled at α", "crossed at α", "pooled at α/m", "crossed at α/m")
    header = ("outcome", "rows", "seeds", "variances", *rates_of, "fell back")
    out = [f"{o}, {k} rows, {s} seeds, {name}" for (o, k, s, name, *_), ok in zip(lines, holds, strict=True) if not ok]
    last = f"It holds 6 % in {sum(holds)} of {len(holds)} lines" + (f"; not in: {'; '.join(out)}." if out else ".")
    return f"{_table(header, lines, 1)}\n\n{last}"


def power(e: Effort, rng: np.random.Generator) -> str:
    """How often a difference of 4.5 standard errors is found among nine rows of 943 users, user share 1.5."""
    lines = []
    for seeds, seed_share, name in product((3, 5, 10), (0.0, 1.0), ("equal", "from 1 to 4")):
        c, spread = Corner(943, seeds, 1.5, seed_share), SPREADS[name](9)
        r = normal_rows(c, spread, 0, 1, rng, e.draws(20_000))
        error = np.sqrt((1.5 + 0.5 * (spread[0] + spread[1]) * (1 + seed_share)) / (943 * seeds))
        moved = Squares(r.pair.mean + 4.5 * error, r.pair.users, r.pair.seeds, r.pair.error)
        p, alone, _ = pooled_p(Rows(moved, r.of_a, r.of_b, 9), c)
        p = p if seeds >= LEAST_SEEDS else alone
        rates = [f"{100 * (x < ALPHA / m).mean():.0f} %" for m in (1, 8, 36) for x in (alone, p)]
        lines.append((seeds, f"{seed_share:g}", name, *rates))
    header = (
        "seeds",
        "seed share",
        "variances",
        *(f"{t} at {a}" for a in ("α", "α/8", "α/36") for t in ("crossed", "pooled")),
    )
    return _table(header, lines, 0)


def planning(e: Effort, rng: np.random.Generator) -> str:
    """How often the difference is found that `bench power` promises with 80 %, and how often its limit holds."""
    lines = []
    for seeds, user_share, seed_share in product((3, 5, 10), (0.0, 1.0, 10.0), (1.0, 3.0)):
        c, n = Corner(943, seeds, user_share, seed_share), e.draws(20_000)
        true = Components(user_share / seeds, seed_share / 943, 1.0)
        s = normal_squares(c, rng, n)
        rates = []
        for m in (1, 3, 36):
            d = detectable(true, 943, seeds, alpha=ALPHA / m)
            found = p_values(Squares(s.mean + d, s.users, s.seeds, s.error), c)["crossed"]
            rates.append(f"{100 * (found < ALPHA / m).mean():.0f} %")
        pilots = [Moments(0.0, *x, 943, seeds, 0, 0) for x in zip(s.users[:4000], s.seeds, s.error, strict=False)]
        held = np.mean([upper_seeds(m) >= true.seeds for m in pilots])
        low = np.mean(s.seeds - s.error < 943 * true.seeds)
        lines.append((seeds, f"{user_share:g}", f"{seed_share:g}", *rates, f"{100 * held:.0f} %", f"{100 * low:.0f} %"))
    header = (
        "seeds",
        "user share",
        "seed share",
        "found at α",
        "at α/3",
        "at α/36",
        "σ_s² below its limit",
        "above its estimate",
    )
    return _table(header, lines, 0)


TABLES = {f.__name__: f for f in (levels, corners, users, bootstraps, pooled, power, planning)}


def _share(rate: float) -> str:
    return f"{100 * rate:.1f} %"


def _small(rate: float) -> str:
    return f"{100 * rate:.2f} %"


def _table(header: Sequence[str], lines: Iterable[Sequence[object]], left: int) -> str:
    rule = "|".join(["---"] * left + ["--:"] * (len(header) - left))
    first, *rest = (f"| {' | '.join(map(str, line))} |" for line in (header, *lines))
    return "\n".join([first, f"|{rule}|", *rest])


def write(path: Path, name: str, text: str) -> None:
    """Put `text` between the comments `<!-- name -->` and `<!-- /name -->` of the page."""
    page = path.read_text(encoding="utf-8")
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    page, count = re.subn(f"{start}.*?{end}", lambda _: f"{start}\n\n{text}\n\n{end}", page, flags=re.DOTALL)
    if not count:
        raise ValueError(f"{path} has no {start} … {end}")
    path.write_text(page, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the tables that are named, or all, and write each into the page as soon as it is done."""
    parser = argparse.ArgumentParser(prog="python -m bench.pages.simulate", description=main.__doc__)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"{', '.join(TABLES)}; all unless named")
    parser.add_argument("--quick", action="store_true", help="few tables of few corners, to see that it runs")
    parser.add_argument("--out", type=Path, default=Path("docs/statistics.md"), help="the page with the marks")
    options = parser.parse_args(arguments)
    for name in options.tables or TABLES:
        if name not in TABLES:
            raise unknown("table", name, TABLES)
        started = time.perf_counter()
        rng = np.random.default_rng(list(TABLES).index(name))  # by table, so that each can be made again by itself
        write(options.out, name, TABLES[name](Effort(options.quick), rng))
        sys.stderr.write(f"{name}: {time.perf_counter() - started:.0f} s\n")


if __name__ == "__main__":
    main()
