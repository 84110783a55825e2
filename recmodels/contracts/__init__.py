"""What every method promises, each promise a function that raises `Broken` where a method does not keep it.

The tests hold the methods of this package to them, and `bench check` those of a plug-in.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from recmodels.declared import mistakes

Contract = Callable[[str], None]
"""Holds the method of a name to one promise, which the first line of its docstring says."""


class Broken(AssertionError):
    """A method does not keep a promise; the message says which part of it."""


def hold(kept: object, said: str) -> None:
    """Raise `Broken`, saying so, unless the promise is kept."""
    if not kept:
        raise Broken(said)


def promise(contract: Contract) -> str:
    """What a contract promises, in a line."""
    return (contract.__doc__ or "").partition("\n")[0].rstrip(".")


def it_says_what_it_is(kind: str, name: str) -> None:
    """It has a docstring that describes every parameter, and names its paper, or says that it has none."""
    from recmodels.plugins import REGISTRIES

    entry = next(registry for registry in REGISTRIES if registry.kind == kind).entry(name)
    hold(entry.summary, "it has no docstring; say in its first line what comes out")
    hold(entry.facts.get("paper"), 'it names no paper; write paper="authors, venue, year", or paper="none: …" and why')
    for parameter in entry.parameters:
        hold(f"{parameter}: " in entry.doc, f"its docstring says nothing of {parameter}; write a line under Args:")
    for said in mistakes(kind, entry):
        raise Broken(said.rstrip("."))


def it_can_be_read(name: str) -> None:
    """It gives the path of a file or folder with interactions."""
    from datasets.source import resolve

    hold(len(resolve(name).table()), "there is no interaction in it")


def contracts(kind: str) -> tuple[Contract, ...]:
    """What a method of this kind promises."""
    from recmodels.contracts import baselines, losses, models, samplers
    from recmodels.contracts.steps import a_step_moves_its_rows

    own = {
        "sampler": samplers.CONTRACTS,
        "loss": losses.CONTRACTS,
        "model": models.CONTRACTS,
        "baseline": baselines.CONTRACTS,
        "dataset": (it_can_be_read,),
    }[kind]
    trained = () if kind in ("baseline", "dataset") else (_of(kind, a_step_moves_its_rows),)
    return (_of(kind, it_says_what_it_is), *own, *trained)


def _of(kind: str, contract: Callable[[str, str], None]) -> Contract:
    """A contract of all kinds for the methods of one."""

    @wraps(contract)
    def held(name: str) -> None:
        contract(kind, name)

    return held
