"""Everything about data: catalogue, fetching, reading, preparing, splitting. Imports no torch."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets.consent import Consent
    from datasets.interactions import Interactions
    from datasets.loading import load
    from datasets.protocol import Protocol
    from datasets.source import Source, resolve
    from datasets.split import CandidateLists, Content, Split

_HOMES = {
    "CandidateLists": "split",
    "Consent": "consent",
    "Content": "split",
    "Interactions": "interactions",
    "Protocol": "protocol",
    "Source": "source",
    "Split": "split",
    "load": "loading",
    "resolve": "source",
}

__all__ = ["CandidateLists", "Consent", "Content", "Interactions", "Protocol", "Source", "Split", "load", "resolve"]


def __getattr__(name: str) -> object:
    """The public names, each imported when it is asked for: an error message needs no numpy."""
    if name not in _HOMES:
        raise AttributeError(f"module 'datasets' has no attribute '{name}'")
    return getattr(import_module(f"datasets.{_HOMES[name]}"), name)
