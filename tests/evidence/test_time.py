"""`time_interval`: its coverage where every pair of histograms can be listed, and for dependent counts."""

import itertools
import math

import numpy as np
import pytest

from simlab.errors import SimlabError
from simlab.evidence import Status, call_time_interval, mean_interval, time_interval, time_verdict
from simlab.evidence.time import time_interval_at

CALLS, DRAFTED = 3, 4  # most target calls and most drafted tokens of a trajectory, in the tests below


def histograms(pairs):
    """Those of target calls and of drafted tokens, of a sample of pairs (calls, drafted)."""
    calls, drafted = np.transpose(pairs)
    return np.bincount(calls, minlength=CALLS + 1), np.bincount(drafted, minlength=DRAFTED + 1)


def miss(interval, distribution, size, draft_cost, target_cost):
    """The probability that the interval misses the mean time, over all samples of that size.

    distribution: {(calls, drafted): probability}.
    """
    mean = sum(p * (draft_cost * d + target_cost * n) for (n, d), p in distribution.items())
    missed = 0.0
    for counts in itertools.product(range(size + 1), repeat=len(distribution)):
        if sum(counts) != size:
            continue
        ways = math.factorial(size) / math.prod(math.factorial(k) for k in counts)
        probability = ways * math.prod(p**k for p, k in zip(distribution.values(), counts, strict=True))
        sample = [pair for pair, k in zip(distribution, counts, strict=True) for _ in range(k)]
        _, low, high = interval(*histograms(sample), draft_cost, target_cost)
        missed += probability * (not low <= mean <= high)
    return missed


LAWS = {
    "together": {(1, 1): 0.5, (2, 2): 0.3, (3, 4): 0.2},
    "against each other": {(1, 4): 0.05, (2, 2): 0.15, (3, 0): 0.8},
    "hardly ever": {(1, 0): 0.97, (3, 4): 0.03},
}


def normal_interval(calls, drafted, draft_cost, target_cost):
    """At 3 standard errors, and as if calls and drafted tokens were independent."""
    ends = []
    for histogram, cost in ((calls, target_cost), (drafted, draft_cost)):
        values, size = np.arange(len(histogram)), histogram.sum()
        mean = histogram @ values / size
        ends.append((cost * mean, 3 * cost * math.sqrt(histogram @ (values - mean) ** 2) / size))
    middle, half = sum(m for m, _ in ends), math.hypot(*(h for _, h in ends))
    return middle, middle - half, middle + half


@pytest.mark.statistical
@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("error", [0.2, 1e-6])
def test_exact_coverage_whatever_the_dependence(name, error):
    def interval(*measured):
        return time_interval_at(*measured, error)

    assert miss(interval, LAWS[name], 6, 0.3, 1.0) <= error


@pytest.mark.parametrize("name", LAWS)
def test_the_coverage_check_catches_a_normal_interval(name):
    assert miss(normal_interval, LAWS[name], 6, 0.3, 1.0) > 0.0027


def draws(rng, trajectories):
    """Calls and drafted tokens that depend on each other, with the mean time at costs (0.25, 2)."""
    calls = 1 + rng.binomial(10, 0.4, trajectories)
    drafted = 3 * calls + rng.binomial(2, 0.5, trajectories)
    return np.bincount(calls, minlength=12), np.bincount(drafted, minlength=36)


MEAN_TIME = 0.25 * (3 * 5 + 1) + 2 * 5


def test_a_right_mean_time_passes_and_a_wrong_one_fails():
    """Each verdict on the right one FAILs with probability at most 1e-6; the wrong ones are off by
    `detectable`, so that each of them is missed with probability at most 1e-6.
    """
    for seed in range(5):
        sample = draws(np.random.default_rng(seed), 20_000)
        verdict = time_verdict("time", *sample, 0.25, 2.0, MEAN_TIME, resolution=0.4)
        assert verdict.status is Status.PASS and verdict.statistic == "mean time"
        assert verdict.trajectories == 20_000
        for wrong in (MEAN_TIME + verdict.detectable, MEAN_TIME - verdict.detectable):
            assert time_verdict("time", *sample, 0.25, 2.0, wrong, resolution=0.4).status is Status.FAIL


def test_drafted_tokens_left_out_are_noticed():
    calls, drafted = draws(np.random.default_rng(7), 20_000)
    forgotten = np.bincount(np.repeat(np.maximum(np.arange(36) - 1, 0), drafted), minlength=36)
    verdict = time_verdict("time", calls, forgotten, 0.25, 2.0, MEAN_TIME, resolution=0.5)
    assert verdict.status is Status.FAIL


def test_few_trajectories_are_inconclusive():
    sample = draws(np.random.default_rng(3), 50)
    assert time_verdict("time", *sample, 0.25, 2.0, MEAN_TIME, resolution=0.1).status is Status.INCONCLUSIVE


def test_the_interval_is_the_sum_of_two_at_half_the_error_and_scales_with_the_unit():
    calls, drafted = draws(np.random.default_rng(11), 4000)
    found = time_interval(calls, drafted, 0.25, 2.0, confidence=0.9)
    parts = mean_interval(drafted, 0.95), mean_interval(calls, 0.95)
    expected = [0.25 * d + 2 * n for d, n in zip(*parts, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    np.testing.assert_allclose(time_interval(calls, drafted, 250, 2000, 0.9), 1000 * np.array(found))


def test_looks_share_the_error():
    sample = draws(np.random.default_rng(12), 4000)
    ten = time_interval(*sample, 0.25, 2.0, confidence=0.9, looks=10)
    np.testing.assert_allclose(ten, time_interval(*sample, 0.25, 2.0, confidence=0.99), rtol=1e-9)
    verdict = time_verdict("time", *sample, 0.25, 2.0, MEAN_TIME, resolution=1, looks=10)
    assert verdict.method == "fixed size, at each of 10 sizes at once"
    once = time_verdict("time", *sample, 0.25, 2.0, MEAN_TIME, resolution=1)
    assert verdict.low < once.low and verdict.high > once.high and verdict.detectable > once.detectable
    # The same band at one look: to be missed at none of ten, a discrepancy must be larger.
    banded = time_verdict("time", *sample, 0.25, 2.0, MEAN_TIME, resolution=1, false_alarm=1e-7)
    assert verdict.low == pytest.approx(banded.low, rel=1e-9) and verdict.detectable > banded.detectable


def test_where_nothing_can_be_drafted_the_time_is_that_of_the_calls():
    """T = 1 with the bonus token."""
    calls = np.array([0, 500])
    found = time_interval(calls, np.array([500]), 0.25, 2.0, confidence=0.99)
    np.testing.assert_allclose(found, 2 * np.array(mean_interval(calls, 0.995)))
    assert found.estimate == 2.0


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"target_calls": [0, 3]}, "target calls of 3 trajectories and drafted tokens of 4"),
        ({"drafted_tokens": []}, "drafted tokens were not counted"),
        ({"drafted_tokens": [1.0, 3.0]}, "a histogram of shape"),
        ({"target_calls": [0, 0]}, "a histogram with least entry 0 and sum 0"),
        ({"draft_cost": 0}, "draft_cost = 0 is not valid; expected a finite number > 0"),
        ({"target_cost": -1.0}, "target_cost = -1.0 is not valid; expected a finite number > 0"),
        ({"confidence": 1.0}, "confidence = 1.0"),
        ({"looks": 0}, "looks = 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_mistakes_are_one_line(changed, told):
    given = {
        "target_calls": [0, 4],
        "drafted_tokens": [1, 3],
        "draft_cost": 0.1,
        "target_cost": 1.0,
        "confidence": 0.9,
    }
    with pytest.raises(SimlabError, match=told) as caught:
        time_interval(**given | changed)
    assert "\n" not in str(caught.value)


CALL_TIMES = np.array([1.0, 2.5, 2.75])  # what a call takes that drafts 0, 1 or 2 tokens: on no line
TRAJECTORIES = {((2, 0),): 0.4, ((1, 2), (1, 0)): 0.35, ((2, 1), (1, 2)): 0.25}
"""Laws of trajectories: ((calls, tokens that each of them drafts), ..)."""


def call_interval(sample, times, confidence, partial):
    """`call_time_interval` of a list of trajectories."""
    calls = [sum(number for number, _ in one) for one in sample]
    drafted = [sum(number * tokens for number, tokens in one) for one in sample]
    by_drafted = np.bincount(
        [tokens for one in sample for number, tokens in one for _ in range(number)], minlength=len(times)
    )
    counted = np.bincount(calls, minlength=4), np.bincount(drafted, minlength=7), by_drafted
    return call_time_interval(*counted, times, partial, confidence)


@pytest.mark.statistical
@pytest.mark.parametrize("size", [1, 5, 12])
def test_times_of_calls_on_no_line_are_covered(size):
    """Over all samples of that size. Negative control: with no room for calls off the line it misses."""
    mean = sum(
        p * sum(number * CALL_TIMES[tokens] for number, tokens in one) for one, p in TRAJECTORIES.items()
    )
    missed = {2: 0.0, 0: 0.0}
    for counts in itertools.product(range(size + 1), repeat=len(TRAJECTORIES)):
        if sum(counts) != size:
            continue
        ways = math.factorial(size) / math.prod(math.factorial(k) for k in counts)
        weight = ways * math.prod(p**k for p, k in zip(TRAJECTORIES.values(), counts, strict=True))
        sample = [one for one, k in zip(TRAJECTORIES, counts, strict=True) for _ in range(k)]
        for partial in missed:
            found = call_interval(sample, CALL_TIMES, 0.9, partial)
            exact = sum(number * CALL_TIMES[tokens] for one in sample for number, tokens in one) / size
            if partial:
                assert found.estimate == pytest.approx(exact, rel=1e-12)
            missed[partial] += weight * (not found.low <= mean <= found.high)
    assert missed[2] <= 0.1
    assert missed[0] >= missed[2]


def test_times_of_calls_on_a_line_are_those_of_drafted_tokens_and_calls():
    sample = [one for one in TRAJECTORIES for _ in range(50)]
    found = call_interval(sample, np.array([2.0, 2.5, 3.0]), 0.95, 3)
    calls = np.bincount([sum(number for number, _ in one) for one in sample], minlength=4)
    drafted = np.bincount([sum(n * tokens for n, tokens in one) for one in sample], minlength=7)
    assert found == pytest.approx(time_interval(calls, drafted, 0.5, 2.0, 1 - 0.05 * 2 / 3), rel=1e-12)


def test_times_of_calls_of_another_window_are_refused():
    with pytest.raises(SimlabError, match="of the same trajectories and window"):
        call_time_interval([0, 3], [0, 3], [0, 3], [1.0, 2.0, 3.0], 1, 0.95)
