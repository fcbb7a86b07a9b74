"""The share of matches won: coverage where matches are not alike, ends, verdicts, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from simlab.errors import SimlabError
from simlab.evidence import share_interval, win_rate_verdict

UNLIKE = np.r_[np.full(300, 0.05), np.full(500, 0.5), np.full(200, 0.9)]
"""The expected points of a thousand matches."""


def played(expected, random, ties=0.0) -> int:
    """Half points of matches whose points, 0, 1/2 or 1, have these expectations."""
    share = ties * np.minimum(expected, 1 - expected)  # of ties
    tied = random.random(expected.shape) < share
    won = random.random(expected.shape) < (expected - share / 2) / (1 - share)
    return int(np.where(tied, 1, 2 * won).sum())


@pytest.mark.statistical
@pytest.mark.parametrize("ties", [0.0, 0.8])
@pytest.mark.parametrize("seed", range(3))
def test_it_holds_the_mean_expectation_of_matches_that_are_not_alike(seed, ties):
    """Of 400 intervals at 80%, 125 or more miss with probability below 1e-6 if each misses at 20%."""
    random = np.random.default_rng(seed)
    missed = 0
    for _ in range(400):
        share, low, high = share_interval(played(UNLIKE, random, ties), UNLIKE.size, 0.8)
        assert low <= share <= high
        missed += not low <= UNLIKE.mean() <= high
    assert binom.sf(124, 400, 0.2) < 1e-6 and missed < 125


def test_the_coverage_test_sees_an_interval_that_is_too_narrow():
    """Negative control: at a tenth of the width the same 400 intervals miss far more often."""
    random = np.random.default_rng(0)
    missed = 0
    for _ in range(400):
        share, low, high = share_interval(played(UNLIKE, random), UNLIKE.size, 0.8)
        missed += not (low - share) / 10 <= UNLIKE.mean() - share <= (high - share) / 10
    assert missed >= 125


def test_its_ends_solve_what_they_claim():
    share, low, high = share_interval(600, 1000, 0.99)
    assert share == 0.3
    for end in (low, high):
        divergence = 0.3 * np.log(0.3 / end) + 0.7 * np.log(0.7 / (1 - end))
        assert 1000 * divergence == pytest.approx(np.log(2 / 0.01), rel=1e-6)
    none, everything = share_interval(0, 1000, 0.99), share_interval(2000, 1000, 0.99)
    assert none == (0.0, 0.0, pytest.approx(-np.expm1(-np.log(200) / 1000)))
    assert everything == (1.0, pytest.approx(np.exp(-np.log(200) / 1000)), 1.0)
    wide = share_interval(1, 1, 0.95)
    assert wide.estimate == 0.5 and 0 < wide.low < 0.01


def judge(low, high, half_points=104_000, matches=100_000, resolution=0.05):
    return win_rate_verdict("x", half_points, matches, low, high, resolution=resolution)


def test_verdicts():
    assert judge(0.519, 0.521).status == "PASS"
    assert judge(0.53, 0.54).status == "FAIL" and judge(0.5, 0.51).status == "FAIL"
    assert judge(0.2, 0.8).status == "INCONCLUSIVE"  # a bracket that says too little
    assert judge(0.519, 0.521, 104, 100).status == "INCONCLUSIVE"
    assert judge(0, 0, 1, 10**5).status == "FAIL" and judge(0, 0, 0, 10**5).status == "PASS"
    assert judge(1, 1, 2 * 10**5 - 1, 10**5).status == "FAIL"
    one = judge(0.519, 0.521)
    assert (one.estimate, one.exact, one.trajectories) == (0.52, pytest.approx(0.52), 100_000)
    assert one.detectable == pytest.approx(2 * (one.high - 0.52) + 0.001, rel=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_a_difference_as_large_as_detectable_is_seen(seed):
    random = np.random.default_rng(seed)
    points = played(np.full(100_000, 0.52), random)
    detectable = judge(0.52, 0.52, points).detectable
    assert judge(0.52, 0.52, points).status == "PASS"
    assert judge(0.52 + detectable, 0.52 + detectable, points).status == "FAIL"
    assert judge(0.52 - detectable, 0.52 - detectable, points).status == "FAIL"


def test_what_is_refused():
    with pytest.raises(SimlabError, match="half_points"):
        share_interval(11, 5, 0.9)
    with pytest.raises(SimlabError, match="matches"):
        share_interval(0, 0, 0.9)
    with pytest.raises(SimlabError, match="confidence"):
        share_interval(1, 5, 1.0)
    with pytest.raises(SimlabError, match="low <= high"):
        judge(0.6, 0.5)
    with pytest.raises(SimlabError, match="probabilities"):
        judge(0.5, 1.5)
