"""An interval for a median, from a few independent observations of any distribution."""

from __future__ import annotations

import numpy as np

from simlab.errors import SimlabError
from simlab.evidence.interval import Interval, error_of


def median_interval(sample, confidence: float) -> Interval:
    """The sample's median, and an interval that holds the distribution's with that confidence at least.

    sample: (n,), finite numbers. Between the k-th smallest and the k-th largest, k the largest with
    2 P(Binomial(n, 1/2) < k) <= 1 - confidence: at most so often do fewer than k lie on one side of the
    median. Source: order statistics (Thompson 1936). Raises SimlabError where n is too small for any k.
    """
    from scipy.special import bdtr

    ordered = np.sort(np.asarray(sample, float))
    n = len(ordered)
    chances = np.append(0.0, 2 * bdtr(np.arange(n // 2), n, 0.5))
    k = int(np.flatnonzero(chances <= error_of(confidence))[-1])
    if k == 0:
        raise SimlabError(f"{n} observations: too few for a median's interval with confidence {confidence:g}")
    return Interval(float(np.median(ordered)), float(ordered[k - 1]), float(ordered[n - k]))
