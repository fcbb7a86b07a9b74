"""The binomial bands against exact tails in rational arithmetic, down to the levels in use."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab.errors import SimlabError
from simlab.evidence import Interval, clopper_pearson, marginals_band, pmf_band, scaled_residuals
from tests.exact import close


def upper_tail(k, n, p):
    """P(Bin(n, p) >= k), exactly."""
    p = Fraction(p)
    return sum(math.comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(k, n + 1))


@pytest.mark.parametrize("tail", [0.025, 1e-6, 1e-6 / (2 * 50 * 1000), 1e-120])
@pytest.mark.parametrize("n", [1, 2, 30])
def test_tails_are_exact(n, tail):
    estimate, low, high = clopper_pearson(np.arange(n + 1), n, tail)
    assert low[0] == 0 and high[n] == 1
    for k in range(1, n + 1):
        assert float(upper_tail(k, n, low[k]) / Fraction(tail)) == pytest.approx(1, rel=1e-8)
    for k in range(n):
        below = 1 - upper_tail(k + 1, n, high[k])
        # An end next to 1 is a float next to 1: what is left below it has few digits.
        grain = 1e-16 / (1 - high[k]) * n if high[k] < 1 else np.inf
        assert float(below / Fraction(tail)) == pytest.approx(1, rel=1e-8 + 2 * grain)
    np.testing.assert_array_equal(estimate, np.arange(n + 1) / n)


@pytest.mark.parametrize("n", [10**6, 10**9])
@pytest.mark.parametrize("k", [1, 2, 17])
def test_rare_hits_in_many_trials(n, k):
    """Few hits: the tail as a sum of few terms, by log-gamma."""
    tail = 1e-6 / (2 * 50 * 1000)
    _, low, high = (float(a[0]) for a in clopper_pearson(np.array([k]), n, tail))

    def term(j, p):
        ways = math.lgamma(n + 1) - math.lgamma(j + 1) - math.lgamma(n - j + 1)
        return math.exp(ways + j * math.log(p) + (n - j) * math.log1p(-p))

    # log-gamma of n loses digits: 1e9 log(1e9) is 2e10, whose last digit is worth 4e-6.
    assert math.fsum(term(j, low) for j in range(k, k + 60)) == pytest.approx(tail, rel=1e-4)
    assert math.fsum(term(j, high) for j in range(k + 1)) == pytest.approx(tail, rel=1e-4)


def test_coverage_is_exact_and_a_narrower_band_is_caught():
    n, tail = 60, 1e-4

    def worst_miss(k_low, k_high):
        misses = []
        for p in np.linspace(0.01, 0.99, 99):
            pmf = np.array([math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)])
            misses.append(pmf[(p < k_low) | (p > k_high)].sum())
        return max(misses)

    estimate, low, high = clopper_pearson(np.arange(n + 1), n, tail)
    assert worst_miss(low, high) <= 2 * tail
    assert worst_miss(estimate - 0.8 * (estimate - low), estimate + 0.8 * (high - estimate)) > 2 * tail


def test_bonferroni_over_the_cells():
    histogram = np.array([5, 0, 95])
    close(pmf_band(histogram, 0.94), clopper_pearson(histogram, 100, (1 - 0.94) / 6))
    looked = pmf_band(histogram, 0.94, looks=7)
    close(looked, clopper_pearson(histogram, 100, (1 - 0.94) / 7 / 6))
    tokens = np.array([[40, 60], [100, 0]])
    band = marginals_band(tokens, 100, 0.96)
    close(band, clopper_pearson(tokens, 100, (1 - 0.96) / 8))
    assert band.low.shape == (2, 2) and band.low[1, 1] == 0 and band.high[1, 0] == 1


@given(
    st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), st.floats(1e-12, 0.4)
)
def test_ordered_mirrored_and_monotone(drawn, tail):
    n, k = drawn
    estimate, low, high = (float(a[0]) for a in clopper_pearson(np.array([k]), n, tail))
    assert 0 <= low <= estimate <= high <= 1
    mirror = clopper_pearson(np.array([n - k]), n, tail)
    assert 1 - mirror.high[0] == pytest.approx(low, abs=1e-9)
    wider = clopper_pearson(np.array([k]), n, tail / 2)
    assert wider.low[0] <= low and high <= wider.high[0]


def test_scaled_residuals_are_one_at_the_ends_of_a_lopsided_interval():
    interval = Interval(np.full(3, 0.01), np.full(3, 0.009), np.full(3, 0.03))
    np.testing.assert_allclose(scaled_residuals(interval, [0.009, 0.03, 0.01]), [1, -1, 0])
    empty = Interval(np.zeros(3), np.zeros(3), np.full(3, 0.1))
    np.testing.assert_array_equal(scaled_residuals(empty, [0.05, -1e-17, -0.1]), [-0.5, 0, np.inf])


@pytest.mark.parametrize(
    ("tokens", "trajectories", "says"),
    [
        ([1, 2], 3, "T, V"),
        ([[1, 2], [3, 1]], 3, "t = 1 sum to 4"),
        ([[0.5, 0.5]], 1, "whole numbers"),
        ([[4, -1]], 3, "outside 0..3"),
    ],
)
def test_mistakes(tokens, trajectories, says):
    with pytest.raises(SimlabError, match=says):
        marginals_band(tokens, trajectories, 0.9)


@pytest.mark.parametrize("looks", [0, 2.0, True])
def test_no_such_number_of_looks(looks):
    with pytest.raises(SimlabError, match="looks = "):
        pmf_band([1, 1], 0.9, looks=looks)
