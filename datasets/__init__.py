"""Everything about data: catalogue, fetching, reading, preparing, splitting. Imports no torch."""

from datasets.interactions import Interactions
from datasets.load import in_force, load, resolve
from datasets.protocol import Protocol
from datasets.split import CandidateLists, DataSource, Split

__all__ = ["CandidateLists", "DataSource", "Interactions", "Protocol", "Split", "in_force", "load", "resolve"]
