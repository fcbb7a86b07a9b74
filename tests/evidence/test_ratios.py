"""Intervals of ratios of means hold at the stated confidence, where a bootstrap-like interval does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab.errors import SimlabError
from simlab.evidence import mean_ratio_interval
from tests.strategies import examples

NUMBERS = st.just(0.0) | st.floats(1e-9, 1)
SIZES = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=20)


@examples(60)
@given(pairs=SIZES, confidence=st.sampled_from([0.5, 0.95, 1 - 1e-9]))
def test_the_estimate_is_the_ratio_of_sums_and_lies_inside(pairs, confidence):
    parts, wholes = np.array(pairs).T
    found = mean_ratio_interval(parts, wholes, most_part=1, most_whole=1, confidence=confidence, most=5.0)
    if not wholes.any():
        assert np.isnan(found.estimate) and found[1:] == (0.0, 5.0)
        return
    assert found.estimate == pytest.approx(min(parts.sum() / wholes.sum(), 5.0))
    assert 0 <= found.low <= found.estimate <= found.high <= 5.0


@examples(40)
@given(pairs=SIZES)
def test_more_confidence_is_wider_and_more_pairs_are_narrower(pairs):
    parts, wholes = np.array(pairs).T
    if not (parts.any() and wholes.any()):
        return

    def interval(times, confidence):
        many = (np.tile(one, times) for one in (parts, wholes))
        return mean_ratio_interval(*many, most_part=1, most_whole=1, confidence=confidence, most=1e6)

    few, sure, many = interval(1, 0.9), interval(1, 0.999), interval(400, 0.9)
    assert sure.low <= few.low and few.high <= sure.high
    # Equality where an end is that of the range.
    assert few.low <= many.low + 1e-9 and many.high <= few.high + 1e-9


def _misses(interval, size: int, repeats: int, seed: int) -> int:
    """Of a ratio of .02, of rare events: how often the interval does not hold it."""
    random = np.random.default_rng(seed)
    missed = 0
    for _ in range(repeats):
        wholes = np.where(random.random(size) < 0.8, 0.25, 1.0)
        parts = wholes * (random.random(size) < 0.02)
        _, low, high = interval(parts, wholes)
        missed += not low <= 0.02 <= high
    return missed


@pytest.mark.statistical
def test_it_holds_the_truth_as_often_as_it_says():
    """At 80%, of 200 samples of 30: at most 40 misses are expected; more than 70 have a chance of 1e-6."""

    def interval(parts, wholes):
        return mean_ratio_interval(parts, wholes, most_part=1, most_whole=1, confidence=0.8, most=1)

    assert _misses(interval, 30, 200, 1) <= 70


def test_and_the_normal_interval_does_not():
    """The negative control: without a rare event in the sample its width is 0, and it misses."""

    def normal(parts, wholes):
        ratio = parts.sum() / wholes.sum()
        spread = 1.28 * np.std(parts - ratio * wholes) / wholes.mean() / len(parts) ** 0.5
        return ratio, ratio - spread, ratio + spread

    assert _misses(normal, 30, 200, 1) > 70


def test_pairs_need_not_be_alike():
    """Half of them are always 0, half always 1: an interval for the mean of both, .5."""
    parts = np.tile([0.0, 1.0], 50)
    low, high = mean_ratio_interval(parts, np.ones(100), most_part=1, most_whole=1, confidence=0.99)[1:]
    assert low < 0.5 < high


@pytest.mark.parametrize(
    ("parts", "wholes", "said"),
    [
        ([], [], "expected .n,., at least one"),
        ([1.0], [1.0, 1.0], "1 parts and 2 wholes"),
        ([2.0], [1.0], r"parts\[0\] = 2.0; expected a number in \[0, 1\]"),
        ([1.0], [-1.0], r"wholes\[0\] = -1.0"),
        ([float("nan")], [1.0], r"parts\[0\] = nan"),
    ],
)
def test_what_is_out_of_range_is_refused(parts, wholes, said):
    with pytest.raises(SimlabError, match=said):
        mean_ratio_interval(parts, wholes, most_part=1, most_whole=1, confidence=0.9)
    with pytest.raises(SimlabError, match="confidence"):
        mean_ratio_interval([1.0], [1.0], most_part=1, most_whole=1, confidence=1.0)
