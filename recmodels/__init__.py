"""Everything that needs torch: models, samplers, losses, the trainer, full-ranking evaluation."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recmodels.losses import LOSSES
    from recmodels.models import BASELINES, MODELS
    from recmodels.recommender import Lists, Recommender, fit
    from recmodels.registry import Registry
    from recmodels.samplers import SAMPLERS
    from recmodels.sampling import Proposal, Sampler, Scorer
    from recmodels.search import Search
    from recmodels.training import Training
    from recmodels.types import Batch, Candidates, LossInput, Tables

_HOMES = {
    "BASELINES": "models",
    "Batch": "types",
    "Candidates": "types",
    "LOSSES": "losses",
    "Lists": "recommender",
    "LossInput": "types",
    "MODELS": "models",
    "Proposal": "sampling",
    "Recommender": "recommender",
    "Registry": "registry",
    "SAMPLERS": "samplers",
    "Sampler": "sampling",
    "Scorer": "sampling",
    "Search": "search",
    "Tables": "types",
    "Training": "training",
    "fit": "recommender",
}

__all__ = [
    "BASELINES",
    "LOSSES",
    "MODELS",
    "SAMPLERS",
    "Batch",
    "Candidates",
    "Lists",
    "LossInput",
    "Proposal",
    "Recommender",
    "Registry",
    "Sampler",
    "Scorer",
    "Search",
    "Tables",
    "Training",
    "fit",
]


def __getattr__(name: str) -> object:
    """The public names, each imported when it is asked for: names are listed without torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'recmodels' has no attribute '{name}'")
    return getattr(import_module(f"recmodels.{_HOMES[name]}"), name)
