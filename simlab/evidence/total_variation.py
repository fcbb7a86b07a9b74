"""The total variation between two distributions, from how far each sample of the one strays from the other.

TV(output, target) = E[1 - target(x)/output(x)]_+ for x ~ output: the mean of a number in [0, 1] that the
sampler knows for each trajectory, so that intervals for means serve. Counted in levels, each rounded up or
down at random with its mean kept, it is the mean of a bounded whole number.
"""

from __future__ import annotations

import numpy as np

from simlab.checks import check_count
from simlab.errors import SimlabError
from simlab.evidence.interval import Interval, check_histogram, error_of
from simlab.evidence.mean import mean_interval_at


def total_variation_interval(deviations, confidence: float, looks: int = 1) -> Interval:
    """The total variation and an interval that holds it with probability >= confidence.

    deviations: whole numbers (L+1,), how many trajectories strayed by 0..L steps of 1/L, as in
    `Counts.deviations` (L = 1024). looks: at how many sizes, named beforehand, the run might have stopped;
    the interval holds at all of them at once. Valid at every size, without approximation. Returns floats,
    0 <= low <= estimate <= high <= 1. Raises SimlabError for no or malformed deviations, a confidence outside
    (0, 1) or looks < 1. Source: `mean_interval` of the levels, divided by L.
    """
    return total_variation_interval_at(deviations, error_of(confidence) / check_count("looks", looks))


def total_variation_interval_at(deviations, error: float) -> Interval:
    """`total_variation_interval` by its error probability, which 1 - confidence would round."""
    deviations = check_deviations(deviations)
    levels = deviations.size - 1
    return Interval(*(end / levels for end in mean_interval_at(deviations, error)))


def check_deviations(deviations) -> np.ndarray:
    """`deviations` as int64 (L+1,); raises SimlabError unless they count at least one trajectory."""
    if np.size(deviations) == 0:
        raise SimlabError("no deviations were counted: give those of a biased decoder")
    return check_histogram(deviations)
