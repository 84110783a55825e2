"""Everything about data: catalogue, fetching, reading, preparing, splitting. Imports no torch."""

from datasets.interactions import Interactions

__all__ = ["Interactions"]
