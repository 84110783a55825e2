"""Models: encoders from parameters to user and item vectors. To add one, write a factory in a module of this folder.

A factory takes `Training`, the sizes and random stream in `Shape`, and keyword-only parameters, and returns a module
whose `forward()` gives `Tables`.
"""

from recmodels.registry import Registry

MODELS = Registry("model", "recmodels.models")
BASELINES = Registry("baseline", "recmodels.baselines")
