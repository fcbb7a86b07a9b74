"""Intervals of what is summed over the sequences of a trace, which are the independent units."""

from __future__ import annotations

import math

import numpy as np

from simlab.evidence.interval import Interval
from simlab.evidence.mean import sample_mean_interval_at
from simlab.evidence.ratios import mean_ratio_interval_at


def sequence_ratio(
    parts: np.ndarray,
    wholes: np.ndarray,
    weights: np.ndarray,
    *,
    most_part: float,
    most_whole: float,
    most: float,
    error: float,
) -> Interval:
    """The weighted sum of parts over that of wholes, (n,) each, one a sequence, with 1 - error as coverage.

    most_part, most_whole: what those of one sequence cannot exceed. most: what the ratio cannot. Where the
    weights are equal and one of the two is the same for all sequences, this is a mean, and has the sharper
    interval of means.
    """
    if np.ptp(weights) == 0:
        if np.ptp(wholes) == 0 and wholes[0] > 0:
            mean = sample_mean_interval_at(parts, most_part, error)
            return Interval(*(min(end / float(wholes[0]), most) for end in mean))
        if np.ptp(parts) == 0 and parts[0] > 0:
            estimate, low, high = sample_mean_interval_at(wholes, most_whole, error)
            ends = (float(parts[0]) / end if end > 0 else math.inf for end in (estimate, high, low))
            return Interval(*(min(end, most) for end in ends))
    heaviest = float(weights.max())
    return mean_ratio_interval_at(
        weights * parts,
        weights * wholes,
        most_part=most_part * heaviest,
        most_whole=most_whole * heaviest,
        error=error,
        most=most,
    )
