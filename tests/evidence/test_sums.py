"""Means of which only sums are known: coverage, odd cases, and what a verdict must catch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab.errors import SimlabError
from simlab.evidence import Interval, Status, ratio_interval, share_interval, sums_interval, sums_verdict
from tests.strategies import examples


def dependent(seed, n=4000):
    """Sums over n trajectories of three counts that depend on each other, with their means and bounds."""
    random = np.random.default_rng(seed)
    first = random.integers(0, 11, n)  # uniform on 0..10
    second = np.where(random.random(n) < 0.5, first, 0)  # of those, all or none
    third = (first == 10).astype(int)
    return np.array([first.sum(), second.sum(), third.sum()]), n, [10, 10, 2], [5.0, 2.5, 1 / 11]


@pytest.mark.parametrize("seed", range(5))
def test_the_intervals_hold_all_means_at_once(seed):
    """An error of 1e-6 each time: five seeds miss with probability 5e-6."""
    sums, n, most, exact = dependent(seed)
    low, high = sums_interval(sums, n, most, 1 - 1e-6)[1:]
    assert (low < exact).all() and (exact < high).all()
    assert (high - low < [0.9, 0.9, 0.1]).all()


def test_coverage_is_not_below_what_is_said():
    """300 samples at 80%: fewer than 65% of them hold with probability below 1e-8 if 80% is true."""
    held = 0
    for seed in range(300):
        sums, n, most, exact = dependent(seed, n=50)
        low, high = sums_interval(sums, n, most, 0.8)[1:]
        held += bool((low <= exact).all() and (exact <= high).all())
    assert held >= 195


@pytest.mark.parametrize("seed", range(3))
def test_verdicts_pass_and_a_wrong_mean_is_caught(seed):
    sums, n, most, exact = dependent(seed, n=200_000)
    named = {"resolution": 0.2, "cell": "E[accepted at position {0}]"}
    verdict = sums_verdict("x", sums, n, most, exact, **named)
    assert verdict.status == Status.PASS and verdict.detectable < 0.2 and verdict.trajectories == n
    wrong = sums_verdict("x", sums, n, most, [5.0, 2.5, 1 / 11 + 0.02], **named)
    assert wrong.status == Status.FAIL and wrong.statistic.startswith("E[accepted at position 3]")
    few = sums_verdict("x", *dependent(seed, n=50), **named)
    assert few.status == Status.INCONCLUSIVE


def test_an_impossible_event_fails_on_the_first_hit():
    assert sums_verdict("x", [0], 10, [5], [0.0], resolution=9).status == Status.PASS
    assert sums_verdict("x", [1], 10**6, [5], [0.0], resolution=9).status == Status.FAIL


def test_it_is_the_share_interval_of_one_sum():
    found = sums_interval([30], 100, [1], 0.99)
    share = share_interval(60, 100, 0.99)
    assert [end[0] for end in found] == pytest.approx(list(share), rel=1e-12)


def test_several_sums_share_the_error_and_so_do_looks():
    """Four sums at 99% are each as one alone at 99.75%; what could be detected is a position's own."""
    sums, most, n = [30, 5, 0, 700], [1, 1, 2, 10], 100
    together = np.array(sums_interval(sums, n, most, 0.99))
    looked = np.array(sums_interval(sums, n, most, 0.9, looks=10))
    alone = np.array([np.ravel(sums_interval([s], n, [m], 0.9975)) for s, m in zip(sums, most, strict=True)])
    np.testing.assert_allclose(together, alone.T, rtol=1e-9)
    np.testing.assert_allclose(looked, together, rtol=1e-9)
    four = sums_verdict("x", [30] * 4, n, [1] * 4, [0.3] * 4, resolution=1, false_alarm=4e-6)
    one = sums_verdict("x", [30], n, [1], [0.3], resolution=1, false_alarm=1e-6)
    assert four.detectable == pytest.approx(one.detectable, rel=1e-9)


@given(st.integers(1, 10**7), st.floats(0, 1), st.integers(0, 60), st.integers(1, 5))
@examples(60)
def test_odd_sums(n, part, most, looks):
    total = int(part * n * most)
    found = sums_interval([total, 0, n * most], n, [most] * 3, 0.95, looks)
    estimate, low, high = found
    assert (low >= 0).all() and (low <= estimate).all() and (estimate <= high).all()
    assert (high <= most).all() and low[1] == 0 and high[2] == most
    single = sums_interval([total], n, [most], 0.95)
    assert single.low[0] >= low[0] and single.high[0] <= high[0]


def test_ratios_of_what_was_never_seen_are_nan():
    part = Interval(np.array([1.0, 0.0]), np.array([0.5, 0.0]), np.array([2.0, 0.0]))
    whole = Interval(np.array([2.0, 0.0]), np.array([1.0, 0.0]), np.array([4.0, 0.0]))
    estimate, low, high = ratio_interval(part, whole)
    assert (estimate[0], low[0], high[0]) == (0.5, 0.125, 1.0)
    assert np.isnan([estimate[1], high[1]]).all()


@pytest.mark.parametrize(
    ("sums", "trajectories", "most", "complaint"),
    [
        ([1.5], 2, [3], "whole numbers"),
        ([1], 2, [3, 4], "as many bounds"),
        ([7], 2, [3], "sums[0] = 7 of 2 trajectories with at most 3 each"),
        ([-1], 2, [3], "sums[0] = -1"),
        ([1], 0, [3], "trajectories = 0"),
    ],
)
def test_mistakes(sums, trajectories, most, complaint):
    with pytest.raises(SimlabError, match=complaint.replace("[", r"\[").replace("]", r"\]")):
        sums_interval(sums, trajectories, most, 0.95)
    with pytest.raises(SimlabError, match="finite exact value"):
        sums_verdict("x", [1], 2, [3], [np.nan], resolution=1)
