"""Columns of times: one format for a whole column, or a sentence with a line and the cure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.inputs.asking import ask, check

# The times of twelve rows, users 1 and 2 in turn; each user's last item must be the one of the latest time.
ISO = [f"2020-{month:02}-0{month % 9 + 1}" for month in range(1, 13)]
DOTS = [f"{day:02}.{month:02}.2020" for month, day in zip(range(1, 13), range(13, 25), strict=True)]

READ: list[tuple[str, list[str], str]] = [
    ("seconds", [str(1_600_000_000 + k) for k in range(12)], ""),
    ("milliseconds", [str(1_600_000_000_000 + k) for k in range(12)], ""),
    ("fractions", [f"{1_600_000_000 + k}.25" for k in range(12)], ""),
    ("small counts", [str(k) for k in range(12)], ""),
    ("ISO days", ISO, ""),
    ("ISO times", [f"{day} 12:30:{k:02}" for k, day in enumerate(ISO)], ""),
    ("ISO with T", [f"{day}T12:30:00" for day in ISO], ""),
    ("ISO with Z", [f"{day}T12:30:00Z" for day in ISO], ""),
    ("a UTC suffix", [f"{day} 04:46:34 UTC" for day in ISO], ""),
    ("zones", [f"{day}T12:30:00+0{k % 2 + 1}:00" for k, day in enumerate(ISO)], ""),
    ("parts of a second", [f"{day} 12:30:00.{k:03}" for k, day in enumerate(ISO)], ""),
    ("slashes, year first", [day.replace("-", "/") for day in ISO], ""),
    ("day first, told", DOTS, "--time-format %d.%m.%Y"),
    ("month first, told", [f"{m:02}/13/2020" for m in range(1, 13)], "--time-format %m/%d/%Y"),
    ("no zeros, told", [f"{m}/1/2020" for m in range(1, 13)], "--time-format %m/%d/%Y"),
    (
        "names of months",
        [f"{m} 5, 2020" for m in ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]],
        "",
    ),
]

REFUSED: list[tuple[str, list[str], str, list[str]]] = [
    ("day first", DOTS, "", ["a.csv", "13.01.2020", "--time-format", "%d.%m.%Y"]),
    (
        "day or month first",
        ["07/01/2020", *(f"0{k % 9 + 1}/02/2020" for k in range(11))],
        "",
        ["07/01/2020", "--time-format"],
    ),
    ("day first with times", [f"{day} 10:00" for day in DOTS], "", ["13.01.2020 10:00", "--time-format"]),
    ("two orders", [*ISO[:6], "13.09.2020", *ISO[7:]], "", ["line 8", "13.09.2020"]),
    ("two kinds", [*ISO[:6], "1600000000", *ISO[7:]], "", ["line 8", "1600000000"]),
    (
        "a date among numbers",
        [*(str(k) for k in range(6)), "2020-01-01", *(str(k) for k in range(7, 12))],
        "",
        ["line 8", "2020-01-01"],
    ),
    ("no time", [*ISO[:6], "", *ISO[7:]], "", ["line 8", "time"]),
    ("nan", [*map(str, range(6)), "nan", *map(str, range(7, 12))], "", ["line 8", "time"]),
    ("words", [*ISO[:6], "yesterday", *ISO[7:]], "", ["line 8", "'yesterday'"]),
    ("words first", ["yesterday", *ISO[1:]], "", ["line 2", "'yesterday'", "--time-format"]),
    ("day 31 of February", [*ISO[:6], "2020-02-31", *ISO[7:]], "", ["line 8", "2020-02-31"]),
    ("month 13", [*ISO[:6], "2020-13-01", *ISO[7:]], "", ["line 8", "2020-13-01"]),
    ("too large", [*map(str, range(6)), "1" + "0" * 25, *map(str, range(7, 12))], "", ["line 8", "range"]),
    ("1e25", [*map(str, range(6)), "1e25", *map(str, range(7, 12))], "", ["line 8", "range"]),
    ("negative", [*map(str, range(6)), "-5", *map(str, range(7, 12))], "", ["line 8", "-5"]),
    ("the wrong format", DOTS, "--time-format %m.%d.%Y", ["line 2", "13.01.2020", "%m.%d.%Y"]),
    ("one that does not fit", [*DOTS[:6], "2020-07-01", *DOTS[7:]], "--time-format %d.%m.%Y", ["line 8", "2020-07-01"]),
    ("no format", DOTS, "--time-format day", ["day", "%d.%m.%Y"]),
    ("an unknown code", DOTS, "--time-format %Q", ["%Q"]),
]


def _written(folder: Path, times: list[str]) -> None:
    lines = [f'{k % 2 + 1},{k + 10},{k % 5 + 1},"{time}"' for k, time in enumerate(times)]
    (folder / "a.csv").write_text("\n".join(["user,item,rating,timestamp", *lines]) + "\n")


@pytest.mark.parametrize(("times", "words"), [r[1:] for r in READ], ids=[r[0] for r in READ])
def test_times_are_read_as_they_are_written(times: list[str], words: str, here: Path) -> None:
    _written(here, times)
    answer = ask(f"data info a.csv --format json {words}")
    check(answer, 0, [])
    assert json.loads(answer.out)["split"]["users_with_tied_last_time"] == 0
    from datasets import load

    split = load("a.csv", columns=f";time-format={words.split()[1]}" if words else None)
    assert sorted(split.item_ids[split.test.items]) == [20, 21], "the last row of each user is its latest"


@pytest.mark.parametrize(("times", "words", "must"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_times_that_could_mean_two_things_are_refused(
    times: list[str], words: str, must: list[str], here: Path
) -> None:
    _written(here, times)
    for _ in range(2):  # the second time, nothing must come from a cache
        check(ask(f"compare uniform --dataset a.csv {words} --dry-run"), 2, must)
