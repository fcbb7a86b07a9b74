"""The one martingale of an audit: a weighted mean over instances, sides and positions."""

from __future__ import annotations

import math

import numpy as np

from simlab.auditing.evidence import Evidence
from simlab.auditing.martingale import log_mean


def weighed(evidences: list[Evidence], law: str | None) -> tuple[float, bool]:
    """(its logarithm, whether it is the number of accepted tokens that makes it large)."""
    tilts = [one.tilts() for one in evidences]
    bias = [list(one.bias(each).values()) for one, each in zip(evidences, tilts, strict=True)]
    pooled = sum(each.sum(axis=-1) for each in tilts)  # over instances and positions
    unbiased = [(0.8, np.concatenate(bias)), (0.2, pooled.ravel())]
    acceptance = []
    if law:
        accepts = [list(one.accepts().values()) for one in evidences]
        pooled = sum(one.pooled_acceptance() for one in evidences)
        acceptance = [(0.4, np.concatenate(accepts)), (0.1, pooled.ravel())]
        unbiased = [(weight / 2, logs) for weight, logs in unbiased]
    parts = [math.log(weight) + float(log_mean(logs)) for weight, logs in unbiased + acceptance]
    return float(np.logaddexp.reduce(parts)), bool(acceptance) and max(parts[2:]) > max(parts[:2])
