"""`confidence_sequence`: all its intervals at once, by exact recursion for a coin and by simulation."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab.errors import SimlabError
from simlab.evidence import clopper_pearson, confidence_sequence, mean_interval
from simlab.evidence.sequence import log_wealth
from tests.exact import close
from tests.strategies import examples


def ever_missed(interval, p, size, batches):
    """The exact probability that a coin's p is outside after some batch, by recursion over the sum."""
    flips = [math.comb(size, k) * p**k * (1 - p) ** (size - k) for k in range(size + 1)]
    alive = np.array([1.0])
    missed = 0.0
    for k in range(1, batches + 1):
        alive = np.convolve(alive, flips)
        low, high = interval(k * size)
        outside = (p < low) | (p > high)
        missed += alive[outside].sum()
        alive[outside] = 0
    return missed


def table(interval):
    """interval(n) for all sums 0..n, computed once for all p."""
    seen = {}

    def look_up(total):
        if total not in seen:
            seen[total] = interval(total)
        return seen[total]

    return look_up


def sequence_ends(confidence):
    def ends(total):
        rows = [confidence_sequence([[total, s, s]], 1, confidence) for s in range(total + 1)]
        return np.array([r.low[0] for r in rows]), np.array([r.high[0] for r in rows])

    return table(ends)


def fixed_ends(error):
    def ends(total):
        _, low, high = clopper_pearson(np.arange(total + 1), total, error / 2)
        return low, high

    return table(ends)


@pytest.mark.statistical
@pytest.mark.parametrize("error", [0.1, 1e-6])
def test_exact_time_uniform_coverage_and_its_control(error):
    """A fixed-size interval looked at after every batch misses too often: the same check must catch it."""
    ours, peeking = sequence_ends(1 - error), fixed_ends(error)
    grid = [1e-4, 0.003, 0.03, 0.2, 0.5, 0.8, 0.999]
    assert max(ever_missed(ours, p, 5, 16) for p in grid) <= error
    assert max(ever_missed(peeking, p, 5, 16) for p in grid) > error


@pytest.mark.parametrize("pmf", [(0.5, 0.5), (0.02, 0.98), (0.98, 0.02), (0.3, 0.3, 0.4), (0.9, 0.05, 0.05)])
def test_wealth_does_not_grow_on_average(pmf):
    """One more trajectory after any few: the average wealth at the true mean is at most what it was."""
    bound = len(pmf) - 1
    mean = sum(n * p for n, p in enumerate(pmf))

    def wealth(counts):
        total, average = len(counts), sum(counts) / max(len(counts), 1)
        spread = sum((x - average) ** 2 for x in counts) / max(total, 1)
        ends = (np.array([float(v)]) for v in (total, spread, (average - mean) * bool(total)))
        return math.exp(log_wealth(*ends, bound)[0])

    assert wealth(()) == pytest.approx(1, abs=1e-12)
    for before in itertools.chain.from_iterable(
        itertools.combinations_with_replacement(range(bound + 1), size) for size in range(6)
    ):
        after = math.fsum(p * wealth((*before, x)) for x, p in enumerate(pmf))
        assert after <= wealth(before) * (1 + 1e-12)


@pytest.mark.parametrize("error", [0.05, 1e-6])
def test_the_ends_are_where_the_wealth_reaches_its_threshold(error):
    total, first, second = 10_000, 31_000, 103_000
    mean, low, high = confidence_sequence([[total, first, second]], 20, 1 - error)
    spread = np.array([second / total]) - mean**2
    for distance in (mean - low, high - mean):
        reached = log_wealth(np.array([total]), spread, distance, 20)
        assert reached[0] == pytest.approx(math.log(2 / error), abs=1e-9)


@pytest.mark.statistical
def test_simulated_time_uniform_coverage_and_its_control():
    """150 runs of 60 batches at 75%: more than 64 misses have probability 7e-7 (Bin(150, 1/4))."""
    rng = np.random.default_rng(7)
    pmf = np.array([math.comb(30, n) * 0.1**n * 0.9 ** (30 - n) for n in range(31)])
    values = np.arange(31)
    misses = peeking = 0
    for _ in range(150):
        histograms = rng.multinomial(400, pmf, size=60)
        sums = np.stack([histograms.sum(1), histograms @ values, histograms @ values**2], axis=1)
        mean, low, high = confidence_sequence(sums, 30, 0.75)
        misses += bool(((low > 3) | (high < 3)).any())
        shrunk = np.abs(mean - 3) > (high - low) / 6
        peeking += bool(shrunk.any())
    assert misses <= 64 < peeking


def test_width_is_close_to_the_fixed_one_from_1e5_trajectories_on():
    pmf = np.array([math.comb(50, n) * 0.33**n * 0.67 ** (50 - n) for n in range(51)])
    values = np.arange(51)
    for total, least, most in (
        (10**3, 2.5, 3.2),  # far from it: the best bet is beyond the grid's largest
        (10**4, 1.3, 1.5),
        (10**5, 1.17, 1.22),
        (10**6, 1.12, 1.14),
        (10**8, 1.09, 1.115),
        (10**10, 1.09, 1.115),
    ):
        histogram = np.rint(pmf * total).astype(np.int64)
        sums = [[histogram.sum(), histogram @ values, histogram @ values**2]]
        fixed, running = mean_interval(histogram, 1 - 1e-6), confidence_sequence(sums, 50, 1 - 1e-6)
        ratio = (running.high - running.low)[0] / (fixed.high - fixed.low)
        assert least < ratio < most


@examples(40)
@given(
    st.integers(1, 20).flatmap(
        lambda bound: st.tuples(
            st.just(bound), st.lists(st.lists(st.integers(0, bound), min_size=1, max_size=9), min_size=1)
        )
    )
)
def test_prefixes_and_order(drawn):
    bound, batches = drawn
    sums = np.array([[len(b), sum(b), sum(x * x for x in b)] for b in batches])
    mean, low, high = confidence_sequence(sums, bound, 0.9)
    assert ((low >= 0) & (low <= mean) & (mean <= high) & (high <= bound)).all()
    shorter = confidence_sequence(sums[:-1], bound, 0.9) if len(sums) > 1 else (mean[:0], low[:0], high[:0])
    for whole, part in zip((mean, low, high), shorter, strict=True):
        close(whole[:-1], part, 1e-9)
    once = confidence_sequence(sums.sum(axis=0, keepdims=True), bound, 0.9)
    close([mean[-1], low[-1], high[-1]], np.ravel(once), 1e-9)


def test_one_trajectory_and_no_rejections():
    mean, low, high = confidence_sequence([[1, 0, 0], [10**6, 0, 0]], 50, 1 - 1e-6)
    assert mean.tolist() == low.tolist() == [0, 0]
    assert high[0] == 50 and 0 < high[1] < 0.01


@pytest.mark.parametrize(
    ("sums", "bound", "says"),
    [
        ([], 5, "K >= 1"),
        ([[1, 2]], 5, "K, 3"),
        ([[1.0, 2.0, 4.0]], 5, "whole numbers"),
        ([[10, 10, 10], [0, 0, 0]], 5, "batch 1"),
        ([[10, 51, 300]], 5, "no counts in 0..5"),
        ([[10, 10, 10]], 0, "bound = 0"),
    ],
)
def test_mistakes(sums, bound, says):
    with pytest.raises(SimlabError, match=says):
        confidence_sequence(sums, bound, 0.9)
