"""The interval of a median covers it as often as it says, whatever the distribution."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from simlab.errors import SimlabError
from simlab.evidence import median_interval


@pytest.mark.parametrize(("n", "confidence"), [(6, 0.95), (7, 0.95), (9, 0.9)])
def test_it_covers_by_enumeration_of_the_sides(n, confidence):
    """Each observation is below or above the median by a fair coin; all 2**n are looked at."""
    covered = 0
    for sides in itertools.product((-1.0, 1.0), repeat=n):
        sample = np.array(sides) * (1 + np.arange(n))
        _, low, high = median_interval(sample, confidence)
        covered += low < 0 < high
    assert covered / 2**n >= confidence


def test_few_observations_span_it_and_too_few_are_refused():
    assert median_interval([5, 1, 2, 4, 3, 6], 0.95) == (3.5, 1, 6)
    with pytest.raises(SimlabError, match="5 observations: too few"):
        median_interval([1, 2, 3, 4, 5], 0.95)
