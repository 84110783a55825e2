"""Values of options that are more than a word: seeds, cut-offs, settings, k-cores; each read from a text or a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

import typer

from datasets.errors import UserError

T = TypeVar("T")
MOST_SEEDS = 10_000


def said(read: Callable[[object], T]) -> Callable[[object], T]:
    """The same for typer, which would wrap a `UserError` in words of its own."""

    def parser(value: object) -> T:
        try:
            return read(value)
        except UserError as error:
            raise typer.TyperException(str(error)) from error

    return parser


class Seeds(tuple[int, ...]):
    """Seeds of the runs."""

    @classmethod
    def of(cls, value: object) -> Seeds:
        """`5` is 0 … 4, `10-14` is 10 … 14, `3,7` is those two; a list is itself.

        Raises:
            UserError: none of these, a seed twice, or more than `MOST_SEEDS`.
        """
        shown = _shown(value)
        try:
            seeds = range(value) if isinstance(value, int) else _numbers(value, _seeds)
        except ValueError:
            seeds = []
        size = seeds.stop - seeds.start if isinstance(seeds, range) else len(seeds)  # len() knows no huge numbers
        if size > MOST_SEEDS:
            raise UserError(f"--seeds {shown} are more seeds than anybody trains; give at most {MOST_SEEDS}.")
        if len(set(seeds)) < len(seeds):
            raise UserError(f"--seeds {shown} names a seed twice; give each once.")
        if not seeds or min(seeds) < 0:
            raise UserError(
                f"--seeds {shown} names no seeds; give a count as in 5, a range as in 10-14, or a list as in 3,7."
            )
        return cls(seeds)


class Cutoffs(tuple[int, ...]):
    """The K of metrics, ascending."""

    @classmethod
    def of(cls, value: object) -> Cutoffs:
        """`5,10,20`, a list, or one number.

        Raises:
            UserError: anything else, or a number out of range.
        """
        from recmodels.metrics import MAX_CUTOFF

        try:
            cutoffs = _numbers([value] if isinstance(value, int) else value, _listed)
        except ValueError:
            cutoffs = []
        if not cutoffs or len(set(cutoffs)) < len(cutoffs) or min(cutoffs) < 1 or max(cutoffs) > MAX_CUTOFF:
            raise UserError(
                f"--cutoffs {_shown(value)} is not a list of whole numbers from 1 to {MAX_CUTOFF}, each once; write it "
                "as in 5,10,20."
            )
        return cls(sorted(cutoffs))


class Core(NamedTuple):
    """The least interactions that users and items keep."""

    users: int
    items: int

    @classmethod
    def of(cls, value: object) -> Core:
        """`5` for both, `10,5` for users and items, or a list of the two.

        Raises:
            UserError: anything else.
        """
        try:
            numbers = _numbers([value] if isinstance(value, int) else value, _listed)
        except ValueError:
            numbers = []
        if len(numbers) not in (1, 2) or min(numbers) < 0:
            raise UserError(f"--k-core {_shown(value)} is not K or users,items; write it as in 5 or 10,5.")
        return cls(numbers[0], numbers[-1])


class Setting(NamedTuple):
    """One value of one trainer setting."""

    name: str
    value: str

    @classmethod
    def of(cls, value: object) -> Setting:
        """`epochs=20`.

        Raises:
            UserError: no `=`.
        """
        if isinstance(value, Setting):
            return value
        name, equals, rest = str(value).partition("=")
        if not equals or not name.strip():
            raise UserError(f"--set {value} is not a setting; write name=value, as in --set epochs=20.")
        return cls(name.strip(), rest)


def _numbers(value: object, read: Callable[[str], Sequence[int]]) -> Sequence[int]:
    if isinstance(value, str):
        return read(value)
    if not isinstance(value, Iterable):
        raise ValueError
    numbers = list(value)
    if not all(type(number) is int for number in numbers):
        raise ValueError
    return numbers


def _seeds(text: str) -> Sequence[int]:
    if "-" in text and "," not in text:
        first, last = map(int, text.split("-"))
        return range(first, last + 1)
    return _listed(text) if "," in text else range(int(text))


def _listed(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
