"""Everything that needs torch: models, samplers, losses, the trainer, full-ranking evaluation."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recmodels.recommender import Lists, Recommender, fit

__all__ = ["Lists", "Recommender", "fit"]


def __getattr__(name: str) -> object:
    """`recmodels.fit` and what it gives, imported when they are asked for: names are listed without torch."""
    if name not in __all__:
        raise AttributeError(f"module 'recmodels' has no attribute '{name}'")
    return getattr(import_module("recmodels.recommender"), name)
