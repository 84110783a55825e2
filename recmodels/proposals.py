"""Proposals by name: what `proposal=popularity:alpha=0.5` means, and the sampler that it builds.

A proposal is a sampler that chooses nothing: it draws by a law that it states. A sampler with a parameter `proposal`
chooses among such draws, or weighs them. The options of the proposal follow its name, one colon each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datasets.errors import UserError, unknown
from recmodels.compatibility import Parameters, is_whole, text_of
from recmodels.entries import Entry
from recmodels.registry import not_registered
from recmodels.samplers import SAMPLERS

if TYPE_CHECKING:
    from recmodels.sampling import Sampler, Training


def proposals() -> list[str]:
    """The samplers that may propose."""
    return [name for name in SAMPLERS if _proposes(SAMPLERS.entry(name))]


def read(text: str) -> tuple[Entry, Parameters]:
    """What a proposal's text names: the sampler and all its parameters.

    Raises:
        UserError: no sampler, one that proposes nothing, or an option that it does not have.
    """
    name, *options = text.split(":")
    if name not in SAMPLERS:
        raise not_registered("proposal", name, [SAMPLERS])
    entry = SAMPLERS.entry(name)
    if not _proposes(entry):
        raise UserError(f"{name} draws by no law of its own, so it proposes nothing; give {' or '.join(proposals())}.")
    given: dict[str, str] = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals or key in given:
            raise UserError(f"'{option}' in proposal={text} is no option, or given twice; write {name}:name=value.")
        if key not in entry.parameters:
            raise unknown(f"parameter of {name}", key, entry.parameters or ["(it has none)"])
        given[key] = value
    return entry, SAMPLERS.parameters(name, given)


def known_proposal(text: str) -> str:
    """The proposal, spelled in one way: its name, and what differs from its defaults."""
    entry, parameters = read(text)
    changed = [f"{key}={text_of(value)}" for key, value in parameters.items() if value != entry.parameters[key].default]
    return ":".join([entry.name, *changed])


def propose(training: Training, text: str) -> Sampler:
    """The sampler behind a proposal's text, whose draws another one may choose among."""
    entry, parameters = read(text)
    sampler: Sampler = SAMPLERS[entry.name](training, **parameters)
    return sampler


def _proposes(entry: Entry) -> bool:
    """Whether it states the law of what it draws, and draws rather than lays out the catalogue."""
    return "log_q" in entry.facts.get("gives", []) and "proposal" not in entry.parameters and not is_whole(entry.name)
