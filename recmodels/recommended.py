"""Recommended settings: what a method's authors used, or what was found for it on a validation part.

A sampler, loss or model says so where it is registered: `recommended={"l2": 3e-4}` with its own parameters or settings
of the trainer, and `recommended_from` a paper, or `validation on` a data set.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from recmodels.compatibility import is_whole, text_of
from recmodels.entries import Entry, Value
from recmodels.settings import setting_parameters

ORDER = ("loss", "sampler", "model", "baseline")  # whose word counts first


@dataclass
class Recommended:
    """What the parts of one row recommend.

    Attributes:
        own: kind of the part → its own parameters, as text.
        settings: settings of the trainer, as text.
        told: `l2`, or `psl:temperature` where it is a parameter of a part → the value, and who says so from where.
        remarks: sentences: a setting on which two parts differ, or one that a search may have missed.
        trials: how many settings were tried to find these; None where nothing was searched.
        exhausted: whether these were all that there are to try.
        search: what was searched where, and what came of it, in words.
    """

    own: dict[str, dict[str, str]] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    told: dict[str, tuple[Value, str]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    trials: int | None = None
    exhausted: bool = False
    search: str = ""


Advise = Callable[[Mapping[str, Entry], Mapping[str, Mapping[str, str]], Collection[str]], Recommended]
"""Values in place of the defaults for what a row does not give itself; arguments as for `recommended`."""


def recommended(
    parts: Mapping[str, Entry], given: Mapping[str, Collection[str]], fixed: Collection[str]
) -> Recommended:
    """What is recommended for a row and not said otherwise; of two words on a setting the loss's, then the sampler's.

    Args:
        parts: kind → sampler, loss and model, or a baseline.
        given: kind → the part's own parameters that the row names.
        fixed: settings of the trainer that the row or `--set` names.
    """
    found, settings = Recommended(), setting_parameters()
    all_anyway = "sampler" in parts and is_whole(parts["sampler"].name)
    spoken: dict[str, tuple[Value, str]] = {}  # setting → its value, and who said it first
    for kind in (kind for kind in ORDER if kind in parts):
        entry = parts[kind]
        source = f"{entry.name}: {entry.facts.get('recommended_from')}"
        for key, value in entry.facts.get("recommended", {}).items():
            if key in entry.parameters:
                if key not in given[kind]:
                    found.own.setdefault(kind, {})[key] = text_of(value)
                    found.told[f"{entry.name}:{key}"] = (value, source)
            elif key not in settings:
                raise ValueError(f"{entry.name} recommends {key}, which is neither its parameter nor the trainer's")
            elif key in fixed or (key == "negatives" and all_anyway):
                continue
            elif key not in spoken:
                spoken[key] = (value, entry.name)
                found.settings[key], found.told[key] = text_of(value), (value, source)
            elif value != spoken[key][0]:
                first, who = spoken[key]
                found.remarks += (f"{key} is {first} as {who} recommends, not {value} as {entry.name} does",)
    return found
