"""How many standard deviations a sample mean is off with probability at most `error`, for a finite sample.

The theorem of Berry and Esseen: for n independent numbers of one distribution with variance s^2 and third
absolute moment r s^3 about the mean, the distribution function of sqrt(n) (sample mean - mean) / s is nowhere
further from the normal one than

    min(0.4690 r, 0.3322 (r + 0.429), 0.3031 (r + 0.646)) / sqrt(n)

(Shevtsova, *On the absolute constants in the Berry-Esseen inequality and its structural and nonuniform
improvements*, Informatics and Applications 7(1), 2013).
"""

from __future__ import annotations

import math
from statistics import NormalDist

WORTH = 8
"""The normal distribution is used if its least possible distance, at r = 1, takes this part of the error."""


def distance(total: float, ratio: float) -> float:
    """The theorem's bound for n = `total` and r = `ratio`."""
    factor = min(0.4690 * ratio, 0.3322 * (ratio + 0.429), 0.3031 * (ratio + 0.646))
    return factor / math.sqrt(total)


def is_near(total: float, error: float) -> bool:
    """Whether n = `total` numbers are enough for it to pay at this error: decided before looking at them."""
    return 2 * distance(total, 1.0) * WORTH <= error


def deviations(total: float, error: float, ratio: float) -> float:
    """z with P(|sample mean - mean| > z s / sqrt(n)) <= error, for any r <= ratio; inf if there is none."""
    left = error - 2 * distance(total, ratio)
    return -NormalDist().inv_cdf(left / 2) if left > 0 else math.inf
