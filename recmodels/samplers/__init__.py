"""Negative samplers. To add one, write a factory in a module of this folder; nothing else changes.

A factory takes `Training` and keyword-only parameters, and returns a `Sampler`.
"""

from recmodels.registry import Registry

SAMPLERS = Registry("sampler", "recmodels.samplers")
