"""Everything about data: catalogue, fetching, reading, preparing, splitting. Imports no torch."""

from datasets.consent import Consent
from datasets.interactions import Interactions
from datasets.load import load
from datasets.protocol import Protocol
from datasets.source import Source, resolve
from datasets.split import CandidateLists, Content, Split

__all__ = ["CandidateLists", "Consent", "Content", "Interactions", "Protocol", "Source", "Split", "load", "resolve"]
