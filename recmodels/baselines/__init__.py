"""Baselines: models without sampler and loss. To add one, write a function in a module of this folder.

A function takes `Training` and keyword-only parameters, and returns what scores every item for a block of users:
`Tables`, or another class with `scores`. One that draws random numbers takes an `rng` behind `Training`, and gets
another one for every seed; one that does not is run once, whatever the number of seeds. It learns from
`training.interactions`; users of a strong split, whom it does not learn from, are ranked by `training.fold_in`.
"""
