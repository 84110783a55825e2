"""Adjusted p values of one family of tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from datasets.errors import unknown

CORRECTIONS = ("holm", "bonferroni", "bh", "by", "none")
SYNONYMS = {"fdr": "bh", "benjamini-hochberg": "bh", "benjamini-yekutieli": "by", "holm-bonferroni": "holm"}


def adjust(p: Sequence[float | None], correction: str = "holm") -> list[float | None]:
    """The adjusted p values, in the order given; a test that said nothing (None) counts as p = 1.

    Raises:
        UserError: a correction nobody knows.

    Paper: O. J. Dunn, JASA, 1961; S. Holm, Scandinavian Journal of Statistics, 1979;
    Y. Benjamini, Y. Hochberg, JRSS B, 1995; Y. Benjamini, D. Yekutieli, Annals of Statistics, 2001.
    """
    if correction not in CORRECTIONS:
        raise unknown("correction", correction, CORRECTIONS, SYNONYMS)
    raw = np.array([1.0 if x is None else x for x in p], dtype=np.float64)
    if correction == "none" or not len(raw):
        adjusted = raw
    elif correction == "bonferroni":
        adjusted = np.minimum(raw * len(raw), 1.0)
    elif correction == "holm":
        order = np.argsort(raw, kind="stable")
        steps = np.maximum.accumulate(raw[order] * np.arange(len(raw), 0, -1))
        adjusted = np.empty_like(raw)
        adjusted[order] = np.minimum(steps, 1.0)
    else:
        from scipy.stats import false_discovery_control

        adjusted = false_discovery_control(raw, method="bh" if correction == "bh" else "by")
    return [None if x is None else float(q) for x, q in zip(p, adjusted, strict=True)]
