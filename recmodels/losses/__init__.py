"""Losses. To add one, write a function in a module of this folder; nothing else changes.

A loss takes a `LossInput` and keyword-only parameters, and returns one value per row (B,).
"""

from recmodels.registry import Registry

LOSSES = Registry("loss", "recmodels.losses")
