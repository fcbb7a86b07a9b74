"""Counts and flags whose distributions are known one by one: false alarms exactly, mistakes noticed."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binom

from simlab import SimlabError
from simlab.evidence import Status, known_flags_verdict, known_sums_verdict

PMFS = np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8], [0.0, 1.0, 0.0], [0.6, 0.4, 0.0]])


def test_false_alarms_are_as_rare_as_stated_and_nearly_as_frequent():
    failed = 0.0
    for counts in itertools.product(range(3), repeat=4):
        chance = math.prod(PMFS[row, count] for row, count in enumerate(counts))
        verdict = known_sums_verdict("n", np.array(counts), PMFS, resolution=1.0, false_alarm=0.2, miss=0.2)
        failed += chance * (verdict.status is Status.FAIL)
    sums = chances_of_sums()
    tail = 0.0
    for total in sorted(sums):  # what an exact test of level 0.1 a side refutes
        below = sum(chance for other, chance in sums.items() if other <= total)
        above = sum(chance for other, chance in sums.items() if other >= total)
        tail += sums[total] * (below <= 0.1 or above <= 0.1)
    assert failed == pytest.approx(tail, abs=1e-12) and 0 < failed <= 0.2


def chances_of_sums() -> dict[int, float]:
    found: dict[int, float] = {}
    for counts in itertools.product(range(3), repeat=4):
        chance = math.prod(PMFS[row, count] for row, count in enumerate(counts))
        found[sum(counts)] = found.get(sum(counts), 0.0) + chance
    return {total: chance for total, chance in found.items() if chance > 0}


def test_the_interval_of_coins_is_that_of_the_binomial():
    n, error = 400, 1e-6
    flips = np.array([1] * 130 + [0] * 270)
    verdict = known_sums_verdict("coins", flips, np.tile([0.7, 0.3], (n, 1)), resolution=1.0)
    assert verdict.estimate == pytest.approx(130 / n - 0.3)
    assert verdict.low == pytest.approx((130 - binom.isf(error / 2, n, 0.3)) / n, abs=1.01 / n)
    assert verdict.high == pytest.approx((130 - binom.ppf(error / 2, n, 0.3)) / n, abs=1.01 / n)


def test_a_shift_beyond_the_detectable_one_is_noticed():
    rng = np.random.default_rng(3)
    pmfs = rng.dirichlet(np.ones(9), 500)
    counts = np.array([rng.choice(9, p=pmf) for pmf in pmfs])
    verdict = known_sums_verdict("right", counts, pmfs, resolution=2.0)
    assert verdict.status is Status.PASS and verdict.detectable < 2
    shifted = np.minimum(counts + 2, 8)
    assert known_sums_verdict("wrong", shifted, pmfs, resolution=2.0).status is Status.FAIL
    assert known_sums_verdict("few", counts[:20], pmfs[:20], resolution=2.0).status is Status.INCONCLUSIVE
    allowed = known_sums_verdict("allowed", shifted, pmfs, resolution=9.0, allowance=3.0)
    assert allowed.status is Status.PASS and allowed.detectable > 3


def test_flags_are_held_to_their_probabilities():
    rng = np.random.default_rng(4)
    probabilities = rng.random(4000)
    flags = rng.random(4000) < probabilities
    given = dict(trajectories=1000, most=5.0, resolution=0.5)
    verdict = known_flags_verdict("right", flags, probabilities, **given)
    half = math.sqrt(5 * math.log(2e6) / 2000)
    assert verdict.status is Status.PASS
    assert verdict.high - verdict.estimate == pytest.approx(half) and verdict.detectable == pytest.approx(
        2 * half
    )
    biased = rng.random(4000) < np.minimum(1, probabilities * 1.2)
    assert known_flags_verdict("biased", biased, probabilities, **given).status is Status.FAIL
    # Azuma's bound is not broken by coins: exactly, for the level used here
    n, wide = 60, 60 * math.sqrt(math.log(2 / 0.1) / 120)
    assert binom.cdf(30 - wide, n, 0.5) + binom.sf(30 + wide - 1, n, 0.5) <= 0.1


@pytest.mark.parametrize(
    ("counts", "pmfs"),
    [
        ([3], [[0.5, 0.5]]),
        ([0.5], [[0.5, 0.5]]),
        ([], np.zeros((0, 2))),
        ([0, 1], [[0.5, 0.5]]),
        ([0], [[0.5, 0.4]]),
        ([0], [[1.5, -0.5]]),
    ],
)
def test_what_is_no_count_or_distribution_is_refused(counts, pmfs):
    with pytest.raises(SimlabError, match="told: "):
        known_sums_verdict("told", np.array(counts), pmfs, resolution=1.0)


@pytest.mark.parametrize(
    ("flags", "probabilities"), [([0, 2], [0.5, 0.5]), ([1], [1.5]), ([1], [0.5, 0.5]), ([1] * 9, [0.5] * 9)]
)
def test_what_is_no_flag_is_refused(flags, probabilities):
    with pytest.raises(SimlabError, match="told: "):
        known_flags_verdict("told", flags, probabilities, 2, 4.0, resolution=1.0)
