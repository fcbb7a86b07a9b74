"""Intervals of a plan from counts: they hold for all windows at once, and are no wider than they say."""

import numpy as np
import pytest

from simlab.planning.measured import tokens_interval
from simlab.planning.rates import Rates
from simlab.theory import memoryless


@pytest.mark.statistical
def test_the_intervals_hold_all_windows_at_once():
    """At an error of 0.2 more than 55 of 150 are missed with probability 7e-7 (Bin(150, 1/5)); intervals of
    a tenth of the width are caught.
    """
    rng = np.random.default_rng(5)
    exact = memoryless.tokens_per_call(0.7, np.arange(5))
    missed = narrow = 0
    for _ in range(150):
        positions = np.logical_and.accumulate(rng.random((400, 4)) < 0.7, axis=1).sum(axis=0)
        rates = Rates(positions / 400, np.full(4, 400), positions)
        low, high = tokens_interval(rates, 0.8)
        missed += not ((low <= exact) & (exact <= high)).all()
        middle = memoryless.from_rates(rates.rates)
        narrow += not (np.abs(exact - middle) <= (high - low) / 20 + 1e-12).all()
    assert missed <= 55 < narrow


def test_the_intervals_are_sums_of_clopper_and_pearsons_at_a_share_of_the_error():
    """Coverage cannot tell a share from the whole error: sums of ends are wider than they need be."""
    from scipy.stats import beta

    drafted, accepted = np.array([400, 400, 90, 90]), np.array([400, 300, 61, 0])
    found = tokens_interval(Rates(accepted / drafted, drafted, accepted), 0.9)
    tail = 0.1 / (2 * 4)
    low = [0 if not k else beta.ppf(tail, k, n - k + 1) for k, n in zip(accepted, drafted, strict=True)]
    high = [1 if k == n else beta.isf(tail, k + 1, n - k) for k, n in zip(accepted, drafted, strict=True)]
    for ends, exact in zip(found, (low, high), strict=True):
        np.testing.assert_allclose(ends, np.cumsum([1, *exact]), rtol=1e-9)
